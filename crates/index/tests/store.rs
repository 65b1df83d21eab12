//! What happens to the index when instances come, go and come back.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

use gantry_blob::failpoint::{self, Action};
use gantry_blob::{BlobLocation, Position};
use gantry_core::access::{Permitted, Scope};
use gantry_dicom::header::Header;
use gantry_dicom::{Vr, tags};
use gantry_index::change::Attempt;
use gantry_index::job::JobChange;
use gantry_index::permit::Permit;
use gantry_index::remove::Removed;
use gantry_index::{
    Change, Index, IndexError, JobState, NewJob, Options, Outcome, Selection, Source, Target,
};
use proptest::prelude::*;
use rusqlite::Connection;
use std::ops::ControlFlow;
use std::path::Path;
use support::{Bench, Sample, new_instance, sample};

fn uids(index: &Index, selection: &Selection) -> Vec<String> {
    let mut uids = Vec::new();
    index
        .select(selection, &Permit::everything(), |row| {
            uids.push(row.sop_instance_uid.to_string());
            ControlFlow::Continue(())
        })
        .unwrap();
    uids
}

fn delete(deletion: i64, target: Target) -> Change<'static> {
    Change::Delete {
        deletion,
        target,
        by: "tester".into(),
        at: 2_000_000,
    }
}

fn study(uid: &str) -> Target {
    Target::Study { study: uid.into() }
}

/// Everything that the index says about what can be seen, computed from the rows of instances
/// alone and as it is kept; they have to be the same.
fn check_invariants(root: &Path) {
    let connection = Connection::open(Index::path(root)).unwrap();
    let differing = |what: &str, sql: &str| {
        let mut statement = connection.prepare(sql).unwrap();
        let mut rows = statement.query([]).unwrap();
        if let Some(row) = rows.next().unwrap() {
            panic!("{what}: {row:?}");
        }
    };
    connection
        .execute_batch(
            "CREATE TEMP VIEW seen AS SELECT instance.id, instance.series, sop_class, length,
                    series.study, study.patient
             FROM main.instance JOIN main.series ON series.id = instance.series
             JOIN main.study ON study.id = series.study WHERE deletion IS NULL;",
        )
        .unwrap();
    differing(
        "series",
        "SELECT id, instances, bytes, instance FROM series EXCEPT
         SELECT series.id, count(seen.id), coalesce(sum(length), 0), min(seen.id)
         FROM series LEFT JOIN seen ON seen.series = series.id GROUP BY series.id",
    );
    differing(
        "study",
        "SELECT id, series, instances, bytes, instance FROM study EXCEPT
         SELECT study.id, count(DISTINCT seen.series), count(seen.id), coalesce(sum(length), 0),
                min(seen.id)
         FROM study LEFT JOIN seen ON seen.study = study.id GROUP BY study.id",
    );
    differing(
        "patient",
        "SELECT id, studies, series, instances, study FROM patient EXCEPT
         SELECT patient.id, count(DISTINCT seen.study), count(DISTINCT seen.series),
                count(seen.id), min(seen.study)
         FROM patient LEFT JOIN seen ON seen.patient = patient.id GROUP BY patient.id",
    );
    differing(
        "state",
        "SELECT patients, studies, series, instances, bytes FROM state EXCEPT
         SELECT count(DISTINCT patient), count(DISTINCT study), count(DISTINCT series), count(*),
                coalesce(sum(length), 0) FROM seen",
    );
    for (left, right) in [("EXCEPT", ""), ("", "EXCEPT")] {
        let one = "SELECT study, sop_class, count(*) FROM seen GROUP BY study, sop_class";
        let other = "SELECT study, sop_class, instances FROM study_sop_class WHERE instances > 0";
        let sql = if left.is_empty() {
            format!("{other} {right} {one}")
        } else {
            format!("{one} {left} {other}")
        };
        differing("study_sop_class", &sql);
    }
    differing(
        "study_modality",
        "SELECT DISTINCT modality, series.study FROM series
         WHERE instances > 0 AND modality IS NOT NULL EXCEPT
         SELECT modality, study FROM study_modality",
    );
    differing(
        "study_modality too many",
        "SELECT modality, study FROM study_modality EXCEPT
         SELECT modality, series.study FROM series WHERE instances > 0",
    );
    differing(
        "base of a header",
        "SELECT id FROM instance WHERE header_base IS NOT NULL AND header_base NOT IN
         (SELECT id FROM instance WHERE header_base IS NULL)",
    );
    differing("foreign key", "PRAGMA foreign_key_check");
    differing(
        "integrity",
        "SELECT * FROM pragma_integrity_check WHERE integrity_check <> 'ok'",
    );
}

