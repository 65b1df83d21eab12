//! The stored header: what the index keeps of an instance.
//!
//! It is the whole data set in explicit VR little endian, with sequences and items of defined
//! length, in which bulk values are replaced by *deferrals* that say where the value lies in the
//! stored object. A deferral is an element whose value is the offset and the length of the bulk
//! value (see [`Deferred`](crate::data_set::Deferred)), 64 bits each, little endian:
//!
//! | bytes | VR with 32-bit length | VR with 16-bit length |
//! |---|---|---|
//! | 0–3 | tag | tag |
//! | 4–5 | VR | VR |
//! | 6–7 | 1: native, 2: encapsulated | FFFFH |
//! | 8–11 | 16 | 16 |
//! | 12–27 | offset, length | offset, length |
//!
//! Group lengths and trailing padding are not in it. Other programs can't read it as a data set
//! where it has deferrals.

use crate::Tag;
use crate::data_set::{DataSet, Element};
use crate::encoding::{self, DecodeError, Delimiter, ElementHeader, Encoding, Limits, UNDEFINED};
use bytes::Bytes;

/// A stored header.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Header(pub Bytes);

/// A header comes from our own scanner, with its own bounds, so that these only keep a damaged
/// one from doing harm.
const LIMITS: Limits = Limits {
    depth_max: Limits::DEPTH_CEILING,
    elements_max: 1 << 24,
    value_bytes_max: u64::MAX,
};

impl Header {
    /// Writes the header of a data set. Its values are taken as they are: what is in memory is
    /// not deferred.
    pub fn from_data_set(data_set: &DataSet) -> Self {
        Self(encoding::write_header(data_set).into())
    }

    /// Reads the whole header. Values are slices of it.
    pub fn parse(&self) -> Result<DataSet, DecodeError> {
        encoding::parse_header(self.0.clone(), &LIMITS)
    }

    /// Reads only the top-level elements that are wanted; sequences are read whole or passed over
    /// without a look inside.
    pub fn parse_only(&self, is_wanted: impl Fn(Tag) -> bool) -> Result<DataSet, DecodeError> {
        let mut elements = Vec::new();
        for entry in self.entries() {
            let entry = entry?;
            if is_wanted(entry.tag) {
                elements.extend(self.element(&entry)?);
            }
        }
        Ok(DataSet::from_elements(elements))
    }

    /// One top-level element, found without reading the others.
    pub fn find(&self, tag: Tag) -> Result<Option<Element>, DecodeError> {
        for entry in self.entries() {
            let entry = entry?;
            if entry.tag == tag {
                return self.element(&entry);
            }
            if entry.tag > tag {
                break;
            }
        }
        Ok(None)
    }

    /// The header with its top-level elements in order, the first of those with the same tag, and
    /// the lowest such tag.
    pub(crate) fn in_order(&self) -> Result<(Self, Option<Tag>), DecodeError> {
        let mut entries = self.entries().collect::<Result<Vec<_>, _>>()?;
        entries.sort_by_key(|entry| entry.tag);
        let mut duplicate = None;
        entries.dedup_by(|next, one| {
            let is_same = next.tag == one.tag;
            duplicate = duplicate.or(is_same.then_some(next.tag));
            is_same
        });
        let mut bytes = Vec::with_capacity(self.0.len());
        for entry in entries {
            bytes.extend_from_slice(self.0.get(entry.start..entry.end).unwrap_or_default());
        }
        Ok((Self(bytes.into()), duplicate))
    }

    /// The extents of the top-level elements.
    fn entries(&self) -> Entries<'_> {
        Entries {
            rest: &self.0,
            at: 0,
        }
    }

    fn element(&self, entry: &Entry) -> Result<Option<Element>, DecodeError> {
        let bytes = self.0.slice(entry.start..entry.end);
        let data_set = encoding::parse_header(bytes, &LIMITS)?;
        Ok(data_set.into_iter().next())
    }
}

