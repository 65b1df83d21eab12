//! Overlays, graphics and texts in their layers.

use super::super::super::annotation;
use super::*;
use proptest::prelude::*;

fn graphic(kind: &str, units: &str, data: &[f32]) -> DataSet {
    item(vec![
        code(tags::GRAPHIC_ANNOTATION_UNITS, units),
        words(tags::GRAPHIC_DIMENSIONS, &[2]),
        words(tags::NUMBER_OF_GRAPHIC_POINTS, &[data.len() as u16 / 2]),
        floats(tags::GRAPHIC_DATA, data),
        code(tags::GRAPHIC_TYPE, kind),
    ])
}

fn filled(mut graphic: DataSet) -> DataSet {
    graphic.put(code(tags::GRAPHIC_FILLED, "Y"));
    graphic
}

fn annotated(layer: &str, sequence_tag: Tag, objects: Vec<DataSet>) -> DataSet {
    item(vec![
        code(tags::GRAPHIC_LAYER, layer),
        sequence(sequence_tag, objects),
    ])
}

fn graphics(objects: Vec<DataSet>) -> Vec<Element> {
    let annotation = annotated("ONE", tags::GRAPHIC_OBJECT_SEQUENCE, objects);
    vec![sequence(
        tags::GRAPHIC_ANNOTATION_SEQUENCE,
        vec![annotation],
    )]
}

fn layer(name: &str, order: &str, grey: u16) -> DataSet {
    item(vec![
        code(tags::GRAPHIC_LAYER, name),
        text(tags::GRAPHIC_LAYER_ORDER, Vr::IS, order),
        words(
            tags::GRAPHIC_LAYER_RECOMMENDED_DISPLAY_GRAYSCALE_VALUE,
            &[grey],
        ),
    ])
}

#[test]
fn a_circle_has_the_pixels_of_its_radius() {
    let state = graphics(vec![graphic("CIRCLE", "PIXEL", &[5.5, 5.5, 8.5, 5.5])]);
    let picture = shown(state, &flat(11, 0));
    let wanted = [
        "...........",
        "...........",
        "....xxx....",
        "...x...x...",
        "..x.....x..",
        "..x.....x..",
        "..x.....x..",
        "...x...x...",
        "....xxx....",
        "...........",
        "...........",
    ];
    assert_eq!(drawn(&picture), wanted);
}

#[test]
fn lines_and_points_are_where_their_coordinates_are() {
    let state = graphics(vec![
        graphic("POLYLINE", "PIXEL", &[0.5, 0.5, 3.5, 0.5, 3.5, 2.5]),
        graphic("POINT", "PIXEL", &[1.0, 3.0]),
    ]);
    let picture = shown(state, &flat(5, 0));
    assert_eq!(
        drawn(&picture),
        ["xxxx.", "...x.", "...x.", ".x...", "....."]
    );
}

#[test]
fn curves_and_ellipses_are_drawn() {
    let ellipse = graphic(
        "ELLIPSE",
        "PIXEL",
        &[1.0, 3.0, 7.0, 3.0, 4.0, 1.0, 4.0, 5.0],
    );
    let picture = shown(graphics(vec![filled(ellipse.clone())]), &flat(8, 0));
    assert_eq!(drawn(&picture)[3], ".xxxxxxx", "its middle is full");
    let picture = shown(graphics(vec![ellipse]), &flat(8, 0));
    assert_eq!(&drawn(&picture)[3][2..6], "....", "it is hollow");
    let curve = graphic("INTERPOLATED", "PIXEL", &[0.5, 0.5, 2.5, 2.5, 4.5, 0.5]);
    let picture = drawn(&shown(graphics(vec![curve]), &flat(5, 0)));
    assert_eq!(
        [&picture[0][..1], &picture[2][2..3], &picture[0][4..]],
        ["x", "x", "x"]
    );
}

