//! The ledger through its public face: what is appended is found again, whatever happens.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use bytes::Bytes;
use gantry_blob::failpoint::{self, Action};
use gantry_blob::{
    Appended, BlobContent, BlobError, BlobLocation, Blobs, DataLock, Ledger, NewBlob, NewRecord,
    Options, Position, Record, RecordKind,
};
use gantry_keys::{EncryptionConfig, Keyring};
use proptest::prelude::*;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

fn options() -> Options {
    Options {
        pack_bytes: 64 << 10,
        inline_bytes_max: 16 << 10,
        reserve_bytes: 0,
    }
}

/// The keyring of a data folder; made when there is none and nothing encrypted.
fn keyring(root: &Path) -> Option<Arc<Keyring>> {
    let config = EncryptionConfig::default();
    let found = || gantry_blob::find_encrypted(root).map(|path| path.display().to_string());
    Keyring::open(root, &config, found).unwrap().map(Arc::new)
}

/// Encrypted, unless the folder's name says otherwise.
fn keys_of(root: &Path) -> Option<Arc<Keyring>> {
    let is_plain = root.to_string_lossy().contains("plain");
    (!is_plain).then(|| keyring(root)).flatten()
}

fn open(root: &Path) -> Ledger {
    let lock = DataLock::acquire(root).unwrap();
    Ledger::open(lock, options(), keys_of(root)).unwrap()
}

fn blobs(root: &Path) -> Arc<Blobs> {
    Blobs::open(root, keys_of(root))
}

fn folder(is_encrypted: bool) -> TempDir {
    let prefix = if is_encrypted { "encrypted" } else { "plain" };
    tempfile::Builder::new().prefix(prefix).tempdir().unwrap()
}

/// Runs a test on a plain and on an encrypted ledger.
fn both(test: impl Fn(TempDir)) {
    test(folder(false));
    test(folder(true));
}

fn content(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new()
        .update(&seed.to_le_bytes())
        .finalize_xof()
        .fill(&mut bytes);
    bytes
}

const PREFIX: usize = 20;

fn instance(seed: u64, length: usize) -> NewRecord {
    let blob = content(seed, PREFIX + length);
    let digest = *blake3::hash(&blob[PREFIX..]).as_bytes();
    let (front, back) = blob.split_at(blob.len() / 3);
    NewRecord {
        kind: RecordKind::Instance,
        meta: Bytes::from(format!("instance {seed}")),
        blob: Some(NewBlob {
            content: BlobContent::Inline(vec![
                Bytes::copy_from_slice(front),
                Bytes::new(),
                Bytes::copy_from_slice(back),
            ]),
            data_set_offset: PREFIX as u32,
            digest,
        }),
    }
}

fn event(text: &str) -> NewRecord {
    NewRecord {
        kind: RecordKind::Event,
        meta: Bytes::from(text.to_owned()),
        blob: None,
    }
}

fn read_all(root: &Path, from: Position) -> Vec<Record> {
    blobs(root)
        .replay(from)
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap()
}

fn metas(records: &[Record]) -> Vec<String> {
    records
        .iter()
        .map(|record| String::from_utf8(record.meta.to_vec()).unwrap())
        .collect()
}

fn verify_all(root: &Path, records: &[Record]) {
    let blobs = blobs(root);
    for blob in records.iter().filter_map(|record| record.blob) {
        blobs
            .verify(
                &blob.location,
                u64::from(blob.data_set_offset),
                &blob.digest,
            )
            .unwrap();
    }
}

fn pack(root: &Path, number: u32) -> PathBuf {
    root.join(format!("blobs/packs/{number:010}.pack"))
}

fn packs(root: &Path) -> usize {
    std::fs::read_dir(root.join("blobs/packs")).unwrap().count()
}

