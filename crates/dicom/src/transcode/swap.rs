//! Swapping words that come in pieces.

use crate::encoding::swap_in_place;

/// Reverses the bytes of each word of a stream.
pub(super) struct Swapper {
    word_size: usize,
    buffer: Vec<u8>,
    /// How many bytes at the front of the buffer were swapped and handed out.
    done: usize,
}

impl Swapper {
    /// Words of 1 byte stay as they are.
    pub(super) fn new(word_size: usize) -> Self {
        Self {
            word_size: word_size.max(1),
            buffer: Vec::new(),
            done: 0,
        }
    }

    /// Takes the next bytes and returns the words that are whole, swapped.
    pub(super) fn swap<'a>(&'a mut self, bytes: &'a [u8]) -> &'a [u8] {
        if self.word_size == 1 {
            return bytes;
        }
        self.buffer.drain(..self.done);
        self.buffer.extend_from_slice(bytes);
        self.done = self.buffer.len() / self.word_size * self.word_size;
        let whole = self.buffer.get_mut(..self.done).unwrap_or_default();
        swap_in_place(whole, self.word_size);
        whole
    }

    /// What is left of a last word that was cut, as it came.
    pub(super) fn rest(&self) -> &[u8] {
        self.buffer.get(self.done..).unwrap_or_default()
    }
}
