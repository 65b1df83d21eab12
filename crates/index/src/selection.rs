//! Instances that are asked for by identifiers: C-MOVE, C-GET, WADO.

use crate::error::{IndexError, Result};
use crate::header_pack;
use crate::instance::{self, InstanceId, InstanceRow};
use crate::intern::UidTexts;
use crate::permit::{Filter, Permit, StudyAccess};
use bytes::Bytes;
use gantry_blob::BlobLocation;
use gantry_core::access::PatientIdentity;
use gantry_dicom::header::Header;
use gantry_dicom::scan::Departure;
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Instances by identifiers: those that are in all of the given lists. An empty list asks for
/// nothing; a selection of empty lists alone is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Patient IDs (0010,0020), of every issuer.
    pub patient_ids: Vec<String>,
    /// Study Instance UIDs.
    pub studies: Vec<String>,
    /// Series Instance UIDs.
    pub series: Vec<String>,
    /// SOP Instance UIDs.
    pub instances: Vec<String>,
}

impl Selection {
    /// One study.
    pub fn study(uid: impl Into<String>) -> Self {
        Self {
            studies: vec![uid.into()],
            ..Self::default()
        }
    }

    /// One series of a study.
    pub fn series(study: impl Into<String>, series: impl Into<String>) -> Self {
        Self {
            series: vec![series.into()],
            ..Self::study(study)
        }
    }

    fn is_empty(&self) -> bool {
        self.patient_ids.is_empty()
            && self.studies.is_empty()
            && self.series.is_empty()
            && self.instances.is_empty()
    }
}

/// A series whose instances are wanted.
struct Wanted {
    id: i64,
    study_instance_uid: Arc<str>,
    series_instance_uid: Arc<str>,
}

const COLUMNS: &str = "id, sop_instance_uid, sop_class, transfer_syntax, instance_number,
     number_of_frames, location, data_set_offset, digest, received_at, departure";

/// Visits the instances of a selection: by study, then by series number, then by instance
/// number. Returns whether the visit came to the end.
pub(crate) fn visit(
    connection: &Connection,
    selection: &Selection,
    permit: &Permit,
    visit: &mut dyn FnMut(InstanceRow) -> ControlFlow<()>,
) -> Result<ControlFlow<()>> {
    each(connection, selection, permit, "NULL", &mut |row, _| {
        Ok(visit(row))
    })
}

/// Visits the instances of a selection with their headers, in the same order.
pub(crate) fn visit_headers(
    connection: &Connection,
    selection: &Selection,
    permit: &Permit,
    visit: &mut dyn FnMut(InstanceRow, Header) -> ControlFlow<()>,
) -> Result<ControlFlow<()>> {
    let mut bases = Bases::default();
    let columns = "header_length, header_base, header";
    each(
        connection,
        selection,
        permit,
        columns,
        &mut |instance, row| {
            let header = bases.unpack(connection, instance.id.0, row, 11)?;
            Ok(visit(instance, header))
        },
    )
}

type Each<'a> = &'a mut dyn FnMut(InstanceRow, &Row<'_>) -> Result<ControlFlow<()>>;

fn each(
    connection: &Connection,
    selection: &Selection,
    permit: &Permit,
    more_columns: &str,
    visit: Each<'_>,
) -> Result<ControlFlow<()>> {
    if selection.is_empty() {
        return Ok(ControlFlow::Continue(()));
    }
    let mut uids = UidTexts::default();
    let found = find_series(connection, selection, permit)?;
    if !selection.instances.is_empty() {
        return each_named(connection, selection, more_columns, &found, visit);
    }
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS}, {more_columns} FROM instance WHERE series = ?1 AND deletion IS NULL
         ORDER BY instance_number, id"
    ))?;
    for series in found {
        let mut rows = statement.query([series.id])?;
        while let Some(row) = rows.next()? {
            let instance = read(connection, &mut uids, &series, row)?;
            if visit(instance, row)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// Visits instances that are named: each is looked up, their series are not read through.
fn each_named(
    connection: &Connection,
    selection: &Selection,
    more_columns: &str,
    series: &[Wanted],
    visit: Each<'_>,
) -> Result<ControlFlow<()>> {
    let ranks: HashMap<i64, usize> = series.iter().map(|one| one.id).zip(0..).collect();
    let mut find = connection.prepare_cached(
        "SELECT series, instance_number, id FROM instance
         WHERE sop_instance_uid = ?1 AND deletion IS NULL",
    )?;
    let mut named: Vec<(usize, Option<i64>, i64)> = Vec::new();
    for uid in &selection.instances {
        let found = find
            .query_row([uid], |row| {
                Ok((row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?))
            })
            .optional()?;
        if let Some((series, number, id)) = found
            && let Some(rank) = ranks.get(&series)
        {
            named.push((*rank, number, id));
        }
    }
    named.sort_unstable();
    // A UID may have been asked for twice.
    named.dedup();
    let mut uids = UidTexts::default();
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS}, {more_columns} FROM instance WHERE id = ?1"
    ))?;
    for (rank, _, id) in named {
        let mut rows = statement.query([id])?;
        if let Some(row) = rows.next()?
            && let Some(series) = series.get(rank)
        {
            let instance = read(connection, &mut uids, series, row)?;
            if visit(instance, row)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }
    Ok(ControlFlow::Continue(()))
}

