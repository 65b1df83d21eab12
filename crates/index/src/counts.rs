//! Counts of what a transaction added, written once a parent.

use crate::error::Result;
use crate::refresh;
use rusqlite::{Connection, params};
use std::collections::{BTreeMap, BTreeSet};

/// What was added since the transaction began.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    studies: BTreeMap<i64, StudyCounts>,
    series: BTreeMap<i64, SeriesCounts>,
    sop_classes: BTreeMap<(i64, i64), i64>,
    /// Studies that have to be counted anew.
    refresh: BTreeSet<i64>,
}

#[derive(Debug, Default)]
struct StudyCounts {
    patient: i64,
    is_new: bool,
    series: i64,
    instances: i64,
    bytes: i64,
    first_instance: i64,
    changed_at: i64,
    modalities: Option<String>,
    access: Option<String>,
}

#[derive(Debug, Default)]
struct SeriesCounts {
    study: i64,
    instances: i64,
    bytes: i64,
    first_instance: i64,
}

/// An instance that was added, as far as it counts.
pub(crate) struct Added {
    pub patient: i64,
    pub study: i64,
    pub series: i64,
    pub instance: i64,
    pub sop_class: i64,
    pub bytes: i64,
    pub at: i64,
    pub is_new_study: bool,
    pub is_new_series: bool,
    /// The study's modalities, when this instance brought a new one.
    pub modalities: Option<String>,
    /// Its access keys, likewise.
    pub access: Option<String>,
}

impl Counts {
    pub fn add(&mut self, added: Added) {
        let study = self
            .studies
            .entry(added.study)
            .or_insert_with(|| StudyCounts {
                patient: added.patient,
                first_instance: added.instance,
                ..StudyCounts::default()
            });
        study.is_new |= added.is_new_study;
        study.series += i64::from(added.is_new_series);
        study.instances += 1;
        study.bytes += added.bytes;
        study.changed_at = study.changed_at.max(added.at);
        if added.modalities.is_some() {
            study.modalities = added.modalities;
        }
        if added.access.is_some() {
            study.access = added.access;
        }
        let series = self
            .series
            .entry(added.series)
            .or_insert_with(|| SeriesCounts {
                study: added.study,
                first_instance: added.instance,
                ..SeriesCounts::default()
            });
        series.instances += 1;
        series.bytes += added.bytes;
        *self
            .sop_classes
            .entry((added.study, added.sop_class))
            .or_default() += 1;
    }

    /// The study's rows have to be counted anew.
    pub fn refresh(&mut self, study: i64) {
        self.refresh.insert(study);
    }

    /// Writes everything down. Returns whether studies were described anew.
    pub fn flush(self, connection: &Connection) -> Result<bool> {
        let counted = |study: &i64| !self.refresh.contains(study);
        let mut totals = Totals::default();
        for (series, counts) in self
            .series
            .iter()
            .filter(|(_, counts)| counted(&counts.study))
        {
            connection
                .prepare_cached(
                    "UPDATE series SET instances = instances + ?2, bytes = bytes + ?3,
                     instance = coalesce(instance, ?4) WHERE id = ?1",
                )?
                .execute(params![
                    series,
                    counts.instances,
                    counts.bytes,
                    counts.first_instance
                ])?;
        }
        for ((study, sop_class), count) in self
            .sop_classes
            .iter()
            .filter(|((study, _), _)| counted(study))
        {
            connection
                .prepare_cached(
                    "INSERT INTO study_sop_class (study, sop_class, instances) VALUES (?1, ?2, ?3)
                     ON CONFLICT DO UPDATE SET instances = instances + ?3",
                )?
                .execute(params![study, sop_class, count])?;
        }
        let mut patients: BTreeMap<i64, (i64, i64, i64, i64)> = BTreeMap::new();
        for (id, study) in self.studies.iter().filter(|(study, _)| counted(study)) {
            update_study(connection, *id, study)?;
            let (studies, series, instances, first_study) =
                patients.entry(study.patient).or_insert((0, 0, 0, *id));
            *studies += i64::from(study.is_new);
            *series += study.series;
            *instances += study.instances;
            *first_study = (*first_study).min(*id);
            totals.bytes += study.bytes;
        }
        for (patient, (studies, series, instances, study)) in patients {
            totals.studies += studies;
            totals.series += series;
            totals.instances += instances;
            let after: i64 = connection
                .prepare_cached(
                    "UPDATE patient SET studies = studies + ?2, series = series + ?3,
                     instances = instances + ?4, study = coalesce(study, ?5) WHERE id = ?1
                     RETURNING instances",
                )?
                .query_row(params![patient, studies, series, instances, study], |row| {
                    row.get(0)
                })?;
            totals.patients += i64::from(after == instances);
        }
        totals.write(connection)?;
        for study in &self.refresh {
            refresh::study(connection, *study)?;
        }
        Ok(!self.refresh.is_empty())
    }
}

fn update_study(connection: &Connection, id: i64, study: &StudyCounts) -> Result<()> {
    connection
        .prepare_cached(
            "UPDATE study SET series = series + ?2, instances = instances + ?3,
             bytes = bytes + ?4, instance = coalesce(instance, ?5),
             changed_at = max(changed_at, ?6), modalities = coalesce(?7, modalities),
             access = coalesce(?8, access)
             WHERE id = ?1",
        )?
        .execute(params![
            id,
            study.series,
            study.instances,
            study.bytes,
            study.first_instance,
            study.changed_at,
            study.modalities,
            study.access,
        ])?;
    Ok(())
}

/// Changes of the sums over the whole archive.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Totals {
    pub patients: i64,
    pub studies: i64,
    pub series: i64,
    pub instances: i64,
    pub bytes: i64,
}

impl Totals {
    pub fn write(self, connection: &Connection) -> Result<()> {
        if self == Self::default() {
            return Ok(());
        }
        connection
            .prepare_cached(
                "UPDATE state SET patients = patients + ?1, studies = studies + ?2,
                 series = series + ?3, instances = instances + ?4, bytes = bytes + ?5",
            )?
            .execute(params![
                self.patients,
                self.studies,
                self.series,
                self.instances,
                self.bytes
            ])?;
        Ok(())
    }
}
