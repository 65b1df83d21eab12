//! Records of the ledger: what a caller appends, what a reader gets, and the bytes between.
//!
//! ```text
//!   0  magic "GREC"           4      80  large id (or zeros)              16
//!   4  format version         1      96  BLAKE3 of the blob before the
//!   5  kind                   1          data set, first 16 bytes         16
//!   6  content                1     112  check: keyed BLAKE3 of bytes
//!   7  reserved               1          0..112 and of the meaning,
//!   8  sequence               8          first 16 bytes                   16
//!  16  sequence of the batch  8     128  meaning
//!  24  length of the meaning  4      ..  blob
//!  28  data set offset        4      ..  zeros up to a multiple of 512
//!  32  length of the blob     8
//!  40  reserved               8     integers are little endian
//!  48  BLAKE3 of the data set 32
//! ```
//!
//! The key of the check is the pack's own (see [`crate::pack`]), so that bytes of another pack,
//! or of a ledger that somebody sends inside an instance, are never taken for a record.

use crate::error::{BlobError, Result};
use crate::location::{BlobLocation, LargeId, Position};
use crate::staging::LargeBlob;
use bytes::Bytes;

/// Records begin at multiples of this, the size of a sector: a torn write never reaches into a
/// neighbour.
pub(crate) const ALIGNMENT: u64 = 512;
pub(crate) const HEADER_LENGTH: usize = 128;
pub(crate) const MAGIC: [u8; 4] = *b"GREC";
const VERSION: u8 = 1;

/// What a record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RecordKind {
    /// It brings an instance's bytes.
    Instance,
    /// Something happened to what is stored: a deletion, a correction.
    Event,
}

/// A record to append.
#[derive(Debug)]
pub struct NewRecord {
    /// What it is about.
    pub kind: RecordKind,
    /// What it means to the archive; at most [`NewRecord::META_MAX`] bytes.
    pub meta: Bytes,
    /// The instance, when it brings one.
    pub blob: Option<NewBlob>,
}

impl NewRecord {
    /// Longest meaning, in bytes.
    pub const META_MAX: usize = 1 << 20;
}

/// A blob to append: a Part 10 file.
#[derive(Debug)]
pub struct NewBlob {
    /// The bytes, or the file that has them already.
    pub content: BlobContent,
    /// Bytes before the data set: preamble, prefix and file meta information.
    pub data_set_offset: u32,
    /// BLAKE3 of the data set: of all bytes from `data_set_offset` on.
    pub digest: [u8; 32],
}

/// Where the bytes of a new blob are.
#[derive(Debug)]
pub enum BlobContent {
    /// In memory, in pieces as they arrived.
    Inline(Vec<Bytes>),
    /// In a file that was made durable before ([`crate::StagedFile::finish`]).
    Large(LargeBlob),
}

/// What became of an appended record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// The position after the record.
    pub end: Position,
    /// Where its blob lies.
    pub location: Option<BlobLocation>,
}

/// A record as read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The record's number in the ledger.
    pub sequence: u64,
    /// The position after the record.
    pub end: Position,
    /// What it is about.
    pub kind: RecordKind,
    /// What it means to the archive.
    pub meta: Bytes,
    /// Its blob. The blob of a record in the past may have been purged since.
    pub blob: Option<StoredBlob>,
}

/// A blob as its record describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredBlob {
    /// Where it lies.
    pub location: BlobLocation,
    /// Bytes before the data set.
    pub data_set_offset: u32,
    /// BLAKE3 of the data set.
    pub digest: [u8; 32],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    None,
    Inline,
    Large(LargeId),
}

/// A record's header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub kind: RecordKind,
    pub content: Content,
    pub sequence: u64,
    /// Number of the first record that was written together with this one. Everything before
    /// it was durable when this one was written.
    pub batch: u64,
    pub meta_length: u32,
    pub data_set_offset: u32,
    pub blob_length: u64,
    pub digest: [u8; 32],
    pub prefix_digest: [u8; 16],
    check: [u8; 16],
}

/// The key with which a pack's checks are made.
#[derive(Clone, Copy)]
pub(crate) struct CheckKey([u8; 32]);

impl CheckKey {
    pub fn derive(archive: &[u8; 16], pack: u32) -> Self {
        let mut material = archive.to_vec();
        material.extend_from_slice(&pack.to_le_bytes());
        Self(blake3::derive_key(
            "gantry 2026 ledger record check",
            &material,
        ))
    }

    pub fn check(&self, parts: [&[u8]; 2]) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        for part in parts {
            hasher.update(part);
        }
        half(hasher.finalize())
    }
}

