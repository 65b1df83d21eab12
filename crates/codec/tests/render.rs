//! Rendered pictures against the formulas of the standard, computed here pixel by pixel.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use bytes::Bytes;
use gantry_codec::decode::decode;
use gantry_codec::image::SampleKind;
use gantry_codec::render::{
    Animation, Format, IccOutput, ModalityLut, Viewport, VoiFunction, Window, render,
};
use gantry_codec::syntax::JpegProcess;
use gantry_codec::{
    Error, Frame, ImageDescription, Limits, Photometric, Presentation, RenderRequest, StoredFrame,
    Syntax,
};
use gantry_dicom::data_set::{DataSet, Deferred, Element, Value};
use gantry_dicom::{Tag, Vr, tags};
use std::sync::Arc;

fn image(rows: u32, columns: u32, bits: (u32, u32), photometric: Photometric) -> ImageDescription {
    let is_colour = matches!(
        photometric,
        Photometric::Rgb | Photometric::YbrFull | Photometric::YbrFull422
    );
    ImageDescription {
        rows,
        columns,
        samples_per_pixel: if is_colour { 3 } else { 1 },
        bits_allocated: bits.0,
        bits_stored: bits.1,
        high_bit: bits.1 - 1,
        signed: false,
        planar: false,
        photometric,
        frames: 1,
        samples: SampleKind::Integer,
        words: false,
    }
}

fn words(image: ImageDescription, values: &[i32]) -> Frame {
    let bytes: Vec<u8> = values
        .iter()
        .flat_map(|value| (*value as u16).to_le_bytes())
        .collect();
    Frame {
        image,
        bytes: bytes.into(),
    }
}

/// A 16 by 16 frame of 12-bit values, signed.
fn ramp() -> (Frame, Vec<f64>) {
    let values: Vec<i32> = (0..256).map(|at| at * 16 - 2048).collect();
    let image = ImageDescription {
        signed: true,
        ..image(16, 16, (16, 12), Photometric::Monochrome2)
    };
    let wanted = values.iter().map(|value| f64::from(*value)).collect();
    // Stray bits above Bits Stored must not show.
    let stray: Vec<i32> = values
        .iter()
        .map(|value| (value & 0xfff) | 0x3000)
        .collect();
    (words(image, &stray), wanted)
}

fn request(presentation: Presentation) -> RenderRequest {
    RenderRequest {
        format: Format::Png,
        icc: IccOutput::No,
        ..RenderRequest::new(Arc::new(presentation))
    }
}

/// Renders to PNG and reads it back.
fn pixels(frame: &Frame, request: &RenderRequest) -> Vec<u8> {
    let rendered = render(frame, request).unwrap();
    read_png(&rendered.bytes)
}

fn read_png(bytes: &[u8]) -> Vec<u8> {
    let mut reader = png::Decoder::new(std::io::Cursor::new(bytes))
        .read_info()
        .unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    pixels.truncate(info.buffer_size());
    pixels
}

fn assert_near(found: &[u8], wanted: impl Iterator<Item = f64>) {
    let wanted: Vec<f64> = wanted.collect();
    assert_eq!(found.len(), wanted.len());
    for (at, (found, wanted)) in found.iter().zip(wanted).enumerate() {
        let level = (wanted.clamp(0.0, 1.0) * 255.0).round();
        assert!(
            (f64::from(*found) - level).abs() <= 0.51,
            "pixel {at}: {found} instead of {level}"
        );
    }
}