#[test]
fn what_was_appended_is_read_back_in_order_over_many_packs() {
    both(|root| {
        let ledger = open(root.path());
        let mut appended = Vec::new();
        for turn in 0..40 {
            let batch: Vec<_> = (0..turn % 4 + 1)
                .map(|at| instance(turn * 10 + at, 3000 + at as usize * 777))
                .collect();
            appended.extend(ledger.append(&batch).unwrap());
            appended.extend(ledger.append(&[event(&format!("event {turn}"))]).unwrap());
        }
        assert!(packs(root.path()) > 4);
        let records = read_all(root.path(), Position::START);
        let ends: Vec<_> = records.iter().map(|record| record.end).collect();
        assert_eq!(
            ends,
            appended
                .iter()
                .map(|appended| appended.end)
                .collect::<Vec<_>>()
        );
        let locations: Vec<_> = records
            .iter()
            .map(|record| record.blob.map(|blob| blob.location))
            .collect();
        assert_eq!(
            locations,
            appended.iter().map(|one| one.location).collect::<Vec<_>>()
        );
        verify_all(root.path(), &records);
        let bytes = ledger
            .blobs()
            .read_range(&locations[0].unwrap(), 5..50)
            .unwrap();
        assert_eq!(bytes, content(0, PREFIX + 3000)[5..50]);
    });
}

#[test]
fn replay_goes_on_from_any_position() {
    both(|root| {
        let ledger = open(root.path());
        let batch = |turn| [instance(turn, 9000), event(&format!("event {turn}"))];
        let appended: Vec<Appended> = (0..20)
            .flat_map(|turn| ledger.append(&batch(turn)).unwrap())
            .collect();
        let all = read_all(root.path(), Position::START);
        for (count, one) in appended.iter().enumerate() {
            assert_eq!(
                read_all(root.path(), one.end),
                all[count + 1..],
                "from {}",
                one.end
            );
        }
    });
}

#[test]
fn a_position_of_another_ledger_is_refused() {
    both(|root| {
        let ledger = open(root.path());
        let end = ledger.append(&[event("a"), event("b")]).unwrap()[0].end;
        for position in [
            Position { pack: 9, ..end },
            Position { sequence: 7, ..end },
            Position {
                sequence: 1,
                ..Position::START
            },
        ] {
            let outcome: Result<Vec<_>, _> = ledger
                .blobs()
                .replay(position)
                .and_then(|replay| replay.collect());
            assert!(
                matches!(outcome, Err(BlobError::UnknownPosition(_))),
                "{position}"
            );
        }
    });
}

#[test]
fn a_reopened_ledger_goes_on_where_it_ended() {
    both(|root| {
        let mut expected = Vec::new();
        for turn in 0..12 {
            let ledger = open(root.path());
            assert_eq!(ledger.end().sequence, expected.len() as u64);
            for one in 0..3 {
                let text = format!("event {turn} {one}");
                ledger
                    .append(&[event(&text), instance(turn, 5000)])
                    .unwrap();
                expected.extend([text, format!("instance {turn}")]);
            }
            assert!(ledger.damage().is_empty());
        }
        assert_eq!(metas(&read_all(root.path(), Position::START)), expected);
    });
}

#[test]
fn a_batch_that_no_pack_can_hold_is_refused() {
    both(|root| {
        let ledger = open(root.path());
        let batch = [instance(1, 40_000), instance(2, 40_000)];
        assert!(
            batch
                .iter()
                .map(|record| ledger.length_of(record))
                .sum::<u64>()
                > ledger.batch_bytes_max()
        );
        assert!(matches!(
            ledger.append(&batch),
            Err(BlobError::TooLarge { .. })
        ));
        ledger.append(&batch[..1]).unwrap();
        assert_eq!(
            metas(&read_all(root.path(), Position::START)),
            ["instance 1"]
        );
    });
}

/// What a power cut may leave of a batch that was not synced: any of its sectors, in any order.
#[derive(Debug, Clone)]
struct PowerCut {
    batches: Vec<Vec<usize>>,
    lost: Vec<bool>,
}