/// The first half of a digest.
pub(crate) fn half(digest: blake3::Hash) -> [u8; 16] {
    first_half(digest.as_bytes())
}

fn first_half(bytes: &[u8; 32]) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(bytes.split_at(16).0);
    half
}

impl Header {
    /// The header and meaning of a new record as bytes, and the header.
    pub fn of(record: &NewRecord, sequence: u64, batch: u64) -> Result<Self> {
        let meta_length = u32::try_from(record.meta.len())
            .ok()
            .filter(|_| record.meta.len() <= NewRecord::META_MAX)
            .ok_or(BlobError::TooLarge {
                bytes: record.meta.len() as u64,
                capacity: NewRecord::META_MAX as u64,
            })?;
        let mut header = Self {
            kind: record.kind,
            content: Content::None,
            sequence,
            batch,
            meta_length,
            data_set_offset: 0,
            blob_length: 0,
            digest: [0; 32],
            prefix_digest: [0; 16],
            check: [0; 16],
        };
        if let Some(blob) = &record.blob {
            header.describe(blob);
        }
        Ok(header)
    }

    fn describe(&mut self, blob: &NewBlob) {
        self.data_set_offset = blob.data_set_offset;
        self.digest = blob.digest;
        match &blob.content {
            BlobContent::Inline(parts) => {
                self.content = Content::Inline;
                self.blob_length = parts.iter().map(|part| part.len() as u64).sum();
                self.prefix_digest = prefix_digest(parts, blob.data_set_offset as usize);
            }
            BlobContent::Large(large) => {
                self.content = Content::Large(large.id());
                self.blob_length = large.length();
            }
        }
    }

    /// Bytes of the pack that the record takes, padding included.
    pub fn total_length(&self) -> u64 {
        self.blob_end().next_multiple_of(ALIGNMENT)
    }

    /// Bytes from the record's first to its blob's first.
    pub fn blob_start(&self) -> u64 {
        HEADER_LENGTH as u64 + u64::from(self.meta_length)
    }

    /// Bytes from the record's first to the end of what it holds, without padding.
    pub fn blob_end(&self) -> u64 {
        match self.content {
            Content::Inline => self.blob_start().saturating_add(self.blob_length),
            Content::None | Content::Large(_) => self.blob_start(),
        }
    }

    /// Where the blob lies when the record begins at `offset` of `pack`.
    pub fn location(&self, pack: u32, offset: u64) -> Option<BlobLocation> {
        match self.content {
            Content::None => None,
            Content::Inline => Some(BlobLocation::Pack {
                pack,
                offset: offset.saturating_add(self.blob_start()),
                length: self.blob_length,
            }),
            Content::Large(id) => Some(BlobLocation::Large {
                id,
                length: self.blob_length,
            }),
        }
    }

    /// Appends header and meaning to `out`.
    pub fn write(&self, meta: &[u8], key: &CheckKey, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&MAGIC);
        let (content, large) = match self.content {
            Content::None => (0, [0; 16]),
            Content::Inline => (1, [0; 16]),
            Content::Large(id) => (2, id.0),
        };
        let kind = match self.kind {
            RecordKind::Instance => 1,
            RecordKind::Event => 2,
        };
        out.extend_from_slice(&[VERSION, kind, content, 0]);
        out.extend_from_slice(&self.sequence.to_le_bytes());
        out.extend_from_slice(&self.batch.to_le_bytes());
        out.extend_from_slice(&self.meta_length.to_le_bytes());
        out.extend_from_slice(&self.data_set_offset.to_le_bytes());
        out.extend_from_slice(&self.blob_length.to_le_bytes());
        out.extend_from_slice(&[0; 8]);
        out.extend_from_slice(&self.digest);
        out.extend_from_slice(&large);
        out.extend_from_slice(&self.prefix_digest);
        let check = key.check([out.get(start..).unwrap_or_default(), meta]);
        out.extend_from_slice(&check);
        out.extend_from_slice(meta);
    }

    /// Reads a header. That it is one of this pack's is known only after [`Self::is_checked`].
    pub fn parse(bytes: &[u8; HEADER_LENGTH]) -> Option<Self> {
        let mut fields = Fields(bytes);
        if fields.take::<4>()? != MAGIC {
            return None;
        }
        let [version, kind, content, _] = fields.take::<4>()?;
        let header = Self {
            kind: match kind {
                1 => RecordKind::Instance,
                2 => RecordKind::Event,
                _ => return None,
            },
            content: match content {
                0 => Content::None,
                1 => Content::Inline,
                2 => Content::Large(LargeId([0; 16])),
                _ => return None,
            },
            sequence: u64::from_le_bytes(fields.take()?),
            batch: u64::from_le_bytes(fields.take()?),
            meta_length: u32::from_le_bytes(fields.take()?),
            data_set_offset: u32::from_le_bytes(fields.take()?),
            blob_length: {
                let length = u64::from_le_bytes(fields.take()?);
                let _reserved = fields.take::<8>()?;
                length
            },
            digest: fields.take()?,
            prefix_digest: [0; 16],
            check: [0; 16],
        };
        let large = LargeId(fields.take()?);
        let content = match header.content {
            Content::Large(_) => Content::Large(large),
            other => other,
        };
        let header = Self {
            content,
            prefix_digest: fields.take()?,
            check: fields.take()?,
            ..header
        };
        let plausible = version == VERSION && header.meta_length as usize <= NewRecord::META_MAX;
        plausible.then_some(header)
    }

    /// Whether header and meaning are what this archive once wrote into this pack.
    pub fn is_checked(&self, bytes: &[u8; HEADER_LENGTH], meta: &[u8], key: &CheckKey) -> bool {
        let covered = bytes.split_at(HEADER_LENGTH - 16).0;
        key.check([covered, meta]) == self.check
    }
}

