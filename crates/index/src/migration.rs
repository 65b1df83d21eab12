//! The schema's versions, kept in `user_version`.

use crate::access_keys;
use crate::error::{IndexError, Result};
use rusqlite::Connection;
use std::path::Path;

/// All migrations in order; the first brings an empty database to version 1.
const MIGRATIONS: [&str; 3] = [
    include_str!("../migrations/0001_initial.sql"),
    include_str!("../migrations/0002_departure.sql"),
    include_str!("../migrations/0003_access.sql"),
];

/// The migration after which access keys are filled in from the stored headers.
const ACCESS: u32 = 3;

/// "Gant": marks the file as an index of this archive (`application_id`).
const APPLICATION: i32 = 0x4761_6E74;

/// Brings the database to the newest version.
pub(crate) fn migrate(connection: &mut Connection, path: &Path) -> Result<()> {
    let version = check(connection, path)?;
    for (number, migration) in (1..).zip(MIGRATIONS).skip(version as usize) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(migration)?;
        if number == ACCESS && version > 0 {
            tracing::info!("the index is completed with what decides who sees a study");
            access_keys::fill(&transaction)?;
        }
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit()?;
        tracing::info!(version = number, "index migrated");
    }
    if version == 0 {
        connection.pragma_update(None, "application_id", APPLICATION)?;
    }
    Ok(())
}

/// The database's version.
///
/// # Errors
/// [`IndexError::NewerSchema`] when this release does not know it.
pub(crate) fn check(connection: &Connection, path: &Path) -> Result<u32> {
    let found: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let known = u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX);
    if found > known {
        return Err(IndexError::NewerSchema {
            path: path.to_owned(),
            found,
            known,
        });
    }
    Ok(found)
}