#[test]
fn only_what_is_closed_is_filled() {
    let open = graphic("POLYLINE", "PIXEL", &[0.5, 0.5, 4.5, 0.5, 4.5, 4.5]);
    let picture = shown(graphics(vec![filled(open)]), &flat(5, 0));
    assert_eq!(drawn(&picture)[2], "....x");
    let closed = graphic(
        "POLYLINE",
        "PIXEL",
        &[0.5, 0.5, 4.5, 0.5, 4.5, 4.5, 0.5, 0.5],
    );
    let picture = shown(graphics(vec![filled(closed)]), &flat(5, 0));
    assert_eq!(drawn(&picture)[2], "..xxx");
}

#[test]
fn display_units_do_not_turn_with_the_image() {
    let annotation = |units, x: f32, y: f32| {
        let mut state = graphics(vec![graphic("POINT", units, &[x, y])]);
        state.push(code(tags::IMAGE_HORIZONTAL_FLIP, "Y"));
        drawn(&shown(state, &image(4, 2, vec![0; 8])))
    };
    assert_eq!(annotation("PIXEL", 0.5, 1.5), ["....", "...x"]);
    assert_eq!(annotation("DISPLAY", 0.1, 0.9), ["....", "x..."]);
}

#[test]
fn layers_lie_above_each_other_in_their_order() {
    let point = || vec![graphic("POINT", "PIXEL", &[0.5, 0.5])];
    let state = |one: &str, two: &str| {
        vec![
            sequence(
                tags::GRAPHIC_ANNOTATION_SEQUENCE,
                vec![
                    annotated("ONE", tags::GRAPHIC_OBJECT_SEQUENCE, point()),
                    annotated("TWO", tags::GRAPHIC_OBJECT_SEQUENCE, point()),
                ],
            ),
            sequence(
                tags::GRAPHIC_LAYER_SEQUENCE,
                vec![layer("TWO", two, 0x8000), layer("ONE", one, 0xc0c0)],
            ),
        ]
    };
    assert_eq!(shown(state("1", "2"), &flat(1, 0)).bytes(), [128]);
    assert_eq!(shown(state("2", "1"), &flat(1, 0)).bytes(), [192]);
}

#[test]
fn a_layer_may_be_coloured() {
    let mut red = layer("ONE", "1", 0xffff);
    // The red of sRGB.
    red.put(words(
        tags::GRAPHIC_LAYER_RECOMMENDED_DISPLAY_CIE_LAB_VALUE,
        &[35_579, 53_664, 50_858],
    ));
    let mut state = graphics(vec![graphic("POINT", "PIXEL", &[0.5, 0.5])]);
    state.push(sequence(tags::GRAPHIC_LAYER_SEQUENCE, vec![red]));
    let picture = shown(state, &image(2, 1, vec![7, 7]));
    assert_eq!(picture.bytes(), [255, 0, 0, 7, 7, 7]);
}

fn overlay(group: u16, bits: u8) -> [Element; 4] {
    [
        words(Tag(group, 0x0010), &[2]),
        words(Tag(group, 0x0011), &[2]),
        bytes(Tag(group, 0x0050), Vr::SS, vec![1, 0, 1, 0]),
        bytes(Tag(group, 0x3000), Vr::OW, vec![bits, 0]),
    ]
}

#[test]
fn overlays_are_shown_when_they_are_activated() {
    let (frame, mut header) = flat(2, 7);
    for element in overlay(0x6000, 0b0001) {
        header.put(element);
    }
    let image = (frame, header);
    assert_eq!(rows(&shown(vec![], &image)), [[7, 7], [7, 7]]);
    let layers = sequence(tags::GRAPHIC_LAYER_SEQUENCE, vec![layer("L", "1", 0x8000)]);
    let mut state = vec![code(Tag(0x6000, 0x1001), "L"), layers];
    assert_eq!(rows(&shown(state.clone(), &image)), [[128, 7], [7, 7]]);
    // One of the state's own takes its place.
    state.extend(overlay(0x6000, 0b1000));
    assert_eq!(rows(&shown(state.clone(), &image)), [[7, 7], [7, 128]]);
    state.push(words(tags::IMAGE_ROTATION, &[180]));
    assert_eq!(rows(&shown(state, &image)), [[128, 7], [7, 7]]);
}