/// Everything that can be seen, for comparing two indexes.
fn contents(root: &Path) -> Vec<String> {
    let connection = Connection::open(Index::path(root)).unwrap();
    let mut contents = Vec::new();
    for sql in [
        "SELECT hex(applied) || patients || '.' || studies || '.' || series || '.' || instances || '.' || bytes FROM state",
        "SELECT coalesce(patient_id, '-') || issuer || studies || '.' || series || '.' || instances FROM patient ORDER BY 1",
        "SELECT study_instance_uid || modalities || keys || series || '.' || instances || coalesce(study_date, '') FROM study ORDER BY 1",
        "SELECT series_instance_uid || coalesce(modality, '') || instances FROM series ORDER BY 1",
        "SELECT sop_instance_uid || hex(location) || hex(digest) || coalesce(deletion, '') FROM instance ORDER BY 1",
        "SELECT hex(location) FROM garbage ORDER BY 1",
        "SELECT id || level || instances || coalesce(restored_at, '') || coalesce(purged_at, '') FROM deletion ORDER BY 1",
    ] {
        let mut statement = connection.prepare(sql).unwrap();
        let rows = statement
            .query_map([], |row| row.get::<_, String>(0))
            .unwrap();
        contents.extend(rows.map(Result::unwrap));
    }
    contents
}

#[test]
fn an_instance_is_found_as_soon_as_it_is_stored() {
    let root = tempfile::tempdir().unwrap();
    let mut bench = Bench::open(root.path());
    let first = sample(1, 1, 1);
    let stored = bench.stored(&first);
    assert!(stored.is_new_study && stored.is_new_series && !stored.has_other_patient);
    let row = bench
        .index
        .locate(&first.uid, None, None, &Permit::everything())
        .unwrap()
        .unwrap();
    assert_eq!(row.id, stored.id);
    assert_eq!(
        (&*row.study_instance_uid, &*row.series_instance_uid),
        (&*first.study, &*first.series)
    );
    assert_eq!(
        (row.digest, row.data_set_length()),
        (first.digest, first.length - 300)
    );
    assert_eq!(
        bench
            .index
            .locate(&first.uid, Some("1.9"), None, &Permit::everything())
            .unwrap(),
        None
    );
    let existing = bench.writer.find_existing(&[&first.uid, "1.9"]).unwrap();
    assert_eq!(existing[0].as_ref().unwrap().digest, first.digest);
    assert_eq!(existing[1], None);
    assert_eq!(bench.index.applied_position().unwrap(), bench.at);
    assert_eq!(
        bench.index.header(stored.id).unwrap().parse().unwrap(),
        first.attributes
    );
}

#[test]
fn headers_come_back_as_they_were_whatever_they_are_packed_against() {
    let root = tempfile::tempdir().unwrap();
    let mut samples: Vec<Sample> = (0..60).map(|at| sample(at / 30, at % 3, at)).collect();
    // Larger than anything others are packed against, first of its series.
    samples.insert(
        0,
        sample(0, 7, 0).with(tags::IMAGE_COMMENTS, Vr::LT, &"x".repeat(100_000)),
    );
    samples.insert(1, sample(0, 7, 1));
    samples.insert(2, sample(0, 7, 2));
    {
        let mut bench = Bench::open(root.path());
        bench.store_all(&samples[..20]);
    }
    let mut bench = Bench::open(root.path());
    for chunk in samples[20..].chunks(7) {
        bench.store_all(chunk);
    }
    let mut read = Vec::new();
    let all = Selection {
        studies: vec!["1.2.3.0".into(), "1.2.3.1".into()],
        ..Selection::default()
    };
    bench
        .index
        .headers(&all, &Permit::everything(), |row, header| {
            read.push((row.sop_instance_uid.to_string(), header.parse().unwrap()));
            ControlFlow::Continue(())
        })
        .unwrap();
    read.sort_by(|a, b| a.0.cmp(&b.0));
    samples.sort_by(|a, b| a.uid.cmp(&b.uid));
    assert_eq!(read.len(), samples.len());
    for (read, sample) in read.iter().zip(&samples) {
        assert_eq!((&read.0, &read.1), (&sample.uid, &sample.attributes));
    }
    check_invariants(root.path());
}

#[test]
fn a_taken_uid_is_not_stored_again() {
    let root = tempfile::tempdir().unwrap();
    let mut bench = Bench::open(root.path());
    let first = sample(1, 1, 1);
    bench.stored(&first);
    let Outcome::Duplicate {
        is_identical: true,
        existing,
    } = bench.store(&first)
    else {
        panic!()
    };
    assert_eq!(existing.digest, first.digest);
    let different = Sample {
        digest: [9; 32],
        ..first.clone()
    };
    assert!(matches!(
        bench.store(&different),
        Outcome::Duplicate {
            is_identical: false,
            ..
        }
    ));
    let elsewhere = Sample {
        series: "1.2.3.1.99".into(),
        ..first.clone()
    };
    assert!(matches!(bench.store(&elsewhere), Outcome::Conflict { .. }));
    let elsewhere = Sample {
        study: "1.2.3.99".into(),
        ..first.clone()
    };
    assert!(matches!(bench.store(&elsewhere), Outcome::Conflict { .. }));
    let kinds: Vec<_> = bench
        .index
        .attempts(10)
        .unwrap()
        .into_iter()
        .map(|attempt| attempt.kind)
        .collect();
    assert_eq!(
        kinds,
        ["other-series", "other-series", "different-duplicate"]
    );
    // The bytes of the four were written and are of no use.
    assert_eq!(bench.index.garbage(10).unwrap().len(), 4);
    assert_eq!(
        bench
            .index
            .statistics(&Permit::everything())
            .unwrap()
            .instances,
        1
    );
    assert_eq!(
        bench
            .index
            .statistics(&Permit::everything())
            .unwrap()
            .studies,
        1
    );
    check_invariants(root.path());
    let two = [sample(2, 1, 1), sample(2, 1, 1)];
    let outcomes = bench.store_all(&two);
    assert!(matches!(outcomes[0], Outcome::Stored(_)));
    assert!(matches!(
        outcomes[1],
        Outcome::Duplicate {
            is_identical: true,
            ..
        }
    ));
    check_invariants(root.path());
}