#[test]
fn windows_follow_their_functions() {
    let (frame, values) = ramp();
    let rescale = ModalityLut::Rescale {
        slope: 0.5,
        intercept: 100.0,
    };
    let modality: Vec<f64> = values.iter().map(|value| value * 0.5 + 100.0).collect();
    for (function, formula) in [
        (
            VoiFunction::Linear,
            (|x, c, w| (x - (c - 0.5)) / (w - 1.0) + 0.5) as fn(f64, f64, f64) -> f64,
        ),
        (VoiFunction::LinearExact, |x, c, w| (x - c) / w + 0.5),
        (VoiFunction::Sigmoid, |x, c, w| {
            1.0 / (1.0 + (-4.0 * (x - c) / w).exp())
        }),
    ] {
        let window = Window {
            center: 40.0,
            width: 400.0,
            function,
        };
        let presentation = Presentation {
            modality_lut: rescale.clone(),
            windows: vec![window],
            ..Presentation::default()
        };
        let found = pixels(&frame, &request(presentation.clone()));
        assert_near(
            &found,
            modality.iter().map(|value| formula(*value, 40.0, 400.0)),
        );
        // What the caller asks for goes before what the header says.
        let asked = Window {
            center: 200.0,
            width: 100.0,
            function,
        };
        let found = pixels(
            &frame,
            &RenderRequest {
                window: Some(asked),
                ..request(presentation)
            },
        );
        assert_near(
            &found,
            modality.iter().map(|value| formula(*value, 200.0, 100.0)),
        );
    }
}

#[test]
fn without_a_window_the_values_decide() {
    let (frame, values) = ramp();
    let found = pixels(&frame, &request(Presentation::default()));
    assert_near(&found, values.iter().map(|value| (value + 2048.0) / 4080.0));
    // Padding does not count.
    let padded = Presentation {
        padding: Some((-2048, -1)),
        ..Presentation::default()
    };
    assert_near(
        &pixels(&frame, &request(padded)),
        values.iter().map(|value| value / 2032.0),
    );
    // Eight plain bits are for the screen already.
    let plain = Frame {
        image: image(1, 3, (8, 8), Photometric::Monochrome2),
        bytes: Bytes::from_static(&[7, 90, 200]),
    };
    assert_eq!(
        pixels(&plain, &request(Presentation::default())),
        [7, 90, 200]
    );
}

#[test]
fn monochrome1_and_shapes_turn_the_picture_around() {
    let bytes = Bytes::from_static(&[0, 100, 255]);
    let frame = |photometric| Frame {
        image: image(1, 3, (8, 8), photometric),
        bytes: bytes.clone(),
    };
    let (one, two) = (
        frame(Photometric::Monochrome1),
        frame(Photometric::Monochrome2),
    );
    let shape = |inverse| {
        request(Presentation {
            inverse,
            ..Presentation::default()
        })
    };
    assert_eq!(pixels(&one, &shape(None)), [255, 155, 0]);
    assert_eq!(pixels(&two, &shape(Some(true))), [255, 155, 0]);
    assert_eq!(pixels(&one, &shape(Some(false))), [0, 100, 255]);
    // Padding stays black where the rest is turned around.
    let padded = Presentation {
        padding: Some((0, 0)),
        ..Presentation::default()
    };
    assert_eq!(pixels(&one, &request(padded))[0], 0);
}

#[test]
fn single_bits_and_real_numbers_are_shown() {
    let bits = Frame {
        image: image(1, 4, (1, 1), Photometric::Monochrome2),
        bytes: Bytes::from_static(&[0b1010]),
    };
    assert_eq!(
        pixels(&bits, &request(Presentation::default())),
        [0, 255, 0, 255]
    );
    let numbers = [-1.0f32, 0.0, f32::NAN, 1.0];
    let bytes: Vec<u8> = numbers
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect();
    let image = ImageDescription {
        samples: SampleKind::Float,
        ..image(1, 4, (32, 32), Photometric::Monochrome2)
    };
    let real = Frame {
        image,
        bytes: bytes.into(),
    };
    assert_eq!(
        pixels(&real, &request(Presentation::default())),
        [0, 128, 0, 255]
    );
}

