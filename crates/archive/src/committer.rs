//! The one thread that changes what is stored: it takes everything that is waiting, makes it
//! durable with one flush, brings the index up to date in one transaction, and answers each.

use crate::catch_up;
use crate::config::DifferentDuplicate;
use crate::error::{Error, Result};
use crate::ledger_entry::{LedgerEntry, Provenance};
use crate::statistics::now_micros;
use crate::store::prepare::Prepared;
use crate::store::{StoreOutcome, Stored};
use bytes::Bytes;
use gantry_blob::failpoint;
use gantry_blob::{Appended, BlobContent, Ledger, NewBlob, NewRecord, Position, RecordKind};
use gantry_core::failure::Kind;
use gantry_index::change::Attempt;
use gantry_index::{Change, Existing, NewInstance, Outcome, Span, Writer};
use std::collections::HashSet;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Instances that wait for the committer, at most.
const WAITING_MAX: usize = 4096;
/// Instances that share a flush, at most.
const BATCH_MAX: usize = 512;
/// How long those that are there wait for those that came together with them the last time: less
/// than a flush takes.
const COMPANION_WAIT: Duration = Duration::from_micros(150);

/// The sending side.
#[derive(Debug)]
pub(crate) struct Committer {
    sender: Mutex<Option<SyncSender<Work>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

type Answer<T> = oneshot::Sender<Result<T>>;
type Errand = Box<dyn FnOnce(&mut Writer, &Ledger) + Send>;

enum Work {
    Store(Box<Prepared>, Answer<Stored>),
    Errand(Errand),
}

struct Waiting {
    prepared: Prepared,
    answer: Answer<Stored>,
}

impl Committer {
    /// Starts the thread.
    pub(crate) fn start(
        ledger: Arc<Ledger>,
        writer: Writer,
        different_duplicate: DifferentDuplicate,
    ) -> std::io::Result<Self> {
        let (sender, receiver) = sync_channel(WAITING_MAX);
        let mut thread = CommitterThread {
            ledger,
            writer,
            different_duplicate,
            is_index_behind: false,
            batch_before: 0,
        };
        let handle = std::thread::Builder::new()
            .name("committer".into())
            .spawn(move || thread.run(&receiver))?;
        Ok(Self {
            sender: Mutex::new(Some(sender)),
            thread: Mutex::new(Some(handle)),
        })
    }

    /// Stores an instance; returns when it is durable and can be found.
    pub(crate) async fn submit(&self, prepared: Prepared) -> Result<Stored> {
        let (answer, answered) = oneshot::channel();
        self.send(Work::Store(Box::new(prepared), answer))?;
        answered.await.map_err(|_| stopped())?
    }

    /// Runs `change` between batches, with the index's writer and the ledger.
    pub(crate) async fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Writer, &Ledger) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        self.send(Work::Errand(Box::new(move |writer, ledger| {
            // The one who asked may have gone; the change stands all the same.
            let _ = answer.send(change(writer, ledger));
        })))?;
        answered.await.map_err(|_| stopped())?
    }

    /// Ends the thread after what is waiting is done. Blocks.
    pub(crate) fn stop(&self) {
        drop(
            self.sender
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the committer thread has panicked");
        }
    }

    fn send(&self, work: Work) -> Result<()> {
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        match sender.as_ref().map(|sender| sender.try_send(work)) {
            Some(Ok(())) => Ok(()),
            Some(Err(TrySendError::Full(_))) => Err(Error::new(
                Kind::OutOfResources,
                "too much is waiting to be stored",
            )),
            Some(Err(TrySendError::Disconnected(_))) | None => Err(stopped()),
        }
    }
}

fn stopped() -> Error {
    Error::new(Kind::OutOfResources, "the archive is stopping")
}

struct CommitterThread {
    ledger: Arc<Ledger>,
    writer: Writer,
    different_duplicate: DifferentDuplicate,
    /// Whether the ledger has records that the index could not take.
    is_index_behind: bool,
    /// How many instances the last batch had.
    batch_before: usize,
}

impl CommitterThread {
    fn run(&mut self, receiver: &Receiver<Work>) {
        while let Ok(work) = receiver.recv() {
            self.take(work, receiver);
        }
    }

    /// After the index has refused records that the ledger took, they come first.
    fn catch_up(&mut self) -> Result<()> {
        if self.is_index_behind {
            catch_up::apply_ledger(&self.ledger, &mut self.writer)?;
            self.is_index_behind = false;
        }
        Ok(())
    }

    fn run_errand(&mut self, errand: Errand) {
        if let Err(error) = self.catch_up() {
            tracing::error!("the index stays behind: {}", error.chain());
        }
        errand(&mut self.writer, &self.ledger);
        self.is_index_behind = self.writer.applied_position() != self.ledger.end();
    }