#[test]
fn a_study_keeps_its_first_patient() {
    let root = tempfile::tempdir().unwrap();
    let mut bench = Bench::open(root.path());
    bench.stored(&sample(1, 1, 1));
    for number in 2..5 {
        let other = sample(1, 1, number).with(tags::PATIENT_ID, Vr::LO, "SOMEBODY ELSE");
        assert!(bench.stored(&other).has_other_patient);
    }
    assert_eq!(
        bench
            .index
            .statistics(&Permit::everything())
            .unwrap()
            .patients,
        1
    );
    let attempts = bench.index.attempts(10).unwrap();
    assert_eq!(attempts.len(), 1, "noted once");
    assert_eq!(attempts[0].kind, "other-patient");
    assert!(
        !attempts[0].detail.contains("SOMEBODY"),
        "no patient data in it"
    );
    check_invariants(root.path());
    // When only the others are left, the study is theirs.
    let target = Target::Instance {
        study: "1.2.3.1".into(),
        series: "1.2.3.1.1".into(),
        instance: "1.2.3.1.1.1".into(),
    };
    bench.apply(&[delete(1, target)]);
    let selection = Selection {
        patient_ids: vec!["SOMEBODY ELSE".into()],
        ..Selection::default()
    };
    assert_eq!(uids(&bench.index, &selection).len(), 3);
    check_invariants(root.path());
}

#[test]
fn studies_without_patient_id_are_patients_of_their_own() {
    let root = tempfile::tempdir().unwrap();
    let mut bench = Bench::open(root.path());
    for study in [1, 2] {
        for number in [1, 2] {
            bench.stored(&sample(study, 1, number).without(tags::PATIENT_ID));
        }
    }
    assert_eq!(
        bench
            .index
            .statistics(&Permit::everything())
            .unwrap()
            .patients,
        2
    );
    check_invariants(root.path());
}

#[test]
fn the_same_id_of_two_issuers_is_two_patients() {
    let root = tempfile::tempdir().unwrap();
    let mut bench = Bench::open(root.path());
    for (study, issuer) in [(1, "HOSPITAL A"), (2, "HOSPITAL B"), (3, "HOSPITAL A")] {
        let sample = sample(study, 1, 1)
            .with(tags::PATIENT_ID, Vr::LO, "1")
            .with(tags::ISSUER_OF_PATIENT_ID, Vr::LO, issuer);
        bench.stored(&sample);
    }
    assert_eq!(
        bench
            .index
            .statistics(&Permit::everything())
            .unwrap()
            .patients,
        2
    );
    let one = Target::Patient {
        patient_id: "1".into(),
        issuer: Some("HOSPITAL A".into()),
    };
    bench.apply(&[delete(1, one)]);
    assert_eq!(
        bench
            .index
            .statistics(&Permit::everything())
            .unwrap()
            .studies,
        1
    );
    check_invariants(root.path());
}

#[test]
fn a_selection_is_in_order_and_in_all_of_its_lists() {
    let root = tempfile::tempdir().unwrap();
    let mut bench = Bench::open(root.path());
    let mut samples = Vec::new();
    for series in [10, 2, 1] {
        for number in [3, 20, 1] {
            samples.push(sample(1, series, number));
        }
    }
    bench.store_all(&samples);
    bench.stored(&sample(2, 1, 1));
    let order = [
        "1.1", "1.3", "1.20", "2.1", "2.3", "2.20", "10.1", "10.3", "10.20",
    ];
    let expected: Vec<_> = order.iter().map(|end| format!("1.2.3.1.{end}")).collect();
    assert_eq!(uids(&bench.index, &Selection::study("1.2.3.1")), expected);
    assert_eq!(
        uids(&bench.index, &Selection::series("1.2.3.1", "1.2.3.1.2")),
        expected[3..6]
    );
    let of = |selection: Selection| uids(&bench.index, &selection).len();
    assert_eq!(of(Selection::series("1.2.3.2", "1.2.3.1.2")), 0);
    assert_eq!(of(Selection::default()), 0);
    let patient = Selection {
        patient_ids: vec!["PID0".into(), "PID1".into()],
        ..Selection::default()
    };
    assert_eq!(of(patient.clone()), 10);
    assert_eq!(
        of(Selection {
            studies: vec!["1.2.3.2".into()],
            ..patient
        }),
        1
    );
    let instances = vec!["1.2.3.1.10.3".into(), "1.2.3.1.1.20".into(), "1.9".into()];
    let selection = Selection {
        instances,
        ..Selection::default()
    };
    assert_eq!(
        uids(&bench.index, &selection),
        ["1.2.3.1.1.20", "1.2.3.1.10.3"]
    );
    assert_eq!(
        of(Selection {
            series: vec!["1.2.3.1.10".into()],
            ..selection
        }),
        1
    );
}

