//! Going through the levels.

mod attributes;
mod level_keys;
mod patients;

use super::answer::{self, Return};
use super::candidates::{Candidates, Place, date_range};
use super::check::StudyFacts;
use super::{Cancel, Match, SearchEnd};
use crate::error::{IndexError, Result};
use crate::instance::InstanceId;
use crate::permit::{Filter, StudyAccess};
use crate::query::{Cursor, Query, level_of};
use crate::selection::Bases;
use gantry_core::level::Level;
use gantry_dicom::data_set::DataSet;
use gantry_dicom::matching::Key;
use gantry_dicom::{Tag, Vr, tags};
use level_keys::LevelKeys;
use rusqlite::{Connection, Row};
use std::ops::ControlFlow;
use std::sync::Arc;

/// One search under way.
pub(super) struct Run<'a> {
    connection: &'a Connection,
    query: &'a Query,
    filter: &'a Filter<'a>,
    cancel: &'a Cancel,
    visit: &'a mut dyn FnMut(Match) -> ControlFlow<()>,
    wanted: Return,
    keys: LevelKeys,
    bases: Bases,
    skipped: u64,
    given: u64,
    is_by_date: bool,
}

/// The end of a search, as it is passed up.
type Flow = ControlFlow<SearchEnd>;

struct Study {
    id: i64,
    patient: i64,
    study_instance_uid: Arc<str>,
    instance: i64,
    series: i64,
    instances: i64,
    modalities: String,
    received_at: i64,
    date: u32,
}

struct Series {
    id: i64,
    series_instance_uid: Arc<str>,
    instance: i64,
    instances: i64,
}

const STUDY_COLUMNS: &str = "study.id, study.patient, study.study_instance_uid, study.instance,
     study.series, study.instances, study.modalities, study.received_at, study.study_date,
     study.birth_date, study.study_description, study.keys, study.access";

impl<'a> Run<'a> {
    pub fn new(
        connection: &'a Connection,
        query: &'a Query,
        filter: &'a Filter<'a>,
        cancel: &'a Cancel,
        visit: &'a mut dyn FnMut(Match) -> ControlFlow<()>,
    ) -> Self {
        Self {
            connection,
            query,
            filter,
            cancel,
            visit,
            wanted: Return::of(query),
            keys: LevelKeys::of(query),
            bases: Bases::default(),
            skipped: 0,
            given: 0,
            is_by_date: date_range(query).is_some(),
        }
    }

    pub fn search(mut self) -> Result<SearchEnd> {
        let flow = if self.query.level == Level::Patient {
            self.patients()?
        } else {
            self.studies()?
        };
        Ok(match flow {
            ControlFlow::Break(end) => end,
            ControlFlow::Continue(()) => SearchEnd::Complete,
        })
    }

    fn studies(&mut self) -> Result<Flow> {
        let keys: Vec<Key> = self.query.keys.clone();
        let mut candidates = Candidates::find(self.connection, self.query, &keys, self.filter)?;
        if let Candidates::Collected(places) = &mut candidates {
            let sql = format!("SELECT {STUDY_COLUMNS} FROM study WHERE id = ?1");
            let mut statement = self.connection.prepare_cached(&sql)?;
            for (_, id) in places {
                let mut rows = statement.query([id])?;
                if let Some(row) = rows.next()?
                    && let ControlFlow::Break(end) = self.study(row)?
                {
                    return Ok(ControlFlow::Break(end));
                }
            }
            return Ok(ControlFlow::Continue(()));
        }
        self.read_along(&candidates)
    }