fn power_cut() -> impl Strategy<Value = PowerCut> {
    let batch = prop::collection::vec(0_usize..4000, 1..5);
    (
        prop::collection::vec(batch, 1..12),
        prop::collection::vec(any::<bool>(), 64),
    )
        .prop_map(|(batches, lost)| PowerCut { batches, lost })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn a_power_cut_takes_nothing_but_the_unfinished_batch(cut in power_cut(), is_encrypted: bool) {
        let root = folder(is_encrypted);
        let ledger = open(root.path());
        let mut seed = 0;
        let mut expected = Vec::new();
        let mut before = Position::START;
        for batch in &cut.batches {
            before = ledger.end();
            let batch: Vec<_> = batch.iter().map(|&length| {
                seed += 1;
                expected.push(format!("instance {seed}"));
                instance(seed, length)
            }).collect();
            ledger.append(&batch).unwrap();
        }
        let end = ledger.end();
        drop(ledger);
        let _ = std::fs::remove_file(root.path().join("blobs/checkpoint"));
        let start = if before.pack == end.pack { before.offset } else { 4096 };
        let file = std::fs::OpenOptions::new().write(true).open(pack(root.path(), end.pack)).unwrap();
        for (sector, lost) in (start..end.offset).step_by(512).zip(cut.lost.iter().cycle()) {
            if *lost {
                file.write_all_at(&[0; 512], sector).unwrap();
            }
        }

        // A reader beside the writer sees the same as the writer.
        let seen = read_all(root.path(), Position::START);
        let ledger = open(root.path());
        prop_assert!(ledger.damage().is_empty());
        let records = read_all(root.path(), Position::START);
        prop_assert_eq!(&seen, &records);
        prop_assert_eq!(ledger.end().sequence, records.len() as u64);
        let durable = expected.len() - cut.batches.last().unwrap().len();
        prop_assert!(records.len() >= durable, "an acknowledged record is lost");
        prop_assert_eq!(&metas(&records)[..], &expected[..records.len()]);
        verify_all(root.path(), &records);

        // And it is as good as new.
        ledger.append(&[instance(1000, 100), event("after")]).unwrap();
        ledger.append(&[event("much later")]).unwrap();
        let again = read_all(root.path(), Position::START);
        prop_assert_eq!(&metas(&again)[records.len()..],
            ["instance 1000", "after", "much later"]);
        prop_assert_eq!(&again[..records.len()], &records[..]);
        verify_all(root.path(), &again);
    }

    #[test]
    fn damage_takes_nothing_but_the_damaged_record(
        damaged in 0_usize..12, at in 0_u64..138, per_batch in 1_usize..4, is_encrypted: bool,
    ) {
        let root = folder(is_encrypted);
        let nonce_length = if is_encrypted { 12 } else { 0 };
        let ledger = open(root.path());
        let mut starts = Vec::new();
        for batch in (0..24).collect::<Vec<u64>>().chunks(per_batch) {
            let records: Vec<_> = batch.iter().map(|&seed| instance(seed, 6000)).collect();
            for one in ledger.append(&records).unwrap() {
                let Some(BlobLocation::Pack { pack, offset, .. }) = one.location else { panic!() };
                let meta = format!("instance {}", one.end.sequence - 1).len() as u64;
                starts.push((pack, offset - meta - nonce_length - 128));
            }
        }
        drop(ledger);
        let (number, start) = starts[damaged];
        let path = pack(root.path(), number);
        let file = std::fs::File::options().read(true).write(true).open(path).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, start + at).unwrap();
        file.write_all_at(&[byte[0] ^ 0x55], start + at).unwrap();

        let outcomes: Vec<_> = blobs(root.path()).replay(Position::START).unwrap().collect();
        let (good, bad): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
        let good: Vec<_> = good.into_iter().map(|record| record.unwrap().sequence).collect();
        let expected: Vec<u64> = (0..24).filter(|&one| one != damaged as u64).collect();
        prop_assert_eq!(good, expected);
        prop_assert_eq!(bad.len(), 1);
        let is_named = matches!(
            bad[0],
            Err(BlobError::Corrupt { pack, offset, .. }) if pack == number && offset == start
        );
        prop_assert!(is_named, "{:?}", bad[0]);

        let ledger = open(root.path());
        let newest = starts.last().unwrap().0;
        prop_assert_eq!(ledger.end().sequence, 24);
        prop_assert!(ledger.damage().len() <= usize::from(number == newest));
        ledger.append(&[event("after")]).unwrap();
    }
}

