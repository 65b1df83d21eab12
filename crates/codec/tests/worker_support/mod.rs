//! A pool of worker processes, and work for it.
#![allow(dead_code, reason = "each test binary uses a part")]

use gantry_codec::image::SampleKind;
use gantry_codec::transcode::{Colour, Loss};
use gantry_codec::{
    ImageDescription, Limits, Photometric, Pool, PoolOptions, StoredFrame, Syntax, Target,
};
use std::sync::Arc;

pub fn options() -> PoolOptions {
    PoolOptions {
        executable: Some(env!("CARGO_BIN_EXE_codec-worker").into()),
        arguments: Vec::new(),
        workers: 2,
        ..PoolOptions::default()
    }
}

pub fn pool(options: PoolOptions) -> Pool {
    Pool::new(options, Limits::default())
}

pub fn grey(side: u32) -> StoredFrame {
    let image = ImageDescription {
        rows: side,
        columns: side,
        samples_per_pixel: 1,
        bits_allocated: 16,
        bits_stored: 12,
        high_bit: 11,
        signed: false,
        planar: false,
        photometric: Photometric::Monochrome2,
        frames: 1,
        samples: SampleKind::Integer,
        words: false,
    };
    let mut state = 1u32;
    let samples = (0..side * side).flat_map(|at| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((((at % side) * 3 + at / side + (state >> 27)) & 0xfff) as u16).to_le_bytes()
    });
    StoredFrame {
        image: Arc::new(image),
        syntax: Syntax::LittleEndian,
        bytes: samples.collect::<Vec<_>>().into(),
        first_bit: 0,
    }
}

pub fn target(syntax: Syntax) -> Target {
    Target {
        syntax,
        loss: Loss::default(),
        colour: Colour::Keep,
    }
}

/// A request that takes a worker seconds.
pub fn slow() -> (StoredFrame, Target) {
    (grey(3000), target(Syntax::Jpeg2000 { lossy: false }))
}
