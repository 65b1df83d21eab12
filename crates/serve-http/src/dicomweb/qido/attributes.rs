//! Which attributes answers carry (PS3.18 tables 10.6.3-3 to 10.6.3-5).

use crate::qido_parameters::SearchParameters;
use gantry_archive::query::{Wanted, level_of};
use gantry_core::level::Level;
use gantry_dicom::data_set::{DataSet, Element};
use gantry_dicom::{Tag, dictionary, tags};

const PATIENT: &[Tag] = &[
    tags::PATIENT_NAME,
    tags::PATIENT_ID,
    tags::PATIENT_BIRTH_DATE,
    tags::PATIENT_SEX,
];

const STUDY: &[Tag] = &[
    tags::STUDY_DATE,
    tags::STUDY_TIME,
    tags::ACCESSION_NUMBER,
    tags::INSTANCE_AVAILABILITY,
    tags::MODALITIES_IN_STUDY,
    tags::REFERRING_PHYSICIAN_NAME,
    tags::TIMEZONE_OFFSET_FROM_UTC,
    tags::STUDY_DESCRIPTION,
    tags::STUDY_INSTANCE_UID,
    tags::STUDY_ID,
    tags::NUMBER_OF_STUDY_RELATED_SERIES,
    tags::NUMBER_OF_STUDY_RELATED_INSTANCES,
];

const SERIES: &[Tag] = &[
    tags::MODALITY,
    tags::TIMEZONE_OFFSET_FROM_UTC,
    tags::SERIES_DESCRIPTION,
    tags::SERIES_INSTANCE_UID,
    tags::SERIES_NUMBER,
    tags::NUMBER_OF_SERIES_RELATED_INSTANCES,
    tags::PERFORMED_PROCEDURE_STEP_START_DATE,
    tags::PERFORMED_PROCEDURE_STEP_START_TIME,
    tags::REQUEST_ATTRIBUTES_SEQUENCE,
    tags::STUDY_INSTANCE_UID,
];

const INSTANCE: &[Tag] = &[
    tags::SOP_CLASS_UID,
    tags::SOP_INSTANCE_UID,
    tags::INSTANCE_AVAILABILITY,
    tags::TIMEZONE_OFFSET_FROM_UTC,
    tags::INSTANCE_NUMBER,
    tags::ROWS,
    tags::COLUMNS,
    tags::BITS_ALLOCATED,
    tags::NUMBER_OF_FRAMES,
    tags::STUDY_INSTANCE_UID,
    tags::SERIES_INSTANCE_UID,
];

const PATIENT_COUNTS: &[Tag] = &[
    tags::NUMBER_OF_PATIENT_RELATED_STUDIES,
    tags::NUMBER_OF_PATIENT_RELATED_SERIES,
    tags::NUMBER_OF_PATIENT_RELATED_INSTANCES,
];

/// Default attributes that are left out when they have no value: Type 3 and those that only some
/// objects have.
const CONDITIONAL: &[Tag] = &[
    tags::TIMEZONE_OFFSET_FROM_UTC,
    tags::STUDY_DESCRIPTION,
    tags::SERIES_DESCRIPTION,
    tags::PERFORMED_PROCEDURE_STEP_START_DATE,
    tags::PERFORMED_PROCEDURE_STEP_START_TIME,
    tags::REQUEST_ATTRIBUTES_SEQUENCE,
    tags::ROWS,
    tags::COLUMNS,
    tags::BITS_ALLOCATED,
    tags::NUMBER_OF_FRAMES,
];

/// The attributes of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Attributes {
    /// What the archive is asked for.
    pub wanted: Wanted,
    /// Those that are in every answer, with an empty value where there is none.
    always: Vec<Tag>,
}

impl Attributes {
    /// The default attributes, those of higher levels when the path does not fix the study, those
    /// that were matched, and those that were asked for. Attributes of lower levels are not
    /// returned (PS3.18 10.6.3.3).
    pub fn new(level: Level, parameters: &SearchParameters, is_of_study: bool) -> Self {
        let mut tags: Vec<Tag> = Vec::new();
        let mut always: Vec<Tag> = Vec::new();
        for tag in defaults(level, is_of_study) {
            add(&mut tags, tag);
            if !CONDITIONAL.contains(&tag) {
                add(&mut always, tag);
            }
        }
        let asked = parameters
            .matches
            .iter()
            .map(|one| &one.path)
            .chain(&parameters.include);
        for tag in asked.filter_map(|path| path.first()) {
            if is_of_level(*tag, level) {
                add(&mut tags, *tag);
                add(&mut always, *tag);
            }
        }
        let wanted = if parameters.include_all {
            Wanted::All
        } else {
            Wanted::Tags(tags)
        };
        Self { wanted, always }
    }

