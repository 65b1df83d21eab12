//! Going through the levels.

use super::answer::{self, COMPUTED, Return};
use super::candidates::{Candidates, Place, date_range};
use super::check::StudyFacts;
use super::{Cancel, Match, SearchEnd};
use crate::error::{IndexError, Result};
use crate::instance::InstanceId;
use crate::query::{Cursor, Order, Query, Wanted, level_of};
use crate::selection::Bases;
use gantry_core::level::Level;
use gantry_dicom::data_set::DataSet;
use gantry_dicom::date_time::Offset;
use gantry_dicom::matching::{Key, Scope};
use gantry_dicom::{Tag, Vr, tags};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

/// One search under way.
pub(super) struct Run<'a> {
    connection: &'a Connection,
    query: &'a Query,
    cancel: &'a Cancel,
    visit: &'a mut dyn FnMut(Match) -> ControlFlow<()>,
    wanted: Return,
    keys: LevelKeys,
    bases: Bases,
    skipped: u64,
    given: u64,
    is_by_date: bool,
}

/// The query's conditions by the level whose header decides, and the attributes that have to be
/// read from it for them.
#[derive(Default)]
struct LevelKeys {
    study: Vec<Key>,
    series: Vec<Key>,
    instance: Vec<Key>,
    sop_classes: Vec<Key>,
    tags: HashSet<Tag>,
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
     study.birth_date, study.study_description, study.keys";

impl LevelKeys {
    fn of(query: &Query) -> Self {
        let mut levels = Self::default();
        for key in query.keys.iter().filter(|key| !key.is_universal()) {
            let (tag, other) = match key {
                Key::Attribute { tag, .. } => (*tag, None),
                Key::DateAndTime { date, time, .. } => (*date, Some(*time)),
            };
            if tag == tags::SOP_CLASSES_IN_STUDY {
                levels.sop_classes.push(key.clone());
                continue;
            }
            // Counts and availability are given back, not matched.
            if COMPUTED.contains(&tag) && tag != tags::MODALITIES_IN_STUDY {
                continue;
            }
            levels.tags.insert(tag);
            levels.tags.extend(other);
            match level_of(tag, query.level) {
                Level::Patient | Level::Study => levels.study.push(key.clone()),
                Level::Series => levels.series.push(key.clone()),
                Level::Instance => levels.instance.push(key.clone()),
            }
        }
        levels
    }
}

/// Keys that a header decides.
fn of_header(keys: &[Key]) -> impl Iterator<Item = &Key> {
    keys.iter().filter(|key| {
        !matches!(
            key,
            Key::Attribute {
                tag: tags::MODALITIES_IN_STUDY,
                ..
            }
        )
    })
}

impl<'a> Run<'a> {
    pub fn new(
        connection: &'a Connection,
        query: &'a Query,
        cancel: &'a Cancel,
        visit: &'a mut dyn FnMut(Match) -> ControlFlow<()>,
    ) -> Self {
        Self {
            connection,
            query,
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
        let mut candidates = Candidates::find(self.connection, self.query, &keys)?;
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

    /// The SOP Instance UIDs asked for, when there is a list of them.
    fn wanted_instances(&self) -> Option<HashSet<String>> {
        self.keys.instance.iter().find_map(|key| match key {
            Key::Attribute {
                tag: tags::SOP_INSTANCE_UID,
                matcher: gantry_dicom::matching::Matcher::UidList(uids),
            } => Some(uids.iter().cloned().collect()),
            _ => None,
        })
    }

    fn patients(&mut self) -> Result<Flow> {
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

    fn header_matches(&self, header: &DataSet, level: Level) -> bool {
        let keys = match level {
            Level::Patient | Level::Study => &self.keys.study,
            Level::Series => &self.keys.series,
            Level::Instance => &self.keys.instance,
        };
        let scope = Scope::of(header, self.query.timezone);
        of_header(keys).all(|key| key.matches(header, scope))
    }

    fn sop_classes_match(&self, study: i64) -> Result<bool> {
        if self.keys.sop_classes.is_empty() {
            return Ok(true);
        }
        let classes = self.sop_classes(study)?;
        Ok(self.keys.sop_classes.iter().all(|key| match key {
            Key::Attribute { matcher, .. } => matcher.matches_text(&classes, Vr::UI, Offset::UTC),
            Key::DateAndTime { .. } => true,
        }))
    }

    /// The SOP classes of a study with backslashes between them.
    fn sop_classes(&self, study: i64) -> Result<String> {
        let mut statement = self.connection.prepare_cached(
            "SELECT uid FROM study_sop_class JOIN uid ON uid.id = study_sop_class.sop_class
             WHERE study = ?1 AND instances > 0 ORDER BY uid.id",
        )?;
        let classes = statement.query_map([study], |row| row.get::<_, String>(0))?;
        Ok(classes.collect::<rusqlite::Result<Vec<_>>>()?.join("\\"))
    }

    fn study_attributes(&self, study: &Study, header: &DataSet) -> Result<DataSet> {
        let level = self.query.level;
        let mut attributes = answer::wanted_part(header, &self.wanted, |tag| {
            level_of(tag, level) == Level::Study
        });
        answer::put_uid(
            &mut attributes,
            tags::STUDY_INSTANCE_UID,
            &study.study_instance_uid,
        );
        if self.wanted.has(tags::MODALITIES_IN_STUDY) {
            let tag = tags::MODALITIES_IN_STUDY;
            answer::put_values(&mut attributes, tag, Vr::CS, &study.modalities);
        }
        if self.wanted.has(tags::SOP_CLASSES_IN_STUDY) {
            let classes = self.sop_classes(study.id)?;
            let tag = tags::SOP_CLASSES_IN_STUDY;
            answer::put_values(&mut attributes, tag, Vr::UI, &classes);
        }
        let wanted = &self.wanted;
        let tag = tags::NUMBER_OF_STUDY_RELATED_SERIES;
        answer::put_count(&mut attributes, wanted, tag, study.series);
        let tag = tags::NUMBER_OF_STUDY_RELATED_INSTANCES;
        answer::put_count(&mut attributes, wanted, tag, study.instances);
        self.put_patient_counts(&mut attributes, study.patient)?;
        self.put_availability(&mut attributes);
        Ok(attributes)
    }

    fn put_patient_counts(&self, attributes: &mut DataSet, patient: i64) -> Result<()> {
        let related = [
            tags::NUMBER_OF_PATIENT_RELATED_STUDIES,
            tags::NUMBER_OF_PATIENT_RELATED_SERIES,
            tags::NUMBER_OF_PATIENT_RELATED_INSTANCES,
        ];
        if !related.iter().any(|tag| self.wanted.has(*tag)) {
            return Ok(());
        }
        let counts: Option<[i64; 3]> = self
            .connection
            .prepare_cached("SELECT studies, series, instances FROM patient WHERE id = ?1")?
            .query_row(params![patient], |row| {
                Ok([row.get(0)?, row.get(1)?, row.get(2)?])
            })
            .optional()?;
        for (tag, count) in related.into_iter().zip(counts.into_iter().flatten()) {
            answer::put_count(attributes, &self.wanted, tag, count);
        }
        Ok(())
    }

    fn put_availability(&self, attributes: &mut DataSet) {
        if self.wanted.has(tags::INSTANCE_AVAILABILITY) {
            attributes.put_text(tags::INSTANCE_AVAILABILITY, Vr::CS, "ONLINE");
        }
    }

    fn add_series_attributes(&self, attributes: &mut DataSet, series: &Series, header: &DataSet) {
        let level = self.query.level;
        let part = answer::wanted_part(header, &self.wanted, |tag| {
            level_of(tag, level) == Level::Series
        });
        answer::merge(attributes, &part);
        answer::put_uid(
            attributes,
            tags::SERIES_INSTANCE_UID,
            &series.series_instance_uid,
        );
        let tag = tags::NUMBER_OF_SERIES_RELATED_INSTANCES;
        answer::put_count(attributes, &self.wanted, tag, series.instances);
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