#[test]
fn a_failed_sync_moves_the_batch_to_a_new_pack() {
    both(|root| {
        let ledger = open(root.path());
        ledger.append(&[instance(1, 1000)]).unwrap();
        let guard = failpoint::arm("ledger.sync", Action::Broken, 0, 1);
        let moved = ledger
            .append(&[instance(2, 1000), instance(3, 1000)])
            .unwrap();
        drop(guard);
        assert_eq!(moved[0].end.pack, 2);
        ledger.append(&[instance(4, 1000)]).unwrap();
        let check = || {
            let records = read_all(root.path(), Position::START);
            assert_eq!(
                metas(&records),
                ["instance 1", "instance 2", "instance 3", "instance 4"]
            );
            verify_all(root.path(), &records);
        };
        check();
        drop(ledger);
        assert_eq!(open(root.path()).end().sequence, 4);
        check();
    });
}

#[test]
fn a_disk_that_fails_every_sync_loses_nothing_acknowledged() {
    both(|root| {
        let ledger = open(root.path());
        ledger.append(&[event("before")]).unwrap();
        for _ in 0..3 {
            let _guard = failpoint::arm("ledger.sync", Action::Broken, 0, u64::MAX);
            assert!(matches!(
                ledger.append(&[event("refused")]),
                Err(BlobError::Io { .. })
            ));
        }
        assert_eq!(
            metas(&read_all(root.path(), Position::START))[..1],
            ["before"]
        );
        ledger.append(&[event("after")]).unwrap();
        assert_eq!(
            metas(&read_all(root.path(), Position::START)),
            ["before", "after"]
        );
        drop(ledger);
        let ledger = open(root.path());
        assert_eq!(ledger.end().sequence, 2);
        assert_eq!(
            metas(&read_all(root.path(), Position::START)),
            ["before", "after"]
        );
    });
}

#[test]
fn each_step_may_find_the_disk_full() {
    for step in [
        "disk.reserve",
        "ledger.write",
        "ledger.written",
        "ledger.sync",
        "pack.allocate",
        "pack.activate",
        "folder.sync",
    ] {
        for after in 0..3 {
            let root = tempfile::tempdir().unwrap();
            let ledger = open(root.path());
            let mut expected = Vec::new();
            let guard = failpoint::arm(step, Action::NoSpace, after, 4);
            for seed in 0..14 {
                // Large enough that several packs are needed.
                match ledger.append(&[instance(seed, 20_000)]) {
                    Ok(_) => expected.push(format!("instance {seed}")),
                    Err(BlobError::NoSpace { .. }) => {}
                    Err(error) => panic!("{step}: {error}"),
                }
                let records = read_all(root.path(), Position::START);
                // What was refused may stand behind the end until the next append: a reader
                // without the lock may see whole records there, never broken ones.
                assert_eq!(
                    metas(&records)[..expected.len()],
                    expected,
                    "{step} after {after}"
                );
                verify_all(root.path(), &records);
            }
            drop(guard);
            ledger.append(&[event("last")]).unwrap();
            expected.push("last".into());
            assert_eq!(
                metas(&read_all(root.path(), Position::START)),
                expected,
                "{step}"
            );
            drop(ledger);
            assert_eq!(
                open(root.path()).end().sequence,
                expected.len() as u64,
                "{step}"
            );
        }
    }
}

#[test]
fn a_nearly_full_disk_takes_events_but_no_instances() {
    both(|root| {
        let options = Options {
            reserve_bytes: u64::MAX,
            ..options()
        };
        let lock = DataLock::acquire(root.path()).unwrap();
        let ledger = Ledger::open(lock, options, keys_of(root.path())).unwrap();
        assert!(matches!(
            ledger.append(&[instance(1, 10)]),
            Err(BlobError::NoSpace { .. })
        ));
        assert!(matches!(ledger.stage(), Err(BlobError::NoSpace { .. })));
        ledger.append(&[event("deleted")]).unwrap();
    });
}

