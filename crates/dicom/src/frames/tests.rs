use super::*;
use crate::scan::{FragmentTable, PixelDataLocation, Scanned};
use crate::transfer_syntax::{self, TransferSyntax};
use crate::{Vr, encoding::Encoding};
use bytes::Bytes;
use proptest::prelude::*;

const DESCRIPTION: PixelDescription = PixelDescription {
    rows: 3,
    columns: 4,
    samples_per_pixel: 1,
    bits_allocated: 16,
    number_of_frames: 2,
    is_subsampled: false,
};

fn scanned(length: u64, fragments: Option<FragmentTable>) -> Scanned {
    Scanned {
        header: Header::default(),
        data_set_length: 0,
        inflated_length: 0,
        encoding: Encoding::ExplicitLittle,
        pixel_data: Some(PixelDataLocation {
            tag: tags::PIXEL_DATA,
            vr: Vr::OW,
            offset: 1000,
            length,
            fragments,
            offset_table: Bytes::new(),
        }),
        extended_offset_table: None,
        extended_offset_table_lengths: None,
        warnings: Vec::new(),
    }
}

fn native(length: u64, description: PixelDescription) -> FrameIndex {
    let syntax = &transfer_syntax::EXPLICIT_VR_LITTLE_ENDIAN;
    FrameIndex::of(&scanned(length, None), &description, syntax).unwrap()
}

/// The ranges of each frame of an image with fragments of 10, 20, 30 bytes.
fn fragmented(
    lengths: &[u32],
    number_of_frames: u32,
    basic: &[u32],
    extended: Option<&[u64]>,
    syntax: &TransferSyntax,
) -> Option<Vec<Vec<(u64, u64)>>> {
    let table = FragmentTable::new(1008, lengths.iter().copied());
    let mut scanned = scanned(0, Some(table));
    let basic: Vec<u8> = basic
        .iter()
        .flat_map(|offset| offset.to_le_bytes())
        .collect();
    scanned.pixel_data.as_mut().unwrap().offset_table = basic.into();
    scanned.extended_offset_table = extended.map(|offsets| {
        offsets
            .iter()
            .flat_map(|offset| offset.to_le_bytes())
            .collect()
    });
    let description = PixelDescription {
        number_of_frames,
        ..DESCRIPTION
    };
    let index = FrameIndex::of(&scanned, &description, syntax).unwrap();
    assert_eq!(
        FrameIndex::from_bytes(&index.to_bytes()),
        Some(index.clone())
    );
    if let FrameIndex::Undetermined { count, .. } = index {
        assert_eq!(count, number_of_frames);
        return None;
    }
    assert_eq!(index.frame(index.count()), None);
    Some(
        (0..index.count())
            .map(|frame| index.frame(frame).unwrap().ranges)
            .collect(),
    )
}

fn jpeg(lengths: &[u32], frames: u32, basic: &[u32]) -> Option<Vec<Vec<(u64, u64)>>> {
    fragmented(
        lengths,
        frames,
        basic,
        None,
        &transfer_syntax::JPEG_BASELINE,
    )
}

#[test]
fn native_frames_follow_one_another() {
    let index = native(48, DESCRIPTION);
    assert_eq!(index.count(), 2);
    let second = FrameLocation {
        ranges: vec![(1024, 24)],
        bit_offset: 0,
    };
    assert_eq!(index.frame(1), Some(second));
    assert_eq!(index.frame(2), None);
    assert_eq!(native(47, DESCRIPTION).count(), 1, "cut");
    assert_eq!(native(500, DESCRIPTION).count(), 2, "padded");
    let none = PixelDescription {
        bits_allocated: 0,
        ..DESCRIPTION
    };
    assert_eq!(native(48, none).count(), 0);
}

#[test]
fn native_frames_of_bits_share_bytes() {
    let index = native(
        3,
        PixelDescription {
            bits_allocated: 1,
            ..DESCRIPTION
        },
    );
    let first = FrameLocation {
        ranges: vec![(1000, 2)],
        bit_offset: 0,
    };
    let second = FrameLocation {
        ranges: vec![(1001, 2)],
        bit_offset: 4,
    };
    assert_eq!(
        (index.frame(0), index.frame(1)),
        (Some(first), Some(second))
    );
    assert_eq!(index.count(), 2);
}

#[test]
fn subsampled_native_colour_has_two_samples() {
    let description = PixelDescription {
        samples_per_pixel: 3,
        bits_allocated: 8,
        is_subsampled: true,
        ..DESCRIPTION
    };
    assert_eq!(
        native(48, description).frame(1).unwrap().ranges,
        [(1024, 24)]
    );
}

