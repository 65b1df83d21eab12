//! Making a File-set: file IDs for instances and the DICOMDIR that lists them (PS3.3 Annex F,
//! PS3.10 §8).

use crate::file_id::{FileId, FileIdError};
use crate::keys::record_keys;
use crate::record_type::RecordType;
use gantry_core::uid::Uid;
use gantry_dicom::data_set::DataSet;
use gantry_dicom::encoding::{self, Encoding};
use gantry_dicom::part10::{self, NewFileMeta};
use gantry_dicom::{Vr, tags, uids};
use std::collections::{HashMap, HashSet};

/// Most records with one parent: their names end in a number of six digits.
const SIBLINGS_MAX: usize = 1_000_000;
/// Private Record UID (0004,1432) of the records for instances of private SOP Classes.
const PRIVATE_RECORD_UID: &str = "2.25.251879153937296468212157301385446164803";
/// Offset of the next record: bytes of its value, from the start of a record's elements.
const NEXT_AT: std::ops::Range<usize> = 8..12;
/// Offset of the lower-level entity: likewise. An element of 8 + 4 and one of 8 + 2 bytes are
/// before it, and its own header.
const LOWER_AT: std::ops::Range<usize> = 30..34;
/// Bytes of an item's tag and length.
const ITEM_HEADER: usize = 8;

/// A File-set in the making. Instances are added, each gets a file ID; then the directory is
/// written.
#[derive(Debug, Default)]
pub struct FileSet {
    id: String,
    records: Vec<Record>,
    root: Vec<usize>,
    patients: HashMap<PatientKey, usize>,
    studies: HashMap<String, usize>,
    series: HashMap<(usize, String), usize>,
    instances: HashSet<String>,
}

/// Two patients are one when identifier and issuer are; without an identifier, when name and
/// birth date are. Bytes, because names are compared, not understood.
#[derive(Debug, PartialEq, Eq, Hash)]
struct PatientKey(Vec<Vec<u8>>);

#[derive(Debug)]
struct Record {
    kind: RecordType,
    /// Name of the folder or file.
    name: String,
    parent: Option<usize>,
    children: Vec<usize>,
    /// Everything but the offsets.
    elements: DataSet,
}

