use super::*;
use crate::file_set::{FileSet, FileSetError};
use gantry_core::uid::Uid;
use gantry_dicom::Vr;

fn instance(patient: &str, study: &str, series: &str, sop: &str, class: &str) -> DataSet {
    let mut header = DataSet::new();
    header.put_text(tags::PATIENT_ID, Vr::LO, patient);
    header.put_uid(tags::STUDY_INSTANCE_UID, study);
    header.put_uid(tags::SERIES_INSTANCE_UID, series);
    header.put_uid(tags::SOP_INSTANCE_UID, sop);
    header.put_uid(tags::SOP_CLASS_UID, class);
    header
}

fn written(file_set: &FileSet) -> Vec<u8> {
    file_set.to_dicomdir(&Uid::parse("1.2.3").unwrap()).unwrap()
}

/// The tree as indented lines of type and file ID.
fn outline(directory: &Directory) -> String {
    fn lines(directory: &Directory, nodes: &[Node], depth: usize, out: &mut String) {
        for node in nodes {
            let record = &directory.records[node.record_index];
            let file = record
                .file_id
                .as_ref()
                .map(|id| format!(" {id}"))
                .unwrap_or_default();
            out.push_str(&format!(
                "{}{}{file}\n",
                "  ".repeat(depth),
                record.kind.as_str()
            ));
            lines(directory, &node.children, depth + 1, out);
        }
    }
    let mut out = String::new();
    lines(directory, &directory.tree(), 0, &mut out);
    out
}

fn sample() -> FileSet {
    let ct = uids::CT_IMAGE_STORAGE;
    let mut file_set = FileSet::new("DISC_1").unwrap();
    for (patient, study, series, sop, class) in [
        ("A", "1.1", "1.1.1", "1.1.1.1", ct),
        ("A", "1.1", "1.1.1", "1.1.1.2", ct),
        (
            "B",
            "1.2",
            "1.2.1",
            "1.2.1.1",
            uids::ENCAPSULATED_PDF_STORAGE,
        ),
        (
            "A",
            "1.1",
            "1.1.2",
            "1.1.2.1",
            uids::COMPREHENSIVE_SR_STORAGE,
        ),
        ("A", "1.3", "1.3.1", "1.3.1.1", "1.3.6.1.4.1.99.1"),
        (
            "",
            "1.4",
            "1.4.1",
            "1.4.1.1",
            uids::HANGING_PROTOCOL_STORAGE,
        ),
        (
            "A",
            "1.1",
            "1.1.1",
            "1.1.1.3",
            uids::KEY_OBJECT_SELECTION_DOCUMENT_STORAGE,
        ),
    ] {
        let header = instance(patient, study, series, sop, class);
        file_set
            .add(&header, uids::EXPLICIT_VR_LITTLE_ENDIAN)
            .unwrap();
    }
    file_set
}

const OUTLINE: &str = "\
PATIENT
  STUDY
    SERIES
      IMAGE PT000000/ST000000/SE000000/IM000000
      IMAGE PT000000/ST000000/SE000000/IM000001
      KEY OBJECT DOC PT000000/ST000000/SE000000/KO000002
    SERIES
      SR DOCUMENT PT000000/ST000000/SE000001/SR000000
  STUDY
    SERIES
      PRIVATE PT000000/ST000001/SE000000/PV000000
PATIENT
  STUDY
    SERIES
      ENCAP DOC PT000001/ST000000/SE000000/ED000000
HANGING PROTOCOL HG000002
";

#[test]
fn a_written_directory_reads_back() {
    let file = written(&sample());
    let directory = Directory::read(file.into()).unwrap();
    assert_eq!(directory.file_set_id.as_deref(), Some("DISC_1"));
    assert_eq!(outline(&directory), OUTLINE);
    assert!(directory.problems.is_empty());
    let (record, _) = directory.files().next().unwrap();
    assert_eq!(record.sop_class_uid(), Some(uids::CT_IMAGE_STORAGE));
    assert_eq!(record.sop_instance_uid(), Some("1.1.1.1"));
    assert_eq!(
        record.transfer_syntax_uid(),
        Some(uids::EXPLICIT_VR_LITTLE_ENDIAN)
    );
}

#[test]
fn the_same_instance_is_not_listed_twice() {
    let mut file_set = sample();
    let again = instance("A", "1.1", "1.1.1", "1.1.1.2", uids::CT_IMAGE_STORAGE);
    let outcome = file_set.add(&again, uids::EXPLICIT_VR_LITTLE_ENDIAN);
    assert!(matches!(outcome, Err(FileSetError::Duplicate)));
    assert_eq!(file_set.len(), 7);
}

#[test]
fn a_study_stays_with_its_first_patient() {
    let mut file_set = sample();
    let other = instance("B", "1.1", "1.1.1", "9", uids::CT_IMAGE_STORAGE);
    let id = file_set
        .add(&other, uids::EXPLICIT_VR_LITTLE_ENDIAN)
        .unwrap();
    assert_eq!(id.to_string(), "PT000000/ST000000/SE000000/IM000003");
}

#[test]
fn an_empty_file_set_has_a_directory_too() {
    let file = written(&FileSet::new("").unwrap());
    let directory = Directory::read(file.into()).unwrap();
    assert!(directory.records.is_empty() && directory.tree().is_empty());
    assert!(FileSet::new("lower").is_err());
    assert!(FileSet::new("SEVENTEEN_LETTERS").is_err());
}

#[test]
fn records_without_sound_offsets_are_ordered_by_their_types() {
    let mut directory = Directory::read(written(&sample()).into()).unwrap();
    for record in &mut directory.records {
        (record.next, record.lower) = (0, 0);
    }
    assert_eq!(outline(&directory), OUTLINE);
    // Offsets in a circle.
    let mut directory = Directory::read(written(&sample()).into()).unwrap();
    let first = directory.records[0].offset;
    for record in &mut directory.records {
        (record.next, record.lower) = (first, first);
    }
    assert_eq!(outline(&directory), OUTLINE);
}

#[test]
fn records_out_of_use_are_left_out() {
    let mut directory = Directory::read(written(&sample()).into()).unwrap();
    directory.records[3].is_in_use = false;
    assert_eq!(directory.files().count(), 6);
    assert!(!outline(&directory).contains("IM000000\n"));
}

#[test]
fn other_files_and_cut_ones_are_no_directory() {
    let file = written(&sample());
    let mut other = file.clone();
    let at = other
        .windows(20)
        .position(|window| window == b"1.2.840.10008.1.3.10")
        .unwrap();
    other[at + 19] = b'1';
    assert!(matches!(
        Directory::read(other.into()),
        Err(DirectoryError::OtherSopClass(_))
    ));
    let whole = Directory::read(file.clone().into()).unwrap().records.len();
    for length in (0..file.len()).step_by(7) {
        if let Ok(directory) = Directory::read(file[..length].to_vec().into()) {
            assert!(directory.records.len() <= whole);
            assert!(directory.records.len() < whole || !directory.problems.is_empty());
            let _ = directory.tree();
        }
    }
}

#[test]
fn missing_uids_are_named() {
    let mut header = instance("A", "1", "1.1", "1.1.1", uids::CT_IMAGE_STORAGE);
    header.remove(tags::SERIES_INSTANCE_UID);
    let outcome = FileSet::new("").unwrap().add(&header, "1.2");
    assert!(matches!(
        outcome,
        Err(FileSetError::MissingUid("Series Instance UID"))
    ));
}
