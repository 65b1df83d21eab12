//! Connections and their settings.

use crate::error::{IndexError, Result};
use crate::migration;
use gantry_core::secret::SecretKey;
use gantry_sqlite::Pages;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::time::Duration;

/// How long a connection waits for a lock that another holds.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(10);

/// The index can be built again from the ledger, which is authenticated, and authentication would
/// cost more than encryption.
pub const PAGES: Pages = Pages::Bare;

/// Statements kept prepared by a connection.
const STATEMENTS_MAX: usize = 128;

/// The connection that writes; makes the database if need be.
pub(crate) fn open_writer(
    path: &Path,
    key: Option<&SecretKey>,
    cache_bytes: usize,
) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    gantry_sqlite::unlock_with(&connection, key, PAGES)?;
    settings(&connection, cache_bytes)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    // The checkpoint thread does it, so that no store waits for it.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    migration::migrate(&mut connection, path)?;
    Ok(connection)
}

/// A connection that reads.
pub(crate) fn open_reader(
    path: &Path,
    key: Option<&SecretKey>,
    cache_bytes: usize,
) -> Result<Connection> {
    if !path.exists() {
        return Err(IndexError::Missing {
            path: path.to_owned(),
        });
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    gantry_sqlite::unlock_with(&connection, key, PAGES)?;
    settings(&connection, cache_bytes)?;
    connection.pragma_update(None, "query_only", true)?;
    // A reader that is the last to close must not stop to checkpoint.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    Ok(connection)
}

fn settings(connection: &Connection, cache_bytes: usize) -> Result<()> {
    let kibibytes = i64::try_from(cache_bytes / 1024).unwrap_or(i64::MAX);
    connection.busy_timeout(WAIT_MAX)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "cache_size", -kibibytes)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // Plans must not depend on the values bound: a statement would be prepared anew for each.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    Ok(())
}
