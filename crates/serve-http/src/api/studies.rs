//! The list of studies, newest first, with one search box for name, patient ID and accession
//! number.

use crate::context::{Asked, Context};
use crate::problem::{Problem, Purpose};
use crate::query_string::QueryString;
use axum::Json;
use axum::extract::State;
use gantry_archive::query::{AskedAs, Order, Query, Wanted};
use gantry_core::level::Level;
use gantry_dicom::data_set::DataSet;
use gantry_dicom::matching::{Key, MatchOptions, Matcher};
use gantry_dicom::{Tag, Vr, tags};
use serde::Serialize;
use std::collections::HashSet;

/// Most studies of one page.
const LIMIT_MAX: u64 = 500;
/// Studies of a page that names no number.
const LIMIT_DEFAULT: u64 = 50;
/// Farthest page that a search reaches; who needs more narrows it.
const SEARCH_OFFSET_MAX: u64 = 10_000;

/// A page of the list.
#[derive(Debug, Serialize)]
pub struct Page {
    studies: Vec<Study>,
    /// Whether there are more behind this page.
    has_more: bool,
}

/// A study.
#[derive(Debug, Serialize)]
pub struct Study {
    study_instance_uid: String,
    patient_name: String,
    patient_id: String,
    patient_birth_date: String,
    patient_sex: String,
    study_date: String,
    study_time: String,
    accession_number: String,
    description: String,
    modalities: Vec<String>,
    number_of_series: i64,
    number_of_instances: i64,
}

const WANTED: &[Tag] = &[
    tags::STUDY_INSTANCE_UID,
    tags::PATIENT_NAME,
    tags::PATIENT_ID,
    tags::PATIENT_BIRTH_DATE,
    tags::PATIENT_SEX,
    tags::STUDY_DATE,
    tags::STUDY_TIME,
    tags::ACCESSION_NUMBER,
    tags::STUDY_DESCRIPTION,
    tags::MODALITIES_IN_STUDY,
    tags::NUMBER_OF_STUDY_RELATED_SERIES,
    tags::NUMBER_OF_STUDY_RELATED_INSTANCES,
];

/// `GET /api/studies?search=…&offset=…&limit=…`.
pub async fn list(State(context): State<Context>, asked: Asked) -> Result<Json<Page>, Problem> {
    let search = asked
        .query
        .single("search")?
        .unwrap_or_default()
        .trim()
        .to_owned();
    let offset = number(&asked.query, "offset")?.unwrap_or(0);
    let limit = number(&asked.query, "limit")?
        .unwrap_or(LIMIT_DEFAULT)
        .clamp(1, LIMIT_MAX);
    let queries = if search.is_empty() {
        vec![Query {
            offset,
            limit: Some(limit + 1),
            ..all()
        }]
    } else {
        if offset > SEARCH_OFFSET_MAX {
            return Err(Problem::bad_request("a search does not reach that far"));
        }
        searches(&search, offset + limit + 1)?
    };
    let skip = if search.is_empty() { 0 } else { offset };
    let mut studies = collect(&context, &asked, queries).await?.split_off_at(skip);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = studies.len() > limit;
    studies.truncate(limit);
    Ok(Json(Page { studies, has_more }))
}

fn all() -> Query {
    Query {
        wanted: Wanted::Tags(WANTED.to_vec()),
        order: Order::NewestFirst,
        ..Query::universal(Level::Study)
    }
}

/// A question for each attribute that the text may be of.
fn searches(text: &str, limit: u64) -> Result<Vec<Query>, Problem> {
    let question = |tag: Tag, vr: Vr, pattern: String, fuzzy: bool| {
        let options = MatchOptions {
            fuzzy,
            ..MatchOptions::default()
        };
        let matcher = Matcher::parse(vr, &pattern, &options)
            .map_err(|error| Problem::bad_request(error.to_string()))?;
        let keys = vec![Key::Attribute { tag, matcher }];
        Ok::<_, Problem>(Query {
            keys,
            limit: Some(limit),
            ..all()
        })
    };
    // What stands for itself in a search box, not for a DICOM wild card or a list.
    let text: String = text
        .chars()
        .filter(|character| *character != '\\')
        .collect();
    Ok(vec![
        question(tags::PATIENT_NAME, Vr::PN, text.clone(), true)?,
        question(tags::PATIENT_ID, Vr::LO, format!("{text}*"), false)?,
        question(tags::ACCESSION_NUMBER, Vr::SH, format!("{text}*"), false)?,
    ])
}

