//! Writing the log back into the database file, beside the work.
//!
//! Left to itself SQLite does it in the writer, which then waits for the disk: a store in some
//! hundred would take many times longer than the others. A thread with its own connection does
//! most of it while the writer goes on; when the log still grows, because there is never a moment
//! without a writer, the writer does the small rest and the log begins at its start again.

use crate::database;
use crate::error::{IndexError, Result};
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// Pages of log beyond which the writer itself finishes the work.
const LOG_PAGES_MAX: u64 = 16_384;

/// The thread, and what the writer knows of the log.
#[derive(Debug)]
pub(crate) struct Checkpoints {
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
    log: Arc<Log>,
    log_path: PathBuf,
    commits: u32,
}

#[derive(Debug, Default)]
struct Log {
    is_running: AtomicBool,
    /// How often the thread has written the log back.
    turns: AtomicU64,
}

impl Checkpoints {
    pub fn start(path: &Path) -> Result<Self> {
        let connection = database::open_reader(path, 256 << 10)?;
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
        let mut log_path = path.as_os_str().to_owned();
        log_path.push("-wal");
        let log_path = log_path.into();
        Ok(Self {
            wake: Some(wake),
            thread: Some(thread),
            log,
            log_path,
            commits: 0,
        })
    }

    /// Called after each commit.
    pub fn wrote(&mut self, connection: &Connection, pages: u64) {
        self.commits += 1;
        if self.commits < 16 {
            return;
        }
        self.commits = 0;
        let length = std::fs::metadata(&self.log_path).map_or(0, |log| log.len()) / 4096;
        if length < pages || self.log.is_running.load(Ordering::Acquire) {
            return;
        }
        if length > LOG_PAGES_MAX && self.log.turns.swap(0, Ordering::AcqRel) > 0 {
            checkpoint(connection, "TRUNCATE");
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
        log.turns.fetch_add(1, Ordering::AcqRel);
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