    /// Does `work` together with all that is waiting behind it.
    fn take(&mut self, work: Work, receiver: &Receiver<Work>) {
        let mut batch = Vec::new();
        let mut batch_bytes = 0;
        let mut patience = None;
        let mut next = Some(work);
        while let Some(work) = next {
            match work {
                Work::Store(prepared, answer) => {
                    batch_bytes += prepared.inline_length();
                    batch.push(Waiting {
                        prepared: *prepared,
                        answer,
                    });
                    let is_full = batch.len() >= BATCH_MAX
                        || batch_bytes >= self.ledger.batch_bytes_max() / 4;
                    if is_full {
                        break;
                    }
                }
                Work::Errand(errand) => {
                    self.store(std::mem::take(&mut batch));
                    batch_bytes = 0;
                    self.run_errand(errand);
                }
            }
            next = receiver
                .try_recv()
                .ok()
                .or_else(|| self.companion(receiver, batch.len(), &mut patience));
        }
        self.batch_before = batch.len();
        self.store(batch);
    }

    /// Waits a moment for what is likely to come: senders that were answered together send their
    /// next instances together, and a flush for all of them costs as much as one for the first.
    fn companion(
        &self,
        receiver: &Receiver<Work>,
        waiting: usize,
        patience: &mut Option<Instant>,
    ) -> Option<Work> {
        if waiting == 0 || waiting >= self.batch_before {
            return None;
        }
        let until = *patience.get_or_insert_with(|| Instant::now() + COMPANION_WAIT);
        let left = until.saturating_duration_since(Instant::now());
        receiver.recv_timeout(left).ok()
    }

    fn store(&mut self, batch: Vec<Waiting>) {
        let mut uids = HashSet::with_capacity(batch.len());
        if let Err(error) = self.catch_up() {
            tracing::error!("nothing can be stored: {}", error.chain());
            return fail_all(batch, &error);
        }
        // Two of one UID in a batch: the second waits for the first, and is then a duplicate.
        let (first, later): (Vec<_>, Vec<_>) = batch
            .into_iter()
            .partition(|waiting| uids.insert(waiting.prepared.sop_instance_uid.clone()));
        let looked_up: Vec<&str> = first
            .iter()
            .map(|waiting| waiting.prepared.sop_instance_uid.as_str())
            .collect();
        match self.writer.find_existing(&looked_up) {
            Ok(found) => self.store_first(first, found),
            Err(error) => fail_all(first, &error.into()),
        }
        if !later.is_empty() {
            self.store(later);
        }
    }

    /// Stores those of which nothing was found, and answers the others.
    fn store_first(&mut self, first: Vec<Waiting>, found: Vec<Option<Existing>>) {
        let mut fresh = Vec::with_capacity(first.len());
        for (waiting, existing) in first.into_iter().zip(found) {
            match existing {
                Some(existing) => self.answer_duplicate(waiting, &existing),
                None => fresh.push(waiting),
            }
        }
        if !fresh.is_empty() {
            self.store_fresh(fresh);
        }
    }

    fn store_fresh(&mut self, fresh: Vec<Waiting>) {
        let at = now_micros();
        let (mut waiting, records): (Vec<_>, Vec<_>) = fresh
            .into_iter()
            .map(|waiting| waiting.into_record(at))
            .unzip();
        let from = self.ledger.end();
        let appended = match self.ledger.append(&records) {
            Ok(appended) => appended,
            Err(error) => {
                let error = Error::from(error);
                tracing::error!(instances = records.len(), "cannot store: {}", error.chain());
                discard(records);
                for waiting in waiting {
                    waiting.fail(Error::new(error.kind(), error.message()));
                }
                return;
            }
        };
        // From here on the instances are durable, whatever happens to the index.
        if let Err(error) = failpoint::pass("committer.index") {
            tracing::error!("failpoint: {error}");
        }
        match index(&mut self.writer, &waiting, &records, &appended, from) {
            Ok(outcomes) => {
                for (waiting, outcome) in waiting.drain(..).zip(outcomes) {
                    if let Err(error) = failpoint::pass("committer.answer") {
                        tracing::error!("failpoint: {error}");
                    }
                    waiting.answer(outcome);
                }
            }
            Err(error) => {
                tracing::error!(instances = records.len(), "cannot index: {}", error.chain());
                // The ledger has them: they are indexed as soon as the index works again.
                // Nothing was promised to their senders, who may send them again.
                self.is_index_behind = true;
                for waiting in waiting {
                    waiting.fail(Error::new(error.kind(), error.message()));
                }
            }
        }
    }

    /// An instance of this SOP Instance UID is there.
    fn answer_duplicate(&mut self, waiting: Waiting, existing: &Existing) {
        let prepared = &waiting.prepared;
        let is_elsewhere = existing.study_instance_uid != prepared.study_instance_uid.as_str()
            || existing.series_instance_uid != prepared.series_instance_uid.as_str();
        let is_identical = existing.digest == prepared.digest;
        if is_identical && !is_elsewhere {
            return waiting.succeed(StoreOutcome::Identical);
        }
        let provenance = Provenance::of(&prepared.principal, now_micros());
        tracing::warn!(
            sop_instance.uid = prepared.sop_instance_uid.as_str(),
            peer = provenance.who(),
            is_elsewhere,
            "other bytes under a SOP Instance UID in use: the first are kept"
        );
        let attempt = Change::Attempt(Attempt {
            at: provenance.at,
            kind: if is_elsewhere {
                "elsewhere"
            } else {
                "different"
            },
            sop_instance_uid: prepared.sop_instance_uid.as_str(),
            digest: Some(prepared.digest),
            source: provenance.as_source(),
            detail: "",
        });
        if let Err(error) = self.writer.apply(&[attempt], None) {
            return waiting.fail(error.into());
        }
        if is_elsewhere {
            waiting.fail(Error::new(
                Kind::Conflict,
                "the SOP Instance UID is in use in another series or study",
            ));
        } else if self.different_duplicate == DifferentDuplicate::Refuse {
            waiting.fail(Error::new(
                Kind::Conflict,
                "other bytes are stored under this SOP Instance UID",
            ));
        } else {
            waiting.succeed(StoreOutcome::DifferentKeptFirst);
        }
    }
}

