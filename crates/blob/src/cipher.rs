//! Encryption of objects.
//!
//! An object is encrypted in chunks, each with AES-256-GCM, so that a range is read without the
//! rest, and nothing that was changed is given out. Every object has a key of its own, derived
//! from the data key that its pack (or file) names:
//!
//! ```text
//! in a pack:  salt (16), place (16), chunks     the key is derived with the salt
//! in a file:  header (32), chunks               the key is derived with the file's name
//! chunk:      up to 16384 bytes, tag (16)
//! ```
//!
//! The nonce of a chunk is its number, and whether it is the last: chunks cannot change places,
//! and the last ones cannot be cut off. The *place* of an object in a pack is a keyed digest of
//! where it lies, how long it is, and its salt: objects cannot change places. A key is used for
//! one object only, once: an object that is written again, after a torn write, is either the same
//! or has another salt.

use crate::error::{BlobError, Result};
use crate::location::LargeId;
use gantry_keys::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use gantry_keys::{DataKey, KeyId};
use std::cell::RefCell;

/// Plain bytes of a chunk.
pub(crate) const CHUNK_LENGTH: usize = 16 << 10;
/// Bytes of an authentication tag.
pub(crate) const TAG_LENGTH: usize = 16;
/// Bytes before the chunks of an object in a pack: salt and place.
pub(crate) const FRONT_LENGTH: usize = 32;
const SEALED_CHUNK_LENGTH: usize = CHUNK_LENGTH + TAG_LENGTH;

/// Chunks that are read at once: together they stay in the processor's cache until they are
/// decrypted.
const CHUNKS_AT_ONCE: u64 = 8;

/// What an object's key is derived with.
pub(crate) type Salt = [u8; 16];

/// Bytes of the chunks of an object of `length` bytes. An empty object has one, empty chunk.
pub(crate) fn sealed_length(length: u64) -> u64 {
    let chunks = length.div_ceil(CHUNK_LENGTH as u64).max(1);
    length.saturating_add(chunks.saturating_mul(TAG_LENGTH as u64))
}

/// Where a chunk begins, counted from the first chunk.
pub(crate) fn chunk_offset(index: u64) -> u64 {
    index.saturating_mul(SEALED_CHUNK_LENGTH as u64)
}

/// What a data key is used for here.
pub(crate) struct DataCipher {
    id: KeyId,
    key: DataKey,
    content: [u8; 32],
    place: [u8; 32],
}

impl std::fmt::Debug for DataCipher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DataCipher({})", self.id)
    }
}

impl DataCipher {
    pub fn new(key: &DataKey) -> Self {
        let part = |purpose| *key.derive(purpose, b"").bytes();
        Self {
            id: key.id(),
            content: part("gantry 2026 object content"),
            place: part("gantry 2026 object place"),
            key: key.clone(),
        }
    }

    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The cipher of the records of a pack.
    pub fn records(&self, archive: &[u8; 16], pack: u32) -> Result<LessSafeKey> {
        let of = [&archive[..], &pack.to_le_bytes()].concat();
        cipher(self.key.derive("gantry 2026 ledger record", &of).bytes())
    }

    /// The cipher of an object in a pack.
    pub fn object(&self, salt: &Salt, length: u64) -> Result<ObjectCipher> {
        let key = blake3::keyed_hash(&self.content, salt);
        ObjectCipher::new(key.as_bytes(), length)
    }

    /// The cipher of a large object; the length counts for reading only.
    pub fn large(&self, id: LargeId, length: u64) -> Result<ObjectCipher> {
        let key = self.key.derive("gantry 2026 large object content", &id.0);
        ObjectCipher::new(key.bytes(), length)
    }

