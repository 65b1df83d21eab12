//! Memory for what is read, used again: fresh pages cost more than the copy into them.

use bytes::Bytes;
use std::sync::{Arc, Mutex, PoisonError};

/// Buffers kept for the next read.
const KEPT_MAX: usize = 8;
/// Longest buffer that is kept, in bytes; longer ones are rare and would only lie about.
const KEPT_LENGTH_MAX: usize = 2 << 20;

/// Buffers that are not in use.
#[derive(Debug, Default)]
pub(crate) struct ReadBuffers {
    free: Mutex<Vec<Vec<u8>>>,
}

/// A buffer on loan; it goes back when it is dropped.
pub(crate) struct Lent {
    bytes: Vec<u8>,
    length: usize,
    buffers: Arc<ReadBuffers>,
}

impl ReadBuffers {
    /// A buffer of `length` bytes; what is in it is left from before.
    pub fn lend(self: &Arc<Self>, length: usize) -> Lent {
        let mut bytes = self.lock().pop().unwrap_or_default();
        if bytes.len() < length {
            bytes.resize(length, 0);
        }
        Lent {
            bytes,
            length,
            buffers: Arc::clone(self),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Vec<u8>>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lent {
    /// The buffer, to be filled.
    pub fn as_mut(&mut self) -> &mut [u8] {
        self.bytes.split_at_mut(self.length).0
    }

    /// What was read. The buffer goes back when nobody needs the bytes any more.
    pub fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        self.bytes.split_at(self.length).0
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        let mut free = self.buffers.lock();
        if free.len() < KEPT_MAX && bytes.capacity() <= KEPT_LENGTH_MAX {
            free.push(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_and_shows_no_more_than_was_asked_for() {
        let buffers = Arc::new(ReadBuffers::default());
        let mut lent = buffers.lend(1000);
        lent.as_mut().fill(7);
        let bytes = lent.into_bytes();
        let part = bytes.slice(10..20);
        drop(bytes);
        assert!(buffers.lock().is_empty(), "a part is still in use");
        drop(part);
        assert_eq!(buffers.lock().len(), 1);
        let mut lent = buffers.lend(10);
        assert_eq!(lent.as_mut().len(), 10);
        assert_eq!(lent.as_ref().len(), 10);
        assert!(buffers.lock().is_empty());
    }

    #[test]
    fn long_buffers_are_not_kept() {
        let buffers = Arc::new(ReadBuffers::default());
        drop(buffers.lend(KEPT_LENGTH_MAX + 1));
        assert!(buffers.lock().is_empty());
    }
}
