//! What is particular to an encrypted ledger: keys that are missing or change, and objects that
//! were put into each other's places.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use bytes::Bytes;
use gantry_blob::{
    BlobContent, BlobError, BlobLocation, Blobs, DataLock, Ledger, NewBlob, NewRecord, Options,
    Position, RecordKind, count_packs, find_encrypted,
};
use gantry_keys::{EncryptionConfig, Keyring, rotate};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const LENGTH: usize = 40_000;

fn keyring(root: &Path, enabled: bool) -> Option<Arc<Keyring>> {
    let config = EncryptionConfig {
        enabled,
        ..EncryptionConfig::default()
    };
    Keyring::open(root, &config, || None).unwrap().map(Arc::new)
}

fn open(root: &Path, keyring: Option<Arc<Keyring>>) -> Result<Ledger, BlobError> {
    let options = Options {
        pack_bytes: 1 << 20,
        reserve_bytes: 0,
        ..Options::default()
    };
    Ledger::open(DataLock::acquire(root).unwrap(), options, keyring)
}

fn content(fill: u8) -> Vec<u8> {
    (0..LENGTH).map(|at| (at % 251) as u8 ^ fill).collect()
}

fn record(content: BlobContent, digest_of: &[u8]) -> NewRecord {
    NewRecord {
        kind: RecordKind::Instance,
        meta: Bytes::from_static(b"DOE^JANE"),
        blob: Some(NewBlob {
            content,
            data_set_offset: 0,
            digest: *blake3::hash(digest_of).as_bytes(),
        }),
    }
}

/// Stores an object of `fill` in a pack.
fn store(ledger: &Ledger, fill: u8) -> BlobLocation {
    let bytes = content(fill);
    let sealed = ledger.seal(vec![bytes.clone().into()], 0).unwrap();
    let appended = ledger.append(&[record(sealed, &bytes)]).unwrap();
    appended[0].location.unwrap()
}

fn store_large(ledger: &Ledger, fill: u8) -> BlobLocation {
    let bytes = content(fill);
    let mut staged = ledger.stage().unwrap();
    staged.write(&[0; 100]).unwrap();
    for part in bytes[100..].chunks(7777) {
        staged.write(part).unwrap();
    }
    staged.write_at(0, &bytes[..100]).unwrap();
    let mut back = vec![0; 30_000];
    staged.read_at(5000, &mut back).unwrap();
    assert!(back == bytes[5000..35_000]);
    let large = BlobContent::Large(staged.finish().unwrap());
    let appended = ledger.append(&[record(large, &bytes)]).unwrap();
    appended[0].location.unwrap()
}

fn read(blobs: &Blobs, location: &BlobLocation) -> Result<Bytes, BlobError> {
    blobs.read_range(location, 0..LENGTH as u64)
}

fn pack(root: &Path, number: u32) -> PathBuf {
    root.join(format!("blobs/packs/{number:010}.pack"))
}

#[test]
fn objects_do_not_change_places() {
    let root = tempfile::tempdir().unwrap();
    let keys = keyring(root.path(), true);
    let ledger = open(root.path(), keys.clone()).unwrap();
    let one = store(&ledger, 1);
    let two = store(&ledger, 2);
    drop(ledger);
    let (
        BlobLocation::Pack { offset: first, .. },
        BlobLocation::Pack {
            offset: second,
            length,
            ..
        },
    ) = (one, two)
    else {
        panic!("{one} {two}")
    };
    // All of it with salt and tags, which are in the pack too.
    let stored = length as usize + 32 + 16 * 3;
    let file = std::fs::File::options()
        .read(true)
        .write(true)
        .open(pack(root.path(), 1))
        .unwrap();
    let mut bytes = [vec![0; stored], vec![0; stored]];
    file.read_exact_at(&mut bytes[0], first).unwrap();
    file.read_exact_at(&mut bytes[1], second).unwrap();
    file.write_all_at(&bytes[1], first).unwrap();
    file.write_all_at(&bytes[0], second).unwrap();
    let blobs = Blobs::open(root.path(), keys.clone());
    for location in [&one, &two] {
        let outcome = read(&blobs, location);
        assert!(matches!(outcome, Err(BlobError::Unauthentic { .. })));
        assert!(blobs.read_range_at_once(location, 100..110).is_err());
        assert!(blobs.reader(location).is_err());
    }
    // Back in their places they are good.
    file.write_all_at(&bytes[0], first).unwrap();
    file.write_all_at(&bytes[1], second).unwrap();
    assert!(read(&blobs, &one).unwrap() == content(1));
    assert!(read(&blobs, &two).unwrap() == content(2));
    // A location that nobody was given.
    let shorter = BlobLocation::Pack {
        pack: 1,
        offset: first,
        length: length - 1,
    };
    assert!(blobs.read_range(&shorter, 0..10).is_err());
}

