//! Deleting, with a window to restore; and freeing the space for good after it.

use crate::Archive;
use crate::access::Action;
use crate::error::{Error, Result};
use crate::ledger_entry::{LedgerEntry, Provenance};
use crate::statistics::now_micros;
use gantry_blob::{Ledger, NewRecord, Position, RecordKind};
use gantry_core::failure::Kind;
use gantry_core::principal::Principal;
use gantry_index::locate::Selection;
use std::sync::Arc;

/// Instances purged in one step.
const PURGE_STEP: u32 = 1000;
/// Microseconds in an hour.
const HOUR_MICROS: i64 = 3600 * 1_000_000;

impl Archive {
    /// Deletes what is selected: it is no longer found, and can be restored until the window for
    /// that has passed. Returns the number of instances.
    ///
    /// # Errors
    /// [`Kind::Forbidden`]; [`Kind::Malformed`] for a selection of everything; [`Kind::NotFound`]
    /// when nothing was there.
    pub async fn delete(&self, principal: &Principal, selection: &Selection) -> Result<u64> {
        self.authorize(principal, Action::Remove)?;
        require_some(selection)?;
        let by = Provenance::of(principal, now_micros());
        let at = by.at;
        let selection = selection.clone();
        let entry = LedgerEntry::Deleted { selection: (&selection).into(), by };
        let removed = self
            .committer()
            .change(move |writer, ledger| {
                let position = append(ledger, &entry)?;
                Ok(writer.delete(&selection, at, Some(position))?)
            })
            .await?;
        found(removed.instances)
    }

    /// Restores what is selected of what was deleted. Returns the number of instances.
    ///
    /// # Errors
    /// As [`Self::delete`].
    pub async fn restore(&self, principal: &Principal, selection: &Selection) -> Result<u64> {
        self.authorize(principal, Action::Remove)?;
        require_some(selection)?;
        let by = Provenance::of(principal, now_micros());
        let selection = selection.clone();
        let entry = LedgerEntry::Restored { selection: (&selection).into(), by };
        let restored = self
            .committer()
            .change(move |writer, ledger| {
                let position = append(ledger, &entry)?;
                Ok(writer.restore(&selection, Some(position))?)
            })
            .await?;
        found(restored.instances)
    }

    /// Frees the space of what was deleted longer ago than the window to restore. Returns the
    /// number of instances.
    ///
    /// # Errors
    /// What storage or index refuse.
    pub async fn purge_due(&self) -> Result<u64> {
        let window = i64::from(self.config().restore_window_hours) * HOUR_MICROS;
        let before = now_micros() - window;
        let mut all = 0;
        loop {
            let purged = self
                .committer()
                .change(move |writer, ledger| {
                    let due = writer.due_for_purge(before, PURGE_STEP)?;
                    if due.is_empty() {
                        return Ok(0);
                    }
                    let (instances, locations): (Vec<_>, Vec<_>) = due.into_iter().unzip();
                    let entry = LedgerEntry::Purged {
                        instances: instances.clone(),
                        locations: locations.iter().map(ToString::to_string).collect(),
                        at: now_micros(),
                    };
                    let position = append(ledger, &entry)?;
                    writer.forget_all(&instances, Some(position))?;
                    for location in &locations {
                        ledger.purge(location)?;
                    }
                    Ok(locations.len() as u64)
                })
                .await?;
            all += purged;
            if purged == 0 {
                return Ok(all);
            }
        }
    }

    /// Purges from time to time, until the archive is gone.
    pub(crate) fn spawn_purging(self: &Arc<Self>) {
        let archive = Arc::downgrade(self);
        tokio::spawn(async move {
            let mut interval = tokio::time::interval(std::time::Duration::from_secs(600));
            loop {
                interval.tick().await;
                let Some(archive) = archive.upgrade() else { return };
                match archive.purge_due().await {
                    Ok(0) => {}
                    Ok(instances) => tracing::info!(instances, "deleted instances were purged"),
                    Err(error) if error.kind() == Kind::OutOfResources => return,
                    Err(error) => tracing::error!("purging failed: {}", error.chain()),
                }
            }
        });
    }
}

/// Everything at once is never meant.
fn require_some(selection: &Selection) -> Result<()> {
    if selection.is_empty() {
        return Err(Error::new(Kind::Malformed, "nothing is selected"));
    }
    Ok(())
}

fn found(instances: u64) -> Result<u64> {
    if instances == 0 {
        return Err(Error::new(Kind::NotFound, "there is nothing of that kind"));
    }
    Ok(instances)
}

/// Makes an event durable in the ledger; returns the position behind it.
fn append(ledger: &Ledger, entry: &LedgerEntry) -> Result<Position> {
    let record = NewRecord { kind: RecordKind::Event, meta: entry.to_bytes(), blob: None };
    let appended = ledger.append(&[record])?;
    appended
        .last()
        .map(|appended| appended.end)
        .ok_or_else(|| Error::new(Kind::Internal, "the ledger did not answer"))
}
