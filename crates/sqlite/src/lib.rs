//! How the SQLite databases of an archive are opened: encrypted with a key (SQLCipher), or plain.
//!
//! Every connection calls [`unlock`] before anything else; before the first one, whoever holds
//! the data folder calls [`convert`], which brings a database from before encryption was switched
//! on (or off) into the form that is asked for.

mod convert;

pub use convert::{convert, convert_to};

use gantry_core::secret::SecretKey;
use rusqlite::{Connection, ErrorCode};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// How a plain database begins; an encrypted one begins with a random salt.
const PLAIN_START: &[u8; 16] = b"SQLite format 3\0";

/// Whether the pages of an encrypted database carry a code that shows whether they were changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pages {
    /// They do: for what cannot be made again.
    Authenticated,
    /// They do not, which costs a third of the time: for what can be made again and compared, as
    /// the index.
    Bare,
}

/// Why a database cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is encrypted with another key, or damaged, or it is plain and should not be.
    #[error("the database cannot be read with this key")]
    WrongKey,
    /// It is encrypted, and there is no key.
    #[error("the database is encrypted, and there is no key for it")]
    NoKey,
    /// The database answered with an error.
    #[error("database failed")]
    Database(#[from] rusqlite::Error),
    /// A file could not be read, written or moved.
    #[error("cannot {doing} {path}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The operating system's answer.
        #[source]
        source: std::io::Error,
    },
}

/// Gives a fresh connection its key, if there is one, and looks whether it is the right one.
/// It must be the first thing that happens on the connection. A database that does not exist yet
/// becomes one of this key.
///
/// # Errors
/// [`Error::WrongKey`] or [`Error::NoKey`] when the database cannot be read this way.
pub fn unlock(connection: &Connection, key: Option<&SecretKey>) -> Result<(), Error> {
    unlock_with(connection, key, Pages::Authenticated)
}

/// As [`unlock`], with pages of this kind.
///
/// # Errors
/// As [`unlock`].
pub fn unlock_with(
    connection: &Connection,
    key: Option<&SecretKey>,
    pages: Pages,
) -> Result<(), Error> {
    if let Some(key) = key {
        set_key(connection, key)?;
        if pages == Pages::Bare {
            connection.execute_batch("PRAGMA cipher_use_hmac = off")?;
        }
    }
    let read = connection.query_row("PRAGMA schema_version", [], |row| row.get::<_, i64>(0));
    match read {
        Ok(_) => Ok(()),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) => {
            Err(match key {
                Some(_) => Error::WrongKey,
                None => Error::NoKey,
            })
        }
        Err(error) => Err(error.into()),
    }
}

/// A raw key: nothing is derived from it that would take time.
fn set_key(connection: &Connection, key: &SecretKey) -> Result<(), Error> {
    let statement = format!("PRAGMA key = \"x'{}'\"", key.to_hex().as_str());
    connection.execute_batch(&statement)?;
    Ok(())
}

/// Whether the database at `path` is there and encrypted (or no database at all).
///
/// # Errors
/// When the file cannot be read.
pub fn is_encrypted(path: &Path) -> Result<bool, Error> {
    Ok(form(path)? == Form::Encrypted)
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Not there, or empty.
    Nothing,
    Plain,
    Encrypted,
}

pub(crate) fn form(path: &Path) -> Result<Form, Error> {
    let mut start = [0; 16];
    let read = File::open(path).and_then(|mut file| {
        let mut filled = 0;
        while let Some(rest) = start.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match file.read(rest)? {
                0 => break,
                read => filled += read,
            }
        }
        Ok(filled)
    });
    match read {
        Ok(0) => Ok(Form::Nothing),
        Ok(_) if &start == PLAIN_START => Ok(Form::Plain),
        Ok(_) => Ok(Form::Encrypted),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Form::Nothing),
        Err(source) => Err(Error::Io {
            doing: "read",
            path: path.to_owned(),
            source,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_key_opens_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sqlite");
        let key = SecretKey::new([7; 32]);
        let connection = Connection::open(&path).unwrap();
        unlock(&connection, Some(&key)).unwrap();
        connection
            .pragma_update(None, "journal_mode", "WAL")
            .unwrap();
        connection
            .execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES ('DOE^JANE')")
            .unwrap();
        let wal = std::fs::read(folder.path().join("a.sqlite-wal")).unwrap();
        assert!(wal.len() > 4096);
        assert!(!wal.windows(8).any(|bytes| bytes == b"DOE^JANE"));
        drop(connection);
        assert!(is_encrypted(&path).unwrap());

        let connection = Connection::open(&path).unwrap();
        unlock(&connection, Some(&key)).unwrap();
        let found: String = connection
            .query_row("SELECT x FROM t", [], |row| row.get(0))
            .unwrap();
        assert_eq!(found, "DOE^JANE");
        let other = Connection::open(&path).unwrap();
        let refused = unlock(&other, Some(&SecretKey::new([8; 32])));
        assert!(matches!(refused, Err(Error::WrongKey)), "{refused:?}");
        let other = Connection::open(&path).unwrap();
        assert!(matches!(unlock(&other, None), Err(Error::NoKey)));
    }

    #[test]
    fn a_changed_page_is_refused() {
        use std::os::unix::fs::FileExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sqlite");
        let key = SecretKey::new([7; 32]);
        let connection = Connection::open(&path).unwrap();
        unlock(&connection, Some(&key)).unwrap();
        connection
            .execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (1)")
            .unwrap();
        drop(connection);
        let file = File::options().read(true).write(true).open(&path).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, 4096 + 100).unwrap();
        file.write_all_at(&[byte[0] ^ 1], 4096 + 100).unwrap();
        let connection = Connection::open(&path).unwrap();
        unlock(&connection, Some(&key)).unwrap();
        let read = connection.query_row("SELECT x FROM t", [], |row| row.get::<_, i64>(0));
        assert!(read.is_err());
    }

    #[test]
    fn forms_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sqlite");
        assert_eq!(form(&path).unwrap(), Form::Nothing);
        File::create(&path).unwrap();
        assert_eq!(form(&path).unwrap(), Form::Nothing);
        Connection::open(&path)
            .unwrap()
            .execute_batch("CREATE TABLE t (x)")
            .unwrap();
        assert_eq!(form(&path).unwrap(), Form::Plain);
    }
}
