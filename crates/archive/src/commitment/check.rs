//! Whether instances can be committed: the same rules for everyone who asks.

use super::FailureReason;
use super::transaction::Parents;
use crate::Archive;
use crate::error::Result;
use crate::retrieve::{InstanceRef, Selection};
use gantry_core::access::Right;
use gantry_core::principal::Principal;
use std::collections::HashMap;

/// The instances of one request, looked up together.
pub(super) struct Check<'a> {
    archive: &'a Archive,
    stored: HashMap<String, InstanceRef>,
    /// Those whose bytes were read, and whether they are what was stored: however often an
    /// instance is named, it is read once.
    is_whole: HashMap<String, bool>,
}

impl<'a> Check<'a> {
    pub(super) async fn begin(
        archive: &'a Archive,
        principal: &Principal,
        sop_instance_uids: impl Iterator<Item = &str>,
    ) -> Result<Self> {
        let mut instances: Vec<String> = sop_instance_uids.map(str::to_owned).collect();
        instances.sort_unstable();
        instances.dedup();
        let selection = Selection {
            instances,
            ..Selection::default()
        };
        let stored = archive.select(principal, Right::Store, &selection).await?;
        Ok(Self {
            archive,
            stored: stored
                .into_iter()
                .map(|row| (row.sop_instance_uid.to_string(), row))
                .collect(),
            is_whole: HashMap::new(),
        })
    }

    /// Why an instance cannot be committed; nothing when it can. Its bytes are read and compared
    /// with the digest they had when they came.
    pub(super) async fn reason_against(
        &mut self,
        sop_class_uid: &str,
        sop_instance_uid: &str,
        parents: Option<&Parents>,
    ) -> Option<FailureReason> {
        let stored = self.stored.get(sop_instance_uid);
        let Some(stored) = stored.filter(|stored| is_there(stored, parents)).cloned() else {
            return Some(FailureReason::NoSuchObjectInstance);
        };
        if *stored.sop_class_uid != *sop_class_uid {
            return Some(FailureReason::ClassInstanceConflict);
        }
        let is_whole = match self.is_whole.get(sop_instance_uid) {
            Some(is_whole) => *is_whole,
            None => {
                let is_whole = self.read(&stored).await;
                self.is_whole.insert(sop_instance_uid.to_owned(), is_whole);
                is_whole
            }
        };
        (!is_whole).then_some(FailureReason::ProcessingFailure)
    }

    async fn read(&self, stored: &InstanceRef) -> bool {
        match self.archive.verify_bytes(stored).await {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(
                    sop_instance.uid = &*stored.sop_instance_uid,
                    "a stored object cannot be committed: {}",
                    error.chain()
                );
                false
            }
        }
    }
}

/// Whether an instance is where it was said to be.
fn is_there(stored: &InstanceRef, parents: Option<&Parents>) -> bool {
    parents.is_none_or(|parents| {
        *stored.study_instance_uid == *parents.study_instance_uid
            && *stored.series_instance_uid == *parents.series_instance_uid
    })
}
