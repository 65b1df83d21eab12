//! Deleting, restoring, purging.
//!
//! A deletion claims instances: they are hidden from every question at once. It can be undone
//! until it is purged, which forgets the rows and leaves the blobs as garbage to be collected.

use crate::change::{Outcome, Target};
use crate::error::{IndexError, Result};
use crate::header_pack::{self, BASE_LENGTH_MAX};
use crate::instance;
use crate::refresh::{self, ids};
use crate::selection::read_header;
use crate::store::add_garbage;
use bytes::Bytes;
use gantry_blob::BlobLocation;
use gantry_core::level::Level;
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::collections::BTreeSet;

/// What a deletion, a restoration or a purge did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removed {
    /// Studies of which something was hidden, brought back or forgotten.
    pub studies: u64,
    /// Instances, likewise.
    pub instances: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A deletion as it is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deletion {
    /// Its id, chosen by the archive.
    pub id: i64,
    /// What was deleted.
    pub target: Target,
    /// Who deleted it.
    pub by: String,
    /// When, in microseconds since 1970.
    pub at: i64,
    /// How many instances it hid.
    pub instances: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When it was undone.
    pub restored_at: Option<i64>,
    /// When it was made final.
    pub purged_at: Option<i64>,
}

impl Target {
    /// The level that is deleted.
    pub fn level(&self) -> Level {
        match self {
            Self::Patient { .. } => Level::Patient,
            Self::Study { .. } => Level::Study,
            Self::Series { .. } => Level::Series,
            Self::Instance { .. } => Level::Instance,
        }
    }
}

/// Hides what can be seen of `target`.
pub(crate) fn delete(
    connection: &Connection,
    deletion: i64,
    target: &Target,
    by: &str,
    at: i64,
) -> Result<Outcome> {
    if !insert_deletion(connection, deletion, target, by, at)? {
        return Ok(Outcome::Removed(Removed::default()));
    }
    let hide = |whose: &str, parameters: &[&dyn rusqlite::ToSql]| {
        let sql = format!("UPDATE instance SET deletion = ?1 WHERE deletion IS NULL AND {whose}");
        connection.prepare_cached(&sql)?.execute(parameters)
    };
    match target {
        Target::Patient { patient_id, issuer } => hide(
            "series IN (SELECT series.id FROM patient
                        JOIN study ON study.patient = patient.id
                        JOIN series ON series.study = study.id
                        WHERE patient_id = ?2 AND (?3 IS NULL OR issuer = ?3))",
            &[&deletion, patient_id, issuer],
        ),
        Target::Study { study } => hide(
            "series IN (SELECT series.id FROM study JOIN series ON series.study = study.id
                        WHERE study_instance_uid = ?2)",
            &[&deletion, study],
        ),
        Target::Series { study, series } => hide(
            "series IN (SELECT series.id FROM series JOIN study ON study.id = series.study
                        WHERE study_instance_uid = ?2 AND series_instance_uid = ?3)",
            &[&deletion, study, series],
        ),
        Target::Instance {
            study,
            series,
            instance,
        } => hide(
            "sop_instance_uid = ?4
             AND series IN (SELECT series.id FROM series JOIN study ON study.id = series.study
                            WHERE study_instance_uid = ?2 AND series_instance_uid = ?3)",
            &[&deletion, study, series, instance],
        ),
    }?;
    let removed = claimed(connection, deletion)?;
    if removed.instances == 0 {
        connection
            .prepare_cached("DELETE FROM deletion WHERE id = ?1")?
            .execute([deletion])?;
        return Ok(Outcome::Removed(removed));
    }
    connection
        .prepare_cached("UPDATE deletion SET instances = ?2, bytes = ?3 WHERE id = ?1")?
        .execute(params![
            deletion,
            removed.instances.cast_signed(),
            removed.bytes.cast_signed()
        ])?;
    for study in studies(connection, deletion)? {
        touch(connection, study, at)?;
    }
    Ok(Outcome::Removed(removed))
}

