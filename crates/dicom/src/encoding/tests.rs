use super::*;
use crate::data_set::{DataSet, Element, Fragments, Value};
use crate::tags;
use bytes::Bytes;
use proptest::prelude::*;

const ENCODINGS: [Encoding; 3] = [
    Encoding::ExplicitLittle,
    Encoding::ImplicitLittle,
    Encoding::ExplicitBig,
];

fn read(bytes: &[u8], encoding: Encoding) -> Result<DataSet, DecodeError> {
    parse(Bytes::copy_from_slice(bytes), encoding, &Limits::default())
}

fn explicit(bytes: &[u8]) -> Result<DataSet, DecodeError> {
    read(bytes, Encoding::ExplicitLittle)
}

fn value(data_set: &DataSet, tag: Tag) -> &[u8] {
    data_set.bytes(tag).unwrap()
}

fn bytes_element() -> impl Strategy<Value = Element> {
    use Vr::*;
    let vr = prop::sample::select(vec![
        AE, AS, AT, CS, DA, DS, DT, FL, FD, IS, LO, LT, OB, OD, OF, OL, OV, OW, PN, SH, SL, SS, ST,
        SV, TM, UC, UI, UL, UN, UR, US, UT, UV,
    ]);
    // Private, so that no dictionary has a say in implicit VR; not creators.
    let element = (0x0009u16..0x0012).prop_map(|group| group | 1);
    (
        element,
        0x1000u16..0x1010,
        vr,
        prop::collection::vec(any::<u8>(), 0..5),
    )
        .prop_map(|(group, element, vr, words)| {
            let bytes: Vec<u8> = words.iter().flat_map(|byte| [*byte; 8]).collect();
            Element {
                tag: Tag(group, element),
                vr,
                value: Value::Bytes(bytes.into()),
            }
        })
}

/// Elements that the dictionary knows, some with a VR that is not theirs.
fn public_element() -> impl Strategy<Value = Element> {
    let tag = prop::sample::select(vec![
        tags::REFERENCED_IMAGE_SEQUENCE,
        tags::PATIENT_NAME,
        tags::PIXEL_REPRESENTATION,
        tags::SMALLEST_IMAGE_PIXEL_VALUE,
    ]);
    let vr = prop::sample::select(vec![Vr::PN, Vr::US, Vr::SS, Vr::UT, Vr::OB]);
    (tag, vr, prop::collection::vec(0u8..3, 0..30)).prop_map(|(tag, vr, bytes)| {
        let bytes = [bytes.clone(), bytes].concat();
        Element {
            tag,
            vr,
            value: Value::Bytes(bytes.into()),
        }
    })
}

fn fragments_element() -> impl Strategy<Value = Element> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..8).prop_map(|bytes| bytes.repeat(2));
    (bytes(), prop::collection::vec(bytes(), 0..4)).prop_map(|(table, fragments)| Element {
        tag: tags::PIXEL_DATA,
        vr: Vr::OB,
        value: Value::Fragments(Fragments {
            offset_table: table.into(),
            fragments: fragments.into_iter().map(Bytes::from).collect(),
        }),
    })
}

/// Data sets that each encoding can hold without loss, except for VRs in implicit VR.
pub(crate) fn data_set() -> impl Strategy<Value = DataSet> {
    let flat = prop::collection::vec(bytes_element(), 0..6).prop_map(DataSet::from_elements);
    let nested = flat.prop_recursive(4, 40, 4, |inner| {
        let tag = prop_oneof![
            3 => (0x1020u16..0x1030).prop_map(|element| Tag(0x0011, element)),
            1 => Just(tags::REFERENCED_IMAGE_SEQUENCE),
        ];
        let sequence = (tag, prop::collection::vec(inner, 0..4)).prop_map(|(tag, items)| Element {
            tag,
            vr: Vr::SQ,
            value: Value::Sequence(items),
        });
        let element = prop_oneof![4 => bytes_element(), 1 => public_element(), 2 => sequence];
        prop::collection::vec(element, 0..6).prop_map(DataSet::from_elements)
    });
    (nested, prop::option::of(fragments_element())).prop_map(|(mut data_set, fragments)| {
        if let Some(fragments) = fragments {
            data_set.put(fragments);
        }
        data_set
    })
}

