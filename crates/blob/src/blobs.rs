//! Reading blobs.

use crate::error::{BlobError, Result};
use crate::location::{BlobLocation, LargeId, Position};
use crate::pack;
use crate::read_buffers::ReadBuffers;
use crate::replay::Replay;
use bytes::Bytes;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Open files kept for reading.
const OPEN_FILES_MAX: usize = 256;
/// Bytes read at a time while a digest is computed.
const CHUNK_LENGTH: usize = 1 << 20;

/// The stored blobs of a data folder, for reading. Needs no lock: it may be opened beside a
/// running archive, whose unfinished records it does not see.
///
/// All methods block on the disk.
#[derive(Debug)]
pub struct Blobs {
    folders: Folders,
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
    files: HashMap<FileKey, (Arc<File>, u64)>,
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

    /// The folder and the path of a large blob's file.
    pub fn large(&self, id: LargeId) -> (PathBuf, PathBuf) {
        let name = id.to_string();
        let folder = self.large.join(name.get(..2).unwrap_or_default());
        let path = folder.join(format!("{name}.dcm"));
        (folder, path)
    }
}

impl Blobs {
    /// The blobs under the data folder `root`. Nothing is touched.
    pub fn open(root: &Path) -> Arc<Self> {
        Arc::new(Self {
            folders: Folders::of(root),
            open_files: Mutex::default(),
            buffers: Arc::default(),
        })
    }

    pub(crate) fn folders(&self) -> &Folders {
        &self.folders
    }

    /// The file a blob lies in and where it begins there, for callers that hand ranges of it to
    /// the kernel or to another process.
    ///
    /// # Errors
    /// [`BlobError::NotFound`] when the file is not there.
    pub fn file(&self, location: &BlobLocation) -> Result<(Arc<File>, u64)> {
        match *location {
            BlobLocation::Pack { pack, offset, .. } => {
                let path = pack::path(&self.folders.packs, pack);
                Ok((
                    self.open_file(FileKey::Pack(pack), &path, location)?,
                    offset,
                ))
            }
            BlobLocation::Large { id, .. } => {
                let (_, path) = self.folders.large(id);
                Ok((self.open_file(FileKey::Large(id), &path, location)?, 0))
            }
        }
    }

    fn open_file(&self, key: FileKey, path: &Path, location: &BlobLocation) -> Result<Arc<File>> {
        if let Some(file) = self.lock().find(key) {
            return Ok(file);
        }
        let file = match File::open(path) {
            Ok(file) => Arc::new(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(BlobError::NotFound {
                    location: *location,
                });
            }
            Err(error) => return Err(BlobError::io("open", path, error)),
        };
        self.lock().keep(key, Arc::clone(&file));
        Ok(file)
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
        let (file, start, length) = self.place(location, &range)?;
        let mut buffer = self.buffers.lend(length);
        file.read_exact_at(buffer.as_mut(), start)
            .map_err(|error| self.read_error(location, error))?;
        Ok(buffer.into_bytes())
    }

    /// As [`Self::read_range`], when that needs no waiting: none when some of the bytes are not
    /// in the page cache. What is read this way costs a copy and no change of threads.
    ///
    /// # Errors
    /// As [`Self::read_range`].
    #[cfg(target_os = "linux")]
    pub fn read_range_at_once(
        &self,
        location: &BlobLocation,
        range: Range<u64>,
    ) -> Result<Option<Bytes>> {
        use rustix::io::{Errno, ReadWriteFlags};
        let (file, start, length) = self.place(location, &range)?;
        let mut buffer = self.buffers.lend(length);
        let slices = &mut [io::IoSliceMut::new(buffer.as_mut())];
        match rustix::io::preadv2(&*file, slices, start, ReadWriteFlags::NOWAIT) {
            Ok(read) if read == length => Ok(Some(buffer.into_bytes())),
            // Whatever is the matter, reading in the ordinary way will tell.
            Ok(_) | Err(Errno::AGAIN | Errno::INTR | Errno::NOTSUP | Errno::NOSYS) => Ok(None),
            Err(error) => Err(self.read_error(location, error.into())),
        }
    }

    /// Elsewhere the system cannot say that it would have to wait.
    #[cfg(not(target_os = "linux"))]
    pub fn read_range_at_once(
        &self,
        location: &BlobLocation,
        range: Range<u64>,
    ) -> Result<Option<Bytes>> {
        self.place(location, &range).map(|_| None)
    }

    /// The file a range of a blob is in, where it begins there, and how long it is.
    fn place(
        &self,
        location: &BlobLocation,
        range: &Range<u64>,
    ) -> Result<(Arc<File>, u64, usize)> {
        let out_of_range = || BlobError::OutOfRange {
            location: *location,
            start: range.start,
            end: range.end,
        };
        if range.start > range.end || range.end > location.length() {
            return Err(out_of_range());
        }
        let length = usize::try_from(range.end - range.start).map_err(|_| out_of_range())?;
        let (file, start) = self.file(location)?;
        Ok((file, start.saturating_add(range.start), length))
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
        let (file, start) = self.file(location)?;
        let front = buffer.split_at_mut(length).0;
        file.read_exact_at(front, start.saturating_add(offset))
            .map_err(|error| self.read_error(location, error))?;
        Ok(length)
    }

    fn read_error(&self, location: &BlobLocation, error: io::Error) -> BlobError {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return BlobError::NotFound {
                location: *location,
            };
        }
        let path = match *location {
            BlobLocation::Pack { pack, .. } => pack::path(&self.folders.packs, pack),
            BlobLocation::Large { id, .. } => self.folders.large(id).1,
        };
        BlobError::io("read", path, error)
    }

    /// A blob as a stream.
    ///
    /// # Errors
    /// [`BlobError::NotFound`], or what the disk answers.
    pub fn reader(&self, location: &BlobLocation) -> Result<BlobReader> {
        let (file, start) = self.file(location)?;
        Ok(BlobReader {
            file,
            start,
            length: location.length(),
            at: 0,
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
        let mut buffer = vec![0; CHUNK_LENGTH];
        loop {
            let length = self.read_into(location, at, &mut buffer)?;
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
    fn find(&mut self, key: FileKey) -> Option<Arc<File>> {
        self.uses += 1;
        let uses = self.uses;
        self.files.get_mut(&key).map(|(file, used)| {
            *used = uses;
            Arc::clone(file)
        })
    }

    fn keep(&mut self, key: FileKey, file: Arc<File>) {
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
    file: Arc<File>,
    start: u64,
    length: u64,
    at: u64,
}

impl BlobReader {
    /// Length of the blob in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.length.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let front = buffer.split_at_mut(buffer.len().min(left)).0;
        let read = self
            .file
            .read_at(front, self.start.saturating_add(self.at))?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for BlobReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.length.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