/// Writes the deletion down; false when its id is taken.
fn insert_deletion(
    connection: &Connection,
    deletion: i64,
    target: &Target,
    by: &str,
    at: i64,
) -> Result<bool> {
    let (mut patient_id, mut issuer, mut study, mut series, mut instance) =
        (None, None, None, None, None);
    match target {
        Target::Patient {
            patient_id: id,
            issuer: by,
        } => {
            (patient_id, issuer) = (Some(id), by.as_ref());
        }
        Target::Study { study: uid } => study = Some(uid),
        Target::Series {
            study: of,
            series: uid,
        } => (study, series) = (Some(of), Some(uid)),
        Target::Instance {
            study: of,
            series: in_series,
            instance: uid,
        } => {
            (study, series, instance) = (Some(of), Some(in_series), Some(uid));
        }
    }
    let inserted = connection
        .prepare_cached(
            "INSERT INTO deletion (id, level, patient_id, issuer, study_instance_uid,
                 series_instance_uid, sop_instance_uid, deleted_by, deleted_at, instances, bytes)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 0, 0) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            deletion,
            target.level().as_str(),
            patient_id,
            issuer,
            study,
            series,
            instance,
            by,
            at
        ])?;
    Ok(inserted == 1)
}

/// How much a deletion claims.
fn claimed(connection: &Connection, deletion: i64) -> Result<Removed> {
    let mut statement = connection.prepare_cached(
        "SELECT count(*), coalesce(sum(length), 0), count(DISTINCT series.study)
         FROM instance JOIN series ON series.id = instance.series WHERE deletion = ?1",
    )?;
    Ok(statement.query_row([deletion], |row| {
        Ok(Removed {
            instances: row.get::<_, i64>(0)?.cast_unsigned(),
            bytes: row.get::<_, i64>(1)?.cast_unsigned(),
            studies: row.get::<_, i64>(2)?.cast_unsigned(),
        })
    })?)
}

fn studies(connection: &Connection, deletion: i64) -> Result<Vec<i64>> {
    let sql = "SELECT DISTINCT series.study FROM instance
               JOIN series ON series.id = instance.series WHERE deletion = ?1";
    ids(connection, sql, deletion)
}

fn touch(connection: &Connection, study: i64, at: i64) -> Result<()> {
    refresh::study(connection, study)?;
    connection
        .prepare_cached("UPDATE study SET changed_at = max(changed_at, ?2) WHERE id = ?1")?
        .execute([study, at])?;
    Ok(())
}

/// Brings back what a deletion hid, except what was stored again since.
pub(crate) fn restore(connection: &Connection, deletion: i64, at: i64) -> Result<Outcome> {
    let before = claimed(connection, deletion)?;
    let affected = studies(connection, deletion)?;
    connection
        .prepare_cached(
            "UPDATE instance SET deletion = NULL WHERE deletion = ?1 AND NOT EXISTS (
                 SELECT 1 FROM instance AS other
                 WHERE other.sop_instance_uid = instance.sop_instance_uid
                   AND other.deletion IS NULL)",
        )?
        .execute([deletion])?;
    let left = claimed(connection, deletion)?;
    if left.instances == 0 {
        connection
            .prepare_cached(
                "UPDATE deletion SET restored_at = ?2
                 WHERE id = ?1 AND restored_at IS NULL AND purged_at IS NULL",
            )?
            .execute([deletion, at])?;
    }
    for &study in &affected {
        touch(connection, study, at)?;
    }
    Ok(Outcome::Removed(Removed {
        studies: affected.len() as u64,
        instances: before.instances - left.instances,
        bytes: before.bytes - left.bytes,
    }))
}

