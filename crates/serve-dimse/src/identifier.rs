//! Data sets of requests: identifiers of C-FIND, C-MOVE and C-GET, information of N-ACTION
//! and N-EVENT-REPORT.

use crate::session::{Accepted, Asked, Session};
use bytes::{Bytes, BytesMut};
use gantry_archive::query::Model;
use gantry_archive::retrieve::Selection;
use gantry_archive::{Error, Result};
use gantry_core::failure::Kind;
use gantry_core::level::Level;
use gantry_dicom::data_set::DataSet;
use gantry_dicom::encoding::{self, Encoding, Limits};
use gantry_dicom::{Tag, tags, transfer_syntax};
use gantry_dimse::association::error::AssociationError;
use gantry_dimse::association::negotiation::PresentationContext;
use gantry_dimse::command::{Operation, Response};
use gantry_dimse::status::Status;

/// The encoding of data sets in a presentation context.
pub(crate) fn encoding(context: &PresentationContext) -> Encoding {
    transfer_syntax::TransferSyntax::of(context.transfer_syntax.as_str()).encoding
}

/// Encodes a data set of an answer.
pub(crate) fn encode(data_set: &DataSet, context: &PresentationContext) -> Bytes {
    encoding::write(data_set, encoding(context)).into()
}

/// Reads the data set of a request into memory; the response that refuses it when it is absent,
/// too long or no data set.
pub(crate) async fn read(
    session: &Session,
    association: &mut Accepted,
    asked: &Asked,
    has_data_set: bool,
) -> std::result::Result<std::result::Result<DataSet, Response>, AssociationError> {
    let refuse = |comment: &str| {
        let status = match asked.request.operation() {
            Operation::NAction | Operation::NEventReport => Status::INVALID_ARGUMENT_VALUE,
            _ => Status::CANNOT_UNDERSTAND,
        };
        Ok(Err(asked.request.response(status).with_comment(comment)))
    };
    if !has_data_set {
        return refuse("there is no data set");
    }
    let mut bytes = BytesMut::new();
    let mut is_too_long = false;
    while let Some(chunk) = association.data_chunk().await? {
        is_too_long |=
            bytes.len().saturating_add(chunk.len()) > session.server.config.identifier_bytes_max;
        if !is_too_long {
            bytes.extend_from_slice(&chunk);
        }
    }
    if is_too_long {
        return refuse("the data set is too long");
    }
    match encoding::parse(bytes.freeze(), encoding(&asked.context), &Limits::default()) {
        Ok(data_set) => Ok(Ok(data_set)),
        Err(error) => refuse(&format!("data set: {error}")),
    }
}

/// What a C-MOVE or C-GET asks for (PS3.4 C.4.2.1.4 and C.4.2.2.1): at the level one or several
/// values, above it, unless retrieval is relational, exactly one.
///
/// # Errors
/// [`Kind::MismatchedSopClass`] (A900).
pub(crate) fn selection(
    identifier: &DataSet,
    model: Model,
    is_relational: bool,
) -> Result<Selection> {
    let level = model.level(identifier)?;
    let mut selection = Selection::default();
    for (of, tag, list) in [
        (Level::Patient, tags::PATIENT_ID, &mut selection.patient_ids),
        (
            Level::Study,
            tags::STUDY_INSTANCE_UID,
            &mut selection.studies,
        ),
        (
            Level::Series,
            tags::SERIES_INSTANCE_UID,
            &mut selection.series,
        ),
        (
            Level::Instance,
            tags::SOP_INSTANCE_UID,
            &mut selection.instances,
        ),
    ] {
        let is_required = of == level || (of < level && !is_relational && has_key(model, of));
        if of > level {
            continue;
        }
        *list = values(identifier, tag, of)?;
        if is_required && list.is_empty() {
            return Err(mismatch(&format!(
                "the unique key of level {of} has no value"
            )));
        }
        if of < level && list.len() > 1 {
            return Err(mismatch(&format!(
                "the unique key of level {of} has several values"
            )));
        }
    }
    Ok(selection)
}

/// In Study Root the patient is no level; Patient ID may be given all the same.
fn has_key(model: Model, level: Level) -> bool {
    model.levels().contains(&level)
}