struct Entry {
    tag: Tag,
    start: usize,
    end: usize,
}

struct Entries<'a> {
    rest: &'a [u8],
    at: usize,
}

impl Iterator for Entries<'_> {
    type Item = Result<Entry, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let start = self.at;
        let entry = self.extent().ok_or_else(|| {
            self.rest = &[];
            DecodeError::Truncated {
                tag: Tag(0, 0),
                offset: start as u64,
                missing: 1,
            }
        });
        Some(entry)
    }
}

impl Entries<'_> {
    fn extent(&mut self) -> Option<Entry> {
        let header = ElementHeader::read(self.rest, Encoding::ExplicitLittle, false)?;
        let size = match encoding::deferral(&header) {
            Some(_) => 28,
            None if header.length == UNDEFINED => header.size + self.fragments_size(header.size)?,
            None => header.size.checked_add(header.length as usize)?,
        };
        self.rest = self.rest.get(size..)?;
        let start = self.at;
        self.at += size;
        Some(Entry {
            tag: header.tag,
            start,
            end: self.at,
        })
    }

    /// Size of the fragments that start at `at`; only they have an undefined length in a header.
    fn fragments_size(&self, mut at: usize) -> Option<usize> {
        let start = at;
        loop {
            let item = ElementHeader::read(self.rest.get(at..)?, Encoding::ExplicitLittle, false)?;
            at += item.size;
            match Delimiter::of(item.tag)? {
                Delimiter::Item => at = at.checked_add(item.length as usize)?,
                Delimiter::ItemEnd | Delimiter::Other => return None,
                Delimiter::SequenceEnd => return Some(at - start),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data_set::{Deferred, Fragments, Value};
    use crate::{Vr, tags};

    fn example() -> DataSet {
        let element = |tag, vr, value| Element { tag, vr, value };
        let deferred = |is_encapsulated| Deferred {
            offset: 1 << 33,
            length: 7,
            is_encapsulated,
        };
        let item = [element(tags::PATIENT_ID, Vr::LO, Value::Bytes("ID".into()))];
        DataSet::from_iter([
            element(tags::MODALITY, Vr::CS, Value::Bytes("CT".into())),
            element(
                tags::REFERENCED_IMAGE_SEQUENCE,
                Vr::SQ,
                Value::Sequence(vec![item.into_iter().collect(), DataSet::new()]),
            ),
            element(
                tags::ADDITIONAL_PATIENT_HISTORY,
                Vr::LT,
                Value::Deferred(deferred(false)),
            ),
            element(Tag(9, 0x1001), Vr::UN, Value::Deferred(deferred(false))),
            element(tags::PIXEL_DATA, Vr::OB, Value::Deferred(deferred(true))),
            element(
                Tag(0x7FE1, 0x1010),
                Vr::OB,
                Value::Fragments(Fragments {
                    offset_table: Bytes::new(),
                    fragments: vec![Bytes::from_static(b"1234")],
                }),
            ),
        ])
    }

    #[test]
    fn what_is_written_is_read_back() {
        let header = Header::from_data_set(&example());
        assert_eq!(header.parse().unwrap(), example());
        for element in example() {
            assert_eq!(header.find(element.tag).unwrap(), Some(element));
        }
        assert_eq!(header.find(tags::PATIENT_NAME).unwrap(), None);
        let only = header.parse_only(|tag| tag.group() == 8).unwrap();
        assert_eq!(only.elements().len(), 2);
    }

    #[test]
    fn a_cut_header_is_an_error_everywhere() {
        let whole = Header::from_data_set(&example());
        let boundaries: Vec<usize> = whole.entries().map(|entry| entry.unwrap().start).collect();
        for length in 0..whole.0.len() {
            let cut = Header(whole.0.slice(..length));
            let is_whole = boundaries.contains(&length);
            assert_eq!(cut.parse().is_ok(), is_whole, "{length}");
            assert_eq!(cut.parse_only(|_| true).is_ok(), is_whole, "{length}");
        }
    }
}
