//! Displayed area, rotation and flip, viewport, shutters.

use super::*;
use proptest::prelude::*;

/// 1 2 3 over 4 5 6.
fn six() -> (Frame, DataSet) {
    image(3, 2, vec![1, 2, 3, 4, 5, 6])
}

fn rotation(degrees: u16, flip: bool) -> Vec<Element> {
    vec![
        words(tags::IMAGE_ROTATION, &[degrees]),
        code(tags::IMAGE_HORIZONTAL_FLIP, if flip { "Y" } else { "N" }),
    ]
}

fn area(one: [i32; 2], other: [i32; 2]) -> DataSet {
    item(vec![
        longs(tags::DISPLAYED_AREA_TOP_LEFT_HAND_CORNER, &one),
        longs(tags::DISPLAYED_AREA_BOTTOM_RIGHT_HAND_CORNER, &other),
        code(tags::PRESENTATION_SIZE_MODE, "SCALE TO FIT"),
    ])
}

fn selection(item: DataSet) -> Vec<Element> {
    vec![sequence(
        tags::DISPLAYED_AREA_SELECTION_SEQUENCE,
        vec![item],
    )]
}

fn viewport(width: u32, height: u32) -> Viewport {
    Viewport {
        width,
        height,
        x: None,
        y: None,
        region_width: None,
        region_height: None,
    }
}

#[test]
fn the_flip_follows_the_clockwise_rotation() {
    for (degrees, flip, size, wanted) in [
        (0, false, (3, 2), [1, 2, 3, 4, 5, 6]),
        (90, false, (2, 3), [4, 1, 5, 2, 6, 3]),
        (180, false, (3, 2), [6, 5, 4, 3, 2, 1]),
        (270, false, (2, 3), [3, 6, 2, 5, 1, 4]),
        (0, true, (3, 2), [3, 2, 1, 6, 5, 4]),
        (90, true, (2, 3), [1, 4, 2, 5, 3, 6]),
        (180, true, (3, 2), [4, 5, 6, 1, 2, 3]),
        (270, true, (2, 3), [6, 3, 5, 2, 4, 1]),
    ] {
        let picture = shown(rotation(degrees, flip), &six());
        assert_eq!((picture.width, picture.height), size, "{degrees} {flip}");
        assert_eq!(picture.bytes(), wanted, "{degrees} {flip}");
    }
    let askew = try_shown(StateKind::Grayscale, rotation(45, false), &six(), None);
    assert!(matches!(askew, Err(crate::Error::Malformed(_))));
}

#[test]
fn the_displayed_area_is_cut_out() {
    let picture = shown(selection(area([2, 1], [3, 2])), &six());
    assert_eq!(rows(&picture), [[2, 3], [5, 6]]);
    // Flipped, the upper left corner is the right one of the image.
    let mut state = selection(area([3, 1], [2, 2]));
    state.extend(rotation(0, true));
    assert_eq!(rows(&shown(state, &six())), [[3, 2], [6, 5]]);
}

#[test]
fn what_is_not_image_is_black() {
    let picture = shown(selection(area([0, 0], [2, 3])), &six());
    assert_eq!(rows(&picture), [[0, 0, 0], [0, 1, 2], [0, 4, 5], [0, 0, 0]]);
    let picture = shown(selection(area([10, 10], [11, 10])), &six());
    assert_eq!(rows(&picture), [[0, 0]]);
}

#[test]
fn sizes_follow_magnification_and_aspect() {
    let mut magnified = area([1, 1], [2, 2]);
    magnified.put(code(tags::PRESENTATION_SIZE_MODE, "MAGNIFY"));
    magnified.put(floats(tags::PRESENTATION_PIXEL_MAGNIFICATION_RATIO, &[2.5]));
    let picture = shown(selection(magnified), &flat(2, 9));
    assert_eq!((picture.width, picture.height), (5, 5));
    assert!(picture.bytes().iter().all(|level| *level == 9));
    let mut tall = area([1, 1], [2, 2]);
    tall.put(text(tags::PRESENTATION_PIXEL_ASPECT_RATIO, Vr::IS, "3\\1"));
    let mut state = selection(tall);
    let picture = shown(state.clone(), &flat(2, 9));
    assert_eq!((picture.width, picture.height), (2, 6));
    state.extend(rotation(90, false));
    let picture = shown(state, &flat(2, 9));
    assert_eq!((picture.width, picture.height), (6, 2));
}

#[test]
fn the_region_is_one_of_what_the_state_shows() {
    // 4 1, 5 2, 6 3: of this the right column without the last row.
    let region = Viewport {
        x: Some(1.0),
        region_width: Some(1.0),
        region_height: Some(2.0),
        ..viewport(1, 2)
    };
    let picture = try_shown(
        StateKind::Grayscale,
        rotation(90, false),
        &six(),
        Some(region),
    );
    assert_eq!(picture.unwrap().bytes(), [1, 2]);
    let flipped = Viewport {
        region_width: Some(-2.0),
        region_height: Some(-3.0),
        ..viewport(2, 3)
    };
    let picture = try_shown(
        StateKind::Grayscale,
        rotation(90, false),
        &six(),
        Some(flipped),
    );
    assert_eq!(picture.unwrap().bytes(), [3, 6, 2, 5, 1, 4]);
    let outside = Viewport {
        region_width: Some(3.0),
        ..viewport(2, 3)
    };
    let refused = try_shown(
        StateKind::Grayscale,
        rotation(90, false),
        &six(),
        Some(outside),
    );
    assert!(matches!(refused, Err(crate::Error::Request(_))));
}

