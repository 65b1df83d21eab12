//! Connections and their settings.

use crate::error::{AuditError, Result};
use crate::migration;
use gantry_core::secret::SecretKey;
use rusqlite::{Connection, OpenFlags};
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

/// How long a connection waits for a lock that another holds.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// Statements kept prepared by a connection.
const STATEMENTS_MAX: usize = 32;

/// The connection that writes; makes the database if need be, readable by its owner only.
/// One from before encryption was switched on is encrypted.
pub(crate) fn open_writer(path: &Path, key: Option<&SecretKey>) -> Result<Connection> {
    gantry_sqlite::convert(path, key, None).map_err(AuditError::sqlite(path))?;
    // SQLite gives the files beside it (-wal, -shm) the same mode.
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(AuditError::io(path))?;
    let mut connection = connect(path, key)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // An acknowledged event survives power loss.
    connection.pragma_update(None, "synchronous", "FULL")?;
    migration::migrate(&mut connection, path)?;
    Ok(connection)
}

/// A connection that reads.
pub(crate) fn open_reader(path: &Path, key: Option<&SecretKey>) -> Result<Connection> {
    if !path.exists() {
        return Err(AuditError::Missing {
            path: path.to_owned(),
        });
    }
    let connection = connect(path, key)?;
    if migration::check(&connection, path)? == 0 {
        return Err(AuditError::Missing {
            path: path.to_owned(),
        });
    }
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

fn connect(path: &Path, key: Option<&SecretKey>) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    gantry_sqlite::unlock(&connection, key).map_err(AuditError::sqlite(path))?;
    connection.busy_timeout(WAIT_MAX)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    Ok(connection)
}
