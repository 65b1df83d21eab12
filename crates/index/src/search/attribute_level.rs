//! Which attributes describe a patient, a study or a series, so that "everything" at a level
//! leaves out what is only true of one instance.

use gantry_core::level::Level;
use gantry_dicom::{Tag, tags};

/// Attributes of the General Study and Patient Study modules and of requests (PS3.3 C.7.2).
const OF_STUDY: &[Tag] = &[
    tags::STUDY_DATE,
    tags::STUDY_TIME,
    tags::ACCESSION_NUMBER,
    tags::ISSUER_OF_ACCESSION_NUMBER_SEQUENCE,
    tags::INSTITUTION_NAME,
    tags::INSTITUTION_ADDRESS,
    tags::REFERRING_PHYSICIAN_NAME,
    tags::REFERRING_PHYSICIAN_IDENTIFICATION_SEQUENCE,
    tags::CONSULTING_PHYSICIAN_NAME,
    tags::TIMEZONE_OFFSET_FROM_UTC,
    tags::STUDY_DESCRIPTION,
    tags::PROCEDURE_CODE_SEQUENCE,
    tags::PHYSICIANS_OF_RECORD,
    tags::NAME_OF_PHYSICIANS_READING_STUDY,
    tags::ADMITTING_DIAGNOSES_DESCRIPTION,
    tags::REFERENCED_STUDY_SEQUENCE,
    tags::REFERENCED_PATIENT_SEQUENCE,
    tags::STUDY_INSTANCE_UID,
    tags::STUDY_ID,
    tags::REQUESTING_PHYSICIAN,
    tags::REQUESTING_SERVICE,
    tags::REQUESTED_PROCEDURE_DESCRIPTION,
    tags::REQUESTED_PROCEDURE_CODE_SEQUENCE,
    tags::ADMISSION_ID,
    tags::MEDICAL_ALERTS,
    tags::ALLERGIES,
];

/// Attributes of the General Series and General Equipment modules (PS3.3 C.7.3, C.7.5).
const OF_SERIES: &[Tag] = &[
    tags::SERIES_DATE,
    tags::SERIES_TIME,
    tags::MODALITY,
    tags::MANUFACTURER,
    tags::STATION_NAME,
    tags::SERIES_DESCRIPTION,
    tags::SERIES_DESCRIPTION_CODE_SEQUENCE,
    tags::INSTITUTIONAL_DEPARTMENT_NAME,
    tags::PERFORMING_PHYSICIAN_NAME,
    tags::OPERATORS_NAME,
    tags::MANUFACTURER_MODEL_NAME,
    tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE,
    tags::BODY_PART_EXAMINED,
    tags::DEVICE_SERIAL_NUMBER,
    tags::SOFTWARE_VERSIONS,
    tags::PROTOCOL_NAME,
    tags::PATIENT_POSITION,
    tags::SERIES_INSTANCE_UID,
    tags::SERIES_NUMBER,
    tags::LATERALITY,
    tags::FRAME_OF_REFERENCE_UID,
    tags::POSITION_REFERENCE_INDICATOR,
    tags::PERFORMED_PROCEDURE_STEP_START_DATE,
    tags::PERFORMED_PROCEDURE_STEP_START_TIME,
    tags::PERFORMED_PROCEDURE_STEP_ID,
    tags::PERFORMED_PROCEDURE_STEP_DESCRIPTION,
    tags::REQUEST_ATTRIBUTES_SEQUENCE,
];

/// The highest level of which an attribute is true.
pub(super) fn level(tag: Tag) -> Level {
    if tag.0 == 0x0010 {
        Level::Patient
    } else if OF_STUDY.contains(&tag) {
        Level::Study
    } else if OF_SERIES.contains(&tag) {
        Level::Series
    } else {
        Level::Instance
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_an_instance_has_is_told_apart() {
        assert_eq!(level(tags::PATIENT_AGE), Level::Patient);
        assert_eq!(level(tags::PROCEDURE_CODE_SEQUENCE), Level::Study);
        assert_eq!(level(tags::STATION_NAME), Level::Series);
        assert_eq!(level(tags::ROWS), Level::Instance);
    }
}
