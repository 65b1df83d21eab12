//! From a plain database to an encrypted one, or back.

use crate::{Error, Form, Pages, form, unlock_with};
use gantry_core::secret::SecretKey;
use rusqlite::Connection;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Brings the database at `path` into the form that `wanted` asks for: encrypted with it, or
/// plain. `had` is the key that opens it when it is encrypted and should not be. Nothing happens
/// when it has that form, or is not there. Returns whether something was done.
///
/// The caller sees to it that nobody has the database open. A copy is made beside it and takes
/// its place when it is complete and durable; cut off before, the database is as it was.
///
/// What was plain may still be in blocks of the disk that are free now.
///
/// # Errors
/// [`Error::NoKey`] when it is encrypted, should be plain, and there is no key; or what database
/// and disk answer.
pub fn convert(
    path: &Path,
    wanted: Option<&SecretKey>,
    had: Option<&SecretKey>,
) -> Result<bool, Error> {
    convert_to(path, wanted, had, Pages::Authenticated)
}

/// As [`convert`], with pages of this kind where they are encrypted.
///
/// # Errors
/// As [`convert`].
pub fn convert_to(
    path: &Path,
    wanted: Option<&SecretKey>,
    had: Option<&SecretKey>,
    pages: Pages,
) -> Result<bool, Error> {
    let copy = beside(path, "-converting");
    remove(&copy)?;
    let from = match (form(path)?, wanted) {
        (Form::Nothing, _) | (Form::Plain, None) | (Form::Encrypted, Some(_)) => return Ok(false),
        (Form::Plain, Some(_)) => None,
        (Form::Encrypted, None) => Some(had.ok_or(Error::NoKey)?),
    };
    write_copy(path, from, &copy, wanted, pages)?;
    let io = |doing, path: &Path| {
        let path = path.to_owned();
        move |source| Error::Io {
            doing,
            path,
            source,
        }
    };
    let permissions = std::fs::metadata(path)
        .map_err(io("read", path))?
        .permissions();
    std::fs::set_permissions(&copy, permissions).map_err(io("write", &copy))?;
    File::open(&copy)
        .and_then(|file| file.sync_all())
        .map_err(io("sync", &copy))?;
    std::fs::rename(&copy, path).map_err(io("replace", path))?;
    for suffix in ["-wal", "-shm"] {
        remove(&beside(path, suffix))?;
    }
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(io("sync", folder))?;
    }
    tracing::info!(
        path = %path.display(),
        is_encrypted = wanted.is_some(),
        "database was brought into another form"
    );
    Ok(true)
}

fn write_copy(
    path: &Path,
    from: Option<&SecretKey>,
    copy: &Path,
    to: Option<&SecretKey>,
    pages: Pages,
) -> Result<(), Error> {
    let connection = Connection::open(path)?;
    unlock_with(&connection, from, pages)?;
    // What is in the log goes into the file, and the log away.
    connection.pragma_update(None, "journal_mode", "DELETE")?;
    let key = to.map(|key| format!("x'{}'", key.to_hex().as_str()));
    connection.execute(
        "ATTACH DATABASE ?1 AS copy KEY ?2",
        (copy.to_string_lossy(), key.unwrap_or_default()),
    )?;
    if to.is_some() && pages == Pages::Bare {
        connection.execute_batch("PRAGMA copy.cipher_use_hmac = off")?;
    }
    connection.query_row("SELECT sqlcipher_export('copy')", [], |_| Ok(()))?;
    for pragma in ["user_version", "application_id"] {
        let value: i64 = connection.pragma_query_value(None, pragma, |row| row.get(0))?;
        connection.pragma_update(Some("copy"), pragma, value)?;
    }
    connection.execute_batch("DETACH DATABASE copy")?;
    Ok(())
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn remove(path: &Path) -> Result<(), Error> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(Error::Io {
            doing: "remove",
            path: path.to_owned(),
            source,
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &Path, key: Option<&SecretKey>, pages: Pages) -> (String, i64, i64, i64) {
        let connection = Connection::open(path).unwrap();
        unlock_with(&connection, key, pages).unwrap();
        let text = connection
            .query_row("SELECT x FROM t", [], |row| row.get(0))
            .unwrap();
        let pragma = |name| {
            connection
                .pragma_query_value(None, name, |row| row.get(0))
                .unwrap()
        };
        let foreign = connection
            .query_row("SELECT count(*) FROM t WHERE rowid = 9", [], |row| {
                row.get(0)
            })
            .unwrap();
        (
            text,
            pragma("user_version"),
            pragma("application_id"),
            foreign,
        )
    }

    #[test]
    fn a_plain_database_becomes_an_encrypted_one_and_plain_again() {
        for pages in [Pages::Authenticated, Pages::Bare] {
            there_and_back(pages);
        }
    }

    fn there_and_back(pages: Pages) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sqlite");
        let key = SecretKey::new([9; 32]);
        assert!(
            !convert_to(&path, Some(&key), None, pages).unwrap(),
            "there is nothing"
        );
        let connection = Connection::open(&path).unwrap();
        connection
            .pragma_update(None, "journal_mode", "WAL")
            .unwrap();
        connection
            .execute_batch(
                "CREATE TABLE t (x); CREATE INDEX i ON t (x); PRAGMA user_version = 5;
                 PRAGMA application_id = 77; INSERT INTO t (rowid, x) VALUES (9, 'DOE^JANE')",
            )
            .unwrap();
        // As a killed process leaves it: with a log that was not written back.
        let killed = tempfile::tempdir().unwrap();
        for name in ["a.sqlite", "a.sqlite-wal"] {
            std::fs::copy(folder.path().join(name), killed.path().join(name)).unwrap();
        }
        let (folder, path) = (killed.path(), killed.path().join("a.sqlite"));
        std::fs::write(beside(&path, "-converting"), "left over").unwrap();
        assert!(convert_to(&path, Some(&key), None, pages).unwrap());
        let expected = ("DOE^JANE".to_owned(), 5, 77, 1);
        assert_eq!(read(&path, Some(&key), pages), expected);
        for entry in std::fs::read_dir(folder).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            assert!(!bytes.windows(4).any(|bytes| bytes == b"DOE^"));
        }
        assert!(
            !convert_to(&path, Some(&key), None, pages).unwrap(),
            "it is done"
        );
        assert!(matches!(
            convert_to(&path, None, None, pages),
            Err(Error::NoKey)
        ));
        assert!(convert_to(&path, None, Some(&key), pages).unwrap());
        assert_eq!(read(&path, None, pages), expected);
    }
}