proptest! {
    #[test]
    fn explicit_encodings_round_trip(data_set in data_set()) {
        for encoding in [Encoding::ExplicitLittle, Encoding::ExplicitBig] {
            let bytes = write(&data_set, encoding);
            prop_assert_eq!(&read(&bytes, encoding).unwrap(), &data_set);
        }
    }

    #[test]
    fn implicit_encoding_keeps_all_but_the_vr(data_set in data_set()) {
        // A private sequence of defined length can't be told from a value.
        let bytes = write(&data_set, Encoding::ImplicitLittle);
        let again = read(&bytes, Encoding::ImplicitLittle).unwrap();
        prop_assert_eq!(write(&again, Encoding::ImplicitLittle), bytes);
        let tags = |set: &DataSet| set.elements().iter().map(|it| it.tag).collect::<Vec<_>>();
        prop_assert_eq!(tags(&again), tags(&data_set));
    }

    #[test]
    fn no_bytes_panic_or_cost_more_than_they_are(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for encoding in ENCODINGS {
            let (data_set, _) = parse_prefix(bytes.clone().into(), encoding, &Limits::default());
            prop_assert!(data_set.elements().len() <= bytes.len() / 8 + 1);
        }
    }

    #[test]
    fn damaged_data_sets_do_not_panic(
        data_set in data_set(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        for encoding in ENCODINGS {
            let mut bytes = write(&data_set, encoding);
            if bytes.is_empty() {
                continue;
            }
            for (at, byte) in &damage {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            let (read, _) = parse_prefix(bytes.into(), encoding, &Limits::default());
            write(&read, encoding);
        }
    }

    #[test]
    fn every_cut_but_between_elements_is_an_error(data_set in data_set()) {
        let bytes = write(&data_set, Encoding::ExplicitLittle);
        let mut boundaries = vec![0];
        for count in 0..data_set.elements().len() {
            let first = data_set.elements()[..=count].iter().cloned().collect();
            boundaries.push(write(&first, Encoding::ExplicitLittle).len());
        }
        for length in 0..bytes.len() {
            let cut = explicit(&bytes[..length]);
            let is_zeros = bytes[..length].iter().all(|byte| *byte == 0);
            // The delimiter after the last fragment may be missing, and of fragments each can
            // be the last.
            let is_after_fragment = match data_set.elements().last().map(|last| &last.value) {
                Some(Value::Fragments(fragments)) => {
                    let sizes = fragments.fragments.iter().map(|fragment| fragment.len() + 8);
                    let mut end = bytes.len() - 8 - sizes.clone().sum::<usize>();
                    sizes.into_iter().any(|size| { end += size; end == length })
                }
                _ => false,
            };
            let is_legal = boundaries.contains(&length) || is_zeros || is_after_fragment;
            prop_assert_eq!(cut.is_ok(), is_legal, "{} of {}: {:?}", length, bytes.len(), cut);
        }
    }
}

#[test]
fn undefined_lengths_nest() {
    let bytes = b"\x08\0\x40\x11SQ\0\0\xFF\xFF\xFF\xFF\
        \xFE\xFF\0\xE0\xFF\xFF\xFF\xFF\x08\0\x50\x11UI\x02\x001\0\
        \x08\0\x40\x11SQ\0\0\xFF\xFF\xFF\xFF\xFE\xFF\xDD\xE0\0\0\0\0\
        \xFE\xFF\x0D\xE0\0\0\0\0\xFE\xFF\0\xE0\0\0\0\0\xFE\xFF\xDD\xE0\0\0\0\0\
        \x10\0\x20\0LO\x02\0ID";
    let data_set = explicit(bytes).unwrap();
    let items = data_set.items(tags::REFERENCED_IMAGE_SEQUENCE);
    assert_eq!(items.len(), 2);
    assert_eq!(value(&items[0], tags::REFERENCED_SOP_CLASS_UID), b"1\0");
    assert_eq!(value(&data_set, tags::PATIENT_ID), b"ID");
    assert_eq!(
        explicit(&bytes[..bytes.len() - 18]),
        Err(DecodeError::Unclosed {
            tag: tags::REFERENCED_IMAGE_SEQUENCE,
            offset: 66
        })
    );
}

#[test]
fn unknown_of_undefined_length_holds_implicit_vr() {
    let data_set = explicit(
        b"\x09\0\x01\x10UN\0\0\xFF\xFF\xFF\xFF\xFE\xFF\0\xE0\x0A\0\0\0\
          \x10\0\x20\0\x02\0\0\0ID\xFE\xFF\xDD\xE0\0\0\0\0\x10\0\x20\0LO\x02\0IE",
    )
    .unwrap();
    let inner = &data_set.items(Tag(9, 0x1001))[0];
    assert_eq!(inner.get(tags::PATIENT_ID).unwrap().vr, Vr::LO);
    assert_eq!(value(&data_set, tags::PATIENT_ID), b"IE");
    // In big endian its content is still little endian.
    let big = b"\0\x09\x10\x01UN\0\0\xFF\xFF\xFF\xFF\xFE\xFF\0\xE0\x0A\0\0\0\
          \x10\0\x20\0\x02\0\0\0ID\xFE\xFF\xDD\xE0\0\0\0\0\0\x10\0\x20LO\0\x02IE";
    assert_eq!(read(big, Encoding::ExplicitBig).unwrap(), data_set);
    // Some writers leave the items in explicit VR.
    let explicit_inside = explicit(
        b"\x09\0\x01\x10UN\0\0\xFF\xFF\xFF\xFF\xFE\xFF\0\xE0\x0A\0\0\0\
          \x10\0\x20\0LO\x02\0ID\xFE\xFF\xDD\xE0\0\0\0\0\x10\0\x20\0LO\x02\0IE",
    );
    assert_eq!(explicit_inside.unwrap(), data_set);
}

#[test]
fn unknown_of_a_known_tag_takes_the_dictionarys_vr() {
    let data_set = explicit(
        b"\x10\0\x10\0UN\0\0\x04\0\0\0A^B \x28\0\x10\0UN\0\0\x02\0\0\0\x01\x02\
          \x28\0\x11\0UN\0\0\x03\0\0\0\x01\x02\x03\
          \x40\0\x55\x05UN\0\0\x12\0\0\0\xFE\xFF\0\xE0\x0A\0\0\0\x08\0\0\x01\x02\0\0\0T1",
    )
    .unwrap();
    assert_eq!(data_set.get(tags::PATIENT_NAME).unwrap().vr, Vr::PN);
    assert_eq!(data_set.get(tags::ROWS).unwrap().vr, Vr::US);
    assert_eq!(
        data_set.get(tags::COLUMNS).unwrap().vr,
        Vr::UN,
        "3 bytes are no US"
    );
    let items = data_set.items(tags::ACQUISITION_CONTEXT_SEQUENCE);
    assert_eq!(value(&items[0], tags::CODE_VALUE), b"T1");
}

#[test]
fn implicit_vr_comes_from_the_dictionary_and_the_data_set() {
    let data_set = read(
        b"\x09\0\x10\0\x02\0\0\0GE\x09\0\x01\x10\x02\0\0\0ab\
          \x09\0\x02\x10\xFF\xFF\xFF\xFF\xFE\xFF\0\xE0\0\0\0\0\xFE\xFF\xDD\xE0\0\0\0\0\
          \x28\0\x03\x01\x02\0\0\0\x01\0\x28\0\x20\x01\x02\0\0\0\0\xF8",
        Encoding::ImplicitLittle,
    )
    .unwrap();
    let vr = |tag| data_set.get(tag).unwrap().vr;
    assert_eq!(vr(Tag(9, 0x10)), Vr::LO);
    assert_eq!(vr(Tag(9, 0x1001)), Vr::UN);
    assert_eq!(vr(Tag(9, 0x1002)), Vr::SQ);
    assert_eq!(vr(tags::PIXEL_PADDING_VALUE), Vr::SS);
}

#[test]
fn a_value_that_only_the_dictionary_takes_for_a_sequence_is_kept() {
    let bytes = b"\x08\0\x40\x11\x04\0\0\0text\x10\0\x20\0\x02\0\0\0ID";
    let data_set = read(bytes, Encoding::ImplicitLittle).unwrap();
    let element = data_set.get(tags::REFERENCED_IMAGE_SEQUENCE).unwrap();
    assert_eq!(
        (element.vr, &element.value),
        (Vr::UN, &Value::Bytes("text".into()))
    );
    assert_eq!(value(&data_set, tags::PATIENT_ID), b"ID");
    assert!(explicit(b"\x08\0\x40\x11SQ\0\0\x04\0\0\0text").is_err());
}

#[test]
fn big_endian_values_are_little_endian_in_memory() {
    let bytes = b"\0\x28\x01\0US\0\x02\0\x20\x7F\xE0\0\x10OW\0\0\0\0\0\x04\x01\x02\x03\x04";
    let data_set = read(bytes, Encoding::ExplicitBig).unwrap();
    assert_eq!(value(&data_set, tags::BITS_ALLOCATED), [0x20, 0]);
    assert_eq!(
        value(&data_set, tags::PIXEL_DATA),
        [4, 3, 2, 1],
        "cells of 32 bits"
    );
    assert_eq!(write(&data_set, Encoding::ExplicitBig), bytes);
}

#[test]
fn the_first_of_two_counts_and_order_does_not() {
    let data_set =
        explicit(b"\x10\0\x20\0LO\x02\0ID\x08\0\x60\0CS\x02\0CT\x10\0\x20\0LO\x02\0IE").unwrap();
    assert_eq!(data_set.elements().len(), 2);
    assert_eq!(value(&data_set, tags::PATIENT_ID), b"ID");
    assert_eq!(value(&data_set, tags::MODALITY), b"CT");
}

#[test]
fn what_is_no_content_is_dropped() {
    let data_set = explicit(
        b"\x08\0\0\0UL\x04\0\x4D\0\0\0\x08\0\x60\0CS\x02\0CT\
          \xFC\xFF\xFC\xFFOB\0\0\x04\0\0\0abcd\0\0\0\0\0\0\0\0\0\0\0\0\0",
    )
    .unwrap();
    assert_eq!(data_set.elements().len(), 1);
    assert!(
        explicit(b"\x08\0\x60\0CS\x02\0CT\0\0\0\0\0\0\0\0\0x").is_err(),
        "garbage is no padding"
    );
}

#[test]
fn lengths_that_lie_are_errors() {
    let cut = explicit(b"\x10\0\x20\0UT\0\0\xFE\xFF\xFF\xFFab").unwrap_err();
    let missing = u64::from(u32::MAX) - 3;
    assert_eq!(
        cut,
        DecodeError::Truncated {
            tag: tags::PATIENT_ID,
            offset: 0,
            missing
        }
    );
    let error = explicit(
        b"\x08\0\x40\x11SQ\0\0\x12\0\0\0\xFE\xFF\0\xE0\x0A\0\0\0\x10\0\x20\0LO\x04\0ID\
          \x10\0\x30\0DA\0\0",
    );
    let tag = tags::PATIENT_ID;
    assert_eq!(
        error,
        Err(DecodeError::LongerThanParent { tag, offset: 20 })
    );
    let error =
        explicit(b"\x08\0\x40\x11SQ\0\0\x08\0\0\0\xFE\xFF\0\xE0\x0A\0\0\0\x10\0\x20\0LO\x02\0ID");
    let tag = Tag(0xFFFE, 0xE000);
    assert_eq!(
        error,
        Err(DecodeError::LongerThanParent { tag, offset: 12 })
    );
    let error = explicit(b"\xE0\x7F\x10\0OB\0\0\xFF\xFF\xFF\xFF\xFE\xFF\0\xE0\xFF\xFF\xFF\xFF");
    assert!(matches!(error, Err(DecodeError::UndefinedLength { .. })));
    let error = read(b"\x10\0\x20\0\xFF\xFF\xFF\xFFab", Encoding::ImplicitLittle);
    assert!(matches!(
        error,
        Err(DecodeError::UndefinedLength { vr: Vr::LO, .. })
    ));
}

#[test]
fn stray_delimiters_are_errors() {
    let offset = 10;
    for delimiter in [b"\xFE\xFF\x0D\xE0", b"\xFE\xFF\xDD\xE0", b"\xFE\xFF\0\xE0"] {
        let bytes = [b"\x10\0\x20\0LO\x02\0ID".as_slice(), delimiter, &[0; 4]].concat();
        let error = explicit(&bytes).unwrap_err();
        assert!(matches!(error, DecodeError::StrayDelimiter { offset: at, .. } if at == offset));
    }
}

#[test]
fn depth_and_count_are_limited() {
    let levels =
        |count| b"\x08\0\x40\x11SQ\0\0\xFF\xFF\xFF\xFF\xFE\xFF\0\xE0\xFF\xFF\xFF\xFF".repeat(count);
    assert!(matches!(
        explicit(&levels(64)),
        Err(DecodeError::Unclosed { .. })
    ));
    let error = explicit(&levels(100_000));
    assert_eq!(
        error,
        Err(DecodeError::TooDeep {
            depth_max: 64,
            offset: 64 * 20 + 12
        })
    );
    let limits = Limits {
        elements_max: 3,
        ..Limits::default()
    };
    let many = Bytes::from(b"\x10\0\x20\0LO\0\0".repeat(4));
    let (data_set, error) = parse_prefix(many, Encoding::ExplicitLittle, &limits);
    assert_eq!(
        error,
        Some(DecodeError::TooManyElements { elements_max: 3 })
    );
    assert_eq!(data_set.elements().len(), 1);
}

#[test]
fn out_of_order_elements_cost_no_quadratic_time() {
    let mut bytes = Vec::new();
    for element in (0..200_000u32).rev() {
        bytes.extend(((element >> 12) as u16 * 2 + 0x11).to_le_bytes());
        bytes.extend((element as u16 & 0xFFF | 0x1000).to_le_bytes());
        bytes.extend(b"LO\0\0");
    }
    let started = std::time::Instant::now();
    assert_eq!(explicit(&bytes).unwrap().elements().len(), 200_000);
    assert!(started.elapsed().as_secs() < 5);
}

#[test]
fn a_value_too_long_for_its_vr_is_written_as_unknown() {
    let element = |length| Element {
        tag: tags::PATIENT_COMMENTS,
        vr: Vr::LT,
        value: Value::Bytes(vec![b'x'; length].into()),
    };
    let short = write(
        &DataSet::from_iter([element(65_533)]),
        Encoding::ExplicitLittle,
    );
    assert_eq!(short[4..8], *b"LT\xFE\xFF");
    assert_eq!(short.last(), Some(&b' '));
    for length in [65_535, 65_536, 70_000] {
        let long = write(
            &DataSet::from_iter([element(length)]),
            Encoding::ExplicitLittle,
        );
        assert_eq!(long[4..8], *b"UN\0\0");
        let again = explicit(&long).unwrap();
        assert_eq!(again.get(tags::PATIENT_COMMENTS).unwrap().vr, Vr::LT);
    }
}

#[test]
fn odd_values_are_padded_by_their_vr() {
    let element = |tag, vr| Element {
        tag,
        vr,
        value: Value::Bytes("1".into()),
    };
    let data_set = DataSet::from_iter([
        element(tags::SOP_INSTANCE_UID, Vr::UI),
        element(tags::PATIENT_ID, Vr::LO),
        element(Tag(0x11, 0x1001), Vr::OB),
        element(Tag(0x11, 0x1002), Vr::UT),
    ]);
    let again = explicit(&write(&data_set, Encoding::ExplicitLittle)).unwrap();
    let values: Vec<&[u8]> = again
        .elements()
        .iter()
        .map(|it| value(&again, it.tag))
        .collect();
    assert_eq!(values, [b"1\0", b"1 ", b"1\0", b"1 "]);
}