fn lut_item(descriptor: [u16; 3], data: &[u16]) -> DataSet {
    let bytes =
        |words: &[u16]| -> Vec<u8> { words.iter().flat_map(|word| word.to_le_bytes()).collect() };
    let mut item = DataSet::new();
    item.put_bytes(tags::LUT_DESCRIPTOR, Vr::US, bytes(&descriptor));
    item.put_bytes(tags::LUT_DATA, Vr::OW, bytes(data));
    item
}

#[test]
fn lookup_tables_are_read_from_the_header() {
    let (frame, values) = ramp();
    let mut header = DataSet::new();
    header.put_u16(tags::PIXEL_REPRESENTATION, 1);
    // A modality table of 4096 entries from -2048 on that halves and turns around.
    let entries: Vec<u16> = (0..4096).map(|at| (4095 - at) / 2).collect();
    header.put_sequence(
        tags::MODALITY_LUT_SEQUENCE,
        vec![lut_item([4096, 0xf800, 16], &entries)],
    );
    // A VOI table over 1000..1256 with a square in it.
    let squares: Vec<u16> = (0..256u16).map(|at| at * at).collect();
    header.put_sequence(
        tags::VOILUT_SEQUENCE,
        vec![lut_item([256, 1000, 16], &squares)],
    );
    let presentation = Presentation::from_data_set(&header, 0, |_| None);
    let found = pixels(&frame, &request(presentation));
    let wanted = values.iter().map(|value| {
        let modality = ((4095.0 - (value + 2048.0)) / 2.0).floor();
        let place = (modality - 1000.0).clamp(0.0, 255.0);
        place * place / 65_535.0
    });
    assert_near(&found, wanted);
}

#[test]
fn functional_groups_go_before_the_top_level() {
    let window = |center: f64| {
        let mut item = DataSet::new();
        item.put_decimal(tags::WINDOW_CENTER, center);
        item.put_decimal(tags::WINDOW_WIDTH, 10.0);
        let mut group = DataSet::new();
        group.put_sequence(tags::FRAME_VOILUT_SEQUENCE, vec![item]);
        group
    };
    let mut transformation = DataSet::new();
    transformation.put_decimal(tags::RESCALE_SLOPE, 3.0);
    transformation.put_decimal(tags::RESCALE_INTERCEPT, -7.0);
    let mut shared = DataSet::new();
    shared.put_sequence(
        tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE,
        vec![transformation],
    );
    let mut header = DataSet::new();
    header.put_decimal(tags::RESCALE_SLOPE, 99.0);
    header.put_sequence(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, vec![shared]);
    header.put_sequence(
        tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
        vec![window(1.0), window(2.0)],
    );
    let second = Presentation::from_data_set(&header, 1, |_| None);
    assert_eq!(second.windows[0].center, 2.0);
    assert_eq!(
        second.modality_lut,
        ModalityLut::Rescale {
            slope: 3.0,
            intercept: -7.0
        }
    );
    assert!(
        Presentation::from_data_set(&header, 7, |_| None)
            .windows
            .is_empty()
    );
}

fn palette_header(data: [&[u8]; 3]) -> DataSet {
    let mut header = DataSet::new();
    let descriptors = [
        tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
        tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
        tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
    ];
    let tables = [
        tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA,
    ];
    for (descriptor, (tag, table)) in descriptors.into_iter().zip(tables.into_iter().zip(data)) {
        header.put_bytes(descriptor, Vr::US, vec![2, 0, 5, 0, 16, 0]);
        header.put_bytes(tag, Vr::OW, table.to_vec());
    }
    header
}

#[test]
fn palettes_give_their_colours() {
    let header = palette_header([&[0, 10, 0, 250], &[0, 20, 0, 251], &[0, 30, 0, 252]]);
    let presentation = Presentation::from_data_set(&header, 0, |_| None);
    let frame = Frame {
        image: image(1, 4, (8, 8), Photometric::PaletteColor),
        bytes: Bytes::from_static(&[0, 5, 6, 99]),
    };
    let found = pixels(&frame, &request(presentation));
    assert_eq!(
        found,
        [10, 20, 30, 10, 20, 30, 250, 251, 252, 250, 251, 252]
    );
    let without = render(&frame, &request(Presentation::default()));
    assert!(matches!(without, Err(Error::Unsupported(_))));
}

