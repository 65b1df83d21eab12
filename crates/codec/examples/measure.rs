//! How fast the codecs and the pool are: `cargo run --release -p gantry-codec --example measure [FILE]`.
//!
//! FILE holds the samples of a 512 by 512 frame of 16-bit words; without it waves with noise on
//! them are used.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use gantry_codec::decode::decode;
use gantry_codec::image::SampleKind;
use gantry_codec::render::render;
use gantry_codec::syntax::JpegProcess;
use gantry_codec::transcode::{Colour, Loss, transcode};
use gantry_codec::{
    ImageDescription, Limits, Photometric, Pool, PoolOptions, Presentation, RenderRequest,
    StoredFrame, Syntax, Target,
};
use std::sync::Arc;
use std::time::{Duration, Instant};

const SIDE: u32 = 512;

fn main() {
    if std::env::args().nth(1).as_deref() == Some("codec-worker") {
        gantry_codec::worker::run_stdio().unwrap();
        return;
    }
    let bytes = std::env::args()
        .nth(1)
        .map(|file| std::fs::read(file).unwrap());
    let native = frame(bytes.unwrap_or_else(waves));
    let limits = Limits::default();
    let megabytes = native.bytes.len() as f64 / 1e6;
    println!("512 x 512 x 16 bit, best of 30, one thread; MB/s of samples");
    for (name, syntax) in [
        ("RLE", Syntax::Rle),
        ("deflated frame", Syntax::DeflatedFrame),
        ("JPEG lossless SV1", Syntax::Jpeg(JpegProcess::LosslessSv1)),
        ("JPEG-LS", Syntax::JpegLs { lossy: false }),
        ("JPEG-LS near", Syntax::JpegLs { lossy: true }),
        ("JPEG 2000 lossless", Syntax::Jpeg2000 { lossy: false }),
        ("JPEG 2000 lossy", Syntax::Jpeg2000 { lossy: true }),
    ] {
        let target = Target {
            syntax,
            loss: Loss::default(),
            colour: Colour::Keep,
        };
        let coded = transcode(&native, &target, &limits).unwrap();
        let stored = StoredFrame {
            image: Arc::new(coded.relabel.image),
            syntax,
            bytes: coded.bytes.clone(),
            first_bit: 0,
        };
        let encoding = best(|| drop(transcode(&native, &target, &limits).unwrap()));
        let decoding = best(|| drop(decode(&stored, &limits).unwrap()));
        println!(
            "{name:20} encode {:6.0}  decode {:6.0}  ratio {:.2}",
            megabytes / encoding.as_secs_f64(),
            megabytes / decoding.as_secs_f64(),
            native.bytes.len() as f64 / coded.bytes.len() as f64,
        );
    }
    let request = RenderRequest::new(Arc::new(Presentation::default()));
    let plain = decode(&native, &limits).unwrap();
    println!(
        "render to JPEG, in process: {:?}",
        best(|| drop(render(&plain, &request).unwrap()))
    );
    tokio::runtime::Runtime::new()
        .unwrap()
        .block_on(through_the_pool(native, request));
}

async fn through_the_pool(native: StoredFrame, request: RenderRequest) {
    let pool = Pool::new(PoolOptions::default(), Limits::default());
    let started = Instant::now();
    pool.render(native.clone(), request.clone()).await.unwrap();
    println!(
        "first render, with the start of a worker: {:?}",
        started.elapsed()
    );
    let mut times = Vec::new();
    for _ in 0..200 {
        let started = Instant::now();
        pool.render(native.clone(), request.clone()).await.unwrap();
        times.push(started.elapsed());
    }
    times.sort();
    println!(
        "render to JPEG, through the pool: p50 {:?}, p95 {:?}",
        times[100], times[190]
    );
}

fn best(mut work: impl FnMut()) -> Duration {
    let time = |_| {
        let started = Instant::now();
        work();
        started.elapsed()
    };
    (0..30).map(time).min().unwrap_or_default()
}

fn frame(bytes: Vec<u8>) -> StoredFrame {
    let image = ImageDescription {
        rows: SIDE,
        columns: SIDE,
        samples_per_pixel: 1,
        bits_allocated: 16,
        bits_stored: 16,
        high_bit: 15,
        signed: true,
        planar: false,
        photometric: Photometric::Monochrome2,
        frames: 1,
        samples: SampleKind::Integer,
        words: false,
    };
    StoredFrame {
        image: Arc::new(image),
        syntax: Syntax::LittleEndian,
        bytes: bytes.into(),
        first_bit: 0,
    }
}

fn waves() -> Vec<u8> {
    let mut state = 1u32;
    let samples = (0..SIDE * SIDE).flat_map(|at| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let wave = (f64::from(at % SIDE) / 40.0).sin() + (f64::from(at / SIDE) / 55.0).cos();
        ((wave * 800.0) as i16 + (state >> 28) as i16).to_le_bytes()
    });
    samples.collect()
}