#[test]
fn a_boundless_area_is_refused_or_fitted() {
    let state = selection(area([i32::MIN, i32::MIN], [i32::MAX, i32::MAX]));
    let refused = try_shown(StateKind::Grayscale, state.clone(), &six(), None);
    assert!(matches!(refused, Err(crate::Error::Request(_))));
    let fitted = try_shown(StateKind::Grayscale, state, &six(), Some(viewport(8, 8))).unwrap();
    assert_eq!((fitted.width, fitted.height), (8, 8));
}

fn shutter(shape: &str) -> Vec<Element> {
    vec![
        code(tags::SHUTTER_SHAPE, shape),
        words(tags::SHUTTER_PRESENTATION_VALUE, &[0x8000]),
        text(tags::SHUTTER_LEFT_VERTICAL_EDGE, Vr::IS, "2"),
        text(tags::SHUTTER_RIGHT_VERTICAL_EDGE, Vr::IS, "4"),
        text(tags::SHUTTER_UPPER_HORIZONTAL_EDGE, Vr::IS, "1"),
        text(tags::SHUTTER_LOWER_HORIZONTAL_EDGE, Vr::IS, "3"),
        text(tags::CENTER_OF_CIRCULAR_SHUTTER, Vr::IS, "3\\4"),
        text(tags::RADIUS_OF_CIRCULAR_SHUTTER, Vr::IS, "1"),
        text(
            tags::VERTICES_OF_THE_POLYGONAL_SHUTTER,
            Vr::IS,
            "1\\3\\3\\5\\5\\3\\3\\1",
        ),
    ]
}

#[test]
fn shutters_cover_what_is_outside() {
    let covered = |shape: &str| {
        let picture = shown(shutter(shape), &flat(5, 0));
        let levels = picture.bytes().iter();
        assert!(levels.clone().all(|level| [0, 128].contains(level)));
        drawn(&picture).join("/")
    };
    assert_eq!(covered("RECTANGULAR"), "x...x/x...x/x...x/xxxxx/xxxxx");
    assert_eq!(covered("CIRCULAR"), "xxxxx/xxx.x/xx.../xxx.x/xxxxx");
    assert_eq!(covered("POLYGONAL"), "xx.xx/x...x/...../x...x/xx.xx");
    // Of several shapes the least remains.
    assert_eq!(
        covered("CIRCULAR\\RECTANGULAR"),
        "xxxxx/xxx.x/xx..x/xxxxx/xxxxx"
    );
}

#[test]
fn a_bitmap_covers_where_its_bits_are_set() {
    let state = vec![
        code(tags::SHUTTER_SHAPE, "BITMAP"),
        words(tags::SHUTTER_OVERLAY_GROUP, &[0x6002]),
        words(tags::SHUTTER_PRESENTATION_VALUE, &[0xffff]),
        words(Tag(0x6002, 0x0010), &[2]),
        words(Tag(0x6002, 0x0011), &[2]),
        bytes(Tag(0x6002, 0x0050), Vr::SS, vec![1, 0, 1, 0]),
        // It is not an overlay (PS3.3 C.11.7).
        code(Tag(0x6002, 0x1001), "LAYER"),
        bytes(Tag(0x6002, 0x3000), Vr::OW, vec![0b0110, 0]),
    ];
    let picture = shown(state, &flat(2, 7));
    assert_eq!(rows(&picture), [[7, 255], [255, 7]]);
}

#[test]
fn shutters_turn_with_the_image_and_leave_the_surround_black() {
    let mut state = selection(area([1, 1], [4, 3]));
    state.extend([
        code(tags::SHUTTER_SHAPE, "RECTANGULAR"),
        text(tags::SHUTTER_LEFT_VERTICAL_EDGE, Vr::IS, "2"),
        words(tags::SHUTTER_PRESENTATION_VALUE, &[0xffff]),
    ]);
    state.extend(rotation(180, false));
    // Columns 1 to 3 are image, of which the first is covered; row 3 and column 4 are not.
    let picture = shown(state, &six());
    assert_eq!(
        rows(&picture),
        [[0, 0, 0, 0], [0, 6, 5, 255], [0, 3, 2, 255]]
    );
}

proptest! {
    #[test]
    fn any_geometry_gives_a_picture_or_an_error(
        corners in any::<[i32; 4]>(),
        near in any::<bool>(),
        turns in 0u16..4,
        flip in any::<bool>(),
        ratio in any::<f32>(),
        edges in any::<[i32; 3]>(),
    ) {
        let corners = if near { corners.map(|edge| edge % 9) } else { corners };
        let mut area = area([corners[0], corners[1]], [corners[2], corners[3]]);
        if ratio.is_finite() {
            area.put(code(tags::PRESENTATION_SIZE_MODE, "MAGNIFY"));
            area.put(floats(tags::PRESENTATION_PIXEL_MAGNIFICATION_RATIO, &[ratio]));
        }
        let mut state = selection(area);
        state.extend(rotation(turns * 90, flip));
        state.extend([
            code(tags::SHUTTER_SHAPE, "CIRCULAR\\RECTANGULAR"),
            text(tags::SHUTTER_LEFT_VERTICAL_EDGE, Vr::IS, &edges[0].to_string()),
            text(tags::CENTER_OF_CIRCULAR_SHUTTER, Vr::IS, &format!("{}\\{}", edges[1], edges[2])),
            text(tags::RADIUS_OF_CIRCULAR_SHUTTER, Vr::IS, "2147483647"),
        ]);
        let picture = try_shown(StateKind::Grayscale, state, &six(), Some(viewport(16, 16)));
        if let Ok(picture) = picture {
            prop_assert!(picture.width <= 16 && picture.height <= 16);
            prop_assert_eq!(picture.bytes().len() as u32, picture.width * picture.height);
        }
    }
}
