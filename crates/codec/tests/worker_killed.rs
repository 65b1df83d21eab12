//! Workers that are killed from outside. In a program of its own: it kills every process it has
//! started.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg(target_os = "linux")]

use gantry_codec::image::SampleKind;
use gantry_codec::transcode::{Colour, Loss};
use gantry_codec::{
    Error, ImageDescription, Limits, Photometric, Pool, PoolOptions, StoredFrame, Syntax, Target,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// One test at a time: they kill each other's workers otherwise.
static TURN: Mutex<()> = Mutex::const_new(());

fn options() -> PoolOptions {
    PoolOptions {
        executable: Some(env!("CARGO_BIN_EXE_codec-worker").into()),
        arguments: Vec::new(),
        workers: 2,
        ..PoolOptions::default()
    }
}

fn pool(options: PoolOptions) -> Pool {
    Pool::new(options, Limits::default())
}

fn grey(side: u32) -> StoredFrame {
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

fn target(syntax: Syntax) -> Target {
    Target {
        syntax,
        loss: Loss::default(),
        colour: Colour::Keep,
    }
}

/// A request that takes a worker seconds.
fn slow() -> (StoredFrame, Target) {
    (grey(3000), target(Syntax::Jpeg2000 { lossy: false }))
}

/// The processes this one has started.
fn children() -> Vec<i32> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let lists = tasks
        .filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("children")).ok());
    let lists: Vec<String> = lists.collect();
    let pids = lists.iter().flat_map(|list| list.split_whitespace());
    pids.map(|pid| pid.parse().unwrap()).collect()
}

#[tokio::test]
async fn a_worker_that_is_killed_costs_one_request() {
    let _turn = TURN.lock().await;
    let pool = pool(options());
    let busy = tokio::spawn({
        let (pool, (frame, target)) = (pool.clone(), slow());
        async move { pool.transcode(frame, target).await }
    });
    let mut victims = Vec::new();
    while victims.is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
        victims = children();
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    for pid in victims {
        std::process::Command::new("kill")
            .args(["-9", &pid.to_string()])
            .status()
            .unwrap();
    }
    let lost = busy.await.unwrap();
    assert!(
        matches!(&lost, Err(Error::Crashed(text)) if text.contains("signal: 9")),
        "{lost:?}"
    );
    assert!(pool.transcode(grey(32), target(Syntax::Rle)).await.is_ok());
}

#[tokio::test]
async fn a_worker_that_dies_while_idle_costs_nothing() {
    let _turn = TURN.lock().await;
    let pool = pool(options());
    assert!(pool.transcode(grey(32), target(Syntax::Rle)).await.is_ok());
    for pid in children() {
        std::process::Command::new("kill")
            .args(["-9", &pid.to_string()])
            .status()
            .unwrap();
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(pool.transcode(grey(32), target(Syntax::Rle)).await.is_ok());
}
