//! Looking whether the trail is what was recorded.

use crate::appender::signed;
use crate::chain::{Hash, Head};
use crate::error::Result;
use crate::event::Columns;
use crate::head_file::{HeadFile, Noted};
use crate::kind::Kind;
use crate::reader::Reader;
use rusqlite::{Connection, OptionalExtension, Row};
use std::collections::BTreeSet;
use std::fmt;

/// Rows read at a time: memory stays small, and the log can be checkpointed meanwhile.
const CHUNK: i64 = 2000;
/// Problems that are told; the rest is counted.
const PROBLEMS_MAX: usize = 1000;
/// Look-ups of where a link leads; each reads all of the trail.
const SEARCHES_MAX: usize = 16;

/// What keeps rows from being changed through SQL.
const GUARDS: [&str; 5] = [
    "event_in_sequence",
    "event_no_delete",
    "event_no_update",
    "event_study_no_delete",
    "event_study_no_update",
];

/// Something that is not as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// An event's text, time or hash is another than was recorded.
    Changed {
        /// Its number.
        sequence: u64,
    },
    /// Numbers have no event.
    Missing {
        /// The first.
        from: u64,
        /// The last.
        to: u64,
    },
    /// An event belongs behind another one than the one it stands behind.
    Moved {
        /// Where it stands.
        sequence: u64,
        /// Where the event stands that it belongs behind.
        after: u64,
    },
    /// The event that this one belongs behind is nowhere.
    Unlinked {
        /// Its number.
        sequence: u64,
    },
    /// What an event is found by is not what it says.
    Misindexed {
        /// Its number.
        sequence: u64,
        /// The column.
        column: &'static str,
    },
    /// The last events are not there.
    CutOff {
        /// The last that was noted.
        noted: Head,
        /// The last that is there.
        last: u64,
    },
    /// The event at a noted head is another one.
    Replaced {
        /// The head.
        noted: Head,
    },
    /// Nothing says where the chain ends.
    NoHead,
    /// What says where the chain ends was not written by this archive.
    UnprovenHead,
    /// A trigger that refuses changes is gone.
    Unguarded {
        /// Its name.
        guard: &'static str,
    },
    /// The trail was found damaged when it was opened.
    FoundDamaged {
        /// Number of the event that says so.
        sequence: u64,
        /// What was wrong.
        text: String,
    },
    /// Which chain this is is not said any more.
    NoChain,
    /// The chain was under the key, and then not: somebody without the key may have written what
    /// follows, if encryption was not switched off.
    KeyDropped {
        /// The first event without it.
        sequence: i64,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed { sequence } => write!(formatter, "event {sequence} was changed"),
            Self::Missing { from, to } if from == to => {
                write!(formatter, "event {from} was deleted")
            }
            Self::Missing { from, to } => write!(formatter, "events {from} to {to} were deleted"),
            Self::Moved { sequence, after } => write!(
                formatter,
                "event {sequence} was moved: it belongs behind the one that is now number {after}"
            ),
            Self::Unlinked { sequence } => write!(
                formatter,
                "event {sequence} does not follow the one before it: events before it were \
                 deleted or replaced"
            ),
            Self::Misindexed { sequence, column } => write!(
                formatter,
                "event {sequence} is not found by what it says: its {column} was changed"
            ),
            Self::CutOff { noted, last } => write!(
                formatter,
                "events {} to {} were cut off the end",
                last + 1,
                noted.sequence
            ),
            Self::Replaced { noted } => write!(
                formatter,
                "event {} is not the one whose hash was noted",
                noted.sequence
            ),
            Self::NoHead => formatter.write_str("the file that notes the end of the trail is gone"),
            Self::UnprovenHead => formatter.write_str(
                "the file that notes the end of the trail was not written by this archive",
            ),
            Self::Unguarded { guard } => write!(
                formatter,
                "the trigger {guard}, which refuses changes, was removed"
            ),
            Self::FoundDamaged { sequence, text } => write!(
                formatter,
                "when the trail was opened before event {sequence}, {text}"
            ),
            Self::KeyDropped { sequence } => write!(
                formatter,
                "from event {sequence} on the chain was written without the key"
            ),
            Self::NoChain => formatter.write_str("the beginning of the chain was removed"),
        }
    }
}

/// What verification found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verified {
    /// Events looked at.
    pub events: u64,
    /// The end of the chain, to be noted elsewhere.
    pub head: Option<Head>,
    /// What is wrong, as far as there is room.
    pub problems: Vec<Problem>,
    /// How much is wrong.
    pub problems_total: u64,
    /// Whether the chain is under a key: only then nobody can make another one.
    pub is_keyed: bool,
    /// Events whose hash cannot be checked, because there is no key any more.
    pub unchecked: u64,
}

