//! The one writer.

use crate::change::{Change, Outcome};
use crate::checkpoint::Checkpoints;
use crate::counts::Counts;
use crate::database;
use crate::error::{IndexError, Result};
use crate::index::Options;
use crate::instance::Existing;
use crate::intern::Interned;
use crate::parents::{Parents, PatientKey};
use crate::{access_keys, job, remove, store};
use gantry_blob::{Position, failpoint};
use rusqlite::{Connection, TransactionBehavior, params};
use std::collections::HashSet;
use std::path::PathBuf;

/// The one writer of an index. All methods block on the disk; a thread of the archive owns it.
#[derive(Debug)]
pub struct Writer {
    connection: Connection,
    path: PathBuf,
    options: Options,
    applied: Position,
    memory: Memory,
    is_full_sync: bool,
    is_suspect: bool,
    checkpoints: Checkpoints,
}

/// The stretch of the ledger that a batch of changes brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Position before its first record.
    pub from: Position,
    /// Position after its last record.
    pub to: Position,
}

/// What the writer remembers between rows.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub parents: Parents,
    pub interned: Interned,
    pub counts: Counts,
    pub other_patients: HashSet<(i64, PatientKey)>,
}

impl Writer {
    pub(crate) fn open(path: PathBuf, options: Options) -> Result<Self> {
        let key = options.key.as_ref();
        let mut connection = database::open_writer(&path, key, options.writer_cache_bytes)?;
        let applied = read_applied(&connection)?;
        let checkpoints = Checkpoints::start(&path, key)?;
        checkpoints.watch(&mut connection)?;
        Ok(Self {
            connection,
            path,
            options,
            applied,
            memory: Memory::default(),
            is_full_sync: false,
            is_suspect: false,
            checkpoints,
        })
    }

    /// How far the ledger has been applied.
    pub fn applied_position(&self) -> Position {
        self.applied
    }

