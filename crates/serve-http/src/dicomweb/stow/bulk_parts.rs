//! Bulk values that come in parts of their own: in memory while they are few bytes, in a staging
//! file when they are many.

use super::{Parts, Storing};
use crate::media_type::MediaType;
use crate::multipart::reader::{Event, PartHeader};
use crate::problem::{Problem, Purpose};
use bytes::Bytes;
use gantry_archive::Error;
use gantry_archive::store::Spool;
use std::collections::HashMap;

/// Bytes that go to the staging file, or come from it, in one step.
const STEP_BYTES: usize = 1 << 20;
/// Bytes at the beginning of a value that stay in memory, for a look at what it is.
const HEAD_BYTES: usize = 64 << 10;

/// The content of one part.
#[derive(Debug, Clone)]
pub enum Piece {
    /// In memory.
    Held(Bytes),
    /// In the staging file.
    Spooled {
        /// The file.
        spool: Spool,
        /// Where in it.
        offset: u64,
        /// How many bytes.
        length: u64,
        /// The first of them.
        head: Bytes,
    },
}

impl Piece {
    /// Length in bytes.
    pub fn length(&self) -> u64 {
        match self {
            Self::Held(bytes) => bytes.len() as u64,
            Self::Spooled { length, .. } => *length,
        }
    }

    /// The first bytes.
    pub fn head(&self) -> &[u8] {
        match self {
            Self::Held(bytes) => bytes,
            Self::Spooled { head, .. } => head,
        }
    }

    /// Bytes from `at` on, as many as make one step; nothing at the end.
    ///
    /// # Errors
    /// When the staging file cannot be read.
    pub async fn read(&self, at: u64) -> Result<Bytes, Error> {
        match self {
            Self::Held(bytes) => {
                let at = usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
                Ok(bytes.slice(at..bytes.len().min(at + STEP_BYTES)))
            }
            Self::Spooled {
                spool,
                offset,
                length,
                ..
            } => {
                let left = length.saturating_sub(at).min(STEP_BYTES as u64);
                let left = usize::try_from(left).unwrap_or(STEP_BYTES);
                spool.read(offset + at, left).await
            }
        }
    }
}

/// A bulk value. Several parts with one location are the frames of one value.
#[derive(Debug)]
pub struct BulkPart {
    /// What the first part says it is.
    pub media_type: Option<MediaType>,
    /// The contents of the parts.
    pub pieces: Vec<Piece>,
}

/// The bulk values of one request, by their location.
#[derive(Debug, Default)]
pub struct BulkParts {
    by_location: HashMap<String, BulkPart>,
    held_bytes: usize,
    spool: Option<Spool>,
}

impl BulkParts {
    /// Takes the content of the part that has begun. One without a location is read and thrown
    /// away: nothing can refer to it.
    pub async fn receive(
        &mut self,
        storing: &Storing<'_>,
        parts: &mut Parts,
        header: &PartHeader,
        media_type: Option<MediaType>,
    ) -> Result<(), Problem> {
        let Some(location) = location(header) else {
            return parts.skip().await;
        };
        let is_first = !self.by_location.contains_key(&location);
        let piece = self.receive_piece(storing, parts, is_first).await?;
        let part = self
            .by_location
            .entry(location)
            .or_insert_with(|| BulkPart {
                media_type,
                pieces: Vec::new(),
            });
        part.pieces.push(piece);
        Ok(())
    }

