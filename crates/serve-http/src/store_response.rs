//! The Store Instances Response Module (PS3.18 table I.2-1) and the status that goes with it.

use axum::http::StatusCode;
use gantry_core::failure::Kind;
use gantry_dicom::data_set::DataSet;
use gantry_dicom::tags;

/// What became of the instances of one request, in the order they came.
#[derive(Debug, Default)]
pub struct StoreReport {
    stored: Vec<StoredInstance>,
    failed: Vec<FailedInstance>,
}

/// An instance that is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredInstance {
    /// SOP Class UID.
    pub sop_class_uid: String,
    /// SOP Instance UID.
    pub sop_instance_uid: String,
    /// Study Instance UID.
    pub study_instance_uid: String,
    /// Where it can be retrieved.
    pub url: String,
}

/// An instance that is not stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedInstance {
    /// SOP Class UID, when it could be read.
    pub sop_class_uid: Option<String>,
    /// SOP Instance UID, when it could be read.
    pub sop_instance_uid: Option<String>,
    /// Failure Reason (0008,1197).
    pub reason: u16,
    /// What is wrong, in words; nothing of the data set's values.
    pub text: String,
}

/// Failure reasons (PS3.18 I.2.2, PS3.7 annex C, PS3.4 table B.2-1).
pub mod reason {
    /// Processing failure.
    pub const PROCESSING_FAILURE: u16 = 0x0110;
    /// Duplicate SOP Instance.
    pub const DUPLICATE: u16 = 0x0111;
    /// SOP Class not supported.
    pub const NOT_SUPPORTED: u16 = 0x0122;
    /// Not authorised.
    pub const NOT_AUTHORIZED: u16 = 0x0124;
    /// Out of resources.
    pub const OUT_OF_RESOURCES: u16 = 0xA700;
    /// The data set does not match the SOP Class.
    pub const MISMATCH: u16 = 0xA900;
    /// Cannot understand.
    pub const CANNOT_UNDERSTAND: u16 = 0xC000;
    /// Cannot understand: the instance is of another study than the one it was sent to.
    pub const OTHER_STUDY: u16 = 0xC409;
}

/// The failure reason of a kind of failure.
pub fn reason_of(kind: Kind) -> u16 {
    match kind {
        Kind::Malformed => reason::CANNOT_UNDERSTAND,
        Kind::MismatchedSopClass => reason::MISMATCH,
        Kind::Unauthenticated | Kind::Forbidden => reason::NOT_AUTHORIZED,
        Kind::Conflict => reason::DUPLICATE,
        Kind::Unsupported => reason::NOT_SUPPORTED,
        Kind::OutOfResources => reason::OUT_OF_RESOURCES,
        Kind::NotFound | Kind::Gone | Kind::Cancelled | Kind::Internal => {
            reason::PROCESSING_FAILURE
        }
    }
}

impl StoreReport {
    /// Notes an instance that is stored.
    pub fn stored(&mut self, instance: StoredInstance) {
        self.stored.push(instance);
    }

    /// Notes an instance that is not.
    pub fn failed(&mut self, instance: FailedInstance) {
        self.failed.push(instance);
    }

    /// Whether nothing was noted.
    pub fn is_empty(&self) -> bool {
        self.stored.is_empty() && self.failed.is_empty()
    }

    /// What is wrong with the instances that are not stored, in words.
    pub fn failure_texts(&self) -> impl Iterator<Item = &str> {
        let texts = self.failed.iter().map(|failed| failed.text.as_str());
        texts.filter(|text| !text.is_empty())
    }

    /// Whether any instance is stored.
    pub fn any_stored(&self) -> bool {
        !self.stored.is_empty()
    }

    /// 200 when all are stored, 202 when some are, 409 when none is (PS3.18 10.5.3.1); 507 when
    /// that is for want of room.
    pub fn status(&self) -> StatusCode {
        match (self.stored.is_empty(), self.failed.as_slice()) {
            (_, []) => StatusCode::OK,
            (false, _) => StatusCode::ACCEPTED,
            (true, failed)
                if failed
                    .iter()
                    .all(|one| one.reason == reason::OUT_OF_RESOURCES) =>
            {
                StatusCode::INSUFFICIENT_STORAGE
            }
            (true, _) => StatusCode::CONFLICT,
        }
    }