    /// What stands before the chunks of an object at `offset` of a pack.
    pub fn front(&self, salt: &Salt, pack: u32, offset: u64, length: u64) -> [u8; FRONT_LENGTH] {
        let mut hasher = blake3::Hasher::new_keyed(&self.place);
        hasher.update(salt);
        hasher.update(&pack.to_le_bytes());
        hasher.update(&offset.to_le_bytes());
        hasher.update(&length.to_le_bytes());
        let mut front = [0; FRONT_LENGTH];
        let (to_salt, to_place) = front.split_at_mut(salt.len());
        to_salt.copy_from_slice(salt);
        let digest = hasher.finalize();
        to_place.copy_from_slice(digest.as_bytes().split_at(16).0);
        front
    }
}

fn cipher(key: &[u8; 32]) -> Result<LessSafeKey> {
    UnboundKey::new(&AES_256_GCM, key)
        .map(LessSafeKey::new)
        .map_err(|_| BlobError::Cipher)
}

/// The cipher of one object.
#[derive(Debug)]
pub(crate) struct ObjectCipher {
    key: LessSafeKey,
    length: u64,
}

/// What does not fit: the bytes are not what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Changed;

impl ObjectCipher {
    fn new(key: &[u8; 32], length: u64) -> Result<Self> {
        Ok(Self {
            key: cipher(key)?,
            length,
        })
    }

    /// Encrypts a chunk into `sealed`, which is longer by a tag.
    pub fn seal(&self, index: u64, is_last: bool, plain: &[u8], sealed: &mut [u8]) -> Result<()> {
        let (body, tag) = sealed
            .split_at_mut_checked(plain.len())
            .ok_or(BlobError::Cipher)?;
        let nonce = nonce(index, is_last);
        self.key
            .seal_out_of_place_scatter(nonce, Aad::empty(), plain, body, &[], tag)
            .map_err(|_| BlobError::Cipher)
    }

    /// Decrypts a chunk into `plain`, which is shorter by a tag.
    pub fn open(
        &self,
        index: u64,
        is_last: bool,
        sealed: &[u8],
        plain: &mut [u8],
    ) -> Result<(), Changed> {
        let (body, tag) = sealed.split_at_checked(plain.len()).ok_or(Changed)?;
        self.key
            .open_separate_gather(nonce(index, is_last), Aad::empty(), body, tag, plain)
            .map_err(|_| Changed)
    }

    /// Plain bytes of a chunk, and whether it is the last.
    pub fn chunk(&self, index: u64) -> (usize, bool) {
        let left = self
            .length
            .saturating_sub(index.saturating_mul(CHUNK_LENGTH as u64));
        match usize::try_from(left) {
            Ok(left) if left <= CHUNK_LENGTH => (left, true),
            _ => (CHUNK_LENGTH, false),
        }
    }

    /// Fills `plain` with the object's bytes from `offset` on, reading and decrypting only the
    /// chunks they are in. `read` gets bytes counted from the first chunk; what it answers, other
    /// than that all was read, ends the work and is the answer.
    pub fn read<T>(
        &self,
        offset: u64,
        plain: &mut [u8],
        mut read: impl FnMut(u64, &mut [u8]) -> std::result::Result<(), T>,
    ) -> std::result::Result<Result<(), Changed>, T> {
        SCRATCH.with_borrow_mut(|scratch| {
            let turn_length = SEALED_CHUNK_LENGTH * CHUNKS_AT_ONCE as usize;
            scratch.resize(turn_length + CHUNK_LENGTH, 0);
            let (sealed, aside) = scratch.split_at_mut(turn_length);
            let mut rest = plain;
            let mut at = offset;
            while !rest.is_empty() {
                let first = at / CHUNK_LENGTH as u64;
                let last = (at + (rest.len() as u64 - 1)) / CHUNK_LENGTH as u64;
                let last = last.min(first + CHUNKS_AT_ONCE - 1);
                let before_last = (last - first) as usize * SEALED_CHUNK_LENGTH;
                let sealed_length = before_last + self.chunk(last).0 + TAG_LENGTH;
                let sealed = sealed.split_at_mut(sealed_length).0;
                read(chunk_offset(first), sealed)?;
                for (index, sealed) in (first..).zip(sealed.chunks(SEALED_CHUNK_LENGTH)) {
                    let skip = (at % CHUNK_LENGTH as u64) as usize;
                    match self.open_part(index, sealed, skip, rest, aside) {
                        Ok(taken) => {
                            rest = rest.split_at_mut(taken).1;
                            at += taken as u64;
                        }
                        Err(Changed) => {
                            rest.fill(0);
                            return Ok(Err(Changed));
                        }
                    }
                }
            }
            Ok(Ok(()))
        })
    }

