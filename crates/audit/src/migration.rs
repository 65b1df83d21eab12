//! The schema's versions, kept in `user_version`.

use crate::error::{AuditError, Result};
use rusqlite::Connection;
use std::path::Path;

/// All migrations in order; the first brings an empty database to version 1.
const MIGRATIONS: [&str; 1] = [include_str!("../migrations/0001_initial.sql")];

/// "Gaud": marks the file as an audit trail (`application_id`).
const APPLICATION: i32 = 0x4761_7564;

/// Brings the database to the newest version.
pub(crate) fn migrate(connection: &mut Connection, path: &Path) -> Result<()> {
    let version = check(connection, path)?;
    for (number, migration) in (1..).zip(MIGRATIONS).skip(version as usize) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(migration)?;
        if number == 1 {
            transaction.pragma_update(None, "application_id", APPLICATION)?;
        }
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit()?;
        tracing::info!(version = number, "audit trail migrated");
    }
    Ok(())
}

/// The database's version.
pub(crate) fn check(connection: &Connection, path: &Path) -> Result<u32> {
    let found: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let known = u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX);
    if found > known {
        return Err(AuditError::NewerSchema {
            path: path.to_owned(),
            found,
            known,
        });
    }
    Ok(found)
}
