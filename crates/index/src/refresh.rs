//! Counting a study anew, and finding out anew what describes it: after something of it was
//! hidden, came back, or was forgotten.

use crate::access_keys;
use crate::counts::Totals;
use crate::error::Result;
use crate::parents::{
    ADD_SERIES_REQUEST, ADD_STUDY_KEY, PatientKey, SeriesColumns, StudyColumns, add_keys,
    add_study_modality, ensure_patient, split,
};
use crate::selection::read_header;
use gantry_dicom::data_set::DataSet;
use rusqlite::{Connection, params};

/// Counts a study's instances that can be seen and describes it by the first of them.
pub(crate) fn study(connection: &Connection, study: i64) -> Result<()> {
    let before = StudyTotals::read(connection, study)?;
    for series in ids(connection, "SELECT id FROM series WHERE study = ?1", study)? {
        self::series(connection, series)?;
    }
    connection
        .prepare_cached(
            "UPDATE study SET (series, instances, bytes, instance) =
                 (SELECT count(*), coalesce(sum(instances), 0), coalesce(sum(bytes), 0),
                         min(instance)
                  FROM series WHERE series.study = study.id AND instances > 0)
             WHERE id = ?1",
        )?
        .execute([study])?;
    connection
        .prepare_cached("DELETE FROM study_sop_class WHERE study = ?1")?
        .execute([study])?;
    connection
        .prepare_cached(
            "INSERT INTO study_sop_class (study, sop_class, instances)
             SELECT series.study, sop_class, count(*)
             FROM series JOIN instance ON instance.series = series.id
             WHERE series.study = ?1 AND deletion IS NULL GROUP BY sop_class",
        )?
        .execute([study])?;
    modalities(connection, study)?;
    access_keys::refresh(connection, study)?;
    let after = StudyTotals::read(connection, study)?;
    let mut patients = vec![before.patient];
    if let Some(instance) = after.instance {
        patients.push(describe(connection, study, &after, instance)?);
    }
    Totals {
        patients: 0,
        studies: i64::from(after.totals.instances > 0) - i64::from(before.totals.instances > 0),
        series: after.totals.series - before.totals.series,
        instances: after.totals.instances - before.totals.instances,
        bytes: after.totals.bytes - before.totals.bytes,
    }
    .write(connection)?;
    patients.dedup();
    for id in patients {
        patient(connection, id)?;
    }
    Ok(())
}

struct StudyTotals {
    patient: i64,
    instance: Option<i64>,
    keys: String,
    totals: Totals,
}

impl StudyTotals {
    fn read(connection: &Connection, study: i64) -> Result<Self> {
        let mut statement = connection.prepare_cached(
            "SELECT patient, instance, keys, series, instances, bytes FROM study WHERE id = ?1",
        )?;
        Ok(statement.query_row([study], |row| {
            Ok(Self {
                patient: row.get(0)?,
                instance: row.get(1)?,
                keys: row.get(2)?,
                totals: Totals {
                    series: row.get(3)?,
                    instances: row.get(4)?,
                    bytes: row.get(5)?,
                    ..Totals::default()
                },
            })
        })?)
    }
}