    /// Gives an answer the attributes that it has to have.
    pub fn complete(&self, answer: &mut DataSet) {
        for tag in &self.always {
            if answer.get(*tag).is_none() {
                answer.put_empty(*tag, dictionary::implicit_vr(*tag, false));
            }
        }
        // A study none of whose series says its modality. OHIF 3 counts the values of what is
        // there without a look whether it has any, and shows no study at all.
        let modalities = answer.get(tags::MODALITIES_IN_STUDY);
        if modalities.is_some_and(Element::is_empty) {
            answer.remove(tags::MODALITIES_IN_STUDY);
        }
    }
}

fn add(list: &mut Vec<Tag>, tag: Tag) {
    if !list.contains(&tag) {
        list.push(tag);
    }
}

/// Whether answers at a level may have an attribute.
fn is_of_level(tag: Tag, level: Level) -> bool {
    match level {
        Level::Patient => tag.0 == 0x0010 || PATIENT_COUNTS.contains(&tag),
        level => level_of(tag, Level::Instance) <= level,
    }
}

fn defaults(level: Level, is_of_study: bool) -> impl Iterator<Item = Tag> {
    let of_patient = [PATIENT, PATIENT_COUNTS];
    let of_study = [PATIENT, STUDY];
    let lists: Vec<&[Tag]> = match (level, is_of_study) {
        (Level::Patient, _) => of_patient.to_vec(),
        (Level::Study, _) => of_study.to_vec(),
        (Level::Series, true) => vec![SERIES],
        (Level::Series, false) => vec![PATIENT, STUDY, SERIES],
        (Level::Instance, true) => vec![INSTANCE],
        (Level::Instance, false) => vec![PATIENT, STUDY, SERIES, INSTANCE],
    };
    lists.into_iter().flatten().copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query_string::QueryString;

    fn attributes(query: &str, level: Level, is_of_study: bool) -> Attributes {
        let query = QueryString::parse(Some(query)).unwrap();
        Attributes::new(
            level,
            &SearchParameters::parse(&query).unwrap(),
            is_of_study,
        )
    }

    fn listed(query: &str, level: Level, is_of_study: bool) -> Vec<Tag> {
        match attributes(query, level, is_of_study).wanted {
            Wanted::Tags(listed) => listed,
            Wanted::All => panic!(),
        }
    }

    #[test]
    fn each_level_has_its_default_attributes() {
        let study = listed("", Level::Study, false);
        for tag in [
            tags::PATIENT_NAME,
            tags::MODALITIES_IN_STUDY,
            tags::STUDY_ID,
        ] {
            assert!(study.contains(&tag));
        }
        let series = listed("", Level::Series, true);
        assert!(series.contains(&tags::MODALITY) && !series.contains(&tags::PATIENT_NAME));
        assert!(listed("", Level::Series, false).contains(&tags::PATIENT_NAME));
        assert!(listed("", Level::Instance, false).contains(&tags::MODALITY));
    }

    #[test]
    fn attributes_of_lower_levels_are_not_returned() {
        let study = listed(
            "includefield=Modality,StationName,PatientComments",
            Level::Study,
            false,
        );
        assert!(!study.contains(&tags::MODALITY) && !study.contains(&tags::STATION_NAME));
        assert!(study.contains(&tags::PATIENT_COMMENTS));
        let series = listed("includefield=StationName,Rows", Level::Series, true);
        assert!(series.contains(&tags::STATION_NAME) && !series.contains(&tags::ROWS));
    }

    #[test]
    fn a_sequence_is_included_whole() {
        let path = "includefield=RequestAttributesSequence.ScheduledProcedureStepID";
        assert!(listed(path, Level::Series, true).contains(&tags::REQUEST_ATTRIBUTES_SEQUENCE));
    }

    #[test]
    fn what_was_asked_for_is_returned_even_empty() {
        let mut answer = DataSet::new();
        attributes("includefield=NumberOfFrames", Level::Instance, true).complete(&mut answer);
        assert!(answer.get(tags::NUMBER_OF_FRAMES).is_some());
        assert!(answer.get(tags::INSTANCE_NUMBER).is_some());
        assert!(answer.get(tags::ROWS).is_none());
    }

    #[test]
    fn modalities_are_there_with_a_value_or_not_at_all() {
        let mut answer = DataSet::new();
        let attributes = attributes("includefield=ModalitiesInStudy", Level::Study, false);
        attributes.complete(&mut answer);
        assert!(answer.get(tags::MODALITIES_IN_STUDY).is_none());
        answer.put_text(tags::MODALITIES_IN_STUDY, gantry_dicom::Vr::CS, "CT");
        attributes.complete(&mut answer);
        assert!(answer.get(tags::MODALITIES_IN_STUDY).is_some());
    }

    #[test]
    fn patients_have_attributes_of_patients_only() {
        let patient = listed("includefield=StudyDate,PatientAge", Level::Patient, false);
        assert!(patient.contains(&tags::PATIENT_AGE) && !patient.contains(&tags::STUDY_DATE));
        assert!(patient.contains(&tags::NUMBER_OF_PATIENT_RELATED_STUDIES));
    }
}