#[test]
fn what_is_deleted_is_gone_at_once_and_can_be_restored() {
    let root = tempfile::tempdir().unwrap();
    let mut bench = Bench::open(root.path());
    let samples: Vec<_> = (0..12).map(|at| sample(at / 6, at % 2, at)).collect();
    bench.store_all(&samples);
    let before = bench.index.statistics(&Permit::everything()).unwrap();
    let outcome = bench.apply(&[delete(77, study("1.2.3.1"))]);
    let Outcome::Removed(Removed {
        studies: 1,
        instances: 6,
        ..
    }) = outcome[0]
    else {
        panic!("{outcome:?}")
    };
    check_invariants(root.path());
    let study_1 = Selection::study("1.2.3.1");
    assert!(uids(&bench.index, &study_1).is_empty());
    assert!(
        bench
            .index
            .was_deleted(&study_1, &Permit::everything())
            .unwrap()
    );
    assert!(
        !bench
            .index
            .was_deleted(&Selection::study("1.2.3.0"), &Permit::everything())
            .unwrap()
    );
    assert_eq!(
        bench
            .index
            .locate(&samples[6].uid, None, None, &Permit::everything())
            .unwrap(),
        None
    );
    assert_eq!(
        bench
            .index
            .statistics(&Permit::everything())
            .unwrap()
            .deleted_instances,
        6
    );
    let open = bench.index.open_deletions(None, 10).unwrap();
    assert_eq!((open[0].id, &open[0].target), (77, &study("1.2.3.1")));
    let again = bench.apply(&[delete(78, study("1.2.3.1")), delete(79, study("1.9"))]);
    assert_eq!(
        again,
        [
            Outcome::Removed(Removed::default()),
            Outcome::Removed(Removed::default())
        ]
    );
    bench.apply(&[Change::Restore {
        deletion: 77,
        at: 3_000_000,
    }]);
    assert_eq!(
        bench.index.statistics(&Permit::everything()).unwrap(),
        before
    );
    assert_eq!(uids(&bench.index, &study_1).len(), 6);
    assert!(
        !bench
            .index
            .was_deleted(&study_1, &Permit::everything())
            .unwrap()
    );
    assert!(bench.index.open_deletions(None, 10).unwrap().is_empty());
    check_invariants(root.path());
}

#[test]
fn what_was_deleted_may_be_sent_again() {
    let root = tempfile::tempdir().unwrap();
    let mut bench = Bench::open(root.path());
    bench.store_all(&[sample(1, 1, 1), sample(1, 1, 2)]);
    bench.apply(&[delete(1, study("1.2.3.1"))]);
    let corrected = sample(1, 1, 1).with(tags::PATIENT_NAME, Vr::PN, "Right^Name");
    bench.stored(&corrected);
    check_invariants(root.path());
    assert_eq!(
        uids(&bench.index, &Selection::study("1.2.3.1")),
        *std::slice::from_ref(&corrected.uid)
    );
    let outcome = bench.apply(&[Change::Restore {
        deletion: 1,
        at: 3_000_000,
    }]);
    let Outcome::Removed(Removed { instances: 1, .. }) = outcome[0] else {
        panic!("{outcome:?}")
    };
    check_invariants(root.path());
    let row = bench
        .index
        .locate(&corrected.uid, None, None, &Permit::everything())
        .unwrap()
        .unwrap();
    assert_eq!(
        bench.index.header(row.id).unwrap().parse().unwrap(),
        corrected.attributes
    );
    assert_eq!(uids(&bench.index, &Selection::study("1.2.3.1")).len(), 2);
}

