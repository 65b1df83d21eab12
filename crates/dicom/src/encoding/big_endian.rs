//! Byte order (PS3.5 7.3).

use super::vr::word_size;
use crate::{Tag, Vr, tags};
use bytes::Bytes;

/// Reverses the bytes of each word. A last word that is cut stays as it is.
pub fn swap_in_place(bytes: &mut [u8], word_size: usize) {
    if word_size > 1 {
        bytes.chunks_exact_mut(word_size).for_each(<[u8]>::reverse);
    }
}

/// The bytes of each word that a value is made of; 1 when byte order is nothing to it. Pixel Data with cells of more than 16 bits is swapped by cells, though
/// its VR is OW.
pub fn words(tag: Tag, vr: Vr, bits_allocated: u16) -> usize {
    match (tag, vr, bits_allocated) {
        (tags::PIXEL_DATA, Vr::OW, 32) => 4,
        (tags::PIXEL_DATA, Vr::OW, 64) => 8,
        _ => word_size(vr),
    }
}

/// The value in the other byte order.
pub(super) fn swapped(value: Bytes, words: usize) -> Bytes {
    if words == 1 || value.is_empty() {
        return value;
    }
    let mut bytes = Vec::from(value);
    swap_in_place(&mut bytes, words);
    bytes.into()
}
