//! Deleting, with a window to restore; and freeing the space for good after it.

use crate::Archive;
use crate::error::{Error, Result};
use crate::ledger_entry::{LedgerEntry, Provenance};
use crate::statistics::now_micros;
use gantry_blob::{Ledger, NewRecord, Position, RecordKind};
use gantry_core::access::Right;
use gantry_core::failure::Kind;
use gantry_core::principal::Principal;
use gantry_index::{Change, Index, Outcome, Permit, Span, Writer};
use std::sync::Arc;
use std::time::Duration;

pub use gantry_index::Target;
pub use gantry_index::remove::{Deletion, Removed};

/// Blobs whose space is given back in one step.
const COLLECT_STEP: usize = 1000;
/// Deletions that are listed, at most.
const DELETIONS_MAX: usize = 10_000;
/// Microseconds in an hour.
const HOUR_MICROS: i64 = 3600 * 1_000_000;
/// How often it is looked for what is due.
const LOOK: Duration = Duration::from_secs(600);

impl Archive {
    /// Deletes the target: it is no longer found, and can be restored until the window for that
    /// has passed. Returns the deletion's number, by which it is restored, and its extent.
    ///
    /// # Errors
    /// [`Kind::Forbidden`]; [`Kind::NotFound`] when nothing was there.
    pub async fn delete(&self, principal: &Principal, target: Target) -> Result<(i64, Removed)> {
        self.require_target(principal, &target).await?;
        let kind = match target {
            Target::Patient { .. } | Target::Study { .. } => gantry_audit::Kind::StudyDeleted,
            Target::Series { .. } | Target::Instance { .. } => gantry_audit::Kind::InstancesDeleted,
        };
        self.note_removal(principal, kind, &target).await?;
        let by = Provenance::of(principal, now_micros());
        let deletion = by.at;
        let entry = LedgerEntry::Deleted {
            deletion,
            target: (&target).into(),
            by: by.clone(),
        };
        let change = Change::Delete {
            deletion,
            target,
            by: by.who().to_owned(),
            at: by.at,
        };
        let removed = self.remove(entry, change).await?;
        tracing::info!(
            deletion,
            by = by.who(),
            instances = removed.instances,
            "deleted"
        );
        Ok((deletion, removed))
    }

    /// Undoes a deletion. What was stored again in between stays as it is.
    ///
    /// # Errors
    /// As [`Self::delete`].
    pub async fn restore(&self, principal: &Principal, deletion: i64) -> Result<Removed> {
        // Who lacks the right is not told what there is.
        self.require(principal, Right::Delete)?;
        let nothing = || Error::new(Kind::NotFound, "there is nothing of that kind");
        let found = self
            .index_blocking(move |index| index.deletion(deletion))
            .await?
            .ok_or_else(nothing)?;
        self.require_target(principal, &found.target).await?;
        self.note_removal(principal, gantry_audit::Kind::Restored, &found.target)
            .await?;
        let by = Provenance::of(principal, now_micros());
        let change = Change::Restore {
            deletion,
            at: by.at,
        };
        let who = by.who().to_owned();
        let removed = self
            .remove(LedgerEntry::Restored { deletion, by }, change)
            .await?;
        tracing::info!(
            deletion,
            by = who,
            instances = removed.instances,
            "restored"
        );
        Ok(removed)
    }

    /// Deletions that can be undone, the newest first.
    ///
    /// # Errors
    /// [`Kind::Forbidden`], or what the index refuses.
    pub async fn deletions(&self, principal: &Principal) -> Result<Vec<Deletion>> {
        let permit = self.permit(principal, Right::Delete)?;
        self.index_blocking(move |index| {
            let mut deletions = index.open_deletions(None, DELETIONS_MAX)?;
            let mut failure = None;
            deletions.retain(|deletion| {
                let is_admitted = is_admitted(index, &deletion.target, &permit);
                is_admitted.unwrap_or_else(|error| {
                    failure = Some(error);
                    false
                })
            });
            failure.map_or(Ok(deletions), Err)
        })
        .await
    }

    /// Asks whether all of the target may be deleted.
    ///
    /// # Errors
    /// [`Kind::Forbidden`] without the right, [`Kind::NotFound`] when the target is not among the
    /// studies over which it is held.
    async fn require_target(&self, principal: &Principal, target: &Target) -> Result<()> {
        let permit = self.permit(principal, Right::Delete)?;
        let target = target.clone();
        let is_admitted = self
            .index_blocking(move |index| is_admitted(index, &target, &permit))
            .await?;
        if is_admitted {
            return Ok(());
        }
        Err(Error::new(Kind::NotFound, "there is nothing of that kind"))
    }