    async fn receive_piece(
        &mut self,
        storing: &Storing<'_>,
        parts: &mut Parts,
        with_head: bool,
    ) -> Result<Piece, Problem> {
        let held_max = storing.context.config.store_bulk_memory_bytes;
        let mut collected: Vec<u8> = Vec::new();
        let mut spooled: Option<(Spool, u64, u64, Bytes)> = None;
        loop {
            let bytes = match parts.next().await? {
                Some(Event::Data(bytes)) => bytes,
                Some(Event::End | Event::Start(_)) | None => break,
            };
            collected.extend_from_slice(&bytes);
            let is_step = collected.len() >= STEP_BYTES;
            let is_held = self.held_bytes + collected.len() <= held_max;
            if (spooled.is_none() && is_held) || (spooled.is_some() && !is_step) {
                continue;
            }
            let head = if with_head { HEAD_BYTES } else { 0 };
            let head = collected
                .get(..head.min(collected.len()))
                .unwrap_or_default();
            let head = Bytes::copy_from_slice(head);
            let length = collected.len() as u64;
            let (spool, offset) = self.append(storing, std::mem::take(&mut collected)).await?;
            match &mut spooled {
                Some((_, _, total, _)) => *total += length,
                None => spooled = Some((spool, offset, length, head)),
            }
        }
        let Some((spool, offset, mut length, head)) = spooled else {
            self.held_bytes += collected.len();
            return Ok(Piece::Held(collected.into()));
        };
        length += collected.len() as u64;
        self.append(storing, collected).await?;
        Ok(Piece::Spooled {
            spool,
            offset,
            length,
            head,
        })
    }

    async fn append(
        &mut self,
        storing: &Storing<'_>,
        bytes: Vec<u8>,
    ) -> Result<(Spool, u64), Problem> {
        let failed = |error: Error| Problem::from_archive(&error, Purpose::Store);
        let spool = match &self.spool {
            Some(spool) => spool.clone(),
            None => {
                let archive = &storing.context.archive;
                let spool = archive.spool(&storing.asked.principal).await;
                self.spool.insert(spool.map_err(failed)?).clone()
            }
        };
        let offset = spool.append(bytes).await.map_err(failed)?;
        Ok((spool, offset))
    }

    /// The value that a reference names. It names a part as it is, or relative where the part is
    /// absolute, or the reverse.
    pub fn find(&self, uri: &str) -> Option<&BulkPart> {
        let uri = uri.trim_start_matches("cid:");
        self.by_location.get(uri).or_else(|| {
            let is_end_of = |long: &str, short: &str| {
                !short.is_empty()
                    && long
                        .strip_suffix(short)
                        .is_some_and(|rest| rest.ends_with('/') || short.starts_with('/'))
            };
            let mut found = self
                .by_location
                .iter()
                .filter(|(key, _)| is_end_of(key, uri) || is_end_of(uri, key));
            match (found.next(), found.next()) {
                (Some((_, part)), None) => Some(part),
                _ => None,
            }
        })
    }
}

/// Content-Location is what a BulkDataURI refers to; some clients say it as Content-ID.
fn location(header: &PartHeader) -> Option<String> {
    header
        .field("content-location")
        .or_else(|| header.field("content-id"))
        .map(|location| {
            location
                .trim_matches(['<', '>'])
                .trim_start_matches("cid:")
                .to_owned()
        })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Values that are their own locations.
    pub(in super::super) fn bulk(locations: &[&str]) -> BulkParts {
        let mut parts = BulkParts::default();
        for location in locations {
            let content = Bytes::copy_from_slice(location.as_bytes());
            add(&mut parts, location, None, vec![Piece::Held(content)]);
        }
        parts
    }

    pub(in super::super) fn add(
        parts: &mut BulkParts,
        location: &str,
        media_type: Option<&str>,
        pieces: Vec<Piece>,
    ) {
        let media_type = media_type.map(|text| MediaType::parse(text).unwrap());
        let part = BulkPart { media_type, pieces };
        parts.by_location.insert(location.to_owned(), part);
    }

    #[test]
    fn references_find_their_parts_absolute_or_relative() {
        let bulk = bulk(&["http://a/bulk/1", "bulk/2"]);
        let found = |uri| bulk.find(uri).map(|part| part.pieces[0].head());
        assert_eq!(found("http://a/bulk/1").unwrap(), b"http://a/bulk/1");
        assert_eq!(found("bulk/1").unwrap(), b"http://a/bulk/1");
        assert_eq!(found("http://b/bulk/2").unwrap(), b"bulk/2");
        assert!(found("bulk/3").is_none());
        assert!(found("").is_none());
        assert!(found("k/2").is_none());
    }
}