/// An instance whose bytes went into a ledger record.
struct WaitingForIndex {
    stored: Stored,
    answer: Answer<Stored>,
    facts: IndexFacts,
}

/// What the index needs of it.
struct IndexFacts {
    transfer_syntax_uid: String,
    attributes: gantry_dicom::data_set::DataSet,
    header: gantry_dicom::header::Header,
    frame_index: Option<Bytes>,
    departure: gantry_dicom::scan::Departure,
    provenance: Provenance,
}

impl Waiting {
    fn fail(self, error: Error) {
        self.prepared.discard();
        // The sender may have gone; there is nobody else to tell.
        let _ = self.answer.send(Err(error));
    }

    fn succeed(self, outcome: StoreOutcome) {
        let stored = self.prepared.stored(outcome);
        self.prepared.discard();
        let _ = self.answer.send(Ok(stored));
    }

    fn into_record(self, at: i64) -> (WaitingForIndex, NewRecord) {
        let Self { prepared, answer } = self;
        let stored = prepared.stored(StoreOutcome::New);
        let provenance = Provenance::of(&prepared.principal, at);
        let record = NewRecord {
            kind: RecordKind::Instance,
            meta: LedgerEntry::Stored(provenance.clone()).to_bytes(),
            blob: Some(NewBlob {
                content: prepared.content,
                data_set_offset: prepared.data_set_offset,
                digest: prepared.digest,
            }),
        };
        let facts = IndexFacts {
            transfer_syntax_uid: prepared.transfer_syntax_uid,
            attributes: prepared.attributes,
            header: prepared.header,
            frame_index: prepared.frame_index,
            departure: prepared.departure,
            provenance,
        };
        (
            WaitingForIndex {
                stored,
                answer,
                facts,
            },
            record,
        )
    }
}

fn fail_all(batch: Vec<Waiting>, error: &Error) {
    for waiting in batch {
        waiting.fail(Error::new(error.kind(), error.message()));
    }
}

impl WaitingForIndex {
    fn answer(self, outcome: Outcome) {
        let mut stored = self.stored;
        let answer = match outcome {
            Outcome::Stored(found) => {
                if found.has_other_patient {
                    stored
                        .warnings
                        .push("the study belongs to another Patient ID".into());
                }
                Ok(stored)
            }
            _ => Err(Error::new(
                Kind::Conflict,
                "the SOP Instance UID has just come into use",
            )),
        };
        // The sender may have gone; the instance is stored all the same.
        let _ = self.answer.send(answer);
    }

    fn fail(self, error: Error) {
        let _ = self.answer.send(Err(error));
    }
}

/// Removes large files that no record will name.
fn discard(records: Vec<NewRecord>) {
    for record in records {
        if let Some(NewBlob {
            content: BlobContent::Large(large),
            ..
        }) = record.blob
        {
            large.discard();
        }
    }
}

fn index(
    writer: &mut Writer,
    waiting: &[WaitingForIndex],
    records: &[NewRecord],
    appended: &[Appended],
    from: Position,
) -> Result<Vec<Outcome>> {
    let mut changes = Vec::with_capacity(waiting.len());
    let mut to = from;
    for ((waiting, record), appended) in waiting.iter().zip(records).zip(appended) {
        let (Some(blob), Some(location)) = (&record.blob, appended.location) else {
            return Err(Error::new(Kind::Internal, "the ledger has lost a blob"));
        };
        let WaitingForIndex { stored, facts, .. } = waiting;
        to = appended.end;
        changes.push(Change::Store(NewInstance {
            study_instance_uid: stored.study_instance_uid.as_str(),
            series_instance_uid: stored.series_instance_uid.as_str(),
            sop_instance_uid: stored.sop_instance_uid.as_str(),
            sop_class_uid: stored.sop_class_uid.as_str(),
            transfer_syntax_uid: &facts.transfer_syntax_uid,
            attributes: &facts.attributes,
            header: &facts.header,
            frame_index: facts.frame_index.as_deref(),
            location,
            data_set_offset: blob.data_set_offset,
            departure: facts.departure,
            digest: blob.digest,
            received_at: facts.provenance.at,
            source: facts.provenance.as_source(),
        }));
    }
    Ok(writer.apply(&changes, Some(Span { from, to }))?)
}
