//! The database's file, its settings and its schema's versions.

use crate::error::{IdentityError, Result};
use gantry_core::secret::SecretKey;
use rusqlite::{Connection, OpenFlags};
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

/// All migrations in order; the first brings an empty database to version 1.
const MIGRATIONS: [&str; 1] = [include_str!("../migrations/0001_initial.sql")];
/// "GnId": marks the file as ours (`application_id`).
const APPLICATION: i32 = 0x476E_4964;
/// How long to wait for another process that writes.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// Opens the database, and makes it if need be. Nobody but the owner may read the file.
pub(crate) fn open(path: &Path, key: Option<&SecretKey>) -> Result<Connection> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)?;
    gantry_sqlite::convert(path, key, None).map_err(|error| unreadable(error, path))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(WAIT_MAX)?;
    gantry_sqlite::unlock(&connection, key).map_err(|error| unreadable(error, path))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // Whoever was told that a token is revoked relies on it.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "secure_delete", true)?;
    migrate(&mut connection, path)?;
    Ok(connection)
}

fn unreadable(error: gantry_sqlite::Error, path: &Path) -> IdentityError {
    IdentityError::Unreadable {
        path: path.to_owned(),
        source: Box::new(error),
    }
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<()> {
    let known = u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX);
    // The server and a command may come at the same time.
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let found: u32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > known {
        return Err(IdentityError::NewerSchema {
            path: path.to_owned(),
            found,
            known,
        });
    }
    if found == 0 {
        transaction.pragma_update(None, "application_id", APPLICATION)?;
    }
    for (number, migration) in (1u32..).zip(MIGRATIONS).skip(found as usize) {
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "user_version", number)?;
        tracing::info!(version = number, "identity database migrated");
    }
    transaction.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_file_is_the_owner_s_alone_and_opens_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("identity.sqlite");
        drop(open(&path, None).unwrap());
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        open(&path, None).unwrap();
    }

    #[test]
    fn what_is_newer_or_something_else_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("identity.sqlite");
        open(&path, None)
            .unwrap()
            .pragma_update(None, "user_version", 99)
            .unwrap();
        assert!(matches!(
            open(&path, None),
            Err(IdentityError::NewerSchema { found: 99, .. })
        ));
        let other = folder.path().join("other");
        std::fs::write(&other, [7; 8192]).unwrap();
        assert!(matches!(
            open(&other, None),
            Err(IdentityError::Unreadable { .. })
        ));
    }
}
