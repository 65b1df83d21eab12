//! Matches at the level of patients.

use super::{Flow, Run};
use crate::error::{IndexError, Result};
use crate::instance::InstanceId;
use crate::query::{Cursor, Order, Wanted};
use crate::search::Match;
use crate::search::answer;
use crate::search::candidates::Candidates;
use gantry_core::level::Level;
use gantry_dicom::tags;
use rusqlite::Row;
use std::ops::ControlFlow;

impl Run<'_> {
    pub(super) fn patients(&mut self) -> Result<Flow> {
        let keys = self.query.keys.clone();
        let candidates = Candidates::find(self.connection, self.query, &keys)?;
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
        let (id, instance): (i64, Option<i64>) = (row.get(0)?, row.get(4)?);
        let Some(instance) = instance else {
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
        let related = [
            tags::NUMBER_OF_PATIENT_RELATED_STUDIES,
            tags::NUMBER_OF_PATIENT_RELATED_SERIES,
            tags::NUMBER_OF_PATIENT_RELATED_INSTANCES,
        ];
        for (tag, column) in related.into_iter().zip(1..) {
            answer::put_count(&mut attributes, &self.wanted, tag, row.get(column)?);
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
}
