//! Where the directory records lie: the offsets of a DICOMDIR (PS3.3 F.3.2.2) count to the items
//! of Directory Record Sequence, so the items must be found in the encoded data set.

use gantry_dicom::encoding::Encoding;
use gantry_dicom::{Tag, tags};
use std::ops::Range;

const ITEM: Tag = Tag(0xFFFE, 0xE000);
const ITEM_END: Tag = Tag(0xFFFE, 0xE00D);
const SEQUENCE_END: Tag = Tag(0xFFFE, 0xE0DD);
const UNDEFINED: u32 = u32::MAX;
/// Deepest nesting inside a record; real ones have three levels.
const DEPTH_MAX: usize = 32;

/// The parts of an encoded Basic Directory.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Parts {
    /// The elements before Directory Record Sequence.
    pub identification: Range<usize>,
    /// The records in the order of the file.
    pub records: Vec<RecordExtent>,
}

/// Where a record lies, counted like the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RecordExtent {
    /// Offset of the item tag.
    pub offset: usize,
    /// The elements of the item.
    pub content: Range<usize>,
    /// Whether the item is longer than what there is.
    pub is_cut: bool,
}

/// Finds the records in `data` from `start` on. Nothing when lengths do not fit together; a
/// sequence that is cut gives the records up to the cut.
pub(crate) fn parts(data: &[u8], start: usize, encoding: Encoding) -> Option<Parts> {
    let mut cursor = Cursor {
        data,
        at: start,
        encoding,
    };
    loop {
        let element = cursor.at;
        if cursor.at >= data.len() {
            // Without the sequence there is only File-set Identification (PS3.3 F.3.1).
            return Some(Parts {
                identification: start..element,
                records: Vec::new(),
            });
        }
        let header = cursor.header()?;
        if header.tag == tags::DIRECTORY_RECORD_SEQUENCE {
            let records = cursor.records(header.length);
            return Some(Parts {
                identification: start..element,
                records,
            });
        }
        cursor.skip_value(&header, 0)?;
    }
}

struct Header {
    tag: Tag,
    length: u32,
    is_unknown: bool,
}

struct Cursor<'a> {
    data: &'a [u8],
    at: usize,
    encoding: Encoding,
}

