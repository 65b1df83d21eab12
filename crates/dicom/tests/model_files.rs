//! Real files as JSON and XML and back, where the test data are present beside the project.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use gantry_dicom::data_set::{DataSet, Element, Value};
use gantry_dicom::element_path::ElementPath;
use gantry_dicom::encoding::padding;
use gantry_dicom::header::Header;
use gantry_dicom::model::{Metadata, ModelOptions};
use gantry_dicom::part10::{MetaProgress, read_meta};
use gantry_dicom::scan::{ScanLimits, scan};
use gantry_dicom::transfer_syntax::TransferSyntax;
use gantry_dicom::{json, xml};
use std::path::{Path, PathBuf};

/// Larger files have the same headers as smaller ones.
const BYTES_MAX: u64 = 400_000;

fn files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let metadata = entry.metadata().unwrap();
        if metadata.is_dir() {
            self::files(&entry.path(), files);
        } else if metadata.len() <= BYTES_MAX {
            files.push(entry.path());
        }
    }
}

fn header(path: &Path) -> Option<Header> {
    let file = std::fs::read(path).unwrap();
    let Ok(MetaProgress::Read(meta)) = read_meta(&file, true) else {
        return None;
    };
    let syntax = TransferSyntax::of(meta.transfer_syntax());
    let data_set = file.get(usize::try_from(meta.data_set_offset).unwrap()..)?;
    scan(data_set, &syntax, ScanLimits::default())
        .ok()
        .map(|scanned| scanned.header)
}

/// The data set that was read, with the values that were not in the model.
fn completed(metadata: Metadata, original: &DataSet) -> DataSet {
    let mut data_set = metadata.data_set;
    for bulk in &metadata.bulk_data {
        let value = original.at(&bulk.path).unwrap().value.clone();
        assert!(data_set.put_at(&bulk.path, bulk.vr, value));
    }
    data_set
}

/// The data set with the values that have an odd length made even, as reading makes them.
fn evened(data_set: DataSet) -> DataSet {
    let even = |element: Element| {
        let value = match element.value {
            Value::Bytes(bytes) if bytes.len() % 2 > 0 => {
                let mut bytes = bytes.to_vec();
                bytes.push(padding(element.vr));
                Value::Bytes(bytes.into())
            }
            Value::Sequence(items) => Value::Sequence(items.into_iter().map(evened).collect()),
            other => other,
        };
        Element { value, ..element }
    };
    data_set.into_iter().map(even).collect()
}

fn in_json(data_set: &DataSet) -> String {
    let uri = |path: &ElementPath| path.to_string();
    let mut out = Vec::new();
    json::write(
        data_set,
        &mut out,
        &ModelOptions {
            bulk_data_uri: Some(&uri),
            ..ModelOptions::default()
        },
    );
    String::from_utf8(out).unwrap()
}

/// Items lose their own declaration of character sets, as the whole data set has one.
fn without_declarations(json: &str) -> String {
    let declaration = r#""00080005":{"vr":"CS","Value":["ISO_IR 192"]}"#;
    json.replace(&format!("{declaration},"), "")
        .replace(declaration, "")
}

#[test]
fn real_headers_survive_both_models() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    if !root.is_dir() {
        return;
    }
    let mut paths = Vec::new();
    files(&root, &mut paths);
    let mut checked = 0;
    for path in paths {
        let Some(Ok(data_set)) = header(&path).map(|header| header.parse()) else {
            continue;
        };
        let data_set = evened(data_set);
        let written = in_json(&data_set);
        // The reader to compare with gives up at nested sequences that ours must read.
        let is_json = serde_json::from_str::<serde_json::Value>(&written).is_ok();
        assert!(
            is_json || path.ends_with("nested_60_levels.dcm"),
            "{path:?}"
        );
        let again = json::parse(written.as_bytes()).unwrap().remove(0);
        let again = completed(again, &data_set);
        assert_eq!(
            without_declarations(&in_json(&again)),
            without_declarations(&written),
            "{path:?}"
        );

        let uri = |path: &ElementPath| path.to_string();
        let options = ModelOptions {
            bulk_data_uri: Some(&uri),
            ..ModelOptions::default()
        };
        let mut document = Vec::new();
        xml::write(&again, &mut document, &options);
        let again = completed(xml::parse(&document).unwrap(), &again);
        let mut second = Vec::new();
        xml::write(&again, &mut second, &options);
        assert_eq!(
            String::from_utf8(second),
            String::from_utf8(document),
            "{path:?}"
        );
        checked += 1;
    }
    assert!(checked > 500, "{checked}");
}
