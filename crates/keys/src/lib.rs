//! Keys for encryption at rest.
//!
//! ```text
//! master key          in a file, an environment variable, or wrapped by a program (a KMS)
//!   └ wraps (AES-256-GCM) the data keys, small files in <data>/keys/
//!       ├ the root key: the keys of databases are derived from it; it never changes
//!       └ data keys: those of packs and large objects; the newest is used for what is new
//!           └ each object has a key of its own, derived with a random salt (crate `blob`)
//! ```
//!
//! Changing the master key wraps the data keys again and touches nothing else, so it takes
//! moments, however much is stored. Nothing here makes a new key where there may be data that an
//! older one has encrypted: see [`Keyring::open`].
//!
//! Why it is so: `docs/adr/0003-encryption-at-rest.md`.

mod atomic;
pub mod config;
pub mod error;
mod hook;
mod keyring;
mod master;
mod rotation;
mod wrapped;

pub use aws_lc_rs::aead;
pub use config::EncryptionConfig;
pub use error::KeyError;
pub use keyring::{DataKey, KeyId, Keyring, Status};
pub use master::MasterId;
pub use rotation::{Progress, rotate};

/// Fills `bytes` with random bits that nobody can guess.
///
/// # Errors
/// [`KeyError::Random`] when the system has none.
pub fn random(bytes: &mut [u8]) -> Result<(), KeyError> {
    aws_lc_rs::rand::fill(bytes).map_err(|_| KeyError::Random)
}
