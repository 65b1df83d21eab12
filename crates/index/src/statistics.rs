//! Sums and lists for those who look after the archive.

use crate::error::Result;
use crate::instance;
use crate::permit::{Permit, StudyAccess};
use rusqlite::{Connection, Row, params};
use std::collections::HashSet;

/// So many studies are looked up one by one; of more, all are read through.
const COUNTED_ONE_BY_ONE: usize = 10_000;

/// Sums over studies, of what can be seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Patients.
    pub patients: u64,
    /// Studies.
    pub studies: u64,
    /// Series.
    pub series: u64,
    /// Instances.
    pub instances: u64,
    /// Bytes of their Part 10 files.
    pub bytes: u64,
    /// Instances that are deleted and can be restored.
    pub deleted_instances: u64,
    /// Bytes of their Part 10 files.
    pub deleted_bytes: u64,
}

/// A peer that has called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenPeer {
    /// Its AE title.
    pub ae_title: String,
    /// Its address.
    pub address: String,
    /// When it called first, in microseconds since 1970.
    pub first_at: i64,
    /// When it called last.
    pub last_at: i64,
    /// How often it called.
    pub calls: u64,
}

/// An instance that was sent and not stored as sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenAttempt {
    /// When, in microseconds since 1970.
    pub at: i64,
    /// What kind of attempt.
    pub kind: String,
    /// Its SOP Instance UID.
    pub sop_instance_uid: String,
    /// BLAKE3 of its data set.
    pub digest: Option<[u8; 32]>,
    /// The calling AE title, or nothing.
    pub calling_ae: String,
    /// The peer's address, or nothing.
    pub address: String,
    /// What was wrong.
    pub detail: String,
}

pub(crate) fn statistics(connection: &Connection, permit: &Permit) -> Result<Statistics> {
    if permit.is_everything() {
        return of_everything(connection);
    }
    let filter = permit.filter(connection)?;
    let mut statistics = Statistics::default();
    let mut patients = HashSet::new();
    let mut count = |row: &Row<'_>| -> Result<()> {
        let text = |column| row.get_ref(column)?.as_str().map_err(rusqlite::Error::from);
        let access = StudyAccess {
            patient: row.get(0)?,
            study_instance_uid: text(1)?,
            modalities: text(2)?,
            access: text(3)?,
        };
        if filter.admits(&access) {
            let sum = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
            patients.insert(access.patient);
            statistics.studies += 1;
            statistics.series += sum(4)?;
            statistics.instances += sum(5)?;
            statistics.bytes += sum(6)?;
        }
        Ok(())
    };
    let sql = "SELECT patient, study_instance_uid, modalities, access, series, instances, bytes
               FROM study WHERE instances > 0";
    if let Some(ids) = filter.candidates(connection, COUNTED_ONE_BY_ONE)? {
        let mut statement = connection.prepare_cached(&format!("{sql} AND id = ?1"))?;
        for id in ids {
            let mut rows = statement.query([id])?;
            if let Some(row) = rows.next()? {
                count(row)?;
            }
        }
    } else {
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            count(row)?;
        }
    }
    statistics.patients = patients.len() as u64;
    Ok(statistics)
}

fn of_everything(connection: &Connection) -> Result<Statistics> {
    let mut statement = connection.prepare_cached(
        "SELECT patients, studies, series, instances, bytes,
                (SELECT coalesce(sum(instances), 0) FROM deletion
                 WHERE restored_at IS NULL AND purged_at IS NULL),
                (SELECT coalesce(sum(bytes), 0) FROM deletion
                 WHERE restored_at IS NULL AND purged_at IS NULL)
         FROM state",
    )?;
    Ok(statement.query_row([], |row| {
        let count = |at: usize| row.get::<_, i64>(at).map(i64::cast_unsigned);
        Ok(Statistics {
            patients: count(0)?,
            studies: count(1)?,
            series: count(2)?,
            instances: count(3)?,
            bytes: count(4)?,
            deleted_instances: count(5)?,
            deleted_bytes: count(6)?,
        })
    })?)
}

pub(crate) fn peers(connection: &Connection) -> Result<Vec<SeenPeer>> {
    let mut statement = connection.prepare_cached(
        "SELECT ae_title, address, first_at, last_at, calls FROM peer
         ORDER BY last_at DESC LIMIT 1000",
    )?;
    let peers = statement.query_map([], |row| {
        Ok(SeenPeer {
            ae_title: row.get(0)?,
            address: row.get(1)?,
            first_at: row.get(2)?,
            last_at: row.get(3)?,
            calls: row.get::<_, i64>(4)?.cast_unsigned(),
        })
    })?;
    Ok(peers.collect::<rusqlite::Result<_>>()?)
}

pub(crate) fn attempts(connection: &Connection, limit: usize) -> Result<Vec<SeenAttempt>> {
    let mut statement = connection.prepare_cached(
        "SELECT attempt.id, at, kind, sop_instance_uid, digest, calling_ae, address, detail
         FROM attempt JOIN source ON source.id = attempt.source ORDER BY attempt.id DESC LIMIT ?1",
    )?;
    let mut rows = statement.query(params![i64::try_from(limit).unwrap_or(i64::MAX)])?;
    let mut attempts = Vec::new();
    while let Some(row) = rows.next()? {
        let has_digest = row.get_ref(4)? != rusqlite::types::ValueRef::Null;
        attempts.push(SeenAttempt {
            at: row.get(1)?,
            kind: row.get(2)?,
            sop_instance_uid: row.get(3)?,
            digest: if has_digest {
                Some(instance::digest(row, 4, row.get(0)?)?)
            } else {
                None
            },
            calling_ae: row.get(5)?,
            address: row.get(6)?,
            detail: row.get(7)?,
        });
    }
    Ok(attempts)
}
