//! Modality LUT, VOI LUT, Presentation LUT, palette (PS3.4 N.2.1).

use super::*;
use gantry_dicom::tags;

fn voi(center: &str, width: &str) -> DataSet {
    item(vec![
        text(tags::WINDOW_CENTER, Vr::DS, center),
        text(tags::WINDOW_WIDTH, Vr::DS, width),
    ])
}

fn reference(uid: &str, frames: &str) -> Element {
    let mut reference = DataSet::new();
    reference.put_uid(tags::REFERENCED_SOP_INSTANCE_UID, uid);
    if !frames.is_empty() {
        reference.put_text(tags::REFERENCED_FRAME_NUMBER, Vr::IS, frames);
    }
    sequence(tags::REFERENCED_IMAGE_SEQUENCE, vec![reference])
}

#[test]
fn what_the_state_does_not_say_is_an_identity() {
    let (frame, mut header) = image(4, 1, vec![0, 1, 128, 255]);
    header.put_text(tags::WINDOW_CENTER, Vr::DS, "10");
    header.put_text(tags::WINDOW_WIDTH, Vr::DS, "5");
    header.put_text(tags::RESCALE_SLOPE, Vr::DS, "7");
    let picture = shown(vec![], &(frame, header));
    assert_eq!(picture.bytes(), [0, 1, 128, 255]);
}

#[test]
fn the_photometric_interpretation_does_not_count() {
    let (mut frame, header) = image(3, 1, vec![0, 100, 255]);
    frame.image.photometric = Photometric::Monochrome1;
    let image = (frame, header);
    assert_eq!(shown(vec![], &image).bytes(), [0, 100, 255]);
    let inverse = vec![code(tags::PRESENTATION_LUT_SHAPE, "INVERSE")];
    assert_eq!(shown(inverse, &image).bytes(), [255, 155, 0]);
}

#[test]
fn the_states_rescaling_and_window_are_applied() {
    let state = vec![
        text(tags::RESCALE_INTERCEPT, Vr::DS, "-100"),
        text(tags::RESCALE_SLOPE, Vr::DS, "2"),
        sequence(tags::SOFTCOPY_VOILUT_SEQUENCE, vec![voi("0", "101")]),
    ];
    // -100 to 100: -50.5 and below is black, 49.5 and above white, -0.5 in the middle.
    let picture = shown(state, &image(5, 1, vec![0, 24, 50, 75, 100]));
    assert_eq!(picture.bytes(), [0, 0, 129, 255, 255]);
}

#[test]
fn the_window_is_the_one_for_this_frame() {
    let mut other = voi("1", "1");
    other.put(reference("9.9.9", ""));
    let mut other_frame = voi("1", "1");
    other_frame.put(reference(UID, "2"));
    let mut own = voi("200", "1");
    own.put(reference(UID, "3\\1"));
    let state = vec![sequence(
        tags::SOFTCOPY_VOILUT_SEQUENCE,
        vec![other, other_frame, own],
    )];
    let picture = shown(state, &image(3, 1, vec![10, 199, 200]));
    assert_eq!(picture.bytes(), [0, 0, 255]);
}

fn lut(descriptor: [u16; 3], data: &[u16]) -> DataSet {
    item(vec![
        words(tags::LUT_DESCRIPTOR, &descriptor),
        words(tags::LUT_DATA, data),
    ])
}

#[test]
fn tables_are_applied_one_after_the_other() {
    let image = image(4, 1, vec![10, 11, 12, 200]);
    let modality = sequence(
        tags::MODALITY_LUT_SEQUENCE,
        vec![lut([3, 10, 8], &[5, 0, 255])],
    );
    assert_eq!(
        shown(vec![modality.clone()], &image).bytes(),
        [5, 0, 255, 255]
    );
    let voi_lut = sequence(
        tags::VOILUT_SEQUENCE,
        vec![lut([6, 0, 8], &[51, 0, 0, 0, 0, 102])],
    );
    let voi_lut = sequence(tags::SOFTCOPY_VOILUT_SEQUENCE, vec![item(vec![voi_lut])]);
    let state = vec![modality.clone(), voi_lut.clone()];
    assert_eq!(shown(state, &image).bytes(), [102, 51, 102, 102]);
    // Of six entries 0.4 means the third and 0.2 the second.
    let last = lut([6, 0, 16], &[0, 0xffff, 0x8080, 0, 0, 0]);
    let last = sequence(tags::PRESENTATION_LUT_SEQUENCE, vec![last]);
    let state = vec![modality, voi_lut, last];
    assert_eq!(shown(state, &image).bytes(), [128, 255, 128, 128]);
}

#[test]
fn a_palette_maps_the_values_of_interest() {
    let mut state = vec![sequence(
        tags::SOFTCOPY_VOILUT_SEQUENCE,
        vec![voi("128", "256")],
    )];
    let tables: [(Tag, Tag, [u16; 3]); 3] = [
        (
            tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
            tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DATA,
            [0, 0x1000, 0xff00],
        ),
        (
            tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
            tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA,
            [0, 0x2000, 0],
        ),
        (
            tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
            tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA,
            [0x0a00, 0x3000, 0],
        ),
    ];
    for (descriptor, data, values) in tables {
        state.push(words(descriptor, &[3, 0, 16]));
        state.push(words(data, &values));
    }
    let image = image(3, 1, vec![0, 127, 255]);
    let picture = try_shown(StateKind::PseudoColor, state, &image, None).unwrap();
    assert_eq!(picture.bytes(), [0, 0, 10, 16, 32, 48, 255, 0, 0]);
    let bare = try_shown(StateKind::PseudoColor, vec![], &image, None);
    assert!(matches!(bare, Err(crate::Error::Malformed(_))));
}

#[test]
fn a_mask_cannot_be_subtracted() {
    let mask = sequence(tags::MASK_SUBTRACTION_SEQUENCE, vec![DataSet::new()]);
    let refused = try_shown(StateKind::Grayscale, vec![mask], &flat(2, 0), None);
    assert!(matches!(refused, Err(crate::Error::Unsupported(_))));
}

#[test]
fn references_are_read_in_their_order() {
    let series = |images: Element| item(vec![images]);
    let state = item(vec![sequence(
        tags::REFERENCED_SERIES_SEQUENCE,
        vec![
            series(reference("1.9", "4\\2")),
            series(reference("1.8", "")),
        ],
    )]);
    let found: Vec<(String, Vec<u32>)> = references(&state)
        .into_iter()
        .map(|one| (one.sop_instance_uid, one.frames))
        .collect();
    assert_eq!(found, [("1.9".into(), vec![4, 2]), ("1.8".into(), vec![])]);
}
