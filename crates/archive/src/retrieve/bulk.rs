//! Bulk values: those that the header leaves in the stored object.

use super::facts::Facts;
use super::stored::parts_of;
use super::{ByteStream, InstanceRef};
use crate::Archive;
use crate::error::{Error, Result};
use crate::store::body::blocking;
use crate::store::frames;
use gantry_core::failure::Kind;
use gantry_dicom::data_set::{DataSet, Deferred, Element, Value};
use gantry_dicom::encoding::words;
use gantry_dicom::transcode::Form;
use gantry_dicom::{Tag, Vr, tags};
use std::ops::Range;

/// Most fragments of a value that are looked for without an index of them.
const FRAGMENTS_MAX: usize = 1 << 16;
/// Bytes of the tag and the length of an item.
const ITEM_HEADER_BYTES: u64 = 8;

/// A bulk value, or a range of it.
#[derive(Debug)]
pub struct Bulk {
    /// Its bytes: numbers in little endian, fragments joined without their item tags and without
    /// the offset table, so that a video is a bare stream.
    pub stream: ByteStream,
    /// Length of the whole value in bytes.
    pub total_length: u64,
    /// Its VR.
    pub vr: Vr,
}

impl Archive {
    /// A value by the path of its element: tags of eight hexadecimal digits and, for sequences,
    /// item numbers that begin at 0 (`54000100/0/54001010`).
    ///
    /// # Errors
    /// [`Kind::Malformed`] for a path that is none or a range outside; [`Kind::NotFound`] when
    /// there is no such value.
    pub async fn bulk(
        &self,
        instance: &InstanceRef,
        path: &str,
        range: Option<Range<u64>>,
    ) -> Result<Bulk> {
        let facts = self.facts(instance).await?;
        let element = find(&facts.header, path)?;
        self.value(instance, &facts, element, range).await
    }

    /// The value of an element of the header.
    pub(super) async fn value(
        &self,
        instance: &InstanceRef,
        facts: &Facts,
        element: &Element,
        range: Option<Range<u64>>,
    ) -> Result<Bulk> {
        let (stream, total_length) = match &element.value {
            Value::Bytes(bytes) => {
                let total_length = bytes.len() as u64;
                let range = within(range, total_length)?;
                let cut = bytes.slice(index(range.start)..index(range.end));
                (ByteStream::ready(cut), total_length)
            }
            Value::Deferred(deferred) if deferred.is_encapsulated => {
                let fragments = self.fragments_of(instance, facts, *deferred).await?;
                let total_length = fragments.iter().map(|range| range.end - range.start).sum();
                let parts = parts_of(&fragments, &within(range, total_length)?);
                (self.data_set_ranges(instance, parts).await?, total_length)
            }
            Value::Deferred(deferred) => {
                let range = within(range, deferred.length)?;
                let word_size = swapped_words(instance.form(), facts, element);
                let value = deferred.offset..deferred.offset + deferred.length;
                let stream = if word_size > 1 {
                    self.swapped_range(instance, value, range, word_size)
                        .await?
                } else {
                    let part = value.start + range.start..value.start + range.end;
                    self.data_set_ranges(instance, vec![part]).await?
                };
                (stream, deferred.length)
            }
            Value::Sequence(_) | Value::Fragments(_) => {
                return Err(Error::new(Kind::NotFound, "the element has no bulk value"));
            }
        };
        Ok(Bulk {
            stream,
            total_length,
            vr: element.vr,
        })
    }

    /// Ranges of the data set, one after the other.
    async fn data_set_ranges(
        &self,
        instance: &InstanceRef,
        ranges: Vec<Range<u64>>,
    ) -> Result<ByteStream> {
        if instance.form().is_deflated {
            return Ok(ByteStream::ready(self.read_ranges(instance, ranges).await?));
        }
        let offset = instance.data_set_offset;
        let in_file = ranges
            .into_iter()
            .map(|range| offset + range.start..offset + range.end);
        self.stored_file_ranges(instance, in_file.collect()).await
    }

