//! An instance's way through the archive: in, found, out, deleted, restored; and what is left of
//! it when the power fails or the index is lost.

#![allow(clippy::unwrap_used, reason = "functions of a test")]

use gantry_archive::config::ArchiveConfig;
use gantry_archive::maintenance;
use gantry_archive::query::AskedAs;
use gantry_archive::query::{FindOptions, FindRequest, Model};
use gantry_archive::remove::Target;
use gantry_archive::retrieve::Selection;
use gantry_archive::store::{Announcement, StoreOutcome, Stored};
use gantry_archive::{Archive, Result};
use gantry_core::access::Right;
use gantry_core::failure::Kind;
use gantry_core::principal::Principal;
use gantry_dicom::data_set::DataSet;
use gantry_dicom::encoding::{self, Encoding};
use gantry_dicom::{Tag, Vr, tags};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

const EXPLICIT_LITTLE: &str = "1.2.840.10008.1.2.1";
const IMPLICIT_LITTLE: &str = "1.2.840.10008.1.2";
const CT: &str = "1.2.840.10008.5.1.4.1.1.2";

fn instance(study: &str, series: &str, uid: &str, pixel_bytes: usize) -> DataSet {
    let mut set = DataSet::new();
    set.put_text(tags::SPECIFIC_CHARACTER_SET, Vr::CS, "ISO_IR 100");
    set.put_uid(tags::SOP_CLASS_UID, CT);
    set.put_uid(tags::SOP_INSTANCE_UID, uid);
    set.put_text(tags::STUDY_DATE, Vr::DA, "20260102");
    set.put_text(tags::MODALITY, Vr::CS, "CT");
    set.put_text(tags::PATIENT_NAME, Vr::PN, "Müller^Jörg");
    set.put_text(tags::PATIENT_ID, Vr::LO, "P1");
    set.put_uid(tags::STUDY_INSTANCE_UID, study);
    set.put_uid(tags::SERIES_INSTANCE_UID, series);
    set.put_u16(tags::SAMPLES_PER_PIXEL, 1);
    set.put_text(tags::PHOTOMETRIC_INTERPRETATION, Vr::CS, "MONOCHROME2");
    set.put_u16(tags::ROWS, 1);
    set.put_u16(tags::COLUMNS, (pixel_bytes / 2).clamp(1, 60_000) as u16);
    set.put_u16(tags::BITS_ALLOCATED, 16);
    set.put_u16(tags::BITS_STORED, 16);
    set.put_u16(tags::HIGH_BIT, 15);
    set.put_u16(tags::PIXEL_REPRESENTATION, 0);
    let pixels: Vec<u8> = (0..pixel_bytes).map(|at| (at % 251) as u8).collect();
    set.put_bytes(tags::PIXEL_DATA, Vr::OW, pixels);
    set
}

fn config(data: &Path) -> ArchiveConfig {
    ArchiveConfig {
        data: data.to_owned(),
        pack_bytes: 16 << 20,
        small_object_bytes: 1 << 20,
        ..ArchiveConfig::default()
    }
}

async fn open(data: &Path) -> Arc<Archive> {
    Archive::open(config(data), Vec::new()).await.unwrap()
}

async fn store(archive: &Arc<Archive>, bytes: &[u8]) -> Result<Stored> {
    let announcement = Announcement {
        transfer_syntax_uid: EXPLICIT_LITTLE.into(),
        ..Announcement::by(Arc::new(Principal::command()))
    };
    let mut receiving = archive.begin_data_set(announcement)?;
    for chunk in bytes.chunks(100_000) {
        receiving.write(chunk).await?;
    }
    receiving.finish().await
}

fn encoded(set: &DataSet) -> Vec<u8> {
    encoding::write(set, Encoding::ExplicitLittle)
}

