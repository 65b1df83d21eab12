//! Adding an instance.

use crate::change::{Attempt, NewInstance, Outcome, Stored};
use crate::counts::Added;
use crate::error::Result;
use crate::header_pack;
use crate::instance::{self, Existing, InstanceId};
use crate::parents::{Brought, PatientKey};
use crate::writer::Memory;
use gantry_blob::BlobLocation;
use gantry_dicom::data_set::DataSet;
use gantry_dicom::tags;
use rusqlite::{Connection, OptionalExtension, params};

/// Attempts remembered in the database.
const ATTEMPTS_MAX: i64 = 100_000;

/// Adds an instance, unless its SOP Instance UID is taken.
pub(crate) fn store(
    connection: &Connection,
    memory: &mut Memory,
    instance: &NewInstance<'_>,
) -> Result<Outcome> {
    if memory.parents.series(instance).is_none() {
        memory.parents.load(connection, instance)?;
    }
    let is_new_study = memory.parents.study(instance.study_instance_uid).is_none();
    let is_new_series = memory.parents.series(instance).is_none();
    // No parents for an instance that will not be stored.
    if is_new_series && let Some(outcome) = refuse(connection, memory, instance)? {
        return Ok(outcome);
    }
    if is_new_study {
        memory.parents.add_study(connection, instance)?;
    }
    let brought = if is_new_series {
        memory.parents.add_series(connection, instance)?
    } else {
        Brought::default()
    };
    let Some(id) = insert(connection, memory, instance)? else {
        return Ok(refuse(connection, memory, instance)?.unwrap_or(Outcome::Changed(0)));
    };
    if let Some(bytes) = instance.frame_index {
        connection
            .prepare_cached("INSERT INTO frame_index (instance, bytes) VALUES (?1, ?2)")?
            .execute(params![id, bytes])?;
    }
    count(
        connection,
        memory,
        instance,
        id,
        [is_new_study, is_new_series],
        brought,
    )?;
    let has_other_patient = !is_new_study && notice_other_patient(connection, memory, instance)?;
    Ok(Outcome::Stored(Stored {
        id: InstanceId(id),
        is_new_study,
        is_new_series,
        has_other_patient,
    }))
}

/// Inserts the row; none when the SOP Instance UID is taken.
fn insert(
    connection: &Connection,
    memory: &mut Memory,
    instance: &NewInstance<'_>,
) -> Result<Option<i64>> {
    let Some(series) = memory.parents.series(instance) else {
        return Ok(None);
    };
    let series_id = series.id;
    let base = series.base.clone();
    let header = &instance.header.0;
    let packed = header_pack::pack(header, base.as_ref().map(|base| &base.header[..]));
    let sop_class = memory.interned.uid(connection, instance.sop_class_uid)?;
    let transfer_syntax = memory
        .interned
        .uid(connection, instance.transfer_syntax_uid)?;
    let source = memory.interned.source(connection, &instance.source)?;
    let frames = number_of_frames(instance.attributes);
    let inserted = connection
        .prepare_cached(
            "INSERT INTO instance (series, sop_instance_uid, sop_class, transfer_syntax,
                 instance_number, number_of_frames, location, length, data_set_offset, digest,
                 received_at, source, header_length, header_base, header, departure)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)
             ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            series_id,
            instance.sop_instance_uid,
            sop_class,
            transfer_syntax,
            instance.attributes.integer(tags::INSTANCE_NUMBER),
            frames,
            instance.location.to_bytes(),
            instance.location.length().cast_signed(),
            instance.data_set_offset,
            instance.digest,
            instance.received_at,
            source,
            i64::try_from(header.len()).unwrap_or(i64::MAX),
            base.as_ref().map(|base| base.instance),
            packed,
            instance.departure.to_bits(),
        ])?;
    if inserted == 0 {
        return Ok(None);
    }
    let id = connection.last_insert_rowid();
    if base.is_none() {
        memory.parents.set_base(instance, id);
    }
    Ok(Some(id))
}

/// Frames of the pixel data: none without, one where the attribute is absent (PS3.3 C.7.6.6).
fn number_of_frames(attributes: &DataSet) -> i64 {
    let pixel_data = [
        tags::PIXEL_DATA,
        tags::FLOAT_PIXEL_DATA,
        tags::DOUBLE_FLOAT_PIXEL_DATA,
    ];
    if pixel_data.iter().all(|tag| attributes.get(*tag).is_none()) {
        return 0;
    }
    let frames = attributes.integer(tags::NUMBER_OF_FRAMES).unwrap_or(1);
    frames.clamp(1, i64::from(u32::MAX))
}

