//! Accesses in bulk: the first of somebody to a study is an event of its own, durable before the
//! access goes on; further ones within a window are counted here and told in one event.
//!
//! A repeated access costs a look-up under one of many locks, and no allocation.

use crate::error::Result;
use crate::event::{Event, Study, Summary, now};
use crate::kind::Kind;
use crate::ticket::Ticket;
use gantry_core::access::PatientIdentity;
use gantry_core::principal::Principal;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry as TableEntry;
use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const SHARDS: usize = 64;
/// Windows open in one shard; beyond it the oldest is closed early.
const SHARD_MAX: usize = 2048;
/// SOP classes counted in one window; the instances of others are counted without theirs.
const CLASSES_MAX: usize = 64;
/// How long after the end of an association what was counted is told: one that follows soon after
/// adds to it. Modalities that open an association for each image would otherwise get an event for
/// each image.
const TELL_AFTER: Duration = Duration::from_secs(3);
/// Summaries that wait for the log to be writable again.
const BACKLOG_MAX: usize = 1 << 20;

/// An access to a study.
#[derive(Debug, Clone, Copy)]
pub struct Access<'a> {
    /// What was done: [`Kind::Viewed`], [`Kind::Sent`], [`Kind::Received`] …
    pub kind: Kind,
    /// Study Instance UID.
    pub study: &'a str,
    /// The patient, needed for the first access only.
    pub patient: Option<&'a PatientIdentity>,
    /// How many instances it was.
    pub instances: u64,
    /// Their SOP Class UID.
    pub sop_class: Option<&'a str>,
    /// The AE or address to which they went, when that is not the one who asked (C-MOVE).
    pub other: Option<&'a str>,
}

impl<'a> Access<'a> {
    /// An access to one instance of a study.
    pub const fn new(kind: Kind, study: &'a str) -> Self {
        Self {
            kind,
            study,
            patient: None,
            instances: 1,
            sop_class: None,
            other: None,
        }
    }

    /// Of this patient.
    #[must_use]
    pub const fn patient(self, patient: Option<&'a PatientIdentity>) -> Self {
        Self { patient, ..self }
    }

    /// To so many instances.
    #[must_use]
    pub const fn instances(self, instances: u64) -> Self {
        Self { instances, ..self }
    }

    /// Of this SOP class.
    #[must_use]
    pub const fn sop_class(self, sop_class: &'a str) -> Self {
        Self {
            sop_class: Some(sop_class),
            ..self
        }
    }

    /// On the way to this AE.
    #[must_use]
    pub const fn other(self, other: &'a str) -> Self {
        Self {
            other: Some(other),
            ..self
        }
    }
}

/// All open windows.
pub(crate) struct Windows {
    shards: Box<[Mutex<HashTable<Entry>>]>,
    random: RandomState,
    window: Duration,
    backlog: Mutex<Vec<Event>>,
}

impl std::fmt::Debug for Windows {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Windows")
    }
}

struct Entry {
    hash: u64,
    principal: Principal,
    kind: Kind,
    study: Box<str>,
    other: Option<Box<str>>,
    patient: Option<PatientIdentity>,
    opened: Instant,
    /// The first access, as long as it is not known to be durable.
    first: Option<Arc<Ticket>>,
    counted: Counted,
    /// From when on what was counted is told before the window closes.
    tell_at: Option<Instant>,
}

#[derive(Default)]
struct Counted {
    accesses: u64,
    instances: u64,
    classes: Vec<(Box<str>, u64)>,
    from: i64,
    until: i64,
}

/// What an access comes to.
#[derive(Debug)]
pub(crate) enum Touched {
    /// It was counted.
    Counted,
    /// It was counted, and the first one is not yet durable.
    Waiting(Arc<Ticket>),
    /// These have to be written, and the ticket resolved.
    First(Arc<Ticket>, Vec<Event>),
}

