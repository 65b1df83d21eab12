//! Bulk values: those that the header leaves in the stored object.

use super::{ByteStream, InstanceRef};
use crate::Archive;
use crate::error::{Error, Result};
use bytes::Bytes;
use gantry_core::failure::Kind;
use gantry_dicom::data_set::{DataSet, Deferred, Element, Value};
use gantry_dicom::transfer_syntax::TransferSyntax;
use gantry_dicom::{Tag, Vr};
use std::io::{Read, Write};
use std::ops::Range;

/// Bytes of an inflated data set that are looked through, at most.
const INFLATED_BYTES_MAX: u64 = 8 << 30;

/// A bulk value, or a range of it.
#[derive(Debug)]
pub struct Bulk {
    /// Its bytes in the stored byte order.
    pub stream: ByteStream,
    /// Length of the whole value field in bytes.
    pub total_length: u64,
    /// Its VR.
    pub vr: Vr,
    /// Whether it is a sequence of fragments, item tags included.
    pub is_encapsulated: bool,
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
        match &element.value {
            Value::Deferred(deferred) => {
                self.deferred(instance, element.vr, *deferred, range).await
            }
            Value::Bytes(bytes) => {
                let total_length = bytes.len() as u64;
                let range = within(range, total_length)?;
                let cut = bytes.slice(index(range.start)..index(range.end));
                let stream = ByteStream::ready(cut);
                Ok(Bulk {
                    stream,
                    total_length,
                    vr: element.vr,
                    is_encapsulated: false,
                })
            }
            Value::Sequence(_) | Value::Fragments(_) => {
                Err(Error::new(Kind::NotFound, "the element has no bulk value"))
            }
        }
    }

    async fn deferred(
        &self,
        instance: &InstanceRef,
        vr: Vr,
        deferred: Deferred,
        range: Option<Range<u64>>,
    ) -> Result<Bulk> {
        let total_length = deferred.length;
        let range = within(range, total_length)?;
        let from = deferred.offset + range.start;
        let to = deferred.offset + range.end;
        let stream = if TransferSyntax::of(&instance.transfer_syntax_uid).is_deflated {
            let bytes = self
                .read_deflated_ranges(instance, std::iter::once(from..to).collect())
                .await?;
            ByteStream::ready(bytes)
        } else {
            self.stored_range(instance, from..to)
        };
        Ok(Bulk {
            stream,
            total_length,
            vr,
            is_encapsulated: deferred.is_encapsulated,
        })
    }

    /// Ranges of an inflated data set: it has to be inflated from its start.
    pub(crate) async fn read_deflated_ranges(
        &self,
        instance: &InstanceRef,
        ranges: Vec<Range<u64>>,
    ) -> Result<Bytes> {
        let blobs = std::sync::Arc::clone(self.blobs());
        let (location, offset) = (instance.location, instance.data_set_offset);
        let work = move || -> Result<Bytes> {
            let mut reader = blobs.reader(&location)?;
            let unreadable =
                |error| Error::caused(Kind::Internal, "a stored object cannot be inflated", error);
            std::io::copy(&mut reader.by_ref().take(offset), &mut std::io::sink())
                .map_err(unreadable)?;
            let mut inflated = flate2::read::DeflateDecoder::new(reader).take(INFLATED_BYTES_MAX);
            let mut at = 0;
            let mut all = Vec::new();
            for range in ranges {
                let skip = range.start.saturating_sub(at);
                std::io::copy(&mut inflated.by_ref().take(skip), &mut std::io::sink())
                    .map_err(unreadable)?;
                let length = range.end.saturating_sub(range.start);
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

    /// A range of the data set as stored, as a stream.
    pub(crate) fn stored_range(&self, instance: &InstanceRef, range: Range<u64>) -> ByteStream {
        let blobs = std::sync::Arc::clone(self.blobs());
        let location = instance.location;
        let (mut at, end) = (
            instance.data_set_offset + range.start,
            instance.data_set_offset + range.end,
        );
        ByteStream::produce(Some(end.saturating_sub(at)), move |writer| {
            while at < end {
                let next = end.min(at + super::stream::CHUNK_BYTES as u64);
                writer.send(blobs.read_range(&location, at..next)?)?;
                at = next;
            }
            writer
                .flush()
                .map_err(|error| Error::caused(Kind::Internal, "not sent", error))
        })
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
