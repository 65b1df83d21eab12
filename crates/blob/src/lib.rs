//! Durable storage of instances' bytes and of the archive's events: the ledger.
//!
//! The ledger is one sequence of records, kept in *packs*: append-only files that are allocated
//! before they are needed, so that a whole group of records costs one `fdatasync` and no change
//! of a directory. A record carries a few bytes of meaning (opaque to this crate) and, when it
//! brings an instance, the instance's standard Part 10 file. Large instances are files of their
//! own, written as a stream, and their record only names them.
//!
//! The ledger is the truth, the index is derived from it: what was appended and acknowledged is
//! found again by [`Blobs::replay`] after any crash, in the same order.
//!
//! With a keyring everything is encrypted: see [`cipher`].
//!
//! This crate must never know what a record means, must never parse DICOM, and must never
//! acknowledge what a power cut could take back. Its format is described in [`pack`] and
//! [`record`].

pub mod append;
pub mod blobs;
mod cipher;
pub mod error;
pub mod failpoint;
pub mod ledger;
pub mod location;
pub mod lock;
pub mod pack;
mod pack_keys;
pub mod purge;
mod random;
mod read_buffers;
pub mod record;
pub mod recovery;
pub mod replay;
pub mod staging;
mod stored_file;

pub use blobs::{BlobReader, Blobs};
pub use error::BlobError;
pub use ledger::{Ledger, Options};
pub use location::{BlobLocation, LargeId, Position};
pub use lock::DataLock;
pub use record::{
    Appended, BlobContent, NewBlob, NewRecord, Record, RecordKind, SealedBlob, StoredBlob,
};
pub use replay::Replay;
pub use staging::{LargeBlob, StagedFile};
pub use stored_file::{PackCount, count_packs, find_encrypted};