/// Forgets what a deletion hid.
pub(crate) fn purge(connection: &Connection, deletion: i64, at: i64) -> Result<Outcome> {
    let removed = claimed(connection, deletion)?;
    let of_series = "SELECT DISTINCT series FROM instance WHERE deletion = ?1";
    let series = ids(connection, of_series, deletion)?;
    let studies = studies(connection, deletion)?;
    for &series in &series {
        rebase(connection, series, deletion)?;
    }
    let mut statement =
        connection.prepare_cached("SELECT id, location FROM instance WHERE deletion = ?1")?;
    let mut rows = statement.query([deletion])?;
    while let Some(row) = rows.next()? {
        add_garbage(connection, &instance::location(row, 1, row.get(0)?)?)?;
    }
    for sql in [
        "DELETE FROM frame_index
         WHERE instance IN (SELECT id FROM instance WHERE deletion = ?1)",
        "DELETE FROM instance WHERE deletion = ?1",
    ] {
        connection.prepare_cached(sql)?.execute([deletion])?;
    }
    for &series in &series {
        forget_series(connection, series)?;
    }
    for &study in &studies {
        forget_study(connection, study)?;
    }
    connection
        .prepare_cached(
            "UPDATE deletion SET purged_at = ?2
             WHERE id = ?1 AND restored_at IS NULL AND purged_at IS NULL",
        )?
        .execute([deletion, at])?;
    Ok(Outcome::Removed(removed))
}

/// Packs the headers that stay anew, where they were packed against one that goes.
fn rebase(connection: &Connection, series: i64, deletion: i64) -> Result<()> {
    let sql = "SELECT id FROM instance WHERE series = ?1 AND deletion IS NOT ?2
               AND header_base IN (SELECT id FROM instance WHERE series = ?1 AND deletion = ?2)
               ORDER BY id";
    let mut statement = connection.prepare_cached(sql)?;
    let dependents: Vec<i64> = statement
        .query_map([series, deletion], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut base: Option<(i64, Bytes)> = None;
    for id in dependents {
        let header = read_header(connection, id)?.0;
        let packed = header_pack::pack(&header, base.as_ref().map(|(_, header)| &header[..]));
        connection
            .prepare_cached("UPDATE instance SET header = ?2, header_base = ?3 WHERE id = ?1")?
            .execute(params![id, packed, base.as_ref().map(|(id, _)| id)])?;
        if base.is_none() && header.len() <= BASE_LENGTH_MAX {
            base = Some((id, header));
        }
    }
    Ok(())
}

fn forget_series(connection: &Connection, series: i64) -> Result<()> {
    if has(
        connection,
        "SELECT 1 FROM instance WHERE series = ?1 LIMIT 1",
        series,
    )? {
        return Ok(());
    }
    let requests: Option<String> = connection
        .prepare_cached("DELETE FROM series WHERE id = ?1 RETURNING requests")?
        .query_row([series], |row| row.get(0))?;
    for key in requests.iter().flat_map(|keys| keys.split('\n')) {
        connection
            .prepare_cached("DELETE FROM series_request WHERE key = ?1 AND series = ?2")?
            .execute(params![key, series])?;
    }
    Ok(())
}

fn forget_study(connection: &Connection, study: i64) -> Result<()> {
    if has(
        connection,
        "SELECT 1 FROM series WHERE study = ?1 LIMIT 1",
        study,
    )? {
        return Ok(());
    }
    let (keys, patient): (String, i64) = connection
        .prepare_cached("DELETE FROM study WHERE id = ?1 RETURNING keys, patient")?
        .query_row([study], |row| Ok((row.get(0)?, row.get(1)?)))?;
    for key in keys.split('\n') {
        connection
            .prepare_cached("DELETE FROM study_key WHERE key = ?1 AND study = ?2")?
            .execute(params![key, study])?;
    }
    if has(
        connection,
        "SELECT 1 FROM study WHERE patient = ?1 LIMIT 1",
        patient,
    )? {
        return Ok(());
    }
    connection
        .prepare_cached("DELETE FROM patient WHERE id = ?1")?
        .execute([patient])?;
    Ok(())
}

fn has(connection: &Connection, sql: &str, id: i64) -> Result<bool> {
    Ok(connection.prepare_cached(sql)?.exists([id])?)
}

const COLUMNS: &str = "id, level, patient_id, issuer, study_instance_uid, series_instance_uid,
     sop_instance_uid, deleted_by, deleted_at, instances, bytes, restored_at, purged_at";

fn read(row: &Row<'_>) -> Result<Deletion> {
    let id = row.get(0)?;
    let missing = |column| IndexError::Row {
        table: "deletion",
        id,
        column,
    };
    let text = |at: usize, column| {
        row.get::<_, Option<String>>(at)?
            .ok_or_else(|| missing(column))
    };
    let level = Level::parse(row.get_ref(1)?.as_str().unwrap_or_default());
    let target = match level.ok_or_else(|| missing("level"))? {
        Level::Patient => Target::Patient {
            patient_id: text(2, "patient_id")?,
            issuer: row.get(3)?,
        },
        Level::Study => Target::Study {
            study: text(4, "study_instance_uid")?,
        },
        Level::Series => Target::Series {
            study: text(4, "study_instance_uid")?,
            series: text(5, "series_instance_uid")?,
        },
        Level::Instance => Target::Instance {
            study: text(4, "study_instance_uid")?,
            series: text(5, "series_instance_uid")?,
            instance: text(6, "sop_instance_uid")?,
        },
    };
    Ok(Deletion {
        id,
        target,
        by: row.get(7)?,
        at: row.get(8)?,
        instances: row.get::<_, i64>(9)?.cast_unsigned(),
        bytes: row.get::<_, i64>(10)?.cast_unsigned(),
        restored_at: row.get(11)?,
        purged_at: row.get(12)?,
    })
}

/// Deletions that can still be undone, newest first; those before `before` when it is given.
pub(crate) fn open_deletions(
    connection: &Connection,
    before: Option<i64>,
    limit: usize,
) -> Result<Vec<Deletion>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM deletion
         WHERE restored_at IS NULL AND purged_at IS NULL AND (?1 IS NULL OR deleted_at < ?1)
         ORDER BY deleted_at DESC, id DESC LIMIT ?2"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params![before, i64::try_from(limit).unwrap_or(i64::MAX)])?;
    let mut deletions = Vec::new();
    while let Some(row) = rows.next()? {
        deletions.push(read(row)?);
    }
    Ok(deletions)
}

