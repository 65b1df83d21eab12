//! An instance put together of metadata and bulk values (PS3.18 8.6.1.2), so that values of any
//! size pass through: what becomes of it is written as a row of stretches.

use super::bulk_parts::{BulkPart, BulkParts, Piece};
use super::pixel_syntax;
use crate::store_response::reason;
use bytes::Bytes;
use gantry_archive::Error;
use gantry_dicom::data_set::{DataSet, Value};
use gantry_dicom::encoding::{self, Encoding};
use gantry_dicom::model::{BulkReference, Metadata};
use gantry_dicom::{Tag, Vr, tags, uids};
use std::collections::BTreeMap;

/// Most bytes of bulk values inside sequences of one instance. They are put together in memory.
const NESTED_BYTES_MAX: u64 = 256 << 20;
/// Longest value of a defined length (PS3.5 7.1.1).
const LENGTH_MAX: u64 = 0xFFFF_FFFE;

/// A data set in Explicit VR Little Endian, in the order in which it is to be written.
#[derive(Debug)]
pub struct Assembled {
    /// Its bytes.
    pub stretches: Vec<Stretch>,
    /// What its pixel data make it.
    pub transfer_syntax_uid: String,
}

/// Bytes of a data set.
#[derive(Debug)]
pub enum Stretch {
    /// Encoded elements, or the frame around a bulk value.
    Encoded(Vec<u8>),
    /// A bulk value or a fragment, as it came.
    Piece(Piece),
}

/// Why an instance cannot be put together.
#[derive(Debug)]
pub enum AssemblyError {
    /// A Failure Reason (0008,1197).
    Refused(u16),
    /// A value that came cannot be read back.
    Lost(Error),
}

const CANNOT_UNDERSTAND: AssemblyError = AssemblyError::Refused(reason::CANNOT_UNDERSTAND);

impl From<Error> for AssemblyError {
    fn from(error: Error) -> Self {
        Self::Lost(error)
    }
}

/// A top-level value that is not put into the data set.
struct Apart<'a> {
    vr: Vr,
    pieces: &'a [Piece],
    is_encapsulated: bool,
}

/// Puts the bulk values where the metadata refer to them.
pub async fn assemble(metadata: Metadata, bulk: &BulkParts) -> Result<Assembled, AssemblyError> {
    let Metadata {
        mut data_set,
        file_meta,
        bulk_data,
    } = metadata;
    let declared = file_meta.ascii(tags::TRANSFER_SYNTAX_UID);
    let mut transfer_syntax_uid = uids::EXPLICIT_VR_LITTLE_ENDIAN.to_owned();
    let mut apart = BTreeMap::new();
    let mut nested_left = NESTED_BYTES_MAX;
    for reference in &bulk_data {
        let part = bulk.find(&reference.uri).ok_or(CANNOT_UNDERSTAND)?;
        let is_top = reference.path.items.is_empty();
        let mut is_encapsulated = false;
        if is_top && reference.path.tag == tags::PIXEL_DATA {
            let head = part.pieces.first().map_or(&[][..], Piece::head);
            let syntax = pixel_syntax::transfer_syntax_of(part.media_type.as_ref(), head, declared)
                .ok_or(CANNOT_UNDERSTAND)?;
            is_encapsulated = syntax.is_encapsulated();
            if is_encapsulated {
                transfer_syntax_uid = syntax.uid.to_string();
            }
        }
        if is_top && (is_encapsulated || has_long_length(reference.vr)) {
            data_set.remove(reference.path.tag);
            let value = Apart {
                vr: reference.vr,
                pieces: &part.pieces,
                is_encapsulated,
            };
            apart.insert(reference.path.tag, value);
        } else {
            put(&mut data_set, reference, part, &mut nested_left).await?;
        }
    }
    Ok(Assembled {
        stretches: write(data_set, &apart)?,
        transfer_syntax_uid,
    })
}

/// Whether an element of this VR says its length in 32 bits (PS3.5 7.1.2), so that any value
/// can follow.
fn has_long_length(vr: Vr) -> bool {
    matches!(
        vr,
        Vr::OB | Vr::OD | Vr::OF | Vr::OL | Vr::OV | Vr::OW | Vr::UC | Vr::UN | Vr::UR | Vr::UT
    )
}

/// Puts a value into the data set itself.
async fn put(
    data_set: &mut DataSet,
    reference: &BulkReference,
    part: &BulkPart,
    bytes_left: &mut u64,
) -> Result<(), AssemblyError> {
    let length: u64 = part.pieces.iter().map(Piece::length).sum();
    *bytes_left = bytes_left
        .checked_sub(length)
        .ok_or(AssemblyError::Refused(reason::OUT_OF_RESOURCES))?;
    let mut bytes = Vec::new();
    for piece in &part.pieces {
        let mut at = 0;
        while at < piece.length() {
            let next = piece.read(at).await?;
            at += next.len() as u64;
            bytes.extend_from_slice(&next);
        }
    }
    if !bytes.len().is_multiple_of(2) {
        bytes.push(0);
    }
    let value = Value::Bytes(bytes.into());
    if data_set.put_at(&reference.path, reference.vr, value) {
        Ok(())
    } else {
        Err(CANNOT_UNDERSTAND)
    }
}

