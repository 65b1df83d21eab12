//! Giving the space of blobs back.

use crate::blobs::{Blobs, FileKey};
use crate::cipher::FRONT_LENGTH;
use crate::error::{BlobError, Result};
use crate::failpoint;
use crate::ledger::Ledger;
use crate::location::BlobLocation;
use crate::pack::{self, PackHeader};
use crate::record::stored_length;
use rustix::fs::FallocateFlags;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::FileExt;

impl Ledger {
    /// Frees the space of a blob for good. The record that brought it stays, so that the ledger
    /// can still be read; packs are never removed, because the events in them count as long as
    /// the archive does.
    ///
    /// The event that says that the blob is purged must be durable before. Purging twice is
    /// harmless.
    ///
    /// # Errors
    /// What the disk answers. A file system that cannot punch holes frees nothing: of an encrypted
    /// blob the salt is overwritten, without which nobody can decrypt it; a plain one is unreadable
    /// only by the archive's rules then, and a warning is logged.
    pub fn purge(&self, location: &BlobLocation) -> Result<()> {
        purge(self.blobs(), location)
    }
}

fn purge(blobs: &Blobs, location: &BlobLocation) -> Result<()> {
    match *location {
        BlobLocation::Large { id, .. } => {
            blobs.forget(FileKey::Large(id));
            for path in blobs.folders().large(id).paths {
                let removed =
                    failpoint::pass("purge.remove").and_then(|()| std::fs::remove_file(&path));
                match removed {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(BlobError::io("remove", &path, error));
                    }
                    _ => {}
                }
            }
            Ok(())
        }
        BlobLocation::Pack { length: 0, .. } => Ok(()),
        BlobLocation::Pack {
            pack,
            offset,
            length,
        } => {
            let path = pack::path(&blobs.folders().packs, pack);
            let file = match OpenOptions::new().read(true).write(true).open(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(BlobError::io("open", &path, error)),
            };
            let header = PackHeader::read(&file, &path, pack)?;
            let is_encrypted = header.is_some_and(|header| header.key.is_some());
            let length = stored_length(length, is_encrypted);
            let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            match rustix::fs::fallocate(&file, flags, offset, length) {
                Ok(()) => Ok(()),
                // Without its salt the blob cannot be decrypted any more.
                Err(rustix::io::Errno::OPNOTSUPP) if is_encrypted => file
                    .write_all_at(&[0; FRONT_LENGTH], offset)
                    .and_then(|()| file.sync_data())
                    .map_err(|error| BlobError::io("overwrite", &path, error)),
                Err(rustix::io::Errno::OPNOTSUPP) => {
                    tracing::warn!(%location, "the file system cannot free space inside a pack");
                    Ok(())
                }
                Err(error) => Err(BlobError::io("free space in", &path, error)),
            }
        }
    }
}
