//! What can go wrong with stored bytes, by what the caller can do about it.

use crate::location::{BlobLocation, Position};
use gantry_core::failure::Kind;
use gantry_keys::KeyError;
use std::io;
use std::path::PathBuf;

/// A failure of the blob store.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// The disk or the quota is full. Nothing of the failed operation is left behind and the
    /// same operation works once there is room again.
    #[error("no space left for {doing}")]
    NoSpace {
        /// What was being written.
        doing: &'static str,
    },
    /// The operating system refused an operation.
    #[error("cannot {doing} {path}")]
    Io {
        /// The operation, as a verb.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's answer.
        #[source]
        source: io::Error,
    },
    /// Bytes that had been acknowledged are not what was written.
    #[error("pack {pack} is damaged at byte {offset}: {what}")]
    Corrupt {
        /// The pack's number.
        pack: u32,
        /// Where the damaged record begins.
        offset: u64,
        /// What does not fit.
        what: &'static str,
    },
    /// The bytes of a blob do not have the digest they should have.
    #[error("content of {location} does not match its digest")]
    DigestMismatch {
        /// The blob.
        location: BlobLocation,
    },
    /// Encrypted bytes of a blob are not what was written: they were changed, or lost, or another
    /// blob's are in their place. What they should be cannot be told.
    #[error("content of {location} is not what was written there")]
    Unauthentic {
        /// The blob.
        location: BlobLocation,
    },
    /// A file is encrypted, and its key is not there.
    #[error("{path} is encrypted, and its key is missing")]
    NoKey {
        /// The file.
        path: PathBuf,
        /// What the keys say.
        #[source]
        source: Option<KeyError>,
    },
    /// Something could not be encrypted.
    #[error("cannot encrypt")]
    Cipher,
    /// There is no such blob.
    #[error("no blob at {location}")]
    NotFound {
        /// Where it should be.
        location: BlobLocation,
    },
    /// The range does not lie inside the blob.
    #[error("bytes {start}..{end} are outside of {location}")]
    OutOfRange {
        /// The blob.
        location: BlobLocation,
        /// First byte asked for.
        start: u64,
        /// Byte after the last one asked for.
        end: u64,
    },
    /// Another process has this data folder open for writing.
    #[error("data folder {path} is in use by another process{holder}")]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// What the holder wrote about itself, or nothing.
        holder: String,
    },
    /// The ledger has no such position: it is older than what the index has seen, or another
    /// archive's.
    #[error("ledger has no position {0}")]
    UnknownPosition(Position),
    /// A record or a batch is larger than a pack can hold.
    #[error("{bytes} bytes do not fit into a pack of {capacity}")]
    TooLarge {
        /// Size of the record or batch.
        bytes: u64,
        /// What fits.
        capacity: u64,
    },
    /// The data folder was written by a newer release.
    #[error("{path} has format {found}, this release knows up to {known}")]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Its format version.
        found: u16,
        /// The newest version known here.
        known: u16,
    },
    /// The data folder's files contradict each other.
    #[error("{path}: {what}")]
    Inconsistent {
        /// The file or folder.
        path: PathBuf,
        /// The contradiction.
        what: &'static str,
    },
}

impl BlobError {
    /// Turns an operating system's answer into the error the caller can act on.
    pub(crate) fn io(
        doing: &'static str,
        path: impl Into<PathBuf>,
        source: impl Into<io::Error>,
    ) -> Self {
        let source = source.into();
        if is_no_space(&source) {
            Self::NoSpace { doing }
        } else {
            Self::Io {
                doing,
                path: path.into(),
                source,
            }
        }
    }

    /// The kind a door translates.
    pub fn kind(&self) -> Kind {
        match self {
            Self::NoSpace { .. } => Kind::OutOfResources,
            Self::Io { source, .. } if is_read_only(source) => Kind::OutOfResources,
            Self::NotFound { .. } => Kind::NotFound,
            // Commands look for the server that has the folder.
            Self::Locked { .. } => Kind::Conflict,
            Self::Io { .. }
            | Self::Corrupt { .. }
            | Self::DigestMismatch { .. }
            | Self::Unauthentic { .. }
            | Self::NoKey { .. }
            | Self::Cipher
            | Self::OutOfRange { .. }
            | Self::UnknownPosition(_)
            | Self::TooLarge { .. }
            | Self::NewerFormat { .. }
            | Self::Inconsistent { .. } => Kind::Internal,
        }
    }
}

fn is_no_space(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// A file system that the kernel has remounted read-only refuses like a full one: the sender may
/// try again later, the archive has not lost anything.
fn is_read_only(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ReadOnlyFilesystem
}

/// Shorthand of this crate.
pub type Result<T, E = BlobError> = std::result::Result<T, E>;
