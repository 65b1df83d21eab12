//! N-EVENT-REPORT of the Storage Commitment Push Model (PS3.4 J.3.3): a peer that was asked for
//! commitment in our name tells the result on an association of its own.

use crate::service::STORAGE_COMMITMENT_INSTANCE;
use crate::session::{Asked, Session};
use crate::status;
use gantry_archive::commitment::report::CommitmentReport;
use gantry_dicom::data_set::DataSet;
use gantry_dimse::association::error::AssociationError;
use gantry_dimse::command::Arguments;
use gantry_dimse::status::Status;

/// The event types: all committed, failures exist (PS3.4 J.3.3.1.1).
const EVENT_TYPES: [u16; 2] = [1, 2];

/// Answers an N-EVENT-REPORT.
pub(crate) async fn n_event_report(
    session: &Session,
    asked: &Asked,
    information: &DataSet,
) -> Result<(), AssociationError> {
    let Arguments::NEventReport {
        sop_instance_uid,
        event_type_id,
    } = &asked.request.arguments
    else {
        return Ok(());
    };
    let refusal = if sop_instance_uid.as_str() != STORAGE_COMMITMENT_INSTANCE {
        Some(Status::NO_SUCH_SOP_INSTANCE)
    } else if !EVENT_TYPES.contains(event_type_id) {
        Some(Status::NO_SUCH_EVENT_TYPE)
    } else {
        None
    };
    if let Some(refusal) = refusal {
        return session
            .respond(asked, &asked.request.response(refusal))
            .await;
    }
    let noted = CommitmentReport::read(information).and_then(|report| {
        let archive = &session.server.archive;
        archive.note_commitment(&session.principal, &report)
    });
    let response = match noted {
        Ok(()) => asked.request.response(Status::SUCCESS),
        Err(error) => status::failure(&asked.request, &error, status::of_commitment),
    };
    session.respond(asked, &response).await
}