#[test]
fn overlays_keep_their_lines_when_made_smaller() {
    let (frame, mut header) = flat(8, 0);
    header.put(words(Tag(0x6000, 0x0010), &[8]));
    header.put(words(Tag(0x6000, 0x0011), &[8]));
    header.put(bytes(Tag(0x6000, 0x3000), Vr::OW, vec![0b10; 8]));
    let viewport = Viewport {
        width: 2,
        height: 2,
        x: None,
        y: None,
        region_width: None,
        region_height: None,
    };
    let state = vec![code(Tag(0x6000, 0x1001), "L")];
    let image = (frame, header);
    let picture = try_shown(StateKind::Grayscale, state, &image, Some(viewport)).unwrap();
    assert_eq!(drawn(&picture), ["x.", "x."]);
}

fn labelled(elements: Vec<Element>) -> Vec<Element> {
    let mut label = item(elements);
    label.put(text(tags::UNFORMATTED_TEXT_VALUE, Vr::ST, "A\r\nBC"));
    let annotation = annotated("ONE", tags::TEXT_OBJECT_SEQUENCE, vec![label]);
    vec![sequence(
        tags::GRAPHIC_ANNOTATION_SEQUENCE,
        vec![annotation],
    )]
}

#[test]
fn text_stands_in_its_box() {
    let boxed = |justification| {
        labelled(vec![
            code(tags::BOUNDING_BOX_ANNOTATION_UNITS, "DISPLAY"),
            floats(tags::BOUNDING_BOX_TOP_LEFT_HAND_CORNER, &[0.25, 0.5]),
            floats(tags::BOUNDING_BOX_BOTTOM_RIGHT_HAND_CORNER, &[0.75, 1.0]),
            code(
                tags::BOUNDING_BOX_TEXT_HORIZONTAL_JUSTIFICATION,
                justification,
            ),
        ])
    };
    // The box is 20 to 60 by 40 to 80.
    for (justification, first, second) in [("LEFT", 20, 20), ("CENTER", 36, 32), ("RIGHT", 52, 44)]
    {
        let mut wanted = Picture {
            width: 80,
            height: 80,
            pixels: Pixels::Grey(vec![50; 6400]),
        };
        annotation::write("A", (first, 40), 1, [255; 3], &mut wanted);
        annotation::write("BC", (second, 50), 1, [255; 3], &mut wanted);
        assert!(wanted.bytes().contains(&255));
        assert_eq!(
            shown(boxed(justification), &flat(80, 50)),
            wanted,
            "{justification}"
        );
    }
}

#[test]
fn text_stands_beside_its_anchor() {
    let state = labelled(vec![
        code(tags::ANCHOR_POINT_ANNOTATION_UNITS, "PIXEL"),
        floats(tags::ANCHOR_POINT, &[10.5, 20.5]),
        code(tags::ANCHOR_POINT_VISIBILITY, "Y"),
    ]);
    let mut wanted = Picture {
        width: 60,
        height: 60,
        pixels: Pixels::Grey(vec![50; 3600]),
    };
    wanted.put(10, 20, 255);
    annotation::write("A", (12, 22), 1, [255; 3], &mut wanted);
    annotation::write("BC", (12, 32), 1, [255; 3], &mut wanted);
    assert_eq!(shown(state, &flat(60, 50)), wanted);
}

#[test]
fn a_visible_anchor_is_tied_to_the_box() {
    let mut label = vec![
        code(tags::BOUNDING_BOX_ANNOTATION_UNITS, "PIXEL"),
        floats(tags::BOUNDING_BOX_TOP_LEFT_HAND_CORNER, &[20.0, 0.0]),
        floats(tags::BOUNDING_BOX_BOTTOM_RIGHT_HAND_CORNER, &[40.0, 20.0]),
        code(tags::ANCHOR_POINT_ANNOTATION_UNITS, "PIXEL"),
        floats(tags::ANCHOR_POINT, &[5.5, 30.5]),
    ];
    let tied = |label: Vec<Element>| shown(labelled(label), &flat(60, 0)).bytes()[30 * 60 + 5];
    assert_eq!(tied(label.clone()), 0);
    label.push(code(tags::ANCHOR_POINT_VISIBILITY, "Y"));
    assert_eq!(tied(label), 255);
}

