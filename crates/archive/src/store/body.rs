//! Where the bytes of an arriving instance wait: in memory while they are few, in a staging file
//! when they are many or the memory is taken.

use super::buffers::{Buffer, Buffers};
use crate::Archive;
use crate::error::{Error, Result};
use bytes::Bytes;
use gantry_blob::record::BlobContent;
use gantry_blob::staging::StagedFile;
use gantry_core::failure::Kind;
use std::sync::Arc;

/// Bytes collected before they are written to the staging file.
const WRITE_BYTES: usize = 1 << 20;
/// Room left for the file meta information at the start of a staging file. The group is filled
/// up to it with a private element, so that the data set can be written before its identifiers
/// are known.
pub(crate) const META_BYTES: usize = 1024;

/// The bytes of an arriving instance.
#[derive(Debug)]
pub(crate) struct Body {
    small_bytes_max: usize,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Memory(Buffer),
    Staged(Box<Staged>),
    /// A write is under way on another thread, or has failed.
    Away,
}

#[derive(Debug)]
struct Staged {
    file: StagedFile,
    pending: Vec<u8>,
}

impl Body {
    pub(crate) fn new(buffers: &Arc<Buffers>, small_bytes_max: usize) -> Self {
        Self {
            small_bytes_max,
            place: Place::Memory(buffers.take()),
        }
    }

    /// Takes the next bytes of the data set.
    pub(crate) async fn write(&mut self, archive: &Archive, chunk: &[u8]) -> Result<()> {
        if let Place::Memory(buffer) = &mut self.place {
            if buffer.len() + chunk.len() <= self.small_bytes_max && buffer.extend(chunk) {
                return Ok(());
            }
            self.spill(archive).await?;
        }
        let Place::Staged(staged) = &mut self.place else {
            return Err(is_away());
        };
        staged.pending.extend_from_slice(chunk);
        if staged.pending.len() >= WRITE_BYTES {
            self.flush().await
        } else {
            Ok(())
        }
    }

    /// Moves what is in memory to a staging file.
    async fn spill(&mut self, archive: &Archive) -> Result<()> {
        let Place::Memory(buffer) = std::mem::replace(&mut self.place, Place::Away) else {
            return Err(is_away());
        };
        let ledger = Arc::clone(archive.ledger());
        let file = blocking(move || {
            let mut file = ledger.stage()?;
            file.write(&[0; META_BYTES])?;
            file.write(buffer.as_slice())?;
            Ok(file)
        })
        .await?;
        self.place = Place::Staged(Box::new(Staged {
            file,
            pending: Vec::new(),
        }));
        Ok(())
    }

    /// Writes what was collected.
    async fn flush(&mut self) -> Result<()> {
        let Place::Staged(mut staged) = std::mem::replace(&mut self.place, Place::Away) else {
            return Err(is_away());
        };
        let staged = blocking(move || {
            staged.file.write(&staged.pending)?;
            staged.pending.clear();
            Ok(staged)
        })
        .await?;
        self.place = Place::Staged(staged);
        Ok(())
    }

    /// The file meta information has to be this long.
    pub(crate) fn meta_length(&self) -> Option<usize> {
        matches!(self.place, Place::Staged(_)).then_some(META_BYTES)
    }

    /// All bytes have come: makes a Part 10 file of them, durable when it is a large one.
    pub(crate) async fn complete(
        mut self,
        archive: &Archive,
        file_meta: Vec<u8>,
    ) -> Result<BlobContent> {
        if matches!(self.place, Place::Staged(_)) {
            self.flush().await?;
        }
        match self.place {
            Place::Memory(buffer) => {
                let data_set_offset = u32::try_from(file_meta.len()).unwrap_or(u32::MAX);
                let parts = vec![file_meta.into(), Bytes::from_owner(buffer)];
                // Here, where many work side by side, and not in the one thread that writes.
                Ok(archive.ledger().seal(parts, data_set_offset)?)
            }
            Place::Staged(staged) => {
                let large = blocking(move || {
                    let mut file = staged.file;
                    file.write_at(0, &file_meta)?;
                    file.finish()
                })
                .await?;
                Ok(BlobContent::Large(large))
            }
            Place::Away => Err(is_away()),
        }
    }
}

fn is_away() -> Error {
    Error::new(Kind::Internal, "the instance's bytes are lost")
}

/// Runs disk work where it may block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> gantry_blob::error::Result<T> + Send + 'static,
) -> Result<T> {
    let outcome = tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::caused(Kind::Internal, "storage work broke off", error))?;
    outcome.map_err(Error::from)
}
