//! What a person was granted: roles, personal grants and break-glass, added up.

use crate::clock::MINUTE;
use crate::error::Result;
use crate::identity::Identity;
use crate::person::{self, Person};
use crate::{break_glass, grants, roles};
use gantry_core::access::{Access, Grant, PatientIdentity, Scope};
use rusqlite::Connection;
use std::sync::Arc;

/// How long it is remembered when nothing changes.
const REMEMBERED: i64 = 5 * MINUTE;

impl Identity {
    /// What a person may do. Nothing when they are disabled.
    ///
    /// # Errors
    /// When there is no such person.
    pub fn access_of(&self, person: i64) -> Result<Arc<Access>> {
        let (now, changes) = (self.clock.now(), self.changes());
        if let Some(access) = self.memory.access.get(&person, now, changes) {
            return Ok(access);
        }
        let access = Arc::new(self.read(|connection| {
            let person = person::by_id(connection, person)?;
            of(connection, &person, now)
        })?);
        let until = now.saturating_add(REMEMBERED);
        let remembered = Arc::clone(&access);
        self.memory.access.put(person, remembered, until, changes);
        Ok(access)
    }
}

/// What a person may do.
pub(crate) fn of(connection: &Connection, person: &Person, now: i64) -> Result<Access> {
    if !person.is_active {
        return Ok(Access::default());
    }
    let mut access = Access::default();
    let mut names: Vec<&String> = person.roles.iter().chain(&person.external_roles).collect();
    names.sort();
    names.dedup();
    for name in names {
        // A role that an identity provider names may have been deleted here.
        let Some(role) = roles::find(connection, name)? else {
            continue;
        };
        access.roles.push(role.name.clone());
        let Some(scope) = own_studies(role.scope, role.only_own_studies, person) else {
            continue;
        };
        access.grants.push(Grant {
            rights: role.rights,
            scope,
            until: None,
            source: format!("role {}", role.name),
        });
    }
    access
        .grants
        .extend(grants::of(connection, person.id, now)?);
    access
        .grants
        .extend(break_glass::grants(connection, person.id, now)?);
    Ok(access)
}

/// The scope with the person's own names in it; none when there are no names: an empty list would
/// mean every study.
fn own_studies(scope: Scope, only_own: bool, person: &Person) -> Option<Scope> {
    if !only_own {
        return Some(scope);
    }
    if person.dicom_names.is_empty() {
        return None;
    }
    let own_names = if scope.own_names.is_empty() {
        person.dicom_names.clone()
    } else {
        both(&scope.own_names, &person.dicom_names)?
    };
    Some(Scope { own_names, ..scope })
}

/// `access` narrowed to some rights and a scope: what a token carries.
pub(crate) fn narrow(
    access: &Access,
    rights: gantry_core::access::Rights,
    scope: &Scope,
    until: Option<i64>,
    source: &str,
) -> Access {
    let grants = access.grants.iter().filter_map(|grant| {
        let rights = grant.rights.and(rights);
        if rights.is_empty() {
            return None;
        }
        Some(Grant {
            rights,
            scope: intersection(&grant.scope, scope)?,
            until: match (grant.until, until) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            },
            source: format!("{source}, {}", grant.source),
        })
    });
    Access {
        grants: grants.collect(),
        roles: access.roles.clone(),
    }
}

/// The studies in both scopes; none when there is certainly no study in both. It may leave out
/// studies that are in both, never take one in that is not.
fn intersection(one: &Scope, other: &Scope) -> Option<Scope> {
    // Each condition by name: one that is added to Scope has to be thought of here.
    let Scope {
        sites,
        departments,
        modalities,
        patients,
        labels,
        studies,
        own_names,
        includes_restricted,
    } = one;
    Some(Scope {
        sites: both(sites, &other.sites)?,
        departments: both(departments, &other.departments)?,
        // A study of two modalities may be meant by each list through another one: then only
        // those named by both count.
        modalities: both(modalities, &other.modalities)?,
        patients: both_patients(patients, &other.patients)?,
        labels: both(labels, &other.labels)?,
        studies: both(studies, &other.studies)?,
        own_names: both(own_names, &other.own_names)?,
        includes_restricted: *includes_restricted && other.includes_restricted,
    })
}

/// Values in both lists, where an empty list is every value; none when there are no such values.
fn both(one: &[String], other: &[String]) -> Option<Vec<String>> {
    if one.is_empty() {
        return Some(other.to_vec());
    }
    if other.is_empty() {
        return Some(one.to_vec());
    }
    let both: Vec<String> = one
        .iter()
        .filter(|value| other.contains(value))
        .cloned()
        .collect();
    (!both.is_empty()).then_some(both)
}