#[test]
fn more_than_anyone_draws_is_refused() {
    let many = graphic("POLYLINE", "PIXEL", &vec![1.0; 2 * (MAX_POINTS + 1)]);
    let refused = |state| try_shown(StateKind::Grayscale, state, &flat(2, 0), None);
    let is_refused = |state| matches!(refused(state), Err(crate::Error::Unsupported(_)));
    assert!(is_refused(graphics(vec![many])));
    let long = item(vec![text(
        tags::UNFORMATTED_TEXT_VALUE,
        Vr::ST,
        &"x".repeat(MAX_TEXT),
    )]);
    let long = vec![long; MAX_TEXT_BYTES / MAX_TEXT + 1];
    let long = annotated("ONE", tags::TEXT_OBJECT_SEQUENCE, long);
    assert!(is_refused(vec![sequence(
        tags::GRAPHIC_ANNOTATION_SEQUENCE,
        vec![long],
    )]));
    let point = graphic("POINT", "PIXEL", &[1.0, 1.0]);
    assert!(is_refused(graphics(vec![point; MAX_OBJECTS + 1])));
    let layers = (0..=MAX_LAYERS).map(|number| layer(&format!("L{number}"), "1", 0));
    assert!(is_refused(vec![sequence(
        tags::GRAPHIC_LAYER_SEQUENCE,
        layers.collect()
    )]));
}

#[test]
fn a_matrix_of_several_frames_is_refused() {
    let mut state = graphics(vec![graphic("POINT", "MATRIX", &[1.5, 0.5])]);
    let area = item(vec![
        code(tags::PIXEL_ORIGIN_INTERPRETATION, "VOLUME"),
        longs(tags::DISPLAYED_AREA_TOP_LEFT_HAND_CORNER, &[1, 1]),
        longs(tags::DISPLAYED_AREA_BOTTOM_RIGHT_HAND_CORNER, &[2, 2]),
    ]);
    state.push(sequence(
        tags::DISPLAYED_AREA_SELECTION_SEQUENCE,
        vec![area],
    ));
    // An image that is all there is has no other matrix than its own.
    let (frame, mut header) = flat(2, 0);
    header.put_u16(tags::COLUMNS, 2);
    let picture = shown(state.clone(), &(frame.clone(), header.clone()));
    assert_eq!(drawn(&picture), [".x", ".."]);
    header.put_u32(tags::TOTAL_PIXEL_MATRIX_COLUMNS, 4);
    let refused = try_shown(StateKind::Grayscale, state, &(frame, header), None);
    assert!(matches!(refused, Err(crate::Error::Unsupported(_))));
}

proptest! {
    #[test]
    fn any_graphics_are_drawn_without_panic(
        kind in prop::sample::select(vec!["POINT", "POLYLINE", "INTERPOLATED", "CIRCLE", "ELLIPSE"]),
        units in prop::sample::select(vec!["PIXEL", "DISPLAY"]),
        data in prop::collection::vec(prop_oneof![any::<f32>(), -20f32..20.0], 0..12),
        turned in 0u16..4,
    ) {
        let mut label = labelled(vec![
            code(tags::BOUNDING_BOX_ANNOTATION_UNITS, units),
            floats(tags::BOUNDING_BOX_TOP_LEFT_HAND_CORNER, &data),
            floats(tags::BOUNDING_BOX_BOTTOM_RIGHT_HAND_CORNER, &[3.0, 3.0]),
            code(tags::ANCHOR_POINT_ANNOTATION_UNITS, units),
            floats(tags::ANCHOR_POINT, &data),
            code(tags::ANCHOR_POINT_VISIBILITY, "Y"),
        ]);
        label.push(words(tags::IMAGE_ROTATION, &[turned * 90]));
        prop_assert_eq!(shown(label, &flat(12, 9)).width, 12);
        let state = graphics(vec![filled(graphic(kind, units, &data))]);
        prop_assert_eq!(shown(state, &flat(12, 9)).width, 12);
    }
}
