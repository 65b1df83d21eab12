//! Large blobs: files of their own, written as a stream by whoever receives them.

use crate::append::require_space;
use crate::blobs::Folders;
use crate::error::{BlobError, Result};
use crate::location::LargeId;
use crate::{failpoint, pack, random};
use rustix::fs::Advice;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
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
    is_finished: bool,
}

/// A large blob, durable in its place, of which no record tells yet. Append its record or
/// [discard](Self::discard) it; otherwise it is an orphan, to be swept up.
#[derive(Debug)]
pub struct LargeBlob {
    id: LargeId,
    length: u64,
    path: PathBuf,
}

impl StagedFile {
    pub(crate) fn create(folders: &Folders, reserve_bytes: u64) -> Result<Self> {
        require_space(folders, reserve_bytes)?;
        let id = LargeId(random::bits()?);
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
        failpoint::pass("staging.write")
            .and_then(|()| self.file.write_all(bytes))
            .map_err(|error| BlobError::io("write", &self.path, error))?;
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

    /// Writes over bytes written before.
    ///
    /// # Errors
    /// [`BlobError::NoSpace`] when the disk is full.
    pub fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.file
            .write_all_at(bytes, offset)
            .map_err(|error| BlobError::io("write", &self.path, error))
    }

    /// Reads back bytes written before; all of `buffer` is filled.
    ///
    /// # Errors
    /// When the range was not written yet, or what the disk answers.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        self.file
            .read_exact_at(buffer, offset)
            .map_err(|error| BlobError::io("read", &self.path, error))
    }

    /// Makes the file durable in its final place.
    ///
    /// # Errors
    /// [`BlobError::NoSpace`] or what the disk answers; the file is gone then.
    pub fn finish(mut self) -> Result<LargeBlob> {
        failpoint::pass("staging.sync")
            .and_then(|()| self.file.sync_all())
            .map_err(|error| BlobError::io("sync", &self.path, error))?;
        let (folder, path) = self.folders.large(self.id);
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