    /// Decrypts a chunk and puts what follows its first `skip` bytes at the front of `plain`, as
    /// far as there is room; tells how much that was.
    fn open_part(
        &self,
        index: u64,
        sealed: &[u8],
        skip: usize,
        plain: &mut [u8],
        aside: &mut [u8],
    ) -> Result<usize, Changed> {
        let (length, is_last) = self.chunk(index);
        let wanted = length.checked_sub(skip).filter(|wanted| *wanted > 0);
        let wanted = wanted.ok_or(Changed)?.min(plain.len());
        let to = plain.split_at_mut(wanted).0;
        if wanted == length {
            self.open(index, is_last, sealed, to)?;
        } else {
            let aside = aside.split_at_mut(length).0;
            self.open(index, is_last, sealed, aside)?;
            to.copy_from_slice(aside.get(skip..skip + wanted).ok_or(Changed)?);
        }
        Ok(wanted)
    }

    /// Encrypts `parts`, one after the other, into `sealed`.
    pub fn seal_all(&self, parts: &[impl AsRef<[u8]>], mut sealed: &mut [u8]) -> Result<()> {
        let mut pieces = Pieces {
            parts: parts.iter().map(AsRef::as_ref).collect(),
            part: 0,
            at: 0,
        };
        let mut index = 0;
        loop {
            let (length, is_last) = self.chunk(index);
            let (to, rest) = sealed
                .split_at_mut_checked(length + TAG_LENGTH)
                .ok_or(BlobError::Cipher)?;
            pieces.with(length, |plain| self.seal(index, is_last, plain, to))?;
            if is_last {
                return Ok(());
            }
            sealed = rest;
            index += 1;
        }
    }
}

thread_local! {
    /// What is read from a file before it is decrypted. It stays in the processor's cache.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

fn nonce(index: u64, is_last: bool) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    let (front, back) = bytes.split_at_mut(8);
    front.copy_from_slice(&index.to_le_bytes());
    back.fill(u8::from(is_last));
    Nonce::assume_unique_for_key(bytes)
}

/// Bytes in pieces, taken off the front.
struct Pieces<'a> {
    parts: Vec<&'a [u8]>,
    part: usize,
    at: usize,
}

