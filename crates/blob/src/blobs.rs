//! Reading blobs.

use crate::cipher::CHUNK_LENGTH;
use crate::error::{BlobError, Result};
use crate::location::{BlobLocation, LargeId, Position};
use crate::pack;
use crate::read_buffers::{Lent, ReadBuffers};
use crate::replay::Replay;
use crate::stored_file::{LargePaths, Object, Patience, Stop, StoredFile, large_file_length};
use bytes::Bytes;
use gantry_keys::Keyring;
use std::collections::HashMap;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Open files kept for reading.
const OPEN_FILES_MAX: usize = 256;
/// Bytes read at a time while a digest is computed.
const VERIFY_LENGTH: usize = 1 << 20;

/// The stored blobs of a data folder, for reading. Needs no lock: it may be opened beside a
/// running archive, whose unfinished records it does not see.
///
/// All methods block on the disk.
#[derive(Debug)]
pub struct Blobs {
    folders: Folders,
    keyring: Option<Arc<Keyring>>,
    open_files: Mutex<OpenFiles>,
    buffers: Arc<ReadBuffers>,
}

/// The folders of the store.
#[derive(Debug, Clone)]
pub(crate) struct Folders {
    pub packs: PathBuf,
    pub large: PathBuf,
    pub staging: PathBuf,
    pub blobs: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum FileKey {
    Pack(u32),
    Large(LargeId),
}

#[derive(Debug, Default)]
struct OpenFiles {
    files: HashMap<FileKey, (Arc<StoredFile>, u64)>,
    uses: u64,
}

impl Folders {
    pub fn of(root: &Path) -> Self {
        let blobs = root.join("blobs");
        Self {
            packs: blobs.join("packs"),
            large: blobs.join("large"),
            staging: blobs.join("staging"),
            blobs,
        }
    }

    /// The paths of a large blob's file.
    pub fn large(&self, id: LargeId) -> LargePaths {
        LargePaths::of(&self.large, id)
    }
}

impl Blobs {
    /// The blobs under the data folder `root`. Nothing is touched. What is encrypted is read with
    /// the keys of the keyring.
    pub fn open(root: &Path, keyring: Option<Arc<Keyring>>) -> Arc<Self> {
        Arc::new(Self {
            folders: Folders::of(root),
            keyring,
            open_files: Mutex::default(),
            buffers: Arc::default(),
        })
    }

    pub(crate) fn folders(&self) -> &Folders {
        &self.folders
    }

    pub(crate) fn keyring(&self) -> Option<&Keyring> {
        self.keyring.as_deref()
    }

    /// The file a blob lies in.
    fn file(&self, location: &BlobLocation) -> Result<Arc<StoredFile>> {
        let key = match *location {
            BlobLocation::Pack { pack, .. } => FileKey::Pack(pack),
            BlobLocation::Large { id, .. } => FileKey::Large(id),
        };
        if let Some(file) = self.lock().find(key) {
            return Ok(file);
        }
        let file = StoredFile::open(&self.folders, location, self.keyring())?;
        let file = Arc::new(file.ok_or(BlobError::NotFound {
            location: *location,
        })?);
        self.lock().keep(key, Arc::clone(&file));
        Ok(file)
    }

    /// Whether the file of a large blob is as long as the blob.
    pub(crate) fn is_as_long_as_it_should_be(&self, location: &BlobLocation) -> Result<bool> {
        let stored = self.file(location)?;
        let metadata = stored.file.metadata();
        let metadata = metadata.map_err(|error| self.read_error(location, error))?;
        Ok(metadata.len() == large_file_length(location.length(), stored.cipher.is_some()))
    }

