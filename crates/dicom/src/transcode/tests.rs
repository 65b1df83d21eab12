use super::*;
use crate::data_set::{Element, Fragments, Value};
use crate::encoding::tests::data_set;
use crate::encoding::{Limits, parse, write};
use crate::scan::{ScanLimits, scan};
use crate::transfer_syntax::{
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN,
    GE_PRIVATE_BIG_ENDIAN_PIXELS, IMPLICIT_VR_LITTLE_ENDIAN, JPEG_BASELINE,
};
use proptest::prelude::*;
use std::io::{Cursor, Read, Write};

static SYNTAXES: [&TransferSyntax; 4] = [
    &EXPLICIT_VR_LITTLE_ENDIAN,
    &IMPLICIT_VR_LITTLE_ENDIAN,
    &EXPLICIT_VR_BIG_ENDIAN,
    &DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
];

fn encode(data_set: &DataSet, syntax: &TransferSyntax) -> Vec<u8> {
    let bytes = write(data_set, syntax.encoding);
    if !syntax.is_deflated {
        return bytes;
    }
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&bytes).unwrap();
    let mut deflated = encoder.finish().unwrap();
    deflated.resize(deflated.len().next_multiple_of(2), 0);
    deflated
}

fn decode(bytes: &[u8], syntax: &TransferSyntax) -> DataSet {
    let mut inflated = bytes.to_vec();
    if syntax.is_deflated {
        assert!(bytes.len().is_multiple_of(2));
        inflated.clear();
        flate2::read::DeflateDecoder::new(bytes)
            .read_to_end(&mut inflated)
            .unwrap();
    }
    parse(inflated.into(), syntax.encoding, &Limits::default()).unwrap()
}

fn convert(bytes: &[u8], from: impl Into<Form>, to: impl Into<Form>, edits: Edits<'_>) -> Vec<u8> {
    try_convert(bytes, from, to, edits).unwrap()
}

fn try_convert(
    bytes: &[u8],
    from: impl Into<Form>,
    to: impl Into<Form>,
    edits: Edits<'_>,
) -> Result<Vec<u8>, TranscodeError> {
    let mut out = Vec::new();
    let length = transcode(Cursor::new(bytes), from.into(), &mut out, to.into(), edits)?;
    assert_eq!(length, out.len() as u64);
    Ok(out)
}

fn element(tag: Tag, vr: Vr, value: impl Into<Bytes>) -> Element {
    Element {
        tag,
        vr,
        value: Value::Bytes(value.into()),
    }
}

/// Undefined lengths where the writer defines them, as other programs do.
fn undefine(data_set: &DataSet, encoding: Encoding) -> Vec<u8> {
    let form = Form {
        encoding,
        is_deflated: false,
        has_big_endian_pixels: false,
    };
    let other = match encoding {
        Encoding::ExplicitLittle => Encoding::ExplicitBig,
        _ => Encoding::ExplicitLittle,
    };
    let from = Form {
        encoding: other,
        ..form
    };
    convert(&write(data_set, other), from, form, Edits::default())
}

