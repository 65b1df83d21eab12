//! What the archive took it must be able to give back: every file of the collection that it takes
//! comes back, as it is stored and in the default transfer syntaxes, as a data set that can be
//! read.

#![allow(clippy::unwrap_used, reason = "functions of a test")]

use gantry_archive::Archive;
use gantry_archive::config::ArchiveConfig;
use gantry_archive::retrieve::{InstanceRef, Selection};
use gantry_archive::store::Announcement;
use gantry_core::access::Right;
use gantry_core::principal::Principal;
use gantry_dicom::data_set::{DataSet, Value};
use gantry_dicom::scan::{Departure, ScanLimits, scan};
use gantry_dicom::transfer_syntax::{PixelForm, TransferSyntax};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const COLLECTION: &str = "../../../shared/data";
const FOLDERS: [&str; 4] = ["hostile", "odd", "transfer-syntaxes", "charsets"];
const PLAIN: [&str; 2] = ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"];

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

async fn store(archive: &Arc<Archive>, file: &[u8]) -> Option<String> {
    let principal = Arc::new(Principal::command());
    let mut receiving = archive.begin_part10(Announcement::by(principal)).unwrap();
    receiving.write(file).await.ok()?;
    let stored = receiving.finish().await.ok()?;
    Some(stored.sop_instance_uid.as_str().to_owned())
}

async fn instance(archive: &Archive, uid: &str) -> InstanceRef {
    let selection = Selection {
        instances: vec![uid.to_owned()],
        ..Selection::default()
    };
    let found = archive
        .select(&Principal::command(), Right::Download, &selection)
        .await;
    found.unwrap().first().unwrap().clone()
}

/// Whether the instance comes back, or is refused before the first byte. What comes has to say
/// what the stored header says.
async fn comes_back(archive: &Archive, instance: &InstanceRef, syntax: &str) -> Result<(), String> {
    let form = TransferSyntax::of(syntax);
    let is_as_stored = *instance.transfer_syntax_uid == *syntax;
    let stream = match archive.data_set(instance, syntax).await {
        Ok(stream) => stream,
        // The codecs are not at hand here, and what cannot be decoded is no matter of this test.
        Err(_) if !is_as_stored => return Ok(()),
        Err(error) => return Err(error.chain()),
    };
    let bytes = stream
        .collect(1 << 30)
        .await
        .map_err(|error| error.chain())?;
    let scanned = scan(&bytes, &form, ScanLimits::default()).map_err(|error| error.to_string())?;
    if Departure::of(&scanned).encoding.is_some() && form.pixels != PixelForm::Unknown {
        return Err("it is in another encoding than it says".into());
    }
    let found = scanned.header.parse().map_err(|error| error.to_string())?;
    let stored = archive
        .header(instance)
        .await
        .map_err(|error| error.chain())?;
    differs(&stored, &found).map_or(Ok(()), Err)
}

/// What two headers do not have in common, but for VRs that implicit VR does not tell.
fn differs(one: &DataSet, other: &DataSet) -> Option<String> {
    let tags = |set: &DataSet| set.elements().iter().map(|it| it.tag).collect::<Vec<_>>();
    if tags(one) != tags(other) {
        return Some(format!("{:?} and {:?}", tags(one), tags(other)));
    }
    let pairs = one.elements().iter().zip(other.elements());
    pairs.into_iter().find_map(|(one, other)| {
        let even = |length: u64| length.next_multiple_of(2);
        let is_same = match (&one.value, &other.value) {
            (Value::Bytes(one), Value::Bytes(other)) => {
                other.starts_with(one) && other.len() <= one.len() + 1
            }
            (Value::Sequence(one), Value::Sequence(other)) if one.len() == other.len() => {
                return one
                    .iter()
                    .zip(other)
                    .find_map(|(one, other)| differs(one, other));
            }
            // Without a value a dictionary's VR may turn out to be SQ.
            (Value::Bytes(bytes), Value::Sequence(items)) => bytes.is_empty() && items.is_empty(),
            (Value::Deferred(one), Value::Deferred(other)) => {
                one.is_encapsulated || even(one.length) == even(other.length)
            }
            _ => false,
        };
        (!is_same).then(|| format!("{} differs: {:?} and {:?}", one.tag, one.value, other.value))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_comes_back_readable() {
    let folder = tempfile::tempdir().unwrap();
    let config = ArchiveConfig {
        data: folder.path().to_owned(),
        ..ArchiveConfig::default()
    };
    let archive = Archive::open(config, Vec::new()).await.unwrap();
    let collection = Path::new(env!("CARGO_MANIFEST_DIR")).join(COLLECTION);
    let mut problems = Vec::new();
    for path in FOLDERS
        .iter()
        .flat_map(|name| files(&collection.join(name)))
    {
        let name = path
            .strip_prefix(&collection)
            .unwrap()
            .display()
            .to_string();
        let Ok(file) = std::fs::read(&path) else {
            continue;
        };
        let Some(uid) = store(&archive, &file).await else {
            continue;
        };
        let instance = instance(&archive, &uid).await;
        let stored = instance.transfer_syntax_uid.to_string();
        for syntax in [stored.as_str()].into_iter().chain(PLAIN) {
            if !archive.can_provide(&instance, syntax) {
                continue;
            }
            if let Err(problem) = comes_back(&archive, &instance, syntax).await {
                problems.push(format!("{name} ({stored}) as {syntax}: {problem}"));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
