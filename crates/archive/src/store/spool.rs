//! Parts of a request that have to wait for others before an instance can be made of them.

use super::body::blocking;
use crate::Archive;
use crate::error::{Error, Result};
use bytes::Bytes;
use gantry_blob::staging::StagedFile;
use gantry_core::access::Right;
use gantry_core::failure::Kind;
use gantry_core::principal::Principal;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes that wait on the disk, in a staging file that is gone when the last clone is dropped.
#[derive(Debug, Clone)]
pub struct Spool(Arc<Mutex<StagedFile>>);

impl Archive {
    /// A place for bytes that are too many to be held in memory until they are stored.
    ///
    /// # Errors
    /// [`Kind::Forbidden`] when the principal may not store, [`Kind::OutOfResources`] when there
    /// is no room.
    pub async fn spool(&self, principal: &Principal) -> Result<Spool> {
        self.require(principal, Right::Store)?;
        let ledger = Arc::clone(self.ledger());
        let file = blocking(move || ledger.stage()).await?;
        Ok(Spool(Arc::new(Mutex::new(file))))
    }
}

impl Spool {
    /// Appends bytes and tells where they begin.
    ///
    /// # Errors
    /// [`Kind::OutOfResources`] when there is no room.
    pub async fn append(&self, bytes: impl AsRef<[u8]> + Send + 'static) -> Result<u64> {
        let file = Arc::clone(&self.0);
        blocking(move || {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            let offset = file.length();
            file.write(bytes.as_ref())?;
            Ok(offset)
        })
        .await
    }

    /// Reads back `length` bytes from `offset` on.
    ///
    /// # Errors
    /// [`Kind::Internal`] when they were not appended, or what the disk answers.
    pub async fn read(&self, offset: u64, length: usize) -> Result<Bytes> {
        let file = Arc::clone(&self.0);
        blocking(move || {
            let file = file.lock().unwrap_or_else(PoisonError::into_inner);
            // Checked before memory is taken for them.
            if offset + length as u64 > file.length() {
                return Ok(None);
            }
            let mut bytes = vec![0; length];
            file.read_at(offset, &mut bytes)?;
            Ok(Some(bytes.into()))
        })
        .await?
        .ok_or_else(|| Error::new(Kind::Internal, "bytes were asked for that are not there"))
    }
}
