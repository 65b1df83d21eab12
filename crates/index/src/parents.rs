//! The patient, study and series of an instance: found, remembered, or made.

use crate::access_keys;
use crate::change::NewInstance;
use crate::error::Result;
use crate::header_pack::BASE_LENGTH_MAX;
use bytes::Bytes;
use gantry_dicom::data_set::DataSet;
use gantry_dicom::date_time::parse_da;
use gantry_dicom::person_name::{PersonName, fold};
use gantry_dicom::{Tag, tags};
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::HashMap;

/// Studies remembered.
const STUDIES_MAX: usize = 4096;
/// Series remembered, over all studies.
const SERIES_MAX: usize = 16_384;
/// Bytes of headers remembered.
const BASE_BYTES_MAX: usize = 8 << 20;

/// Studies and series that were written lately. Forgotten altogether when a transaction fails or
/// something is removed, so that it never says more than the database.
#[derive(Debug, Default)]
pub(crate) struct Parents {
    studies: HashMap<String, Study>,
    series: usize,
    base_bytes: usize,
}

#[derive(Debug)]
pub(crate) struct Study {
    pub id: i64,
    pub patient: i64,
    pub patient_key: PatientKey,
    /// Nothing of it can be seen: what it is has to be found out again.
    pub is_hidden: bool,
    pub modalities: Vec<String>,
    /// Its access keys.
    pub access: Vec<String>,
    pub series: HashMap<String, Series>,
}

#[derive(Debug)]
pub(crate) struct Series {
    pub id: i64,
    pub is_hidden: bool,
    pub base: Option<Base>,
}

/// The header that a series' others are packed against.
#[derive(Debug, Clone)]
pub(crate) struct Base {
    pub instance: i64,
    pub header: Bytes,
}

/// Who a study belongs to: Patient ID and its issuer (PS3.3 C.2.2).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct PatientKey {
    pub patient_id: Option<String>,
    pub issuer: String,
}

impl PatientKey {
    pub fn of(attributes: &DataSet) -> Self {
        Self {
            patient_id: attributes.string(tags::PATIENT_ID),
            issuer: attributes
                .string(tags::ISSUER_OF_PATIENT_ID)
                .unwrap_or_default(),
        }
    }
}

impl Parents {
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    pub fn study(&mut self, study_instance_uid: &str) -> Option<&mut Study> {
        self.studies.get_mut(study_instance_uid)
    }

    pub fn series(&mut self, instance: &NewInstance<'_>) -> Option<&mut Series> {
        self.studies
            .get_mut(instance.study_instance_uid)?
            .series
            .get_mut(instance.series_instance_uid)
    }

    /// Makes room: called between transactions.
    pub fn trim(&mut self) {
        if self.studies.len() > STUDIES_MAX
            || self.series > SERIES_MAX
            || self.base_bytes > BASE_BYTES_MAX
        {
            self.forget();
        }
    }

    pub fn set_base(&mut self, instance: &NewInstance<'_>, id: i64) {
        let header = &instance.header.0;
        if header.len() > BASE_LENGTH_MAX {
            return;
        }
        let length = header.len();
        if let Some(series) = self.series(instance).filter(|series| series.base.is_none()) {
            // A copy: the original may be a slice of something larger.
            series.base = Some(Base {
                instance: id,
                header: Bytes::copy_from_slice(header),
            });
            self.base_bytes += length;
        }
    }

    /// Looks for the study and the series in the database, and remembers them.
    pub fn load(&mut self, connection: &Connection, instance: &NewInstance<'_>) -> Result<()> {
        if !self.studies.contains_key(instance.study_instance_uid) {
            let Some(study) = find_study(connection, instance.study_instance_uid)? else {
                return Ok(());
            };
            self.studies
                .insert(instance.study_instance_uid.to_owned(), study);
        }
        let Some(study) = self.studies.get_mut(instance.study_instance_uid) else {
            return Ok(());
        };
        if !study.series.contains_key(instance.series_instance_uid)
            && let Some(series) = find_series(connection, study.id, instance.series_instance_uid)?
        {
            self.base_bytes += series.base.as_ref().map_or(0, |base| base.header.len());
            self.series += 1;
            study
                .series
                .insert(instance.series_instance_uid.to_owned(), series);
        }
        Ok(())
    }