proptest! {
    #[test]
    fn every_encoding_becomes_every_other(data_set in data_set()) {
        for from in SYNTAXES {
            let source = encode(&data_set, from);
            let expected = decode(&source, from);
            for to in SYNTAXES {
                let target = convert(&source, from, to, Edits::default());
                if from == to {
                    prop_assert_eq!(&target, &source);
                    continue;
                }
                // Implicit VR forgets VRs: compare what it would be from the whole data set.
                let expected = decode(&encode(&expected, to), to);
                let got = decode(&target, to);
                if to.encoding.is_explicit() {
                    prop_assert_eq!(got, expected);
                } else {
                    // There, private sequences are told by their undefined length only.
                    let tags = |set: &DataSet| {
                        set.elements().iter().map(|it| it.tag).collect::<Vec<_>>()
                    };
                    prop_assert_eq!(tags(&got), tags(&expected));
                    let back = decode(&convert(&target, to, from, Edits::default()), from);
                    prop_assert_eq!(tags(&back), tags(&expected));
                }
            }
        }
    }

    #[test]
    fn undefined_lengths_are_passed_through(data_set in data_set()) {
        for syntax in &SYNTAXES[..3] {
            let source = undefine(&data_set, syntax.encoding);
            let expected = decode(&source, syntax);
            let edits = || Edits { remove: [Tag(1, 1)].into(), ..Edits::default() };
            prop_assert_eq!(&convert(&source, *syntax, *syntax, edits()), &source);
            if syntax.encoding.is_explicit() {
                prop_assert_eq!(&expected, &data_set);
                let target = convert(&source, *syntax, SYNTAXES[3], edits());
                prop_assert_eq!(&decode(&target, SYNTAXES[3]), &data_set);
            }
        }
    }

    #[test]
    fn edits_replace_insert_and_remove(
        data_set in data_set(),
        put in data_set(),
        removed in prop::collection::vec(any::<prop::sample::Index>(), 0..3),
    ) {
        let mut expected = data_set.clone();
        let tags: Vec<Tag> = data_set.elements().iter().map(|element| element.tag).collect();
        let remove: BTreeSet<Tag> = removed
            .iter()
            .filter(|_| !tags.is_empty())
            .map(|at| tags[at.index(tags.len())])
            .collect();
        expected.retain(|element| !remove.contains(&element.tag));
        for element in put.clone() {
            expected.put(element);
        }
        for from in SYNTAXES.iter().filter(|syntax| syntax.encoding.is_explicit()) {
            for to in SYNTAXES.iter().filter(|syntax| syntax.encoding.is_explicit()) {
                let edits = Edits { put: put.clone(), remove: remove.clone(), pixel_data: None };
                let target = convert(&encode(&data_set, from), *from, *to, edits);
                prop_assert_eq!(&decode(&target, to), &expected);
            }
        }
    }

    #[test]
    fn damage_does_not_panic(
        data_set in data_set(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
        cut in any::<prop::sample::Index>(),
    ) {
        for from in SYNTAXES {
            let mut source = encode(&data_set, from);
            if source.is_empty() {
                continue;
            }
            for (at, byte) in &damage {
                let at = at.index(source.len());
                source[at] = *byte;
            }
            source.truncate(cut.index(source.len()) + 1);
            for to in SYNTAXES {
                let edits = Edits { remove: [Tag(9, 0x1001)].into(), ..Edits::default() };
                let result = try_convert(&source, from, to, edits);
                // What the scanner accepts can be re-encoded.
                let scanned = scan(&source, from, ScanLimits::default());
                if let (Ok(scanned), Err(error)) = (scanned, result) {
                    let form = Form::of_scanned(from, scanned.encoding);
                    let edits = Edits { remove: [Tag(9, 0x1001)].into(), ..Edits::default() };
                    let again = try_convert(&source, form, to, edits);
                    prop_assert!(again.is_ok(), "{error} {again:?}");
                }
            }
        }
    }
}

#[test]
fn values_that_keep_the_same_encoding_keep_their_bytes() {
    // Defined lengths, a group length, an odd value, reserved bytes that are not zero.
    let sequence =
        b"\x08\0\x40\x11SQ\x01\x02\x13\0\0\0\xFE\xFF\0\xE0\x0B\0\0\0\x10\0\x20\0LO\x03\0ODD";
    let source = [
        b"\x08\0\0\0UL\x04\0\x10\0\0\0".as_slice(),
        sequence,
        b"\x10\0\x30\0DA\0\0",
    ]
    .concat();
    let edits = Edits {
        put: DataSet::from_iter([element(tags::PATIENT_NAME, Vr::PN, "A^B")]),
        ..Edits::default()
    };
    let syntax = &EXPLICIT_VR_LITTLE_ENDIAN;
    let target = convert(&source, syntax, syntax, edits);
    let expected = [
        sequence.as_slice(),
        b"\x10\0\x10\0PN\x04\0A^B ",
        b"\x10\0\x30\0DA\0\0",
    ]
    .concat();
    assert_eq!(target, expected);
}

#[test]
fn pixels_are_swapped_by_their_cells() {
    for (bits, expected) in [(16u8, [2, 1, 4, 3]), (32, [4, 3, 2, 1]), (8, [2, 1, 4, 3])] {
        let data_set = DataSet::from_iter([
            element(tags::BITS_ALLOCATED, Vr::US, vec![bits, 0]),
            element(tags::PIXEL_DATA, Vr::OW, vec![1, 2, 3, 4]),
        ]);
        let source = write(&data_set, Encoding::ExplicitLittle);
        let (little, big) = (&EXPLICIT_VR_LITTLE_ENDIAN, &EXPLICIT_VR_BIG_ENDIAN);
        let target = convert(&source, little, big, Edits::default());
        assert_eq!(target[target.len() - 4..], expected, "{bits}");
        assert_eq!(convert(&target, big, little, Edits::default()), source);
    }
    let data_set = DataSet::from_iter([
        element(tags::BITS_ALLOCATED, Vr::US, vec![16, 0]),
        element(tags::PIXEL_DATA, Vr::OW, vec![1, 2, 3, 4]),
    ]);
    let source = write(&data_set, Encoding::ImplicitLittle);
    let target = convert(
        &source,
        &GE_PRIVATE_BIG_ENDIAN_PIXELS,
        &IMPLICIT_VR_LITTLE_ENDIAN,
        Edits::default(),
    );
    assert_eq!(target[..target.len() - 4], source[..source.len() - 4]);
    assert_eq!(target[target.len() - 4..], [2, 1, 4, 3]);
}

#[test]
fn long_values_pass_in_pieces() {
    let pixels: Vec<u8> = (0..1_000_003u32).map(|number| number as u8).collect();
    let data_set = DataSet::from_iter([
        element(tags::BITS_ALLOCATED, Vr::US, vec![16, 0]),
        element(tags::PIXEL_DATA, Vr::OW, [pixels, vec![0]].concat()),
    ]);
    for from in SYNTAXES {
        let source = encode(&data_set, from);
        for to in SYNTAXES {
            let target = convert(&source, from, to, Edits::default());
            assert_eq!(decode(&target, to), data_set);
        }
    }
}

#[test]
fn new_pixel_data_takes_the_place_of_the_old() {
    let fragments = |fragments: &[&'static [u8]]| Fragments {
        offset_table: Bytes::from_static(&[0, 0, 0, 0]),
        fragments: fragments.iter().map(|it| Bytes::from_static(it)).collect(),
    };
    let before = element(tags::ROWS, Vr::US, vec![1, 0]);
    let after = element(Tag(0x7FE1, 0x0010), Vr::LO, "GE");
    let compressed = DataSet::from_iter([
        before.clone(),
        element(tags::EXTENDED_OFFSET_TABLE, Vr::OV, vec![0; 8]),
        Element {
            tag: tags::PIXEL_DATA,
            vr: Vr::OB,
            value: Value::Fragments(fragments(&[b"ab", b"cd"])),
        },
        after.clone(),
    ]);
    let source = write(&compressed, Encoding::ExplicitLittle);
    let parts = |parts: &'static [&'static [u8]]| -> Parts<'static> {
        Box::new(parts.iter().map(|part| Ok(Bytes::from_static(part))))
    };
    for to in SYNTAXES {
        let edits = Edits {
            put: DataSet::from_iter([element(tags::BITS_ALLOCATED, Vr::US, vec![16, 0])]),
            pixel_data: Some(NewPixelData::Native {
                vr: Vr::OW,
                length: 6,
                parts: parts(&[b"\x01", b"\x02\x03\x04", b"\x05\x06"]),
            }),
            ..Edits::default()
        };
        let target = decode(&convert(&source, &JPEG_BASELINE, to, edits), to);
        assert_eq!(
            target.bytes(tags::PIXEL_DATA).unwrap()[..],
            [1, 2, 3, 4, 5, 6]
        );
        let tags: Vec<Tag> = target
            .elements()
            .iter()
            .map(|element| element.tag)
            .collect();
        let expected = [
            tags::ROWS,
            tags::BITS_ALLOCATED,
            tags::PIXEL_DATA,
            after.tag,
        ];
        assert_eq!(tags, expected);
    }
    let edits = Edits {
        pixel_data: Some(NewPixelData::Encapsulated {
            offset_table: Bytes::new(),
            parts: parts(&[b"xyz"]),
        }),
        ..Edits::default()
    };
    let target = decode(
        &convert(&source, &JPEG_BASELINE, &JPEG_BASELINE, edits),
        &JPEG_BASELINE,
    );
    let expected = Fragments {
        offset_table: Bytes::new(),
        fragments: vec!["xyz\0".into()],
    };
    assert_eq!(
        target.get(tags::PIXEL_DATA).unwrap().value,
        Value::Fragments(expected)
    );
    for (length, announced) in [(6u64, 5), (6, 7)] {
        let edits = Edits {
            pixel_data: Some(NewPixelData::Native {
                vr: Vr::OW,
                length: announced,
                parts: parts(&[b"123456"]),
            }),
            ..Edits::default()
        };
        let error = try_convert(&source, &JPEG_BASELINE, SYNTAXES[0], edits).unwrap_err();
        assert!(
            matches!(error, TranscodeError::PixelDataLength { length: l, announced: a }
            if l == length && a == announced)
        );
    }
}

