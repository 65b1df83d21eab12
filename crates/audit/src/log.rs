//! The open audit trail.

use crate::appender::{Appender, Counters, Job, last};
use crate::chain::{Hash, Hasher, Head};
use crate::error::{AuditError, Result};
use crate::event::{Actor, Event, Outcome};
use crate::head_file::{HeadFile, Noted};
use crate::kind::Kind;
use crate::reader::Reader;
use crate::settings::AuditSettings;
use crate::ticket::{Recording, Ticket};
use crate::windows::{Access, Touched, Windows};
use crate::{database, paths};
use gantry_core::principal::Principal;
use gantry_core::secret::SecretKey;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;
use tokio::sync::watch;

/// Jobs that may wait for the writing thread; beyond it what is asked for is refused.
const QUEUE_MAX: usize = 1 << 16;

/// The audit trail, open for appending. Share it by `Arc`.
#[derive(Debug)]
pub struct AuditLog {
    jobs: SyncSender<Job>,
    thread: Mutex<Option<JoinHandle<()>>>,
    windows: Arc<Windows>,
    counters: Arc<Counters>,
    reader: Reader,
    newest: watch::Receiver<u64>,
    settings: AuditSettings,
}

/// What has been written since the trail was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Events.
    pub events: u64,
    /// Flushes that they shared.
    pub flushes: u64,
}

impl AuditLog {
    /// Opens the trail in a data folder, or begins one. `key` keeps the database secret and the
    /// chain from being made by anybody else.
    ///
    /// When the end of the chain is not where it was noted, that is recorded as an event, and the
    /// trail goes on: images must stay reachable, and verification tells.
    ///
    /// # Errors
    /// A key that is not its own, a newer schema, no permission, no space.
    pub fn open(data: &Path, key: Option<SecretKey>, settings: AuditSettings) -> Result<Arc<Self>> {
        let path = paths::database(data);
        let mut connection = database::open_writer(&path, key.as_ref())?;
        let hasher = Hasher::new(key.as_ref());
        let (genesis, was_keyed) = chain(&mut connection, key.is_some(), &path)?;
        let head_path = paths::head(data, &settings);
        let (mut head, mut noted) = HeadFile::open(&head_path, &hasher)?;
        if noted == Noted::Unproven && was_keyed != key.is_some() {
            noted = match was_keyed {
                // Who has no key any more cannot tell.
                true => Noted::Nothing,
                false => HeadFile::read(&head_path, &Hasher::new(None))?,
            };
        }
        let end = last(&connection, genesis)?;
        let damage = match was_keyed && key.is_none() {
            true => None,
            false => damage(&connection, noted, end.head)?,
        };
        if damage.is_none() && end.head.sequence > 0 {
            head.write(end.head)?;
        }
        let windows = Arc::new(Windows::new(settings.window()));
        let counters = Arc::new(Counters::default());
        let (tell, newest) = watch::channel(end.head.sequence);
        let appender = Appender {
            connection,
            hasher,
            genesis,
            head,
            windows: Arc::clone(&windows),
            counters: Arc::clone(&counters),
            positions: BTreeMap::new(),
            newest: tell,
            swept: Instant::now(),
        };
        let (jobs, queue) = sync_channel(QUEUE_MAX);
        let thread = std::thread::Builder::new()
            .name("audit".into())
            .spawn(move || appender.run(&queue))
            .map_err(AuditError::io(&path))?;
        let log = Arc::new(Self {
            jobs,
            thread: Mutex::new(Some(thread)),
            windows,
            counters,
            reader: Reader::new(data, key, &settings),
            newest,
            settings,
        });
        if let Some(damage) = damage {
            tracing::error!("the audit trail is damaged: {damage}");
            log.record(damaged_event(&damage)).wait()?;
        }
        Ok(log)
    }

    /// Appends an event. What it tells of may be done when this is ready: await it, or
    /// [`wait`](Recording::wait) on a thread. It is written even if nobody does.
    pub fn record(&self, event: Event) -> Recording {
        let ticket = Arc::new(Ticket::default());
        self.append(vec![event], ticket)
    }

    /// Notes an access to a study: the first of this caller within the window becomes an event,
    /// which is durable when this is ready; further ones are only counted, which is done at once.
    ///
    /// When it fails, the access must be refused.
    pub fn accessed(&self, principal: &Principal, access: &Access<'_>) -> Recording {
        match self.windows.touch(principal, access) {
            Touched::Counted => Recording::done(),
            Touched::Waiting(ticket) => Recording::waiting(ticket),
            Touched::First(ticket, events) => self.append(events, ticket),
        }
    }

    /// Counts an access whose window is open; otherwise nothing is done and false given, and the
    /// caller finds out what the event has to say and calls [`Self::accessed`].
    pub fn counted(&self, principal: &Principal, access: &Access<'_>) -> bool {
        self.windows.count(principal, access)
    }

    /// An association or session of this caller ended: what was counted is told within seconds,
    /// with what the next one adds until then. Nobody has to wait for it.
    pub fn end_of(&self, principal: &Principal) {
        self.windows.end_of(principal);
    }