    /// Makes the study's row, and its patient's when there is none.
    pub fn add_study(&mut self, connection: &Connection, instance: &NewInstance<'_>) -> Result<()> {
        let patient_key = PatientKey::of(instance.attributes);
        let patient = ensure_patient(connection, &patient_key)?;
        let columns = StudyColumns::of(instance.attributes);
        let access = access_keys::marks(connection, instance.study_instance_uid)?;
        let id = connection
            .prepare_cached(
                "INSERT INTO study (patient, study_instance_uid, study_date, birth_date,
                     study_description, keys, modalities, access, received_at, changed_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, '', ?8, ?7, ?7)",
            )?
            .insert(params![
                patient,
                instance.study_instance_uid,
                columns.study_date,
                columns.birth_date,
                columns.study_description,
                columns.keys.join("\n"),
                instance.received_at,
                access.join("\n"),
            ])?;
        add_keys(connection, ADD_STUDY_KEY, id, &columns.keys)?;
        add_access(connection, id, &access)?;
        let study = Study {
            id,
            patient,
            patient_key,
            is_hidden: false,
            modalities: Vec::new(),
            access,
            series: HashMap::new(),
        };
        self.studies
            .insert(instance.study_instance_uid.to_owned(), study);
        Ok(())
    }

    /// Makes the series' row in a study that is remembered.
    pub fn add_series(
        &mut self,
        connection: &Connection,
        instance: &NewInstance<'_>,
    ) -> Result<Brought> {
        let Some(study) = self.studies.get_mut(instance.study_instance_uid) else {
            return Ok(Brought::default());
        };
        let access = access_keys::of_instance(instance.attributes, instance.source.called_ae);
        let columns = SeriesColumns::of(instance.attributes);
        let id = connection
            .prepare_cached(
                "INSERT INTO series (study, series_instance_uid, modality, series_number,
                     step_date, requests, access)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .insert(params![
                study.id,
                instance.series_instance_uid,
                columns.modality,
                columns.series_number,
                columns.step_date,
                columns.requests_text(),
                access.join("\n"),
            ])?;
        add_keys(connection, ADD_SERIES_REQUEST, id, &columns.requests)?;
        let series = Series {
            id,
            is_hidden: false,
            base: None,
        };
        study
            .series
            .insert(instance.series_instance_uid.to_owned(), series);
        self.series += 1;
        let mut brought = Brought::default();
        if let Some(modality) = columns
            .modality
            .filter(|modality| !study.modalities.contains(modality))
        {
            add_study_modality(connection, study.id, &modality)?;
            study.modalities.push(modality);
            brought.modality = true;
        }
        let new: Vec<String> = access
            .into_iter()
            .filter(|key| !study.access.contains(key))
            .collect();
        if !new.is_empty() {
            add_access(connection, study.id, &new)?;
            study.access.extend(new);
            brought.access = true;
        }
        Ok(brought)
    }
}

/// What of a study a new series changes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Brought {
    /// Its modality is the first of its kind.
    pub modality: bool,
    /// It brings access keys.
    pub access: bool,
}

fn find_study(connection: &Connection, study_instance_uid: &str) -> Result<Option<Study>> {
    let study = connection
        .prepare_cached(
            "SELECT study.id, study.patient, patient.patient_id, patient.issuer, study.instances,
                    study.modalities, study.access
             FROM study JOIN patient ON patient.id = study.patient
             WHERE study.study_instance_uid = ?1",
        )?
        .query_row([study_instance_uid], |row| {
            let (modalities, access): (String, String) = (row.get(5)?, row.get(6)?);
            Ok(Study {
                id: row.get(0)?,
                patient: row.get(1)?,
                patient_key: PatientKey {
                    patient_id: row.get(2)?,
                    issuer: row.get(3)?,
                },
                is_hidden: row.get::<_, i64>(4)? == 0,
                modalities: split(&modalities),
                access: access_keys::lines(&access).map(str::to_owned).collect(),
                series: HashMap::new(),
            })
        })
        .optional()?;
    Ok(study)
}