async fn read_back(archive: &Archive, uid: &str, syntax: &str) -> Vec<u8> {
    let selection = Selection {
        instances: vec![uid.into()],
        ..Selection::default()
    };
    let found = archive
        .select(&Principal::command(), Right::Download, &selection)
        .await
        .unwrap();
    assert_eq!(found.len(), 1, "{uid} is there");
    let stream = archive.data_set(&found[0], syntax).await.unwrap();
    stream.collect(1 << 30).await.unwrap().to_vec()
}

async fn find_studies(archive: &Archive, key: (Tag, Vr, &str)) -> Vec<DataSet> {
    let mut identifier = DataSet::new();
    identifier.put_text(tags::QUERY_RETRIEVE_LEVEL, Vr::CS, "STUDY");
    identifier.put_text(tags::SPECIFIC_CHARACTER_SET, Vr::CS, "ISO_IR 192");
    identifier.put_empty(tags::MODALITIES_IN_STUDY, Vr::CS);
    identifier.put_empty(tags::NUMBER_OF_STUDY_RELATED_INSTANCES, Vr::IS);
    identifier.put_text(key.0, key.1, key.2);
    let request =
        FindRequest::from_identifier(&identifier, Model::StudyRoot, &FindOptions::default());
    let mut matches = archive
        .find(
            &Principal::command(),
            request.unwrap().query(),
            AskedAs {
                service: "test",
                text: "",
            },
        )
        .await
        .unwrap();
    let mut all = Vec::new();
    while let Some(answer) = matches.next().await {
        all.push(answer.unwrap());
    }
    all
}

#[tokio::test]
async fn what_is_stored_is_found_and_comes_back_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let archive = open(folder.path()).await;
    let small = encoded(&instance("1.2.1", "1.2.1.1", "1.2.1.1.1", 2000));
    let large = encoded(&instance("1.2.1", "1.2.1.1", "1.2.1.1.2", 3 << 20));
    for bytes in [&small, &large] {
        assert_eq!(
            store(&archive, bytes).await.unwrap().outcome,
            StoreOutcome::New
        );
        assert_eq!(
            store(&archive, bytes).await.unwrap().outcome,
            StoreOutcome::Identical
        );
    }
    assert_eq!(
        read_back(&archive, "1.2.1.1.1", EXPLICIT_LITTLE).await,
        small
    );
    assert_eq!(
        read_back(&archive, "1.2.1.1.2", EXPLICIT_LITTLE).await,
        large
    );

    for key in ["MULLER*", "müller^jörg", "*"] {
        let found = find_studies(&archive, (tags::PATIENT_NAME, Vr::PN, key)).await;
        assert_eq!(found.len(), 1, "{key}");
        assert_eq!(found[0].string(tags::PATIENT_NAME).unwrap(), "Müller^Jörg");
        assert_eq!(
            found[0].integer(tags::NUMBER_OF_STUDY_RELATED_INSTANCES),
            Some(2)
        );
        assert_eq!(found[0].ascii(tags::MODALITIES_IN_STUDY), Some("CT"));
    }
    assert!(
        find_studies(&archive, (tags::PATIENT_NAME, Vr::PN, "MEIER*"))
            .await
            .is_empty()
    );
    archive.close().await;
}

#[tokio::test]
async fn another_encoding_says_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let archive = open(folder.path()).await;
    let set = instance("1.2.1", "1.2.1.1", "1.2.1.1.1", 2000);
    store(&archive, &encoded(&set)).await.unwrap();
    let implicit = read_back(&archive, "1.2.1.1.1", IMPLICIT_LITTLE).await;
    assert_eq!(implicit, encoding::write(&set, Encoding::ImplicitLittle));
    archive.close().await;
}

