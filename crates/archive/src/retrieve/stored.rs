//! Bytes of stored objects: ranges of their data sets and files.

use super::stream::CHUNK_BYTES;
use super::{ByteStream, InstanceRef};
use crate::Archive;
use crate::error::{Error, Result};
use crate::store::body::blocking;
use bytes::{Bytes, BytesMut};
use gantry_core::failure::Kind;
use gantry_dicom::encoding::swap_in_place;
use gantry_dicom::transcode;
use std::io::Read;
use std::ops::Range;
use std::sync::Arc;

/// Most bytes of one frame that are held.
const FRAME_BYTES_MAX: u64 = 2 << 30;
/// Most bytes that are copied from the page cache without leaving the thread that asks.
const AT_ONCE_BYTES_MAX: u64 = 1 << 20;
/// Bytes of an inflated data set that are looked through, at most.
const INFLATED_BYTES_MAX: u64 = 8 << 30;

// Chunks must not cut a word in two.
const _: () = assert!(CHUNK_BYTES.is_multiple_of(8));

impl Archive {
    /// Reads byte ranges of the data set, one after the other.
    pub(crate) async fn read_ranges(
        &self,
        instance: &InstanceRef,
        ranges: Vec<Range<u64>>,
    ) -> Result<Bytes> {
        let lengths = ranges.iter().map(length_of);
        if lengths.fold(0, u64::saturating_add) > FRAME_BYTES_MAX {
            return Err(Error::new(
                Kind::OutOfResources,
                "the frame is too large to hold",
            ));
        }
        if instance.form().is_deflated {
            return self.read_deflated_ranges(instance, ranges).await;
        }
        let blobs = Arc::clone(self.blobs());
        let (location, start) = (instance.location, instance.data_set_offset);
        if let [range] = ranges.as_slice()
            && length_of(range) <= AT_ONCE_BYTES_MAX
            && let Some(bytes) =
                blobs.read_range_at_once(&location, start + range.start..start + range.end)?
        {
            return Ok(bytes);
        }
        blocking(move || {
            let mut all = BytesMut::new();
            let count = ranges.len();
            for range in ranges {
                let bytes = blobs.read_range(&location, start + range.start..start + range.end)?;
                if count == 1 {
                    return Ok(bytes);
                }
                all.extend_from_slice(&bytes);
            }
            Ok(all.freeze())
        })
        .await
    }

    /// Ranges of an inflated data set: it has to be inflated from its start.
    async fn read_deflated_ranges(
        &self,
        instance: &InstanceRef,
        ranges: Vec<Range<u64>>,
    ) -> Result<Bytes> {
        let blobs = Arc::clone(self.blobs());
        let (location, offset) = (instance.location, instance.data_set_offset);
        let work = move || -> Result<Bytes> {
            let mut reader = blobs.reader(&location)?;
            let unreadable =
                |error| Error::caused(Kind::Internal, "a stored object cannot be inflated", error);
            std::io::copy(&mut reader.by_ref().take(offset), &mut std::io::sink())
                .map_err(unreadable)?;
            let inflated = transcode::inflated(reader).map_err(unreadable)?;
            let mut inflated = inflated.take(INFLATED_BYTES_MAX);
            let mut at = 0;
            let mut all = Vec::new();
            for range in ranges {
                let skip = range.start.saturating_sub(at);
                std::io::copy(&mut inflated.by_ref().take(skip), &mut std::io::sink())
                    .map_err(unreadable)?;
                let length = length_of(&range);
                let copied = std::io::copy(&mut inflated.by_ref().take(length), &mut all)
                    .map_err(unreadable)?;
                if copied != length {
                    return Err(Error::new(Kind::Internal, "a stored object is cut short"));
                }
                at = range.end;
            }
            Ok(all.into())
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| Error::caused(Kind::Internal, "inflating broke off", error))?
    }

    /// Ranges of the stored file, one after the other: short ones at once, long ones as a stream.
    pub(super) async fn stored_file_ranges(
        &self,
        instance: &InstanceRef,
        ranges: Vec<Range<u64>>,
    ) -> Result<ByteStream> {
        let length = ranges.iter().map(length_of).sum();
        let blobs = Arc::clone(self.blobs());
        let location = instance.location;
        if let [range] = ranges.as_slice()
            && length <= 2 * CHUNK_BYTES as u64
        {
            if length <= AT_ONCE_BYTES_MAX
                && let Some(bytes) = blobs.read_range_at_once(&location, range.clone())?
            {
                return Ok(ByteStream::ready(bytes));
            }
            let range = range.clone();
            let bytes = blocking(move || blobs.read_range(&location, range)).await?;
            return Ok(ByteStream::ready(bytes));
        }
        Ok(ByteStream::produce(Some(length), move |writer| {
            for chunk in ranges.into_iter().flat_map(chunks) {
                writer.send(blobs.read_range(&location, chunk)?)?;
            }
            Ok(())
        }))
    }

