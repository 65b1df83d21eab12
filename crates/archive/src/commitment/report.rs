//! Storage commitment from the side of the one who asks: the request's information, and the
//! result that a peer sends (PS3.4 Tables J.3-1 and J.3-2).

use crate::Archive;
use crate::error::{Error, Result};
use gantry_core::access::Right;
use gantry_core::failure::Kind;
use gantry_core::principal::Principal;
use gantry_dicom::data_set::DataSet;
use gantry_dicom::tags;

/// The result of a request, as the peer tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommitmentReport {
    /// Which request it is about.
    pub transaction_uid: String,
    /// What the peer promises to keep: SOP Class UID and SOP Instance UID.
    pub committed: Vec<(String, String)>,
    /// What it does not.
    pub failed: Vec<NotCommitted>,
}

/// An instance that a peer does not promise to keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotCommitted {
    /// SOP Class UID.
    pub sop_class_uid: String,
    /// SOP Instance UID.
    pub sop_instance_uid: String,
    /// Failure Reason (0008,1197), if the peer names one.
    pub reason: Option<u16>,
}

impl NotCommitted {
    /// The reason in words (PS3.3 C.14.1.1).
    pub fn reason_text(&self) -> String {
        let words = match self.reason {
            Some(0x0110) => "processing failure",
            Some(0x0112) => "no such object instance",
            Some(0x0119) => "class-instance conflict",
            Some(0x0122) => "referenced SOP class not supported",
            Some(0x0131) => "duplicate transaction UID",
            Some(0x0213) => "resource limitation",
            Some(_) => "unknown reason",
            None => return "no reason given".into(),
        };
        format!("{words} ({:04X}H)", self.reason.unwrap_or_default())
    }
}

/// The information of an N-ACTION that asks for the commitment of `references`: SOP Class UID and
/// SOP Instance UID of each.
pub fn request_information(transaction_uid: &str, references: &[(String, String)]) -> DataSet {
    let items = references
        .iter()
        .map(|(sop_class_uid, sop_instance_uid)| reference_item(sop_class_uid, sop_instance_uid));
    let mut information = DataSet::new();
    information.put_uid(tags::TRANSACTION_UID, transaction_uid);
    information.put_sequence(tags::REFERENCED_SOP_SEQUENCE, items.collect());
    information
}

/// The item that names an instance (PS3.3 Table 10-11).
pub fn reference_item(sop_class_uid: &str, sop_instance_uid: &str) -> DataSet {
    let mut item = DataSet::new();
    item.put_uid(tags::REFERENCED_SOP_CLASS_UID, sop_class_uid);
    item.put_uid(tags::REFERENCED_SOP_INSTANCE_UID, sop_instance_uid);
    item
}

/// SOP Class UID and SOP Instance UID that an item names.
///
/// # Errors
/// [`Kind::Malformed`] when one is missing or no UID.
pub fn read_reference(item: &DataSet) -> Result<(String, String)> {
    let uid = |tag| item.uid(tag).map(|uid| uid.to_string());
    uid(tags::REFERENCED_SOP_CLASS_UID)
        .zip(uid(tags::REFERENCED_SOP_INSTANCE_UID))
        .ok_or_else(|| Error::new(Kind::Malformed, "an item lacks a UID"))
}

impl CommitmentReport {
    /// Reads the information of an N-EVENT-REPORT.
    ///
    /// # Errors
    /// [`Kind::Malformed`] when the transaction or an instance is not named.
    pub fn read(information: &DataSet) -> Result<Self> {
        let transaction_uid = information
            .uid(tags::TRANSACTION_UID)
            .ok_or_else(|| Error::new(Kind::Malformed, "Transaction UID is missing or no UID"))?;
        let committed = information.items(tags::REFERENCED_SOP_SEQUENCE);
        let failed = information.items(tags::FAILED_SOP_SEQUENCE);
        Ok(Self {
            transaction_uid: transaction_uid.to_string(),
            committed: committed
                .iter()
                .map(read_reference)
                .collect::<Result<_>>()?,
            failed: failed
                .iter()
                .map(|item| {
                    let (sop_class_uid, sop_instance_uid) = read_reference(item)?;
                    let reason = item.integer(tags::FAILURE_REASON);
                    Ok(NotCommitted {
                        sop_class_uid,
                        sop_instance_uid,
                        reason: reason.and_then(|reason| u16::try_from(reason).ok()),
                    })
                })
                .collect::<Result<_>>()?,
        })
    }
}

impl Archive {
    /// Takes note of a result that a peer has sent to the server: requests are made by commands
    /// in this server's name, and the log is where their results are found.
    ///
    /// # Errors
    /// [`Kind::Forbidden`].
    pub fn note_commitment(&self, principal: &Principal, report: &CommitmentReport) -> Result<()> {
        self.require(principal, Right::Store)?;
        let peer = principal.calling_ae.as_ref();
        tracing::info!(
            transaction.uid = report.transaction_uid,
            peer.ae = peer.map(tracing::field::display),
            committed = report.committed.len(),
            failed = report.failed.len(),
            "storage commitment result received"
        );
        for failure in &report.failed {
            tracing::warn!(
                transaction.uid = report.transaction_uid,
                sop_instance.uid = failure.sop_instance_uid,
                "a peer does not commit an instance: {}",
                failure.reason_text()
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn references(count: u32) -> Vec<(String, String)> {
        (0..count)
            .map(|number| ("1.2".to_owned(), format!("1.3.{number}")))
            .collect()
    }

    #[test]
    fn what_is_asked_for_is_in_the_information() {
        let information = request_information("1.2.3", &references(2));
        let items = information.items(tags::REFERENCED_SOP_SEQUENCE);
        let uids: Vec<_> = items
            .iter()
            .map(|item| item.ascii(tags::REFERENCED_SOP_INSTANCE_UID).unwrap())
            .collect();
        assert_eq!(uids, ["1.3.0", "1.3.1"]);
        // A result has the same list under the same names.
        let report = CommitmentReport::read(&information).unwrap();
        assert_eq!(report.committed, references(2));
        assert!(report.failed.is_empty());
    }

    #[test]
    fn failures_are_read_with_their_reasons() {
        let mut item = DataSet::new();
        item.put_uid(tags::REFERENCED_SOP_CLASS_UID, "1.2");
        item.put_uid(tags::REFERENCED_SOP_INSTANCE_UID, "1.3");
        let mut information = DataSet::new();
        information.put_uid(tags::TRANSACTION_UID, "1.2.3");
        information.put_sequence(tags::FAILED_SOP_SEQUENCE, vec![item.clone()]);
        let report = CommitmentReport::read(&information).unwrap();
        assert_eq!(report.failed[0].reason_text(), "no reason given");
        item.put_u16(tags::FAILURE_REASON, 0x0112);
        information.put_sequence(tags::FAILED_SOP_SEQUENCE, vec![item]);
        let report = CommitmentReport::read(&information).unwrap();
        assert_eq!(
            report.failed[0].reason_text(),
            "no such object instance (0112H)"
        );
        information.remove(tags::TRANSACTION_UID);
        assert!(CommitmentReport::read(&information).is_err());
    }
}
