//! The thread that writes: everything that arrives while one flush runs joins the next.

use crate::chain::{Hash, Hasher, Head};
use crate::error::{AuditError, Result};
use crate::event::{Columns, Event, now};
use crate::head_file::HeadFile;
use crate::ticket::Ticket;
use crate::windows::Windows;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Most jobs of one transaction.
const GROUP_MAX: usize = 4096;
/// How often the head file and the collectors' positions are looked after.
const TICK: Duration = Duration::from_millis(500);
/// How often windows are looked after, at most.
const SWEEP: Duration = Duration::from_secs(5);

/// What the thread is asked for.
#[derive(Debug)]
pub(crate) enum Job {
    /// Append these.
    Append {
        events: Vec<Event>,
        ticket: Arc<Ticket>,
    },
    /// Write down how far a collector has got; with the next transaction.
    Position { name: String, position: u64 },
    /// Write what was counted, and stop.
    Close,
}

/// What has been done, for tests and statistics.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub events: AtomicU64,
    pub flushes: AtomicU64,
}

pub(crate) struct Appender {
    pub connection: Connection,
    pub hasher: Hasher,
    pub genesis: Hash,
    pub head: HeadFile,
    pub windows: Arc<Windows>,
    pub counters: Arc<Counters>,
    pub positions: BTreeMap<String, u64>,
    /// Told of each flush: the number of the newest event.
    pub newest: watch::Sender<u64>,
    pub swept: Instant,
}

/// The end of the chain.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Last {
    pub head: Head,
    pub recorded: i64,
}

impl Appender {
    /// Runs until asked to stop, or until nobody is left to ask.
    pub fn run(mut self, jobs: &Receiver<Job>) {
        let mut ticked = Instant::now();
        loop {
            let mut is_last = false;
            let mut group = Vec::new();
            match jobs.recv_timeout(TICK) {
                Ok(job) => {
                    is_last |= self.take(job, &mut group);
                    while !is_last && group.len() < GROUP_MAX {
                        let Ok(job) = jobs.try_recv() else { break };
                        is_last |= self.take(job, &mut group);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => is_last = true,
            }
            self.write_group(group);
            if is_last || ticked.elapsed() >= TICK {
                self.tick(is_last);
                ticked = Instant::now();
            }
            if is_last {
                break;
            }
        }
        // What came after the word to stop is told that it was too late.
        while let Ok(job) = jobs.try_recv() {
            if let Job::Append { ticket, .. } = job {
                ticket.resolve(Err(AuditError::Closed));
            }
        }
    }

    /// Sorts a job; whether it is the last.
    fn take(&mut self, job: Job, group: &mut Vec<(Vec<Event>, Arc<Ticket>)>) -> bool {
        match job {
            Job::Append { events, ticket } => group.push((events, ticket)),
            Job::Position { name, position } => {
                self.positions.insert(name, position);
            }
            Job::Close => return true,
        }
        false
    }

    fn write_group(&mut self, group: Vec<(Vec<Event>, Arc<Ticket>)>) {
        if group.is_empty() {
            return;
        }
        let events = group.iter().flat_map(|(events, _)| events);
        match self.append(events) {
            Ok(mut sequence) => {
                for (events, ticket) in group {
                    sequence += events.len() as u64;
                    ticket.resolve(Ok(sequence));
                }
            }
            Err(error) => {
                tracing::error!(%error, "events could not be recorded");
                for (events, ticket) in group {
                    self.windows.keep(events);
                    ticket.resolve(Err(error.clone()));
                }
            }
        }
    }

    fn tick(&mut self, is_last: bool) {
        let is_due = is_last || self.swept.elapsed() >= SWEEP.min(self.windows.window() / 2);
        let mut summaries = Vec::new();
        if is_due {
            summaries = self.windows.close(is_last);
            self.swept = Instant::now();
        }
        if (!summaries.is_empty() || !self.positions.is_empty())
            && let Err(error) = self.append(summaries.iter())
        {
            tracing::error!(%error, "what was counted could not be recorded");
            self.windows.keep(summaries);
        }
        if let Err(error) = self.head.flush() {
            tracing::error!(%error, "the end of the audit trail could not be noted");
        }
    }

    /// Appends in one transaction; gives the number of the event before the first of them.
    fn append<'a>(&mut self, events: impl Iterator<Item = &'a Event>) -> Result<u64> {
        // Another process may have appended in the meantime: its end counts.
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let before = last(&transaction, self.genesis)?;
        let mut end = before;
        for event in events {
            end = insert(&transaction, &self.hasher, end, event)?;
        }
        for (name, position) in &self.positions {
            transaction
                .prepare_cached(
                    "INSERT INTO collector (name, position) VALUES (?1, ?2)
                     ON CONFLICT (name) DO UPDATE SET position = max(position, excluded.position)",
                )?
                .execute(params![name, signed(*position)])?;
        }
        transaction.commit()?;
        self.positions.clear();
        let appended = end.head.sequence - before.head.sequence;
        if appended > 0 {
            // Before anybody is told that the event is safe.
            self.head.write(end.head)?;
            self.counters.events.fetch_add(appended, Ordering::Relaxed);
            self.counters.flushes.fetch_add(1, Ordering::Relaxed);
            self.newest.send_replace(end.head.sequence);
        }
        Ok(before.head.sequence)
    }
}

/// The end of the chain in the database.
pub(crate) fn last(connection: &Connection, genesis: Hash) -> Result<Last> {
    let found = connection
        .prepare_cached(
            "SELECT sequence, hash, recorded FROM event ORDER BY sequence DESC LIMIT 1",
        )?
        .query_row([], |row| {
            let sequence: i64 = row.get(0)?;
            let head = Head {
                sequence: sequence.unsigned_abs(),
                hash: Hash(row.get(1)?),
            };
            let recorded = row.get(2)?;
            Ok(Last { head, recorded })
        })
        .optional()?;
    Ok(found.unwrap_or(Last {
        head: Head {
            sequence: 0,
            hash: genesis,
        },
        recorded: 0,
    }))
}

fn insert(
    transaction: &Transaction<'_>,
    hasher: &Hasher,
    last: Last,
    event: &Event,
) -> Result<Last> {
    let sequence = last.head.sequence + 1;
    let unreadable = |source| AuditError::Unreadable {
        sequence,
        source: Arc::new(source),
    };
    let text = serde_json::to_string(event).map_err(unreadable)?;
    let columns = Columns::of(&text).map_err(unreadable)?;
    // Never back in time, so that a range of times is a range of numbers.
    let recorded = now().max(last.recorded);
    let hash = hasher.event(&last.head.hash, recorded, &text);
    transaction
        .prepare_cached(
            "INSERT INTO event (sequence, recorded, kind, outcome, person, calling_ae, address,
                                patient_id, issuer, event, previous, hash)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )?
        .execute(params![
            signed(sequence),
            recorded,
            columns.kind,
            columns.outcome,
            columns.person(),
            columns.calling_ae(),
            columns.address(),
            columns.patient_id(),
            columns.issuer(),
            text,
            last.head.hash.0,
            hash.0,
        ])?;
    let mut study =
        transaction.prepare_cached("INSERT INTO event_study (study, sequence) VALUES (?1, ?2)")?;
    for uid in columns.studies() {
        study.execute(params![uid, signed(sequence)])?;
    }
    Ok(Last {
        head: Head { sequence, hash },
        recorded,
    })
}

/// SQLite's integers have a sign; numbers of events do not come near to it.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
