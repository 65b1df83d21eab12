//! Scans a large collection of real and hostile files, where it is there (`../shared/data` beside
//! the project); without it these tests find nothing to do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use gantry_dicom::data_set::{DataSet, Element, Value};
use gantry_dicom::encoding::{Limits, parse};
use gantry_dicom::frames::{FrameIndex, PixelDescription};
use gantry_dicom::part10::{FileMeta, MetaProgress, read_meta};
use gantry_dicom::scan::{ScanLimits, Scanned, Scanner, Warning, scan};
use gantry_dicom::transcode::{Edits, Form, transcode};
use gantry_dicom::transfer_syntax::{self, TransferSyntax};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Files that other readers open in part, though their structure is broken.
const BROKEN: &[&str] = &[
    // Cut in the middle of a value.
    "non-image/rt/rtplan_truncated.dcm",
    "odd/dcm4che/3gb-bulk-data-truncated",
    // An item with a length that is too long.
    "media/pydicom-dicomdirtests/DICOMDIR-nooffset",
    // An element without a length.
    "odd/fo-dicom/GH179B.dcm",
    // A private value with a length that is too short.
    "odd/fo-dicom/GH626.dcm",
];

fn root() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    root.is_dir().then_some(root)
}

/// The records of the manifest: fields between commas, some in quotes, with line breaks in them.
fn records(text: &str) -> Vec<Vec<String>> {
    let mut records = vec![vec![String::new()]];
    let mut is_quoted = false;
    for character in text.chars() {
        let record = records.last_mut().unwrap();
        match (character, is_quoted) {
            ('"', _) => is_quoted = !is_quoted,
            (',', false) => record.push(String::new()),
            ('\r', false) => {}
            ('\n', false) => records.push(vec![String::new()]),
            (other, _) => record.last_mut().unwrap().push(other),
        }
    }
    records.retain(|record| record.len() > 1);
    records
}

struct Row {
    file: String,
    expect: String,
}

fn manifest(root: &Path) -> Vec<Row> {
    let text = std::fs::read(root.join("manifest.csv")).unwrap();
    let text = String::from_utf8_lossy(&text).into_owned();
    let mut records = records(&text).into_iter();
    let names = records.next().unwrap();
    let column = |name| names.iter().position(|other| other == name).unwrap();
    let (file, expect) = (column("file"), column("expect"));
    let row = |fields: Vec<String>| Row {
        file: fields[file].clone(),
        expect: fields[expect].clone(),
    };
    records.map(row).collect()
}

/// The file as the archive would take it in.
fn open(bytes: &[u8]) -> Result<(Box<FileMeta>, Scanned), String> {
    let meta = match read_meta(bytes, true) {
        Ok(MetaProgress::Read(meta)) => meta,
        Ok(MetaProgress::NeedMore(_)) => return Err("file needs more than it has".into()),
        Err(error) => return Err(error.to_string()),
    };
    let syntax = TransferSyntax::of(meta.transfer_syntax());
    let data_set = &bytes[meta.data_set_offset as usize..];
    let scanned = scan(data_set, &syntax, ScanLimits::default());
    scanned
        .map(|scanned| (meta, scanned))
        .map_err(|error| error.to_string())
}

/// Every value in memory, so that data sets can be compared whatever is deferred.
fn assert_same(header: &DataSet, whole: &DataSet, file: &str) {
    let tags = |set: &DataSet| set.elements().iter().map(|it| it.tag).collect::<Vec<_>>();
    assert_eq!(tags(header), tags(whole), "{file}");
    for (kept, element) in header.elements().iter().zip(whole.elements()) {
        let tag = kept.tag;
        if !matches!(element.value, Value::Sequence(_)) {
            assert_eq!(kept.vr, element.vr, "{file} {tag}");
        }
        match (&kept.value, &element.value) {
            (Value::Deferred(deferred), Value::Bytes(bytes)) => {
                assert_eq!(deferred.length, bytes.len() as u64, "{file} {tag}");
            }
            (Value::Deferred(deferred), Value::Fragments(fragments)) => {
                // A sequence delimiter and nothing else.
                if deferred.length == 0 && fragments.fragments.is_empty() {
                    continue;
                }
                let lengths = fragments.fragments.iter().map(|it| it.len() as u64 + 8);
                let length = lengths.sum::<u64>() + fragments.offset_table.len() as u64 + 8;
                assert_eq!(
                    (deferred.length, deferred.is_encapsulated),
                    (length, true),
                    "{file}"
                );
            }
            // What is known to be a sequence only by the dictionary.
            (Value::Deferred(_), Value::Sequence(_)) => {}
            (Value::Sequence(kept), Value::Sequence(items)) => {
                assert_eq!(kept.len(), items.len(), "{file} {tag}");
                kept.iter()
                    .zip(items)
                    .for_each(|(kept, item)| assert_same(kept, item, file));
            }
            _ => assert_eq!(kept, element, "{file}"),
        }
    }
}