impl Windows {
    pub fn new(window: Duration) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            random: RandomState::new(),
            window,
            backlog: Mutex::default(),
        }
    }

    pub fn window(&self) -> Duration {
        self.window
    }

    /// Counts the access if its window is open and its first access durable.
    pub fn count(&self, principal: &Principal, access: &Access<'_>) -> bool {
        let (shard, hash) = self.place(principal, access);
        let mut shard = self.lock(shard);
        let Some(entry) = shard.find_mut(hash, |entry| entry.is(principal, access)) else {
            return false;
        };
        if entry.opened.elapsed() >= self.window || !matches!(entry.settle(), Ok(None)) {
            return false;
        }
        entry.counted.add(access);
        true
    }

    /// Counts the access, or says what has to be written for it.
    pub fn touch(&self, principal: &Principal, access: &Access<'_>) -> Touched {
        let (shard, hash) = self.place(principal, access);
        let mut shard = self.lock(shard);
        let mut events = Vec::new();
        if let Some(entry) = shard.find_mut(hash, |entry| entry.is(principal, access)) {
            if entry.opened.elapsed() < self.window {
                match entry.settle() {
                    Ok(None) => {
                        entry.counted.add(access);
                        return Touched::Counted;
                    }
                    Ok(Some(ticket)) => {
                        entry.counted.add(access);
                        return Touched::Waiting(ticket);
                    }
                    // The first one failed: this one is the first again.
                    Err(_) => entry.counted = Counted::default(),
                }
            }
            events.extend(entry.summary());
        }
        let first = Arc::new(Ticket::default());
        events.push(first_event(principal, access));
        let new = Entry {
            hash,
            principal: principal.clone(),
            kind: access.kind,
            study: access.study.into(),
            other: access.other.map(Into::into),
            patient: access.patient.cloned(),
            opened: Instant::now(),
            first: Some(Arc::clone(&first)),
            counted: Counted::default(),
            tell_at: None,
        };
        if shard.len() >= SHARD_MAX {
            events.splice(..0, close_oldest(&mut shard));
        }
        match shard.entry(hash, |it| it.is(principal, access), |it| it.hash) {
            TableEntry::Occupied(mut entry) => *entry.get_mut() = new,
            TableEntry::Vacant(entry) => {
                entry.insert(new);
            }
        }
        Touched::First(first, events)
    }

    /// What was counted for `principal` so far is told soon. The windows stay open.
    pub fn end_of(&self, principal: &Principal) {
        let shard = self.shard_of(principal);
        let mut shard = self.lock(shard);
        let tell_at = Instant::now() + TELL_AFTER;
        for entry in shard.iter_mut() {
            let has_news = entry.counted.accesses > 0 && entry.tell_at.is_none();
            if has_news && is_same(&entry.principal, principal) {
                entry.tell_at = Some(tell_at);
            }
        }
    }

    /// Closes the windows whose time is over, or all of them; and gives what is to be told.
    pub fn close(&self, all: bool) -> Vec<Event> {
        let mut events = std::mem::take(&mut *self.backlog());
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.retain(|entry| {
                // What waits for its first event is looked after by those who wait.
                let is_open = !all && entry.opened.elapsed() < self.window;
                if is_open {
                    if entry.tell_at.is_some_and(|at| at <= Instant::now())
                        && matches!(entry.settle(), Ok(None))
                    {
                        events.extend(entry.summary());
                    }
                    return true;
                }
                if entry.settle().is_ok() {
                    events.extend(entry.summary());
                }
                false
            });
        }
        events
    }

    /// Keeps summaries that could not be written.
    pub fn keep(&self, mut events: Vec<Event>) {
        events.retain(|event| event.summary.is_some());
        let mut backlog = self.backlog();
        let room = BACKLOG_MAX.saturating_sub(backlog.len());
        if events.len() > room {
            tracing::error!(
                lost = events.len() - room,
                "summaries of accesses were lost"
            );
            events.truncate(room);
        }
        backlog.append(&mut events);
    }

    fn backlog(&self) -> MutexGuard<'_, Vec<Event>> {
        self.backlog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Windows of one caller are in one shard, so that they are found when the caller leaves.
    fn place(&self, principal: &Principal, access: &Access<'_>) -> (usize, u64) {
        let mut hasher = self.random.build_hasher();
        hash_principal(principal, &mut hasher);
        let shard = (hasher.finish() >> 32) as usize % SHARDS;
        access.kind.hash(&mut hasher);
        access.study.hash(&mut hasher);
        access.other.hash(&mut hasher);
        (shard, hasher.finish())
    }

    fn shard_of(&self, principal: &Principal) -> usize {
        let mut hasher = self.random.build_hasher();
        hash_principal(principal, &mut hasher);
        (hasher.finish() >> 32) as usize % SHARDS
    }

    fn lock(&self, shard: usize) -> MutexGuard<'_, HashTable<Entry>> {
        // The number is below the length by construction.
        let shard = &self.shards[shard % SHARDS];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn is(&self, principal: &Principal, access: &Access<'_>) -> bool {
        self.kind == access.kind
            && *self.study == *access.study
            && self.other.as_deref() == access.other
            && is_same(&self.principal, principal)
    }

    /// Whether the first access is durable (`None`), awaited, or failed.
    fn settle(&mut self) -> Result<Option<Arc<Ticket>>> {
        let Some(first) = &self.first else {
            return Ok(None);
        };
        match first.outcome() {
            None => Ok(Some(Arc::clone(first))),
            Some(Ok(_)) => {
                self.first = None;
                Ok(None)
            }
            Some(Err(error)) => Err(error),
        }
    }

    /// The event that tells what was counted, if anything was.
    fn summary(&mut self) -> Option<Event> {
        self.tell_at = None;
        let counted = std::mem::take(&mut self.counted);
        if counted.accesses == 0 {
            return None;
        }
        let mut event = event(
            &self.principal,
            self.kind,
            self.other.as_deref(),
            self.patient.as_ref(),
        );
        event.studies.push(Study {
            uid: self.study.to_string(),
            instances: counted.instances,
            sop_classes: counted
                .classes
                .into_iter()
                .map(|(class, count)| (class.into_string(), count))
                .collect(),
            ..Study::default()
        });
        event.summary = Some(Summary {
            accesses: counted.accesses,
            from: counted.from,
            until: counted.until,
        });
        Some(event)
    }
}