impl Pieces<'_> {
    /// Calls `take` with the next `length` bytes, copied together only where pieces meet.
    fn with<T>(&mut self, length: usize, take: impl FnOnce(&[u8]) -> Result<T>) -> Result<T> {
        let range = self.at..self.at + length;
        if let Some(whole) = self.parts.get(self.part).and_then(|part| part.get(range)) {
            self.at += length;
            return take(whole);
        }
        let mut together = Vec::with_capacity(length);
        while together.len() < length {
            let part = self.parts.get(self.part).ok_or(BlobError::Cipher)?;
            let rest = part.get(self.at..).unwrap_or_default();
            let front = rest.get(..length - together.len()).unwrap_or(rest);
            together.extend_from_slice(front);
            self.at += front.len();
            if self.at >= part.len() && together.len() < length {
                self.part += 1;
                self.at = 0;
            }
        }
        take(&together)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::convert::Infallible;
    use std::ops::Range;

    /// Bytes of the chunks that `range` of an object lies in.
    fn needed(cipher: &ObjectCipher, range: &Range<u64>) -> usize {
        let chunk = CHUNK_LENGTH as u64;
        (range.start / chunk..range.end.div_ceil(chunk))
            .map(|index| cipher.chunk(index).0 + TAG_LENGTH)
            .sum()
    }

    fn cipher(length: usize) -> ObjectCipher {
        ObjectCipher::new(&[7; 32], length as u64).unwrap()
    }

    fn content(length: usize) -> Vec<u8> {
        (0..length).map(|at| (at * 31 % 251) as u8).collect()
    }

    fn seal(plain: &[u8], cut: usize) -> Vec<u8> {
        let mut sealed = vec![0; sealed_length(plain.len() as u64) as usize];
        let (front, back) = plain.split_at(cut.min(plain.len()));
        cipher(plain.len())
            .seal_all(&[front, &[], back], &mut sealed)
            .unwrap();
        sealed
    }

    /// Reads, and counts the bytes that were needed.
    fn read(
        cipher: &ObjectCipher,
        sealed: &[u8],
        range: Range<u64>,
    ) -> (Result<Vec<u8>, Changed>, usize) {
        let mut plain = vec![0; (range.end - range.start) as usize];
        let mut count = 0;
        let outcome = cipher.read(range.start, &mut plain, |offset, to| {
            count += to.len();
            let from = sealed.get(offset as usize..).unwrap_or_default();
            let length = to.len().min(from.len());
            to[..length].copy_from_slice(&from[..length]);
            Ok::<_, Infallible>(())
        });
        let Ok(outcome) = outcome;
        (outcome.map(|()| plain), count)
    }

    fn lengths() -> impl Strategy<Value = usize> {
        let chunk = CHUNK_LENGTH;
        prop_oneof![
            0..100_usize,
            (chunk - 2)..(chunk + 3),
            (2 * chunk - 2)..(3 * chunk + 2),
            (7 * chunk)..(18 * chunk)
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

        #[test]
        fn any_range_is_read_with_its_chunks_alone(
            length in lengths(), cut: prop::sample::Index, from: prop::sample::Index, to: prop::sample::Index,
        ) {
            let plain = content(length);
            let sealed = seal(&plain, cut.index(length + 1));
            let (from, to) = (from.index(length + 1), to.index(length + 1));
            let range = from.min(to) as u64..from.max(to) as u64;
            let (bytes, count) = read(&cipher(length), &sealed, range.clone());
            prop_assert_eq!(bytes.unwrap(), &plain[range.start as usize..range.end as usize]);
            let needed = if range.is_empty() { 0 } else { needed(&cipher(length), &range) };
            prop_assert_eq!(count, needed);
        }

        #[test]
        fn a_flipped_bit_is_seen(length in 1..200_000_usize, at: prop::sample::Index, bit in 0..8_u8) {
            let mut sealed = seal(&content(length), 0);
            let at = at.index(sealed.len());
            sealed[at] ^= 1 << bit;
            prop_assert_eq!(read(&cipher(length), &sealed, 0..length as u64).0, Err(Changed));
        }

        #[test]
        fn another_length_is_seen(length in lengths(), other in lengths()) {
            prop_assume!(length != other && other > 0);
            let sealed = seal(&content(length), 0);
            let last = other as u64 - 1;
            prop_assert_eq!(read(&cipher(other), &sealed, last..other as u64).0, Err(Changed));
        }
    }

    #[test]
    fn chunks_do_not_change_places() {
        let length = 3 * CHUNK_LENGTH;
        let sealed = seal(&content(length), 0);
        let mut swapped = sealed.clone();
        let (one, two) = swapped.split_at_mut(SEALED_CHUNK_LENGTH);
        one.swap_with_slice(&mut two[..SEALED_CHUNK_LENGTH]);
        for range in [0..10_u64, CHUNK_LENGTH as u64..CHUNK_LENGTH as u64 + 10] {
            assert_eq!(read(&cipher(length), &swapped, range).0, Err(Changed));
        }
        let third = 2 * CHUNK_LENGTH as u64;
        assert!(read(&cipher(length), &swapped, third..third + 10).0.is_ok());
    }

    #[test]
    fn another_key_opens_nothing() {
        let sealed = seal(&content(100), 0);
        let other = ObjectCipher::new(&[8; 32], 100).unwrap();
        assert_eq!(read(&other, &sealed, 0..100).0, Err(Changed));
    }
}