fn write(
    data_set: DataSet,
    apart: &BTreeMap<Tag, Apart<'_>>,
) -> Result<Vec<Stretch>, AssemblyError> {
    let mut writer = Writer::default();
    let mut apart = apart.iter().peekable();
    let mut before = Vec::new();
    for element in data_set {
        while let Some((tag, value)) = apart.next_if(|(tag, _)| **tag < element.tag) {
            writer.elements(std::mem::take(&mut before));
            writer.value(*tag, value)?;
        }
        before.push(element);
    }
    writer.elements(before);
    for (tag, value) in apart {
        writer.value(*tag, value)?;
    }
    writer.stretches.push(Stretch::Encoded(writer.encoded));
    Ok(writer.stretches)
}

#[derive(Default)]
struct Writer {
    stretches: Vec<Stretch>,
    /// What follows the last stretch.
    encoded: Vec<u8>,
}

impl Writer {
    fn elements(&mut self, elements: Vec<gantry_dicom::data_set::Element>) {
        let elements = DataSet::from_elements(elements);
        encoding::write_into(&mut self.encoded, &elements, Encoding::ExplicitLittle);
    }

    fn value(&mut self, tag: Tag, value: &Apart<'_>) -> Result<(), AssemblyError> {
        if value.is_encapsulated {
            return self.fragments(tag, value.pieces);
        }
        let length: u64 = value.pieces.iter().map(Piece::length).sum();
        self.header(tag, value.vr, even(length)?);
        for piece in value.pieces {
            self.piece(piece);
        }
        self.pad(length);
        Ok(())
    }

    /// One fragment for each part, each of even length, with an offset table when there are
    /// several (PS3.5 A.4).
    fn fragments(&mut self, tag: Tag, pieces: &[Piece]) -> Result<(), AssemblyError> {
        const ITEM: Tag = Tag(0xFFFE, 0xE000);
        const END: Tag = Tag(0xFFFE, 0xE0DD);
        self.header(tag, Vr::OB, u32::MAX);
        let offsets = offset_table(pieces).unwrap_or_default();
        self.delimiter(ITEM, even(offsets.len() as u64)?);
        self.encoded.extend_from_slice(&offsets);
        for piece in pieces {
            self.delimiter(ITEM, even(piece.length())?);
            self.piece(piece);
            self.pad(piece.length());
        }
        self.delimiter(END, 0);
        Ok(())
    }

    fn header(&mut self, tag: Tag, vr: Vr, length: u32) {
        self.tag(tag);
        self.encoded.extend_from_slice(&vr.to_bytes());
        self.encoded.extend_from_slice(&[0, 0]);
        self.encoded.extend_from_slice(&length.to_le_bytes());
    }

    fn delimiter(&mut self, tag: Tag, length: u32) {
        self.tag(tag);
        self.encoded.extend_from_slice(&length.to_le_bytes());
    }

    fn tag(&mut self, tag: Tag) {
        self.encoded.extend_from_slice(&tag.0.to_le_bytes());
        self.encoded.extend_from_slice(&tag.1.to_le_bytes());
    }

    fn piece(&mut self, piece: &Piece) {
        let encoded = std::mem::take(&mut self.encoded);
        self.stretches.push(Stretch::Encoded(encoded));
        self.stretches.push(Stretch::Piece(piece.clone()));
    }

    fn pad(&mut self, length: u64) {
        if !length.is_multiple_of(2) {
            self.encoded.push(0);
        }
    }
}

/// The length with padding (PS3.5 7.1).
fn even(length: u64) -> Result<u32, AssemblyError> {
    let padded = length.next_multiple_of(2);
    if padded > LENGTH_MAX {
        return Err(CANNOT_UNDERSTAND);
    }
    u32::try_from(padded).map_err(|_| CANNOT_UNDERSTAND)
}

/// Offsets of several fragments; nothing for one, and where 32 bits do not reach.
fn offset_table(pieces: &[Piece]) -> Option<Bytes> {
    if pieces.len() < 2 {
        return None;
    }
    let mut table = Vec::with_capacity(pieces.len() * 4);
    let mut offset = 0u64;
    for piece in pieces {
        table.extend_from_slice(&u32::try_from(offset).ok()?.to_le_bytes());
        offset += 8 + piece.length().next_multiple_of(2);
    }
    Some(table.into())
}

#[cfg(test)]
mod tests {
    use super::super::bulk_parts::tests::{add, bulk};
    use super::*;
    use gantry_dicom::data_set::Fragments;
    use gantry_dicom::element_path::ElementPath;

