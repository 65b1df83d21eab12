//! What somebody was granted: rights, and the studies to which they extend.
//!
//! A study may be seen, changed or sent when one [`Grant`] has the right and a [`Scope`] that the
//! study is in. The same value decides about one study and narrows a list, so that lists, counts
//! and direct requests cannot disagree.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// Something that can be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Right {
    /// Know that a study exists, read its attributes and look at its pixels.
    View = 0,
    /// Get the stored objects themselves.
    Download,
    /// Store instances.
    Store,
    /// Change attributes, labels, identities.
    Modify,
    /// Delete and restore.
    Delete,
    /// Export to media and archives of files, send to other AEs.
    Export,
    /// Give others access by a link.
    Share,
    /// Make de-identified copies.
    DeIdentify,
    /// Write reports.
    Report,
    /// Sign reports.
    Sign,
    /// Look after people, roles, peers and settings.
    Administer,
    /// Read the audit trail and review break-glass access.
    Audit,
}

impl Right {
    /// Every right.
    pub const ALL: [Self; 12] = [
        Self::View,
        Self::Download,
        Self::Store,
        Self::Modify,
        Self::Delete,
        Self::Export,
        Self::Share,
        Self::DeIdentify,
        Self::Report,
        Self::Sign,
        Self::Administer,
        Self::Audit,
    ];

    /// The word for it in configuration, tokens and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Download => "download",
            Self::Store => "store",
            Self::Modify => "modify",
            Self::Delete => "delete",
            Self::Export => "export",
            Self::Share => "share",
            Self::DeIdentify => "de-identify",
            Self::Report => "report",
            Self::Sign => "sign",
            Self::Administer => "administer",
            Self::Audit => "audit",
        }
    }

    /// The right of a word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|right| right.as_str() == text)
    }

    const fn bit(self) -> u16 {
        1 << self as u8
    }
}

/// As its word.
impl Serialize for Right {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Right {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom(format!("there is no right {text:?}")))
    }
}

impl fmt::Display for Right {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A set of rights.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Rights(u16);

impl Rights {
    /// No right.
    pub const NONE: Self = Self(0);
    /// Every right.
    pub const ALL: Self = {
        let mut bits = 0;
        let mut at = 0;
        while at < Right::ALL.len() {
            bits |= Right::ALL[at].bit();
            at += 1;
        }
        Self(bits)
    };

    /// The set of these.
    pub const fn of(rights: &[Right]) -> Self {
        let mut bits = 0;
        let mut at = 0;
        while at < rights.len() {
            bits |= rights[at].bit();
            at += 1;
        }
        Self(bits)
    }

    /// Whether `right` is in it.
    pub const fn contains(self, right: Right) -> bool {
        self.0 & right.bit() != 0
    }

    /// With what is in `other` too.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether nothing is in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those in it.
    pub fn iter(self) -> impl Iterator<Item = Right> {
        Right::ALL
            .into_iter()
            .filter(move |right| self.contains(*right))
    }
}

impl FromIterator<Right> for Rights {
    fn from_iter<T: IntoIterator<Item = Right>>(rights: T) -> Self {
        rights
            .into_iter()
            .fold(Self::NONE, |set, right| set.with(Self::of(&[right])))
    }
}

/// As the list of their words.
impl Serialize for Rights {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Rights {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Vec::<Right>::deserialize(deserializer)?
            .into_iter()
            .collect())
    }
}

impl fmt::Debug for Rights {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.iter()).finish()
    }
}

/// Which studies a grant is about: those that meet every condition given; without any condition,
/// all that are not restricted.
///
/// A condition is a list, and a study meets it by any one entry. An empty list is no condition.
/// Stored text with a condition that this release does not know is refused, not read as a wider
/// scope.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scope {
    /// Sites: of the AE title that was called, else Institution Name (0008,0080).
    pub sites: Vec<String>,
    /// Institutional Department Name (0008,1040).
    pub departments: Vec<String>,
    /// Modalities, one of which the study has to have.
    pub modalities: Vec<String>,
    /// Patients.
    pub patients: Vec<PatientIdentity>,
    /// Labels that people gave to studies.
    pub labels: Vec<String>,
    /// Study Instance UIDs.
    pub studies: Vec<String>,
    /// Names as which somebody refers, requests or performs (PN values): only such studies.
    pub own_names: Vec<String>,
    /// Whether restricted studies (embargo, VIP, consent withheld) are in it too.
    pub includes_restricted: bool,
}

impl Scope {
    /// Every study, restricted ones included.
    pub fn everything() -> Self {
        Self {
            includes_restricted: true,
            ..Self::default()
        }
    }

    /// Whether every study is in it.
    pub fn is_everything(&self) -> bool {
        *self == Self::everything()
    }
}

