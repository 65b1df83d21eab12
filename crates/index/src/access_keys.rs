//! What decides who may know of a study, as keys that are kept with it.

use crate::error::Result;
use gantry_dicom::data_set::DataSet;
use gantry_dicom::person_name::{PersonName, fold};
use gantry_dicom::{Tag, tags};
use rusqlite::{Connection, params};
use std::collections::BTreeSet;

/// The key of a restricted study.
pub(crate) const RESTRICTED: &str = "R";

/// People to whom a study belongs: they refer, request, perform, or were asked to read.
const OWNERS: [Tag; 7] = [
    tags::REFERRING_PHYSICIAN_NAME,
    tags::CONSULTING_PHYSICIAN_NAME,
    tags::PHYSICIANS_OF_RECORD,
    tags::NAME_OF_PHYSICIANS_READING_STUDY,
    tags::PERFORMING_PHYSICIAN_NAME,
    tags::OPERATORS_NAME,
    tags::REQUESTING_PHYSICIAN,
];

/// The key of a site by Institution Name.
pub(crate) fn site(name: &str) -> String {
    key('S', &fold(name))
}

/// The key of an AE title that was called.
pub(crate) fn called(ae_title: &str) -> String {
    key('C', ae_title)
}

/// The key of a department.
pub(crate) fn department(name: &str) -> String {
    key('D', &fold(name))
}

/// The key of a label.
pub(crate) fn label(text: &str) -> String {
    key('L', &fold(text))
}

/// The keys of a person's name, one for each component group.
pub(crate) fn names(name: &str) -> impl Iterator<Item = String> {
    let groups = PersonName::parse(name).groups().map(fold);
    groups
        .into_iter()
        .filter(|group| !group.is_empty())
        .map(|group| key('N', &group))
}

/// A line each in the column: a key has no line break.
fn key(case: char, text: &str) -> String {
    let mut key = String::with_capacity(text.len() + 1);
    key.push(case);
    key.extend(text.chars().filter(|character| *character != '\n'));
    key
}

/// The keys that an instance brings, sorted; `called_ae` may be empty.
pub(crate) fn of_instance(attributes: &DataSet, called_ae: &str) -> Vec<String> {
    let mut keys = BTreeSet::new();
    let mut add = |tag: Tag, make: fn(&str) -> String| {
        let values = attributes.strings(tag);
        keys.extend(
            values
                .iter()
                .filter(|value| !value.is_empty())
                .map(|value| make(value)),
        );
    };
    add(tags::INSTITUTION_NAME, site);
    add(tags::INSTITUTIONAL_DEPARTMENT_NAME, department);
    for tag in OWNERS {
        keys.extend(attributes.strings(tag).iter().flat_map(|name| names(name)));
    }
    if !called_ae.is_empty() {
        keys.insert(called(called_ae));
    }
    keys.into_iter().collect()
}

/// The keys of a column.
pub(crate) fn lines(column: &str) -> impl Iterator<Item = &str> {
    column.split('\n').filter(|key| !key.is_empty())
}

/// The keys that people gave to a study.
pub(crate) fn marks(connection: &Connection, study_instance_uid: &str) -> Result<Vec<String>> {
    let mut statement =
        connection.prepare_cached("SELECT mark FROM study_mark WHERE study_instance_uid = ?1")?;
    let marks = statement.query_map([study_instance_uid], |row| row.get(0))?;
    Ok(marks.collect::<rusqlite::Result<_>>()?)
}

pub(crate) const ADD: &str = "INSERT OR IGNORE INTO study_access (key, study) VALUES (?1, ?2)";
const REMOVE: &str = "DELETE FROM study_access WHERE key = ?1 AND study = ?2";