#[test]
fn deferred_values_are_asked_for() {
    let mut header = palette_header([&[0, 1, 0, 2]; 3]);
    let deferred = Deferred {
        offset: 77,
        length: 4,
        is_encapsulated: false,
    };
    let tag = tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA;
    let element = Element {
        tag,
        vr: Vr::OW,
        value: Value::Deferred(deferred),
    };
    header.put(element.clone());
    assert_eq!(Presentation::bulk_wanted(&header, 0), [element]);
    assert!(
        Presentation::from_data_set(&header, 0, |_| None)
            .palette
            .is_none()
    );
    let fetched = Presentation::from_data_set(&header, 0, |found| {
        assert_eq!(found, deferred);
        Some(Bytes::from_static(&[0, 7, 0, 8]))
    });
    assert_eq!(fetched.palette.unwrap().green.entries, [0x700, 0x800]);
}

#[test]
fn ybr_becomes_rgb() {
    // Red, green, blue and grey of PS3.3 C.7.6.3.1.2's YBR_FULL.
    let ybr = Bytes::from_static(&[76, 85, 255, 150, 44, 21, 29, 255, 107, 128, 128, 128]);
    let frame = Frame {
        image: image(1, 4, (8, 8), Photometric::YbrFull),
        bytes: ybr,
    };
    let found = pixels(&frame, &request(Presentation::default()));
    let wanted = [254, 0, 0, 0, 255, 1, 0, 0, 254, 128, 128, 128];
    for (found, wanted) in found.iter().zip(wanted) {
        assert!(found.abs_diff(wanted) <= 1, "{found} instead of {wanted}");
    }
    let half = Frame {
        image: image(1, 2, (8, 8), Photometric::YbrFull422),
        bytes: Bytes::from_static(&[50, 60, 128, 128]),
    };
    assert_eq!(
        pixels(&half, &request(Presentation::default())),
        [50, 50, 50, 60, 60, 60]
    );
}

#[test]
fn overlays_are_burnt_where_they_lie() {
    let mut header = DataSet::new();
    header.put_u16(Tag(0x6000, 0x0010), 2);
    header.put_u16(Tag(0x6000, 0x0011), 3);
    header.put_bytes(Tag(0x6000, 0x0050), Vr::SS, vec![2, 0, 0, 0]);
    header.put_bytes(Tag(0x6000, 0x3000), Vr::OW, vec![0b10_1110, 0]);
    header.put_u16(Tag(0x6002, 0x0010), 4);
    header.put_u16(Tag(0x6002, 0x0011), 4);
    header.put_u16(Tag(0x6002, 0x0102), 12);
    let presentation = Presentation::from_data_set(&header, 0, |_| None);
    assert_eq!(presentation.overlays.len(), 2);
    let mut values = [100i32; 16];
    values[15] |= 1 << 12;
    let frame = words(image(4, 4, (16, 12), Photometric::Monochrome2), &values);
    let window = Window {
        center: 100.0,
        width: 200.0,
        function: VoiFunction::LinearExact,
    };
    let request = RenderRequest {
        window: Some(window),
        ..request(presentation)
    };
    let found = pixels(&frame, &request);
    // Origin row 2, column 0: its first column is beyond the left edge.
    let burnt: Vec<usize> = (0..16).filter(|at| found[*at] == 255).collect();
    assert_eq!(burnt, [4, 5, 9, 15]);
    let plain = pixels(
        &frame,
        &RenderRequest {
            overlays: false,
            ..request
        },
    );
    assert_eq!(plain, [128; 16]);
}

