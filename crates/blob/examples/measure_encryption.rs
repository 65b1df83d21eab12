//! What encryption costs: sealing, appending and reading objects, encrypted and plain, in turns.
//!
//! ```text
//! cargo run --release -p gantry-blob --example measure_encryption -- FOLDER [BYTES [COUNT]]
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a command for developers"
)]

use bytes::Bytes;
use gantry_blob::{
    BlobContent, BlobLocation, DataLock, Ledger, NewBlob, NewRecord, Options, RecordKind,
};
use gantry_keys::{EncryptionConfig, Keyring};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default| {
        arguments
            .get(at)
            .map_or(default, |text| text.parse().unwrap())
    };
    let root = Path::new(arguments.first().expect("FOLDER"));
    let (length, count) = (number(1, 525_000), number(2, 200));
    for _ in 0..3 {
        for is_encrypted in [false, true] {
            measure(root, is_encrypted, length, count);
        }
    }
}

fn measure(root: &Path, is_encrypted: bool, length: usize, count: usize) {
    let name = if is_encrypted { "encrypted" } else { "plain" };
    let folder = root.join(name);
    let _ = std::fs::remove_dir_all(&folder);
    let lock = DataLock::acquire(&folder).unwrap();
    let keyring = is_encrypted
        .then(|| Keyring::open(&folder, &EncryptionConfig::default(), || None).unwrap())
        .flatten();
    let ledger = Ledger::open(lock, Options::default(), keyring.map(Arc::new)).unwrap();
    let bytes = Bytes::from(vec![0x5A; length]);
    let head = Bytes::from(vec![0; 400]);
    let each = |begun: Instant| begun.elapsed().as_secs_f64() * 1e6 / count as f64;

    let begun = Instant::now();
    for _ in 0..count {
        drop(ledger.seal(vec![head.clone(), bytes.clone()], 400).unwrap());
    }
    let seal = each(begun);

    let mut locations: Vec<BlobLocation> = Vec::new();
    let begun = Instant::now();
    for _ in 0..count {
        let content = ledger.seal(vec![head.clone(), bytes.clone()], 400).unwrap();
        let appended = ledger.append(&[record(content)]).unwrap();
        locations.extend(appended.iter().filter_map(|one| one.location));
    }
    let append = each(begun);

    let read = |from: u64, to: u64| {
        let begun = Instant::now();
        for location in &locations {
            let to = location.length().min(to);
            let read = ledger.blobs().read_range_at_once(location, from..to);
            let read = match read.unwrap() {
                Some(read) => read,
                None => ledger.blobs().read_range(location, from..to).unwrap(),
            };
            std::hint::black_box(read);
        }
        each(begun)
    };
    read(0, u64::MAX);
    let (whole, middle, little) = (
        read(1500, u64::MAX),
        read(length as u64 / 2, length as u64 / 2 + 1000),
        read(100, 108),
    );
    println!(
        "{name:<10} seal {seal:7.1} µs, append {append:7.1} µs, read all {whole:6.1} µs, 1000 bytes \
         of the middle {middle:5.1} µs, 8 of the beginning {little:5.1} µs"
    );
}

fn record(content: BlobContent) -> NewRecord {
    NewRecord {
        kind: RecordKind::Instance,
        meta: Bytes::from_static(&[7; 120]),
        blob: Some(NewBlob {
            content,
            data_set_offset: 400,
            digest: [0; 32],
        }),
    }
}
