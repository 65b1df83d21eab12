//! Large blobs: files of their own, written as a stream by whoever receives them.

use crate::append::require_space;
use crate::blobs::Folders;
use crate::cipher::{CHUNK_LENGTH, DataCipher, ObjectCipher, TAG_LENGTH, chunk_offset};
use crate::error::{BlobError, Result};
use crate::location::LargeId;
use crate::stored_file::{LARGE_HEADER_LENGTH, LargePaths, large_header};
use crate::{failpoint, pack, random};
use gantry_keys::KeyId;
use rustix::fs::Advice;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Bytes after which the kernel is asked to begin writing to the disk: otherwise all of it
/// would wait for the final sync.
const WRITEBACK_BYTES: u64 = 16 << 20;

/// A file that is being received. It disappears when dropped before it is finished.
#[derive(Debug)]
pub struct StagedFile {
    file: File,
    path: PathBuf,
    id: LargeId,
    folders: Folders,
    length: u64,
    flushed: u64,
    reserve_bytes: u64,
    sealing: Option<Sealing>,
    is_finished: bool,
}

/// What of an encrypted file is not in it yet. Each chunk is encrypted once only, when nothing
/// more can come into it: the first one stays here until the end, as it may be written over.
#[derive(Debug)]
struct Sealing {
    key: KeyId,
    cipher: ObjectCipher,
    first: Vec<u8>,
    /// The last chunk, as long as it is not known whether there is more; of number `chunk`.
    last: Vec<u8>,
    chunk: u64,
    sealed: Vec<u8>,
}

/// A large blob, durable in its place, of which no record tells yet. Append its record or
/// [discard](Self::discard) it; otherwise it is an orphan, to be swept up.
#[derive(Debug, Clone)]
pub struct LargeBlob {
    id: LargeId,
    length: u64,
    path: PathBuf,
}

impl StagedFile {
    pub(crate) fn create(
        folders: &Folders,
        reserve_bytes: u64,
        cipher: Option<Arc<DataCipher>>,
    ) -> Result<Self> {
        require_space(folders, reserve_bytes)?;
        let id = LargeId(random::bits()?);
        let sealing = cipher.map(|cipher| Sealing::new(&cipher, id)).transpose()?;
        let path = folders.staging.join(format!("{id}.part"));
        let file = failpoint::pass("staging.create")
            .and_then(|()| {
                OpenOptions::new()
                    .read(true)
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(&path)
            })
            .map_err(|error| BlobError::io("create", &path, error))?;
        let folders = folders.clone();
        Ok(Self {
            file,
            path,
            id,
            folders,
            length: 0,
            flushed: 0,
            reserve_bytes,
            sealing,
            is_finished: false,
        })
    }

