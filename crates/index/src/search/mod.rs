//! Answering queries.
//!
//! A query is answered level by level: studies (or patients) that can match are found through an
//! index or by reading along, checked first against the columns at hand and then, with the
//! matcher itself, against the stored header; then their series, then their instances. What the
//! indexes and columns say only ever leaves out what cannot match, so that the matcher alone
//! decides.

mod answer;
mod candidates;
mod check;
mod probe;
mod run;

use crate::error::Result;
use crate::instance::InstanceId;
use crate::permit::Permit;
use crate::query::{Cursor, Query};
use gantry_dicom::data_set::DataSet;
use rusqlite::Connection;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Ends searches from another thread.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Asks the searches that hold this (or a clone) to end.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether they were asked to.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// One match.
#[derive(Debug, Clone, PartialEq)]
pub struct Match {
    /// The attributes that were wanted and have values, in UTF-8, with the unique keys of the
    /// level and of those above, and with those of the computed attributes that were wanted.
    pub attributes: DataSet,
    /// The Study Instance UID, below the patient level.
    pub study_instance_uid: Option<Arc<str>>,
    /// The Series Instance UID, below the study level.
    pub series_instance_uid: Option<Arc<str>>,
    /// The SOP Instance UID, at the instance level.
    pub sop_instance_uid: Option<Arc<str>>,
    /// The instance itself, or the representative.
    pub instance: InstanceId,
    /// When the study's first instance was received, in microseconds since 1970; 0 at the
    /// patient level.
    pub received_at: i64,
    /// Its place in the order of matches.
    pub cursor: Cursor,
}

/// How a search ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchEnd {
    /// There are no more matches.
    Complete,
    /// The limit was reached and there are more matches.
    Limit,
    /// The visitor wanted no more.
    Stopped,
}

/// Visits the matches of a query among the studies of `permit`, on a snapshot of the index.
pub(crate) fn search(
    connection: &Connection,
    query: &Query,
    permit: &Permit,
    cancel: &Cancel,
    visit: &mut dyn FnMut(Match) -> ControlFlow<()>,
) -> Result<SearchEnd> {
    let snapshot = connection.unchecked_transaction()?;
    let filter = permit.filter(&snapshot)?;
    let end = run::Run::new(&snapshot, query, &filter, cancel, visit).search();
    // Nothing was written.
    snapshot.finish()?;
    end
}