#[test]
fn a_ledger_inside_an_instance_is_not_taken_for_records() {
    both(|root| {
        let ledger = open(root.path());
        ledger.append(&[event("first"), event("second")]).unwrap();
        let mut bytes = std::fs::read(pack(root.path(), 1)).unwrap();
        bytes.truncate(16 << 10);
        // The sender got hold of the pack itself and sends it back, sector by sector in place.
        let shift = 512 - (128 + "trojan".len()) % 512;
        let blob = [vec![0; shift], bytes].concat();
        let trojan = NewRecord {
            kind: RecordKind::Instance,
            meta: Bytes::from_static(b"trojan"),
            blob: Some(NewBlob {
                digest: *blake3::hash(&blob).as_bytes(),
                content: BlobContent::Inline(vec![blob.into()]),
                data_set_offset: 0,
            }),
        };
        ledger.append(&[trojan]).unwrap();
        ledger.append(&[event("third")]).unwrap();
        let file = std::fs::OpenOptions::new()
            .write(true)
            .open(pack(root.path(), 1))
            .unwrap();
        file.write_all_at(b"????", 4096 + 2 * 512).unwrap();
        drop(ledger);
        let found: Vec<_> = blobs(root.path())
            .replay(Position::START)
            .unwrap()
            .filter_map(Result::ok)
            .map(|record| String::from_utf8(record.meta.to_vec()).unwrap())
            .collect();
        assert_eq!(found, ["first", "second", "third"]);
    });
}

#[test]
fn a_large_blob_is_a_file_of_its_own() {
    both(|root| {
        let ledger = open(root.path());
        let bytes = content(1, 300_000);
        let mut staged = ledger.stage().unwrap();
        for part in bytes.chunks(77_777) {
            staged.write(part).unwrap();
        }
        let mut middle = [0; 10];
        staged.read_at(100, &mut middle).unwrap();
        assert_eq!(middle, bytes[100..110]);
        let large = staged.finish().unwrap();
        let record = NewRecord {
            kind: RecordKind::Instance,
            meta: Bytes::from_static(b"large"),
            blob: Some(NewBlob {
                content: BlobContent::Large(large),
                data_set_offset: 0,
                digest: *blake3::hash(&bytes).as_bytes(),
            }),
        };
        let location = ledger.append(&[record]).unwrap()[0].location.unwrap();
        assert_eq!(location.length(), 300_000);
        drop(ledger);
        let ledger = open(root.path());
        let records = read_all(root.path(), Position::START);
        assert_eq!(records[0].blob.unwrap().location, location);
        verify_all(root.path(), &records);
        let BlobLocation::Large { id, .. } = location else {
            panic!("{location}")
        };
        assert_eq!(
            ledger
                .sweep_orphans(Duration::ZERO, |known| known == id)
                .unwrap(),
            (0, 0)
        );
        ledger.purge(&location).unwrap();
        ledger.purge(&location).unwrap();
        let gone = ledger.blobs().read_range(&location, 0..1);
        assert!(matches!(gone, Err(BlobError::NotFound { .. })));
    });
}

#[test]
fn what_was_not_finished_leaves_nothing() {
    both(|root| {
        let ledger = open(root.path());
        let mut staged = ledger.stage().unwrap();
        staged.write(&[1; 1000]).unwrap();
        drop(staged);
        let staging = root.path().join("blobs/staging");
        assert_eq!(std::fs::read_dir(&staging).unwrap().count(), 0);
        std::fs::write(staging.join("left by a crash.part"), "x").unwrap();
        for step in ["staging.sync", "staging.rename", "folder.sync"] {
            let mut staged = ledger.stage().unwrap();
            staged.write(&[1; 1000]).unwrap();
            let _guard = failpoint::arm(step, Action::NoSpace, 0, u64::MAX);
            assert!(
                matches!(staged.finish(), Err(BlobError::NoSpace { .. })),
                "{step}"
            );
        }
        let mut staged = ledger.stage().unwrap();
        staged.write(&[2; 1000]).unwrap();
        staged.finish().unwrap();
        assert_eq!(
            ledger
                .sweep_orphans(Duration::from_secs(3600), |_| false)
                .unwrap(),
            (0, 0)
        );
        // An encrypted file has a header and a tag.
        let overhead = if keys_of(root.path()).is_some() {
            48
        } else {
            0
        };
        assert_eq!(
            ledger.sweep_orphans(Duration::ZERO, |_| false).unwrap(),
            (1, 1000 + overhead)
        );
        drop(ledger);
        open(root.path());
        assert_eq!(std::fs::read_dir(&staging).unwrap().count(), 0);
    });
}

