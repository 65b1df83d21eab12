//! Writing the log back into the database file, beside the work.
//!
//! Left to itself SQLite does it in the writer, which then waits for the disk: a store in some
//! hundred would take many times longer than the others. A thread with its own connection does
//! most of it while the writer goes on; when the log still grows, because there is never a moment
//! without a writer, the writer does the small rest and the log begins at its start again.

use crate::database;
use crate::error::{IndexError, Result};
use gantry_core::secret::SecretKey;
use rusqlite::Connection;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// Pages of log (of 4 KiB) after which the thread is woken.
const LOG_PAGES: u64 = 4096;
/// Pages of log after which the writer itself does the rest.
const LOG_PAGES_MAX: u64 = 16_384;

/// The thread, and what the writer knows of the log.
#[derive(Debug)]
pub(crate) struct Checkpoints {
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
    log: Arc<Log>,
    /// Length of the log at which something is done next.
    due: u64,
}

#[derive(Debug, Default)]
struct Log {
    pages: AtomicU64,
    is_running: AtomicBool,
}

impl Checkpoints {
    pub fn start(path: &Path, key: Option<&SecretKey>) -> Result<Self> {
        let connection = database::open_reader(path, key, 256 << 10)?;
        connection.pragma_update(None, "query_only", false)?;
        let log = Arc::new(Log::default());
        let (wake, woken) = sync_channel(1);
        let shared = Arc::clone(&log);
        let thread = std::thread::Builder::new()
            .name("index-checkpoint".into())
            .spawn(move || run(&connection, &woken, &shared))
            .map_err(|source| IndexError::Io {
                path: path.to_owned(),
                source,
            })?;
        Ok(Self {
            wake: Some(wake),
            thread: Some(thread),
            log,
            due: LOG_PAGES,
        })
    }

    /// Has the writer's connection tell how long the log is after each commit.
    pub fn watch(&self, connection: &mut Connection) -> Result<()> {
        let log = Arc::clone(&self.log);
        connection.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages: i32| {
            log.pages
                .store(u64::try_from(pages).unwrap_or(0), Ordering::Relaxed);
            Ok(())
        }))?;
        Ok(())
    }

    /// Writes back what there is, without waiting for readers.
    pub fn finish(&self, connection: &Connection) {
        if !self.log.is_running.load(Ordering::Acquire) {
            checkpoint(connection, "PASSIVE");
        }
    }

    /// Writes back what there is and makes the log file empty, unless there are readers.
    pub fn truncate(&self, connection: &Connection) {
        // With readers there would be waiting.
        let is_patient = connection.busy_timeout(std::time::Duration::ZERO).is_err();
        if !is_patient {
            checkpoint(connection, "TRUNCATE");
        }
        if let Err(error) = connection.busy_timeout(database::WAIT_MAX) {
            tracing::warn!(%error, "index will not wait");
        }
    }

    /// Called after each commit.
    pub fn wrote(&mut self, connection: &Connection) {
        let pages = self.log.pages.load(Ordering::Relaxed);
        if pages < LOG_PAGES {
            // The log has begun at its start again.
            self.due = LOG_PAGES;
        }
        if pages < self.due || self.log.is_running.load(Ordering::Acquire) {
            return;
        }
        self.due = pages + LOG_PAGES;
        if pages >= LOG_PAGES_MAX {
            checkpoint(connection, "PASSIVE");
        } else if let Some(wake) = &self.wake {
            // Full: it is awake already.
            let _ = wake.try_send(());
        }
    }
}

fn run(connection: &Connection, woken: &Receiver<()>, log: &Log) {
    while woken.recv().is_ok() {
        log.is_running.store(true, Ordering::Release);
        checkpoint(connection, "PASSIVE");
        log.is_running.store(false, Ordering::Release);
    }
}

fn checkpoint(connection: &Connection, mode: &str) {
    let sql = format!("PRAGMA wal_checkpoint({mode})");
    if let Err(error) = connection.query_row(&sql, [], |_| Ok(())) {
        tracing::warn!(%error, "index log is not written back");
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.wake = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