/// Puts a study's keys together anew, of its series that can be seen and what people said of it.
pub(crate) fn refresh(connection: &Connection, study: i64) -> Result<()> {
    let (uid, old): (String, String) = connection
        .prepare_cached("SELECT study_instance_uid, access FROM study WHERE id = ?1")?
        .query_row([study], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut new: BTreeSet<String> = marks(connection, &uid)?.into_iter().collect();
    let mut statement = connection
        .prepare_cached("SELECT DISTINCT access FROM series WHERE study = ?1 AND instances > 0")?;
    for access in statement.query_map([study], |row| row.get::<_, String>(0))? {
        new.extend(lines(&access?).map(str::to_owned));
    }
    for gone in lines(&old).filter(|key| !new.contains(*key)) {
        connection
            .prepare_cached(REMOVE)?
            .execute(params![gone, study])?;
    }
    for key in &new {
        connection
            .prepare_cached(ADD)?
            .execute(params![key, study])?;
    }
    let new: Vec<String> = new.into_iter().collect();
    connection
        .prepare_cached("UPDATE study SET access = ?2 WHERE id = ?1")?
        .execute(params![study, new.join("\n")])?;
    Ok(())
}

/// Sets or takes away what people say of a study. Returns whether that changed anything.
pub(crate) fn mark(
    connection: &Connection,
    study_instance_uid: &str,
    mark: &Mark,
    is_set: bool,
) -> Result<bool> {
    let (key, text) = match mark {
        Mark::Label(text) => (label(text), text.as_str()),
        Mark::Restricted => (RESTRICTED.to_owned(), ""),
    };
    let changed = if is_set {
        connection
            .prepare_cached(
                "INSERT INTO study_mark (study_instance_uid, mark, text) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO NOTHING",
            )?
            .execute(params![study_instance_uid, key, text])?
    } else {
        connection
            .prepare_cached("DELETE FROM study_mark WHERE study_instance_uid = ?1 AND mark = ?2")?
            .execute(params![study_instance_uid, key])?
    };
    let studies = crate::refresh::ids_of_uid(connection, study_instance_uid)?;
    for study in studies {
        refresh(connection, study)?;
    }
    Ok(changed > 0)
}

/// What people can say of a study that decides who sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mark {
    /// A label.
    Label(String),
    /// Only those see it who were granted restricted studies (embargo, VIP, consent withheld).
    Restricted,
}

/// The labels of a study, as they were written, and whether it is restricted.
pub(crate) fn marks_of(
    connection: &Connection,
    study_instance_uid: &str,
) -> Result<(Vec<String>, bool)> {
    let mut statement = connection.prepare_cached(
        "SELECT mark, text FROM study_mark WHERE study_instance_uid = ?1 ORDER BY text",
    )?;
    let mut rows = statement.query([study_instance_uid])?;
    let (mut labels, mut is_restricted) = (Vec::new(), false);
    while let Some(row) = rows.next()? {
        let key: String = row.get(0)?;
        if key == RESTRICTED {
            is_restricted = true;
        } else {
            labels.push(row.get(1)?);
        }
    }
    Ok((labels, is_restricted))
}

/// Fills the keys of what was stored before they were kept.
pub(crate) fn fill(connection: &Connection) -> Result<()> {
    let mut find = connection.prepare(
        "SELECT series.id, series.instance, source.called_ae FROM series
         JOIN instance ON instance.id = series.instance JOIN source ON source.id = instance.source",
    )?;
    let mut write = connection.prepare("UPDATE series SET access = ?2 WHERE id = ?1")?;
    let mut rows = find.query([])?;
    while let Some(row) = rows.next()? {
        let (series, instance, called): (i64, i64, String) =
            (row.get(0)?, row.get(1)?, row.get(2)?);
        let header = crate::selection::read_header(connection, instance)?;
        let keys = of_instance(&header.parse().unwrap_or_default(), &called);
        write.execute(params![series, keys.join("\n")])?;
    }
    let mut studies = connection.prepare("SELECT id FROM study")?;
    let mut rows = studies.query([])?;
    while let Some(row) = rows.next()? {
        refresh(connection, row.get(0)?)?;
    }
    Ok(())
}