fn read(
    connection: &Connection,
    uids: &mut UidTexts,
    series: &Wanted,
    row: &Row<'_>,
) -> Result<InstanceRow> {
    let id = row.get(0)?;
    Ok(InstanceRow {
        id: InstanceId(id),
        study_instance_uid: Arc::clone(&series.study_instance_uid),
        series_instance_uid: Arc::clone(&series.series_instance_uid),
        sop_instance_uid: row.get(1)?,
        sop_class_uid: uids.text(connection, row.get(2)?)?,
        transfer_syntax_uid: uids.text(connection, row.get(3)?)?,
        instance_number: row.get(4)?,
        number_of_frames: row.get(5)?,
        location: instance::location(row, 6, id)?,
        data_set_offset: row.get(7)?,
        digest: instance::digest(row, 8, id)?,
        received_at: row.get(9)?,
        departure: Departure::from_bits(row.get(10)?),
    })
}

/// The series in which instances of the selection are, in order.
fn find_series(
    connection: &Connection,
    selection: &Selection,
    permit: &Permit,
) -> Result<Vec<Wanted>> {
    let mut found = Found {
        series: HashMap::new(),
        filter: permit.filter(connection)?,
    };
    if !selection.instances.is_empty() {
        for uid in &selection.instances {
            found.add(
                connection,
                "JOIN instance ON instance.series = series.id
                WHERE instance.sop_instance_uid = ?1 AND instance.deletion IS NULL",
                uid,
            )?;
        }
    } else if !selection.series.is_empty() {
        for uid in &selection.series {
            found.add(connection, "WHERE series_instance_uid = ?1", uid)?;
        }
    } else if !selection.studies.is_empty() {
        for uid in &selection.studies {
            found.add(connection, "WHERE study_instance_uid = ?1", uid)?;
        }
    } else {
        for patient_id in &selection.patient_ids {
            found.add(connection, "WHERE patient_id = ?1", patient_id)?;
        }
    }
    Ok(found.finish(selection))
}

struct Found<'a> {
    filter: Filter<'a>,
    series: HashMap<i64, FoundSeries>,
}

struct FoundSeries {
    wanted: Wanted,
    study: i64,
    number: Option<i64>,
    patient_id: Option<String>,
}

impl Found<'_> {
    fn add(&mut self, connection: &Connection, which: &str, value: &str) -> Result<()> {
        let sql = format!(
            "SELECT series.id, study.id, series_number, study_instance_uid, series_instance_uid,
                    patient_id, patient.id, study.modalities, study.access
             FROM patient JOIN study ON study.patient = patient.id
             JOIN series ON series.study = study.id {which} AND series.instances > 0"
        );
        let mut statement = connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params![value])?;
        while let Some(row) = rows.next()? {
            let id = row.get(0)?;
            let text = |column| row.get_ref(column)?.as_str().map_err(rusqlite::Error::from);
            let access = StudyAccess {
                patient: row.get(6)?,
                study_instance_uid: text(3)?,
                modalities: text(7)?,
                access: text(8)?,
            };
            if !self.filter.admits(&access) {
                continue;
            }
            self.series.insert(
                id,
                FoundSeries {
                    wanted: Wanted {
                        id,
                        study_instance_uid: row.get(3)?,
                        series_instance_uid: row.get(4)?,
                    },
                    study: row.get(1)?,
                    number: row.get(2)?,
                    patient_id: row.get(5)?,
                },
            );
        }
        Ok(())
    }

    fn finish(self, selection: &Selection) -> Vec<Wanted> {
        let is_in =
            |list: &[String], uid: &str| list.is_empty() || list.iter().any(|one| one == uid);
        let mut series: Vec<FoundSeries> = self
            .series
            .into_values()
            .filter(|series| {
                is_in(&selection.studies, &series.wanted.study_instance_uid)
                    && is_in(&selection.series, &series.wanted.series_instance_uid)
                    && is_in(
                        &selection.patient_ids,
                        series.patient_id.as_deref().unwrap_or_default(),
                    )
            })
            .collect();
        series.sort_by_key(|series| (series.study, series.number, series.wanted.id));
        series.into_iter().map(|series| series.wanted).collect()
    }
}