    pub(crate) fn forget(&self, key: FileKey) {
        self.lock().files.remove(&key);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, OpenFiles> {
        // A panic while it was held cannot leave the map half changed.
        self.open_files
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The bytes of a blob in `range`, counted from the blob's first. The caller bounds the
    /// length of the range: all of it is in memory.
    ///
    /// # Errors
    /// [`BlobError::OutOfRange`], [`BlobError::NotFound`], or what the disk answers.
    pub fn read_range(&self, location: &BlobLocation, range: Range<u64>) -> Result<Bytes> {
        let mut buffer = self.lend(location, &range)?;
        self.file(location)?
            .fill(location, range.start, buffer.as_mut(), Patience::Wait)
            .map_err(|stop| self.stopped(location, stop))?;
        Ok(buffer.into_bytes())
    }

    /// As [`Self::read_range`], when that needs no waiting: none when some of the bytes are not
    /// in the page cache. What is read this way costs a copy and no change of threads.
    ///
    /// # Errors
    /// As [`Self::read_range`].
    pub fn read_range_at_once(
        &self,
        location: &BlobLocation,
        range: Range<u64>,
    ) -> Result<Option<Bytes>> {
        let mut buffer = self.lend(location, &range)?;
        let stored = self.file(location)?;
        match stored.fill(location, range.start, buffer.as_mut(), Patience::AtOnce) {
            Ok(()) => Ok(Some(buffer.into_bytes())),
            Err(Stop::WouldWait) => Ok(None),
            Err(stop) => Err(self.stopped(location, stop)),
        }
    }

    /// A buffer for a range of a blob.
    fn lend(&self, location: &BlobLocation, range: &Range<u64>) -> Result<Lent> {
        let out_of_range = || BlobError::OutOfRange {
            location: *location,
            start: range.start,
            end: range.end,
        };
        if range.start > range.end || range.end > location.length() {
            return Err(out_of_range());
        }
        let length = usize::try_from(range.end - range.start).map_err(|_| out_of_range())?;
        Ok(self.buffers.lend(length))
    }

    /// Fills the front of `buffer` from the blob's bytes at `offset`; returns how many bytes
    /// that were: fewer than the buffer has only at the blob's end.
    ///
    /// # Errors
    /// [`BlobError::NotFound`], or what the disk answers.
    pub fn read_into(
        &self,
        location: &BlobLocation,
        offset: u64,
        buffer: &mut [u8],
    ) -> Result<usize> {
        let left = location.length().saturating_sub(offset);
        let length = buffer
            .len()
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        let front = buffer.split_at_mut(length).0;
        self.file(location)?
            .fill(location, offset, front, Patience::Wait)
            .map_err(|stop| self.stopped(location, stop))?;
        Ok(length)
    }

    fn stopped(&self, location: &BlobLocation, stop: Stop) -> BlobError {
        match stop {
            Stop::Changed => BlobError::Unauthentic {
                location: *location,
            },
            Stop::WouldWait => self.read_error(location, io::ErrorKind::WouldBlock.into()),
            Stop::Disk(error) => self.read_error(location, error),
        }
    }

    fn read_error(&self, location: &BlobLocation, error: io::Error) -> BlobError {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return BlobError::NotFound {
                location: *location,
            };
        }
        let path = match *location {
            BlobLocation::Pack { pack, .. } => pack::path(&self.folders.packs, pack),
            BlobLocation::Large { id, .. } => self.folders.large(id).folder,
        };
        BlobError::io("read", path, error)
    }

    /// A blob as a stream.
    ///
    /// # Errors
    /// [`BlobError::NotFound`], or what the disk answers.
    pub fn reader(&self, location: &BlobLocation) -> Result<BlobReader> {
        let file = self.file(location)?;
        let object = file
            .object(location, Patience::Wait)
            .map_err(|stop| self.stopped(location, stop))?;
        Ok(BlobReader {
            file,
            object,
            location: *location,
            at: 0,
            chunk: Vec::new(),
            chunk_start: 0,
        })
    }

    /// Reads a blob and compares the BLAKE3 of its bytes from `data_set_offset` on.
    ///
    /// # Errors
    /// [`BlobError::DigestMismatch`] when they differ.
    pub fn verify(
        &self,
        location: &BlobLocation,
        data_set_offset: u64,
        digest: &[u8; 32],
    ) -> Result<()> {
        let mut hasher = blake3::Hasher::new();
        let mut at = data_set_offset;
        let mut buffer = vec![0; VERIFY_LENGTH];
        loop {
            let length = match self.read_into(location, at, &mut buffer) {
                Err(BlobError::Unauthentic { location }) => {
                    return Err(BlobError::DigestMismatch { location });
                }
                length => length?,
            };
            if length == 0 {
                break;
            }
            hasher.update(buffer.split_at(length).0);
            at = at.saturating_add(length as u64);
        }
        if hasher.finalize().as_bytes() == digest {
            Ok(())
        } else {
            Err(BlobError::DigestMismatch {
                location: *location,
            })
        }
    }

    /// The records from `from` on, in the order in which they were appended.
    ///
    /// # Errors
    /// When the packs cannot be listed or do not form a chain.
    pub fn replay(self: &Arc<Self>, from: Position) -> Result<Replay> {
        Replay::open(Arc::clone(self), from)
    }
}

impl OpenFiles {
    fn find(&mut self, key: FileKey) -> Option<Arc<StoredFile>> {
        self.uses += 1;
        let uses = self.uses;
        self.files.get_mut(&key).map(|(file, used)| {
            *used = uses;
            Arc::clone(file)
        })
    }

