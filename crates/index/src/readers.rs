//! Connections for reading, kept and lent.

use crate::database;
use crate::error::{IndexError, Result};
use crate::index::Options;
use rusqlite::Connection;
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Connections that are kept when nobody reads.
const IDLE_MAX: usize = 4;
/// How long a reader waits for a connection.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// The pool.
#[derive(Debug)]
pub(crate) struct Readers {
    path: PathBuf,
    options: Options,
    state: Mutex<State>,
    returned: Condvar,
}

#[derive(Debug, Default)]
struct State {
    idle: Vec<Connection>,
    lent: usize,
}

/// A connection on loan.
pub(crate) struct Reader<'a> {
    connection: Option<Connection>,
    readers: &'a Readers,
}

impl Readers {
    pub fn new(path: PathBuf, options: Options) -> Self {
        let state = Mutex::default();
        Self {
            path,
            options,
            state,
            returned: Condvar::new(),
        }
    }

    /// Lends a connection.
    pub fn lend(&self) -> Result<Reader<'_>> {
        let state = self.lock();
        let busy = |state: &mut State| state.lent >= self.options.readers_max;
        let (mut state, waited) = self
            .returned
            .wait_timeout_while(state, WAIT_MAX, busy)
            .unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            return Err(IndexError::Busy);
        }
        state.lent += 1;
        let idle = state.idle.pop();
        drop(state);
        // From here on the loan is given back whatever happens.
        let mut reader = Reader {
            connection: idle,
            readers: self,
        };
        if reader.connection.is_none() {
            let Options {
                key,
                reader_cache_bytes,
                ..
            } = &self.options;
            let opened = database::open_reader(&self.path, key.as_ref(), *reader_cache_bytes)?;
            reader.connection = Some(opened);
        }
        Ok(reader)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reader<'_> {
    /// The connection.
    pub fn connection(&self) -> Result<&Connection> {
        self.connection.as_ref().ok_or(IndexError::Busy)
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        let connection = self.connection.take().filter(Connection::is_autocommit);
        let mut state = self.readers.lock();
        state.lent -= 1;
        if state.idle.len() < IDLE_MAX {
            state.idle.extend(connection);
        }
        drop(state);
        self.readers.returned.notify_one();
    }
}
