//! Questions about what is recorded: who saw this study, what did this person do.

use crate::appender::signed;
use crate::chain::{Hash, Hasher};
use crate::error::{AuditError, Result};
use crate::event::Event;
use crate::kind::Kind;
use crate::settings::AuditSettings;
use crate::{database, paths};
use gantry_core::access::PatientIdentity;
use gantry_core::secret::SecretKey;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Connections that are kept when nobody reads.
const IDLE_MAX: usize = 4;
/// Most events of one page.
pub const PAGE_MAX: usize = 10_000;

/// Reads a trail, also while another process appends to it.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    head: PathBuf,
    key: Option<SecretKey>,
    idle: Mutex<Vec<Connection>>,
}

/// An event as it was recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// Its number.
    pub sequence: u64,
    /// When it was recorded, in microseconds since 1970.
    pub recorded: i64,
    /// Its hash, which goes over all before it too.
    pub hash: Hash,
    /// The event.
    pub event: Event,
}

/// Which events are asked for: those that meet every condition given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Recorded at or after this, in microseconds since 1970.
    pub from: Option<i64>,
    /// Recorded before this.
    pub until: Option<i64>,
    /// By this login.
    pub person: Option<String>,
    /// By this AE title.
    pub calling_ae: Option<String>,
    /// From this address.
    pub address: Option<String>,
    /// About this patient; without an issuer: whoever issued the ID.
    pub patient: Option<PatientIdentity>,
    /// About this study.
    pub study: Option<String>,
    /// Of one of these kinds; empty: any.
    pub kinds: Vec<Kind>,
    /// With another outcome than success.
    pub only_failures: bool,
}

/// A page of events, the newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The events.
    pub events: Vec<Recorded>,
    /// Where the next page begins: events before this number; none at the end.
    pub before: Option<u64>,
}

impl Reader {
    /// A reader of the trail in a data folder. Nothing is opened yet.
    pub fn new(data: &Path, key: Option<SecretKey>, settings: &AuditSettings) -> Self {
        Self {
            path: paths::database(data),
            head: paths::head(data, settings),
            key,
            idle: Mutex::default(),
        }
    }

    /// A page of the events that `filter` is about, the newest first: of those before the number
    /// `before`, at most `limit`. Blocks.
    ///
    /// # Errors
    /// When the trail cannot be read.
    pub fn page(&self, filter: &Filter, before: Option<u64>, limit: usize) -> Result<Page> {
        let limit = limit.clamp(1, PAGE_MAX);
        self.with(|connection| {
            let Some(range) = range(connection, filter, before)? else {
                return Ok(Page {
                    events: Vec::new(),
                    before: None,
                });
            };
            let mut events = find(connection, filter, range, limit + 1)?;
            let has_more = events.len() > limit;
            events.truncate(limit);
            let before = events.last().map(|it| it.sequence).filter(|_| has_more);
            Ok(Page { events, before })
        })
    }

    /// Events after the number `after`, the oldest first, at most `limit`. Blocks.
    ///
    /// # Errors
    /// When the trail cannot be read.
    pub fn after(&self, after: u64, limit: usize) -> Result<Vec<Recorded>> {
        self.with(|connection| {
            let sql =
                format!("{SELECT} FROM event e WHERE sequence > ?1 ORDER BY sequence LIMIT ?2");
            collect(
                connection,
                &sql,
                &[
                    Value::from(signed(after)),
                    Value::from(signed(limit.min(PAGE_MAX) as u64)),
                ],
            )
        })
    }

    /// The event with this number.
    ///
    /// # Errors
    /// When the trail cannot be read.
    pub fn event(&self, sequence: u64) -> Result<Option<Recorded>> {
        let found = self.after(sequence.saturating_sub(1), 1)?;
        Ok(found.into_iter().find(|it| it.sequence == sequence))
    }

    /// Number of the newest event; 0 when there is none.
    ///
    /// # Errors
    /// When the trail cannot be read.
    pub fn newest(&self) -> Result<u64> {
        self.with(|connection| Ok(newest(connection)?))
    }

    /// How far a collector was given events.
    ///
    /// # Errors
    /// When the trail cannot be read.
    pub fn position(&self, collector: &str) -> Result<Option<u64>> {
        self.with(|connection| {
            let found: Option<i64> = connection
                .prepare_cached("SELECT position FROM collector WHERE name = ?1")?
                .query_row([collector], |row| row.get(0))
                .optional()?;
            Ok(found.map(i64::unsigned_abs))
        })
    }

    /// What makes the hashes without the key, and with it where there is one.
    pub(crate) fn hashers(&self) -> (Hasher, Option<Hasher>) {
        let keyed = self.key.as_ref().map(|key| Hasher::new(Some(key)));
        (Hasher::new(None), keyed)
    }

    pub(crate) fn head_path(&self) -> &Path {
        &self.head
    }