#[test]
fn unknown_sequences_become_sequences() {
    let source = b"\x09\0\x01\x10UN\0\0\xFF\xFF\xFF\xFF\xFE\xFF\0\xE0\x0A\0\0\0\
          \x10\0\x20\0\x02\0\0\0ID\xFE\xFF\xDD\xE0\0\0\0\0\x10\0\x20\0LO\x02\0IE";
    let syntax = &EXPLICIT_VR_LITTLE_ENDIAN;
    let expected = decode(source, syntax);
    for to in SYNTAXES {
        assert_eq!(
            decode(&convert(source, syntax, to, Edits::default()), to),
            expected
        );
    }
    let edits = Edits {
        remove: [tags::PATIENT_ID].into(),
        ..Edits::default()
    };
    assert_eq!(
        convert(source, syntax, syntax, edits),
        source[..38],
        "only the top level"
    );
}

#[test]
fn damage_is_reported() {
    let source = b"\x10\0\x20\0UT\0\0\x10\0\0\0abc";
    let error = try_convert(source, SYNTAXES[0], SYNTAXES[2], Edits::default()).unwrap_err();
    let tag = tags::PATIENT_ID;
    let expected = DecodeError::Truncated {
        tag,
        offset: 15,
        missing: 13,
    };
    assert!(matches!(error, TranscodeError::Decode(error) if error == expected));
    let bad = try_convert(
        b"\x07\x00garbage",
        SYNTAXES[3],
        SYNTAXES[0],
        Edits::default(),
    );
    assert!(matches!(bad, Err(TranscodeError::Read(_))));
}
