//! Workers that are killed from outside. In a program of its own: it kills every process it has
//! started.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg(target_os = "linux")]

mod worker_support;

use gantry_codec::{Error, Syntax};
use std::time::Duration;
use tokio::sync::Mutex;
use worker_support::{grey, options, pool, slow, target};

/// One test at a time: they kill each other's workers otherwise.
static TURN: Mutex<()> = Mutex::const_new(());

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