#[test]
fn a_purge_forgets_and_leaves_garbage() {
    let root = tempfile::tempdir().unwrap();
    let mut bench = Bench::open(root.path());
    let samples: Vec<_> = (1..6).map(|number| sample(1, 1, number)).collect();
    bench.store_all(&samples);
    let first = |number: usize| Target::Instance {
        study: "1.2.3.1".into(),
        series: "1.2.3.1.1".into(),
        instance: samples[number].uid.clone(),
    };
    // The others' headers are packed against the first one's.
    bench.apply(&[delete(1, first(0)), delete(2, first(2))]);
    bench.apply(&[Change::Purge { deletion: 1, at: 9 }]);
    check_invariants(root.path());
    for sample in &samples[3..] {
        let row = bench
            .index
            .locate(&sample.uid, None, None, &Permit::everything())
            .unwrap()
            .unwrap();
        assert_eq!(
            bench.index.header(row.id).unwrap().parse().unwrap(),
            sample.attributes
        );
    }
    let garbage = bench.index.garbage(10).unwrap();
    assert_eq!(
        garbage,
        [BlobLocation::Pack {
            pack: 1,
            offset: 0,
            length: 1001
        }]
    );
    bench.apply(&[
        Change::Restore {
            deletion: 1,
            at: 10,
        },
        Change::Restore {
            deletion: 2,
            at: 10,
        },
    ]);
    assert_eq!(uids(&bench.index, &Selection::study("1.2.3.1")).len(), 4);
    bench.apply(&[Change::Collected(garbage)]);
    assert!(bench.index.garbage(10).unwrap().is_empty());
    bench.apply(&[delete(3, study("1.2.3.1"))]);
    bench.apply(&[Change::Purge {
        deletion: 3,
        at: 11,
    }]);
    check_invariants(root.path());
    assert_eq!(bench.index.garbage(10).unwrap().len(), 4);
    let connection = Connection::open(Index::path(root.path())).unwrap();
    for table in [
        "instance",
        "series",
        "study",
        "patient",
        "study_key",
        "study_modality",
    ] {
        let rows: i64 = connection
            .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| {
                row.get(0)
            })
            .unwrap();
        assert_eq!(rows, 0, "{table}");
    }
    assert!(
        bench
            .index
            .was_deleted(&Selection::study("1.2.3.1"), &Permit::everything())
            .unwrap()
    );
}

#[test]
fn a_large_blob_is_known_until_its_space_is_given_back() {
    let root = tempfile::tempdir().unwrap();
    let mut bench = Bench::open(root.path());
    let sample = sample(1, 1, 1);
    let header = Header::from_data_set(&sample.attributes);
    let id = gantry_blob::LargeId::parse("0123456789abcdef0123456789abcdef").unwrap();
    let other = gantry_blob::LargeId::parse("0123456789abcdef0123456789abcdee").unwrap();
    let location = BlobLocation::Large {
        id,
        length: 5 << 20,
    };
    let new = gantry_index::NewInstance {
        location,
        ..new_instance(&sample, &header, 0)
    };
    bench.apply(&[Change::Store(new)]);
    let knows = |bench: &Bench| {
        (
            bench.index.knows_large(id).unwrap(),
            bench.index.knows_large(other).unwrap(),
        )
    };
    assert_eq!(knows(&bench), (true, false));
    bench.apply(&[delete(1, study("1.2.3.1"))]);
    assert_eq!(knows(&bench), (true, false));
    bench.apply(&[Change::Purge { deletion: 1, at: 1 }]);
    assert_eq!(knows(&bench), (true, false));
    bench.apply(&[Change::Collected(vec![location])]);
    assert_eq!(knows(&bench), (false, false));
}

#[test]
fn a_change_that_leaves_out_records_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let mut bench = Bench::open(root.path());
    bench.stored(&sample(1, 1, 1));
    bench.at.sequence += 1;
    let span = bench.span(1);
    let error = bench
        .writer
        .apply(&[delete(1, study("1"))], Some(span))
        .unwrap_err();
    assert!(matches!(error, IndexError::Gap { .. }));
    assert!(bench.index.deletion(1).unwrap().is_none());
}

#[test]
fn a_failed_transaction_changes_nothing_and_can_be_repeated() {
    for step in ["index.begin", "index.commit"] {
        let root = tempfile::tempdir().unwrap();
        let mut bench = Bench::open(root.path());
        bench.stored(&sample(1, 1, 1));
        let before = contents(root.path());
        let samples = [sample(1, 1, 2), sample(2, 1, 1)];
        let headers: Vec<_> = samples
            .iter()
            .map(|sample| Header::from_data_set(&sample.attributes))
            .collect();
        let changes: Vec<_> = samples
            .iter()
            .zip(&headers)
            .map(|(sample, header)| Change::Store(new_instance(sample, header, 5)))
            .collect();
        let span = bench.span(2);
        let guard = failpoint::arm(step, Action::NoSpace, 0, 1);
        let error = bench.writer.apply(&changes, Some(span)).unwrap_err();
        assert!(matches!(error, IndexError::NoSpace), "{error:?}");
        drop(guard);
        assert_eq!(contents(root.path()), before);
        bench.writer.apply(&changes, Some(span)).unwrap();
        assert_eq!(
            bench
                .index
                .statistics(&Permit::everything())
                .unwrap()
                .instances,
            3
        );
        check_invariants(root.path());
    }
}