#[test]
fn large_objects_do_not_change_places_and_are_not_cut() {
    let root = tempfile::tempdir().unwrap();
    let keys = keyring(root.path(), true);
    let ledger = open(root.path(), keys.clone()).unwrap();
    let locations = [store_large(&ledger, 1), store_large(&ledger, 2)];
    let paths = locations.map(|location| {
        let BlobLocation::Large { id, .. } = location else {
            panic!("{location}")
        };
        let name = id.to_string();
        let folder = root.path().join("blobs/large").join(&name[..2]);
        folder.join(format!("{name}.enc"))
    });
    let blobs = || Blobs::open(root.path(), keys.clone());
    assert!(read(&blobs(), &locations[0]).unwrap() == content(1));
    let mut streamed = Vec::new();
    blobs()
        .reader(&locations[1])
        .unwrap()
        .read_to_end(&mut streamed)
        .unwrap();
    assert!(streamed == content(2));

    let aside = root.path().join("aside");
    std::fs::rename(&paths[0], &aside).unwrap();
    std::fs::copy(&paths[1], &paths[0]).unwrap();
    let outcome = read(&blobs(), &locations[0]);
    assert!(matches!(outcome, Err(BlobError::Unauthentic { .. })));
    std::fs::rename(&aside, &paths[0]).unwrap();
    assert!(read(&blobs(), &locations[0]).is_ok());

    let file = std::fs::File::options()
        .write(true)
        .open(&paths[0])
        .unwrap();
    file.set_len(file.metadata().unwrap().len() - 1).unwrap();
    assert!(read(&blobs(), &locations[0]).is_err());
    // What is whole of it is still read.
    assert!(blobs().read_range(&locations[0], 0..100).is_ok());
}

#[test]
fn without_its_key_nothing_is_read_and_nothing_is_cut_off() {
    let root = tempfile::tempdir().unwrap();
    let keys = keyring(root.path(), true);
    let ledger = open(root.path(), keys.clone()).unwrap();
    let location = store(&ledger, 1);
    drop(ledger);
    let before = std::fs::read(pack(root.path(), 1)).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    for other in [None, keyring(elsewhere.path(), true)] {
        let opened = open(root.path(), other.clone());
        assert!(matches!(opened, Err(BlobError::NoKey { .. })));
        let blobs = Blobs::open(root.path(), other);
        assert!(matches!(
            read(&blobs, &location),
            Err(BlobError::NoKey { .. })
        ));
        assert!(
            blobs
                .replay(Position::START)
                .unwrap()
                .next()
                .unwrap()
                .is_err()
        );
    }
    assert!(std::fs::read(pack(root.path(), 1)).unwrap() == before);
    assert!(open(root.path(), keys).unwrap().damage().is_empty());
}

#[test]
fn packs_are_of_one_key_each_and_all_are_read() {
    let root = tempfile::tempdir().unwrap();
    let mut locations = Vec::new();
    assert_eq!(find_encrypted(root.path()), None);
    let forms = [false, true, true, false];
    for (fill, enabled) in (0..).zip(forms) {
        if fill == 2 {
            // A new data key.
            rotate(root.path(), &EncryptionConfig::default(), None, &mut |_| ()).unwrap();
        }
        let ledger = open(root.path(), keyring(root.path(), enabled)).unwrap();
        locations.push(store(&ledger, fill));
        locations.push(store_large(&ledger, fill + 10));
        assert_eq!(find_encrypted(root.path()).is_some(), fill > 0);
    }
    let counted = count_packs(root.path()).unwrap();
    assert_eq!((counted.encrypted, counted.plain), (2, 2));
    let blobs = Blobs::open(root.path(), keyring(root.path(), false));
    let records: Vec<_> = blobs
        .replay(Position::START)
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(records.len(), locations.len());
    for (at, (location, record)) in locations.iter().zip(&records).enumerate() {
        let blob = record.blob.unwrap();
        assert_eq!(blob.location, *location);
        assert_eq!(record.meta, "DOE^JANE");
        blobs.verify(location, 0, &blob.digest).unwrap();
        let fill = (at / 2 + at % 2 * 10) as u8;
        assert!(read(&blobs, location).unwrap() == content(fill));
    }
    let name = b"DOE^JANE";
    let shows = |number| {
        let bytes = std::fs::read(pack(root.path(), number)).unwrap();
        bytes.windows(name.len()).any(|window| window == name)
    };
    assert_eq!([1, 2, 3, 4].map(shows), [true, false, false, true]);
}