    fn keep(&mut self, key: FileKey, file: Arc<StoredFile>) {
        if self.files.len() >= OPEN_FILES_MAX {
            let oldest = self
                .files
                .iter()
                .min_by_key(|(_, (_, used))| *used)
                .map(|(key, _)| *key);
            oldest.map(|oldest| self.files.remove(&oldest));
        }
        self.files.insert(key, (file, self.uses));
    }
}

/// A blob as a stream.
#[derive(Debug)]
pub struct BlobReader {
    file: Arc<StoredFile>,
    /// What it is decrypted with; none when it is plain.
    object: Option<Object>,
    location: BlobLocation,
    at: u64,
    /// The decrypted bytes around `at`.
    chunk: Vec<u8>,
    chunk_start: u64,
}

impl BlobReader {
    /// Length of the blob in bytes.
    pub fn length(&self) -> u64 {
        self.location.length()
    }

    /// Decrypts the chunk in which the reader is.
    fn fill_chunk(&mut self, object: &Object) -> io::Result<()> {
        let index = self.at / CHUNK_LENGTH as u64;
        self.chunk_start = index * CHUNK_LENGTH as u64;
        self.chunk.resize(object.cipher.chunk(index).0, 0);
        let filled = self
            .file
            .fill_from(object, self.chunk_start, &mut self.chunk, Patience::Wait);
        filled.map_err(|stop| {
            self.chunk.clear();
            self.stopped(stop)
        })
    }

    fn stopped(&self, stop: Stop) -> io::Error {
        match stop {
            Stop::Disk(error) => error,
            Stop::Changed | Stop::WouldWait => io::Error::new(
                io::ErrorKind::InvalidData,
                BlobError::Unauthentic {
                    location: self.location,
                },
            ),
        }
    }

    fn read_decrypted(&mut self, object: &Object, front: &mut [u8]) -> io::Result<usize> {
        if front.is_empty() {
            return Ok(0);
        }
        let is_inside = |reader: &Self| {
            let skip = reader.at.checked_sub(reader.chunk_start);
            skip.is_some_and(|skip| skip < reader.chunk.len() as u64)
        };
        if !is_inside(self) {
            if front.len() >= CHUNK_LENGTH {
                let filled = self.file.fill_from(object, self.at, front, Patience::Wait);
                return filled
                    .map(|()| front.len())
                    .map_err(|stop| self.stopped(stop));
            }
            self.fill_chunk(object)?;
        }
        let skip = usize::try_from(self.at - self.chunk_start).unwrap_or(usize::MAX);
        let ready = self.chunk.get(skip..).unwrap_or_default();
        let length = ready.len().min(front.len());
        front
            .split_at_mut(length)
            .0
            .copy_from_slice(ready.split_at(length).0);
        Ok(length)
    }
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.length().saturating_sub(self.at)).unwrap_or(usize::MAX);
        let front = buffer.split_at_mut(buffer.len().min(left)).0;
        let read = match self.object.take() {
            Some(object) => {
                let read = self.read_decrypted(&object, front);
                self.object = Some(object);
                read?
            }
            None => {
                let start = match self.location {
                    BlobLocation::Pack { offset, .. } => offset,
                    BlobLocation::Large { .. } => 0,
                };
                let at = start.saturating_add(self.at);
                self.file.file.read_at(front, at)?
            }
        };
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for BlobReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.length().checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