/// A deletion by its id.
pub(crate) fn deletion(connection: &Connection, id: i64) -> Result<Option<Deletion>> {
    let sql = format!("SELECT {COLUMNS} FROM deletion WHERE id = ?1");
    let mut statement = connection.prepare_cached(&sql)?;
    statement
        .query_row([id], |row| Ok(read(row)))
        .optional()?
        .transpose()
}

/// Blobs whose space is still to be given back.
pub(crate) fn garbage(connection: &Connection, limit: usize) -> Result<Vec<BlobLocation>> {
    let mut statement = connection.prepare_cached("SELECT location FROM garbage LIMIT ?1")?;
    let mut rows = statement.query([i64::try_from(limit).unwrap_or(i64::MAX)])?;
    let mut locations = Vec::new();
    while let Some(row) = rows.next()? {
        let bytes = row.get_ref(0)?.as_blob().unwrap_or_default();
        let invalid = IndexError::Row {
            table: "garbage",
            id: 0,
            column: "location",
        };
        locations.push(BlobLocation::from_bytes(bytes).ok_or(invalid)?);
    }
    Ok(locations)
}

/// The space of these was given back.
pub(crate) fn collected(connection: &Connection, locations: &[BlobLocation]) -> Result<Outcome> {
    let distinct: BTreeSet<Vec<u8>> = locations.iter().map(BlobLocation::to_bytes).collect();
    let mut count = 0;
    for location in distinct {
        count += connection
            .prepare_cached("DELETE FROM garbage WHERE location = ?1")?
            .execute([location])?;
    }
    Ok(Outcome::Changed(count))
}