fn series(connection: &Connection, series: i64) -> Result<()> {
    let (before, requests): (Option<i64>, Option<String>) = connection
        .prepare_cached("SELECT instance, requests FROM series WHERE id = ?1")?
        .query_row([series], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let after: Option<i64> = connection
        .prepare_cached(
            "UPDATE series SET (instances, bytes, instance) =
                 (SELECT count(*), coalesce(sum(length), 0), min(id) FROM instance
                  WHERE instance.series = series.id AND deletion IS NULL)
             WHERE id = ?1 RETURNING instance",
        )?
        .query_row([series], |row| row.get(0))?;
    let Some(instance) = after.filter(|_| after != before) else {
        return Ok(());
    };
    let attributes = header(connection, instance)?;
    let columns = SeriesColumns::of(&attributes);
    let called: String = connection
        .prepare_cached(
            "SELECT called_ae FROM instance JOIN source ON source.id = instance.source
             WHERE instance.id = ?1",
        )?
        .query_row([instance], |row| row.get(0))?;
    connection
        .prepare_cached(
            "UPDATE series SET modality = ?2, series_number = ?3, step_date = ?4, requests = ?5,
                 access = ?6
             WHERE id = ?1",
        )?
        .execute(params![
            series,
            columns.modality,
            columns.series_number,
            columns.step_date,
            columns.requests_text(),
            access_keys::of_instance(&attributes, &called).join("\n"),
        ])?;
    let old: Vec<&str> = requests.iter().flat_map(|keys| keys.split('\n')).collect();
    add_keys(
        connection,
        "DELETE FROM series_request WHERE key = ?1 AND series = ?2",
        series,
        &old,
    )?;
    add_keys(connection, ADD_SERIES_REQUEST, series, &columns.requests)
}

fn modalities(connection: &Connection, study: i64) -> Result<()> {
    let old: String = connection
        .prepare_cached("SELECT modalities FROM study WHERE id = ?1")?
        .query_row([study], |row| row.get(0))?;
    let mut new: Vec<String> = Vec::new();
    let mut statement = connection.prepare_cached(
        "SELECT modality FROM series WHERE study = ?1 AND instances > 0 AND modality IS NOT NULL
         ORDER BY instance",
    )?;
    for modality in statement.query_map([study], |row| row.get::<_, String>(0))? {
        let modality = modality?;
        if !new.contains(&modality) {
            new.push(modality);
        }
    }
    for gone in split(&old)
        .iter()
        .filter(|modality| !new.contains(modality))
    {
        connection
            .prepare_cached("DELETE FROM study_modality WHERE modality = ?1 AND study = ?2")?
            .execute(params![gone, study])?;
    }
    for modality in &new {
        add_study_modality(connection, study, modality)?;
    }
    connection
        .prepare_cached("UPDATE study SET modalities = ?2 WHERE id = ?1")?
        .execute(params![study, new.join("\\")])?;
    Ok(())
}

/// Fills the study's columns from an instance; returns whom it belongs to.
fn describe(
    connection: &Connection,
    study: i64,
    totals: &StudyTotals,
    instance: i64,
) -> Result<i64> {
    let attributes = header(connection, instance)?;
    let columns = StudyColumns::of(&attributes);
    let key = PatientKey::of(&attributes);
    // A study without Patient ID keeps the patient of its own.
    let is_unknown: bool = connection
        .prepare_cached("SELECT patient_id IS NULL FROM patient WHERE id = ?1")?
        .query_row([totals.patient], |row| row.get(0))?;
    let patient = if key.patient_id.is_none() && is_unknown {
        totals.patient
    } else {
        ensure_patient(connection, &key)?
    };
    connection
        .prepare_cached(
            "UPDATE study SET patient = ?2, study_date = ?3, birth_date = ?4,
             study_description = ?5, keys = ?6 WHERE id = ?1",
        )?
        .execute(params![
            study,
            patient,
            columns.study_date,
            columns.birth_date,
            columns.study_description,
            columns.keys.join("\n"),
        ])?;
    let old: Vec<&str> = totals.keys.split('\n').collect();
    add_keys(
        connection,
        "DELETE FROM study_key WHERE key = ?1 AND study = ?2",
        study,
        &old,
    )?;
    add_keys(connection, ADD_STUDY_KEY, study, &columns.keys)?;
    Ok(patient)
}

/// Counts a patient's studies that can be seen; the first of them describes the patient.
fn patient(connection: &Connection, patient: i64) -> Result<()> {
    let before: i64 = connection
        .prepare_cached("SELECT instances FROM patient WHERE id = ?1")?
        .query_row([patient], |row| row.get(0))?;
    let after: i64 = connection
        .prepare_cached(
            "UPDATE patient SET (studies, series, instances, study) =
                 (SELECT count(*), coalesce(sum(series), 0), coalesce(sum(instances), 0), min(id)
                  FROM study WHERE study.patient = patient.id AND instances > 0)
             WHERE id = ?1 RETURNING instances",
        )?
        .query_row([patient], |row| row.get(0))?;
    let patients = i64::from(after > 0) - i64::from(before > 0);
    Totals {
        patients,
        ..Totals::default()
    }
    .write(connection)
}

fn header(connection: &Connection, instance: i64) -> Result<DataSet> {
    let header = read_header(connection, instance)?;
    Ok(header.parse().unwrap_or_default())
}

/// The studies of a UID: one or none.
pub(crate) fn ids_of_uid(connection: &Connection, study_instance_uid: &str) -> Result<Vec<i64>> {
    let mut statement =
        connection.prepare_cached("SELECT id FROM study WHERE study_instance_uid = ?1")?;
    let ids = statement.query_map([study_instance_uid], |row| row.get(0))?;
    Ok(ids.collect::<rusqlite::Result<_>>()?)
}

pub(crate) fn ids(connection: &Connection, sql: &str, of: i64) -> Result<Vec<i64>> {
    let mut statement = connection.prepare_cached(sql)?;
    let ids = statement.query_map([of], |row| row.get(0))?;
    Ok(ids.collect::<rusqlite::Result<_>>()?)
}