impl Cursor<'_> {
    fn records(&mut self, length: u32) -> Vec<RecordExtent> {
        let end = match length {
            UNDEFINED => self.data.len(),
            length => self.data.len().min(self.at.saturating_add(length as usize)),
        };
        let mut records = Vec::new();
        while self.at < end {
            let offset = self.at;
            let Some(Header {
                tag: ITEM, length, ..
            }) = self.header()
            else {
                break;
            };
            let start = self.at;
            match self.item_content(length, 0) {
                Some(content) => records.push(RecordExtent {
                    offset,
                    content,
                    is_cut: false,
                }),
                // Cut, or longer than the file: what is there of it is the last record.
                None => {
                    records.push(RecordExtent {
                        offset,
                        content: start..self.data.len(),
                        is_cut: true,
                    });
                    break;
                }
            }
        }
        records
    }

    /// The elements of an item whose tag and length were just read; goes behind the item.
    fn item_content(&mut self, length: u32, depth: usize) -> Option<Range<usize>> {
        let start = self.at;
        if length != UNDEFINED {
            self.advance(length as usize)?;
            return Some(start..self.at);
        }
        loop {
            let end = self.at;
            let header = self.header()?;
            if header.tag == ITEM_END {
                return Some(start..end);
            }
            self.skip_value(&header, depth + 1)?;
        }
    }

    fn skip_value(&mut self, header: &Header, depth: usize) -> Option<()> {
        if header.length != UNDEFINED {
            return self.advance(header.length as usize);
        }
        if depth > DEPTH_MAX {
            return None;
        }
        // UN of undefined length is a sequence in implicit VR little endian (PS3.5 §6.2.2).
        let outer = self.encoding;
        if header.is_unknown {
            self.encoding = Encoding::ImplicitLittle;
        }
        loop {
            let header = self.header()?;
            match header.tag {
                ITEM => {
                    self.item_content(header.length, depth + 1)?;
                }
                SEQUENCE_END => break,
                _ => return None,
            }
        }
        self.encoding = outer;
        Some(())
    }

    /// Reads the tag, the VR and the length of an element (PS3.5 §7.1).
    fn header(&mut self) -> Option<Header> {
        let tag = Tag(self.u16()?, self.u16()?);
        if tag.0 == 0xFFFE || !self.encoding.is_explicit() {
            return Some(Header {
                tag,
                length: self.u32()?,
                is_unknown: false,
            });
        }
        let vr = self.bytes::<2>()?;
        let is_unknown = &vr == b"UN";
        let has_long_length = matches!(
            &vr,
            b"OB"
                | b"OD"
                | b"OF"
                | b"OL"
                | b"OV"
                | b"OW"
                | b"SQ"
                | b"SV"
                | b"UC"
                | b"UN"
                | b"UR"
                | b"UT"
                | b"UV"
        );
        let length = match has_long_length {
            true => {
                self.advance(2)?;
                self.u32()?
            }
            false => u32::from(self.u16()?),
        };
        Some(Header {
            tag,
            length,
            is_unknown,
        })
    }

    fn advance(&mut self, length: usize) -> Option<()> {
        self.at = self
            .at
            .checked_add(length)
            .filter(|at| *at <= self.data.len())?;
        Some(())
    }

    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let start = self.at;
        self.advance(N)?;
        self.data.get(start..self.at)?.try_into().ok()
    }

    fn u16(&mut self) -> Option<u16> {
        let bytes = self.bytes()?;
        Some(match self.encoding.is_big_endian() {
            true => u16::from_be_bytes(bytes),
            false => u16::from_le_bytes(bytes),
        })
    }

    fn u32(&mut self) -> Option<u32> {
        let bytes = self.bytes()?;
        Some(match self.encoding.is_big_endian() {
            true => u32::from_be_bytes(bytes),
            false => u32::from_le_bytes(bytes),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gantry_dicom::data_set::{DataSet, Element, Value};
    use gantry_dicom::{Vr, encoding};
    use proptest::prelude::*;

    fn directory() -> DataSet {
        let mut nested = DataSet::new();
        nested.put_text(tags::CODE_VALUE, Vr::SH, "1");
        let mut record = DataSet::new();
        record.put_u32(tags::OFFSET_OF_THE_NEXT_DIRECTORY_RECORD, 0);
        record.put(Element {
            tag: tags::CONCEPT_NAME_CODE_SEQUENCE,
            vr: Vr::SQ,
            value: Value::Sequence(vec![nested]),
        });
        let mut directory = DataSet::new();
        directory.put_text(tags::FILE_SET_ID, Vr::CS, "X");
        directory.put(Element {
            tag: tags::DIRECTORY_RECORD_SEQUENCE,
            vr: Vr::SQ,
            value: Value::Sequence(vec![record; 3]),
        });
        directory
    }

    #[test]
    fn items_are_found_in_each_encoding() {
        for encoding in [
            Encoding::ExplicitLittle,
            Encoding::ImplicitLittle,
            Encoding::ExplicitBig,
        ] {
            let bytes = encoding::write(&directory(), encoding);
            let parts = parts(&bytes, 0, encoding).unwrap();
            assert_eq!(parts.records.len(), 3, "{encoding:?}");
            assert_eq!(parts.identification.start, 0);
            for record in &parts.records {
                let content = bytes[record.content.clone()].to_vec();
                let item = encoding::parse(content.into(), encoding, &encoding::Limits::default())
                    .unwrap();
                assert_eq!(item.items(tags::CONCEPT_NAME_CODE_SEQUENCE).len(), 1);
                let group = &bytes[record.offset..record.offset + 2];
                assert!(group == b"\xFE\xFF" || group == b"\xFF\xFE");
            }
        }
    }

    #[test]
    fn items_and_sequences_of_undefined_length_are_found() {
        let item = b"\xFE\xFF\x00\xE0\xFF\xFF\xFF\xFF\
            \x04\x00\x00\x14UL\x04\x00\x00\x00\x00\x00\
            \x40\x00\x43\xA0SQ\x00\x00\xFF\xFF\xFF\xFF\
            \xFE\xFF\x00\xE0\xFF\xFF\xFF\xFF\xFE\xFF\x0D\xE0\x00\x00\x00\x00\
            \xFE\xFF\xDD\xE0\x00\x00\x00\x00\
            \xFE\xFF\x0D\xE0\x00\x00\x00\x00";
        let mut bytes = b"\x04\x00\x20\x12SQ\x00\x00\xFF\xFF\xFF\xFF".to_vec();
        bytes.extend_from_slice(item);
        bytes.extend_from_slice(item);
        bytes.extend_from_slice(b"\xFE\xFF\xDD\xE0\x00\x00\x00\x00");
        let parts = parts(&bytes, 0, Encoding::ExplicitLittle).unwrap();
        let offsets: Vec<usize> = parts.records.iter().map(|record| record.offset).collect();
        assert_eq!(offsets, [12, 12 + item.len()]);
    }

    proptest! {
        #[test]
        fn no_input_leads_out_of_bounds(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..300),
            cut in 0..200_usize,
        ) {
            let _ = parts(&bytes, 0, Encoding::ExplicitLittle);
            let mut sound = encoding::write(&directory(), Encoding::ExplicitLittle);
            sound.truncate(cut.min(sound.len()));
            sound.append(&mut bytes);
            for record in parts(&sound, 0, Encoding::ExplicitLittle).unwrap_or_default().records {
                prop_assert!(sound.get(record.content).is_some());
            }
        }
    }
}