    /// A range of a value that lies at `value` in the data set, with the bytes of each of its
    /// words reversed.
    pub(super) async fn swapped_range(
        &self,
        instance: &InstanceRef,
        value: Range<u64>,
        wanted: Range<u64>,
        word_size: usize,
    ) -> Result<ByteStream> {
        let words = words_around(&wanted, word_size, length_of(&value));
        let lead = usize::try_from(wanted.start - words.start).unwrap_or(0);
        let in_data_set = value.start + words.start..value.start + words.end;
        if instance.form().is_deflated {
            let bytes = self.read_ranges(instance, vec![in_data_set]).await?;
            let length = usize::try_from(length_of(&wanted)).unwrap_or(usize::MAX);
            let bytes = swapped(&bytes, word_size);
            return Ok(ByteStream::ready(bytes.slice(lead..lead + length)));
        }
        let blobs = Arc::clone(self.blobs());
        let (location, start) = (instance.location, instance.data_set_offset);
        let in_file = start + in_data_set.start..start + in_data_set.end;
        let length = length_of(&wanted);
        Ok(ByteStream::produce(Some(length), move |writer| {
            let (mut lead, mut left) = (lead, length);
            for chunk in chunks(in_file) {
                let bytes = swapped(&blobs.read_range(&location, chunk)?, word_size);
                let bytes = bytes.slice(lead.min(bytes.len())..);
                let end = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                (lead, left) = (0, left - end as u64);
                writer.send(bytes.slice(..end))?;
            }
            Ok(())
        }))
    }
}

/// The range of whole words that has a range in it; the last word may be cut.
fn words_around(range: &Range<u64>, word_size: usize, value_length: u64) -> Range<u64> {
    let word_size = word_size as u64;
    let start = range.start / word_size * word_size;
    start..range.end.next_multiple_of(word_size).min(value_length)
}

fn swapped(bytes: &Bytes, word_size: usize) -> Bytes {
    let mut bytes = bytes.to_vec();
    swap_in_place(&mut bytes, word_size);
    bytes.into()
}

fn chunks(range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let mut at = range.start;
    std::iter::from_fn(move || {
        let start = at;
        at = range.end.min(at + CHUNK_BYTES as u64);
        (start < at).then_some(start..at)
    })
}

fn length_of(range: &Range<u64>) -> u64 {
    range.end.saturating_sub(range.start)
}

/// The parts of these ranges that a range of all their bytes, one after the other, covers.
pub(super) fn parts_of(ranges: &[Range<u64>], wanted: &Range<u64>) -> Vec<Range<u64>> {
    let mut passed = 0;
    let mut parts = Vec::new();
    for range in ranges {
        let length = length_of(range);
        let start = wanted.start.saturating_sub(passed).min(length);
        let end = wanted.end.saturating_sub(passed).min(length);
        if start < end {
            parts.push(range.start + start..range.start + end);
        }
        passed += length;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_joined_ranges_is_found_in_its_parts() {
        let fragments = [10..13, 20..20, 28..32];
        assert_eq!(parts_of(&fragments, &(0..7)), [10..13, 28..32]);
        assert_eq!(parts_of(&fragments, &(2..4)), [12..13, 28..29]);
        assert_eq!(
            parts_of(&fragments, &(3..4)),
            std::slice::from_ref(&(28..29))
        );
        assert_eq!(parts_of(&fragments, &(5..5)), []);
    }

    #[test]
    fn words_are_taken_whole() {
        assert_eq!(words_around(&(3..5), 2, 100), 2..6);
        assert_eq!(words_around(&(3..5), 4, 7), 0..7);
        assert_eq!(words_around(&(4..8), 4, 9), 4..8);
    }

    #[test]
    fn chunks_cover_a_range() {
        let chunk = CHUNK_BYTES as u64;
        let all: Vec<_> = chunks(5..5 + chunk + 1).collect();
        assert_eq!(all, [5..5 + chunk, 5 + chunk..6 + chunk]);
        assert_eq!(chunks(5..5).count(), 0);
    }
}