    /// Makes deletions final whose window to restore has passed, and gives their space back.
    /// Returns the number of instances.
    ///
    /// # Errors
    /// What storage or index refuse.
    pub async fn purge_due(&self) -> Result<u64> {
        let window = i64::from(self.config().restore_window_hours) * HOUR_MICROS;
        let now = now_micros();
        let mut instances = 0;
        let due = self
            .index_blocking(move |index| index.open_deletions(Some(now - window), DELETIONS_MAX))
            .await?;
        for deletion in due {
            let entry = LedgerEntry::Purged {
                deletion: deletion.id,
                at: now,
            };
            let change = Change::Purge {
                deletion: deletion.id,
                at: now,
            };
            instances += self.record_event(entry, change).await?.instances;
        }
        self.collect().await?;
        Ok(instances)
    }

    /// Gives back the space of bytes that nothing refers to.
    async fn collect(&self) -> Result<()> {
        loop {
            let garbage = self
                .index_blocking(|index| index.garbage(COLLECT_STEP))
                .await?;
            if garbage.is_empty() {
                return Ok(());
            }
            self.committer()
                .change(move |writer, ledger| {
                    let locations = garbage.iter().map(ToString::to_string).collect();
                    let entry = LedgerEntry::Collected { locations };
                    let span = append(ledger, &entry)?;
                    for location in &garbage {
                        ledger.purge(location)?;
                    }
                    writer.apply(&[Change::Collected(garbage)], Some(span))?;
                    Ok(())
                })
                .await?;
        }
    }

    async fn remove(&self, entry: LedgerEntry, change: Change<'static>) -> Result<Removed> {
        let removed = self.record_event(entry, change).await?;
        if removed.instances == 0 {
            return Err(Error::new(Kind::NotFound, "there is nothing of that kind"));
        }
        Ok(removed)
    }

    /// Makes an event durable and applies it.
    pub(crate) async fn record_event(
        &self,
        entry: LedgerEntry,
        change: Change<'static>,
    ) -> Result<Removed> {
        self.committer()
            .change(move |writer: &mut Writer, ledger: &Ledger| {
                let span = append(ledger, &entry)?;
                let outcomes = writer.apply(&[change], Some(span))?;
                Ok(match outcomes.into_iter().next() {
                    Some(Outcome::Removed(removed)) => removed,
                    _ => Removed::default(),
                })
            })
            .await
    }

    /// Purges from time to time, until the archive is closed or gone.
    pub(crate) fn spawn_purging(self: &Arc<Self>) {
        let archive = Arc::downgrade(self);
        self.tasks().spawn(async move {
            let mut interval = tokio::time::interval(LOOK);
            loop {
                interval.tick().await;
                let Some(archive) = archive.upgrade() else {
                    return;
                };
                archive.buffers().release_kept();
                match archive.purge_due().await {
                    Ok(0) => {}
                    Ok(instances) => tracing::info!(instances, "deleted instances were purged"),
                    Err(error) => tracing::warn!("purging waits: {}", error.chain()),
                }
                if let Err(error) = archive.forget_commitments(now_micros()).await {
                    tracing::warn!("old commitments are not forgotten: {}", error.chain());
                }
            }
        });
    }
}

fn is_admitted(
    index: &Index,
    target: &Target,
    permit: &Permit,
) -> gantry_index::error::Result<bool> {
    match target {
        Target::Patient { patient_id, issuer } => {
            index.is_patient_admitted(patient_id, issuer.as_deref(), permit)
        }
        Target::Study { study } | Target::Series { study, .. } | Target::Instance { study, .. } => {
            index.is_admitted(study, permit)
        }
    }
}

/// Makes an event durable in the ledger; returns the stretch it takes there.
fn append(ledger: &Ledger, entry: &LedgerEntry) -> Result<Span> {
    let from: Position = ledger.end();
    let record = NewRecord {
        kind: RecordKind::Event,
        meta: entry.to_bytes(),
        blob: None,
    };
    let appended = ledger.append(&[record])?;
    let to = appended
        .last()
        .map(|appended| appended.end)
        .ok_or_else(|| Error::new(Kind::Internal, "the ledger did not answer"))?;
    Ok(Span { from, to })
}