/// The instance with this SOP Instance UID, in this study and series when they are given.
pub(crate) fn locate(
    connection: &Connection,
    sop_instance_uid: &str,
    study: Option<&str>,
    series: Option<&str>,
    permit: &Permit,
) -> Result<Option<InstanceRow>> {
    let filter = permit.filter(connection)?;
    let mut statement = connection.prepare_cached(
        "SELECT instance.id, sop_instance_uid, sop_class, transfer_syntax, instance_number,
                number_of_frames, location, data_set_offset, digest, instance.received_at,
                departure, study_instance_uid, series_instance_uid, series.id, study.patient,
                study.modalities, study.access
         FROM instance JOIN series ON series.id = instance.series
         JOIN study ON study.id = series.study
         WHERE sop_instance_uid = ?1 AND deletion IS NULL
           AND (?2 IS NULL OR study_instance_uid = ?2)
           AND (?3 IS NULL OR series_instance_uid = ?3)",
    )?;
    let mut uids = UidTexts::default();
    statement
        .query_row(params![sop_instance_uid, study, series], |row| {
            let text = |column| row.get_ref(column)?.as_str().map_err(rusqlite::Error::from);
            let access = StudyAccess {
                patient: row.get(14)?,
                study_instance_uid: text(11)?,
                modalities: text(15)?,
                access: text(16)?,
            };
            if !filter.admits(&access) {
                return Ok(Ok(None));
            }
            let series = Wanted {
                id: row.get(13)?,
                study_instance_uid: row.get(11)?,
                series_instance_uid: row.get(12)?,
            };
            Ok(read(connection, &mut uids, &series, row).map(Some))
        })
        .optional()?
        .transpose()
        .map(Option::flatten)
}

/// The stored header of an instance, hidden or not.
pub(crate) fn read_header(connection: &Connection, id: i64) -> Result<Header> {
    Bases::default().header(connection, id)
}

/// Headers that others are packed against, read lately.
#[derive(Debug, Default)]
pub(crate) struct Bases {
    headers: HashMap<i64, Bytes>,
}

impl Bases {
    /// The stored header of an instance.
    pub fn header(&mut self, connection: &Connection, id: i64) -> Result<Header> {
        let mut statement = connection.prepare_cached(
            "SELECT header_length, header_base, header FROM instance WHERE id = ?1",
        )?;
        let mut rows = statement.query([id])?;
        match rows.next()? {
            Some(row) => self.unpack(connection, id, row, 0),
            None => Err(IndexError::Row {
                table: "instance",
                id,
                column: "header",
            }),
        }
    }

    /// Unpacks the header of which length, base and bytes are the columns from `first` on.
    fn unpack(
        &mut self,
        connection: &Connection,
        id: i64,
        row: &Row<'_>,
        first: usize,
    ) -> Result<Header> {
        let length = row.get(first)?;
        let base = match row.get::<_, Option<i64>>(first + 1)? {
            Some(base) => Some(self.base(connection, base)?),
            None => None,
        };
        let packed = row.get_ref(first + 2)?.as_blob().unwrap_or_default();
        header_pack::unpack(packed, length, base.as_deref())
            .map(Header)
            .ok_or(IndexError::Row {
                table: "instance",
                id,
                column: "header",
            })
    }

    fn base(&mut self, connection: &Connection, id: i64) -> Result<Bytes> {
        if let Some(header) = self.headers.get(&id) {
            return Ok(header.clone());
        }
        let mut statement = connection.prepare_cached(
            "SELECT header_length, header FROM instance WHERE id = ?1 AND header_base IS NULL",
        )?;
        let damaged = || IndexError::Row {
            table: "instance",
            id,
            column: "header",
        };
        let header = statement
            .query_row([id], |row| {
                let packed = row.get_ref(1)?.as_blob().unwrap_or_default();
                Ok(header_pack::unpack(packed, row.get(0)?, None))
            })
            .optional()?
            .flatten()
            .ok_or_else(damaged)?;
        // A few series are read in turn, never many.
        if self.headers.len() >= 64 {
            self.headers.clear();
        }
        self.headers.insert(id, header.clone());
        Ok(header)
    }
}