/// Takes fixed-size fields off the front.
pub(crate) struct Fields<'a>(pub &'a [u8]);

impl Fields<'_> {
    pub fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*field)
    }
}

fn prefix_digest(parts: &[Bytes], length: usize) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    let mut left = length;
    for part in parts {
        let take = left.min(part.len());
        hasher.update(part.get(..take).unwrap_or_default());
        left -= take;
        if left == 0 {
            break;
        }
    }
    half(hasher.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(meta: &[u8], blob: &[u8]) -> NewRecord {
        NewRecord {
            kind: RecordKind::Instance,
            meta: Bytes::copy_from_slice(meta),
            blob: Some(NewBlob {
                content: BlobContent::Inline(vec![Bytes::copy_from_slice(blob)]),
                data_set_offset: 0,
                digest: *blake3::hash(blob).as_bytes(),
            }),
        }
    }

    fn parse(bytes: &[u8], key: &CheckKey) -> Option<Header> {
        let (head, rest) = bytes.split_first_chunk::<HEADER_LENGTH>()?;
        let header = Header::parse(head)?;
        let meta = rest.get(..header.meta_length as usize)?;
        header.is_checked(head, meta, key).then_some(header)
    }

    proptest! {
        #[test]
        fn a_header_survives_its_bytes(
            meta in proptest::collection::vec(any::<u8>(), 0..300), sequence: u64, batch: u64,
        ) {
            let key = CheckKey::derive(&[7; 16], 1);
            let header = Header::of(&record(&meta, b"blob"), sequence, batch).unwrap();
            let mut bytes = Vec::new();
            header.write(&meta, &key, &mut bytes);
            let read = parse(&bytes, &key).unwrap();
            prop_assert_eq!(read.sequence, sequence);
            prop_assert_eq!(read.batch, batch);
            prop_assert_eq!(read.location(1, 512), header.location(1, 512));
        }

        #[test]
        fn a_flipped_bit_is_seen(at in 0_usize..(128 + 20), bit in 0_u8..8) {
            let key = CheckKey::derive(&[7; 16], 1);
            let meta = [3; 20];
            let mut bytes = Vec::new();
            Header::of(&record(&meta, b""), 1, 1).unwrap().write(&meta, &key, &mut bytes);
            bytes[at] ^= 1 << bit;
            prop_assert_eq!(parse(&bytes, &key), None);
        }
    }

    #[test]
    fn another_packs_record_is_not_taken() {
        let mut bytes = Vec::new();
        let key = CheckKey::derive(&[7; 16], 1);
        Header::of(&record(b"m", b""), 1, 1)
            .unwrap()
            .write(b"m", &key, &mut bytes);
        assert!(parse(&bytes, &key).is_some());
        assert!(parse(&bytes, &CheckKey::derive(&[7; 16], 2)).is_none());
        assert!(parse(&bytes, &CheckKey::derive(&[8; 16], 1)).is_none());
    }

    #[test]
    fn a_meaning_has_a_limit() {
        let record = record(&vec![0; NewRecord::META_MAX + 1], b"");
        assert!(matches!(
            Header::of(&record, 0, 0),
            Err(BlobError::TooLarge { .. })
        ));
    }
}
