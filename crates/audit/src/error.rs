//! What can go wrong with the audit trail.

use gantry_core::failure::Kind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A failure of the audit trail. It is cloned for all who waited for the same flush.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AuditError {
    /// The disk or the quota is full.
    #[error("no space left for the audit trail")]
    NoSpace,
    /// More is being recorded than can be written, or all readers are in use for too long.
    #[error("audit trail is busy")]
    Busy,
    /// It was closed.
    #[error("audit trail is closed")]
    Closed,
    /// The database answered with an error.
    #[error("audit trail failed: {0}")]
    Database(#[source] Arc<rusqlite::Error>),
    /// The database was made by a newer release.
    #[error("audit trail {path} has schema {found}, this release knows up to {known}")]
    NewerSchema {
        /// The database file.
        path: PathBuf,
        /// Its schema's number.
        found: u32,
        /// The newest number known here.
        known: u32,
    },
    /// There is none.
    #[error("no audit trail at {path}")]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// It cannot be read without its key, or the key is not its own.
    #[error("{path} is no audit trail, or has another key")]
    Key {
        /// The database file.
        path: PathBuf,
    },
    /// A file could not be opened, made or written.
    #[error("cannot use {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The operating system's answer.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// An event is not what events are.
    #[error("event {sequence} cannot be read: {source}")]
    Unreadable {
        /// Its number.
        sequence: u64,
        /// Why.
        #[source]
        source: Arc<serde_json::Error>,
    },
}

/// Shorthand of this crate.
pub type Result<T, E = AuditError> = std::result::Result<T, E>;

impl From<rusqlite::Error> for AuditError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{DatabaseBusy, DiskFull};
        match error.sqlite_error_code() {
            Some(DiskFull) => Self::NoSpace,
            Some(DatabaseBusy) => Self::Busy,
            _ => Self::Database(Arc::new(error)),
        }
    }
}

impl AuditError {
    pub(crate) fn sqlite(path: &Path) -> impl FnOnce(gantry_sqlite::Error) -> Self {
        let path = path.to_owned();
        move |error| match error {
            gantry_sqlite::Error::WrongKey | gantry_sqlite::Error::NoKey => Self::Key { path },
            gantry_sqlite::Error::Database(error) => error.into(),
            gantry_sqlite::Error::Io { path, source, .. } => Self::io(path)(source),
        }
    }

    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            path,
            source: Arc::new(source),
        }
    }

    /// The kind a door translates. What cannot be recorded may not be done: the same request may
    /// succeed once the trail can be written again.
    pub fn kind(&self) -> Kind {
        match self {
            Self::NoSpace | Self::Busy | Self::Closed | Self::Io { .. } => Kind::OutOfResources,
            Self::Database(_)
            | Self::NewerSchema { .. }
            | Self::Missing { .. }
            | Self::Key { .. }
            | Self::Unreadable { .. } => Kind::Internal,
        }
    }
}
