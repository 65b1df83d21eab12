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
//!
//! In an encrypted pack the format version is 2. The two digests and the meaning are encrypted
//! with AES-256-GCM and a key of the pack's own; its tag takes the place of the check and covers
//! the rest of the header too. The meaning begins with the nonce (12, random), which counts for its
//! length. The blob is as [`crate::cipher`] says; its length is that of the plain blob.

use crate::cipher::{FRONT_LENGTH, Salt, sealed_length};
use crate::error::{BlobError, Result};
use crate::location::{BlobLocation, LargeId, Position};
use crate::staging::LargeBlob;
use bytes::Bytes;
use gantry_keys::KeyId;
use gantry_keys::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce};
use std::ops::Range;
use std::sync::Arc;

/// Records begin at multiples of this, the size of a sector: a torn write never reaches into a
/// neighbour.
pub(crate) const ALIGNMENT: u64 = 512;
pub(crate) const HEADER_LENGTH: usize = 128;
pub(crate) const MAGIC: [u8; 4] = *b"GREC";
const VERSION_PLAIN: u8 = 1;
const VERSION_ENCRYPTED: u8 = 2;
/// What is encrypted of the header: from the digest on, without the large id.
const DIGEST_RANGE: Range<usize> = 48..80;
const PREFIX_DIGEST_RANGE: Range<usize> = 96..112;
const CHECK_LENGTH: usize = 16;

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
    /// In memory and encrypted ([`crate::Ledger::seal`]).
    Sealed(SealedBlob),
    /// In a file that was made durable before ([`crate::StagedFile::finish`]).
    Large(LargeBlob),
}

impl BlobContent {
    /// Length of the blob in bytes.
    pub fn length(&self) -> u64 {
        match self {
            Self::Inline(parts) => parts.iter().map(|part| part.len() as u64).sum(),
            Self::Sealed(sealed) => sealed.length,
            Self::Large(large) => large.length(),
        }
    }
}

/// The bytes of a new blob, encrypted by the thread that brings them.
#[derive(Debug, Clone)]
pub struct SealedBlob {
    pub(crate) key: KeyId,
    pub(crate) salt: Salt,
    /// Length of the plain bytes.
    pub(crate) length: u64,
    pub(crate) prefix_digest: [u8; 16],
    pub(crate) chunks: Bytes,
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
    /// Whether it is in an encrypted pack.
    pub is_encrypted: bool,
    /// Number of the first record that was written together with this one. Everything before
    /// it was durable when this one was written.
    pub batch: u64,
    /// Length in the pack, the nonce included.
    pub meta_length: u32,
    pub data_set_offset: u32,
    pub blob_length: u64,
    pub digest: [u8; 32],
    pub prefix_digest: [u8; 16],
}

/// How the records of a pack are kept from being changed.
#[derive(Debug, Clone)]
pub(crate) enum RecordKey {
    Check(CheckKey),
    Cipher(Arc<LessSafeKey>),
}

