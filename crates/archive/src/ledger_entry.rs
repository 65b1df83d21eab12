//! What ledger records mean to the archive.

use bytes::Bytes;
use gantry_core::ae_title::AeTitle;
use gantry_core::principal::Principal;
use gantry_index::change::Source;
use gantry_index::{Mark, Target};

/// The meaning of a ledger record, as JSON in its meta bytes. Stable: old ledgers are read again.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case", tag = "what")]
pub(crate) enum LedgerEntry {
    /// The record's blob is an instance that was received.
    Stored(Provenance),
    /// Something was deleted and can be restored.
    Deleted {
        /// Identifies the deletion.
        deletion: i64,
        /// What.
        target: StoredTarget,
        /// By whom and when.
        by: Provenance,
    },
    /// A deletion was undone.
    Restored {
        /// The deletion.
        deletion: i64,
        /// By whom and when.
        by: Provenance,
    },
    /// A deletion became final.
    Purged {
        /// The deletion.
        deletion: i64,
        /// When, in microseconds since 1970.
        at: i64,
    },
    /// Something was said of a study that decides who sees it, or taken back.
    Marked {
        /// Study Instance UID.
        study: String,
        /// What was said.
        mark: StoredMark,
        /// Whether it holds from then on.
        is_set: bool,
        /// By whom and when.
        by: Provenance,
    },
    /// The space of bytes that nothing refers to is given back.
    Collected {
        /// Where they lay.
        locations: Vec<String>,
    },
}

/// Who did something, when, and through which door.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Provenance {
    /// Microseconds since 1970.
    pub(crate) at: i64,
    /// The door.
    pub(crate) door: String,
    /// Calling AE title.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    calling: String,
    /// The AE title that was called.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    called: String,
    /// Network address.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    address: String,
    /// User name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    user: String,
}

/// [`Mark`] as it is written down.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum StoredMark {
    Label(String),
    Restricted,
}

impl From<&Mark> for StoredMark {
    fn from(mark: &Mark) -> Self {
        match mark {
            Mark::Label(label) => Self::Label(label.clone()),
            Mark::Restricted => Self::Restricted,
        }
    }
}

impl From<StoredMark> for Mark {
    fn from(mark: StoredMark) -> Self {
        match mark {
            StoredMark::Label(label) => Self::Label(label),
            StoredMark::Restricted => Self::Restricted,
        }
    }
}

/// [`Target`] as it is written down: the identifiers down to the level that is deleted.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct StoredTarget {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    patient_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    study: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    series: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    instance: Option<String>,
}

impl LedgerEntry {
    pub(crate) fn to_bytes(&self) -> Bytes {
        // Strings and numbers in known structures: there is nothing that JSON cannot express.
        serde_json::to_vec(self).unwrap_or_default().into()
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(bytes)
    }
}

impl Provenance {
    pub(crate) fn of(principal: &Principal, at: i64) -> Self {
        let title = |title: &Option<AeTitle>| title.as_ref().map(ToString::to_string);
        Self {
            at,
            door: principal.door.as_str().into(),
            calling: title(&principal.calling_ae).unwrap_or_default(),
            called: title(&principal.called_ae).unwrap_or_default(),
            address: principal
                .address
                .map(|address| address.to_string())
                .unwrap_or_default(),
            user: principal.user.clone().unwrap_or_default(),
        }
    }

    pub(crate) fn as_source(&self) -> Source<'_> {
        Source {
            door: &self.door,
            calling_ae: &self.calling,
            called_ae: &self.called,
            address: &self.address,
            user: &self.user,
        }
    }

    /// Who it was, in one word.
    pub(crate) fn who(&self) -> &str {
        let candidates = [&self.user, &self.calling, &self.address, &self.door];
        candidates
            .into_iter()
            .find(|name| !name.is_empty())
            .map_or("", String::as_str)
    }
}

impl From<&Target> for StoredTarget {
    fn from(target: &Target) -> Self {
        let some = |text: &String| Some(text.clone());
        match target {
            Target::Patient { patient_id, issuer } => Self {
                patient_id: some(patient_id),
                issuer: issuer.clone(),
                ..Self::default()
            },
            Target::Study { study } => Self {
                study: some(study),
                ..Self::default()
            },
            Target::Series { study, series } => Self {
                study: some(study),
                series: some(series),
                ..Self::default()
            },
            Target::Instance {
                study,
                series,
                instance,
            } => Self {
                study: some(study),
                series: some(series),
                instance: some(instance),
                ..Self::default()
            },
        }
    }
}

impl StoredTarget {
    /// The target; nothing when identifiers are missing.
    pub(crate) fn target(self) -> Option<Target> {
        match (self.patient_id, self.study, self.series, self.instance) {
            (Some(patient_id), None, None, None) => Some(Target::Patient {
                patient_id,
                issuer: self.issuer,
            }),
            (None, Some(study), None, None) => Some(Target::Study { study }),
            (None, Some(study), Some(series), None) => Some(Target::Series { study, series }),
            (None, Some(study), Some(series), Some(instance)) => Some(Target::Instance {
                study,
                series,
                instance,
            }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_written_form_stays_readable() {
        let text = br#"{"what":"stored","at":5,"door":"dimse","calling":"CT1"}"#;
        let entry = LedgerEntry::from_bytes(text).unwrap();
        assert_eq!(entry.to_bytes(), &text[..]);
        let text = br#"{"what":"deleted","deletion":7,"target":{"study":"1.2"},"by":{"at":5,"door":"http"}}"#;
        let LedgerEntry::Deleted { target, .. } = LedgerEntry::from_bytes(text).unwrap() else {
            panic!("another entry");
        };
        assert_eq!(
            target.target(),
            Some(Target::Study {
                study: "1.2".into()
            })
        );
    }
}
