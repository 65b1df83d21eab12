//! The ledger, open for writing.

use crate::append::Writer;
use crate::blobs::Blobs;
use crate::cipher::{DataCipher, Salt, sealed_length};
use crate::error::{BlobError, Result};
use crate::location::{LargeId, Position};
use crate::lock::DataLock;
use crate::read_buffers::ReadBuffers;
use crate::record::{Appended, BlobContent, Header, NewBlob, NewRecord, SealedBlob, prefix_digest};
use crate::recovery;
use crate::staging::StagedFile;
use bytes::Bytes;
use gantry_keys::Keyring;
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
    cipher: Option<Arc<DataCipher>>,
    buffers: Arc<ReadBuffers>,
    writer: Mutex<Writer>,
    damage: Vec<BlobError>,
    _lock: DataLock,
}

impl Ledger {
    /// Opens the ledger of the locked data folder, or begins one. A torn tail is cut off, what
    /// was staged and never finished is removed. With a keyring that has a key for what is new,
    /// new packs and large blobs are encrypted.
    ///
    /// # Errors
    /// When the files cannot be read or written or are not this archive's; [`BlobError::NoKey`]
    /// when the newest pack is encrypted with a key that is not there. Damaged records do not keep
    /// the ledger from opening: see [`Self::damage`].
    pub fn open(lock: DataLock, options: Options, keyring: Option<Arc<Keyring>>) -> Result<Self> {
        let newest = keyring.as_ref().and_then(|keyring| keyring.newest());
        let cipher = newest.map(|key| Arc::new(DataCipher::new(key)));
        let blobs = Blobs::open(lock.root(), keyring);
        let recovered = recovery::recover(&blobs, &options, cipher.clone())?;
        Ok(Self {
            blobs,
            options,
            cipher,
            buffers: Arc::default(),
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

    /// Most bytes that one [`Self::append`] takes: what [`Self::length_of`] says of its records,
    /// added up.
    pub fn batch_bytes_max(&self) -> u64 {
        Writer::capacity(&self.options)
    }

    /// Bytes that a record takes in a pack.
    pub fn length_of(&self, record: &NewRecord) -> u64 {
        let header = Header::of(record, 0, 0, self.cipher.is_some());
        header.map_or(u64::MAX, |header| header.total_length())
    }

    /// Makes of the bytes of a small blob what is appended: encrypts them, when the ledger is
    /// encrypted. It is for the thread that brings them; [`Self::append`] does it otherwise, in the
    /// one thread that writes. `data_set_offset` is that of the blob.
    ///
    /// # Errors
    /// When the system gives no random bits.
    pub fn seal(&self, parts: Vec<Bytes>, data_set_offset: u32) -> Result<BlobContent> {
        let Some(cipher) = &self.cipher else {
            return Ok(BlobContent::Inline(parts));
        };
        let length = parts.iter().map(|part| part.len() as u64).sum();
        let mut salt = Salt::default();
        gantry_keys::random(&mut salt).map_err(|_| BlobError::Cipher)?;
        let sealed_length =
            usize::try_from(sealed_length(length)).map_err(|_| BlobError::Cipher)?;
        let mut chunks = self.buffers.lend(sealed_length);
        cipher
            .object(&salt, length)?
            .seal_all(&parts, chunks.as_mut())?;
        Ok(BlobContent::Sealed(SealedBlob {
            key: cipher.id(),
            salt,
            length,
            prefix_digest: prefix_digest(&parts, data_set_offset as usize),
            chunks: chunks.into_bytes(),
        }))
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
        let is_unsealed = |record: &NewRecord| {
            let content = record.blob.as_ref().map(|blob| &blob.content);
            matches!(content, Some(BlobContent::Inline(_)))
        };
        if self.cipher.is_none() || !batch.iter().any(is_unsealed) {
            return self.lock().append(batch, &self.options);
        }
        let batch: Vec<_> = batch
            .iter()
            .map(|record| self.seal_record(record))
            .collect::<Result<_>>()?;
        self.lock().append(&batch, &self.options)
    }

    /// A copy of a record as it is appended to an encrypted ledger.
    fn seal_record(&self, record: &NewRecord) -> Result<NewRecord> {
        let blob = match &record.blob {
            None => None,
            Some(blob) => Some(NewBlob {
                content: match &blob.content {
                    BlobContent::Inline(parts) => self.seal(parts.clone(), blob.data_set_offset)?,
                    BlobContent::Sealed(sealed) => BlobContent::Sealed(sealed.clone()),
                    BlobContent::Large(large) => BlobContent::Large(large.clone()),
                },
                ..*blob
            }),
        };
        Ok(NewRecord {
            kind: record.kind,
            meta: record.meta.clone(),
            blob,
        })
    }

    /// Begins a file for a large blob.
    ///
    /// # Errors
    /// [`BlobError::NoSpace`] when the disk is full or nearly so.
    pub fn stage(&self) -> Result<StagedFile> {
        StagedFile::create(
            self.blobs.folders(),
            self.options.reserve_bytes,
            self.cipher.clone(),
        )
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