fn find_series(connection: &Connection, study: i64, uid: &str) -> Result<Option<Series>> {
    let series = connection
        .prepare_cached(
            "SELECT id, instances FROM series WHERE series_instance_uid = ?1 AND study = ?2",
        )?
        .query_row(params![uid, study], |row| {
            Ok((row.get(0)?, row.get::<_, i64>(1)?))
        })
        .optional()?;
    let Some((id, instances)) = series else {
        return Ok(None);
    };
    let base = find_base(connection, id)?;
    Ok(Some(Series {
        id,
        is_hidden: instances == 0,
        base,
    }))
}

/// The first header of a series that others can be packed against.
pub(crate) fn find_base(connection: &Connection, series: i64) -> Result<Option<Base>> {
    let base = connection
        .prepare_cached(
            "SELECT id, header, header_length FROM instance
             WHERE series = ?1 AND header_base IS NULL AND header_length <= ?2
             ORDER BY id LIMIT 1",
        )?
        .query_row(params![series, BASE_LENGTH_MAX as i64], |row| {
            let packed: Vec<u8> = row.get(1)?;
            Ok((row.get(0)?, packed, row.get(2)?))
        })
        .optional()?;
    Ok(base.and_then(|(instance, packed, length)| {
        let header = crate::header_pack::unpack(&packed, length, None)?;
        Some(Base { instance, header })
    }))
}

/// The patient's row. A study without Patient ID has one of its own: nothing says that two
/// unknown patients are one.
pub(crate) fn ensure_patient(connection: &Connection, key: &PatientKey) -> Result<i64> {
    if key.patient_id.is_some() {
        let found = connection
            .prepare_cached("SELECT id FROM patient WHERE patient_id = ?1 AND issuer = ?2")?
            .query_row(params![key.patient_id, key.issuer], |row| row.get(0))
            .optional()?;
        if let Some(id) = found {
            return Ok(id);
        }
    }
    let id = connection
        .prepare_cached("INSERT INTO patient (patient_id, issuer) VALUES (?1, ?2)")?
        .insert(params![key.patient_id, key.issuer])?;
    Ok(id)
}

/// What of a study searches need.
pub(crate) struct StudyColumns {
    pub study_date: Option<u32>,
    pub birth_date: Option<u32>,
    /// All values, as [`gantry_dicom::matching::Matcher::matches_text`] takes them.
    pub study_description: Option<String>,
    pub keys: Vec<String>,
}

impl StudyColumns {
    pub fn of(attributes: &DataSet) -> Self {
        let mut keys = name_keys(attributes);
        keys.extend(value_keys(attributes, 'P', tags::PATIENT_ID));
        keys.extend(value_keys(attributes, 'A', tags::ACCESSION_NUMBER));
        keys.extend(value_keys(attributes, 'I', tags::STUDY_ID));
        keys.sort_unstable();
        keys.dedup();
        let descriptions = attributes.strings(tags::STUDY_DESCRIPTION);
        Self {
            study_date: date(attributes, tags::STUDY_DATE),
            birth_date: date(attributes, tags::PATIENT_BIRTH_DATE),
            study_description: (!descriptions.is_empty()).then(|| descriptions.join("\\")),
            keys,
        }
    }
}

/// What of a series searches need.
pub(crate) struct SeriesColumns {
    pub modality: Option<String>,
    pub series_number: Option<i64>,
    pub step_date: Option<u32>,
    pub requests: Vec<String>,
}

