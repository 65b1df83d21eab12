//! Results of storage commitment survive the process that was to deliver them.
#![allow(clippy::unwrap_used)]

use gantry_archive::Archive;
use gantry_archive::commitment::CommitmentRequest;
use gantry_archive::config::ArchiveConfig;
use gantry_core::failure::Kind;
use gantry_core::principal::Principal;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

async fn open(folder: &Path) -> Arc<Archive> {
    let config = ArchiveConfig {
        data: folder.to_owned(),
        pack_bytes: 1 << 20,
        ..ArchiveConfig::default()
    };
    Archive::open(config, Vec::new()).await.unwrap()
}

#[tokio::test]
async fn a_result_whose_delivery_was_cut_off_is_due_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let archive = open(folder.path()).await;
    let request = CommitmentRequest {
        transaction_uid: "1.2.3".into(),
        requestor: "CT1".into(),
        called: "GANTRY".into(),
        references: vec![("1.2".into(), "1.3".into())],
    };
    let system = Principal::system();
    archive
        .request_commitment(&system, request.clone())
        .await
        .unwrap();
    assert_eq!(archive.next_commitment().await.unwrap().request, request);
    // Nobody else gets it while it is being delivered.
    let other = tokio::time::timeout(Duration::from_millis(500), archive.next_commitment());
    assert!(other.await.is_err());
    archive.close().await;
    drop(archive);

    let archive = open(folder.path()).await;
    let limit = Duration::from_secs(10);
    let job = tokio::time::timeout(limit, archive.next_commitment());
    let job = job.await.expect("it is due at once").unwrap();
    assert_eq!((job.request, job.attempt), (request, 2));
    archive.close().await;
}

#[tokio::test]
async fn a_transaction_uid_is_used_up_by_its_result() {
    let folder = tempfile::tempdir().unwrap();
    let archive = open(folder.path()).await;
    let system = Principal::system();
    let request = CommitmentRequest {
        transaction_uid: "1.2.3".into(),
        requestor: "CT1".into(),
        called: "GANTRY".into(),
        references: vec![("1.2".into(), "1.3".into())],
    };
    let ask = |request: &CommitmentRequest| archive.request_commitment(&system, request.clone());
    ask(&request).await.unwrap();
    // Still the same transaction: it is reported once.
    ask(&request).await.unwrap();
    let other = CommitmentRequest {
        references: vec![("1.2".into(), "1.4".into())],
        ..request.clone()
    };
    assert_eq!(ask(&other).await.unwrap_err().kind(), Kind::Conflict);
    let job = archive.next_commitment().await.unwrap();
    archive.commitment_delivered(&job).await.unwrap();
    assert_eq!(ask(&request).await.unwrap_err().kind(), Kind::Conflict);
    // Another requestor's transactions are others.
    let of_other = CommitmentRequest {
        requestor: "CT2".into(),
        ..request
    };
    ask(&of_other).await.unwrap();
    archive.close().await;
}