/// The studies of all questions, each once.
async fn collect(
    context: &Context,
    asked: &Asked,
    queries: Vec<Query>,
) -> Result<Vec<Study>, Problem> {
    let failed = |error| Problem::from_archive(&error, Purpose::Search);
    let mut seen = HashSet::new();
    let mut studies = Vec::new();
    let asked_as = AskedAs {
        service: asked.uri.path(),
        text: asked.uri.query().unwrap_or_default(),
    };
    for (query, is_first) in queries.into_iter().zip((0..).map(|at| at == 0)) {
        let archive = &context.archive;
        let matches = if is_first {
            archive.find(&asked.principal, query, asked_as).await
        } else {
            archive.find_on(&asked.principal, query)
        };
        let mut matches = matches.map_err(failed)?;
        while let Some(found) = matches.next().await {
            let study = Study::of(&found.map_err(failed)?);
            if seen.insert(study.study_instance_uid.clone()) {
                studies.push(study);
            }
        }
    }
    Ok(studies)
}

trait SplitOffAt {
    fn split_off_at(self, at: u64) -> Self;
}

impl SplitOffAt for Vec<Study> {
    fn split_off_at(mut self, at: u64) -> Self {
        let at = usize::try_from(at).unwrap_or(usize::MAX).min(self.len());
        self.split_off(at)
    }
}

impl Study {
    fn of(found: &DataSet) -> Self {
        let text = |tag| found.string(tag).unwrap_or_default();
        let number = |tag| found.integer(tag).unwrap_or(0);
        Self {
            study_instance_uid: text(tags::STUDY_INSTANCE_UID),
            patient_name: text(tags::PATIENT_NAME),
            patient_id: text(tags::PATIENT_ID),
            patient_birth_date: text(tags::PATIENT_BIRTH_DATE),
            patient_sex: text(tags::PATIENT_SEX),
            study_date: text(tags::STUDY_DATE),
            study_time: text(tags::STUDY_TIME),
            accession_number: text(tags::ACCESSION_NUMBER),
            description: text(tags::STUDY_DESCRIPTION),
            modalities: found.strings(tags::MODALITIES_IN_STUDY),
            number_of_series: number(tags::NUMBER_OF_STUDY_RELATED_SERIES),
            number_of_instances: number(tags::NUMBER_OF_STUDY_RELATED_INSTANCES),
        }
    }
}

fn number(query: &QueryString, name: &str) -> Result<Option<u64>, Problem> {
    query
        .single(name)?
        .map(|text| {
            text.parse()
                .map_err(|_| Problem::bad_request(format!("{name} is not an unsigned integer")))
        })
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_asks_for_name_id_and_accession_number() {
        let queries = searches("doe", 11).unwrap();
        assert_eq!(queries.len(), 3);
        for query in &queries {
            assert_eq!(query.limit, Some(11));
            assert!(matches!(query.keys.as_slice(), [Key::Attribute { .. }]));
            assert_eq!(query.order, Order::NewestFirst);
        }
        assert!(searches("a\\b", 1).is_ok());
    }

    #[test]
    fn a_study_is_read_from_an_answer() {
        let mut found = DataSet::new();
        found.put_text(tags::PATIENT_NAME, Vr::PN, "Doe^Jane");
        found.put_text(tags::MODALITIES_IN_STUDY, Vr::CS, "CT\\SR");
        found.put_integer(tags::NUMBER_OF_STUDY_RELATED_INSTANCES, 7);
        let study = Study::of(&found);
        assert_eq!(study.patient_name, "Doe^Jane");
        assert_eq!(study.modalities, ["CT", "SR"]);
        assert_eq!(study.number_of_instances, 7);
        assert_eq!(study.accession_number, "");
    }
}