impl std::fmt::Debug for CheckKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CheckKey(…)")
    }
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
    /// The header of a new record.
    pub fn of(record: &NewRecord, sequence: u64, batch: u64, is_encrypted: bool) -> Result<Self> {
        let nonce_length = if is_encrypted { NONCE_LEN } else { 0 };
        let meta_length = u32::try_from(record.meta.len() + nonce_length)
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
            is_encrypted,
            batch,
            meta_length,
            data_set_offset: 0,
            blob_length: 0,
            digest: [0; 32],
            prefix_digest: [0; 16],
        };
        if let Some(blob) = &record.blob {
            header.describe(blob);
        }
        Ok(header)
    }

    fn describe(&mut self, blob: &NewBlob) {
        self.data_set_offset = blob.data_set_offset;
        self.digest = blob.digest;
        self.blob_length = blob.content.length();
        match &blob.content {
            BlobContent::Inline(parts) => {
                self.content = Content::Inline;
                self.prefix_digest = prefix_digest(parts, blob.data_set_offset as usize);
            }
            BlobContent::Sealed(sealed) => {
                self.content = Content::Inline;
                self.prefix_digest = sealed.prefix_digest;
            }
            BlobContent::Large(large) => self.content = Content::Large(large.id()),
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
            Content::Inline => self
                .blob_start()
                .saturating_add(stored_length(self.blob_length, self.is_encrypted)),
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
    pub fn write(&self, meta: &[u8], key: &RecordKey, out: &mut Vec<u8>) -> Result<()> {
        let mut head = Vec::with_capacity(HEADER_LENGTH);
        head.extend_from_slice(&MAGIC);
        let (content, large) = match self.content {
            Content::None => (0, [0; 16]),
            Content::Inline => (1, [0; 16]),
            Content::Large(id) => (2, id.0),
        };
        let kind = match self.kind {
            RecordKind::Instance => 1,
            RecordKind::Event => 2,
        };
        let version = match key {
            RecordKey::Check(_) => VERSION_PLAIN,
            RecordKey::Cipher(_) => VERSION_ENCRYPTED,
        };
        head.extend_from_slice(&[version, kind, content, 0]);
        head.extend_from_slice(&self.sequence.to_le_bytes());
        head.extend_from_slice(&self.batch.to_le_bytes());
        head.extend_from_slice(&self.meta_length.to_le_bytes());
        head.extend_from_slice(&self.data_set_offset.to_le_bytes());
        head.extend_from_slice(&self.blob_length.to_le_bytes());
        head.extend_from_slice(&[0; 8]);
        head.extend_from_slice(&self.digest);
        head.extend_from_slice(&large);
        head.extend_from_slice(&self.prefix_digest);
        match key {
            RecordKey::Check(key) => {
                let check = key.check([&head, meta]);
                out.extend_from_slice(&head);
                out.extend_from_slice(&check);
                out.extend_from_slice(meta);
            }
            RecordKey::Cipher(key) => seal(&head, meta, key, out)?,
        }
        Ok(())
    }

    /// Reads a header. That it is one of this pack's is known only after [`Self::open`], and what
    /// is encrypted of it too.
    pub fn parse(bytes: &[u8; HEADER_LENGTH]) -> Option<Self> {
        let mut fields = Fields(bytes);
        if fields.take::<4>()? != MAGIC {
            return None;
        }
        let [version, kind, content, _] = fields.take::<4>()?;
        let is_encrypted = match version {
            VERSION_PLAIN => false,
            VERSION_ENCRYPTED => true,
            _ => return None,
        };
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
            is_encrypted,
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
        };
        let large = LargeId(fields.take()?);
        let content = match header.content {
            Content::Large(_) => Content::Large(large),
            other => other,
        };
        let header = Self {
            content,
            prefix_digest: fields.take()?,
            ..header
        };
        let is_plausible = header.meta_length as usize <= NewRecord::META_MAX + NONCE_LEN;
        is_plausible.then_some(header)
    }

    /// The meaning, when header and meaning are what this archive once wrote into this pack.
    pub fn open(
        &mut self,
        bytes: &[u8; HEADER_LENGTH],
        meta: &[u8],
        key: &RecordKey,
    ) -> Option<Bytes> {
        let (covered, check) = bytes.split_at(HEADER_LENGTH - CHECK_LENGTH);
        match key {
            RecordKey::Check(key) => {
                let fits = !self.is_encrypted && key.check([covered, meta]) == *check;
                fits.then(|| Bytes::copy_from_slice(meta))
            }
            RecordKey::Cipher(key) => {
                let (nonce, meta) = meta.split_first_chunk::<NONCE_LEN>()?;
                let mut sealed = [
                    covered.get(DIGEST_RANGE)?,
                    covered.get(PREFIX_DIGEST_RANGE)?,
                    meta,
                ]
                .concat();
                let nonce = Nonce::assume_unique_for_key(*nonce);
                let clear = Aad::from(clear_part(covered));
                key.open_in_place_separate_tag(nonce, clear, check, &mut sealed)
                    .ok()?;
                let mut fields = Fields(&sealed);
                self.digest = fields.take()?;
                self.prefix_digest = fields.take()?;
                let meta_start = sealed.len() - fields.0.len();
                self.is_encrypted
                    .then(|| Bytes::from(sealed).slice(meta_start..))
            }
        }
    }
}

/// What of a header is not encrypted.
fn clear_part(head: &[u8]) -> Vec<u8> {
    let before = head.get(..DIGEST_RANGE.start).unwrap_or_default();
    let between = head.get(DIGEST_RANGE.end..PREFIX_DIGEST_RANGE.start);
    [before, between.unwrap_or_default()].concat()
}