impl Counted {
    fn add(&mut self, access: &Access<'_>) {
        self.until = now();
        if self.accesses == 0 {
            self.from = self.until;
        }
        self.accesses += 1;
        self.instances += access.instances;
        let Some(class) = access.sop_class else {
            return;
        };
        let known = self.classes.iter_mut().find(|(it, _)| **it == *class);
        if let Some((_, count)) = known {
            *count += access.instances;
        } else if self.classes.len() < CLASSES_MAX {
            self.classes.push((class.into(), access.instances));
        }
    }
}

/// Makes room; gives the event of what was counted there.
fn close_oldest(shard: &mut HashTable<Entry>) -> Option<Event> {
    let (hash, opened) = shard
        .iter()
        .map(|entry| (entry.hash, entry.opened))
        .min_by_key(|(_, opened)| *opened)?;
    let found = shard.find_entry(hash, |entry| entry.opened == opened);
    let (mut entry, _) = found.ok()?.remove();
    entry.summary()
}

fn first_event(principal: &Principal, access: &Access<'_>) -> Event {
    let mut event = event(principal, access.kind, access.other, access.patient);
    let classes = access.sop_class.map(|it| (it.to_owned(), access.instances));
    event.studies.push(Study {
        uid: access.study.to_owned(),
        instances: access.instances,
        sop_classes: classes.into_iter().collect::<BTreeMap<_, _>>(),
        ..Study::default()
    });
    event
}

fn event(
    principal: &Principal,
    kind: Kind,
    other: Option<&str>,
    patient: Option<&PatientIdentity>,
) -> Event {
    let mut event = Event::new(kind, principal);
    event.other = other.map(str::to_owned);
    if let Some(patient) = patient {
        event = event.patient(patient);
    }
    event
}

fn hash_principal(principal: &Principal, hasher: &mut impl Hasher) {
    principal.door.hash(hasher);
    principal.user.hash(hasher);
    principal.credential.hash(hasher);
    principal.calling_ae.hash(hasher);
    principal.address.hash(hasher);
}

/// Whether two requests are of the same caller, as far as the trail tells callers apart.
fn is_same(one: &Principal, other: &Principal) -> bool {
    one.door == other.door
        && one.address == other.address
        && one.user == other.user
        && one.credential == other.credential
        && one.calling_ae == other.calling_ae
        && one.called_ae == other.called_ae
}
