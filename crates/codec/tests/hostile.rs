//! Damaged and lying streams: an error or a picture, never a crash of this process, and no memory
//! beyond what the header's size explains.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use bytes::Bytes;
use gantry_codec::image::SampleKind;
use gantry_codec::syntax::{JpegProcess, JpegXl};
use gantry_codec::transcode::{Colour, Loss, transcode};
use gantry_codec::{
    Error, ImageDescription, Limits, Photometric, Pool, PoolOptions, StoredFrame, Syntax, Target,
};
use std::sync::Arc;
use std::time::Duration;

fn pool() -> Pool {
    let options = PoolOptions {
        executable: Some(env!("CARGO_BIN_EXE_codec-worker").into()),
        arguments: Vec::new(),
        timeout: Duration::from_secs(10),
        memory: 1 << 30,
        ..PoolOptions::default()
    };
    Pool::new(
        options,
        Limits {
            max_frame_bytes: 1 << 26,
            ..Limits::default()
        },
    )
}

fn image(side: u32, photometric: Photometric, bits: u32) -> ImageDescription {
    ImageDescription {
        rows: side,
        columns: side,
        samples_per_pixel: if photometric == Photometric::Rgb {
            3
        } else {
            1
        },
        bits_allocated: if bits > 8 { 16 } else { 8 },
        bits_stored: bits,
        high_bit: bits - 1,
        signed: false,
        planar: false,
        photometric,
        frames: 1,
        samples: SampleKind::Integer,
        words: false,
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }
}

fn coded(image: &ImageDescription, syntax: Syntax) -> StoredFrame {
    let size = image.frame_bytes() as usize;
    let mask = (1u32 << image.bits_stored) - 1;
    let bytes: Vec<u8> = match image.bits_allocated {
        8 => (0..size).map(|at| (at * at / 7) as u8).collect(),
        _ => (0..size / 2)
            .flat_map(|at| (((at * at / 5) as u32 & mask) as u16).to_le_bytes())
            .collect(),
    };
    let native = StoredFrame {
        image: Arc::new(image.clone()),
        syntax: Syntax::LittleEndian,
        bytes: bytes.into(),
        first_bit: 0,
    };
    let target = Target {
        syntax,
        loss: Loss::default(),
        colour: Colour::Keep,
    };
    let coded = transcode(&native, &target, &Limits::default()).unwrap();
    StoredFrame {
        image: Arc::new(coded.relabel.image),
        syntax,
        bytes: coded.bytes,
        first_bit: 0,
    }
}

fn damage(bytes: &[u8], random: &mut Random) -> Bytes {
    let mut bytes = bytes.to_vec();
    match random.below(8) {
        0 => bytes.truncate(random.below(bytes.len())),
        1 => {
            let at = random.below(bytes.len());
            let part = bytes[at..].to_vec();
            bytes.extend_from_slice(&part[..part.len().min(64)]);
        }
        2 => {
            let at = random.below(bytes.len().min(80));
            bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)];
        }
        _ => {
            for _ in 0..=random.below(6) {
                let at = random.below(bytes.len());
                bytes[at] ^= 1 << random.below(8);
            }
        }
    }
    bytes.into()
}

/// Decodes in a worker; what comes back must be a frame of the right size or an error of the
/// kinds that damage may cause.
async fn survive(pool: &Pool, frame: StoredFrame) -> bool {
    let wanted = frame.image.frame_bytes();
    match pool.decode(frame).await {
        Ok(decoded) => {
            assert_eq!(decoded.bytes.len() as u64, wanted);
            false
        }
        Err(Error::Crashed(_) | Error::TimedOut) => true,
        Err(Error::Malformed(_) | Error::Unsupported(_) | Error::TooLarge(_)) => false,
        Err(other) => panic!("{other}"),
    }
}

/// How often a stream is damaged: `MUTATIONS` asks for more than a test run has time for.
fn mutations(usual: usize) -> usize {
    let asked = std::env::var("MUTATIONS").ok();
    asked
        .and_then(|number| number.parse().ok())
        .unwrap_or(usual)
}

#[tokio::test]
async fn damaged_streams_cost_one_request_at_most() {
    let pool = pool();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let grey = image(48, Photometric::Monochrome2, 12);
    let grey8 = image(48, Photometric::Monochrome2, 8);
    let rgb = image(32, Photometric::Rgb, 8);
    let sources = [
        coded(&grey, Syntax::Rle),
        coded(&rgb, Syntax::Rle),
        coded(&grey, Syntax::DeflatedFrame),
        coded(&grey, Syntax::JpegLs { lossy: false }),
        coded(&rgb, Syntax::JpegLs { lossy: true }),
        coded(&grey, Syntax::Jpeg2000 { lossy: false }),
        coded(&rgb, Syntax::Jpeg2000 { lossy: true }),
        coded(&grey8, Syntax::Jpeg(JpegProcess::Baseline)),
        coded(&rgb, Syntax::Jpeg(JpegProcess::Baseline)),
        coded(&grey, Syntax::Jpeg(JpegProcess::Extended)),
        coded(&grey, Syntax::Jpeg(JpegProcess::LosslessSv1)),
    ];
    let mut crashes = 0;
    for source in &sources {
        for _ in 0..mutations(400) {
            let frame = StoredFrame {
                bytes: damage(&source.bytes, &mut random),
                ..source.clone()
            };
            crashes += usize::from(survive(&pool, frame).await);
        }
        // The pool still works.
        assert!(
            pool.decode(source.clone()).await.is_ok(),
            "{:?}",
            source.syntax
        );
    }
    assert!(crashes <= 5, "{crashes} crashes or stalls");
}

