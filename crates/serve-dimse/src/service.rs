//! Which service a SOP class belongs to.

use gantry_archive::query::Model;
use gantry_dicom::{sop_class, uids};
use gantry_dimse::command::Operation;

/// The services of this door.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Service {
    /// Verification (PS3.4 A).
    Verification,
    /// Storage (PS3.4 B).
    Storage,
    /// Query (PS3.4 C.4.1).
    Find(Model),
    /// Retrieval to a third AE (PS3.4 C.4.2).
    Move(Model),
    /// Retrieval on the same association (PS3.4 C.4.3).
    Get(Model),
    /// Storage commitment, push model (PS3.4 J).
    StorageCommitment,
}

/// The well-known instance of the Storage Commitment Push Model (PS3.4 J.3.5).
pub(crate) const STORAGE_COMMITMENT_INSTANCE: &str = "1.2.840.10008.1.20.1.1";
/// The Storage Commitment Push Model SOP class.
pub(crate) const STORAGE_COMMITMENT: &str = "1.2.840.10008.1.20.1";

/// The SOP classes other than those of storage.
const SERVICES: [(&str, Service); 11] = [
    (uids::VERIFICATION, Service::Verification),
    (STORAGE_COMMITMENT, Service::StorageCommitment),
    (
        "1.2.840.10008.5.1.4.1.2.1.1",
        Service::Find(Model::PatientRoot),
    ),
    (
        "1.2.840.10008.5.1.4.1.2.1.2",
        Service::Move(Model::PatientRoot),
    ),
    (
        "1.2.840.10008.5.1.4.1.2.1.3",
        Service::Get(Model::PatientRoot),
    ),
    (
        "1.2.840.10008.5.1.4.1.2.2.1",
        Service::Find(Model::StudyRoot),
    ),
    (
        "1.2.840.10008.5.1.4.1.2.2.2",
        Service::Move(Model::StudyRoot),
    ),
    (
        "1.2.840.10008.5.1.4.1.2.2.3",
        Service::Get(Model::StudyRoot),
    ),
    (
        "1.2.840.10008.5.1.4.1.2.3.1",
        Service::Find(Model::PatientStudyOnly),
    ),
    (
        "1.2.840.10008.5.1.4.1.2.3.2",
        Service::Move(Model::PatientStudyOnly),
    ),
    (
        "1.2.840.10008.5.1.4.1.2.3.3",
        Service::Get(Model::PatientStudyOnly),
    ),
];

/// What is known of a SOP class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// A service of this door.
    Offered(Service),
    /// The standard has it, this door does not offer it.
    NotOffered,
    /// The standard does not have it: a private one, or one that is newer than this program.
    Unknown,
}

impl Service {
    /// What is known of the SOP class with this UID.
    pub(crate) fn of(sop_class_uid: &str) -> Known {
        if let Some((_, service)) = SERVICES.iter().find(|(uid, _)| *uid == sop_class_uid) {
            return Known::Offered(*service);
        }
        match sop_class::lookup(sop_class_uid) {
            Some(class) if class.is_storage() => Known::Offered(Self::Storage),
            Some(_) => Known::NotOffered,
            None => Known::Unknown,
        }
    }

    /// The service of an accepted presentation context: what is unknown was accepted as storage.
    pub(crate) fn of_accepted(abstract_syntax: &str) -> Self {
        match Self::of(abstract_syntax) {
            Known::Offered(service) => service,
            Known::NotOffered | Known::Unknown => Self::Storage,
        }
    }

    /// Whether a peer may ask for an operation in this service. All but N-EVENT-REPORT are asked
    /// of an SCP.
    pub(crate) fn has(self, operation: Operation) -> bool {
        match self {
            Self::Verification => operation == Operation::CEcho,
            Self::Storage => operation == Operation::CStore,
            Self::Find(_) => operation == Operation::CFind,
            Self::Move(_) => operation == Operation::CMove,
            Self::Get(_) => operation == Operation::CGet,
            Self::StorageCommitment => {
                matches!(operation, Operation::NAction | Operation::NEventReport)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sop_classes_are_told_apart() {
        for (uid, known) in [
            ("1.2.840.10008.1.1", Known::Offered(Service::Verification)),
            (
                "1.2.840.10008.5.1.4.1.1.2",
                Known::Offered(Service::Storage),
            ),
            (
                "1.2.840.10008.5.1.4.1.1.3",
                Known::Offered(Service::Storage),
            ),
            (
                "1.2.840.10008.5.1.4.1.2.2.1",
                Known::Offered(Service::Find(Model::StudyRoot)),
            ),
            (
                "1.2.840.10008.1.20.1",
                Known::Offered(Service::StorageCommitment),
            ),
            // Modality Worklist, Basic Grayscale Print.
            ("1.2.840.10008.5.1.4.31", Known::NotOffered),
            ("1.2.840.10008.5.1.1.9", Known::NotOffered),
            ("1.2.840.113619.4.30", Known::Unknown),
        ] {
            assert_eq!(Service::of(uid), known, "{uid}");
        }
    }

    #[test]
    fn the_table_has_the_names_that_the_standard_gives() {
        for (uid, service) in SERVICES {
            let keyword = sop_class::lookup(uid)
                .map(|class| class.keyword)
                .unwrap_or_default();
            let part = match service {
                Service::Verification => "Verification",
                Service::Storage => "Storage",
                Service::Find(_) => "Find",
                Service::Move(_) => "Move",
                Service::Get(_) => "Get",
                Service::StorageCommitment => "StorageCommitmentPushModel",
            };
            assert!(keyword.contains(part), "{uid}: {keyword}");
        }
    }
}