/// Encrypts a header's digests and the meaning.
fn seal(head: &[u8], meta: &[u8], key: &LessSafeKey, out: &mut Vec<u8>) -> Result<()> {
    let part = |range: Range<usize>| head.get(range).unwrap_or_default();
    let mut nonce = [0; NONCE_LEN];
    gantry_keys::random(&mut nonce).map_err(|_| BlobError::Cipher)?;
    let mut sealed = [part(DIGEST_RANGE), part(PREFIX_DIGEST_RANGE), meta].concat();
    let clear = Aad::from(clear_part(head));
    let tag = key
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), clear, &mut sealed)
        .map_err(|_| BlobError::Cipher)?;
    let (digest, rest) = sealed.split_at(DIGEST_RANGE.len());
    let (prefix_digest, meta) = rest.split_at(PREFIX_DIGEST_RANGE.len());
    out.extend_from_slice(part(0..DIGEST_RANGE.start));
    out.extend_from_slice(digest);
    out.extend_from_slice(part(DIGEST_RANGE.end..PREFIX_DIGEST_RANGE.start));
    out.extend_from_slice(prefix_digest);
    out.extend_from_slice(tag.as_ref());
    out.extend_from_slice(&nonce);
    out.extend_from_slice(meta);
    Ok(())
}

/// Bytes that a blob takes in a pack.
pub(crate) fn stored_length(length: u64, is_encrypted: bool) -> u64 {
    if is_encrypted {
        sealed_length(length).saturating_add(FRONT_LENGTH as u64)
    } else {
        length
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

pub(crate) fn prefix_digest(parts: &[Bytes], length: usize) -> [u8; 16] {
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

    fn parse(bytes: &[u8], key: &RecordKey) -> Option<(Header, Bytes)> {
        let (head, rest) = bytes.split_first_chunk::<HEADER_LENGTH>()?;
        let mut header = Header::parse(head)?;
        let meta = rest.get(..header.meta_length as usize)?;
        let meta = header.open(head, meta, key)?;
        Some((header, meta))
    }

    fn keys(fill: u8, pack: u32) -> [RecordKey; 2] {
        let bytes = [fill ^ pack as u8; 32];
        let cipher = gantry_keys::aead::UnboundKey::new(&gantry_keys::aead::AES_256_GCM, &bytes);
        [
            RecordKey::Check(CheckKey::derive(&[fill; 16], pack)),
            RecordKey::Cipher(Arc::new(LessSafeKey::new(cipher.unwrap()))),
        ]
    }

    fn written(
        record: &NewRecord,
        sequence: u64,
        batch: u64,
        key: &RecordKey,
    ) -> (Header, Vec<u8>) {
        let is_encrypted = matches!(key, RecordKey::Cipher(_));
        let header = Header::of(record, sequence, batch, is_encrypted).unwrap();
        let mut bytes = Vec::new();
        header.write(&record.meta, key, &mut bytes).unwrap();
        (header, bytes)
    }

    proptest! {
        #[test]
        fn a_header_survives_its_bytes(
            meta in proptest::collection::vec(any::<u8>(), 0..300), sequence: u64, batch: u64,
        ) {
            for key in keys(7, 1) {
                let (header, bytes) = written(&record(&meta, b"blob"), sequence, batch, &key);
                let (read, read_meta) = parse(&bytes, &key).unwrap();
                prop_assert_eq!(&read, &header);
                prop_assert_eq!(&read_meta[..], &meta[..]);
                prop_assert_eq!(bytes.len() as u64, header.blob_start());
            }
        }

        #[test]
        fn a_flipped_bit_is_seen(at: prop::sample::Index, bit in 0_u8..8) {
            for key in keys(7, 1) {
                let (_, mut bytes) = written(&record(&[3; 20], b""), 1, 1, &key);
                let at = at.index(bytes.len());
                bytes[at] ^= 1 << bit;
                prop_assert_eq!(parse(&bytes, &key), None);
            }
        }
    }

    #[test]
    fn an_encrypted_record_shows_neither_meaning_nor_digests() {
        let [_, key] = keys(7, 1);
        let (header, bytes) = written(&record(b"DOE^JANE", b"blob"), 1, 1, &key);
        for secret in [&b"DOE^JANE"[..], &header.digest, &header.prefix_digest] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret));
        }
        let (_, again) = written(&record(b"DOE^JANE", b"blob"), 1, 1, &key);
        assert_ne!(bytes, again);
    }

    #[test]
    fn another_packs_record_is_not_taken() {
        for (at, key) in keys(7, 1).iter().enumerate() {
            let (_, bytes) = written(&record(b"m", b""), 1, 1, key);
            assert!(parse(&bytes, key).is_some());
            for (fill, pack) in [(7, 2), (8, 1)] {
                assert!(parse(&bytes, &keys(fill, pack)[at]).is_none());
            }
            assert!(parse(&bytes, &keys(7, 1)[1 - at]).is_none());
        }
    }

    #[test]
    fn a_meaning_has_a_limit() {
        let record = record(&vec![0; NewRecord::META_MAX + 1], b"");
        assert!(matches!(
            Header::of(&record, 0, 0, false),
            Err(BlobError::TooLarge { .. })
        ));
    }
}