#[tokio::test]
async fn other_bytes_under_a_uid_in_use_do_not_replace_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let archive = open(folder.path()).await;
    let first = encoded(&instance("1.2.1", "1.2.1.1", "1.2.1.1.1", 2000));
    store(&archive, &first).await.unwrap();
    let other = encoded(&instance("1.2.1", "1.2.1.1", "1.2.1.1.1", 2002));
    let answered = store(&archive, &other).await.unwrap();
    assert_eq!(answered.outcome, StoreOutcome::DifferentKeptFirst);
    let elsewhere = encoded(&instance("1.2.9", "1.2.9.1", "1.2.1.1.1", 2000));
    assert_eq!(
        store(&archive, &elsewhere).await.unwrap_err().kind(),
        Kind::Conflict
    );
    assert_eq!(
        read_back(&archive, "1.2.1.1.1", EXPLICIT_LITTLE).await,
        first
    );
    archive.close().await;
}

#[tokio::test]
async fn what_comes_at_once_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let archive = open(folder.path()).await;
    let uid = |number: usize| format!("1.2.1.1.{number}");
    let of = |number: usize, length| encoded(&instance("1.2.1", "1.2.1.1", &uid(number), length));
    for number in 0..5 {
        store(&archive, &of(number, 2000)).await.unwrap();
    }
    // Five are there; of the others each comes twice, with the same bytes or with others.
    let mut sent: Vec<Vec<u8>> = (0..5).map(|number| of(number, 2000)).collect();
    for number in 5..25 {
        let other = if number < 15 { 2000 } else { 3000 };
        sent.extend([of(number, 2000), of(number, other)]);
    }
    let stored = sent.iter().map(|bytes| store(&archive, bytes));
    let mut outcomes: HashMap<String, Vec<StoreOutcome>> = HashMap::new();
    for stored in futures_util::future::join_all(stored).await {
        let stored = stored.unwrap();
        let of_uid = outcomes.entry(stored.sop_instance_uid.to_string());
        of_uid.or_default().push(stored.outcome);
    }
    for number in 0..25 {
        let mut found = outcomes.remove(&uid(number)).unwrap();
        found.sort_by_key(|outcome| *outcome != StoreOutcome::New);
        let expect = match number {
            0..5 => vec![StoreOutcome::Identical],
            5..15 => vec![StoreOutcome::New, StoreOutcome::Identical],
            _ => vec![StoreOutcome::New, StoreOutcome::DifferentKeptFirst],
        };
        assert_eq!(found, expect, "{number}");
    }
    archive.close().await;
}

#[tokio::test]
async fn what_is_wrong_is_refused_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let archive = open(folder.path()).await;
    let good = instance("1.2.1", "1.2.1.1", "1.2.1.1.1", 2000);
    let whole = encoded(&good);
    let cut = store(&archive, &whole[..whole.len() - 10])
        .await
        .unwrap_err();
    assert_eq!(cut.kind(), Kind::Malformed);
    let mut nameless = good.clone();
    nameless.remove(tags::SERIES_INSTANCE_UID);
    let missing = store(&archive, &encoded(&nameless)).await.unwrap_err();
    assert_eq!(missing.kind(), Kind::MismatchedSopClass);
    let announcement = Announcement {
        transfer_syntax_uid: EXPLICIT_LITTLE.into(),
        sop_instance_uid: Some("1.2.3".into()),
        ..Announcement::by(Arc::new(Principal::command()))
    };
    let mut receiving = archive.begin_data_set(announcement).unwrap();
    receiving.write(&whole).await.unwrap();
    assert_eq!(
        receiving.finish().await.unwrap_err().kind(),
        Kind::MismatchedSopClass
    );
    assert_eq!(
        archive
            .statistics(&Principal::command())
            .await
            .unwrap()
            .instances,
        0
    );
    archive.close().await;
}