fn values(identifier: &DataSet, tag: Tag, level: Level) -> Result<Vec<String>> {
    let values: Vec<String> = identifier
        .strings(tag)
        .into_iter()
        .filter(|value| !value.is_empty())
        .collect();
    if values.iter().any(|value| value.contains(['*', '?'])) {
        return Err(mismatch(&format!(
            "the unique key of level {level} has wild cards"
        )));
    }
    if level == Level::Patient && values.len() > 1 {
        return Err(mismatch("Patient ID has several values"));
    }
    Ok(values)
}

fn mismatch(message: &str) -> Error {
    Error::new(Kind::MismatchedSopClass, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gantry_dicom::Vr;

    fn check(
        level: &str,
        keys: &[(Tag, &str)],
        model: Model,
        is_relational: bool,
    ) -> Option<Selection> {
        let mut identifier = DataSet::new();
        identifier.put_text(tags::QUERY_RETRIEVE_LEVEL, Vr::CS, level);
        for (tag, value) in keys {
            let vr = if *tag == tags::PATIENT_ID {
                Vr::LO
            } else {
                Vr::UI
            };
            identifier.put_text(*tag, vr, value);
        }
        selection(&identifier, model, is_relational).ok()
    }

    const STUDY: (Tag, &str) = (tags::STUDY_INSTANCE_UID, "1.2");
    const SERIES: (Tag, &str) = (tags::SERIES_INSTANCE_UID, "1.3");
    const PATIENT: (Tag, &str) = (tags::PATIENT_ID, "P1");

    #[test]
    fn keys_are_required_down_to_the_level() {
        use Model::{PatientRoot, PatientStudyOnly, StudyRoot};
        for (level, keys, model, is_good) in [
            ("STUDY", &[STUDY][..], StudyRoot, true),
            ("STUDY", &[STUDY], PatientRoot, false),
            ("STUDY", &[PATIENT, STUDY], PatientRoot, true),
            ("STUDY", &[PATIENT, STUDY], StudyRoot, true),
            ("STUDY", &[], StudyRoot, false),
            ("STUDY", &[(tags::STUDY_INSTANCE_UID, "")], StudyRoot, false),
            (
                "STUDY",
                &[(tags::STUDY_INSTANCE_UID, "1.*")],
                StudyRoot,
                false,
            ),
            ("SERIES", &[SERIES], StudyRoot, false),
            ("SERIES", &[STUDY, SERIES], StudyRoot, true),
            ("SERIES", &[STUDY], StudyRoot, false),
            ("PATIENT", &[PATIENT], PatientRoot, true),
            ("PATIENT", &[PATIENT], StudyRoot, false),
            (
                "PATIENT",
                &[(tags::PATIENT_ID, "P1\\P2")],
                PatientRoot,
                false,
            ),
            ("SERIES", &[PATIENT, STUDY, SERIES], PatientStudyOnly, false),
        ] {
            let selection = check(level, keys, model, false);
            assert_eq!(selection.is_some(), is_good, "{level} {keys:?} {model:?}");
        }
    }

    #[test]
    fn the_level_itself_may_have_a_list() {
        let keys = [STUDY, (tags::SERIES_INSTANCE_UID, "1.3\\1.4")];
        let selection = check("SERIES", &keys, Model::StudyRoot, false).unwrap();
        assert_eq!(selection.studies, ["1.2"]);
        assert_eq!(selection.series, ["1.3", "1.4"]);
        let keys = [(tags::STUDY_INSTANCE_UID, "1.2\\1.3"), SERIES];
        assert_eq!(check("SERIES", &keys, Model::StudyRoot, false), None);
    }

    #[test]
    fn relational_retrieval_needs_the_level_only() {
        let selection = check("SERIES", &[SERIES], Model::PatientRoot, true).unwrap();
        assert_eq!((selection.studies.len(), selection.series.len()), (0, 1));
        assert_eq!(check("SERIES", &[STUDY], Model::PatientRoot, true), None);
    }

    #[test]
    fn keys_below_the_level_do_not_count() {
        let selection = check("STUDY", &[STUDY, SERIES], Model::StudyRoot, false).unwrap();
        assert_eq!(selection.series, [""; 0]);
    }
}
