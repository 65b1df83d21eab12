//! N-ACTION of the Storage Commitment Push Model (PS3.4 J.3.2): a request is written down and
//! acknowledged; the result follows by N-EVENT-REPORT.

use crate::service::STORAGE_COMMITMENT_INSTANCE;
use crate::session::{Asked, Session};
use crate::status;
use gantry_archive::commitment::CommitmentRequest;
use gantry_archive::commitment::report::read_reference;
use gantry_archive::{Error, Result};
use gantry_core::failure::Kind;
use gantry_dicom::data_set::DataSet;
use gantry_dicom::tags;
use gantry_dimse::association::error::AssociationError;
use gantry_dimse::command::Arguments;
use gantry_dimse::status::Status;
use std::sync::Arc;

/// Request Storage Commitment (PS3.4 J.3.2.1.1).
const REQUEST_STORAGE_COMMITMENT: u16 = 1;

/// Answers an N-ACTION.
pub(crate) async fn n_action(
    session: &Arc<Session>,
    asked: &Asked,
    information: &DataSet,
) -> std::result::Result<(), AssociationError> {
    let Arguments::NAction {
        sop_instance_uid,
        action_type_id,
    } = &asked.request.arguments
    else {
        return Ok(());
    };
    if sop_instance_uid.as_str() != STORAGE_COMMITMENT_INSTANCE {
        let response = asked.request.response(Status::NO_SUCH_SOP_INSTANCE);
        return session.respond(asked, &response).await;
    }
    if *action_type_id != REQUEST_STORAGE_COMMITMENT {
        let response = asked.request.response(Status::NO_SUCH_ACTION_TYPE);
        return session.respond(asked, &response).await;
    }
    let request = match read(session, information) {
        Ok(request) => request,
        Err(error) => {
            let response = status::failure(&asked.request, &error, status::of_commitment);
            return session.respond(asked, &response).await;
        }
    };
    // The result may be known before the request is acknowledged: it has to wait for that.
    let acknowledged = session.server.commitments.expect(session, asked, &request);
    let response = match session
        .server
        .archive
        .request_commitment(&session.principal, request)
        .await
    {
        Ok(()) => asked.request.response(Status::SUCCESS),
        Err(error) => status::failure(&asked.request, &error, status::of_commitment),
    };
    session.respond(asked, &response).await?;
    acknowledged.send_replace(true);
    Ok(())
}

/// Reads the action information (PS3.4 Table J.3-1).
fn read(session: &Session, information: &DataSet) -> Result<CommitmentRequest> {
    let malformed = |message: &str| Error::new(Kind::Malformed, message);
    // The result goes to the one who asked: somebody without a title cannot be told.
    let requestor = session
        .principal
        .calling_ae
        .as_ref()
        .ok_or_else(|| malformed("the calling AE title is blank"))?;
    let called = session
        .principal
        .called_ae
        .as_ref()
        .unwrap_or(&session.server.archive.config().ae_title);
    let transaction_uid = information
        .uid(tags::TRANSACTION_UID)
        .ok_or_else(|| malformed("Transaction UID is missing or no UID"))?;
    let references = information
        .items(tags::REFERENCED_SOP_SEQUENCE)
        .iter()
        .map(read_reference)
        .collect::<Result<Vec<_>>>()?;
    Ok(CommitmentRequest {
        transaction_uid: transaction_uid.to_string(),
        requestor: requestor.to_string(),
        called: called.to_string(),
        references,
    })
}