    /// Bytes written so far.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// [`BlobError::NoSpace`] when the disk is full.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let file = &mut self.file;
        let written = failpoint::pass("staging.write").and_then(|()| match &mut self.sealing {
            None => file.write_all(bytes),
            Some(sealing) => sealing.write(file, bytes),
        });
        written.map_err(|error| BlobError::io("write", &self.path, error))?;
        self.length += bytes.len() as u64;
        if self.length - self.flushed >= WRITEBACK_BYTES {
            self.begin_writeback();
            require_space(&self.folders, self.reserve_bytes)?;
        }
        Ok(())
    }

    /// Tells the kernel that these pages are not needed soon: it begins to write them out.
    fn begin_writeback(&mut self) {
        let length = std::num::NonZeroU64::new(self.length - self.flushed);
        let _ = rustix::fs::fadvise(&self.file, self.flushed, length, Advice::DontNeed);
        self.flushed = self.length;
    }

    /// Bytes at the beginning that may be written over.
    pub const FRONT_BYTES: usize = CHUNK_LENGTH;

    /// Writes over bytes written before, among the first [`Self::FRONT_BYTES`].
    ///
    /// # Errors
    /// [`BlobError::NoSpace`] when the disk is full.
    pub fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        let written = match &mut self.sealing {
            None => self.file.write_all_at(bytes, offset),
            Some(sealing) => usize::try_from(offset)
                .ok()
                .and_then(|offset| sealing.first.get_mut(offset..)?.get_mut(..bytes.len()))
                .map(|to| to.copy_from_slice(bytes))
                .ok_or_else(|| io::ErrorKind::InvalidInput.into()),
        };
        written.map_err(|error| BlobError::io("write", &self.path, error))
    }

    /// Reads back bytes written before; all of `buffer` is filled.
    ///
    /// # Errors
    /// When the range was not written yet, or what the disk answers.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let read = match &self.sealing {
            None => self.file.read_exact_at(buffer, offset),
            Some(sealing) => sealing.read_at(&self.file, offset, buffer),
        };
        read.map_err(|error| BlobError::io("read", &self.path, error))
    }

    /// Makes the file durable in its final place.
    ///
    /// # Errors
    /// [`BlobError::NoSpace`] or what the disk answers; the file is gone then.
    pub fn finish(mut self) -> Result<LargeBlob> {
        if let Some(sealing) = &mut self.sealing {
            sealing
                .finish(&self.file)
                .map_err(|error| BlobError::io("write", &self.path, error))?;
        }
        failpoint::pass("staging.sync")
            .and_then(|()| self.file.sync_all())
            .map_err(|error| BlobError::io("sync", &self.path, error))?;
        let LargePaths { folder, paths } = self.folders.large(self.id);
        let [encrypted, plain] = paths;
        let path = match &self.sealing {
            Some(_) => encrypted,
            None => plain,
        };
        pack::create_folder(&folder)?;
        failpoint::pass("staging.rename")
            .and_then(|()| std::fs::rename(&self.path, &path))
            .map_err(|error| BlobError::io("rename", &self.path, error))?;
        self.is_finished = true;
        let large = LargeBlob {
            id: self.id,
            length: self.length,
            path,
        };
        if let Err(error) = pack::sync_folder(&folder) {
            large.discard();
            return Err(error);
        }
        Ok(large)
    }
}

impl Sealing {
    fn new(cipher: &DataCipher, id: LargeId) -> Result<Self> {
        Ok(Self {
            key: cipher.id(),
            cipher: cipher.large(id, 0)?,
            first: Vec::new(),
            last: Vec::new(),
            chunk: 1,
            sealed: Vec::new(),
        })
    }

    fn write(&mut self, file: &File, bytes: &[u8]) -> io::Result<()> {
        let (front, mut rest) = bytes.split_at(bytes.len().min(CHUNK_LENGTH - self.first.len()));
        self.first.extend_from_slice(front);
        let offset = file_offset(self.chunk);
        self.sealed.clear();
        while !rest.is_empty() {
            if self.last.len() == CHUNK_LENGTH {
                let last = std::mem::take(&mut self.last);
                self.seal(&last)?;
                self.last = last;
                self.last.clear();
            }
            match rest.split_at_checked(CHUNK_LENGTH) {
                // More than a chunk: it is not the last one.
                Some((chunk, after)) if self.last.is_empty() && !after.is_empty() => {
                    self.seal(chunk)?;
                    rest = after;
                }
                _ => {
                    let room = CHUNK_LENGTH - self.last.len();
                    let (front, after) = rest.split_at(rest.len().min(room));
                    self.last.extend_from_slice(front);
                    rest = after;
                }
            }
        }
        file.write_all_at(&self.sealed, offset)
    }

    fn seal(&mut self, plain: &[u8]) -> io::Result<()> {
        let start = self.sealed.len();
        self.sealed.resize(start + plain.len() + TAG_LENGTH, 0);
        let to = self.sealed.split_at_mut(start).1;
        self.cipher
            .seal(self.chunk, false, plain, to)
            .map_err(io::Error::other)?;
        self.chunk += 1;
        Ok(())
    }