#[tokio::test]
async fn a_deleted_study_is_hidden_and_can_be_restored() {
    let folder = tempfile::tempdir().unwrap();
    let archive = open(folder.path()).await;
    let bytes = encoded(&instance("1.2.1", "1.2.1.1", "1.2.1.1.1", 2000));
    store(&archive, &bytes).await.unwrap();
    let principal = Principal::command();
    let study = Target::Study {
        study: "1.2.1".into(),
    };
    let (deletion, removed) = archive.delete(&principal, study.clone()).await.unwrap();
    assert_eq!(removed.instances, 1);
    assert!(
        find_studies(&archive, (tags::PATIENT_ID, Vr::LO, "P1"))
            .await
            .is_empty()
    );
    let selection = Selection::study("1.2.1");
    assert!(
        archive
            .select(&principal, Right::Download, &selection)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(archive.was_deleted(&principal, &selection).await.unwrap());
    assert_eq!(
        archive.delete(&principal, study).await.unwrap_err().kind(),
        Kind::NotFound
    );
    archive.restore(&principal, deletion).await.unwrap();
    assert_eq!(
        read_back(&archive, "1.2.1.1.1", EXPLICIT_LITTLE).await,
        bytes
    );
    archive.close().await;
}

#[tokio::test]
async fn the_index_catches_up_with_the_ledger() {
    let folder = tempfile::tempdir().unwrap();
    let archive = open(folder.path()).await;
    let first = encoded(&instance("1.2.1", "1.2.1.1", "1.2.1.1.1", 2000));
    store(&archive, &first).await.unwrap();
    archive.close().await;
    drop(archive);
    let before = tempfile::tempdir().unwrap();
    copy_index(folder.path(), before.path());

    let archive = open(folder.path()).await;
    let second = encoded(&instance("1.2.2", "1.2.2.1", "1.2.2.1.1", 3 << 20));
    store(&archive, &second).await.unwrap();
    let study = Target::Study {
        study: "1.2.1".into(),
    };
    archive.delete(&Principal::command(), study).await.unwrap();
    archive.close().await;
    drop(archive);

    // The power failed, and what the index had not written since is gone.
    copy_index(before.path(), folder.path());
    let archive = open(folder.path()).await;
    assert_eq!(
        read_back(&archive, "1.2.2.1.1", EXPLICIT_LITTLE).await,
        second
    );
    let statistics = archive.statistics(&Principal::command()).await.unwrap();
    assert_eq!((statistics.instances, statistics.deleted_instances), (1, 1));
    archive.close().await;
    drop(archive);

    // The index is lost altogether.
    let applied = maintenance::reindex(&config(folder.path()), &mut |_| {}).unwrap();
    assert_eq!((applied.instances, applied.damaged), (2, 0));
    let archive = open(folder.path()).await;
    assert_eq!(
        read_back(&archive, "1.2.2.1.1", EXPLICIT_LITTLE).await,
        second
    );
    let statistics = archive.statistics(&Principal::command()).await.unwrap();
    assert_eq!((statistics.instances, statistics.deleted_instances), (1, 1));
    archive.close().await;
}

fn copy_index(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(to).unwrap() {
        let path = entry.unwrap().path();
        if path
            .file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with("index.sqlite")
        {
            std::fs::remove_file(path).unwrap();
        }
    }
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_owned();
        if name.to_string_lossy().starts_with("index.sqlite") {
            std::fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

#[tokio::test]
async fn verification_finds_a_flipped_byte() {
    let folder = tempfile::tempdir().unwrap();
    let archive = open(folder.path()).await;
    let large = encoded(&instance("1.2.2", "1.2.2.1", "1.2.2.1.1", 3 << 20));
    store(&archive, &large).await.unwrap();
    archive.close().await;
    drop(archive);
    let config = config(folder.path());
    let sound = maintenance::verify(&config, &mut |_| {}).unwrap();
    assert_eq!((sound.instances, sound.problems.len()), (1, 0));

    let file = find_file(&folder.path().join("blobs/large")).unwrap();
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let found = maintenance::verify(&config, &mut |_| {}).unwrap();
    assert_eq!(found.problems.len(), 1, "{found:?}");
    assert!(found.problems[0].contains("1.2.2.1.1"));
}

fn find_file(folder: &Path) -> Option<std::path::PathBuf> {
    std::fs::read_dir(folder).ok()?.find_map(|entry| {
        let path = entry.ok()?.path();
        if path.is_dir() {
            find_file(&path)
        } else {
            Some(path)
        }
    })
}