fn both_patients(
    one: &[PatientIdentity],
    other: &[PatientIdentity],
) -> Option<Vec<PatientIdentity>> {
    if one.is_empty() {
        return Some(other.to_vec());
    }
    if other.is_empty() {
        return Some(one.to_vec());
    }
    let mut patients = Vec::new();
    for a in one {
        for b in other.iter().filter(|b| b.patient_id == a.patient_id) {
            let issuer = match (&a.issuer, &b.issuer) {
                (Some(a), Some(b)) if a != b => continue,
                (a, b) => a.clone().or_else(|| b.clone()),
            };
            patients.push(PatientIdentity {
                patient_id: a.patient_id.clone(),
                issuer,
            });
        }
    }
    (!patients.is_empty()).then_some(patients)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::person::{NewPerson, PersonChange};
    use crate::role::Role;
    use crate::testing::{Bench, bench};
    use gantry_core::access::{Permitted, Right, Rights};

    #[test]
    fn a_clinician_sees_nothing_without_names_and_own_studies_with_them() {
        let Bench { identity, by, .. } = bench();
        let person = identity
            .add_person(&NewPerson::new("c", &["clinician"]), &by)
            .unwrap();
        let access = identity.access_of(person.id).unwrap();
        assert_eq!(access.permitted(Right::View, 0), Permitted::Nothing);
        assert_eq!(access.roles, ["clinician"]);
        let names = PersonChange {
            dicom_names: Some(vec!["C^C".into()]),
            ..PersonChange::default()
        };
        identity.change_person(person.id, &names, &by).unwrap();
        let access = identity.access_of(person.id).unwrap();
        let own = Scope {
            own_names: vec!["C^C".into()],
            ..Scope::default()
        };
        assert_eq!(
            access.permitted(Right::View, 0),
            Permitted::Scopes(vec![own])
        );
        assert_eq!(access.permitted(Right::Download, 0), Permitted::Nothing);
    }

    #[test]
    fn what_is_remembered_ends_with_a_change() {
        let Bench { identity, by, .. } = bench();
        let person = identity
            .add_person(&NewPerson::new("p", &["technologist"]), &by)
            .unwrap();
        assert!(
            identity
                .access_of(person.id)
                .unwrap()
                .holds(Right::Store, 0)
        );
        let disable = PersonChange {
            is_active: Some(false),
            ..PersonChange::default()
        };
        identity.change_person(person.id, &disable, &by).unwrap();
        assert_eq!(*identity.access_of(person.id).unwrap(), Access::default());
    }

    #[test]
    fn a_role_of_the_site_is_in_force_as_changed() {
        let Bench { identity, by, .. } = bench();
        let mut role = Role {
            name: "night".into(),
            description: String::new(),
            rights: Rights::of(&[Right::View]),
            scope: Scope {
                sites: vec!["North".into()],
                ..Scope::default()
            },
            only_own_studies: false,
            is_built_in: false,
        };
        identity.add_role(&role, &by).unwrap();
        assert!(identity.add_role(&role, &by).is_err());
        let person = identity
            .add_person(&NewPerson::new("p", &["night"]), &by)
            .unwrap();
        let access = identity.access_of(person.id).unwrap();
        assert_eq!(
            access.permitted(Right::View, 0),
            Permitted::Scopes(vec![role.scope.clone()])
        );
        role.rights = Rights::of(&[Right::Audit]);
        identity.change_role(&role, &by).unwrap();
        assert!(!identity.access_of(person.id).unwrap().holds(Right::View, 0));
        assert!(
            identity.delete_role("night", &by).is_err(),
            "somebody has it"
        );
        identity.delete_person(person.id, &by).unwrap();
        identity.delete_role("night", &by).unwrap();
        assert!(identity.delete_role("auditor", &by).is_err());
    }

    fn list(values: &[&str]) -> Vec<String> {
        values.iter().map(|&value| value.to_owned()).collect()
    }

    #[test]
    fn an_intersection_never_widens() {
        let one = Scope {
            sites: list(&["A", "B"]),
            includes_restricted: true,
            ..Scope::default()
        };
        let other = Scope {
            sites: list(&["B", "C"]),
            modalities: list(&["CT"]),
            ..Scope::default()
        };
        let both = intersection(&one, &other).unwrap();
        assert_eq!(both.sites, ["B"]);
        assert_eq!(both.modalities, ["CT"]);
        assert!(!both.includes_restricted);
        let elsewhere = Scope {
            sites: list(&["C"]),
            ..Scope::default()
        };
        assert_eq!(intersection(&one, &elsewhere), None);
    }

    #[test]
    fn a_patient_without_issuer_is_that_of_any() {
        let patient = |issuer: Option<&str>| PatientIdentity {
            patient_id: "1".into(),
            issuer: issuer.map(str::to_owned),
        };
        let found = both_patients(&[patient(None)], &[patient(Some("X"))]).unwrap();
        assert_eq!(found, [patient(Some("X"))]);
        assert_eq!(
            both_patients(&[patient(Some("Y"))], &[patient(Some("X"))]),
            None
        );
    }
}
