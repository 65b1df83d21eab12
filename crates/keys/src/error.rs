//! What can go wrong with keys, by what the caller can do about it.

use crate::keyring::KeyId;
use crate::master::MasterId;
use std::path::{Path, PathBuf};

/// A failure to get, make or change keys. None of them changes a key that was there.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// More than one place of the master key is configured.
    #[error(
        "only one of master_key_file, master_key_env and key_command can say where the master key is"
    )]
    Ambiguous,
    /// There are keys that the master key wraps, and it is not where it should be.
    #[error(
        "the master key is missing: {place}; what is stored cannot be read without it, bring it back (nothing was changed)"
    )]
    MasterMissing {
        /// Where it was looked for.
        place: String,
    },
    /// The master key is there, and it is another one.
    #[error(
        "the master key {found} in {place} is not the one ({wanted}) that this archive's keys are wrapped with (nothing was changed)"
    )]
    WrongMaster {
        /// Where it was found.
        place: String,
        /// The key that is there.
        found: String,
        /// The key that is needed.
        wanted: MasterId,
    },
    /// Something is encrypted, and the keys are not there.
    #[error(
        "{what} is encrypted, and the keys in {folder} are missing: bring them back from a backup (nothing was changed)"
    )]
    Lost {
        /// What shows that there were keys.
        what: String,
        /// Where they should be.
        folder: PathBuf,
    },
    /// A data key that something was encrypted with is not there.
    #[error("data key {0} is missing")]
    NoSuchKey(KeyId),
    /// A file does not hold what it should.
    #[error("{path}: {what}")]
    Damaged {
        /// The file, or what stands for one.
        path: String,
        /// What is wrong.
        what: &'static str,
    },
    /// The program that wraps keys failed.
    #[error("the key command {program} {action} failed: {what}")]
    Command {
        /// The program.
        program: String,
        /// `wrap` or `unwrap`.
        action: &'static str,
        /// What happened.
        what: String,
    },
    /// There is no new master key to change to.
    #[error("{0}")]
    NothingToRotate(String),
    /// The system gives no random bits.
    #[error("the system gives no random bits")]
    Random,
    /// A file could not be read or written.
    #[error("cannot {doing} {path}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's answer.
        #[source]
        source: std::io::Error,
    },
}

impl KeyError {
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            doing,
            path,
            source,
        }
    }

    pub(crate) fn damaged(path: &Path, what: &'static str) -> Self {
        Self::Damaged {
            path: path.display().to_string(),
            what,
        }
    }
}

/// Shorthand of this crate.
pub type Result<T, E = KeyError> = std::result::Result<T, E>;
