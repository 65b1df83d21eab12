//! Work that must happen: queued in the transaction that causes it, taken by lease, retried,
//! safe to run twice.

use crate::change::Outcome;
use crate::error::Result;
use rusqlite::{Connection, OptionalExtension, Row, params};

/// Work to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJob {
    /// What kind of work, a word of the archive.
    pub kind: String,
    /// What may be asked for only once among its kind, as long as the job is remembered.
    pub key: Option<String>,
    /// What the worker needs to know, as JSON.
    pub payload: String,
    /// When to run it, in microseconds since 1970.
    pub due_at: i64,
    /// When it was asked for, likewise.
    pub created_at: i64,
}

/// A job as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its id.
    pub id: i64,
    /// What kind of work.
    pub kind: String,
    /// What makes it unique among its kind.
    pub key: Option<String>,
    /// What the worker needs to know, as JSON.
    pub payload: String,
    /// What became of it.
    pub state: JobState,
    /// When it is to run, or when its lease ends, in microseconds since 1970.
    pub due_at: i64,
    /// How often it was leased.
    pub attempts: u32,
    /// When it was asked for.
    pub created_at: i64,
    /// When it was done, given up or cancelled.
    pub finished_at: Option<i64>,
    /// What it led to, as JSON, or the last error.
    pub outcome: Option<String>,
}

/// What became of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// Waiting for its time.
    Queued,
    /// A worker has it; another may take it when the lease has ended.
    Leased,
    /// Done.
    Done,
    /// Given up.
    Failed,
    /// Called off.
    Cancelled,
}

/// What happens to queued work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobChange {
    /// A worker takes jobs whose time has come.
    Lease {
        /// Kinds it can do.
        kinds: Vec<String>,
        /// What time it is.
        now: i64,
        /// When the lease ends.
        until: i64,
        /// Most jobs to take.
        limit: usize,
    },
    /// A leased job takes longer.
    Extend {
        /// The job.
        id: i64,
        /// When the lease ends now.
        until: i64,
    },
    /// A job is done.
    Complete {
        /// The job.
        id: i64,
        /// When.
        at: i64,
        /// What it led to, as JSON.
        outcome: Option<String>,
    },
    /// A job failed and is to be tried again.
    Retry {
        /// The job.
        id: i64,
        /// When to try again.
        due_at: i64,
        /// What went wrong.
        error: String,
    },
    /// A job failed for good.
    Fail {
        /// The job.
        id: i64,
        /// When.
        at: i64,
        /// What went wrong.
        error: String,
    },
    /// A job is called off, unless it is finished.
    Cancel {
        /// The job.
        id: i64,
        /// When.
        at: i64,
    },
    /// All leases end: those who worked have gone with their process.
    Release {
        /// When the jobs are due again.
        now: i64,
    },
    /// Finished jobs are forgotten.
    Forget {
        /// Those that finished before.
        finished_before: i64,
    },
}

impl JobChange {
    pub(crate) fn requires_sync(&self) -> bool {
        // Jobs are safe to run twice: only what somebody was told must not be lost.
        matches!(
            self,
            Self::Complete { .. } | Self::Fail { .. } | Self::Cancel { .. }
        )
    }
}

impl JobState {
    fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Leased => "leased",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    fn parse(text: &str) -> Self {
        [Self::Queued, Self::Leased, Self::Done, Self::Cancelled]
            .into_iter()
            .find(|state| state.as_str() == text)
            .unwrap_or(Self::Failed)
    }
}

const COLUMNS: &str =
    "id, kind, key, payload, state, due_at, attempts, created_at, finished_at, outcome";

fn read(row: &Row<'_>) -> rusqlite::Result<Job> {
    Ok(Job {
        id: row.get(0)?,
        kind: row.get(1)?,
        key: row.get(2)?,
        payload: row.get(3)?,
        state: JobState::parse(row.get_ref(4)?.as_str().unwrap_or_default()),
        due_at: row.get(5)?,
        attempts: row.get(6)?,
        created_at: row.get(7)?,
        finished_at: row.get(8)?,
        outcome: row.get(9)?,
    })
}

/// The job of a kind with this key.
pub(crate) fn find(connection: &Connection, kind: &str, key: &str) -> Result<Option<Job>> {
    let sql = format!("SELECT {COLUMNS} FROM job WHERE kind = ?1 AND key = ?2");
    Ok(connection
        .prepare_cached(&sql)?
        .query_row([kind, key], read)
        .optional()?)
}

/// The newest jobs, of one kind or of all.
pub(crate) fn list(connection: &Connection, kind: Option<&str>, limit: usize) -> Result<Vec<Job>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM job WHERE ?1 IS NULL OR kind = ?1 ORDER BY id DESC LIMIT ?2"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let jobs = statement.query_map(params![kind, limit], read)?;
    Ok(jobs.collect::<rusqlite::Result<_>>()?)
}

