//! What can go wrong with the index, by what the caller can do about it.

use gantry_blob::Position;
use gantry_core::failure::Kind;
use rusqlite::ErrorCode;
use std::path::PathBuf;

/// A failure of the index.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The disk or the quota is full. The transaction was undone; the same one works once there
    /// is room again.
    #[error("no space left for the index")]
    NoSpace,
    /// All readers are in use for too long.
    #[error("index is busy")]
    Busy,
    /// The caller gave up.
    #[error("search was cancelled")]
    Cancelled,
    /// The database answered with an error.
    #[error("index failed")]
    Database(#[source] rusqlite::Error),
    /// It cannot be opened with the key that there is.
    #[error("index cannot be opened")]
    Key(#[from] gantry_sqlite::Error),
    /// The database was made by a newer release.
    #[error("index {path} has schema {found}, this release knows up to {known}")]
    NewerSchema {
        /// The database file.
        path: PathBuf,
        /// Its schema's number.
        found: u32,
        /// The newest number known here.
        known: u32,
    },
    /// There is no index there.
    #[error("no index at {path}")]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// A file could not be opened or made.
    #[error("cannot open {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The operating system's answer.
        #[source]
        source: std::io::Error,
    },
    /// A row holds what cannot be.
    #[error("row {id} of table {table} holds no valid {column}")]
    Row {
        /// The table.
        table: &'static str,
        /// The row's key.
        id: i64,
        /// The column.
        column: &'static str,
    },
    /// A change would leave out records of the ledger: they have to be replayed first.
    #[error("index has applied the ledger up to {applied}, the change begins at {from}")]
    Gap {
        /// How far the ledger was applied.
        applied: Position,
        /// Where the change begins.
        from: Position,
    },
}

/// Shorthand of this crate.
pub type Result<T, E = IndexError> = std::result::Result<T, E>;

impl From<rusqlite::Error> for IndexError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::NoSpace,
            Some(ErrorCode::DatabaseBusy) => Self::Busy,
            Some(ErrorCode::OperationInterrupted) => Self::Cancelled,
            _ => Self::Database(error),
        }
    }
}

impl IndexError {
    /// The kind a door translates.
    pub fn kind(&self) -> Kind {
        match self {
            Self::NoSpace | Self::Busy => Kind::OutOfResources,
            Self::Cancelled => Kind::Cancelled,
            Self::Database(error) => match error.sqlite_error_code() {
                Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::SystemIoFailure) => {
                    Kind::OutOfResources
                }
                _ => Kind::Internal,
            },
            Self::Key(_)
            | Self::NewerSchema { .. }
            | Self::Missing { .. }
            | Self::Io { .. }
            | Self::Row { .. }
            | Self::Gap { .. } => Kind::Internal,
        }
    }
}