    /// Reads studies in order.
    fn read_along(&mut self, candidates: &Candidates) -> Result<Flow> {
        let connection = self.connection;
        let each = |run: &mut Self, sql: &str, parameters: &[&dyn rusqlite::ToSql]| {
            let mut statement = connection.prepare_cached(sql)?;
            let mut rows = statement.query(parameters)?;
            while let Some(row) = rows.next()? {
                if let ControlFlow::Break(end) = run.study(row)? {
                    return Ok(ControlFlow::Break(end));
                }
            }
            Ok(ControlFlow::Continue(()))
        };
        match candidates {
            Candidates::Collected(_) => Ok(ControlFlow::Continue(())),
            Candidates::ById {
                modality: None,
                after,
            } => {
                let sql = format!(
                    "SELECT {STUDY_COLUMNS} FROM study WHERE id >= ?1 AND instances > 0
                     ORDER BY id"
                );
                each(self, &sql, &[&after.unwrap_or(0)])
            }
            Candidates::ById {
                modality: Some(modality),
                after,
            } => {
                let sql = format!(
                    "SELECT {STUDY_COLUMNS} FROM study_modality CROSS JOIN study
                     ON study.id = study_modality.study
                     WHERE study_modality.modality = ?1 AND study_modality.study >= ?2
                     ORDER BY study_modality.study"
                );
                each(self, &sql, &[modality, &after.unwrap_or(0)])
            }
            Candidates::ByAccess { key, after } => {
                let sql = format!(
                    "SELECT {STUDY_COLUMNS} FROM study_access CROSS JOIN study
                     ON study.id = study_access.study
                     WHERE study_access.key = ?1 AND study_access.study >= ?2
                     ORDER BY study_access.study"
                );
                each(self, &sql, &[key, &after.unwrap_or(0)])
            }
            Candidates::ByAccessDescending { key, before } => {
                let sql = format!(
                    "SELECT {STUDY_COLUMNS} FROM study_access CROSS JOIN study
                     ON study.id = study_access.study
                     WHERE study_access.key = ?1 AND study_access.study <= ?2
                     ORDER BY study_access.study DESC"
                );
                each(self, &sql, &[key, &before.unwrap_or(i64::MAX)])
            }
            Candidates::ByIdDescending { before } => {
                let sql = format!(
                    "SELECT {STUDY_COLUMNS} FROM study WHERE id <= ?1 AND instances > 0
                     ORDER BY id DESC"
                );
                each(self, &sql, &[&before.unwrap_or(i64::MAX)])
            }
            Candidates::ByDate { range, after } => {
                let (date, id) = after.unwrap_or((0, 0));
                let sql = format!(
                    "SELECT {STUDY_COLUMNS} FROM study INDEXED BY study_study_date
                     WHERE study_date BETWEEN ?1 AND ?2 AND (study_date > ?1 OR id >= ?3)
                     ORDER BY study_date, id"
                );
                // Behind a place: its date begins the range, and on that date its id counts.
                let first = range.first.max(date);
                let id = if date >= range.first { id } else { 0 };
                each(self, &sql, &[&first, &range.last, &id])
            }
        }
    }

    /// Looks at one study; the columns are [`STUDY_COLUMNS`].
    fn study(&mut self, row: &Row<'_>) -> Result<Flow> {
        if self.cancel.is_cancelled() {
            return Err(IndexError::Cancelled);
        }
        let Some(instance) = row.get::<_, Option<i64>>(3)? else {
            return Ok(ControlFlow::Continue(()));
        };
        let text = |column: usize| {
            Ok::<_, IndexError>(row.get_ref(column)?.as_str_or_null().ok().flatten())
        };
        let facts = StudyFacts {
            study_date: row.get(8)?,
            birth_date: row.get(9)?,
            study_description: text(10)?,
            modalities: text(6)?.unwrap_or_default(),
            keys: text(11)?.unwrap_or_default(),
        };
        if !self.keys.study.iter().all(|key| facts.may_match(key)) {
            return Ok(ControlFlow::Continue(()));
        }
        let access = StudyAccess {
            patient: row.get(1)?,
            study_instance_uid: text(2)?.unwrap_or_default(),
            modalities: facts.modalities,
            access: text(12)?.unwrap_or_default(),
        };
        if !self.filter.admits(&access) {
            return Ok(ControlFlow::Continue(()));
        }
        let study = Study {
            id: row.get(0)?,
            patient: row.get(1)?,
            study_instance_uid: row.get(2)?,
            instance,
            series: row.get(4)?,
            instances: row.get(5)?,
            modalities: row.get(6)?,
            received_at: row.get(7)?,
            date: if self.is_by_date {
                facts.study_date.unwrap_or(0)
            } else {
                0
            },
        };
        if !self.sop_classes_match(study.id)? {
            return Ok(ControlFlow::Continue(()));
        }
        let level = self.query.level;
        let header = self.header(study.instance, |tag| level_of(tag, level) == Level::Study)?;
        if !self.header_matches(&header, Level::Study) {
            return Ok(ControlFlow::Continue(()));
        }
        if level == Level::Study {
            let is_seen = self
                .query
                .after
                .is_some_and(|after| (after.date, after.study) == (study.date, study.id));
            if is_seen || self.skips() {
                return Ok(ControlFlow::Continue(()));
            }
            let attributes = self.study_attributes(&study, &header)?;
            return self.give(attributes, &study, None, None);
        }
        self.series(&study, &header)
    }