/// A file system of its own, of a few megabytes. Only root may mount; others skip the test.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount(megabytes: u32) -> Option<Self> {
        let root = tempfile::tempdir().unwrap();
        let size = format!("size={megabytes}m");
        let arguments = ["-t", "tmpfs", "-o", &size, "gantry-test"];
        let output = std::process::Command::new("mount")
            .args(arguments)
            .arg(root.path())
            .output()
            .ok()?;
        if !output.status.success() {
            eprintln!("skipped: {}", String::from_utf8_lossy(&output.stderr));
            return None;
        }
        Some(Self(root))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount")
            .arg("-l")
            .arg(self.0.path())
            .status();
    }
}

#[test]
fn a_full_disk_is_an_error_and_no_damage() {
    let Some(disk) = SmallDisk::mount(8) else {
        return;
    };
    let root = disk.0.path();
    let filler = root.join("filler");
    std::fs::write(&filler, vec![0; 3 << 20]).unwrap();
    let mut bench = Bench::open(root);
    // Nothing of one header is in another.
    let comments = |at: u32| {
        let mut text = vec![0; 3000];
        blake3::Hasher::new()
            .update(&at.to_le_bytes())
            .finalize_xof()
            .fill(&mut text);
        text.iter()
            .map(|byte| char::from(b'A' + byte % 60))
            .collect::<String>()
    };
    let samples: Vec<_> = (0..3000)
        .map(|at| sample(at / 10, 1, at).with(tags::IMAGE_COMMENTS, Vr::LT, &comments(at)))
        .collect();
    let mut samples = samples.iter();
    let (mut stored, mut refused) = (0, 0);
    while refused < 5 {
        let sample = samples.next().unwrap();
        let header = Header::from_data_set(&sample.attributes);
        let span = bench.span(1);
        match bench.writer.apply(
            &[Change::Store(new_instance(sample, &header, stored))],
            Some(span),
        ) {
            Ok(_) => {
                bench.at = span.to;
                stored += 1;
            }
            Err(error) => {
                assert_eq!(
                    error.kind(),
                    gantry_core::failure::Kind::OutOfResources,
                    "{error:?}"
                );
                refused += 1;
            }
        }
    }
    assert!(stored > 100, "{stored}");
    assert_eq!(
        bench
            .index
            .statistics(&Permit::everything())
            .unwrap()
            .instances,
        stored
    );
    std::fs::remove_file(&filler).unwrap();
    check_invariants(root);
    for sample in samples.by_ref().take(100) {
        bench.stored(sample);
        stored += 1;
    }
    assert_eq!(
        bench
            .index
            .statistics(&Permit::everything())
            .unwrap()
            .instances,
        stored
    );
    check_invariants(root);
}

