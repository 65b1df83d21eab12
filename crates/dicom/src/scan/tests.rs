use super::*;
use crate::data_set::{DataSet, Deferred, Element, Fragments, Value};
use crate::encoding::tests::data_set;
use crate::encoding::{Limits, parse, write};
use crate::{tags, transfer_syntax};
use proptest::prelude::*;
use std::io::Write;

const ENCODINGS: [Encoding; 3] = [
    Encoding::ExplicitLittle,
    Encoding::ImplicitLittle,
    Encoding::ExplicitBig,
];

fn syntax(encoding: Encoding) -> &'static TransferSyntax {
    match encoding {
        Encoding::ExplicitLittle => &transfer_syntax::EXPLICIT_VR_LITTLE_ENDIAN,
        Encoding::ImplicitLittle => &transfer_syntax::IMPLICIT_VR_LITTLE_ENDIAN,
        Encoding::ExplicitBig => &transfer_syntax::EXPLICIT_VR_BIG_ENDIAN,
    }
}

fn limits(inline_bytes_max: usize) -> ScanLimits {
    ScanLimits {
        inline_bytes_max,
        ..ScanLimits::default()
    }
}

fn explicit(bytes: &[u8]) -> Result<Scanned, ScanError> {
    scan(
        bytes,
        &transfer_syntax::EXPLICIT_VR_LITTLE_ENDIAN,
        ScanLimits::default(),
    )
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn element(tag: Tag, vr: Vr, value: impl Into<Bytes>) -> Element {
    Element {
        tag,
        vr,
        value: Value::Bytes(value.into()),
    }
}

/// Puts the bulk values back that a header defers.
fn resolve(header: DataSet, bulk: &Bytes, encoding: Encoding) -> DataSet {
    let resolve_value = |element: &Element| match &element.value {
        Value::Sequence(items) => {
            let items = items
                .iter()
                .map(|item| resolve(item.clone(), bulk, encoding));
            Value::Sequence(items.collect())
        }
        Value::Deferred(Deferred {
            offset,
            length,
            is_encapsulated: false,
        }) => {
            let value = bulk.slice(*offset as usize..(offset + length) as usize);
            let mut value = value.to_vec();
            if encoding.is_big_endian() {
                crate::encoding::swap_in_place(&mut value, crate::encoding::word_size(element.vr));
            }
            Value::Bytes(value.into())
        }
        Value::Deferred(Deferred {
            offset,
            length,
            is_encapsulated: true,
        }) => {
            let items = bulk.slice(*offset as usize..(offset + length) as usize);
            let number = |bytes: &[u8]| match encoding.is_big_endian() {
                true => u32::from_be_bytes(bytes.try_into().unwrap()),
                false => u32::from_le_bytes(bytes.try_into().unwrap()),
            };
            let mut values = Vec::new();
            let mut at = 0;
            while at < items.len() {
                let end = at + 8 + number(&items[at + 4..at + 8]) as usize;
                values.push(items.slice(at + 8..end));
                at = end;
            }
            let offset_table = values.remove(0);
            Value::Fragments(Fragments {
                offset_table,
                fragments: values,
            })
        }
        Value::Bytes(bytes) => Value::Bytes(bytes.clone()),
        Value::Fragments(_) => panic!("fragments in a header"),
    };
    let elements = header.elements().iter().map(|element| Element {
        tag: element.tag,
        vr: element.vr,
        value: resolve_value(element),
    });
    elements.collect()
}

proptest! {
    #[test]
    fn the_header_and_the_bulk_values_are_the_data_set(
        data_set in data_set(),
        inline_bytes_max in 0usize..40,
    ) {
        for encoding in ENCODINGS {
            let bytes = Bytes::from(write(&data_set, encoding));
            let expected = parse(bytes.clone(), encoding, &Limits::default()).unwrap();
            let scanned = scan(&bytes, syntax(encoding), limits(inline_bytes_max)).unwrap();
            let header = scanned.header.parse().unwrap();
            prop_assert_eq!(resolve(header, &bytes, encoding), expected);
            prop_assert_eq!(scanned.data_set_length, bytes.len() as u64);
            prop_assert_eq!(scanned.encoding, encoding);
        }
    }

    #[test]
    fn chunks_make_no_difference(
        data_set in data_set(),
        cuts in prop::collection::vec(1usize..20, 1..40),
        inline_bytes_max in 0usize..40,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        is_deflated in any::<bool>(),
    ) {
        for encoding in ENCODINGS {
            let mut bytes = write(&data_set, encoding);
            for (at, byte) in &damage {
                if !bytes.is_empty() {
                    let at = at.index(bytes.len());
                    bytes[at] = *byte;
                }
            }
            let mut syntax = syntax(encoding).clone();
            if is_deflated {
                syntax.is_deflated = true;
                bytes = deflate(&bytes);
            }
            let whole = scan(&bytes, &syntax, limits(inline_bytes_max));
            let mut scanner = Scanner::new(&syntax, limits(inline_bytes_max));
            let mut rest = bytes.as_slice();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (chunk, after) = rest.split_at((*cut).min(rest.len()));
                rest = after;
                if scanner.feed(chunk).is_err() {
                    break;
                }
            }
            prop_assert_eq!(scanner.finish(), whole);
        }
    }

    #[test]
    fn the_scanner_accepts_what_the_parser_accepts(
        data_set in data_set(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        for encoding in ENCODINGS {
            let mut bytes = write(&data_set, encoding);
            // The scanner looks at the first element to tell the encoding, the parser does not.
            if bytes.len() <= 12 {
                continue;
            }
            for (at, byte) in &damage {
                let at = 12 + at.index(bytes.len() - 12);
                bytes[at] = *byte;
            }
            if let Some(cut) = cut {
                bytes.truncate(12 + cut.index(bytes.len() - 12));
            }
            let parsed = parse(bytes.clone().into(), encoding, &Limits::default());
            let scanned = scan(&bytes, syntax(encoding), limits(16));
            // The parser takes any fragments without their last delimiter: what is stored was
            // looked at before. The scanner wants one for each of several frames.
            let ends_in_fragments = parsed.as_ref().is_ok_and(|parsed| {
                let last = parsed.elements().last();
                last.is_some_and(|last| matches!(last.value, Value::Fragments(_)))
            });
            let is_unclosed =
                matches!(scanned, Err(ScanError::Decode(DecodeError::Unclosed { .. })));
            if ends_in_fragments && is_unclosed {
                continue;
            }
            prop_assert_eq!(
                scanned.is_ok(), parsed.is_ok(), "{:?} {:?} {:?}", encoding, scanned, parsed
            );
            if let Ok(scanned) = scanned {
                prop_assert!(scanned.header.parse().is_ok());
            }
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for syntax in transfer_syntax::all() {
            if let Ok(scanned) = scan(&bytes, syntax, limits(16)) {
                scanned.header.parse().unwrap();
            }
        }
    }
}

/// A data set with pixel data as fragments of 2 and 4 bytes.
const ENCAPSULATED: &[u8] = b"\x10\0\x20\0LO\x02\0ID\
    \xE0\x7F\x10\0OB\0\0\xFF\xFF\xFF\xFF\
    \xFE\xFF\0\xE0\x04\0\0\0\0\0\0\0\xFE\xFF\0\xE0\x02\0\0\0ab\
    \xFE\xFF\0\xE0\x04\0\0\0cdef\xFE\xFF\xDD\xE0\0\0\0\0";

#[test]
fn native_pixel_data_is_found_and_left_out() {
    let pixels = vec![7; 100];
    let data_set = DataSet::from_iter([
        element(tags::ROWS, Vr::US, vec![10, 0]),
        element(tags::PIXEL_DATA, Vr::OW, pixels.clone()),
        element(Tag(0x7FE1, 0x0010), Vr::LO, "GE"),
    ]);
    let bytes = write(&data_set, Encoding::ExplicitLittle);
    let scanned = explicit(&bytes).unwrap();
    let location = scanned.pixel_data.clone().unwrap();
    assert_eq!((location.tag, location.vr), (tags::PIXEL_DATA, Vr::OW));
    assert_eq!((location.offset, location.length), (22, 100));
    assert_eq!(location.fragments, None);
    assert_eq!(bytes[22..122], pixels);
    let header = scanned.header.parse().unwrap();
    let deferred = Deferred {
        offset: 22,
        length: 100,
        is_encapsulated: false,
    };
    assert_eq!(
        header.get(tags::PIXEL_DATA).unwrap().value,
        Value::Deferred(deferred)
    );
    assert_eq!(header.elements().len(), 3);
    assert_eq!(scanned.warnings, []);
    for length in 11..122 {
        let error = explicit(&bytes[..length]).unwrap_err();
        let offset = 10;
        let is_value = length >= 22;
        assert!(
            matches!(error, ScanError::Decode(DecodeError::Truncated { tag, offset: at, missing })
            if at == offset && (!is_value || (tag == tags::PIXEL_DATA && missing == 122 - length as u64))),
            "{length}: {error}"
        );
    }
}

#[test]
fn fragments_are_listed() {
    let syntax = &transfer_syntax::JPEG_BASELINE;
    let scanned = scan(ENCAPSULATED, syntax, ScanLimits::default()).unwrap();
    let location = scanned.pixel_data.unwrap();
    assert_eq!((location.offset, location.length), (22, 34));
    assert_eq!(location.offset_table, [0u8; 4].as_slice());
    let fragments = location.fragments.unwrap();
    assert_eq!(fragments.base(), 34);
    let slices: Vec<&[u8]> = fragments
        .iter()
        .map(|(offset, length)| &ENCAPSULATED[offset as usize..][..length as usize])
        .collect();
    assert_eq!(slices, [b"ab".as_slice(), b"cdef"]);
    assert_eq!(scanned.warnings, []);
    assert_eq!(
        explicit(ENCAPSULATED).unwrap().warnings,
        [Warning::OtherPixelForm]
    );
}

#[test]
fn cut_fragments_are_errors_wherever_they_are_cut() {
    for length in 11..ENCAPSULATED.len() {
        // At 44 and 56 the data end after a fragment: of one frame either may be the last.
        assert!(explicit(&ENCAPSULATED[..length]).is_err(), "{length}");
    }
}

#[test]
fn a_forgotten_last_delimiter_is_a_warning_if_there_is_a_fragment_for_each_frame() {
    let unclosed = |frames: &'static str| {
        let frames = write(
            &DataSet::from_iter([element(tags::NUMBER_OF_FRAMES, Vr::IS, frames)]),
            Encoding::ExplicitLittle,
        );
        explicit(&[&frames, &ENCAPSULATED[..56]].concat())
    };
    let scanned = unclosed("2 ").unwrap();
    assert!(Departure::of(&scanned).is_unclosed);
    assert_eq!(scanned.pixel_data.unwrap().fragments.unwrap().len(), 2);
    for frames in ["1 ", "3 ", "x "] {
        assert!(unclosed(frames).is_err(), "{frames}");
    }
}

#[test]
fn the_real_encoding_is_told_however_the_data_set_is_cut() {
    // The first element has the long form, of which eight bytes do not tell the length.
    let data_set = DataSet::from_iter([
        element(Tag(8, 1), Vr::UT, vec![b'x'; 10]),
        element(tags::PATIENT_ID, Vr::LO, "ID"),
    ]);
    let bytes = write(&data_set, Encoding::ExplicitLittle);
    let declared = syntax(Encoding::ImplicitLittle);
    let whole = scan(&bytes, declared, ScanLimits::default()).unwrap();
    assert_eq!(whole.encoding, Encoding::ExplicitLittle);
    assert_eq!(
        Departure::of(&whole).encoding,
        Some(Encoding::ExplicitLittle)
    );
    for cut in 1..bytes.len() {
        let mut scanner = Scanner::new(declared, ScanLimits::default());
        scanner.feed(&bytes[..cut]).unwrap();
        scanner.feed(&bytes[cut..]).unwrap();
        assert_eq!(scanner.finish().unwrap(), whole, "{cut}");
    }
}

#[test]
fn short_and_long_forms_are_deferred_alike() {
    let data_set = DataSet::from_iter([
        element(tags::PATIENT_COMMENTS, Vr::LT, vec![b'x'; 2000]),
        element(Tag(0x0011, 0x1001), Vr::UN, vec![1; 2000]),
    ]);
    for encoding in [Encoding::ExplicitLittle, Encoding::ExplicitBig] {
        let bytes = write(&data_set, encoding);
        let scanned = scan(&bytes, syntax(encoding), ScanLimits::default()).unwrap();
        assert_eq!(scanned.header.0.len(), 56);
        let header = scanned.header.parse().unwrap();
        assert_eq!(header.get(tags::PATIENT_COMMENTS).unwrap().vr, Vr::LT);
        assert_eq!(resolve(header, &bytes.into(), encoding), data_set);
    }
    // Only implicit VR can have a short-form VR of this length.
    let long = DataSet::from_iter([element(tags::PATIENT_COMMENTS, Vr::LT, vec![b'x'; 70_000])]);
    let bytes = write(&long, Encoding::ImplicitLittle);
    let syntax = syntax(Encoding::ImplicitLittle);
    let scanned = scan(&bytes, syntax, ScanLimits::default()).unwrap();
    let header = scanned.header.parse().unwrap();
    assert_eq!(
        resolve(header, &bytes.into(), Encoding::ImplicitLittle),
        long
    );
}

#[test]
fn extended_offset_tables_are_kept_however_long() {
    for count in [2, 1000] {
        let table = vec![9; count * 8];
        let data_set = DataSet::from_iter([
            element(tags::EXTENDED_OFFSET_TABLE, Vr::OV, table.clone()),
            element(
                tags::EXTENDED_OFFSET_TABLE_LENGTHS,
                Vr::OV,
                vec![8; count * 8],
            ),
        ]);
        let scanned = explicit(&write(&data_set, Encoding::ExplicitLittle)).unwrap();
        assert_eq!(scanned.extended_offset_table.unwrap(), table);
        assert_eq!(
            scanned.extended_offset_table_lengths.unwrap(),
            vec![8; count * 8]
        );
    }
}

#[test]
fn an_encoding_other_than_declared_is_recognised() {
    let data_set = DataSet::from_iter([
        element(tags::SOP_CLASS_UID, Vr::UI, "1.2.3\0"),
        element(tags::PATIENT_ID, Vr::LO, "ID"),
    ]);
    for actual in ENCODINGS {
        let bytes = write(&data_set, actual);
        for declared in ENCODINGS {
            let scanned = scan(&bytes, syntax(declared), ScanLimits::default()).unwrap();
            assert_eq!(scanned.header.parse().unwrap(), data_set);
            assert_eq!(scanned.encoding, actual);
            let warning = Warning::OtherEncoding { declared, actual };
            assert_eq!(scanned.warnings.contains(&warning), declared != actual);
        }
    }
}

#[test]
fn out_of_order_and_twice() {
    let bytes = b"\x10\0\x20\0LO\x02\0ID\x08\0\x60\0CS\x02\0CT\x10\0\x20\0LO\x02\0IE";
    let scanned = explicit(bytes).unwrap();
    let header = scanned.header.parse().unwrap();
    assert_eq!(header.bytes(tags::PATIENT_ID).unwrap(), &b"ID"[..]);
    let found = scanned.header.find(tags::PATIENT_ID).unwrap().unwrap();
    assert_eq!(found, *header.get(tags::PATIENT_ID).unwrap());
    assert_eq!(scanned.header.0.len(), 20);
    let duplicate = Warning::Duplicate {
        tag: tags::PATIENT_ID,
    };
    assert_eq!(
        scanned.warnings,
        [
            Warning::OutOfOrder {
                tag: tags::MODALITY
            },
            duplicate
        ]
    );
    let zero = b"\x10\0\x20\0LO\x02\0ID\0\0\0\0UL\x04\0\x01\0\0\0";
    let header = explicit(zero).unwrap().header;
    assert!(header.find(Tag(0, 0)).unwrap().is_some());
}

#[test]
fn a_deflated_data_set_is_scanned_inflated() {
    let data_set = DataSet::from_iter([
        element(tags::PATIENT_ID, Vr::LO, "ID"),
        element(tags::PIXEL_DATA, Vr::OW, vec![0; 1_000_000]),
    ]);
    let inflated = write(&data_set, Encoding::ExplicitLittle);
    let syntax = &transfer_syntax::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN;
    let mut bytes = deflate(&inflated);
    let scanned = scan(&bytes, syntax, ScanLimits::default()).unwrap();
    assert_eq!(scanned.data_set_length, bytes.len() as u64);
    assert_eq!(scanned.inflated_length, inflated.len() as u64);
    assert_eq!(scanned.pixel_data.unwrap().offset, 22);
    for length in [0, 1, 10, bytes.len() / 2, bytes.len() - 1] {
        assert!(
            scan(&bytes[..length], syntax, ScanLimits::default()).is_err(),
            "{length}"
        );
    }
    bytes.push(0);
    assert_eq!(
        scan(&bytes, syntax, ScanLimits::default())
            .unwrap()
            .warnings,
        []
    );
    bytes.push(1);
    let warnings = scan(&bytes, syntax, ScanLimits::default())
        .unwrap()
        .warnings;
    assert_eq!(warnings, [Warning::DataAfterDeflate]);
    let small = ScanLimits {
        inflated_bytes_max: 1000,
        ..ScanLimits::default()
    };
    let error = scan(&bytes, syntax, small).unwrap_err();
    assert_eq!(
        error,
        ScanError::InflatedTooLarge {
            inflated_bytes_max: 1000
        }
    );
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    zlib.write_all(&inflated).unwrap();
    let scanned = scan(&zlib.finish().unwrap(), syntax, ScanLimits::default()).unwrap();
    assert_eq!(scanned.warnings, [Warning::ZlibWrapper]);
}

#[test]
fn a_deflate_bomb_is_stopped_early() {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder
        .write_all(b"\x09\0\x01\x10OB\0\0\xF0\xFF\xFF\xFF")
        .unwrap();
    let zeros = vec![0; 1 << 20];
    for _ in 0..512 {
        encoder.write_all(&zeros).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    let syntax = &transfer_syntax::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN;
    let limits = ScanLimits {
        inflate_ratio_max: 100,
        ..ScanLimits::default()
    };
    let error = scan(&bomb, syntax, limits).unwrap_err();
    assert_eq!(
        error,
        ScanError::InflateRatio {
            inflate_ratio_max: 100
        }
    );
}

#[test]
fn limits_are_told_apart() {
    let levels =
        b"\x08\0\x40\x11SQ\0\0\xFF\xFF\xFF\xFF\xFE\xFF\0\xE0\xFF\xFF\xFF\xFF".repeat(20_000);
    let error = explicit(&levels).unwrap_err();
    let offset = 64 * 20;
    assert_eq!(
        error,
        ScanError::Decode(DecodeError::TooDeep {
            depth_max: 64,
            offset
        })
    );
    let many = b"\x10\0\x20\0LO\x02\0ID".repeat(100);
    let limits = ScanLimits {
        elements_max: 99,
        ..ScanLimits::default()
    };
    let syntax = &transfer_syntax::EXPLICIT_VR_LITTLE_ENDIAN;
    let error = scan(&many, syntax, limits).unwrap_err();
    let expected = DecodeError::TooManyElements { elements_max: 99 };
    assert_eq!(error, ScanError::Decode(expected));
    let limits = ScanLimits {
        header_bytes_max: 500,
        ..ScanLimits::default()
    };
    let error = scan(&many, syntax, limits).unwrap_err();
    assert!(matches!(
        error,
        ScanError::HeaderTooLarge {
            header_bytes_max: 500,
            ..
        }
    ));
    // Fragments count too.
    let mut fragments = ENCAPSULATED[..34].to_vec();
    fragments.extend(b"\xFE\xFF\0\xE0\0\0\0\0".repeat(200));
    let error = scan(&fragments, syntax, limits).unwrap_err();
    assert!(matches!(error, ScanError::HeaderTooLarge { .. }));
}

#[test]
fn a_hundred_thousand_items_fit() {
    let item = DataSet::from_iter([
        element(tags::DIMENSION_INDEX_VALUES, Vr::UL, vec![1; 8]),
        element(
            tags::COLUMN_POSITION_IN_TOTAL_IMAGE_PIXEL_MATRIX,
            Vr::SL,
            vec![1; 4],
        ),
        element(
            tags::ROW_POSITION_IN_TOTAL_IMAGE_PIXEL_MATRIX,
            Vr::SL,
            vec![1; 4],
        ),
    ]);
    let data_set = DataSet::from_iter([Element {
        tag: tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
        vr: Vr::SQ,
        value: Value::Sequence(vec![item; 100_000]),
    }]);
    let scanned = explicit(&write(&data_set, Encoding::ExplicitLittle)).unwrap();
    assert_eq!(scanned.header.parse().unwrap(), data_set);
}

#[test]
fn the_first_error_stays() {
    let mut scanner = Scanner::new(&transfer_syntax::EXPLICIT_VR_LITTLE_ENDIAN, limits(0));
    let error = scanner.feed(b"\xFE\xFF\x0D\xE0\0\0\0\0").unwrap_err();
    assert_eq!(scanner.feed(b"\x10\0\x20\0LO\0\0"), Err(error.clone()));
    assert_eq!(scanner.finish().map(|_| ()), Err(error));
}
