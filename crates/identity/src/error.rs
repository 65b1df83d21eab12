//! What can go wrong.

use gantry_core::failure::Kind;
use std::path::PathBuf;

/// A failed request about people and their rights.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// Login, password, code, token or link is not right; which of them is not told.
    #[error("the credentials are not right")]
    WrongCredentials,
    /// Too many failed attempts.
    #[error("there were too many failed attempts; try again in {seconds} s")]
    Blocked {
        /// Seconds until the next attempt is looked at.
        seconds: u64,
    },
    /// More passwords are being checked than the machine's memory allows.
    #[error("too many logins at once; try again in a moment")]
    Busy,
    /// The password is too easy to guess.
    #[error("{why}")]
    WeakPassword {
        /// In words for the person.
        why: String,
    },
    /// What was asked for makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// There is no such person, role, token…
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// It contradicts what there is.
    #[error("{0}")]
    Conflict(String),
    /// It is not for the one who asks.
    #[error("{0}")]
    Forbidden(String),
    /// An identity provider or directory does not answer as it should.
    #[error("{0}")]
    Provider(String),
    /// The database was written by a newer release.
    #[error(
        "{} has schema version {found}, this release knows up to {known}: it was written by a \
         newer release",
        path.display()
    )]
    NewerSchema {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The newest known.
        known: u32,
    },
    /// The file cannot be read: it is damaged, or the key is another one.
    #[error("{} cannot be opened: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<gantry_sqlite::Error>,
    },
    /// What is stored cannot be understood.
    #[error("{0} of the identity database is damaged")]
    Damaged(&'static str),
    /// The database failed.
    #[error("identity database: {0}")]
    Database(#[from] rusqlite::Error),
    /// The file system failed.
    #[error("identity database: {0}")]
    Io(#[from] std::io::Error),
    /// The system gives no random numbers, or a key is of no use.
    #[error("cryptography failed")]
    Cryptography,
}

/// A result of this crate.
pub type Result<T> = std::result::Result<T, IdentityError>;

impl IdentityError {
    /// What kind of failure it is, for doors to translate.
    pub fn kind(&self) -> Kind {
        match self {
            Self::WrongCredentials => Kind::Unauthenticated,
            Self::Blocked { .. } | Self::Busy | Self::Provider(_) => Kind::OutOfResources,
            Self::WeakPassword { .. } | Self::Invalid(_) => Kind::Malformed,
            Self::NotFound(_) => Kind::NotFound,
            Self::Conflict(_) => Kind::Conflict,
            Self::Forbidden(_) => Kind::Forbidden,
            Self::NewerSchema { .. }
            | Self::Unreadable { .. }
            | Self::Damaged(_)
            | Self::Database(_)
            | Self::Io(_)
            | Self::Cryptography => Kind::Internal,
        }
    }

    pub(crate) fn invalid(why: impl Into<String>) -> Self {
        Self::Invalid(why.into())
    }
}
