//! A power cut takes what the disk does not have yet. The ledger gives it back.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

use gantry_blob::Position;
use gantry_index::{Change, Index, Target};
use proptest::prelude::*;
use rusqlite::Connection;
use std::path::Path;
use support::{Bench, Sample, new_instance, sample};

/// What the ledger holds: one change a record.
#[derive(Debug, Clone)]
enum Record {
    Store(Box<Sample>),
    Delete(i64, Target),
    Restore(i64),
    Purge(i64),
}

fn apply(bench: &mut Bench, records: &[Record], ledger_offset: u64) {
    let headers: Vec<_> = records
        .iter()
        .map(|record| match record {
            Record::Store(sample) => {
                gantry_dicom::header::Header::from_data_set(&sample.attributes)
            }
            _ => gantry_dicom::header::Header::default(),
        })
        .collect();
    let changes: Vec<_> = records
        .iter()
        .zip(&headers)
        .zip(ledger_offset..)
        .map(|((record, header), at)| match record {
            Record::Store(sample) => Change::Store(new_instance(sample, header, at)),
            Record::Delete(deletion, target) => Change::Delete {
                deletion: *deletion,
                target: target.clone(),
                by: "tester".into(),
                at: 5,
            },
            Record::Restore(deletion) => Change::Restore {
                deletion: *deletion,
                at: 6,
            },
            Record::Purge(deletion) => Change::Purge {
                deletion: *deletion,
                at: 7,
            },
        })
        .collect();
    bench.apply(&changes);
}

fn contents(root: &Path) -> Vec<String> {
    let connection = Connection::open(Index::path(root)).unwrap();
    let mut contents = Vec::new();
    for table in [
        "state",
        "patient",
        "study",
        "study_key",
        "study_modality",
        "study_sop_class",
        "series",
        "instance",
        "deletion",
        "garbage",
    ] {
        let mut statement = connection
            .prepare(&format!("SELECT * FROM {table}"))
            .unwrap();
        let columns = statement.column_count();
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let values: Vec<_> = (0..columns)
                .map(|column| format!("{:?}", row.get_ref(column).unwrap()))
                .collect();
            contents.push(format!("{table}: {}", values.join(" ")));
        }
    }
    contents
}

/// The files as they are on the disk at this moment, with only the first part of the log.
fn cut_power(from: &Path, to: &Path, share: f64) {
    let path = Index::path(from);
    std::fs::copy(&path, Index::path(to)).unwrap();
    let log = std::fs::read(path.with_extension("sqlite-wal")).unwrap_or_default();
    let kept = (log.len() as f64 * share) as usize;
    std::fs::write(Index::path(to).with_extension("sqlite-wal"), &log[..kept]).unwrap();
}

fn record() -> impl Strategy<Value = Record> {
    let place = || (0_u32..3, 0_u32..3, 0_u32..5);
    prop_oneof![
        6 => place().prop_map(|(study, series, number)| Record::Store(Box::new(sample(study, series, number)))),
        1 => (1_i64..5, place()).prop_map(|(id, (study, series, _))| {
            let of = sample(study, series, 0);
            Record::Delete(id, Target::Series { study: of.study, series: of.series })
        }),
        1 => (1_i64..5).prop_map(Record::Restore),
        1 => (1_i64..5).prop_map(Record::Purge),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

    #[test]
    fn the_ledger_brings_back_what_a_power_cut_took(
        batches in prop::collection::vec(prop::collection::vec(record(), 1..5), 1..15),
        share in 0.0_f64..1.0, cut_after in any::<prop::sample::Index>(),
    ) {
        let root = tempfile::tempdir().unwrap();
        let after_cut = tempfile::tempdir().unwrap();
        let mut bench = Bench::open(root.path());
        let records: Vec<Record> = batches.concat();
        let cut_after = cut_after.index(batches.len());
        let mut at = 0;
        for (turn, batch) in batches.iter().enumerate() {
            apply(&mut bench, batch, at);
            at += batch.len() as u64;
            if turn == cut_after {
                cut_power(root.path(), after_cut.path(), share);
            }
        }
        let mut again = Bench::open(after_cut.path());
        let applied = again.at.sequence;
        prop_assert!(applied <= at);
        // Replay in other batches than before.
        for chunk in records[applied as usize..].chunks(3) {
            let from = again.at.sequence;
            apply(&mut again, chunk, from);
        }
        prop_assert_eq!(contents(after_cut.path()), contents(root.path()));

        // And from nothing at all.
        let empty = tempfile::tempdir().unwrap();
        let mut anew = Bench::open(empty.path());
        prop_assert_eq!(anew.at, Position::START);
        for chunk in records.chunks(4) {
            let from = anew.at.sequence;
            apply(&mut anew, chunk, from);
        }
        prop_assert_eq!(contents(empty.path()), contents(root.path()));
    }
}
