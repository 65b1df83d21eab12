//! What can be asked of the index: the one form into which every door's questions are brought.

use gantry_core::level::Level;
use gantry_dicom::date_time::Offset;
use gantry_dicom::matching::Key;
use gantry_dicom::{Tag, tags};

/// A question.
///
/// Patient and study attributes are those of the study's representative, the first of its
/// instances that can be seen, also when series or instances are asked for; series attributes
/// those of the series' representative; all others those of what is asked for. They are matched
/// and given back alike.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// What is listed.
    pub level: Level,
    /// Conditions, all of which have to hold; universal ones do no harm. Unique keys of higher
    /// levels are conditions like others.
    pub keys: Vec<Key>,
    /// The attributes to give back.
    pub wanted: Wanted,
    /// In which order.
    pub order: Order,
    /// Where to go on: the cursor of the last match that was seen.
    pub after: Option<Cursor>,
    /// How many matches to leave out, behind the cursor if there is one.
    pub offset: u64,
    /// How many matches to give at most.
    pub limit: Option<u64>,
    /// The zone of dates and times of data sets that name none.
    pub timezone: Offset,
}

impl Query {
    /// Everything there is at a level.
    pub fn universal(level: Level) -> Self {
        Self {
            level,
            keys: Vec::new(),
            wanted: Wanted::Tags(Vec::new()),
            order: Order::Standard,
            after: None,
            offset: 0,
            limit: None,
            timezone: Offset::UTC,
        }
    }
}

/// The attributes to give back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// These, as far as there are values. The unique keys of the level and of those above are
    /// given in any case.
    Tags(Vec<Tag>),
    /// All that are stored, with the computed ones.
    All,
}

/// In which order matches come. Each is total, so that a cursor is a place in it, whatever is
/// stored in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// By study date when the query asks for a range of it, else in the order of arrival.
    #[default]
    Standard,
    /// Studies that arrived last come first.
    NewestFirst,
}

/// A place in the order of a query's matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The study date where the order is by it.
    pub(crate) date: u32,
    /// The study, or the patient at that level.
    pub(crate) study: i64,
    pub(crate) series: i64,
    pub(crate) instance: i64,
}

/// Four numbers with dots between them.
impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}.{}.{}.{}",
            self.date, self.study, self.series, self.instance
        )
    }
}

impl Cursor {
    /// Reads what [`Display`](std::fmt::Display) writes.
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split('.');
        let date = numbers.next()?.parse().ok()?;
        let mut next = || numbers.next()?.parse().ok();
        let cursor = Self {
            date,
            study: next()?,
            series: next()?,
            instance: next()?,
        };
        numbers.next().is_none().then_some(cursor)
    }
}

/// The level that an attribute belongs to where a query at `level` is concerned.
pub fn level_of(tag: Tag, level: Level) -> Level {
    let natural = match tag {
        _ if STUDY_TAGS.contains(&tag) || tag.0 == 0x0010 => Level::Study,
        _ if SERIES_TAGS.contains(&tag) => Level::Series,
        _ => Level::Instance,
    };
    natural.min(level).max(if level == Level::Patient {
        Level::Patient
    } else {
        Level::Study
    })
}

/// Attributes of the General Study, Patient Study and Clinical Trial Study modules, outside of
/// group 0010 (PS3.3 C.7.2).
const STUDY_TAGS: &[Tag] = &[
    tags::STUDY_INSTANCE_UID,
    tags::STUDY_DATE,
    tags::STUDY_TIME,
    tags::STUDY_ID,
    tags::STUDY_DESCRIPTION,
    tags::ACCESSION_NUMBER,
    tags::ISSUER_OF_ACCESSION_NUMBER_SEQUENCE,
    tags::REFERRING_PHYSICIAN_NAME,
    tags::REFERRING_PHYSICIAN_IDENTIFICATION_SEQUENCE,
    tags::CONSULTING_PHYSICIAN_NAME,
    tags::CONSULTING_PHYSICIAN_IDENTIFICATION_SEQUENCE,
    tags::PHYSICIANS_OF_RECORD,
    tags::PHYSICIANS_OF_RECORD_IDENTIFICATION_SEQUENCE,
    tags::NAME_OF_PHYSICIANS_READING_STUDY,
    tags::PHYSICIANS_READING_STUDY_IDENTIFICATION_SEQUENCE,
    tags::REQUESTING_SERVICE,
    tags::REQUESTING_SERVICE_CODE_SEQUENCE,
    tags::REFERENCED_STUDY_SEQUENCE,
    tags::PROCEDURE_CODE_SEQUENCE,
    tags::REASON_FOR_PERFORMED_PROCEDURE_CODE_SEQUENCE,
    tags::ADMITTING_DIAGNOSES_DESCRIPTION,
    tags::ADMITTING_DIAGNOSES_CODE_SEQUENCE,
    tags::ADMISSION_ID,
    tags::ISSUER_OF_ADMISSION_ID_SEQUENCE,
    tags::SERVICE_EPISODE_ID,
    tags::SERVICE_EPISODE_DESCRIPTION,
    tags::MODALITIES_IN_STUDY,
    tags::SOP_CLASSES_IN_STUDY,
    tags::NUMBER_OF_PATIENT_RELATED_STUDIES,
    tags::NUMBER_OF_PATIENT_RELATED_SERIES,
    tags::NUMBER_OF_PATIENT_RELATED_INSTANCES,
    tags::NUMBER_OF_STUDY_RELATED_SERIES,
    tags::NUMBER_OF_STUDY_RELATED_INSTANCES,
];