    /// Applies changes in one transaction, all or none, and with them the position of the ledger
    /// when they come from it. Returns one outcome for each.
    ///
    /// Readers see the changes when it returns. They survive a crash of the process; a power cut
    /// may take those that the ledger can bring back, never those that
    /// [require it](Change::requires_sync).
    ///
    /// # Errors
    /// [`IndexError::Gap`] when `span` does not begin where the ledger was applied up to: what
    /// lies between must be replayed first. After any error nothing is changed, and the same
    /// changes may be applied again.
    pub fn apply(&mut self, changes: &[Change<'_>], span: Option<Span>) -> Result<Vec<Outcome>> {
        if let Some(span) = span
            && span.from.sequence != self.applied.sequence
        {
            return Err(IndexError::Gap {
                applied: self.applied,
                from: span.from,
            });
        }
        if self.is_suspect {
            self.reopen()?;
        }
        let outcomes = self.transact(changes, span);
        match &outcomes {
            Ok(_) => {
                if let Some(span) = span {
                    self.applied = span.to;
                }
                self.memory.parents.trim();
                self.checkpoints.wrote(&self.connection);
            }
            Err(error) => {
                tracing::error!(%error, "index change failed");
                self.memory = Memory::default();
                self.is_suspect = true;
            }
        }
        outcomes
    }

    fn transact(&mut self, changes: &[Change<'_>], span: Option<Span>) -> Result<Vec<Outcome>> {
        self.set_sync(changes.iter().any(Change::requires_sync))?;
        fail("index.begin")?;
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut outcomes = Vec::with_capacity(changes.len());
        for change in changes {
            outcomes.push(apply_one(&transaction, &mut self.memory, change)?);
        }
        flush(&transaction, &mut self.memory)?;
        if let Some(span) = span {
            transaction
                .prepare_cached("UPDATE state SET applied = ?1")?
                .execute(params![span.to.to_bytes()])?;
        }
        fail("index.commit")?;
        transaction.commit()?;
        Ok(outcomes)
    }

    /// Whether commits wait for the disk.
    fn set_sync(&mut self, is_full: bool) -> Result<()> {
        if self.is_full_sync != is_full {
            let mode = if is_full { "FULL" } else { "NORMAL" };
            self.connection.pragma_update(None, "synchronous", mode)?;
            self.is_full_sync = is_full;
        }
        Ok(())
    }

    /// After a failure the connection is not trusted: another one begins from the disk.
    fn reopen(&mut self) -> Result<()> {
        let Options {
            key,
            writer_cache_bytes,
            ..
        } = &self.options;
        self.connection = database::open_writer(&self.path, key.as_ref(), *writer_cache_bytes)?;
        self.checkpoints.watch(&mut self.connection)?;
        self.is_full_sync = false;
        // The log takes more room than what it says: give it back, should room be what is missing.
        self.checkpoints.truncate(&self.connection);
        let applied = read_applied(&self.connection)?;
        if applied != self.applied {
            tracing::warn!(%applied, expected = %self.applied, "index is not where it was left");
            self.applied = applied;
        }
        self.is_suspect = false;
        Ok(())
    }

    /// Writes the log back into the database, as far as no reader needs it. It happens by itself;
    /// this is for quiet moments.
    pub fn checkpoint(&mut self) {
        self.checkpoints.finish(&self.connection);
    }

    /// What is stored under these SOP Instance UIDs; one answer for each.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn find_existing(&mut self, uids: &[&str]) -> Result<Vec<Option<Existing>>> {
        if self.is_suspect {
            self.reopen()?;
        }
        // One for all: each statement by itself would begin and end one of its own.
        let snapshot = self.connection.unchecked_transaction()?;
        uids.iter()
            .map(|uid| store::find_existing(&snapshot, uid))
            .collect()
    }
}

fn read_applied(connection: &Connection) -> Result<Position> {
    let start = Position::START.to_bytes();
    connection.execute(
        "INSERT OR IGNORE INTO state (id, applied) VALUES (1, ?1)",
        [start],
    )?;
    let bytes: Vec<u8> = connection.query_row("SELECT applied FROM state", [], |row| row.get(0))?;
    Position::from_bytes(&bytes).ok_or(IndexError::Row {
        table: "state",
        id: 1,
        column: "applied",
    })
}

fn apply_one(connection: &Connection, memory: &mut Memory, change: &Change<'_>) -> Result<Outcome> {
    match change {
        Change::Store(instance) => store::store(connection, memory, instance),
        Change::Delete {
            deletion,
            target,
            by,
            at,
        } => {
            flush(connection, memory)?;
            memory.parents.forget();
            remove::delete(connection, *deletion, target, by, *at)
        }
        Change::Restore { deletion, at } => {
            flush(connection, memory)?;
            memory.parents.forget();
            remove::restore(connection, *deletion, *at)
        }
        Change::Purge { deletion, at } => {
            flush(connection, memory)?;
            memory.parents.forget();
            remove::purge(connection, *deletion, *at)
        }
        Change::Mark {
            study,
            mark,
            is_set,
        } => {
            flush(connection, memory)?;
            memory.parents.forget();
            let changed = access_keys::mark(connection, study, mark, *is_set)?;
            Ok(Outcome::Changed(usize::from(changed)))
        }
        Change::Collected(locations) => remove::collected(connection, locations),
        Change::Attempt(attempt) => {
            store::add_attempt(connection, memory, attempt).map(|()| Outcome::Changed(1))
        }
        Change::PeerCalled {
            ae_title,
            address,
            at,
        } => connection
            .prepare_cached(
                "INSERT INTO peer (ae_title, address, first_at, last_at, calls)
                 VALUES (?1, ?2, ?3, ?3, 1)
                 ON CONFLICT DO UPDATE SET last_at = max(last_at, ?3), calls = calls + 1",
            )?
            .execute(params![ae_title, address, at])
            .map(Outcome::Changed)
            .map_err(Into::into),
        Change::Enqueue(new) => job::enqueue(connection, new),
        Change::Job(change) => job::change(connection, change),
        Change::Fact { key, value } => {
            let sql = if value.is_some() {
                "INSERT INTO fact (key, value) VALUES (?1, ?2)
                 ON CONFLICT DO UPDATE SET value = ?2"
            } else {
                "DELETE FROM fact WHERE key = ?1 AND ?2 IS NULL"
            };
            let changed = connection
                .prepare_cached(sql)?
                .execute(params![key, value])?;
            Ok(Outcome::Changed(changed))
        }
    }
}

/// Writes the counts down, so that rows say the truth again.
fn flush(connection: &Connection, memory: &mut Memory) -> Result<()> {
    let counts = std::mem::take(&mut memory.counts);
    if counts.flush(connection)? {
        memory.parents.forget();
    }
    Ok(())
}

fn fail(name: &str) -> Result<()> {
    failpoint::pass(name).map_err(|source| match source.kind() {
        std::io::ErrorKind::StorageFull => IndexError::NoSpace,
        _ => IndexError::Io {
            path: name.into(),
            source,
        },
    })
}