impl Verified {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.problems_total == 0
    }

    fn tell(&mut self, problem: Problem) {
        self.problems_total += 1;
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(problem);
        }
    }
}

impl Reader {
    /// Looks at every event, in bounded memory, also while events are appended. `noted` are heads
    /// that somebody noted elsewhere. `progress` is told how many events were looked at, and how
    /// many there are. Blocks.
    ///
    /// # Errors
    /// When the trail cannot be read at all; what is wrong with it is no error but the answer.
    pub fn verify(&self, noted: &[Head], progress: &mut dyn FnMut(u64, u64)) -> Result<Verified> {
        let (plain, keyed) = self.hashers();
        self.with(|connection| {
            let mut found = Verified::default();
            for guard in missing_guards(connection)? {
                found.tell(Problem::Unguarded { guard });
            }
            let chain: Option<[u8; 32]> = connection
                .query_row("SELECT genesis FROM chain", [], |row| row.get(0))
                .optional()?;
            let epochs = epochs(connection)?;
            let Some(genesis) = chain.filter(|_| !epochs.is_empty()) else {
                found.tell(Problem::NoChain);
                return Ok(found);
            };
            found.is_keyed = epochs.last().is_some_and(|(_, is_keyed)| *is_keyed);
            for pair in epochs.windows(2) {
                if let [(_, true), (sequence, false)] = pair {
                    let sequence = *sequence;
                    found.tell(Problem::KeyDropped { sequence });
                }
            }
            let mut heads = noted.to_vec();
            // Read before the events: whatever is noted has to be there by then.
            let total = self.total(connection)?;
            match HeadFile::read(self.head_path(), keyed.as_ref().unwrap_or(&plain))? {
                Noted::Head(head) => heads.push(head),
                Noted::Unproven => found.tell(Problem::UnprovenHead),
                Noted::Nothing if total > 0 => found.tell(Problem::NoHead),
                Noted::Nothing => {}
            }
            let mut walk = Walk {
                connection,
                found,
                heads,
                last: Head {
                    sequence: 0,
                    hash: Hash(genesis),
                },
                searches: 0,
            };
            loop {
                let rows = rows_after(connection, walk.last.sequence)?;
                if rows.is_empty() {
                    break;
                }
                for row in &rows {
                    let after = epochs.partition_point(|(from, _)| *from <= row.sequence);
                    let epoch = after.checked_sub(1).and_then(|at| epochs.get(at));
                    let hasher = match epoch {
                        Some((_, true)) => keyed.as_ref(),
                        _ => Some(&plain),
                    };
                    let hash = hasher.map(|it| it.event(&row.previous, row.recorded, &row.event));
                    walk.event(row, hash)?;
                }
                progress(walk.found.events, total.max(walk.found.events));
            }
            Ok(walk.end())
        })
    }

    fn total(&self, connection: &Connection) -> Result<u64> {
        let total: i64 =
            connection.query_row("SELECT coalesce(max(sequence), 0) FROM event", [], |row| {
                row.get(0)
            })?;
        Ok(total.unsigned_abs())
    }
}

/// A row of the trail.
struct Stored {
    sequence: i64,
    recorded: i64,
    kind: String,
    outcome: i64,
    person: String,
    calling_ae: String,
    address: String,
    patient_id: String,
    issuer: String,
    event: String,
    previous: Hash,
    hash: Hash,
    studies: BTreeSet<String>,
}

impl Stored {
    fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            sequence: row.get(0)?,
            recorded: row.get(1)?,
            kind: row.get(2)?,
            outcome: row.get(3)?,
            person: row.get(4)?,
            calling_ae: row.get(5)?,
            address: row.get(6)?,
            patient_id: row.get(7)?,
            issuer: row.get(8)?,
            event: row.get(9)?,
            previous: Hash(row.get(10)?),
            hash: Hash(row.get(11)?),
            studies: BTreeSet::new(),
        })
    }

    /// The column that is not what the text says.
    fn wrong_column(&self) -> Option<&'static str> {
        let Ok(said) = Columns::of(&self.event) else {
            return Some("text");
        };
        let studies = said.studies();
        let is_same_studies = studies.len() == self.studies.len()
            && studies.iter().all(|uid| self.studies.contains(*uid));
        [
            ("kind", said.kind == self.kind),
            ("outcome", said.outcome == self.outcome),
            ("person", said.person() == self.person),
            ("calling AE", said.calling_ae() == self.calling_ae),
            ("address", said.address() == self.address),
            ("patient ID", said.patient_id() == self.patient_id),
            ("issuer", said.issuer() == self.issuer),
            ("studies", is_same_studies),
        ]
        .into_iter()
        .find(|(_, is_same)| !is_same)
        .map(|(column, _)| column)
    }
}