#[test]
fn an_overlay_of_any_size_is_survived() {
    let mut header = DataSet::new();
    header.put_u16(Tag(0x6000, 0x0010), 65_535);
    header.put_u16(Tag(0x6000, 0x0011), 65_535);
    header.put_bytes(Tag(0x6000, 0x0050), Vr::SS, vec![0, 0x80, 0, 0x80]);
    header.put_bytes(Tag(0x6000, 0x3000), Vr::OW, vec![0xff; 8]);
    let presentation = Presentation::from_data_set(&header, 0, |_| None);
    let frame = words(image(4, 4, (16, 12), Photometric::Monochrome2), &[0; 16]);
    assert_eq!(pixels(&frame, &request(presentation)).len(), 16);
}

#[test]
fn formats_hold_the_picture() {
    let (frame, _) = ramp();
    let exact = pixels(&frame, &request(Presentation::default()));
    let jpeg = RenderRequest {
        format: Format::Jpeg,
        quality: Some(100),
        ..request(Presentation::default())
    };
    let coded = render(&frame, &jpeg).unwrap();
    let stored = StoredFrame {
        image: Arc::new(image(16, 16, (8, 8), Photometric::Monochrome2)),
        syntax: Syntax::Jpeg(JpegProcess::Baseline),
        bytes: coded.bytes.clone(),
        first_bit: 0,
    };
    let decoded = decode(&stored, &Limits::default()).unwrap();
    assert!(
        decoded
            .bytes
            .iter()
            .zip(&exact)
            .all(|(a, b)| a.abs_diff(*b) <= 3)
    );
    let rough = render(
        &frame,
        &RenderRequest {
            quality: Some(10),
            ..jpeg
        },
    )
    .unwrap();
    assert!(rough.bytes.len() < coded.bytes.len());

    let gif = RenderRequest {
        format: Format::Gif,
        ..request(Presentation::default())
    };
    let mut moving = Animation::new(&gif);
    moving.push(&frame, 4).unwrap();
    moving.push(&frame, 4).unwrap();
    let rendered = moving.finish().unwrap();
    let mut options = gif::DecodeOptions::new();
    options.set_color_output(gif::ColorOutput::Indexed);
    let mut reader = options.read_info(&rendered.bytes[..]).unwrap();
    let mut count = 0;
    while let Some(picture) = reader.read_next_frame().unwrap() {
        assert_eq!(picture.buffer[..], exact);
        assert_eq!(picture.delay, 4);
        count += 1;
    }
    assert_eq!(count, 2);
}

#[test]
fn colour_is_managed() {
    let frame = Frame {
        image: image(1, 1, (8, 8), Photometric::Rgb),
        bytes: Bytes::from_static(&[200, 30, 30]),
    };
    let adobe = moxcms::ColorProfile::new_adobe_rgb().encode().unwrap();
    let presentation = Presentation {
        icc_profile: Some(adobe.into()),
        ..Presentation::default()
    };
    let ask = |icc| RenderRequest {
        icc,
        ..request(presentation.clone())
    };
    assert_eq!(pixels(&frame, &ask(IccOutput::No)), [200, 30, 30]);
    assert_eq!(pixels(&frame, &ask(IccOutput::Yes)), [200, 30, 30]);
    let srgb = pixels(&frame, &ask(IccOutput::Srgb));
    // Adobe RGB's red is redder than sRGB can show.
    assert!(srgb[0] > 225 && srgb[1] < 30, "{srgb:?}");
    assert!(
        pixels(&frame, &ask(IccOutput::AdobeRgb))
            .iter()
            .zip([200, 30, 30])
            .all(|(a, b)| a.abs_diff(b) <= 1)
    );
    let broken = Presentation {
        icc_profile: Some(Bytes::from_static(b"no profile")),
        ..Presentation::default()
    };
    let found = pixels(
        &frame,
        &RenderRequest {
            icc: IccOutput::Srgb,
            ..request(broken)
        },
    );
    assert_eq!(found, [200, 30, 30]);
}