    /// Lends a connection.
    pub(crate) fn with<T>(&self, read: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let idle = self.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => database::open_reader(&self.path, self.key.as_ref())?,
        };
        let outcome = read(&connection);
        let mut idle = self.idle();
        if connection.is_autocommit() && idle.len() < IDLE_MAX {
            idle.push(connection);
        }
        drop(idle);
        outcome
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const SELECT: &str = "SELECT e.sequence, e.recorded, e.hash, e.event";

fn newest(connection: &Connection) -> rusqlite::Result<u64> {
    connection
        .prepare_cached("SELECT coalesce(max(sequence), 0) FROM event")?
        .query_row([], |row| row.get::<_, i64>(0))
        .map(i64::unsigned_abs)
}

/// The numbers of the events of the filter's time and page; none when there cannot be any.
/// Numbers go up with the time of recording, so a range of times is a range of numbers.
fn range(
    connection: &Connection,
    filter: &Filter,
    before: Option<u64>,
) -> Result<Option<(i64, i64)>> {
    let first_since = |time: i64| -> Result<Option<i64>> {
        let sql =
            "SELECT sequence FROM event WHERE recorded >= ?1 ORDER BY recorded, sequence LIMIT 1";
        let mut statement = connection.prepare_cached(sql)?;
        Ok(statement.query_row([time], |row| row.get(0)).optional()?)
    };
    let from = match filter.from {
        None => 1,
        Some(time) => match first_since(time)? {
            None => return Ok(None),
            Some(sequence) => sequence,
        },
    };
    let mut until = before.map_or(i64::MAX, signed);
    if let Some(time) = filter.until
        && let Some(sequence) = first_since(time)?
    {
        until = until.min(sequence);
    }
    Ok((from < until).then_some((from, until)))
}

/// The newest events of the filter in a range of numbers.
fn find(
    connection: &Connection,
    filter: &Filter,
    range: (i64, i64),
    limit: usize,
) -> Result<Vec<Recorded>> {
    let narrows_more = filter.study.is_some()
        || filter.patient.is_some()
        || filter.person.is_some()
        || filter.calling_ae.is_some();
    if narrows_more || filter.kinds.len() < 2 {
        return find_with(connection, filter, &filter.kinds, range, limit);
    }
    // Each kind by its index; a scan could take long for kinds that are rare.
    let mut events = Vec::new();
    for kind in &filter.kinds {
        events.extend(find_with(connection, filter, &[*kind], range, limit)?);
    }
    events.sort_unstable_by_key(|it| std::cmp::Reverse(it.sequence));
    events.dedup_by_key(|it| it.sequence);
    events.truncate(limit);
    Ok(events)
}

/// As [`find`], by one index: that of the condition that narrows most. The plus signs keep SQLite
/// from another, and from sorting.
fn find_with(
    connection: &Connection,
    filter: &Filter,
    kinds: &[Kind],
    range: (i64, i64),
    limit: usize,
) -> Result<Vec<Recorded>> {
    let mut question = Question::default();
    let mut key = "e.sequence";
    let mut from = " FROM event e";
    if let Some(study) = &filter.study {
        from = " FROM event_study s CROSS JOIN event e ON e.sequence = s.sequence";
        key = "s.sequence";
        question.equals("s.study", study, "");
    }
    if let Some(patient) = &filter.patient {
        question.equals("e.patient_id", &patient.patient_id, "e.patient_id <> ''");
        if let Some(issuer) = &patient.issuer {
            question.equals("e.issuer", issuer, "");
        }
    }
    if let Some(person) = &filter.person {
        question.equals("e.person", person, "e.person <> ''");
    }
    if let Some(calling_ae) = &filter.calling_ae {
        question.equals("e.calling_ae", calling_ae, "e.calling_ae <> ''");
    }
    match kinds {
        [] => {}
        [kind] => question.equals("e.kind", kind.as_str(), ""),
        kinds => {
            let places = vec!["?"; kinds.len()].join(", ");
            question.conditions.push(format!("+e.kind IN ({places})"));
            let words = kinds
                .iter()
                .map(|kind| Value::from(kind.as_str().to_owned()));
            question.values.extend(words);
        }
    }
    if filter.only_failures {
        let plus = question.plus();
        question.conditions.push(format!("{plus}e.outcome <> 0"));
    }
    if let Some(address) = &filter.address {
        question.conditions.push("+e.address = ?".into());
        question.values.push(Value::from(address.clone()));
    }
    question
        .conditions
        .push(format!("{key} >= ? AND {key} < ?"));
    question.values.extend([range.0, range.1].map(Value::from));
    question.values.push(Value::from(signed(limit as u64)));
    let conditions = question.conditions.join(" AND ");
    let sql = format!("{SELECT}{from} WHERE {conditions} ORDER BY {key} DESC LIMIT ?");
    collect(connection, &sql, &question.values)
}

/// Conditions, and the values for their question marks.
#[derive(Default)]
struct Question {
    conditions: Vec<String>,
    values: Vec<Value>,
}

impl Question {
    /// A column has a value. The first such condition is the one whose index is used; `implies`
    /// is what a partial index asks for.
    fn equals(&mut self, column: &str, value: &str, implies: &str) {
        let plus = self.plus();
        self.conditions.push(format!("{plus}{column} = ?"));
        self.values.push(Value::from(value.to_owned()));
        if !implies.is_empty() {
            self.conditions.push(implies.to_owned());
        }
    }

    fn plus(&self) -> &'static str {
        if self.conditions.is_empty() { "" } else { "+" }
    }
}

fn collect(connection: &Connection, sql: &str, values: &[Value]) -> Result<Vec<Recorded>> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        events.push(recorded(row)?);
    }
    Ok(events)
}

fn recorded(row: &Row<'_>) -> Result<Recorded> {
    let sequence = row.get::<_, i64>(0)?.unsigned_abs();
    let text: String = row.get(3)?;
    let event = serde_json::from_str(&text).map_err(|source| AuditError::Unreadable {
        sequence,
        source: Arc::new(source),
    })?;
    Ok(Recorded {
        sequence,
        recorded: row.get(1)?,
        hash: Hash(row.get(2)?),
        event,
    })
}