    fn series(&mut self, study: &Study, study_header: &DataSet) -> Result<Flow> {
        let after = self.query.after.filter(|after| after.study == study.id);
        let first = after.map_or(0, |after| after.series);
        let mut statement = self.connection.prepare_cached(
            "SELECT id, series_instance_uid, instance, instances FROM series
             WHERE study = ?1 AND id >= ?2 AND instances > 0 ORDER BY id",
        )?;
        let mut rows = statement.query([study.id, first])?;
        let mut parent = None;
        while let Some(row) = rows.next()? {
            if self.cancel.is_cancelled() {
                return Err(IndexError::Cancelled);
            }
            let series = Series {
                id: row.get(0)?,
                series_instance_uid: row.get(1)?,
                instance: row.get(2)?,
                instances: row.get(3)?,
            };
            let is_seen = after.is_some_and(|after| after.series == series.id);
            if is_seen && self.query.level == Level::Series {
                continue;
            }
            let level = self.query.level;
            let header =
                self.header(series.instance, |tag| level_of(tag, level) == Level::Series)?;
            if !self.header_matches(&header, Level::Series) {
                continue;
            }
            if level == Level::Series && self.skips() {
                continue;
            }
            let mut attributes = match &parent {
                Some(parent) => DataSet::clone(parent),
                None => {
                    let attributes = self.study_attributes(study, study_header)?;
                    parent = Some(attributes.clone());
                    attributes
                }
            };
            self.add_series_attributes(&mut attributes, &series, &header);
            let flow = if level == Level::Series {
                self.give(attributes, study, Some(&series), None)?
            } else {
                self.instances(study, &series, &attributes)?
            };
            if flow.is_break() {
                return Ok(flow);
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn instances(&mut self, study: &Study, series: &Series, parent: &DataSet) -> Result<Flow> {
        let after = self
            .query
            .after
            .filter(|after| (after.study, after.series) == (study.id, series.id))
            .map_or(0, |after| after.instance);
        let uids = self.wanted_instances();
        let mut statement = self.connection.prepare_cached(
            "SELECT id, sop_instance_uid FROM instance
             WHERE series = ?1 AND id > ?2 AND deletion IS NULL ORDER BY id",
        )?;
        let mut rows = statement.query([series.id, after])?;
        while let Some(row) = rows.next()? {
            if self.cancel.is_cancelled() {
                return Err(IndexError::Cancelled);
            }
            let (id, uid): (i64, Arc<str>) = (row.get(0)?, row.get(1)?);
            if uids.as_ref().is_some_and(|uids| !uids.contains(&*uid)) {
                continue;
            }
            let header =
                self.header(id, |tag| level_of(tag, Level::Instance) == Level::Instance)?;
            if !self.header_matches(&header, Level::Instance) || self.skips() {
                continue;
            }
            let mut attributes = parent.clone();
            let part = answer::wanted_part(&header, &self.wanted, |tag| {
                level_of(tag, Level::Instance) == Level::Instance
            });
            answer::merge(&mut attributes, &part);
            answer::put_uid(&mut attributes, tags::SOP_INSTANCE_UID, &uid);
            let flow = self.give(attributes, study, Some(series), Some((id, uid)))?;
            if flow.is_break() {
                return Ok(flow);
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// The part of a stored header that is needed at its level.
    fn header(&mut self, instance: i64, belongs: impl Fn(Tag) -> bool) -> Result<DataSet> {
        let header = self.bases.header(self.connection, instance)?;
        let is_needed = |tag: Tag| {
            tag == tags::SPECIFIC_CHARACTER_SET
                || tag == tags::TIMEZONE_OFFSET_FROM_UTC
                || (belongs(tag) && (self.wanted.has(tag) || self.keys.tags.contains(&tag)))
        };
        header.parse_only(is_needed).map_err(|_| IndexError::Row {
            table: "instance",
            id: instance,
            column: "header",
        })
    }

    /// Whether a match is one of those to be left out.
    fn skips(&mut self) -> bool {
        let skips = self.skipped < self.query.offset;
        self.skipped += u64::from(skips);
        skips
    }

    fn give(
        &mut self,
        attributes: DataSet,
        study: &Study,
        series: Option<&Series>,
        instance: Option<(i64, Arc<str>)>,
    ) -> Result<Flow> {
        let (date, id): Place = (study.date, study.id);
        let representative = series.map_or(study.instance, |series| series.instance);
        self.deliver(Match {
            attributes,
            study_instance_uid: Some(Arc::clone(&study.study_instance_uid)),
            series_instance_uid: series.map(|series| Arc::clone(&series.series_instance_uid)),
            instance: InstanceId(instance.as_ref().map_or(representative, |(id, _)| *id)),
            received_at: study.received_at,
            cursor: Cursor {
                date,
                study: id,
                series: series.map_or(0, |series| series.id),
                instance: instance.as_ref().map_or(0, |(id, _)| *id),
            },
            sop_instance_uid: instance.map(|(_, uid)| uid),
        })
    }

    fn deliver(&mut self, mut found: Match) -> Result<Flow> {
        if self.query.limit.is_some_and(|limit| self.given >= limit) {
            return Ok(ControlFlow::Break(SearchEnd::Limit));
        }
        let is_asked = self.wanted.has(tags::SPECIFIC_CHARACTER_SET);
        if is_asked || answer::has_wide_text(&found.attributes) {
            found
                .attributes
                .put_text(tags::SPECIFIC_CHARACTER_SET, Vr::CS, "ISO_IR 192");
        } else {
            found.attributes.remove(tags::SPECIFIC_CHARACTER_SET);
        }
        self.given += 1;
        Ok(match (self.visit)(found) {
            ControlFlow::Continue(()) => ControlFlow::Continue(()),
            ControlFlow::Break(()) => ControlFlow::Break(SearchEnd::Stopped),
        })
    }
}
