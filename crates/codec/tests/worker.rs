//! The pool of worker processes: what it gives back, and what it does when things go wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod worker_support;

use bytes::Bytes;
use gantry_codec::render::Format;
use gantry_codec::syntax::JpegProcess;
use gantry_codec::transcode::transcode;
use gantry_codec::{
    Error, Limits, Pool, PoolOptions, Presentation, RenderRequest, StoredFrame, Syntax,
};
use std::sync::Arc;
use std::time::{Duration, Instant};
use worker_support::{grey, options, pool, slow, target};

const CODED: [Syntax; 5] = [
    Syntax::Rle,
    Syntax::DeflatedFrame,
    Syntax::JpegLs { lossy: false },
    Syntax::Jpeg2000 { lossy: false },
    Syntax::Jpeg(JpegProcess::LosslessSv1),
];

#[tokio::test]
async fn answers_equal_those_of_the_codecs() {
    let pool = pool(options());
    let frame = grey(64);
    for syntax in CODED {
        let here = transcode(&frame, &target(syntax), &Limits::default()).unwrap();
        let there = pool.transcode(frame.clone(), target(syntax)).await.unwrap();
        assert_eq!(here, there, "{syntax:?}");
        let coded = StoredFrame {
            image: Arc::new(there.relabel.image),
            syntax,
            bytes: there.bytes,
            first_bit: 0,
        };
        assert_eq!(
            pool.decode(coded).await.unwrap().bytes,
            frame.bytes,
            "{syntax:?}"
        );
    }
    assert_eq!(
        pool.idle_workers(),
        1,
        "one after the other needs one process"
    );
}

#[tokio::test]
async fn native_frames_need_no_process() {
    let pool = pool(PoolOptions {
        executable: Some("/nonexistent".into()),
        ..options()
    });
    let frame = grey(16);
    assert_eq!(pool.decode(frame.clone()).await.unwrap().bytes, frame.bytes);
    assert!(
        pool.transcode(frame.clone(), target(Syntax::BigEndian))
            .await
            .is_ok()
    );
    let refused = pool.transcode(frame, target(Syntax::Rle)).await;
    assert!(matches!(refused, Err(Error::Worker(_))), "{refused:?}");
}

#[tokio::test]
async fn requests_run_side_by_side() {
    let pool = pool(options());
    let requests = (0..6).map(|_| {
        let pool = pool.clone();
        tokio::spawn(async move { pool.transcode(grey(128), target(CODED[2])).await })
    });
    for request in requests.collect::<Vec<_>>() {
        assert!(request.await.unwrap().is_ok());
    }
    assert!(pool.idle_workers() <= 2);
}

#[tokio::test]
async fn a_wrong_frame_is_an_error_and_the_worker_lives() {
    let pool = pool(options());
    let wrong = StoredFrame {
        syntax: Syntax::Jpeg2000 { lossy: false },
        bytes: Bytes::from_static(b"no stream"),
        ..grey(8)
    };
    let refused = pool.decode(wrong).await;
    assert!(matches!(refused, Err(Error::Malformed(_))), "{refused:?}");
    assert_eq!(pool.idle_workers(), 1);
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_stopped() {
    let pool = pool(PoolOptions {
        timeout: Duration::from_millis(150),
        ..options()
    });
    let (frame, slow_target) = slow();
    let started = Instant::now();
    assert_eq!(
        pool.transcode(frame, slow_target).await,
        Err(Error::TimedOut)
    );
    assert!(started.elapsed() < Duration::from_secs(5));
    assert!(pool.transcode(grey(32), target(Syntax::Rle)).await.is_ok());
}

#[tokio::test]
async fn a_request_that_is_dropped_frees_its_worker() {
    let pool = pool(PoolOptions {
        workers: 1,
        ..options()
    });
    let (frame, slow_target) = slow();
    let request = pool.transcode(frame, slow_target);
    assert!(
        tokio::time::timeout(Duration::from_millis(200), request)
            .await
            .is_err()
    );
    let next = pool.transcode(grey(32), target(Syntax::Rle));
    let next = tokio::time::timeout(Duration::from_secs(5), next).await;
    assert!(next.is_ok_and(|answer| answer.is_ok()));
}

#[tokio::test]
async fn too_many_requests_are_refused_at_once() {
    let pool = pool(PoolOptions {
        workers: 1,
        queue: 1,
        ..options()
    });
    let (frame, slow_target) = slow();
    let held = tokio::spawn({
        let pool = pool.clone();
        async move { pool.transcode(frame, slow_target).await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    let waiting = tokio::spawn({
        let pool = pool.clone();
        async move { pool.transcode(grey(16), target(Syntax::Rle)).await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let refused = pool.transcode(grey(16), target(Syntax::Rle)).await;
    assert_eq!(refused, Err(Error::Busy));
    held.abort();
    assert!(waiting.await.unwrap().is_ok());
}

#[tokio::test]
async fn idle_workers_are_ended() {
    let pool = pool(PoolOptions {
        idle: Duration::from_millis(100),
        ..options()
    });
    assert!(pool.transcode(grey(16), target(Syntax::Rle)).await.is_ok());
    assert_eq!(pool.idle_workers(), 1);
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(pool.idle_workers(), 0);
    assert!(pool.transcode(grey(16), target(Syntax::Rle)).await.is_ok());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn memory_is_bounded() {
    let pool = pool(PoolOptions {
        memory: 160 << 20,
        ..options()
    });
    let (frame, slow_target) = slow();
    // 9 million samples of 4 bytes, twice and more: over the bound.
    let refused = pool
        .transcode(StoredFrame { ..grey(6000) }, slow_target)
        .await;
    assert!(
        matches!(
            refused,
            Err(Error::Crashed(_) | Error::TooLarge(_) | Error::Unsupported(_))
        ),
        "{refused:?}"
    );
    drop(frame);
    assert!(pool.transcode(grey(32), target(Syntax::Rle)).await.is_ok());
}

#[tokio::test]
async fn a_frame_over_the_limit_is_refused_before_any_work() {
    let limits = Limits {
        max_frame_bytes: 1000,
        ..Limits::default()
    };
    let pool = Pool::new(
        PoolOptions {
            executable: Some("/nonexistent".into()),
            ..options()
        },
        limits,
    );
    let refused = pool.transcode(grey(64), target(Syntax::Rle)).await;
    assert!(matches!(refused, Err(Error::TooLarge(_))), "{refused:?}");
}

#[tokio::test]
async fn pictures_are_rendered_and_move() {
    let pool = pool(options());
    let request = RenderRequest::new(Arc::new(Presentation::default()));
    let picture = pool.render(grey(64), request.clone()).await.unwrap();
    assert_eq!(
        (picture.width, picture.height, picture.format),
        (64, 64, Format::Jpeg)
    );
    assert!(picture.bytes.starts_with(&[0xff, 0xd8]));
    let frames = vec![
        (grey(32), Duration::from_millis(40)),
        (grey(32), Duration::from_millis(40)),
    ];
    let moving = pool.animate(frames, request).await.unwrap();
    assert_eq!((moving.width, moving.format), (32, Format::Gif));
    assert!(moving.bytes.starts_with(b"GIF89a"));
}
