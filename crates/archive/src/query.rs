//! The one way to ask: from an identifier or a search to answers.

mod matches;

use crate::Archive;
use crate::error::{Error, Result};
use gantry_core::access::Right;
use gantry_core::failure::Kind;
use gantry_core::level::Level;
use gantry_core::principal::Principal;
use gantry_dicom::character_set::CharacterSet;
use gantry_dicom::data_set::{DataSet, Element, Value};
use gantry_dicom::date_time::Offset;
use gantry_dicom::matching::{Key, MatchOptions, keys};
use gantry_dicom::model::ModelOptions;
use gantry_dicom::{Tag, Vr, tags};
use gantry_index::{Index, Permit};
use std::sync::Arc;

pub use matches::Matches;

pub use gantry_index::query::{Cursor, Order, Query, Wanted, level_of};

/// A Query/Retrieve information model (PS3.4 C.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Model {
    /// Patient Root.
    PatientRoot,
    /// Study Root: the patient's attributes are the study's.
    StudyRoot,
    /// Patient/Study Only (retired).
    PatientStudyOnly,
}

/// What was negotiated for a query besides the baseline.
#[derive(Debug, Clone, Copy, Default)]
pub struct FindOptions {
    /// Relational queries: unique keys of higher levels may be missing.
    pub is_relational: bool,
    /// How keys are matched.
    pub matching: MatchOptions,
}

/// The unique key of each level, from the whole to the part.
const UNIQUE_KEYS: [(Level, Tag, Vr); 4] = [
    (Level::Patient, tags::PATIENT_ID, Vr::LO),
    (Level::Study, tags::STUDY_INSTANCE_UID, Vr::UI),
    (Level::Series, tags::SERIES_INSTANCE_UID, Vr::UI),
    (Level::Instance, tags::SOP_INSTANCE_UID, Vr::UI),
];

/// A C-FIND request that was understood.
#[derive(Debug, Clone)]
pub struct FindRequest {
    /// What is listed.
    pub level: Level,
    /// Conditions, universal ones included.
    pub keys: Vec<Key>,
    /// Attributes to give back, in the order of the identifier.
    pub wanted: Vec<(Tag, Vr)>,
    /// The character set of the request, in which the answers are given where it can express
    /// them.
    pub character_set: CharacterSet,
    /// The zone of stored dates and times that name none.
    pub timezone: Offset,
    /// The identifier as DICOM JSON, for the audit trail.
    pub question: String,
    /// Optional keys that are not supported: for matching, and those with bulk values also for
    /// existence. An answer has to say that there are some (PS3.4 C.4.1.1.4, status FF01H).
    pub unsupported: Vec<Tag>,
}

/// Keys that are computed for the answer or say something about the archive itself: values of
/// theirs select nothing.
const NOT_MATCHED: [Tag; 8] = [
    tags::RETRIEVE_AE_TITLE,
    tags::INSTANCE_AVAILABILITY,
    tags::NUMBER_OF_PATIENT_RELATED_STUDIES,
    tags::NUMBER_OF_PATIENT_RELATED_SERIES,
    tags::NUMBER_OF_PATIENT_RELATED_INSTANCES,
    tags::NUMBER_OF_STUDY_RELATED_SERIES,
    tags::NUMBER_OF_STUDY_RELATED_INSTANCES,
    tags::NUMBER_OF_SERIES_RELATED_INSTANCES,
];

impl Model {
    /// The levels that can be asked for.
    pub fn levels(self) -> &'static [Level] {
        match self {
            Self::PatientRoot => &Level::ALL,
            Self::StudyRoot => &[Level::Study, Level::Series, Level::Instance],
            Self::PatientStudyOnly => &[Level::Patient, Level::Study],
        }
    }

    /// The unique keys that have to be given above `level` (PS3.4 C.4.1.2.1), or for a retrieval
    /// above and at it.
    fn unique_keys(self) -> impl Iterator<Item = (Level, Tag, Vr)> {
        UNIQUE_KEYS
            .into_iter()
            .filter(move |(level, ..)| self.levels().contains(level))
    }

    /// Reads Query/Retrieve Level (0008,0052).
    ///
    /// # Errors
    /// [`Kind::MismatchedSopClass`] (A900) when it is missing or not one of the model's.
    pub fn level(self, identifier: &DataSet) -> Result<Level> {
        let text = identifier
            .ascii(tags::QUERY_RETRIEVE_LEVEL)
            .unwrap_or_default();
        Level::parse(text)
            .filter(|level| self.levels().contains(level))
            .ok_or_else(|| {
                Error::new(
                    Kind::MismatchedSopClass,
                    "Query/Retrieve Level is missing or not one of this model's",
                )
            })
    }
}