/// Whether something of the selection is deleted. Who may not see all studies is told so only of
/// studies of which the row is still there and admitted.
pub(crate) fn was_deleted(
    connection: &Connection,
    selection: &Selection,
    permit: &Permit,
) -> Result<bool> {
    if !are_admitted(connection, &selection.studies, permit)? {
        return Ok(false);
    }
    let exists = |sql: &str, uids: &[String]| -> Result<bool> {
        let mut statement = connection.prepare_cached(sql)?;
        for uid in uids {
            if statement.exists([uid])? {
                return Ok(true);
            }
        }
        Ok(false)
    };
    if !selection.instances.is_empty() {
        return exists(
            "SELECT 1 FROM instance WHERE sop_instance_uid = ?1 AND deletion IS NOT NULL
             UNION ALL SELECT 1 FROM deletion WHERE sop_instance_uid = ?1
               AND purged_at IS NOT NULL LIMIT 1",
            &selection.instances,
        );
    }
    if !selection.series.is_empty() {
        return exists(
            "SELECT 1 FROM series WHERE series_instance_uid = ?1 AND instances = 0
             UNION ALL SELECT 1 FROM deletion WHERE series_instance_uid = ?1
               AND sop_instance_uid IS NULL AND purged_at IS NOT NULL LIMIT 1",
            &selection.series,
        );
    }
    exists(
        "SELECT 1 FROM study WHERE study_instance_uid = ?1 AND instances = 0
         UNION ALL SELECT 1 FROM deletion WHERE study_instance_uid = ?1
           AND series_instance_uid IS NULL AND purged_at IS NOT NULL LIMIT 1",
        &selection.studies,
    )
}

/// Whose a study is.
pub(crate) fn patient_of(connection: &Connection, uid: &str) -> Result<Option<PatientIdentity>> {
    let mut statement = connection.prepare_cached(
        "SELECT patient_id, issuer FROM study JOIN patient ON patient.id = study.patient
         WHERE study_instance_uid = ?1 AND patient_id IS NOT NULL",
    )?;
    let patient = statement
        .query_row([uid], |row| {
            let issuer: String = row.get(1)?;
            Ok(PatientIdentity {
                patient_id: row.get(0)?,
                issuer: Some(issuer).filter(|issuer| !issuer.is_empty()),
            })
        })
        .optional()?;
    Ok(patient)
}

/// Whether there is such a study in the permit, with something that can be seen.
pub(crate) fn is_permitted(connection: &Connection, uid: &str, permit: &Permit) -> Result<bool> {
    let mut statement = connection
        .prepare_cached("SELECT 1 FROM study WHERE study_instance_uid = ?1 AND instances > 0")?;
    Ok(statement.exists([uid])? && are_admitted(connection, &[uid.to_owned()], permit)?)
}

/// Whether all studies are known and admitted; without any, and for who may see everything, yes.
pub(crate) fn are_admitted(
    connection: &Connection,
    studies: &[String],
    permit: &Permit,
) -> Result<bool> {
    if permit.is_everything() {
        return Ok(true);
    }
    let filter = permit.filter(connection)?;
    let mut statement = connection.prepare_cached(
        "SELECT patient, study_instance_uid, modalities, access FROM study
         WHERE study_instance_uid = ?1",
    )?;
    for uid in studies {
        let mut rows = statement.query([uid])?;
        let Some(row) = rows.next()? else {
            return Ok(false);
        };
        let text = |column| row.get_ref(column)?.as_str().map_err(rusqlite::Error::from);
        let access = StudyAccess {
            patient: row.get(0)?,
            study_instance_uid: text(1)?,
            modalities: text(2)?,
            access: text(3)?,
        };
        if !filter.admits(&access) {
            return Ok(false);
        }
    }
    Ok(!studies.is_empty())
}

/// Whether a row names this large blob.
pub(crate) fn knows_large(connection: &Connection, id: gantry_blob::LargeId) -> Result<bool> {
    // The length stands behind the name.
    let first = BlobLocation::Large { id, length: 0 }.to_bytes();
    let mut last = first.clone();
    if let Some(length) = last.last_chunk_mut::<8>() {
        *length = [0xFF; 8];
    }
    let mut statement = connection.prepare_cached(
        "SELECT 1 FROM instance WHERE length(location) = 25 AND location BETWEEN ?1 AND ?2
         UNION ALL SELECT 1 FROM garbage WHERE location BETWEEN ?1 AND ?2 LIMIT 1",
    )?;
    Ok(statement.exists(params![first, last])?)
}
