//! The attributes that matches are given with.

use super::{Run, Series, Study};
use crate::error::Result;
use crate::query::level_of;
use crate::search::answer;
use gantry_core::level::Level;
use gantry_dicom::data_set::DataSet;
use gantry_dicom::{Vr, tags};
use rusqlite::{OptionalExtension, params};

impl Run<'_> {
    pub(super) fn study_attributes(&self, study: &Study, header: &DataSet) -> Result<DataSet> {
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

    pub(super) fn add_series_attributes(
        &self,
        attributes: &mut DataSet,
        series: &Series,
        header: &DataSet,
    ) {
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

    /// The SOP classes of a study with backslashes between them.
    pub(super) fn sop_classes(&self, study: i64) -> Result<String> {
        let mut statement = self.connection.prepare_cached(
            "SELECT uid FROM study_sop_class JOIN uid ON uid.id = study_sop_class.sop_class
             WHERE study = ?1 AND instances > 0 ORDER BY uid.id",
        )?;
        let classes = statement.query_map([study], |row| row.get::<_, String>(0))?;
        Ok(classes.collect::<rusqlite::Result<Vec<_>>>()?.join("\\"))
    }

    pub(super) fn put_availability(&self, attributes: &mut DataSet) {
        if self.wanted.has(tags::INSTANCE_AVAILABILITY) {
            attributes.put_text(tags::INSTANCE_AVAILABILITY, Vr::CS, "ONLINE");
        }
    }
}