impl SeriesColumns {
    pub fn of(attributes: &DataSet) -> Self {
        Self {
            modality: attributes.string(tags::MODALITY),
            series_number: attributes.integer(tags::SERIES_NUMBER),
            step_date: date(attributes, tags::PERFORMED_PROCEDURE_STEP_START_DATE),
            requests: request_keys(attributes),
        }
    }

    pub fn requests_text(&self) -> Option<String> {
        (!self.requests.is_empty()).then(|| self.requests.join("\n"))
    }
}

/// The date of an element with one value.
pub(crate) fn date(attributes: &DataSet, tag: Tag) -> Option<u32> {
    attributes.ascii(tag).and_then(parse_da)
}

/// What a name is found by: its component groups, folded, after '='; those of its words, folded,
/// that no group begins with, after ':'.
fn name_keys(attributes: &DataSet) -> Vec<String> {
    let mut keys = Vec::new();
    for name in attributes.strings(tags::PATIENT_NAME) {
        let name = PersonName::parse(&name);
        let groups = name.groups().map(fold);
        let words = name
            .words()
            .into_iter()
            .filter(|word| !groups.iter().any(|group| group.starts_with(word.as_str())));
        keys.extend(words.map(|word| format!(":{word}")));
        let groups = groups.iter().filter(|group| !group.is_empty());
        keys.extend(groups.map(|group| format!("={group}")));
    }
    // A line each in the column.
    keys.retain(|key| !key.contains('\n'));
    keys
}

fn value_keys(attributes: &DataSet, case: char, tag: Tag) -> impl Iterator<Item = String> {
    let values = attributes
        .strings(tag)
        .into_iter()
        .filter(|value| !value.contains('\n'));
    values
        .filter(|value| !value.is_empty())
        .map(move |value| format!("{case}{value}"))
}

fn request_keys(attributes: &DataSet) -> Vec<String> {
    let set = attributes.character_set();
    let mut keys = Vec::new();
    for item in attributes.items(tags::REQUEST_ATTRIBUTES_SEQUENCE) {
        let set = gantry_dicom::character_set::CharacterSet::for_item(set, item);
        for (case, tag) in [
            ("R", tags::REQUESTED_PROCEDURE_ID),
            ("S", tags::SCHEDULED_PROCEDURE_STEP_ID),
        ] {
            let values = item.strings_in(tag, set).into_iter();
            keys.extend(
                values
                    .filter(|value| !value.contains('\n'))
                    .map(|value| case.to_owned() + &value),
            );
        }
    }
    keys.sort_unstable();
    keys.dedup();
    keys
}

pub(crate) const ADD_STUDY_KEY: &str = "INSERT INTO study_key (key, study) VALUES (?1, ?2)";
pub(crate) const ADD_SERIES_REQUEST: &str =
    "INSERT INTO series_request (key, series) VALUES (?1, ?2)";

fn add_access(connection: &Connection, study: i64, keys: &[String]) -> Result<()> {
    add_keys(connection, access_keys::ADD, study, keys)
}

/// Executes `sql` for each key.
pub(crate) fn add_keys(
    connection: &Connection,
    sql: &str,
    id: i64,
    keys: &[impl AsRef<str>],
) -> Result<()> {
    let mut statement = connection.prepare_cached(sql)?;
    for key in keys {
        statement.execute(params![key.as_ref(), id])?;
    }
    Ok(())
}

pub(crate) fn add_study_modality(
    connection: &Connection,
    study: i64,
    modality: &str,
) -> Result<()> {
    connection
        .prepare_cached("INSERT OR IGNORE INTO study_modality (modality, study) VALUES (?1, ?2)")?
        .execute(params![modality, study])?;
    Ok(())
}

/// The values of a column that holds several.
pub(crate) fn split(text: &str) -> Vec<String> {
    text.split('\\')
        .filter(|value| !value.is_empty())
        .map(str::to_owned)
        .collect()
}
