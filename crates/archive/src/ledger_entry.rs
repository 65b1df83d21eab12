//! What ledger records mean to the archive.

use bytes::Bytes;
use gantry_core::principal::Principal;
use gantry_index::locate::Selection;

/// The meaning of a ledger record, as JSON in its meta bytes. Stable: old ledgers are read again.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case", tag = "what")]
pub(crate) enum LedgerEntry {
    /// The record's blob is an instance that was received.
    Stored(Provenance),
    /// Instances were deleted and can be restored.
    Deleted {
        /// Which.
        selection: StoredSelection,
        /// By whom and when.
        by: Provenance,
    },
    /// Deleted instances were restored.
    Restored {
        /// Which.
        selection: StoredSelection,
        /// By whom and when.
        by: Provenance,
    },
    /// The bytes of deleted instances were freed for good.
    Purged {
        /// SOP Instance UIDs.
        instances: Vec<String>,
        /// Where the bytes lay.
        locations: Vec<String>,
        /// When, in microseconds since 1970.
        at: i64,
    },
}

/// Who did something, when, and through which door.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Provenance {
    /// Microseconds since 1970.
    pub(crate) at: i64,
    /// Calling AE title, user or address.
    pub(crate) source: String,
    /// The AE title that was called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) called: Option<String>,
    /// Network address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) address: Option<String>,
    /// The door.
    pub(crate) door: String,
}

/// [`Selection`] as it is written down.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub(crate) struct StoredSelection {
    patient_ids: Vec<String>,
    studies: Vec<String>,
    series: Vec<String>,
    instances: Vec<String>,
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
        let address = principal.address.map(|address| address.to_string());
        let calling = principal.calling_ae.as_ref().map(ToString::to_string);
        Self {
            at,
            source: calling
                .or_else(|| principal.user.clone())
                .or_else(|| address.clone())
                .unwrap_or_default(),
            called: principal.called_ae.as_ref().map(ToString::to_string),
            address,
            door: principal.door.as_str().into(),
        }
    }
}

impl From<&Selection> for StoredSelection {
    fn from(selection: &Selection) -> Self {
        let Selection { patient_ids, studies, series, instances } = selection.clone();
        Self { patient_ids, studies, series, instances }
    }
}

impl From<StoredSelection> for Selection {
    fn from(selection: StoredSelection) -> Self {
        let StoredSelection { patient_ids, studies, series, instances } = selection;
        Self { patient_ids, studies, series, instances }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_written_form_stays_readable() {
        let text = br#"{"what":"stored","at":5,"source":"CT1","door":"dimse"}"#;
        let entry = LedgerEntry::from_bytes(text).unwrap();
        assert_eq!(entry.to_bytes(), &text[..]);
        let text = br#"{"what":"deleted","selection":{"studies":["1.2"]},"by":{"at":5,"source":"","door":"http"}}"#;
        let LedgerEntry::Deleted { selection, .. } = LedgerEntry::from_bytes(text).unwrap() else {
            panic!("another entry");
        };
        assert_eq!(Selection::from(selection).studies, ["1.2"]);
    }
}
