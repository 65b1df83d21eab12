//! Roles: rights, and the studies to which they extend.

use crate::error::{IdentityError, Result};
use gantry_core::access::{Right, Rights, Scope};
use serde::{Deserialize, Serialize};

/// A role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// What it is for, in words.
    pub description: String,
    /// What may be done.
    pub rights: Rights,
    /// With which studies.
    pub scope: Scope,
    /// Whether only studies are meant that the person ordered, performed or was given: those with
    /// one of the person's DICOM names.
    pub only_own_studies: bool,
    /// Whether it is part of the program.
    pub is_built_in: bool,
}

/// The role that may do everything.
pub const ADMINISTRATOR: &str = "administrator";

/// The roles that every archive has.
pub fn built_in() -> Vec<Role> {
    use Right::{Audit, DeIdentify, Download, Export, Modify, Report, Share, Sign, Store, View};
    let role = |name: &str, description: &str, rights: &[Right]| Role {
        name: name.into(),
        description: description.into(),
        rights: Rights::of(rights),
        scope: Scope::default(),
        only_own_studies: false,
        is_built_in: true,
    };
    vec![
        Role {
            rights: Rights::ALL,
            scope: Scope::everything(),
            ..role(
                ADMINISTRATOR,
                "Looks after people, peers and settings, and may do everything with every study.",
                &[],
            )
        },
        role(
            "radiologist",
            "Reads studies: views, downloads and exports them, shares them, writes and signs \
             reports.",
            &[View, Download, Export, Share, Report, Sign],
        ),
        Role {
            only_own_studies: true,
            ..role(
                "clinician",
                "Refers patients: views the studies that they ordered, performed or were given.",
                &[View],
            )
        },
        role(
            "technologist",
            "Acquires studies: views, stores and corrects them.",
            &[View, Store, Modify],
        ),
        role(
            "researcher",
            "Works with de-identified copies: views studies and takes copies without identity.",
            &[View, DeIdentify],
        ),
        role(
            "auditor",
            "Reads the audit trail and reviews break-glass access; sees no study.",
            &[Audit],
        ),
    ]
}

/// Names are words that configuration, commands and URLs can hold.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let fits = |c: char| c.is_lowercase() || c.is_numeric() || "-_.".contains(c);
    let length = name.chars().count();
    if (1..=64).contains(&length) && name.chars().all(fits) && !name.starts_with('.') {
        return Ok(());
    }
    Err(IdentityError::invalid(
        "the name of a role is made of small letters, digits, '-', '_' and '.', 64 at most",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_roles_are_what_they_say() {
        let roles = built_in();
        let of = |name: &str| roles.iter().find(|role| role.name == name).unwrap();
        assert!(of("administrator").scope.is_everything());
        assert_eq!(of("administrator").rights, Rights::ALL);
        assert_eq!(of("auditor").rights, Rights::of(&[Right::Audit]));
        assert!(of("clinician").only_own_studies);
        for role in &roles {
            assert!(check_name(&role.name).is_ok());
            assert_eq!(
                role.scope.includes_restricted,
                role.name == ADMINISTRATOR,
                "{}",
                role.name
            );
        }
        assert_eq!(roles.len(), 6);
    }

    #[test]
    fn names_are_words() {
        for wrong in ["", "A", "a b", "a/b", ".", &"x".repeat(65)] {
            assert!(check_name(wrong).is_err(), "{wrong}");
        }
        assert!(check_name("nacht-schicht.2").is_ok());
    }
}