/// When the next job of one of these kinds is due.
pub(crate) fn next_due(connection: &Connection, kinds: &[&str]) -> Result<Option<i64>> {
    let mut statement = connection.prepare_cached(
        "SELECT min(due_at) FROM job WHERE kind = ?1 AND state IN ('queued', 'leased')",
    )?;
    let mut next: Option<i64> = None;
    for kind in kinds {
        let due: Option<i64> = statement.query_row([kind], |row| row.get(0))?;
        next = next.into_iter().chain(due).min();
    }
    Ok(next)
}

/// How many jobs of a kind are still to be done.
pub(crate) fn count_open(connection: &Connection, kind: &str) -> Result<u64> {
    let count: i64 = connection
        .prepare_cached(
            "SELECT count(*) FROM job WHERE kind = ?1 AND state IN ('queued', 'leased')",
        )?
        .query_row([kind], |row| row.get(0))?;
    Ok(u64::try_from(count).unwrap_or_default())
}

/// Queues a job.
pub(crate) fn enqueue(connection: &Connection, job: &NewJob) -> Result<Outcome> {
    let inserted = connection
        .prepare_cached(
            "INSERT INTO job (kind, key, payload, state, due_at, created_at)
             VALUES (?1, ?2, ?3, 'queued', ?4, ?5) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            job.kind,
            job.key,
            job.payload,
            job.due_at,
            job.created_at
        ])?;
    if inserted == 1 {
        return Ok(Outcome::Enqueued {
            id: connection.last_insert_rowid(),
            is_new: true,
        });
    }
    let id = connection
        .prepare_cached("SELECT id FROM job WHERE kind = ?1 AND key = ?2")?
        .query_row(params![job.kind, job.key], |row| row.get(0))?;
    Ok(Outcome::Enqueued { id, is_new: false })
}

/// Changes queued jobs.
pub(crate) fn change(connection: &Connection, change: &JobChange) -> Result<Outcome> {
    let execute = |sql: &str, parameters: &[&dyn rusqlite::ToSql]| {
        connection
            .prepare_cached(sql)?
            .execute(parameters)
            .map(Outcome::Changed)
    };
    let outcome = match change {
        JobChange::Lease {
            kinds,
            now,
            until,
            limit,
        } => {
            return lease(connection, kinds, *now, *until, *limit);
        }
        JobChange::Extend { id, until } => execute(
            "UPDATE job SET due_at = ?2 WHERE id = ?1 AND state = 'leased'",
            &[id, until],
        ),
        JobChange::Complete { id, at, outcome } => execute(
            "UPDATE job SET state = 'done', finished_at = ?2, outcome = ?3
             WHERE id = ?1 AND finished_at IS NULL",
            &[id, at, outcome],
        ),
        JobChange::Retry { id, due_at, error } => execute(
            "UPDATE job SET state = 'queued', due_at = ?2, outcome = ?3
             WHERE id = ?1 AND finished_at IS NULL",
            &[id, due_at, error],
        ),
        JobChange::Fail { id, at, error } => execute(
            "UPDATE job SET state = 'failed', finished_at = ?2, outcome = ?3
             WHERE id = ?1 AND finished_at IS NULL",
            &[id, at, error],
        ),
        JobChange::Cancel { id, at } => execute(
            "UPDATE job SET state = 'cancelled', finished_at = ?2
             WHERE id = ?1 AND finished_at IS NULL",
            &[id, at],
        ),
        JobChange::Release { now } => execute(
            "UPDATE job SET state = 'queued', due_at = min(due_at, ?1) WHERE state = 'leased'",
            &[now],
        ),
        JobChange::Forget { finished_before } => {
            execute("DELETE FROM job WHERE finished_at < ?1", &[finished_before])
        }
    };
    Ok(outcome?)
}

fn lease(
    connection: &Connection,
    kinds: &[String],
    now: i64,
    until: i64,
    limit: usize,
) -> Result<Outcome> {
    let sql = format!(
        "UPDATE job SET state = 'leased', due_at = ?3, attempts = attempts + 1
         WHERE id IN (SELECT id FROM job
                      WHERE kind = ?1 AND state IN ('queued', 'leased') AND due_at <= ?2
                      ORDER BY due_at LIMIT ?4)
         RETURNING {COLUMNS}"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut jobs: Vec<Job> = Vec::new();
    for kind in kinds {
        let left = i64::try_from(limit.saturating_sub(jobs.len())).unwrap_or(i64::MAX);
        for job in statement.query_map(params![kind, now, until, left], read)? {
            jobs.push(job?);
        }
    }
    Ok(Outcome::Leased(jobs))
}