    /// For questions about what is recorded.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// The settings it was opened with.
    pub fn settings(&self) -> &AuditSettings {
        &self.settings
    }

    /// Number of the newest event, and when there are newer ones.
    pub fn newest(&self) -> watch::Receiver<u64> {
        self.newest.clone()
    }

    /// What has been written since it was opened.
    pub fn written(&self) -> Written {
        Written {
            events: self.counters.events.load(Ordering::Relaxed),
            flushes: self.counters.flushes.load(Ordering::Relaxed),
        }
    }

    /// Remembers how far a collector was given events. Not flushed by itself: after a crash some
    /// events are sent twice.
    pub(crate) fn set_position(&self, name: &str, position: u64) {
        let name = name.to_owned();
        // A queue that is full loses it: then events are sent twice after a restart.
        let _ = self.jobs.try_send(Job::Position { name, position });
    }

    /// Writes down what was counted and stops. Blocks. Whatever is recorded after it fails.
    pub fn close(&self) {
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread {
            // An error means that the thread is gone already.
            let _ = self.jobs.send(Job::Close);
            if thread.join().is_err() {
                tracing::error!("the audit trail's thread broke down");
            }
        }
    }

    fn append(&self, mut events: Vec<Event>, ticket: Arc<Ticket>) -> Recording {
        events.iter_mut().for_each(Event::bound);
        let job = Job::Append {
            events,
            ticket: Arc::clone(&ticket),
        };
        let (error, job) = match self.jobs.try_send(job) {
            Ok(()) => return Recording::waiting(ticket),
            Err(TrySendError::Full(job)) => (AuditError::Busy, job),
            Err(TrySendError::Disconnected(job)) => (AuditError::Closed, job),
        };
        if let Job::Append { events, .. } = job {
            self.windows.keep(events);
        }
        ticket.resolve(Err(error.clone()));
        Recording::failed(error)
    }
}

impl Drop for AuditLog {
    fn drop(&mut self) {
        self.close();
    }
}

/// The first link of the chain, made when there is none, and whether the chain was under a key
/// until now. From here on it is when `has_key`.
fn chain(connection: &mut Connection, has_key: bool, path: &Path) -> Result<(Hash, bool)> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: Option<[u8; 32]> = transaction
        .query_row("SELECT genesis FROM chain", [], |row| row.get(0))
        .optional()?;
    let genesis = match found {
        Some(genesis) => genesis,
        None => {
            let mut genesis = [0; 32];
            getrandom(&mut genesis, path)?;
            transaction.execute("INSERT INTO chain (id, genesis) VALUES (1, ?1)", [genesis])?;
            genesis
        }
    };
    let last: Option<bool> = transaction
        .query_row(
            "SELECT is_keyed FROM epoch ORDER BY sequence DESC LIMIT 1",
            [],
            |row| row.get(0),
        )
        .optional()?;
    if last != Some(has_key) {
        transaction.execute(
            "INSERT OR REPLACE INTO epoch (sequence, is_keyed)
             VALUES ((SELECT coalesce(max(sequence), 0) + 1 FROM event), ?1)",
            [has_key],
        )?;
    }
    transaction.commit()?;
    Ok((Hash(genesis), last.unwrap_or(has_key)))
}

fn getrandom(bytes: &mut [u8], path: &Path) -> Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let read = rustix::rand::getrandom(&mut *rest, rustix::rand::GetRandomFlags::empty())
            .map_err(|error| AuditError::io(path)(error.into()))?;
        rest = rest.get_mut(read..).unwrap_or_default();
    }
    Ok(())
}

/// What is wrong with the end of the chain.
fn damage(connection: &Connection, noted: Noted, end: Head) -> Result<Option<String>> {
    let noted = match noted {
        Noted::Head(noted) => noted,
        Noted::Unproven => {
            return Ok(Some(
                "the noted end of the chain was not written by this archive".into(),
            ));
        }
        Noted::Nothing if end.sequence > 0 => {
            return Ok(Some("the noted end of the chain is missing".into()));
        }
        Noted::Nothing => return Ok(None),
    };
    if noted.sequence > end.sequence {
        return Ok(Some(format!(
            "event {} was noted as the last ({noted}), the trail ends with {}",
            noted.sequence, end.sequence
        )));
    }
    let found: Option<[u8; 32]> = connection
        .query_row(
            "SELECT hash FROM event WHERE sequence = ?1",
            [crate::appender::signed(noted.sequence)],
            |row| row.get(0),
        )
        .optional()?;
    Ok(match found {
        Some(hash) if Hash(hash) == noted.hash => None,
        _ => Some(format!(
            "event {} is not the one that was noted ({noted})",
            noted.sequence
        )),
    })
}

fn damaged_event(damage: &str) -> Event {
    Event::by(Kind::AuditDamaged, Actor::from(&Principal::system()))
        .outcome(Outcome::SeriousFailure, damage)
        .subject("audit", "audit.sqlite")
}
