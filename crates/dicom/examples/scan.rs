//! Scans DICOM files, tells what is found, and how long it takes.
//!
//!     cargo run --release -p gantry-dicom --example scan -- FILE…
#![expect(clippy::print_stdout, reason = "a program")]

use gantry_dicom::part10::{MetaProgress, read_meta};
use gantry_dicom::scan::{ScanLimits, scan};
use gantry_dicom::transfer_syntax::TransferSyntax;
use std::hint::black_box;
use std::time::{Duration, Instant};

fn main() -> std::io::Result<()> {
    for path in std::env::args().skip(1) {
        let bytes = std::fs::read(&path)?;
        println!("{path}: {}", describe(&bytes));
    }
    Ok(())
}

fn describe(bytes: &[u8]) -> String {
    let meta = match read_meta(bytes, true) {
        Ok(MetaProgress::Read(meta)) => meta,
        Ok(MetaProgress::NeedMore(_)) => return "incomplete".into(),
        Err(error) => return format!("META {error}"),
    };
    let syntax = TransferSyntax::of(meta.transfer_syntax());
    let data_set = bytes
        .get(meta.data_set_offset as usize..)
        .unwrap_or_default();
    let scan = || scan(data_set, &syntax, ScanLimits::default());
    let scanned = match scan() {
        Ok(scanned) => scanned,
        Err(error) => return format!("ERROR {error} ({})", syntax.name),
    };
    let parsed = match scanned.header.parse() {
        Ok(parsed) => parsed,
        Err(error) => return format!("HEADER {error}"),
    };
    let scan_time = best_of(|| _ = black_box(scan()));
    let parse_time = best_of(|| _ = black_box(scanned.header.parse()));
    format!(
        "ok {} elements, header {} of {} bytes, scan {scan_time:?}, header parse {parse_time:?} {:?}",
        parsed.elements().len(),
        scanned.header.0.len(),
        data_set.len(),
        scanned.warnings,
    )
}

fn best_of(mut work: impl FnMut()) -> Duration {
    let started = Instant::now();
    let mut best = Duration::MAX;
    while started.elapsed() < Duration::from_millis(2) {
        let before = Instant::now();
        work();
        best = best.min(before.elapsed());
    }
    best
}