#[tokio::test]
async fn a_stream_larger_than_its_header_is_refused() {
    let pool = pool();
    for syntax in [
        Syntax::Rle,
        Syntax::JpegLs { lossy: false },
        Syntax::Jpeg2000 { lossy: false },
        Syntax::Jpeg(JpegProcess::LosslessSv1),
    ] {
        let large = coded(&image(64, Photometric::Monochrome2, 12), syntax);
        let small = StoredFrame {
            image: Arc::new(image(32, Photometric::Rgb, 8)),
            ..large.clone()
        };
        let refused = pool.decode(small).await;
        assert!(
            matches!(refused, Err(Error::Malformed(_))),
            "{syntax:?}: {refused:?}"
        );
    }
}

#[tokio::test]
async fn bytes_of_another_coding_are_refused() {
    let pool = pool();
    let grey = image(48, Photometric::Monochrome2, 8);
    let jpeg = coded(&grey, Syntax::Jpeg(JpegProcess::Baseline));
    for syntax in [
        Syntax::Rle,
        Syntax::DeflatedFrame,
        Syntax::JpegLs { lossy: false },
        Syntax::Jpeg2000 { lossy: false },
        Syntax::JpegXl(JpegXl::Lossless),
    ] {
        let wrong = StoredFrame {
            syntax,
            ..jpeg.clone()
        };
        assert!(pool.decode(wrong).await.is_err(), "{syntax:?}");
    }
    let other = coded(&grey, Syntax::Jpeg2000 { lossy: false });
    let wrong = StoredFrame {
        syntax: Syntax::Jpeg(JpegProcess::Baseline),
        ..other
    };
    assert!(pool.decode(wrong).await.is_err());
}

#[test]
fn impossible_headers_are_refused() {
    let good = image(8, Photometric::Monochrome2, 8);
    let limits = Limits::default();
    assert!(good.check(&limits).is_ok());
    let bad = [
        ImageDescription {
            rows: 0,
            ..good.clone()
        },
        ImageDescription {
            columns: 65_536,
            ..good.clone()
        },
        ImageDescription {
            samples_per_pixel: 0,
            ..good.clone()
        },
        ImageDescription {
            samples_per_pixel: 5,
            ..good.clone()
        },
        ImageDescription {
            bits_allocated: 12,
            ..good.clone()
        },
        ImageDescription {
            bits_stored: 9,
            ..good.clone()
        },
        ImageDescription {
            bits_stored: 0,
            ..good.clone()
        },
        ImageDescription {
            rows: 65_535,
            columns: 65_535,
            ..good.clone()
        },
        ImageDescription {
            samples: SampleKind::Float,
            ..good.clone()
        },
    ];
    for image in bad {
        assert!(image.check(&limits).is_err(), "{image:?}");
    }
    assert!(good.native_frame(0, 63).is_err());
    assert!(good.native_frame(1, 640).is_err());
}

/// Codings that are not encoded here: HTJ2K, JPEG XL, progressive JPEG.
#[tokio::test]
async fn damaged_streams_of_others_cost_one_request_at_most() {
    let Some(root) = support::shared_data() else {
        return;
    };
    let pool = pool();
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let (mut tried, mut crashes) = (0, Vec::new());
    for path in support::files(&root.join("transfer-syntaxes/synthetic")) {
        let is_small = path.ends_with("gray12.dcm")
            || path.ends_with("rgb8.dcm")
            || path.ends_with("gray8.dcm");
        let Some(object) = is_small
            .then(|| support::Object::read(&path).ok())
            .flatten()
        else {
            continue;
        };
        let Ok(frame) = object.frame(0) else { continue };
        for _ in 0..mutations(12) {
            let bytes = damage(&frame.bytes, &mut random);
            tried += 1;
            if survive(
                &pool,
                StoredFrame {
                    bytes,
                    ..frame.clone()
                },
            )
            .await
            {
                crashes.push(path.clone());
            }
        }
    }
    assert!(tried > 500, "{tried} tried");
    // The reconstruction of JPEG from JPEG XL panics now and then; its worker is gone, no more.
    assert!(
        crashes.len() <= 5 + tried / 1000,
        "crashes or stalls: {crashes:?}"
    );
}

#[tokio::test]
async fn hostile_files_are_survived() {
    let Some(root) = support::shared_data() else {
        return;
    };
    let pool = pool();
    let mut tried = 0;
    for folder in [
        "hostile/encapsulated",
        "hostile/image",
        "hostile/fuzz",
        "hostile/values",
    ] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.to_string_lossy().contains("bomb_100mb") {
                continue;
            }
            let Ok(object) = support::Object::read(&path) else {
                continue;
            };
            for number in 0..object.image.frames.min(3) {
                let Ok(frame) = object.frame(number) else {
                    continue;
                };
                tried += 1;
                assert!(!survive(&pool, frame).await, "{} crashed", path.display());
            }
        }
    }
    assert!(tried > 40, "{tried} frames tried");
}
