//! Every encoder's output decodes to what went in.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bytes::Bytes;
use gantry_codec::decode::decode;
use gantry_codec::image::SampleKind;
use gantry_codec::syntax::{Htj2k, JpegProcess, JpegXl};
use gantry_codec::transcode::{Colour, Loss, transcode};
use gantry_codec::{Frame, ImageDescription, Limits, Photometric, StoredFrame, Syntax, Target};
use proptest::prelude::*;
use std::sync::Arc;

const LOSSLESS: [Syntax; 8] = [
    Syntax::LittleEndian,
    Syntax::BigEndian,
    Syntax::Rle,
    Syntax::DeflatedFrame,
    Syntax::JpegLs { lossy: false },
    Syntax::Jpeg2000 { lossy: false },
    Syntax::Jpeg(JpegProcess::LosslessSv1),
    Syntax::Jpeg(JpegProcess::Lossless),
];

fn image(rows: u32, columns: u32, bits: (u32, u32), photometric: Photometric) -> ImageDescription {
    let is_grey = matches!(
        photometric,
        Photometric::Monochrome1 | Photometric::Monochrome2 | Photometric::PaletteColor
    );
    ImageDescription {
        rows,
        columns,
        samples_per_pixel: if is_grey { 1 } else { 3 },
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

/// Waves with some noise on them, within Bits Stored.
fn picture(image: &ImageDescription, seed: u64) -> Bytes {
    let mut state = seed | 1;
    let mut noise = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let range = (1u64 << image.bits_stored) as f64;
    let mut values = Vec::new();
    for row in 0..image.rows {
        for column in 0..image.columns {
            for sample in 0..image.samples_per_pixel {
                let wave =
                    (f64::from(row + 7 * sample) / 9.0).sin() + (f64::from(column) / 13.0).cos();
                let value =
                    (wave + 2.0) / 4.0 * range * 0.9 + (noise() % 17) as f64 / 17.0 * range * 0.1;
                let value = (value as i64).clamp(0, range as i64 - 1);
                values.push(if image.signed {
                    value - range as i64 / 2
                } else {
                    value
                });
            }
        }
    }
    Bytes::from(match image.bits_allocated {
        1 => {
            let mut packed = vec![0u8; values.len().div_ceil(8)];
            for (at, value) in values.iter().enumerate() {
                packed[at / 8] |= (*value as u8 & 1) << (at % 8);
            }
            packed
        }
        8 => values.into_iter().map(|value| value as u8).collect(),
        16 => values
            .into_iter()
            .flat_map(|value| (value as u16).to_le_bytes())
            .collect(),
        _ => values
            .into_iter()
            .flat_map(|value| (value as u32).to_le_bytes())
            .collect(),
    })
}

fn native(image: &ImageDescription, bytes: Bytes) -> StoredFrame {
    StoredFrame {
        image: Arc::new(image.clone()),
        syntax: Syntax::LittleEndian,
        bytes,
        first_bit: 0,
    }
}

fn target(syntax: Syntax) -> Target {
    Target {
        syntax,
        loss: Loss::default(),
        colour: Colour::Keep,
    }
}

/// Encodes and decodes again by the new label.
fn round_trip(stored: &StoredFrame, target: &Target) -> Result<Frame, gantry_codec::Error> {
    let limits = Limits::default();
    let coded = transcode(stored, target, &limits)?;
    assert!(
        target.syntax.is_native() || coded.bytes.len() % 2 == 0,
        "{:?} of odd length",
        target.syntax
    );
    let again = StoredFrame {
        image: Arc::new(coded.relabel.image),
        syntax: target.syntax,
        bytes: coded.bytes,
        first_bit: 0,
    };
    decode(&again, &limits)
}

fn assert_lossless(image: &ImageDescription, syntax: Syntax, seed: u64) {
    let bytes = picture(image, seed);
    let found = round_trip(&native(image, bytes.clone()), &target(syntax))
        .unwrap_or_else(|error| panic!("{syntax:?} of {image:?}: {error}"));
    assert!(found.bytes == bytes, "{syntax:?} of {image:?} differs");
    assert_eq!(found.image.photometric, image.photometric, "{syntax:?}");
}

#[test]
fn lossless_codings_give_back_every_grey() {
    for syntax in LOSSLESS {
        for bits in [(8, 8), (8, 5), (16, 10), (16, 12), (16, 15), (16, 16)] {
            for signed in [false, true] {
                let image = ImageDescription {
                    signed,
                    ..image(41, 37, bits, Photometric::Monochrome2)
                };
                assert_lossless(&image, syntax, 3);
            }
        }
    }
}

#[test]
fn lossless_codings_give_back_every_colour() {
    use Photometric::{PaletteColor, Rgb, YbrFull};
    for syntax in LOSSLESS {
        for (bits, photometric) in [
            ((8, 8), Rgb),
            ((8, 8), YbrFull),
            ((16, 16), Rgb),
            ((8, 8), PaletteColor),
        ] {
            assert_lossless(&image(23, 50, bits, photometric), syntax, 5);
        }
    }
}

#[test]
fn bits_above_bits_stored_survive() {
    let image = image(16, 16, (16, 12), Photometric::Monochrome2);
    let bytes: Vec<u8> = (0..256u16)
        .flat_map(|at| ((at * 16) | ((at & 1) << 13)).to_le_bytes())
        .collect();
    for syntax in LOSSLESS {
        let found =
            round_trip(&native(&image, Bytes::from(bytes.clone())), &target(syntax)).unwrap();
        assert!(found.bytes == bytes, "{syntax:?}");
        let clean = found.without_stray_bits().unwrap();
        assert_eq!(clean.raw_integers()[1], 16);
    }
}

#[test]
fn single_bits_survive_where_the_coding_has_them() {
    let image = image(13, 21, (1, 1), Photometric::Monochrome2);
    for syntax in [
        Syntax::LittleEndian,
        Syntax::Rle,
        Syntax::DeflatedFrame,
        Syntax::Jpeg2000 { lossy: false },
    ] {
        assert_lossless(&image, syntax, 11);
    }
}

#[test]
fn wide_samples_survive_where_the_coding_has_them() {
    for syntax in [
        Syntax::LittleEndian,
        Syntax::BigEndian,
        Syntax::Rle,
        Syntax::DeflatedFrame,
    ] {
        assert_lossless(&image(9, 14, (32, 32), Photometric::Monochrome2), syntax, 2);
    }
    let refused = round_trip(
        &native(
            &image(9, 14, (32, 32), Photometric::Monochrome2),
            picture(&image(9, 14, (32, 32), Photometric::Monochrome2), 2),
        ),
        &target(Syntax::JpegLs { lossy: false }),
    );
    assert!(matches!(refused, Err(gantry_codec::Error::Unsupported(_))));
}

#[test]
fn lossy_codings_stay_near_and_say_what_they_did() {
    let grey8 = image(64, 64, (8, 8), Photometric::Monochrome2);
    let grey12 = image(64, 64, (16, 12), Photometric::Monochrome2);
    let rgb = image(64, 64, (8, 8), Photometric::Rgb);
    let near = Loss {
        near: Some(3),
        ..Loss::default()
    };
    let fine = Loss {
        quality: Some(95),
        ratio: Some(4.0),
        near: None,
    };
    let cases = [
        (
            &grey8,
            Syntax::Jpeg(JpegProcess::Baseline),
            fine,
            24,
            Photometric::Monochrome2,
        ),
        (
            &rgb,
            Syntax::Jpeg(JpegProcess::Baseline),
            fine,
            48,
            Photometric::YbrFull422,
        ),
        (
            &grey12,
            Syntax::Jpeg(JpegProcess::Extended),
            fine,
            200,
            Photometric::Monochrome2,
        ),
        (
            &grey12,
            Syntax::JpegLs { lossy: true },
            near,
            3,
            Photometric::Monochrome2,
        ),
        (
            &rgb,
            Syntax::JpegLs { lossy: true },
            near,
            3,
            Photometric::Rgb,
        ),
        (
            &grey12,
            Syntax::Jpeg2000 { lossy: true },
            fine,
            400,
            Photometric::Monochrome2,
        ),
        (
            &rgb,
            Syntax::Jpeg2000 { lossy: true },
            fine,
            60,
            Photometric::YbrIct,
        ),
    ];
    for (image, syntax, loss, tolerance, label) in cases {
        let bytes = picture(image, 9);
        let target = Target {
            loss,
            ..target(syntax)
        };
        let coded = transcode(&native(image, bytes.clone()), &target, &Limits::default()).unwrap();
        let lossy = coded.relabel.lossy.clone().unwrap();
        assert_eq!(Some(lossy.method.as_str()), syntax.lossy_method());
        assert!(lossy.ratio > 1.2, "{syntax:?}: ratio {}", lossy.ratio);
        assert_eq!(coded.relabel.image.photometric, label, "{syntax:?}");
        let to_rgb = Target {
            colour: Colour::Rgb,
            ..Target {
                syntax: Syntax::LittleEndian,
                ..target
            }
        };
        let again = StoredFrame {
            image: Arc::new(coded.relabel.image),
            syntax,
            bytes: coded.bytes,
            first_bit: 0,
        };
        let plain = transcode(&again, &to_rgb, &Limits::default()).unwrap();
        assert_eq!(
            plain.relabel.image.photometric, image.photometric,
            "{syntax:?}"
        );
        let frames = [&bytes, &plain.bytes].map(|bytes| {
            Frame {
                image: image.clone(),
                bytes: bytes.clone(),
            }
            .raw_integers()
        });
        let worst = frames[0]
            .iter()
            .zip(&frames[1])
            .map(|(a, b)| (a - b).abs())
            .max()
            .unwrap();
        assert!(worst <= tolerance, "{syntax:?}: off by {worst}");
        assert!(worst > 0, "{syntax:?} lost nothing: the test is too easy");
    }
}

#[test]
fn a_stream_that_is_already_valid_passes_untouched() {
    let image = image(32, 32, (8, 8), Photometric::Monochrome2);
    let limits = Limits::default();
    let coded = transcode(
        &native(&image, picture(&image, 4)),
        &target(Syntax::Jpeg(JpegProcess::LosslessSv1)),
        &limits,
    )
    .unwrap();
    let stored = StoredFrame {
        image: Arc::new(image),
        syntax: Syntax::Jpeg(JpegProcess::LosslessSv1),
        bytes: coded.bytes.clone(),
        first_bit: 0,
    };
    let passed = transcode(
        &stored,
        &target(Syntax::Jpeg(JpegProcess::Lossless)),
        &limits,
    )
    .unwrap();
    assert_eq!(passed.bytes, coded.bytes);
    assert_eq!(passed.relabel.lossy, None);
}

#[test]
fn what_cannot_be_encoded_is_said() {
    let image = image(8, 8, (8, 8), Photometric::Monochrome2);
    for syntax in [
        Syntax::Htj2k(Htj2k::Lossless),
        Syntax::JpegXl(JpegXl::Lossless),
    ] {
        let refused = round_trip(&native(&image, picture(&image, 1)), &target(syntax));
        assert!(
            matches!(refused, Err(gantry_codec::Error::Unsupported(_))),
            "{syntax:?}"
        );
        assert!(!gantry_codec::encode::can_encode(syntax));
    }
}

#[test]
fn planes_and_subsampled_chrominance_become_pixels() {
    let planar = ImageDescription {
        planar: true,
        ..image(1, 2, (8, 8), Photometric::Rgb)
    };
    let found = decode(
        &native(&planar, Bytes::from_static(&[1, 2, 3, 4, 5, 6])),
        &Limits::default(),
    )
    .unwrap();
    assert_eq!(&found.bytes[..], [1, 3, 5, 2, 4, 6]);
    assert!(!found.image.planar);

    let ybr = image(1, 3, (8, 8), Photometric::YbrFull422);
    let stored = native(&ybr, Bytes::from_static(&[10, 20, 90, 91, 30, 0, 92, 93]));
    let coded = round_trip(&stored, &target(Syntax::Rle)).unwrap();
    assert_eq!(&coded.bytes[..], [10, 90, 91, 20, 90, 91, 30, 92, 93]);
    assert_eq!(coded.image.photometric, Photometric::YbrFull);
}

#[test]
fn frames_of_single_bits_begin_anywhere() {
    let image = ImageDescription {
        frames: 3,
        ..image(3, 3, (1, 1), Photometric::Monochrome2)
    };
    // 27 bits: nine ones, nine zeros, then 1 0 1 0 1 0 1 0 1.
    let bits: u32 = 0b1_1111_1111 | 0b1_0101_0101 << 18;
    let value = Bytes::from(bits.to_le_bytes().to_vec());
    let sums = [9, 0, 5];
    for (number, sum) in sums.into_iter().enumerate() {
        let place = image
            .native_frame(number as u32, value.len() as u64)
            .unwrap();
        let range = place.bytes.start as usize..place.bytes.end as usize;
        let stored = StoredFrame {
            first_bit: place.first_bit,
            ..native(&image, value.slice(range))
        };
        let frame = decode(&stored, &Limits::default()).unwrap();
        assert_eq!(
            frame.raw_integers().iter().sum::<i64>(),
            sum,
            "frame {number}"
        );
        assert_eq!(frame.bytes.len(), 2);
    }
}

#[test]
fn swapped_pairs_of_bytes_are_put_right() {
    let image = ImageDescription {
        words: true,
        frames: 2,
        ..image(1, 3, (8, 8), Photometric::Monochrome2)
    };
    let value = Bytes::from_static(&[2, 1, 4, 3, 6, 5]);
    for (number, wanted) in [(0, [1, 2, 3]), (1, [4, 5, 6])] {
        let place = image.native_frame(number, 6).unwrap();
        let range = place.bytes.start as usize..place.bytes.end as usize;
        let stored = StoredFrame {
            syntax: Syntax::BigEndian,
            first_bit: place.first_bit,
            ..native(&image, value.slice(range))
        };
        assert_eq!(
            &decode(&stored, &Limits::default()).unwrap().bytes[..],
            wanted
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn any_size_and_depth_survives(
        rows in 1u32..40, columns in 1u32..40, stored in 2u32..=16, signed: bool,
        which in 0usize..LOSSLESS.len(), colour: bool, seed: u64,
    ) {
        let allocated = if stored <= 8 { 8 } else { 16 };
        let photometric = if colour { Photometric::Rgb } else { Photometric::Monochrome2 };
        let image = ImageDescription { signed, ..image(rows, columns, (allocated, stored), photometric) };
        assert_lossless(&image, LOSSLESS[which], seed);
    }

    #[test]
    fn run_lengths_survive_any_bytes(bytes in prop::collection::vec(prop::sample::select(vec![0u8, 0, 0, 1, 255]), 1..600)) {
        let image = image(1, bytes.len() as u32, (8, 8), Photometric::Monochrome2);
        let bytes = Bytes::from(bytes);
        let found = round_trip(&native(&image, bytes.clone()), &target(Syntax::Rle)).unwrap();
        prop_assert_eq!(found.bytes, bytes);
    }
}
