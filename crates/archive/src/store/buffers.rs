//! Memory for small objects while they arrive.
//!
//! Fresh pages cost more than the copy into them, so buffers are used again; and all of them
//! together stay under a limit, so that many senders at once cannot fill the memory.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Buffers kept for the next object.
const KEPT_MAX: usize = 16;
/// Bytes of one step of growth.
const STEP_BYTES: usize = 256 << 10;

/// A bounded pool of growing buffers.
#[derive(Debug)]
pub struct Buffers {
    free: Mutex<Vec<Vec<u8>>>,
    in_use_bytes: AtomicUsize,
    limit_bytes: usize,
}

/// One object's bytes; gives its memory back when dropped.
#[derive(Debug)]
pub struct Buffer {
    bytes: Vec<u8>,
    accounted_bytes: usize,
    pool: Arc<Buffers>,
}

impl Buffers {
    /// A pool that hands out at most `limit_bytes` at any time.
    pub fn new(limit_bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            free: Mutex::new(Vec::new()),
            in_use_bytes: AtomicUsize::new(0),
            limit_bytes,
        })
    }

    /// An empty buffer.
    pub fn take(self: &Arc<Self>) -> Buffer {
        let bytes = self
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        Buffer {
            bytes: bytes.unwrap_or_default(),
            accounted_bytes: 0,
            pool: Arc::clone(self),
        }
    }

    /// Frees kept memory, when nothing has arrived for a while.
    pub fn release_kept(&self) {
        self.free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    fn reserve(&self, bytes: usize) -> bool {
        let before = self.in_use_bytes.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes <= self.limit_bytes {
            return true;
        }
        self.in_use_bytes.fetch_sub(bytes, Ordering::Relaxed);
        false
    }
}

impl Buffer {
    /// Appends `chunk` if the pool's limit allows; otherwise nothing is appended and the caller
    /// has to put the object somewhere else.
    #[must_use]
    pub fn extend(&mut self, chunk: &[u8]) -> bool {
        let needed = self.bytes.len() + chunk.len();
        if needed > self.accounted_bytes {
            let grow = (needed - self.accounted_bytes).next_multiple_of(STEP_BYTES);
            if !self.pool.reserve(grow) {
                return false;
            }
            self.accounted_bytes += grow;
        }
        self.bytes.extend_from_slice(chunk);
        true
    }

    /// What was appended.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    /// How much was appended, in bytes.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.pool
            .in_use_bytes
            .fetch_sub(self.accounted_bytes, Ordering::Relaxed);
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        let mut free = self
            .pool
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if bytes.capacity() > 0 && free.len() < KEPT_MAX {
            free.push(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_buffers_together_stay_under_the_limit() {
        let pool = Buffers::new(2 * STEP_BYTES);
        let mut one = pool.take();
        let mut two = pool.take();
        assert!(one.extend(&[1; 10]));
        assert!(two.extend(&[2; 10]));
        assert!(!two.extend(&vec![2; STEP_BYTES]));
        assert_eq!(two.as_slice(), &[2; 10]);
        drop(one);
        assert!(two.extend(&vec![2; STEP_BYTES]));
    }

    #[test]
    fn memory_is_used_again_and_comes_back_empty() {
        let pool = Buffers::new(STEP_BYTES);
        let mut buffer = pool.take();
        assert!(buffer.extend(&[1; 1000]));
        drop(buffer);
        let buffer = pool.take();
        assert_eq!(buffer.len(), 0);
        assert!(buffer.bytes.capacity() >= 1000);
    }
}