/// The data set without what re-encoding may change.
fn without_padding(data_set: DataSet) -> DataSet {
    let elements = data_set.into_iter().map(|element| {
        let value = match element.value {
            Value::Sequence(items) => {
                Value::Sequence(items.into_iter().map(without_padding).collect())
            }
            Value::Bytes(bytes) if bytes.len() % 2 == 1 => {
                let mut bytes = bytes.to_vec();
                bytes.push(gantry_dicom::encoding::padding(element.vr));
                Value::Bytes(bytes.into())
            }
            other => other,
        };
        Element { value, ..element }
    });
    elements.collect()
}

fn check_accepted(bytes: &[u8], file: &str) {
    let (meta, scanned) = open(bytes).unwrap_or_else(|error| panic!("{file}: {error}"));
    let syntax = TransferSyntax::of(meta.transfer_syntax());
    let data_set = &bytes[meta.data_set_offset as usize..];
    let header = scanned
        .header
        .parse()
        .unwrap_or_else(|error| panic!("{file}: {error}"));

    let mut scanner = Scanner::new(&syntax, ScanLimits::default());
    for chunk in data_set.chunks(4099) {
        scanner.feed(chunk).unwrap();
    }
    assert_eq!(scanner.finish().as_ref(), Ok(&scanned), "{file}");

    for element in header.elements() {
        assert_eq!(
            scanned.header.find(element.tag).unwrap().as_ref(),
            Some(element),
            "{file}"
        );
    }
    let description = PixelDescription::of_header(&scanned.header).unwrap();
    if let Some(index) = FrameIndex::of(&scanned, &description, &syntax) {
        assert_eq!(
            FrameIndex::from_bytes(&index.to_bytes()).as_ref(),
            Some(&index),
            "{file}"
        );
        for frame in [0, index.count().saturating_sub(1)] {
            for (offset, length) in index.frame(frame).into_iter().flat_map(|it| it.ranges) {
                assert!(offset + length <= scanned.inflated_length, "{file}");
            }
        }
    }

    // Inflated and in explicit VR little endian it is the same.
    let from = Form::of_scanned(&syntax, scanned.encoding);
    let to = Form::from(&transfer_syntax::EXPLICIT_VR_LITTLE_ENDIAN);
    let to = Form {
        has_big_endian_pixels: false,
        ..to
    };
    let mut plain = Vec::new();
    transcode(data_set, from, &mut plain, to, Edits::default()).unwrap();
    let limits = Limits::default();
    let plain = parse(plain.into(), to.encoding, &limits).unwrap();
    if !syntax.is_deflated {
        let whole = parse(data_set.to_vec().into(), scanned.encoding, &limits).unwrap();
        assert_same(&header, &whole, file);
        // Of values that a wrong VR keeps from being swapped the bytes differ.
        if !from.has_big_endian_pixels {
            assert_eq!(without_padding(plain), without_padding(whole), "{file}");
        }
    } else {
        assert_same(&header, &plain, file);
    }
}

#[test]
fn every_file_is_scanned_as_expected() {
    let Some(root) = root() else { return };
    let mut refused = BTreeSet::new();
    let rows = manifest(&root);
    for row in rows.iter().filter(|row| !row.file.starts_with("hostile/")) {
        let bytes = std::fs::read(root.join(&row.file)).unwrap();
        match open(&bytes) {
            Ok(_) => check_accepted(&bytes, &row.file),
            Err(_) if row.expect == "broken" => {}
            Err(_) => _ = refused.insert(row.file.as_str()),
        }
    }
    assert_eq!(refused, BROKEN.iter().copied().collect());
}