/// Attributes of the General Series, General Equipment and Frame of Reference modules (PS3.3
/// C.7.3.1, C.7.4, C.7.5).
const SERIES_TAGS: &[Tag] = &[
    tags::SERIES_INSTANCE_UID,
    tags::MODALITY,
    tags::SERIES_NUMBER,
    tags::SERIES_DATE,
    tags::SERIES_TIME,
    tags::SERIES_DESCRIPTION,
    tags::SERIES_DESCRIPTION_CODE_SEQUENCE,
    tags::LATERALITY,
    tags::BODY_PART_EXAMINED,
    tags::PATIENT_POSITION,
    tags::PROTOCOL_NAME,
    tags::OPERATORS_NAME,
    tags::OPERATOR_IDENTIFICATION_SEQUENCE,
    tags::PERFORMING_PHYSICIAN_NAME,
    tags::PERFORMING_PHYSICIAN_IDENTIFICATION_SEQUENCE,
    tags::REQUEST_ATTRIBUTES_SEQUENCE,
    tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE,
    tags::PERFORMED_PROCEDURE_STEP_ID,
    tags::PERFORMED_PROCEDURE_STEP_START_DATE,
    tags::PERFORMED_PROCEDURE_STEP_START_TIME,
    tags::PERFORMED_PROCEDURE_STEP_END_DATE,
    tags::PERFORMED_PROCEDURE_STEP_END_TIME,
    tags::PERFORMED_PROCEDURE_STEP_DESCRIPTION,
    tags::PERFORMED_PROTOCOL_CODE_SEQUENCE,
    tags::COMMENTS_ON_THE_PERFORMED_PROCEDURE_STEP,
    tags::FRAME_OF_REFERENCE_UID,
    tags::POSITION_REFERENCE_INDICATOR,
    tags::MANUFACTURER,
    tags::MANUFACTURER_MODEL_NAME,
    tags::INSTITUTION_NAME,
    tags::INSTITUTION_ADDRESS,
    tags::INSTITUTIONAL_DEPARTMENT_NAME,
    tags::STATION_NAME,
    tags::DEVICE_SERIAL_NUMBER,
    tags::SOFTWARE_VERSIONS,
    tags::NUMBER_OF_SERIES_RELATED_INSTANCES,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_belongs_to_its_level_or_to_the_one_asked_for() {
        for (tag, level, expected) in [
            (tags::PATIENT_NAME, Level::Patient, Level::Patient),
            (tags::PATIENT_NAME, Level::Study, Level::Study),
            (tags::PATIENT_NAME, Level::Instance, Level::Study),
            (tags::MODALITY, Level::Study, Level::Study),
            (tags::MODALITY, Level::Series, Level::Series),
            (tags::MODALITY, Level::Instance, Level::Series),
            (tags::ROWS, Level::Series, Level::Series),
            (tags::ROWS, Level::Instance, Level::Instance),
        ] {
            assert_eq!(level_of(tag, level), expected, "{tag} at {level}");
        }
    }

    #[test]
    fn a_cursor_survives_its_text() {
        let cursor = Cursor {
            date: 20_260_101,
            study: 7,
            series: 8,
            instance: 9,
        };
        assert_eq!(Cursor::parse(&cursor.to_string()), Some(cursor));
        for text in ["", "1.2.3", "1.2.3.4.5", "a.b.c.d"] {
            assert_eq!(Cursor::parse(text), None, "{text:?}");
        }
    }
}