    fn reference(path: impl Into<ElementPath>, vr: Vr, uri: &str) -> BulkReference {
        BulkReference {
            path: path.into(),
            vr,
            uri: uri.into(),
        }
    }

    async fn assembled(metadata: Metadata, bulk: &BulkParts) -> (DataSet, String) {
        let assembled = assemble(metadata, bulk).await.unwrap();
        let mut bytes = Vec::new();
        for stretch in assembled.stretches {
            match stretch {
                Stretch::Encoded(encoded) => bytes.extend(encoded),
                Stretch::Piece(piece) => bytes.extend(piece.read(0).await.unwrap()),
            }
        }
        let limits = encoding::Limits::default();
        let data_set = encoding::parse(bytes.into(), Encoding::ExplicitLittle, &limits).unwrap();
        (data_set, assembled.transfer_syntax_uid)
    }

    #[tokio::test]
    async fn a_value_that_did_not_come_fails_its_instance() {
        let metadata = Metadata {
            bulk_data: vec![reference(tags::PIXEL_DATA, Vr::OW, "missing")],
            ..Metadata::default()
        };
        let outcome = assemble(metadata, &bulk(&["other"])).await;
        assert!(matches!(
            outcome,
            Err(AssemblyError::Refused(reason::CANNOT_UNDERSTAND))
        ));
    }

    #[tokio::test]
    async fn values_stand_in_the_order_of_tags_and_odd_ones_are_padded() {
        let mut data_set = DataSet::new();
        data_set.put_text(tags::PATIENT_ID, Vr::LO, "1");
        data_set.put_text(tags::MIME_TYPE_OF_ENCAPSULATED_DOCUMENT, Vr::LO, "a/b");
        // A client that sends the value and the reference means the reference.
        data_set.put_text(tags::ENCAPSULATED_DOCUMENT, Vr::UT, "x");
        data_set.put_u16(Tag(0x5400, 0x0010), 7);
        let metadata = Metadata {
            data_set,
            bulk_data: vec![
                reference(tags::PIXEL_DATA, Vr::OW, "pixels"),
                reference(tags::ENCAPSULATED_DOCUMENT, Vr::OB, "doc"),
                reference(tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DATA, Vr::OW, "red0"),
                reference(tags::PATIENT_COMMENTS, Vr::LT, "short"),
            ],
            ..Metadata::default()
        };
        let bulk = bulk(&["doc", "pixels", "red0", "short"]);
        let (data_set, syntax) = assembled(metadata, &bulk).await;
        let value = |tag| data_set.bytes(tag).unwrap().as_ref();
        assert_eq!(value(tags::ENCAPSULATED_DOCUMENT), b"doc\0");
        assert_eq!(value(tags::PIXEL_DATA), b"pixels");
        assert_eq!(value(tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DATA), b"red0");
        assert_eq!(value(tags::PATIENT_COMMENTS), b"short\0");
        assert_eq!(value(tags::PATIENT_ID), b"1 ");
        assert_eq!(data_set.elements().len(), 7);
        assert_eq!(syntax, uids::EXPLICIT_VR_LITTLE_ENDIAN);
    }

    #[tokio::test]
    async fn frames_are_fragments_of_even_length_with_offsets() {
        let frames = [Bytes::from_static(b"123"), Bytes::from_static(b"4567")];
        let mut parts = BulkParts::default();
        let pieces = frames.map(Piece::Held).to_vec();
        add(&mut parts, "p", Some("image/dicom-rle"), pieces);
        let metadata = Metadata {
            bulk_data: vec![reference(tags::PIXEL_DATA, Vr::OW, "p")],
            ..Metadata::default()
        };
        let (data_set, syntax) = assembled(metadata, &parts).await;
        let found = &data_set.get(tags::PIXEL_DATA).unwrap().value;
        let expect = Fragments {
            offset_table: Bytes::from_static(&[0, 0, 0, 0, 12, 0, 0, 0]),
            fragments: vec![Bytes::from_static(b"123\0"), Bytes::from_static(b"4567")],
        };
        assert_eq!(*found, Value::Fragments(expect));
        assert_eq!(syntax, uids::RLE_LOSSLESS);
    }

    #[tokio::test]
    async fn a_value_in_a_sequence_is_put_there() {
        let mut data_set = DataSet::new();
        data_set.put_sequence(tags::WAVEFORM_SEQUENCE, vec![DataSet::new()]);
        let path = ElementPath {
            items: vec![(tags::WAVEFORM_SEQUENCE, 0)],
            tag: tags::WAVEFORM_DATA,
        };
        let metadata = Metadata {
            data_set,
            bulk_data: vec![reference(path, Vr::OW, "wave")],
            ..Metadata::default()
        };
        let (data_set, _) = assembled(metadata, &bulk(&["wave"])).await;
        let [item] = data_set.items(tags::WAVEFORM_SEQUENCE) else {
            panic!("one item")
        };
        assert_eq!(item.bytes(tags::WAVEFORM_DATA).unwrap().as_ref(), b"wave");
    }
}