#[test]
fn a_purged_blob_gives_its_space_back_and_the_ledger_is_still_read() {
    both(|root| {
        use std::os::unix::fs::MetadataExt;
        let ledger = open(root.path());
        let first = ledger.append(&[instance(1, 40_000)]).unwrap()[0]
            .location
            .unwrap();
        ledger.append(&[event("purged 1")]).unwrap();
        let second = ledger.append(&[instance(2, 3000)]).unwrap()[0]
            .location
            .unwrap();
        let blocks = || std::fs::metadata(pack(root.path(), 1)).unwrap().blocks();
        let before = blocks();
        ledger.purge(&first).unwrap();
        assert!(
            blocks() <= before - 40_000 / 512 + 16,
            "{before} {}",
            blocks()
        );
        let records = read_all(root.path(), Position::START);
        assert_eq!(metas(&records), ["instance 1", "purged 1", "instance 2"]);
        let digest = records[0].blob.unwrap().digest;
        let verified = ledger.blobs().verify(&first, PREFIX as u64, &digest);
        assert!(matches!(verified, Err(BlobError::DigestMismatch { .. })));
        ledger
            .blobs()
            .verify(&second, PREFIX as u64, &records[2].blob.unwrap().digest)
            .unwrap();
        drop(ledger);
        assert_eq!(open(root.path()).end().sequence, 3);
    });
}

#[test]
fn a_range_outside_of_a_blob_is_refused() {
    both(|root| {
        let ledger = open(root.path());
        let location = ledger.append(&[instance(1, 1000)]).unwrap()[0]
            .location
            .unwrap();
        let length = location.length();
        let blobs = ledger.blobs();
        assert!(blobs.read_range(&location, 0..length).is_ok());
        #[expect(clippy::reversed_empty_ranges, reason = "that is the point")]
        for range in [0..length + 1, 5..4, length + 1..length + 1] {
            let outcome = blobs.read_range(&location, range.clone());
            assert!(
                matches!(outcome, Err(BlobError::OutOfRange { .. })),
                "{range:?}"
            );
        }
        let mut buffer = [0; 100];
        assert_eq!(
            blobs
                .read_into(&location, length - 10, &mut buffer)
                .unwrap(),
            10
        );
    });
}

#[test]
fn a_reader_stays_inside_its_blob() {
    both(|root| {
        use std::io::{Read, Seek, SeekFrom};
        let ledger = open(root.path());
        let appended = ledger
            .append(&[instance(1, 1000), instance(2, 1000)])
            .unwrap();
        let mut reader = ledger
            .blobs()
            .reader(&appended[0].location.unwrap())
            .unwrap();
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, content(1, PREFIX + 1000));
        reader.seek(SeekFrom::End(-5)).unwrap();
        bytes.clear();
        reader.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, content(1, PREFIX + 1000)[PREFIX + 995..]);
    });
}

#[test]
fn the_oldest_packs_header_may_be_lost_only_loudly() {
    both(|root| {
        let ledger = open(root.path());
        ledger.append(&[event("a")]).unwrap();
        drop(ledger);
        let file = std::fs::OpenOptions::new()
            .write(true)
            .open(pack(root.path(), 1))
            .unwrap();
        file.write_all_at(&[0; 72], 0).unwrap();
        assert_eq!(open(root.path()).end().sequence, 1, "the copy serves");
        file.write_all_at(&[0; 72], 512).unwrap();
        let lock = DataLock::acquire(root.path()).unwrap();
        assert!(matches!(
            Ledger::open(lock, options(), keys_of(root.path())),
            Err(BlobError::Corrupt { .. })
        ));
    });
}