    /// Where the fragments of a value lie, without their item tags.
    async fn fragments_of(
        &self,
        instance: &InstanceRef,
        facts: &Facts,
        deferred: Deferred,
    ) -> Result<Vec<Range<u64>>> {
        let is_pixel_data = facts.pixel_data.is_some_and(|(_, found)| found == deferred);
        if let (true, Some(bytes)) = (is_pixel_data, &facts.frame_index) {
            let index = frames::read(bytes)?;
            let fragments = index.fragments().into_iter().flat_map(|table| table.iter());
            return Ok(fragments
                .map(|(start, length)| start..start + u64::from(length))
                .collect());
        }
        let is_big_endian = instance.form().encoding.is_big_endian();
        let blobs = std::sync::Arc::clone(self.blobs());
        let (location, offset) = (instance.location, instance.data_set_offset);
        let found = blocking(move || {
            let mut found = Vec::new();
            let (mut at, end) = (deferred.offset, deferred.offset + deferred.length);
            while at + ITEM_HEADER_BYTES <= end && found.len() <= FRAGMENTS_MAX {
                let from = offset + at;
                let header = blobs.read_range(&location, from..from + ITEM_HEADER_BYTES)?;
                let length = header.last_chunk::<4>().copied().unwrap_or_default();
                let length = match is_big_endian {
                    true => u32::from_be_bytes(length),
                    false => u32::from_le_bytes(length),
                };
                at += ITEM_HEADER_BYTES;
                found.push(at..end.min(at + u64::from(length)));
                at += u64::from(length);
            }
            Ok(found)
        })
        .await?;
        if found.len() > FRAGMENTS_MAX {
            return Err(Error::new(Kind::OutOfResources, "too many fragments"));
        }
        // The first item is the offset table.
        Ok(found.into_iter().skip(1).collect())
    }
}

/// The bytes of the words of a stored value that are in another order than they are given out;
/// 1 when none are.
fn swapped_words(form: Form, facts: &Facts, element: &Element) -> usize {
    let is_pixel_data =
        |(tag, found)| tag == tags::PIXEL_DATA && element.value == Value::Deferred(found);
    let is_big_endian = match facts.pixel_data.is_some_and(is_pixel_data) {
        true => form.has_big_endian_pixels,
        false => form.encoding.is_big_endian(),
    };
    if is_big_endian {
        words(element.tag, element.vr, facts.bits_allocated())
    } else {
        1
    }
}

/// The element at a path.
fn find<'a>(data_set: &'a DataSet, path: &str) -> Result<&'a Element> {
    let malformed = || Error::new(Kind::Malformed, "that is no path of an element");
    let missing = || Error::new(Kind::NotFound, "there is no such element");
    let mut steps = path.split('/').filter(|step| !step.is_empty());
    let mut data_set = data_set;
    loop {
        let tag = steps.next().and_then(parse_tag).ok_or_else(malformed)?;
        let element = data_set.get(tag).ok_or_else(missing)?;
        let Some(item) = steps.next() else {
            return Ok(element);
        };
        let item: usize = item.parse().map_err(|_| malformed())?;
        let Value::Sequence(items) = &element.value else {
            return Err(missing());
        };
        data_set = items.get(item).ok_or_else(missing)?;
    }
}

fn parse_tag(text: &str) -> Option<Tag> {
    if text.len() != 8 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let number = u32::from_str_radix(text, 16).ok()?;
    Some(Tag((number >> 16) as u16, (number & 0xFFFF) as u16))
}

fn within(range: Option<Range<u64>>, length: u64) -> Result<Range<u64>> {
    let range = range.unwrap_or(0..length);
    if range.start > range.end || range.end > length {
        return Err(Error::new(
            Kind::Malformed,
            "the range lies outside of the value",
        ));
    }
    Ok(range)
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gantry_dicom::tags;

    fn nested() -> DataSet {
        let mut item = DataSet::new();
        item.put_text(tags::PATIENT_ID, Vr::LO, "1");
        let mut data_set = DataSet::new();
        data_set.put_sequence(
            tags::OTHER_PATIENT_I_DS_SEQUENCE,
            vec![DataSet::new(), item],
        );
        data_set
    }

    #[test]
    fn elements_are_found_inside_sequences() {
        let data_set = nested();
        assert_eq!(
            find(&data_set, "00101002/1/00100020").unwrap().tag,
            tags::PATIENT_ID
        );
        assert_eq!(
            find(&data_set, "00101002/0/00100020").unwrap_err().kind(),
            Kind::NotFound
        );
        assert_eq!(
            find(&data_set, "00101002/9/00100020").unwrap_err().kind(),
            Kind::NotFound
        );
    }

    #[test]
    fn paths_that_are_none_are_told_apart() {
        for path in [
            "",
            "x",
            "0010100",
            "00101002/x/00100020",
            "+0101002",
            "001010020",
        ] {
            assert_eq!(
                find(&nested(), path).unwrap_err().kind(),
                Kind::Malformed,
                "{path}"
            );
        }
    }

    #[test]
    fn ranges_have_to_lie_inside() {
        assert_eq!(within(None, 5).unwrap(), 0..5);
        assert_eq!(within(Some(2..5), 5).unwrap(), 2..5);
        assert!(within(Some(2..6), 5).is_err());
        let (start, end) = (4, 3);
        assert!(within(Some(start..end), 5).is_err());
    }
}