#[test]
fn a_profile_is_embedded_where_it_is_asked_for() {
    let frame = Frame {
        image: image(1, 1, (8, 8), Photometric::Rgb),
        bytes: Bytes::from_static(&[200, 30, 30]),
    };
    let embedded = |icc| {
        let request = RenderRequest {
            icc,
            format: Format::Png,
            ..request(Presentation::default())
        };
        let rendered = render(&frame, &request).unwrap();
        let decoder = png::Decoder::new(std::io::Cursor::new(rendered.bytes));
        let reader = decoder.read_info().unwrap();
        let profile = reader.info().icc_profile.clone();
        profile.map(|profile| profile.into_owned())
    };
    assert_eq!(embedded(IccOutput::No), None);
    for asked in [
        IccOutput::Yes,
        IccOutput::Srgb,
        IccOutput::AdobeRgb,
        IccOutput::RommRgb,
    ] {
        let profile = embedded(asked).unwrap();
        assert_eq!(profile.get(36..40), Some(&b"acsp"[..]), "{asked:?}");
        assert!(profile.len() < 4096, "{asked:?}: {}", profile.len());
    }
}

#[test]
fn regions_sizes_and_shapes_combine() {
    let (frame, _) = ramp();
    let viewport = Viewport {
        width: 8,
        height: 8,
        x: Some(4.0),
        y: Some(0.0),
        region_width: Some(-8.0),
        region_height: Some(16.0),
    };
    let asked = RenderRequest {
        viewport: Some(viewport),
        ..request(Presentation::default())
    };
    let rendered = render(&frame, &asked).unwrap();
    assert_eq!((rendered.width, rendered.height), (4, 8));
    let found = read_png(&rendered.bytes);
    assert!(
        found[0] > found[3] && found[28] > found[0],
        "flipped, and brighter downwards: {found:?}"
    );
    let flat = Presentation {
        pixel_aspect: Some((2.0, 1.0)),
        ..Presentation::default()
    };
    let square = RenderRequest {
        square_pixels: true,
        ..request(flat)
    };
    let rendered = render(&frame, &square).unwrap();
    assert_eq!((rendered.width, rendered.height), (16, 32));
}

#[test]
fn bad_wishes_are_refused() {
    let (frame, _) = ramp();
    let window = Window {
        center: 0.0,
        width: 0.0,
        function: VoiFunction::Linear,
    };
    let asked = RenderRequest {
        window: Some(window),
        ..request(Presentation::default())
    };
    assert!(matches!(render(&frame, &asked), Err(Error::Request(_))));
    // The same in a header is passed over.
    let header = Presentation {
        windows: vec![window],
        ..Presentation::default()
    };
    assert!(render(&frame, &request(header)).is_ok());
}

#[test]
fn every_reference_file_renders() {
    let Some(root) = support::shared_data() else {
        return;
    };
    let mut rendered = 0;
    for folder in [
        "modalities",
        "synthetic",
        "transfer-syntaxes",
        "odd",
        "hostile/image",
        "hostile/values",
    ] {
        for path in support::files(&root.join(folder)) {
            let Ok(object) = support::Object::read(&path) else {
                continue;
            };
            let Ok(stored) = object.frame(0) else {
                continue;
            };
            let Ok(frame) = decode(&stored, &Limits::default()) else {
                continue;
            };
            let presentation = Presentation::from_data_set(&object.data_set, 0, |_| None);
            let viewport = Viewport {
                width: 64,
                height: 64,
                x: None,
                y: None,
                region_width: None,
                region_height: None,
            };
            let asked = RenderRequest {
                viewport: Some(viewport),
                annotation: vec!["LEFT".into()],
                ..RenderRequest::new(Arc::new(presentation))
            };
            match render(&frame, &asked) {
                Ok(picture) => {
                    assert!(picture.width <= 64 && picture.height <= 64);
                    rendered += 1;
                }
                Err(Error::Unsupported(_)) => {}
                Err(error) => panic!("{}: {error}", path.display()),
            }
        }
    }
    assert!(rendered > 400, "{rendered} rendered");
}
