//! Matches at the level of patients.

use super::{Flow, Run};
use crate::error::{IndexError, Result};
use crate::instance::InstanceId;
use crate::permit::StudyAccess;
use crate::query::{Cursor, Order, Wanted};
use crate::search::Match;
use crate::search::answer;
use crate::search::candidates::Candidates;
use gantry_core::level::Level;
use gantry_dicom::tags;
use rusqlite::Row;
use std::ops::ControlFlow;

/// What of a patient may be known.
struct Extent {
    /// The representative.
    instance: i64,
    /// Studies, series and instances.
    related: [i64; 3],
}

impl Run<'_> {
    pub(super) fn patients(&mut self) -> Result<Flow> {
        let keys = self.query.keys.clone();
        let candidates = Candidates::find(self.connection, self.query, &keys, self.filter)?;
        let columns = "patient.id, patient.studies, patient.series, patient.instances,
                       study.instance";
        let from = "patient JOIN study ON study.id = patient.study";
        if let Candidates::Collected(places) = candidates {
            let sql = format!("SELECT {columns} FROM {from} WHERE patient.id = ?1");
            let mut statement = self.connection.prepare_cached(&sql)?;
            for (_, id) in places {
                let mut rows = statement.query([id])?;
                if let Some(row) = rows.next()?
                    && let ControlFlow::Break(end) = self.patient(row)?
                {
                    return Ok(ControlFlow::Break(end));
                }
            }
            return Ok(ControlFlow::Continue(()));
        }
        let is_descending = self.query.order == Order::NewestFirst;
        let (compare, direction) = if is_descending {
            ("<=", "DESC")
        } else {
            (">=", "")
        };
        let start = if is_descending { i64::MAX } else { 0 };
        let start = self.query.after.map_or(start, |after| after.study);
        let sql = format!(
            "SELECT {columns} FROM patient CROSS JOIN study ON study.id = patient.study
             WHERE patient.id {compare} ?1 ORDER BY patient.id {direction}"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query([start])?;
        while let Some(row) = rows.next()? {
            if let ControlFlow::Break(end) = self.patient(row)? {
                return Ok(ControlFlow::Break(end));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn patient(&mut self, row: &Row<'_>) -> Result<Flow> {
        if self.cancel.is_cancelled() {
            return Err(IndexError::Cancelled);
        }
        let id: i64 = row.get(0)?;
        let Some(Extent { instance, related }) = self.extent(id, row)? else {
            return Ok(ControlFlow::Continue(()));
        };
        let is_seen = self.query.after.is_some_and(|after| after.study == id);
        let header = self.header(instance, |_| true)?;
        if is_seen || !self.header_matches(&header, Level::Study) || self.skips() {
            return Ok(ControlFlow::Continue(()));
        }
        let mut attributes = answer::wanted_part(&header, &self.wanted, |tag| {
            self.query.wanted != Wanted::All || tag.0 == 0x0010
        });
        let tags = [
            tags::NUMBER_OF_PATIENT_RELATED_STUDIES,
            tags::NUMBER_OF_PATIENT_RELATED_SERIES,
            tags::NUMBER_OF_PATIENT_RELATED_INSTANCES,
        ];
        for (tag, count) in tags.into_iter().zip(related) {
            answer::put_count(&mut attributes, &self.wanted, tag, count);
        }
        self.put_availability(&mut attributes);
        let cursor = Cursor {
            date: 0,
            study: id,
            series: 0,
            instance: 0,
        };
        let instance = InstanceId(instance);
        self.deliver(Match {
            attributes,
            study_instance_uid: None,
            series_instance_uid: None,
            sop_instance_uid: None,
            instance,
            received_at: 0,
            cursor,
        })
    }

    /// The studies of a patient as far as they are permitted; nothing when none is.
    fn extent(&self, patient: i64, row: &Row<'_>) -> Result<Option<Extent>> {
        if self.filter.is_everything() {
            let related = [row.get(1)?, row.get(2)?, row.get(3)?];
            let instance: Option<i64> = row.get(4)?;
            return Ok(instance.map(|instance| Extent { instance, related }));
        }
        let mut statement = self.connection.prepare_cached(
            "SELECT instance, study_instance_uid, modalities, access, series, instances
             FROM study WHERE patient = ?1 AND instances > 0 ORDER BY id",
        )?;
        let mut rows = statement.query([patient])?;
        let mut extent: Option<Extent> = None;
        while let Some(row) = rows.next()? {
            let text = |column| row.get_ref(column)?.as_str().map_err(rusqlite::Error::from);
            let access = StudyAccess {
                patient,
                study_instance_uid: text(1)?,
                modalities: text(2)?,
                access: text(3)?,
            };
            if !self.filter.admits(&access) {
                continue;
            }
            let counts: [i64; 3] = [1, row.get(4)?, row.get(5)?];
            match &mut extent {
                Some(extent) => {
                    for (sum, count) in extent.related.iter_mut().zip(counts) {
                        *sum += count;
                    }
                }
                None => {
                    extent = Some(Extent {
                        instance: row.get(0)?,
                        related: counts,
                    });
                }
            }
        }
        Ok(extent)
    }
}