/// What to answer when the SOP Instance UID is taken; its blob is garbage then.
fn refuse(
    connection: &Connection,
    memory: &mut Memory,
    instance: &NewInstance<'_>,
) -> Result<Option<Outcome>> {
    let Some(existing) = find_existing(connection, instance.sop_instance_uid)? else {
        return Ok(None);
    };
    if existing.location != instance.location {
        add_garbage(connection, &instance.location)?;
    }
    let is_same_place = existing.study_instance_uid == instance.study_instance_uid
        && existing.series_instance_uid == instance.series_instance_uid;
    let is_identical = existing.digest == instance.digest;
    let kind = match (is_same_place, is_identical) {
        (true, true) => {
            return Ok(Some(Outcome::Duplicate {
                existing,
                is_identical,
            }));
        }
        (true, false) => "different-duplicate",
        (false, _) => "other-series",
    };
    let attempt = Attempt {
        at: instance.received_at,
        kind,
        sop_instance_uid: instance.sop_instance_uid,
        digest: Some(instance.digest),
        source: instance.source,
        detail: "",
    };
    add_attempt(connection, memory, &attempt)?;
    Ok(Some(if is_same_place {
        Outcome::Duplicate {
            existing,
            is_identical,
        }
    } else {
        Outcome::Conflict { existing }
    }))
}

fn count(
    connection: &Connection,
    memory: &mut Memory,
    instance: &NewInstance<'_>,
    id: i64,
    [is_new_study, is_new_series]: [bool; 2],
    brought: Brought,
) -> Result<()> {
    let sop_class = memory.interned.uid(connection, instance.sop_class_uid)?;
    let Some(study) = memory.parents.study(instance.study_instance_uid) else {
        return Ok(());
    };
    let Some(series) = study.series.get(instance.series_instance_uid) else {
        return Ok(());
    };
    let is_hidden = study.is_hidden || series.is_hidden;
    let added = Added {
        patient: study.patient,
        study: study.id,
        series: series.id,
        instance: id,
        sop_class,
        bytes: instance.location.length().cast_signed(),
        at: instance.received_at,
        is_new_study,
        is_new_series,
        modalities: brought.modality.then(|| study.modalities.join("\\")),
        access: brought.access.then(|| study.access.join("\n")),
    };
    if is_hidden {
        memory.counts.refresh(study.id);
    }
    memory.counts.add(added);
    Ok(())
}

/// Records that an instance names another patient than its study does: once, not for each.
fn notice_other_patient(
    connection: &Connection,
    memory: &mut Memory,
    instance: &NewInstance<'_>,
) -> Result<bool> {
    let key = PatientKey::of(instance.attributes);
    let Some(study) = memory.parents.study(instance.study_instance_uid) else {
        return Ok(false);
    };
    if study.patient_key == key {
        return Ok(false);
    }
    let study = study.id;
    if memory.other_patients.len() > 1000 {
        memory.other_patients.clear();
    }
    if memory.other_patients.insert((study, key)) {
        let attempt = Attempt {
            at: instance.received_at,
            kind: "other-patient",
            sop_instance_uid: instance.sop_instance_uid,
            digest: Some(instance.digest),
            source: instance.source,
            detail: "Patient ID or its issuer differ from the study's",
        };
        add_attempt(connection, memory, &attempt)?;
    }
    Ok(true)
}

/// What can be seen under a SOP Instance UID.
pub(crate) fn find_existing(connection: &Connection, uid: &str) -> Result<Option<Existing>> {
    let found = connection
        .prepare_cached(
            "SELECT instance.id, study_instance_uid, series_instance_uid, class.uid, syntax.uid,
                    digest, location
             FROM instance
             JOIN series ON series.id = instance.series
             JOIN study ON study.id = series.study
             JOIN uid AS class ON class.id = instance.sop_class
             JOIN uid AS syntax ON syntax.id = instance.transfer_syntax
             WHERE sop_instance_uid = ?1 AND deletion IS NULL",
        )?
        .query_row([uid], |row| {
            let id = row.get(0)?;
            Ok(instance::digest(row, 5, id).and_then(|digest| {
                Ok(Existing {
                    study_instance_uid: row.get(1)?,
                    series_instance_uid: row.get(2)?,
                    sop_class_uid: row.get(3)?,
                    transfer_syntax_uid: row.get(4)?,
                    digest,
                    location: instance::location(row, 6, id)?,
                })
            }))
        })
        .optional()?;
    found.transpose()
}

/// Writes down an attempt; the oldest are forgotten.
pub(crate) fn add_attempt(
    connection: &Connection,
    memory: &mut Memory,
    attempt: &Attempt<'_>,
) -> Result<()> {
    let source = memory.interned.source(connection, &attempt.source)?;
    let id = connection
        .prepare_cached(
            "INSERT INTO attempt (at, kind, sop_instance_uid, digest, source, detail)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .insert(params![
            attempt.at,
            attempt.kind,
            attempt.sop_instance_uid,
            attempt.digest.as_ref().map(|digest| &digest[..]),
            source,
            attempt.detail,
        ])?;
    connection
        .prepare_cached("DELETE FROM attempt WHERE id <= ?1")?
        .execute([id.saturating_sub(ATTEMPTS_MAX)])?;
    Ok(())
}

/// Notes that a blob's space can be given back.
pub(crate) fn add_garbage(connection: &Connection, location: &BlobLocation) -> Result<()> {
    connection
        .prepare_cached("INSERT OR IGNORE INTO garbage (location) VALUES (?1)")?
        .execute([location.to_bytes()])?;
    Ok(())
}