/// A Patient ID with its issuer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatientIdentity {
    /// Patient ID (0010,0020).
    pub patient_id: String,
    /// Issuer of Patient ID (0010,0021); none: whoever issued it.
    #[serde(default)]
    pub issuer: Option<String>,
}

/// Rights over the studies of a scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The rights.
    pub rights: Rights,
    /// The studies. Rights that are not about studies (administer, audit) do not look at it.
    pub scope: Scope,
    /// Until when, in microseconds since 1970; none: until it is taken back.
    pub until: Option<i64>,
    /// Where it comes from, in words for people: `role radiologist`, `break-glass`.
    pub source: String,
}

/// What somebody may do: the sum of their grants. Nothing without any.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Access {
    /// The grants.
    pub grants: Vec<Grant>,
    /// Names of the roles held.
    pub roles: Vec<String>,
}

/// The studies over which somebody has a right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Permitted {
    /// None.
    Nothing,
    /// All, restricted ones included.
    Everything,
    /// Those in one of these scopes.
    Scopes(Vec<Scope>),
}

impl Access {
    /// Every right over everything.
    pub fn unlimited(source: &str) -> Self {
        Self {
            grants: vec![Grant {
                rights: Rights::ALL,
                scope: Scope::everything(),
                until: None,
                source: source.to_owned(),
            }],
            roles: Vec::new(),
        }
    }

    /// These rights over everything.
    pub fn over_everything(rights: Rights, source: &str) -> Self {
        let mut access = Self::unlimited(source);
        for grant in &mut access.grants {
            grant.rights = rights;
        }
        access
    }

    /// Whether a right is held at all, whatever the studies; `now` in microseconds since 1970.
    pub fn holds(&self, right: Right, now: i64) -> bool {
        self.grants_of(right, now).next().is_some()
    }

    /// The studies over which `right` is held.
    pub fn permitted(&self, right: Right, now: i64) -> Permitted {
        let mut scopes = Vec::new();
        for grant in self.grants_of(right, now) {
            if grant.scope.is_everything() {
                return Permitted::Everything;
            }
            if !scopes.contains(&grant.scope) {
                scopes.push(grant.scope.clone());
            }
        }
        if scopes.is_empty() {
            Permitted::Nothing
        } else {
            Permitted::Scopes(scopes)
        }
    }

    /// The grants that give `right` now.
    pub fn grants_of(&self, right: Right, now: i64) -> impl Iterator<Item = &Grant> {
        self.grants.iter().filter(move |grant| {
            grant.rights.contains(right) && grant.until.is_none_or(|until| now < until)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(rights: &[Right], scope: Scope, until: Option<i64>) -> Grant {
        Grant {
            rights: Rights::of(rights),
            scope,
            until,
            source: "test".into(),
        }
    }

    #[test]
    fn rights_are_a_set() {
        let set: Rights = [Right::View, Right::Audit].into_iter().collect();
        assert!(set.contains(Right::View) && !set.contains(Right::Delete));
        assert_eq!(set.iter().collect::<Vec<_>>(), [Right::View, Right::Audit]);
        assert_eq!(Rights::ALL.iter().count(), Right::ALL.len());
        assert_eq!(set.and(Rights::of(&[Right::Delete])), Rights::NONE);
        for right in Right::ALL {
            assert_eq!(Right::parse(right.as_str()), Some(right));
        }
    }

    #[test]
    fn nothing_is_permitted_without_a_grant() {
        let access = Access::default();
        assert_eq!(access.permitted(Right::View, 0), Permitted::Nothing);
        assert!(!access.holds(Right::View, 0));
    }

    #[test]
    fn a_grant_ends() {
        let access = Access {
            grants: vec![grant(&[Right::View], Scope::everything(), Some(10))],
            roles: Vec::new(),
        };
        assert_eq!(access.permitted(Right::View, 9), Permitted::Everything);
        assert_eq!(access.permitted(Right::View, 10), Permitted::Nothing);
    }

    #[test]
    fn grants_add_up_by_right() {
        let site = Scope {
            sites: vec!["North".into()],
            ..Scope::default()
        };
        let access = Access {
            grants: vec![
                grant(&[Right::View], Scope::default(), None),
                grant(&[Right::View, Right::Delete], site.clone(), None),
            ],
            roles: Vec::new(),
        };
        assert_eq!(
            access.permitted(Right::View, 0),
            Permitted::Scopes(vec![Scope::default(), site.clone()])
        );
        assert_eq!(
            access.permitted(Right::Delete, 0),
            Permitted::Scopes(vec![site])
        );
        assert_eq!(access.permitted(Right::Export, 0), Permitted::Nothing);
    }

    #[test]
    fn restricted_studies_are_not_in_the_plain_scope() {
        assert!(!Scope::default().is_everything());
        assert!(Scope::everything().is_everything());
    }
}
