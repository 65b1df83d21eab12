//! Finding candidates through the indexes.

use crate::error::Result;
use gantry_core::level::Level;
use gantry_dicom::matching::{Key, Matcher, NamePattern, Wildcard};
use gantry_dicom::{Tag, tags};
use rusqlite::Connection;
use rusqlite::types::Value;

/// A way to the studies (or patients) that can match one key: all of them and perhaps others.
#[derive(Debug)]
pub(super) struct Probe {
    /// Statements whose rows are ids; the last parameter limits their number.
    parts: Vec<(String, Vec<Value>)>,
    /// Whether it is likely to find few.
    pub is_narrow: bool,
}

impl Probe {
    /// The way to what can match `key`, if an index leads there.
    pub fn of(key: &Key, level: Level) -> Option<Self> {
        let table = if level == Level::Patient {
            Table::Patient
        } else {
            Table::Study
        };
        match key {
            Key::Attribute { tag, matcher } => of_attribute(*tag, matcher, table),
            // The order is by date then, and reading along the range is no worse.
            Key::DateAndTime { .. } => None,
        }
    }

    fn one(sql: impl Into<String>, parameters: Vec<Value>, is_narrow: bool) -> Self {
        Self {
            parts: vec![(sql.into(), parameters)],
            is_narrow,
        }
    }

