//! Measures how fast stored headers of DICOM files become DICOM JSON, and metadata are read back.
//!
//!     cargo run --release -p gantry-dicom --example json_rate -- FILE…
#![expect(clippy::print_stdout, reason = "a program")]

use gantry_dicom::element_path::ElementPath;
use gantry_dicom::header::Header;
use gantry_dicom::model::ModelOptions;
use gantry_dicom::part10::{MetaProgress, read_meta};
use gantry_dicom::scan::{ScanLimits, scan};
use gantry_dicom::transfer_syntax::TransferSyntax;
use gantry_dicom::{json, xml};
use std::hint::black_box;
use std::time::{Duration, Instant};

fn main() -> std::io::Result<()> {
    let mut headers = Vec::new();
    for path in std::env::args().skip(1) {
        headers.extend(header(&std::fs::read(&path)?));
    }
    let data_sets: Vec<_> = headers
        .iter()
        .filter_map(|header| header.parse().ok())
        .collect();
    let uri = |path: &ElementPath| format!("../bulkdata/{path}");
    let options = ModelOptions {
        bulk_data_uri: Some(&uri),
        ..ModelOptions::default()
    };
    let mut out = Vec::new();
    for data_set in &data_sets {
        json::write(data_set, &mut out, &options);
        out.push(b',');
    }
    let bytes: usize = headers.iter().map(|header| header.0.len()).sum();
    println!(
        "{} headers, {bytes} bytes, JSON {} bytes",
        headers.len(),
        out.len()
    );

    let parse = best_of(|| {
        for header in &headers {
            _ = black_box(header.parse());
        }
    });
    report("parse headers", parse, out.len());
    let mut buffer = Vec::with_capacity(out.len());
    let write = best_of(|| {
        buffer.clear();
        for data_set in &data_sets {
            json::write(data_set, &mut buffer, &options);
            buffer.push(b',');
        }
    });
    report("write JSON", write, out.len());
    let text = format!("[{}]", String::from_utf8_lossy(&out).trim_end_matches(','));
    let read = best_of(|| _ = black_box(json::parse(text.as_bytes())));
    report("read JSON", read, out.len());
    let write_xml = best_of(|| {
        buffer.clear();
        for data_set in &data_sets {
            xml::write(data_set, &mut buffer, &options);
        }
    });
    report("write XML", write_xml, buffer.len());
    Ok(())
}

fn header(file: &[u8]) -> Option<Header> {
    let Ok(MetaProgress::Read(meta)) = read_meta(file, true) else {
        return None;
    };
    let syntax = TransferSyntax::of(meta.transfer_syntax());
    let data_set = file.get(usize::try_from(meta.data_set_offset).ok()?..)?;
    scan(data_set, &syntax, ScanLimits::default())
        .ok()
        .map(|scanned| scanned.header)
}

fn report(what: &str, time: Duration, bytes: usize) {
    println!(
        "{what}: {time:?}, {:.0} MB/s of output",
        bytes as f64 / time.as_secs_f64() / 1e6
    );
}

fn best_of(mut work: impl FnMut()) -> Duration {
    let started = Instant::now();
    let mut best = Duration::MAX;
    while started.elapsed() < Duration::from_secs(1) {
        let before = Instant::now();
        work();
        best = best.min(before.elapsed());
    }
    best
}