impl FindRequest {
    /// Reads the identifier of a C-FIND.
    ///
    /// # Errors
    /// [`Kind::MismatchedSopClass`] when the level or the hierarchy of unique keys is wrong or a
    /// key cannot be matched (A900).
    pub fn from_identifier(
        identifier: &DataSet,
        model: Model,
        options: &FindOptions,
    ) -> Result<Self> {
        let level = model.level(identifier)?;
        if !options.is_relational {
            require_hierarchy(identifier, model, level)?;
        }
        let unsupported = unsupported(identifier);
        let supported: DataSet = identifier
            .elements()
            .iter()
            .filter(|element| !unsupported.contains(&element.tag))
            .cloned()
            .collect();
        let keys = keys(&supported, &options.matching)
            .map_err(|error| Error::caused(Kind::MismatchedSopClass, error.to_string(), error))?;
        let wanted = identifier
            .elements()
            .iter()
            .filter(|element| is_returned(element))
            .map(|element| (element.tag, element.known_vr()))
            .collect();
        Ok(Self {
            level,
            keys,
            wanted,
            character_set: identifier.character_set(),
            timezone: options.matching.timezone,
            question: question(identifier),
            unsupported,
        })
    }

    /// The question to the index.
    pub fn query(&self) -> Query {
        Query {
            keys: self.keys.clone(),
            wanted: Wanted::Tags(self.wanted.iter().map(|(tag, _)| *tag).collect()),
            timezone: self.timezone,
            ..Query::universal(self.level)
        }
    }

    /// An answer as this request wants it: every attribute that was asked for is there, with an
    /// empty value where it is not known (PS3.4 C.4.1.1.3.2); in the request's character set
    /// where that can express it, else in UTF-8.
    pub fn complete(&self, mut answer: DataSet) -> DataSet {
        for (tag, vr) in &self.wanted {
            if answer.get(*tag).is_none() {
                answer.put_empty(*tag, *vr);
            }
        }
        let own = answer.character_set();
        answer.recoded(own, self.character_set).unwrap_or(answer)
    }
}

/// How something was asked, for the audit trail.
#[derive(Debug, Clone, Copy)]
pub struct AskedAs<'a> {
    /// The SOP Class UID of the service, or the resource.
    pub service: &'a str,
    /// The question as it came: the identifier, or the query of the URL.
    pub text: &'a str,
}

impl Archive {
    /// Asks the index. The search goes on only as fast as the answers are taken, and holds
    /// nothing of the index while nobody takes them.
    ///
    /// # Errors
    /// [`Kind::Forbidden`], or what the audit trail refuses. What the index refuses comes with the
    /// answers.
    pub async fn find(
        &self,
        principal: &Principal,
        query: Query,
        asked: AskedAs<'_>,
    ) -> Result<Matches> {
        let permit = self.permit(principal, Right::View)?;
        self.note_question(principal, asked.service, asked.text)
            .await?;
        Ok(self.matches(query, permit))
    }

    /// Asks on, for what belongs to a question that [`Self::find`] has noted.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub fn find_on(&self, principal: &Principal, query: Query) -> Result<Matches> {
        Ok(self.matches(query, self.permit(principal, Right::View)?))
    }

    fn matches(&self, query: Query, permit: Permit) -> Matches {
        let index: Arc<Index> = Arc::clone(self.index());
        let ae_title = self.config().ae_title.clone();
        Matches::begin(index, query, permit, ae_title)
    }
}

/// An identifier as DICOM JSON.
fn question(identifier: &DataSet) -> String {
    let mut json = Vec::new();
    gantry_dicom::json::write(identifier, &mut json, &ModelOptions::default());
    String::from_utf8(json).unwrap_or_default()
}

/// Whether an element of the identifier asks for a value; the others rule the request.
fn is_returned(element: &Element) -> bool {
    !matches!(
        element.tag,
        tags::SPECIFIC_CHARACTER_SET | tags::QUERY_RETRIEVE_LEVEL | tags::QUERY_RETRIEVE_VIEW
    ) && element.tag.1 != 0
}

/// The keys of an identifier that cannot be answered as asked.
fn unsupported(identifier: &DataSet) -> Vec<Tag> {
    let is_unsupported = |element: &Element| {
        let has_value = matches!(&element.value, Value::Bytes(bytes) if !bytes.is_empty());
        match element.known_vr() {
            // Values of these are bulk data, which no answer carries.
            Vr::OB | Vr::OW | Vr::OF | Vr::OD | Vr::OL | Vr::OV => true,
            Vr::UN => has_value,
            _ => has_value && NOT_MATCHED.contains(&element.tag),
        }
    };
    identifier
        .elements()
        .iter()
        .filter(|element| is_returned(element) && is_unsupported(element))
        .map(|element| element.tag)
        .collect()
}