#[test]
fn one_fragment_a_frame() {
    let expected = Some(vec![vec![(1016, 10)], vec![(1034, 20)]]);
    assert_eq!(jpeg(&[10, 20], 2, &[]), expected);
    assert_eq!(jpeg(&[10, 20], 2, &[0, 18]), expected);
    for wrong in [
        &[0, 17][..],
        &[0],
        &[0, 18, 46],
        &[18, 0],
        &[0, 0],
        &[0, 1 << 31],
    ] {
        assert_eq!(jpeg(&[10, 20], 2, wrong), expected, "{wrong:?}");
    }
}

#[test]
fn one_frame_has_all_fragments() {
    let expected = Some(vec![vec![(1016, 10), (1034, 20)]]);
    assert_eq!(jpeg(&[10, 20], 1, &[]), expected);
    assert_eq!(jpeg(&[10, 20], 1, &[0]), expected);
    assert_eq!(jpeg(&[10, 20], 1, &[4]), expected);
}

#[test]
fn offset_tables_group_fragments() {
    let expected = Some(vec![vec![(1016, 10), (1034, 20)], vec![(1062, 30)]]);
    let syntax = &transfer_syntax::JPEG_2000;
    assert_eq!(jpeg(&[10, 20, 30], 2, &[0, 46]), expected);
    assert_eq!(
        fragmented(&[10, 20, 30], 2, &[], Some(&[0, 46]), syntax),
        expected
    );
    let both = fragmented(&[10, 20, 30], 2, &[0, 46], Some(&[0, 47]), syntax);
    assert_eq!(both, expected, "the other table counts when one is wrong");
}

#[test]
fn fragments_that_nothing_tells_apart_are_left_to_the_caller() {
    for table in [&[][..], &[0, 45], &[18, 46], &[0, 18, 46]] {
        assert_eq!(jpeg(&[10, 20, 30], 2, table), None);
    }
    assert_eq!(jpeg(&[10], 2, &[]), None);
    assert_eq!(jpeg(&[], 1, &[]), None);
    let table = || FragmentTable::new(0, [1, 2, 3]);
    let index = FrameIndex::grouped(table(), vec![0, 2]).unwrap();
    assert_eq!(index.frame(0).unwrap().ranges, [(8, 1), (17, 2)]);
    for first in [vec![], vec![1], vec![0, 0], vec![0, 3]] {
        assert_eq!(FrameIndex::grouped(table(), first), None);
    }
}

#[test]
fn a_video_is_one_frame() {
    let frames = fragmented(&[10, 20], 500, &[], None, &transfer_syntax::H264_4_1);
    assert_eq!(frames.unwrap(), [vec![(1016, 10), (1034, 20)]]);
}

#[test]
fn attributes_are_read_leniently() {
    let element = |tag, vr, value: &'static [u8]| crate::data_set::Element {
        tag,
        vr,
        value: Value::Bytes(Bytes::from_static(value)),
    };
    let data_set = DataSet::from_iter([
        element(tags::NUMBER_OF_FRAMES, Vr::IS, b" 12 "),
        element(tags::ROWS, Vr::US, &[0, 2]),
        element(tags::PHOTOMETRIC_INTERPRETATION, Vr::CS, b"YBR_FULL_422"),
    ]);
    let header = Header::from_data_set(&data_set);
    let description = PixelDescription::of_header(&header).unwrap();
    assert_eq!(description.number_of_frames, 12);
    assert_eq!((description.rows, description.columns), (512, 0));
    assert!(description.is_subsampled);
    let zero = DataSet::from_iter([element(tags::NUMBER_OF_FRAMES, Vr::IS, b"0 ")]);
    assert_eq!(PixelDescription::of(&zero).number_of_frames, 1);
}

proptest! {
    #[test]
    fn a_fragment_is_where_the_lengths_before_it_say(
        base in 0u64..1 << 40,
        lengths in prop::collection::vec(0u32..1 << 20, 0..300),
    ) {
        let table = FragmentTable::new(base, lengths);
        for (at, fragment) in table.iter().enumerate() {
            prop_assert_eq!(table.get(at), Some(fragment));
        }
        prop_assert_eq!(table.get(table.len()), None);
        let index = FrameIndex::OnePerFragment(table);
        prop_assert_eq!(FrameIndex::from_bytes(&index.to_bytes()), Some(index));
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        if let Some(index) = FrameIndex::from_bytes(&bytes) {
            for frame in [0, 1, index.count().wrapping_sub(1), u32::MAX] {
                index.frame(frame);
            }
        }
    }
}