#[test]
fn jobs_are_leased_retried_and_finished() {
    let root = tempfile::tempdir().unwrap();
    let mut bench = Bench::open(root.path());
    let new = |key: Option<&str>, due_at| NewJob {
        kind: "commitment".into(),
        key: key.map(str::to_owned),
        payload: "{}".into(),
        due_at,
        created_at: 0,
    };
    let changes = [
        Change::Enqueue(new(Some("a"), 10)),
        Change::Enqueue(new(Some("a"), 10)),
        Change::Enqueue(new(None, 50)),
    ];
    let outcomes = bench.writer.apply(&changes, None).unwrap();
    let Outcome::Enqueued { id, is_new: true } = outcomes[0] else {
        panic!()
    };
    assert_eq!(outcomes[1], Outcome::Enqueued { id, is_new: false });
    let lease = |bench: &mut Bench, now| {
        let kinds = vec!["other".into(), "commitment".into()];
        let change = JobChange::Lease {
            kinds,
            now,
            until: now + 100,
            limit: 10,
        };
        match bench
            .writer
            .apply(&[Change::Job(change)], None)
            .unwrap()
            .remove(0)
        {
            Outcome::Leased(jobs) => jobs,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        bench.index.next_job_due(&["commitment", "other"]).unwrap(),
        Some(10)
    );
    assert_eq!(bench.index.open_jobs("commitment").unwrap(), 2);
    assert!(lease(&mut bench, 9).is_empty());
    let leased = lease(&mut bench, 10);
    assert_eq!((leased.len(), leased[0].id, leased[0].attempts), (1, id, 1));
    assert_eq!(
        lease(&mut bench, 60).len(),
        1,
        "the other one; the first is leased"
    );
    let again = lease(&mut bench, 111);
    assert_eq!(
        (again.len(), again[0].attempts),
        (1, 2),
        "the lease has ended"
    );
    let retry = JobChange::Retry {
        id,
        due_at: 500,
        error: "no answer".into(),
    };
    bench.writer.apply(&[Change::Job(retry)], None).unwrap();
    assert_eq!(lease(&mut bench, 400).len(), 1);
    assert_eq!(
        lease(&mut bench, 500)[0].outcome.as_deref(),
        Some("no answer")
    );
    let done = JobChange::Complete {
        id,
        at: 600,
        outcome: Some("{\"ok\":1}".into()),
    };
    let cancel = JobChange::Cancel { id, at: 700 };
    let outcomes = bench
        .writer
        .apply(&[Change::Job(done), Change::Job(cancel)], None)
        .unwrap();
    assert_eq!(outcomes, [Outcome::Changed(1), Outcome::Changed(0)]);
    assert_eq!(bench.index.open_jobs("commitment").unwrap(), 1);
    let job = bench.index.job("commitment", "a").unwrap().unwrap();
    assert_eq!((job.state, job.finished_at), (JobState::Done, Some(600)));
    let outcomes = bench
        .writer
        .apply(&[Change::Enqueue(new(Some("a"), 0))], None)
        .unwrap();
    assert_eq!(
        outcomes[0],
        Outcome::Enqueued { id, is_new: false },
        "remembered"
    );
    bench
        .writer
        .apply(
            &[Change::Job(JobChange::Forget {
                finished_before: 601,
            })],
            None,
        )
        .unwrap();
    assert_eq!(bench.index.job("commitment", "a").unwrap(), None);
    assert_eq!(bench.index.jobs(None, 10).unwrap().len(), 1);
}

#[test]
fn facts_peers_and_attempts_are_kept() {
    let root = tempfile::tempdir().unwrap();
    let mut bench = Bench::open(root.path());
    let fact = |value: Option<&[u8]>| Change::Fact {
        key: "k".into(),
        value: value.map(<[u8]>::to_vec),
    };
    bench
        .writer
        .apply(&[fact(Some(b"1")), fact(Some(b"2"))], None)
        .unwrap();
    assert_eq!(bench.index.fact("k").unwrap().unwrap(), b"2");
    bench.writer.apply(&[fact(None)], None).unwrap();
    assert_eq!(bench.index.fact("k").unwrap(), None);
    let called = |at| Change::PeerCalled {
        ae_title: "CT".into(),
        address: "10.0.0.1".into(),
        at,
    };
    bench
        .writer
        .apply(&[called(5), called(7), called(6)], None)
        .unwrap();
    let peer = bench.index.peers().unwrap().remove(0);
    assert_eq!((peer.first_at, peer.last_at, peer.calls), (5, 7, 3));
    let attempt = Attempt {
        at: 1,
        kind: "malformed",
        sop_instance_uid: "1.2",
        digest: None,
        source: Source {
            calling_ae: "CT",
            ..Source::default()
        },
        detail: "no Study Instance UID",
    };
    bench
        .writer
        .apply(&[Change::Attempt(attempt)], None)
        .unwrap();
    let seen = bench.index.attempts(1).unwrap().remove(0);
    assert_eq!(
        (seen.kind.as_str(), seen.calling_ae.as_str(), seen.digest),
        ("malformed", "CT", None)
    );
}

#[test]
fn frame_indexes_are_kept_beside() {
    let root = tempfile::tempdir().unwrap();
    let mut bench = Bench::open(root.path());
    let mut sample = sample(1, 1, 1).with(tags::NUMBER_OF_FRAMES, Vr::IS, "12");
    sample
        .attributes
        .put_bytes(tags::PIXEL_DATA, Vr::OB, vec![0; 12]);
    let header = Header::from_data_set(&sample.attributes);
    let new = gantry_index::NewInstance {
        frame_index: Some(b"frames"),
        ..new_instance(&sample, &header, 0)
    };
    bench.apply(&[Change::Store(new)]);
    let row = bench
        .index
        .locate(&sample.uid, None, None, &Permit::everything())
        .unwrap()
        .unwrap();
    assert_eq!(row.number_of_frames, 12);
    assert_eq!(bench.index.frame_index(row.id).unwrap().unwrap(), "frames");
    bench.apply(&[delete(1, study("1.2.3.1"))]);
    bench.apply(&[Change::Purge { deletion: 1, at: 1 }]);
    assert_eq!(bench.index.frame_index(row.id).unwrap(), None);
}

#[test]
fn what_departs_from_the_transfer_syntax_is_kept() {
    let root = tempfile::tempdir().unwrap();
    let mut bench = Bench::open(root.path());
    let departure = gantry_dicom::scan::Departure {
        encoding: Some(gantry_dicom::encoding::Encoding::ExplicitBig),
        has_other_pixel_form: true,
        is_unclosed: true,
    };
    let (odd, plain) = (sample(1, 1, 1), sample(1, 1, 2));
    let header = Header::from_data_set(&odd.attributes);
    let new = gantry_index::NewInstance {
        departure,
        ..new_instance(&odd, &header, 0)
    };
    bench.apply(&[Change::Store(new)]);
    bench.stored(&plain);
    let located = |uid: &str| {
        bench
            .index
            .locate(uid, None, None, &Permit::everything())
            .unwrap()
            .unwrap()
    };
    assert_eq!(located(&odd.uid).departure, departure);
    assert!(located(&plain.uid).departure.is_none());
}

#[test]
fn an_index_of_the_first_version_is_brought_up_to_date() {
    let root = tempfile::tempdir().unwrap();
    let mut bench = Bench::open(root.path());
    let kept = sample(1, 1, 1).with(tags::INSTITUTION_NAME, Vr::LO, "North");
    bench.stored(&kept);
    drop(bench);
    let connection = Connection::open(Index::path(root.path())).unwrap();
    connection
        .execute_batch(
            "ALTER TABLE instance DROP COLUMN departure; ALTER TABLE study DROP COLUMN access;
             ALTER TABLE series DROP COLUMN access; DROP TABLE study_access;
             DROP TABLE study_mark; PRAGMA user_version = 1",
        )
        .unwrap();
    drop(connection);
    let bench = Bench::open(root.path());
    let row = bench
        .index
        .locate(&kept.uid, None, None, &Permit::everything())
        .unwrap()
        .unwrap();
    assert!(row.departure.is_none());
    let is_seen_by = |site: &str| {
        let scope = Scope {
            sites: vec![site.into()],
            ..Scope::default()
        };
        let permit = Permit::new(&Permitted::Scopes(vec![scope]), |_| Vec::new());
        bench.index.is_permitted(&kept.study, &permit).unwrap()
    };
    assert!(is_seen_by("north") && !is_seen_by("south"));
}

#[test]
fn a_newer_schema_is_refused() {
    let root = tempfile::tempdir().unwrap();
    drop(Bench::open(root.path()));
    let connection = Connection::open(Index::path(root.path())).unwrap();
    connection.pragma_update(None, "user_version", 999).unwrap();
    drop(connection);
    for error in [
        Index::open(root.path(), Options::default())
            .map(|_| ())
            .unwrap_err(),
        Index::open_for_reading(root.path(), &Options::default())
            .map(|_| ())
            .unwrap_err(),
    ] {
        assert!(
            matches!(error, IndexError::NewerSchema { found: 999, .. }),
            "{error:?}"
        );
    }
}

#[test]
fn an_index_is_read_beside_its_writer_and_missed_where_there_is_none() {
    let root = tempfile::tempdir().unwrap();
    let options = Options::default();
    let missing = Index::open_for_reading(root.path(), &options)
        .map(|_| ())
        .unwrap_err();
    assert!(matches!(missing, IndexError::Missing { .. }));
    let mut bench = Bench::open(root.path());
    bench.stored(&sample(1, 1, 1));
    let other = Index::open_for_reading(root.path(), &options).unwrap();
    assert_eq!(
        other.statistics(&Permit::everything()).unwrap().instances,
        1
    );
    drop((bench, other));
    Index::remove(root.path()).unwrap();
    assert_eq!(Bench::open(root.path()).at, Position::START);
}

/// Something that happens, for random histories.
#[derive(Debug, Clone)]
enum Event {
    Store(Vec<(u32, u32, u32, u32)>),
    Delete(Target),
    Restore(usize),
    Purge(usize),
    Reopen,
}

fn event() -> impl Strategy<Value = Event> {
    let place = || (0_u32..3, 0_u32..3, 0_u32..4);
    let stores = prop::collection::vec((0_u32..3, 0_u32..3, 0_u32..4, 0_u32..3), 1..6);
    prop_oneof![
        4 => stores.prop_map(Event::Store),
        2 => (place(), 0..4).prop_map(|((study, series, number), level)| {
            let of = sample(study, series, number);
            Event::Delete(match level {
                0 => Target::Patient { patient_id: format!("PID{}", study / 2), issuer: None },
                1 => Target::Study { study: of.study },
                2 => Target::Series { study: of.study, series: of.series },
                _ => Target::Instance { study: of.study, series: of.series, instance: of.uid },
            })
        }),
        1 => (0_usize..6).prop_map(Event::Restore),
        1 => (0_usize..6).prop_map(Event::Purge),
        1 => Just(Event::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

    #[test]
    fn counts_are_right_after_any_history(events in prop::collection::vec(event(), 1..20)) {
        let root = tempfile::tempdir().unwrap();
        let mut bench = Bench::open(root.path());
        let mut deletions = 0;
        for event in events {
            match event {
                Event::Store(places) => {
                    // A variant is another patient and another modality for the same UID.
                    let samples: Vec<_> = places.into_iter().map(|(study, series, number, variant)| {
                        let sample = sample(study, series, number);
                        match variant {
                            0 => sample,
                            1 => sample.with(tags::PATIENT_ID, Vr::LO, "OTHER").with(tags::MODALITY, Vr::CS, "MR"),
                            _ => sample.without(tags::PATIENT_ID).with(tags::PATIENT_NAME, Vr::PN, "X"),
                        }
                    }).collect();
                    bench.store_all(&samples);
                }
                Event::Delete(target) => {
                    deletions += 1;
                    bench.apply(&[delete(deletions, target)]);
                }
                Event::Restore(which) => {
                    let deletion = which as i64 % (deletions + 1);
                    bench.apply(&[Change::Restore { deletion, at: 1 }]);
                }
                Event::Purge(which) => {
                    let deletion = which as i64 % (deletions + 1);
                    bench.apply(&[Change::Purge { deletion, at: 1 }]);
                }
                Event::Reopen => {
                    drop(bench);
                    bench = Bench::open(root.path());
                }
            }
            check_invariants(root.path());
        }
    }
}