/// From which event on the chain is under the key, or not.
fn epochs(connection: &Connection) -> Result<Vec<(i64, bool)>> {
    let mut statement =
        connection.prepare("SELECT sequence, is_keyed FROM epoch ORDER BY sequence")?;
    let epochs = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    Ok(epochs)
}

fn rows_after(connection: &Connection, after: u64) -> Result<Vec<Stored>> {
    let mut statement = connection.prepare_cached(
        "SELECT sequence, recorded, kind, outcome, person, calling_ae, address, patient_id,
                issuer, event, previous, hash
         FROM event WHERE sequence > ?1 ORDER BY sequence LIMIT ?2",
    )?;
    let mut rows = statement
        .query_map([signed(after), CHUNK], Stored::of)?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let Some(last) = rows.last().map(|row| row.sequence) else {
        return Ok(rows);
    };
    let mut statement = connection.prepare_cached(
        "SELECT sequence, study FROM event_study
         WHERE sequence > ?1 AND sequence <= ?2 ORDER BY sequence",
    )?;
    let mut studies = statement.query([signed(after), last])?;
    while let Some(row) = studies.next()? {
        let sequence: i64 = row.get(0)?;
        let at = rows.partition_point(|row| row.sequence < sequence);
        // Those of a missing event find nothing, and the event is told.
        if let Some(row_of) = rows.get_mut(at).filter(|it| it.sequence == sequence) {
            row_of.studies.insert(row.get(1)?);
        }
    }
    Ok(rows)
}

fn missing_guards(connection: &Connection) -> Result<Vec<&'static str>> {
    let mut statement =
        connection.prepare("SELECT name FROM sqlite_master WHERE type = 'trigger'")?;
    let there = statement
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<BTreeSet<String>>>()?;
    Ok(GUARDS
        .into_iter()
        .filter(|guard| !there.contains(*guard))
        .collect())
}

/// A walk along the chain.
struct Walk<'a> {
    connection: &'a Connection,
    found: Verified,
    heads: Vec<Head>,
    last: Head,
    searches: usize,
}

impl Walk<'_> {
    /// `hash` is what the event's has to be; none when it cannot be known without the key.
    fn event(&mut self, row: &Stored, hash: Option<Hash>) -> Result<()> {
        let sequence = row.sequence.unsigned_abs();
        let expected = self.last.sequence + 1;
        let has_gap = sequence != expected;
        if has_gap {
            self.found.tell(Problem::Missing {
                from: expected,
                to: sequence - 1,
            });
        }
        let is_changed = hash.is_some_and(|hash| hash != row.hash);
        self.found.unchecked += u64::from(hash.is_none());
        if is_changed {
            self.found.tell(Problem::Changed { sequence });
        }
        if row.previous != self.last.hash {
            self.broken_link(row, sequence, has_gap || is_changed)?;
        }
        if !is_changed && let Some(column) = row.wrong_column() {
            self.found.tell(Problem::Misindexed { sequence, column });
        }
        self.damage_told_before(row, sequence);
        self.last = Head {
            sequence,
            hash: row.hash,
        };
        self.found.events += 1;
        for noted in self.heads.extract_if(.., |it| it.sequence == sequence) {
            if noted.hash != row.hash {
                self.found.tell(Problem::Replaced { noted });
            }
        }
        Ok(())
    }

    /// An event names another one than the one that stands before it.
    fn broken_link(&mut self, row: &Stored, sequence: u64, is_told: bool) -> Result<()> {
        let mut after = None;
        if self.searches < SEARCHES_MAX {
            self.searches += 1;
            let found: Option<i64> = self
                .connection
                .query_row(
                    "SELECT sequence FROM event WHERE hash = ?1",
                    [row.previous.0],
                    |row| row.get(0),
                )
                .optional()?;
            after = found.map(i64::unsigned_abs);
        }
        match after {
            Some(after) => self.found.tell(Problem::Moved { sequence, after }),
            None if !is_told => self.found.tell(Problem::Unlinked { sequence }),
            None => {}
        }
        Ok(())
    }

    fn damage_told_before(&mut self, row: &Stored, sequence: u64) {
        if row.kind != Kind::AuditDamaged.as_str() {
            return;
        }
        let event: Option<crate::Event> = serde_json::from_str(&row.event).ok();
        let text = event.and_then(|it| it.text).unwrap_or_default();
        self.found.tell(Problem::FoundDamaged { sequence, text });
    }

    fn end(mut self) -> Verified {
        let last = self.last.sequence;
        self.found.head = (last > 0).then_some(self.last);
        let beyond = self.heads.iter().filter(|it| it.sequence > last);
        if let Some(noted) = beyond.max_by_key(|it| it.sequence) {
            let noted = *noted;
            self.found.tell(Problem::CutOff { noted, last });
        }
        self.found
    }
}