/// Why an instance cannot be added or a directory not written.
#[derive(Debug, thiserror::Error)]
pub enum FileSetError {
    /// The instance has no UID of this kind.
    #[error("instance has no {0}")]
    MissingUid(&'static str),
    /// The instance is in the File-set already.
    #[error("instance is in the file-set already")]
    Duplicate,
    /// Too many records below one parent.
    #[error("more than {SIBLINGS_MAX} records in one directory entity")]
    TooManySiblings,
    /// File-set ID is no file ID component of up to 16 characters (PS3.10 §8.1).
    #[error("file-set ID {0:?} is not up to 16 of A-Z, 0-9 and _")]
    FileSetId(String),
    /// A name that PS3.10 does not allow.
    #[error("file ID")]
    FileId(#[from] FileIdError),
    /// Offsets have 32 bits.
    #[error("directory would be longer than 4 GiB")]
    TooLong,
}

impl FileSet {
    /// An empty File-set. `id` is its label: up to 16 of `A`–`Z`, `0`–`9` and `_`, may be empty
    /// (PS3.10 §8.1).
    pub fn new(id: &str) -> Result<Self, FileSetError> {
        let is_allowed =
            |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        if id.len() > 16 || !id.bytes().all(is_allowed) {
            return Err(FileSetError::FileSetId(id.chars().take(32).collect()));
        }
        Ok(Self {
            id: id.to_owned(),
            ..Self::default()
        })
    }

    /// Number of instances.
    pub fn len(&self) -> usize {
        self.instances.len()
    }

    /// Whether there is no instance.
    pub fn is_empty(&self) -> bool {
        self.instances.is_empty()
    }

    /// Adds the record of an instance, and those of its patient, study and series when they are
    /// new. The file has to be stored under the file ID that is returned.
    pub fn add(
        &mut self,
        header: &DataSet,
        transfer_syntax_uid: &str,
    ) -> Result<FileId, FileSetError> {
        let uid = |tag, name| {
            let uid = header.uid(tag).map(|uid: Uid| uid.as_str().to_owned());
            uid.ok_or(FileSetError::MissingUid(name))
        };
        let sop_class_uid = uid(tags::SOP_CLASS_UID, "SOP Class UID")?;
        let sop_instance_uid = uid(tags::SOP_INSTANCE_UID, "SOP Instance UID")?;
        if self.instances.contains(&sop_instance_uid) {
            return Err(FileSetError::Duplicate);
        }
        let kind = RecordType::of_sop_class(&sop_class_uid, header.get(tags::ROWS).is_some());
        let parent = match kind.is_at_root() {
            true => None,
            false => {
                let study = uid(tags::STUDY_INSTANCE_UID, "Study Instance UID")?;
                let series = uid(tags::SERIES_INSTANCE_UID, "Series Instance UID")?;
                Some(self.series_record(header, study, series)?)
            }
        };
        let mut reference = DataSet::new();
        reference.put_uid(tags::REFERENCED_SOP_CLASS_UID_IN_FILE, &sop_class_uid);
        reference.put_uid(tags::REFERENCED_SOP_INSTANCE_UID_IN_FILE, &sop_instance_uid);
        reference.put_uid(
            tags::REFERENCED_TRANSFER_SYNTAX_UID_IN_FILE,
            transfer_syntax_uid,
        );
        if kind == RecordType::Private {
            reference.put_uid(tags::PRIVATE_RECORD_UID, PRIVATE_RECORD_UID);
        }
        let index = self.push(kind, parent, header, reference)?;
        let file_id = self.file_id(index)?;
        if let Some(record) = self.records.get_mut(index) {
            record
                .elements
                .put_text(tags::REFERENCED_FILE_ID, Vr::CS, &file_id.to_value());
        }
        self.instances.insert(sop_instance_uid);
        Ok(file_id)
    }

    /// The record of the series, made with those above it when it is new. A study stays with the
    /// patient under which it came first (PS3.3 F.5.2: it is listed once).
    fn series_record(
        &mut self,
        header: &DataSet,
        study_uid: String,
        series_uid: String,
    ) -> Result<usize, FileSetError> {
        let study = match self.studies.get(&study_uid) {
            Some(study) => *study,
            None => {
                let key = PatientKey::of(header);
                let patient = match self.patients.get(&key) {
                    Some(patient) => *patient,
                    None => {
                        let patient =
                            self.push(RecordType::Patient, None, header, DataSet::new())?;
                        self.patients.insert(key, patient);
                        patient
                    }
                };
                let study = self.push(RecordType::Study, Some(patient), header, DataSet::new())?;
                self.studies.insert(study_uid, study);
                study
            }
        };
        let key = (study, series_uid);
        if let Some(series) = self.series.get(&key) {
            return Ok(*series);
        }
        let series = self.push(RecordType::Series, Some(study), header, DataSet::new())?;
        self.series.insert(key, series);
        Ok(series)
    }

    fn push(
        &mut self,
        kind: RecordType,
        parent: Option<usize>,
        header: &DataSet,
        reference: DataSet,
    ) -> Result<usize, FileSetError> {
        let index = self.records.len();
        let siblings = match parent.and_then(|parent| self.records.get_mut(parent)) {
            Some(parent) => &mut parent.children,
            None => &mut self.root,
        };
        let position = siblings.len();
        if position >= SIBLINGS_MAX {
            return Err(FileSetError::TooManySiblings);
        }
        siblings.push(index);
        let mut elements = record_keys(kind, header, position + 1);
        elements.put_text(tags::DIRECTORY_RECORD_TYPE, Vr::CS, kind.as_str());
        for element in reference {
            elements.put(element);
        }
        let name = format!("{}{position:06}", kind.prefix());
        self.records.push(Record {
            kind,
            name,
            parent,
            children: Vec::new(),
            elements,
        });
        Ok(index)
    }

    fn file_id(&self, index: usize) -> Result<FileId, FileSetError> {
        let mut components = Vec::new();
        let mut at = Some(index);
        while let Some(record) = at.and_then(|at| self.records.get(at)) {
            components.push(record.name.clone());
            at = record.parent;
        }
        components.reverse();
        Ok(FileId::new(components)?)
    }

    /// The DICOMDIR file: Explicit VR Little Endian (PS3.10 §8.6), records in the order of the
    /// hierarchy, each before what is below it. `sop_instance_uid` is that of the directory; each
    /// writing has its own.
    pub fn to_dicomdir(&self, sop_instance_uid: &Uid) -> Result<Vec<u8>, FileSetError> {
        let order = self.in_hierarchical_order();
        let mut items: HashMap<usize, Vec<u8>> = HashMap::with_capacity(order.len());
        for index in &order {
            items.insert(*index, self.encoded_record(*index));
        }

        let meta = directory_meta(sop_instance_uid);
        let identification = encoding::write(&self.identification(0, 0), Encoding::ExplicitLittle);
        // Behind tag, VR, reserved bytes and length of Directory Record Sequence.
        let records_start = meta.len() + identification.len() + 12;
        let mut offsets: HashMap<usize, u32> = HashMap::with_capacity(order.len());
        let mut at = records_start;
        for index in &order {
            offsets.insert(
                *index,
                u32::try_from(at).map_err(|_| FileSetError::TooLong)?,
            );
            at += ITEM_HEADER + items.get(index).map_or(0, Vec::len);
        }
        let sequence_length =
            u32::try_from(at - records_start).map_err(|_| FileSetError::TooLong)?;

        let offset_of = |index: Option<&usize>| {
            index
                .and_then(|index| offsets.get(index))
                .copied()
                .unwrap_or(0)
        };
        let mut out = meta;
        let identification =
            self.identification(offset_of(self.root.first()), offset_of(self.root.last()));
        out.extend(encoding::write(&identification, Encoding::ExplicitLittle));
        out.extend_from_slice(b"\x04\x00\x20\x12SQ\x00\x00");
        out.extend_from_slice(&sequence_length.to_le_bytes());
        let next = self.next_siblings();
        for index in &order {
            let Some(mut item) = items.remove(index) else {
                continue;
            };
            let lower = self
                .records
                .get(*index)
                .and_then(|record| record.children.first());
            patch(&mut item, NEXT_AT, offset_of(next.get(index)));
            patch(&mut item, LOWER_AT, offset_of(lower));
            out.extend_from_slice(b"\xFE\xFF\x00\xE0");
            out.extend_from_slice(
                &u32::try_from(item.len())
                    .map_err(|_| FileSetError::TooLong)?
                    .to_le_bytes(),
            );
            out.append(&mut item);
        }
        Ok(out)
    }

    fn in_hierarchical_order(&self) -> Vec<usize> {
        let mut order = Vec::with_capacity(self.records.len());
        let mut stack: Vec<usize> = self.root.iter().rev().copied().collect();
        while let Some(index) = stack.pop() {
            order.push(index);
            if let Some(record) = self.records.get(index) {
                stack.extend(record.children.iter().rev());
            }
        }
        order
    }

    fn next_siblings(&self) -> HashMap<usize, usize> {
        std::iter::once(&self.root)
            .chain(self.records.iter().map(|record| &record.children))
            .flat_map(|siblings| siblings.windows(2))
            .filter_map(|pair| match pair {
                [one, next] => Some((*one, *next)),
                _ => None,
            })
            .collect()
    }

    fn encoded_record(&self, index: usize) -> Vec<u8> {
        let mut elements = DataSet::new();
        elements.put_u32(tags::OFFSET_OF_THE_NEXT_DIRECTORY_RECORD, 0);
        elements.put_u16(tags::RECORD_IN_USE_FLAG, 0xFFFF);
        elements.put_u32(tags::OFFSET_OF_REFERENCED_LOWER_LEVEL_DIRECTORY_ENTITY, 0);
        if let Some(record) = self.records.get(index) {
            for element in record.elements.elements() {
                elements.put(element.clone());
            }
        }
        encoding::write(&elements, Encoding::ExplicitLittle)
    }

    fn identification(&self, first: u32, last: u32) -> DataSet {
        let mut identification = DataSet::new();
        identification.put_text(tags::FILE_SET_ID, Vr::CS, &self.id);
        identification.put_u32(
            tags::OFFSET_OF_THE_FIRST_DIRECTORY_RECORD_OF_THE_ROOT_DIRECTORY_ENTITY,
            first,
        );
        identification.put_u32(
            tags::OFFSET_OF_THE_LAST_DIRECTORY_RECORD_OF_THE_ROOT_DIRECTORY_ENTITY,
            last,
        );
        identification.put_u16(tags::FILE_SET_CONSISTENCY_FLAG, 0);
        identification
    }

    /// Number of records of a type, for reports.
    pub fn count(&self, kind: RecordType) -> usize {
        self.records
            .iter()
            .filter(|record| record.kind == kind)
            .count()
    }
}

/// Preamble and file meta information of a directory.
fn directory_meta(sop_instance_uid: &Uid) -> Vec<u8> {
    part10::write_meta(&NewFileMeta {
        sop_class: uids::MEDIA_STORAGE_DIRECTORY_STORAGE,
        sop_instance: sop_instance_uid.as_str(),
        transfer_syntax: uids::EXPLICIT_VR_LITTLE_ENDIAN,
        ..NewFileMeta::default()
    })
}

impl PatientKey {
    fn of(header: &DataSet) -> Self {
        let bytes = |tag| {
            let bytes = header.bytes(tag).map(|bytes| bytes.trim_ascii().to_vec());
            bytes.unwrap_or_default()
        };
        let id = bytes(tags::PATIENT_ID);
        Self(match id.is_empty() {
            false => vec![id, bytes(tags::ISSUER_OF_PATIENT_ID)],
            true => vec![
                id,
                bytes(tags::PATIENT_NAME),
                bytes(tags::PATIENT_BIRTH_DATE),
            ],
        })
    }
}

fn patch(item: &mut [u8], at: std::ops::Range<usize>, value: u32) {
    if let Some(field) = item.get_mut(at) {
        field.copy_from_slice(&value.to_le_bytes());
    }
}