/// Without relational queries each unique key above the level has to be there with one value.
fn require_hierarchy(identifier: &DataSet, model: Model, level: Level) -> Result<()> {
    for (of, tag, _) in model.unique_keys().filter(|(of, ..)| *of < level) {
        let mut values = identifier.strings(tag);
        let value = values.pop().unwrap_or_default();
        let is_wild = value.contains(['*', '?']);
        if value.is_empty() || !values.is_empty() || is_wild {
            return Err(Error::new(
                Kind::MismatchedSopClass,
                format!("the unique key of level {of} has to have one value"),
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identifier(level: &str, given: &[(Tag, Vr, &str)]) -> DataSet {
        let mut identifier = DataSet::new();
        identifier.put_text(tags::QUERY_RETRIEVE_LEVEL, Vr::CS, level);
        for (tag, vr, text) in given {
            identifier.put_text(*tag, *vr, text);
        }
        identifier
    }

    fn check(identifier: &DataSet, model: Model) -> Result<FindRequest> {
        FindRequest::from_identifier(identifier, model, &FindOptions::default())
    }

    #[test]
    fn the_level_has_to_be_one_of_the_model() {
        for (level, model, is_good) in [
            ("PATIENT", Model::PatientRoot, true),
            ("PATIENT", Model::StudyRoot, false),
            ("SERIES", Model::PatientStudyOnly, false),
            ("", Model::StudyRoot, false),
            ("STUDIES", Model::StudyRoot, false),
        ] {
            assert_eq!(
                check(&identifier(level, &[]), model).is_ok(),
                is_good,
                "{level}"
            );
        }
    }

    #[test]
    fn unique_keys_above_the_level_are_required_and_single() {
        let series =
            |study: &str| identifier("SERIES", &[(tags::STUDY_INSTANCE_UID, Vr::UI, study)]);
        assert!(check(&series("1.2"), Model::StudyRoot).is_ok());
        assert!(check(&series("1.2"), Model::PatientRoot).is_err());
        assert!(check(&series(""), Model::StudyRoot).is_err());
        assert!(check(&series("1.2\\1.3"), Model::StudyRoot).is_err());
        let options = FindOptions {
            is_relational: true,
            ..FindOptions::default()
        };
        let relational =
            FindRequest::from_identifier(&identifier("SERIES", &[]), Model::StudyRoot, &options);
        assert!(relational.is_ok());
    }

    #[test]
    fn keys_that_are_not_matched_are_told_and_select_nothing() {
        let counts = (tags::NUMBER_OF_STUDY_RELATED_INSTANCES, Vr::IS);
        let study = |given: &[(Tag, Vr, &str)]| identifier("STUDY", given);
        for (identifier, expected) in [
            (study(&[(tags::PATIENT_NAME, Vr::PN, "A*")]), vec![]),
            (study(&[(counts.0, counts.1, "")]), vec![]),
            (study(&[(counts.0, counts.1, "3")]), vec![counts.0]),
            (
                study(&[(tags::RETRIEVE_AE_TITLE, Vr::AE, "OTHER")]),
                vec![tags::RETRIEVE_AE_TITLE],
            ),
            (
                study(&[(tags::PIXEL_DATA, Vr::OW, "")]),
                vec![tags::PIXEL_DATA],
            ),
            (study(&[(tags::MODALITIES_IN_STUDY, Vr::CS, "CT")]), vec![]),
        ] {
            let request = check(&identifier, Model::StudyRoot).unwrap();
            assert_eq!(request.unsupported, expected);
            let is_matched = request.keys.iter().any(|key| match key {
                Key::Attribute { tag, matcher } => {
                    expected.contains(tag) && *matcher != gantry_dicom::matching::Matcher::Universal
                }
                Key::DateAndTime { .. } => false,
            });
            assert!(!is_matched, "{expected:?}");
            // They are given back all the same.
            let is_wanted = |tag: &Tag| request.wanted.iter().any(|(wanted, _)| wanted == tag);
            assert!(expected.iter().all(is_wanted));
        }
    }

    #[test]
    fn what_rules_the_request_is_not_given_back() {
        let identifier = identifier("STUDY", &[(tags::PATIENT_NAME, Vr::PN, "A*")]);
        let request = check(&identifier, Model::StudyRoot).unwrap();
        assert_eq!(request.wanted, [(tags::PATIENT_NAME, Vr::PN)]);
    }
}
