//! The ledger, open for writing.

use crate::append::Writer;
use crate::blobs::Blobs;
use crate::error::{BlobError, Result};
use crate::location::{LargeId, Position};
use crate::lock::DataLock;
use crate::record::{Appended, NewRecord};
use crate::recovery;
use crate::staging::StagedFile;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Sizes of the store.
#[derive(Debug, Clone)]
pub struct Options {
    /// Size of a pack in bytes: allocated at once, so an archive takes at least this much room.
    pub pack_bytes: u64,
    /// Longest blob that goes into a pack; longer ones become files of their own.
    pub inline_bytes_max: u64,
    /// Free bytes of the disk below which no more instances are taken, so that there is room
    /// for the index, for deletions and for what else must be written to make room again.
    pub reserve_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            pack_bytes: 256 << 20,
            inline_bytes_max: 4 << 20,
            reserve_bytes: 128 << 20,
        }
    }
}

/// The ledger, open for writing. All methods block on the disk.
#[derive(Debug)]
pub struct Ledger {
    blobs: Arc<Blobs>,
    options: Options,
    writer: Mutex<Writer>,
    damage: Vec<BlobError>,
    _lock: DataLock,
}

impl Ledger {
    /// Opens the ledger of the locked data folder, or begins one. A torn tail is cut off, what
    /// was staged and never finished is removed.
    ///
    /// # Errors
    /// When the files cannot be read or written or are not this archive's. Damaged records do
    /// not keep the ledger from opening: see [`Self::damage`].
    pub fn open(lock: DataLock, options: Options) -> Result<Self> {
        let blobs = Blobs::open(lock.root());
        let recovered = recovery::recover(&blobs, &options)?;
        Ok(Self {
            blobs,
            options,
            writer: Mutex::new(recovered.writer),
            damage: recovered.damage,
            _lock: lock,
        })
    }

    /// Records of the newest pack that were found damaged while it was opened.
    pub fn damage(&self) -> &[BlobError] {
        &self.damage
    }

    /// The blobs, for reading.
    pub fn blobs(&self) -> &Arc<Blobs> {
        &self.blobs
    }

    /// The options it was opened with.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The position after the last record.
    pub fn end(&self) -> Position {
        self.lock().end()
    }

    /// Most bytes that one [`Self::append`] takes: what [`NewRecord::length`] says of its
    /// records, added up.
    pub fn batch_bytes_max(&self) -> u64 {
        Writer::capacity(&self.options)
    }

    /// Writes all records of `batch`, then makes them durable at once. When it returns, they
    /// are; when it fails, none of them is part of the ledger.
    ///
    /// A batch is one flush: many callers share one. Records are visible to readers in the
    /// order of `batch`.
    ///
    /// # Errors
    /// [`BlobError::NoSpace`] when the disk is full (or nearly, for instances): the ledger
    /// stays usable, and the same batch works once there is room. [`BlobError::TooLarge`] when
    /// the batch exceeds [`Self::batch_bytes_max`].
    pub fn append(&self, batch: &[NewRecord]) -> Result<Vec<Appended>> {
        self.lock().append(batch, &self.options)
    }

    /// Begins a file for a large blob.
    ///
    /// # Errors
    /// [`BlobError::NoSpace`] when the disk is full or nearly so.
    pub fn stage(&self) -> Result<StagedFile> {
        StagedFile::create(self.blobs.folders(), self.options.reserve_bytes)
    }

    /// Removes files of large blobs that no record names: those for which `is_known` says no,
    /// when they are at least `age_min` old (younger ones may be on their way into the ledger).
    /// Returns how many files and bytes that were.
    ///
    /// # Errors
    /// When the files cannot be listed or removed.
    pub fn sweep_orphans(
        &self,
        age_min: Duration,
        is_known: impl FnMut(LargeId) -> bool,
    ) -> Result<(u64, u64)> {
        crate::staging::sweep_orphans(self.blobs.folders(), age_min, is_known)
    }

    fn lock(&self) -> MutexGuard<'_, Writer> {
        // The writer's state changes only after the bytes it describes are durable: a panic in
        // between leaves the state before.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