    /// The response module.
    pub fn to_data_set(&self, dicom_web_url: &str) -> DataSet {
        let mut response = DataSet::new();
        response.put_text(
            tags::RETRIEVE_URL,
            gantry_dicom::Vr::UR,
            &self.study_url(dicom_web_url),
        );
        let mut failed = Vec::new();
        let mut other = Vec::new();
        for instance in &self.failed {
            let mut item = DataSet::new();
            item.put_u16(tags::FAILURE_REASON, instance.reason);
            let Some(sop_instance_uid) = &instance.sop_instance_uid else {
                other.push(item);
                continue;
            };
            let class = instance.sop_class_uid.as_deref().unwrap_or_default();
            item.put_uid(tags::REFERENCED_SOP_CLASS_UID, class);
            item.put_uid(tags::REFERENCED_SOP_INSTANCE_UID, sop_instance_uid);
            failed.push(item);
        }
        let referenced = self.stored.iter().map(|instance| {
            let mut item = DataSet::new();
            item.put_uid(tags::REFERENCED_SOP_CLASS_UID, &instance.sop_class_uid);
            item.put_uid(
                tags::REFERENCED_SOP_INSTANCE_UID,
                &instance.sop_instance_uid,
            );
            item.put_text(tags::RETRIEVE_URL, gantry_dicom::Vr::UR, &instance.url);
            item
        });
        let sequences = [
            (tags::FAILED_SOP_SEQUENCE, failed),
            (tags::REFERENCED_SOP_SEQUENCE, referenced.collect()),
            (tags::OTHER_FAILURES_SEQUENCE, other),
        ];
        for (tag, items) in sequences {
            if !items.is_empty() {
                response.put_sequence(tag, items);
            }
        }
        response
    }

    /// Retrieve URL of the study, when there is exactly one; empty otherwise (type 2).
    fn study_url(&self, dicom_web_url: &str) -> String {
        let mut studies = self
            .stored
            .iter()
            .map(|instance| &instance.study_instance_uid);
        match studies.next() {
            Some(first) if studies.all(|other| other == first) => {
                format!("{dicom_web_url}/studies/{first}")
            }
            _ => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(study: &str) -> StoredInstance {
        StoredInstance {
            sop_class_uid: "1.2.3".into(),
            sop_instance_uid: "1.5".into(),
            study_instance_uid: study.into(),
            url: "http://pacs/instances/1.5".into(),
        }
    }

    fn failed(uid: Option<&str>, reason: u16) -> FailedInstance {
        FailedInstance {
            sop_class_uid: None,
            sop_instance_uid: uid.map(str::to_owned),
            reason,
            text: String::new(),
        }
    }

    #[test]
    fn the_status_says_how_much_is_stored() {
        let status = |count: usize, failures: &[u16]| {
            let mut report = StoreReport::default();
            (0..count).for_each(|_| report.stored(stored("1.2")));
            failures
                .iter()
                .for_each(|&reason| report.failed(failed(None, reason)));
            report.status().as_u16()
        };
        assert_eq!(status(2, &[]), 200);
        assert_eq!(status(1, &[0xA900]), 202);
        assert_eq!(status(0, &[0xA900, 0xA700]), 409);
        assert_eq!(status(0, &[0xA700, 0xA700]), 507);
        assert_eq!(status(1, &[0xA700]), 202);
    }

    #[test]
    fn every_instance_is_in_the_sequence_it_belongs_to() {
        let mut report = StoreReport::default();
        report.stored(stored("1.2"));
        report.failed(failed(Some("1.6"), reason::MISMATCH));
        report.failed(failed(None, reason::CANNOT_UNDERSTAND));
        let response = report.to_data_set("http://pacs/dicom-web");
        let url = response.string(tags::RETRIEVE_URL).unwrap();
        assert_eq!(url, "http://pacs/dicom-web/studies/1.2");
        let [item] = response.items(tags::REFERENCED_SOP_SEQUENCE) else {
            panic!()
        };
        assert_eq!(item.ascii(tags::REFERENCED_SOP_INSTANCE_UID), Some("1.5"));
        let [item] = response.items(tags::FAILED_SOP_SEQUENCE) else {
            panic!()
        };
        assert_eq!(item.integer(tags::FAILURE_REASON), Some(0xA900));
        let [item] = response.items(tags::OTHER_FAILURES_SEQUENCE) else {
            panic!()
        };
        assert_eq!(item.integer(tags::FAILURE_REASON), Some(0xC000));
    }

    #[test]
    fn instances_of_several_studies_have_no_common_url() {
        let mut report = StoreReport::default();
        report.stored(stored("1.2"));
        report.stored(stored("1.3"));
        let response = report.to_data_set("http://pacs");
        assert_eq!(response.string(tags::RETRIEVE_URL), None);
        assert!(response.get(tags::RETRIEVE_URL).is_some());
    }

    #[test]
    fn every_kind_has_its_reason() {
        for (kind, reason) in [
            (Kind::Malformed, 0xC000),
            (Kind::MismatchedSopClass, 0xA900),
            (Kind::Unauthenticated, 0x0124),
            (Kind::Forbidden, 0x0124),
            (Kind::NotFound, 0x0110),
            (Kind::Gone, 0x0110),
            (Kind::Conflict, 0x0111),
            (Kind::Unsupported, 0x0122),
            (Kind::OutOfResources, 0xA700),
            (Kind::Cancelled, 0x0110),
            (Kind::Internal, 0x0110),
        ] {
            assert_eq!(reason_of(kind), reason, "{kind:?}");
        }
    }
}