    fn read_at(&self, file: &File, offset: u64, mut buffer: &mut [u8]) -> io::Result<()> {
        let mut at = offset;
        let mut plain = Vec::new();
        while !buffer.is_empty() {
            let index = at / CHUNK_LENGTH as u64;
            let skip = (at % CHUNK_LENGTH as u64) as usize;
            let chunk = if index == 0 {
                &self.first
            } else if index == self.chunk {
                &self.last
            } else if index > self.chunk {
                return Err(io::ErrorKind::UnexpectedEof.into());
            } else {
                let mut sealed = vec![0; CHUNK_LENGTH + TAG_LENGTH];
                file.read_exact_at(&mut sealed, file_offset(index))?;
                plain.resize(CHUNK_LENGTH, 0);
                self.cipher
                    .open(index, false, &sealed, &mut plain)
                    .map_err(|_| io::ErrorKind::InvalidData)?;
                &plain
            };
            let ready = chunk.get(skip..).unwrap_or_default();
            let length = ready.len().min(buffer.len());
            if length == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let (to, rest) = buffer.split_at_mut(length);
            to.copy_from_slice(ready.split_at(length).0);
            buffer = rest;
            at += length as u64;
        }
        Ok(())
    }

    /// Writes what is not in the file yet.
    fn finish(&mut self, file: &File) -> io::Result<()> {
        let is_only = self.last.is_empty();
        let mut sealed = vec![0; self.last.len() + TAG_LENGTH];
        if !is_only {
            self.cipher
                .seal(self.chunk, true, &self.last, &mut sealed)
                .map_err(io::Error::other)?;
            file.write_all_at(&sealed, file_offset(self.chunk))?;
        }
        sealed.resize(self.first.len() + TAG_LENGTH, 0);
        self.cipher
            .seal(0, is_only, &self.first, &mut sealed)
            .map_err(io::Error::other)?;
        file.write_all_at(&sealed, file_offset(0))?;
        file.write_all_at(&large_header(self.key), 0)
    }
}

/// Where a chunk begins in a file.
fn file_offset(chunk: u64) -> u64 {
    chunk_offset(chunk).saturating_add(LARGE_HEADER_LENGTH as u64)
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        if !self.is_finished {
            // What cannot be removed now is when the ledger is opened next.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl LargeBlob {
    /// The file's name.
    pub fn id(&self) -> LargeId {
        self.id
    }

    /// Length in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Removes the file: its record will not be appended.
    pub fn discard(self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(large = %self.id, %error, "large blob is left as an orphan");
        }
    }
}

/// See [`crate::Ledger::sweep_orphans`].
pub(crate) fn sweep_orphans(
    folders: &Folders,
    age_min: Duration,
    mut is_known: impl FnMut(LargeId) -> bool,
) -> Result<(u64, u64)> {
    let (mut files, mut bytes) = (0, 0);
    for folder in list(&folders.large)? {
        if !folder.is_dir() {
            continue;
        }
        for path in list(&folder)? {
            let name = path.file_stem().and_then(|stem| stem.to_str());
            let Some(id) = name.and_then(LargeId::parse) else {
                continue;
            };
            let Ok(metadata) = path.metadata() else {
                continue;
            };
            let is_old = metadata
                .modified()
                .ok()
                .and_then(|modified| modified.elapsed().ok())
                .is_some_and(|age| age >= age_min);
            if is_old && !is_known(id) {
                std::fs::remove_file(&path)
                    .map_err(|error| BlobError::io("remove", &path, error))?;
                files += 1;
                bytes += metadata.len();
            }
        }
    }
    Ok((files, bytes))
}

fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    std::fs::read_dir(folder)
        .and_then(|entries| {
            entries
                .map(|entry| entry.map(|entry| entry.path()))
                .collect()
        })
        .map_err(|error| BlobError::io("list", folder, error))
}