/// Peak of the resident set of this process, in bytes.
fn memory_peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
    kilobytes.unwrap_or(0u64) * 1024
}

#[test]
fn hostile_files_are_refused_or_read_in_bounds() {
    let Some(root) = root().map(|root| root.join("hostile")) else {
        return;
    };
    let text = std::fs::read_to_string(root.join("expected.json")).unwrap();
    let expected: serde_json::Value = serde_json::from_str(&text).unwrap();
    let expected = expected.as_object().unwrap();
    assert!(!expected.is_empty());
    for (file, entry) in expected {
        let bytes = std::fs::read(root.join(file)).unwrap();
        let started = Instant::now();
        let opened = open(&bytes);
        assert!(
            started.elapsed() < Duration::from_secs(2),
            "{file}: {:?}",
            started.elapsed()
        );
        // Whether the identifiers are good is for the archive to say.
        let is_about_uids = file.starts_with("identity/") || file.contains("_uids_");
        match entry["expect"].as_str().unwrap() {
            "accept" => check_accepted(&bytes, file),
            "reject" if !is_about_uids => assert!(opened.is_err(), "{file}"),
            _ => {}
        }
        if opened.is_ok() {
            check_accepted(&bytes, file);
        }
    }
    let peak = memory_peak();
    assert!(peak < 400 << 20, "{peak} bytes");
}

#[test]
fn mistakes_of_senders_are_noted() {
    let Some(root) = root() else { return };
    let warnings = |file: &str| {
        let bytes = std::fs::read(root.join("hostile/structure").join(file)).unwrap();
        open(&bytes).unwrap().1.warnings
    };
    let is_other = |warning: &Warning| matches!(warning, Warning::OtherEncoding { .. });
    assert!(
        warnings("explicit_declared_implicit.dcm")
            .iter()
            .any(is_other)
    );
    assert!(
        warnings("implicit_declared_explicit.dcm")
            .iter()
            .any(is_other)
    );
    assert!(warnings("little_declared_big.dcm").iter().any(is_other));
    let is_duplicate = |warning: &Warning| matches!(warning, Warning::Duplicate { .. });
    assert!(warnings("element_twice.dcm").iter().any(is_duplicate));
    assert!(warnings("pixel_data_twice.dcm").iter().any(is_duplicate));
    let is_order = |warning: &Warning| matches!(warning, Warning::OutOfOrder { .. });
    assert!(warnings("elements_out_of_order.dcm").iter().any(is_order));
    assert_eq!(warnings("trailing_padding_element.dcm"), []);
    assert_eq!(warnings("group_length_elements.dcm"), []);
}

#[test]
fn native_syntaxes_become_one_another() {
    let Some(root) = root().map(|root| root.join("transfer-syntaxes/synthetic")) else {
        return;
    };
    let explicit = Form::from(&transfer_syntax::EXPLICIT_VR_LITTLE_ENDIAN);
    let pixels = |path: &Path| {
        let bytes = std::fs::read(path).unwrap();
        let (meta, scanned) = open(&bytes).unwrap();
        let syntax = TransferSyntax::of(meta.transfer_syntax());
        let from = Form::of_scanned(&syntax, scanned.encoding);
        let data_set = &bytes[meta.data_set_offset as usize..];
        let mut out = Vec::new();
        transcode(data_set, from, &mut out, explicit, Edits::default()).unwrap();
        let data_set = parse(out.into(), explicit.encoding, &Limits::default()).unwrap();
        let tag = scanned.pixel_data.unwrap().tag;
        data_set.bytes(tag).unwrap().clone()
    };
    let mut count = 0;
    for syntax in ["implicit_le", "explicit_be", "deflated"] {
        for entry in std::fs::read_dir(root.join(syntax)).unwrap() {
            let path = entry.unwrap().path();
            let same = root.join("explicit_le").join(path.file_name().unwrap());
            assert_eq!(pixels(&path), pixels(&same), "{}", path.display());
            count += 1;
        }
    }
    assert!(count > 10, "{count}");
}