    /// The ids, ascending and distinct; none when there are more than `max`.
    pub fn ids(&self, connection: &Connection, max: usize) -> Result<Option<Vec<i64>>> {
        let mut ids = Vec::new();
        for (sql, parameters) in &self.parts {
            let mut statement = connection.prepare_cached(sql)?;
            let left = i64::try_from(max + 1 - ids.len()).unwrap_or(i64::MAX);
            let limit = Value::Integer(left);
            let parameters = rusqlite::params_from_iter(parameters.iter().chain([&limit]));
            let mut rows = statement.query(parameters)?;
            while let Some(row) = rows.next()? {
                ids.push(row.get(0)?);
            }
            if ids.len() > max {
                return Ok(None);
            }
        }
        ids.sort_unstable();
        ids.dedup();
        Ok(Some(ids))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Table {
    Patient,
    Study,
}

/// The study date is not among them: see [`super::candidates`].
fn of_attribute(tag: Tag, matcher: &Matcher, table: Table) -> Option<Probe> {
    match matcher {
        Matcher::AnyOf(matchers) => union(tag, matchers, table),
        Matcher::AllOf(matchers) => matchers
            .iter()
            .find_map(|matcher| of_attribute(tag, matcher, table)),
        _ => match tag {
            tags::PATIENT_ID => of_text('P', matcher, table),
            tags::PATIENT_NAME => of_name(matcher, table),
            tags::PATIENT_BIRTH_DATE => of_date("birth_date", matcher, table),
            _ if table == Table::Study => of_study_attribute(tag, matcher),
            _ => None,
        },
    }
}

fn union(tag: Tag, matchers: &[Matcher], table: Table) -> Option<Probe> {
    let probes: Option<Vec<Probe>> = matchers
        .iter()
        .map(|matcher| of_attribute(tag, matcher, table))
        .collect();
    let probes = probes?;
    let is_narrow = probes.iter().all(|probe| probe.is_narrow);
    let parts = probes.into_iter().flat_map(|probe| probe.parts).collect();
    Some(Probe { parts, is_narrow })
}

fn of_study_attribute(tag: Tag, matcher: &Matcher) -> Option<Probe> {
    match tag {
        tags::ACCESSION_NUMBER => of_text('A', matcher, Table::Study),
        tags::STUDY_ID => of_text('I', matcher, Table::Study),
        tags::STUDY_INSTANCE_UID => of_uids(
            matcher,
            "SELECT id FROM study WHERE study_instance_uid = ?1 LIMIT ?2",
        ),
        tags::SERIES_INSTANCE_UID => of_uids(
            matcher,
            "SELECT study FROM series WHERE series_instance_uid = ?1 LIMIT ?2",
        ),
        tags::SOP_INSTANCE_UID => of_uids(
            matcher,
            "SELECT study FROM instance JOIN series ON series.id = instance.series
             WHERE sop_instance_uid = ?1 AND deletion IS NULL LIMIT ?2",
        ),
        tags::MODALITIES_IN_STUDY | tags::MODALITY => match matcher {
            Matcher::Single(modality) => Some(Probe::one(
                "SELECT study FROM study_modality WHERE modality = ?1 LIMIT ?2",
                vec![Value::Text(modality.clone())],
                false,
            )),
            _ => None,
        },
        tags::PERFORMED_PROCEDURE_STEP_START_DATE => match matcher {
            Matcher::DateRange(range) => Some(Probe::one(
                "SELECT study FROM series WHERE step_date BETWEEN ?1 AND ?2 LIMIT ?3",
                vec![range.first.into(), range.last.into()],
                false,
            )),
            _ => None,
        },
        tags::REQUEST_ATTRIBUTES_SEQUENCE => match matcher {
            Matcher::Sequence(keys) => keys.iter().find_map(of_request),
            _ => None,
        },
        _ => None,
    }
}

fn of_request(key: &Key) -> Option<Probe> {
    let Key::Attribute { tag, matcher } = key else {
        return None;
    };
    let case = match *tag {
        tags::REQUESTED_PROCEDURE_ID => 'R',
        tags::SCHEDULED_PROCEDURE_STEP_ID => 'S',
        _ => return None,
    };
    let (first, last) = bounds(case, matcher)?;
    let sql = "SELECT study FROM series_request JOIN series ON series.id = series_request.series
               WHERE key >= ?1 AND key < ?2 LIMIT ?3";
    Some(Probe::one(sql, vec![first.into(), last.into()], true))
}

fn of_uids(matcher: &Matcher, sql: &str) -> Option<Probe> {
    let Matcher::UidList(uids) = matcher else {
        return None;
    };
    let part = |uid: &String| (sql.to_owned(), vec![Value::Text(uid.clone())]);
    Some(Probe {
        parts: uids.iter().map(part).collect(),
        is_narrow: true,
    })
}

fn of_text(case: char, matcher: &Matcher, table: Table) -> Option<Probe> {
    let (first, last) = bounds(case, matcher)?;
    Some(of_keys(
        first,
        last,
        table,
        matches!(matcher, Matcher::Single(_)),
    ))
}

fn of_keys(first: String, last: String, table: Table, is_narrow: bool) -> Probe {
    let sql = match table {
        Table::Study => "SELECT study FROM study_key WHERE key >= ?1 AND key < ?2 LIMIT ?3",
        // A patient is described by one of the studies.
        Table::Patient => {
            "SELECT study.patient FROM study_key CROSS JOIN study ON study.id = study_key.study
             WHERE key >= ?1 AND key < ?2 LIMIT ?3"
        }
    };
    Probe::one(sql, vec![first.into(), last.into()], is_narrow)
}

/// The keys between which all that can match lie: from the first to before the last.
fn bounds(case: char, matcher: &Matcher) -> Option<(String, String)> {
    match matcher {
        Matcher::Single(text) => {
            let first = format!("{case}{text}");
            let last = format!("{first}\0");
            Some((first, last))
        }
        Matcher::Wildcard(wildcard) => prefix(case, wildcard.literal_prefix()),
        _ => None,
    }
}

fn prefix(case: char, text: &str) -> Option<(String, String)> {
    if text.is_empty() {
        return None;
    }
    let first = format!("{case}{text}");
    // Greater than whatever begins with it: no text has this character.
    let last = format!("{first}\u{10FFFF}");
    Some((first, last))
}

fn of_name(matcher: &Matcher, table: Table) -> Option<Probe> {
    let Matcher::PersonName(pattern) = matcher else {
        return None;
    };
    let group = |pattern: &Wildcard| {
        let is_narrow = pattern.is_literal();
        let (first, last) = if is_narrow {
            bounds('=', &Matcher::Single(pattern.pattern().to_owned()))
        } else {
            prefix('=', NamePattern::literal_prefix(pattern))
        }?;
        Some(of_keys(first, last, table, is_narrow))
    };
    match pattern {
        NamePattern::AnyGroup(pattern) => group(pattern),
        NamePattern::Groups(patterns) => patterns.iter().flatten().find_map(group),
        // The longest word is the rarest, as a rule.
        NamePattern::Words(words) => {
            let word = words.iter().max_by_key(|word| word.len())?;
            let mut parts = Vec::new();
            for case in ['=', ':'] {
                let (first, last) = prefix(case, word)?;
                parts.extend(of_keys(first, last, table, false).parts);
            }
            Some(Probe {
                parts,
                is_narrow: false,
            })
        }
    }
}

fn of_date(column: &str, matcher: &Matcher, table: Table) -> Option<Probe> {
    let Matcher::DateRange(range) = matcher else {
        return None;
    };
    let id = match table {
        Table::Study => "id",
        Table::Patient => "patient",
    };
    let sql = format!("SELECT {id} FROM study WHERE {column} BETWEEN ?1 AND ?2 LIMIT ?3");
    Some(Probe::one(
        sql,
        vec![range.first.into(), range.last.into()],
        false,
    ))
}
