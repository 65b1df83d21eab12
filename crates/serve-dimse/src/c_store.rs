//! C-STORE (PS3.4 B): the data set streams into the archive; success is answered when it is
//! durable and can be found.

use crate::session::{Accepted, Asked, Session};
use crate::status;
use gantry_archive::Error;
use gantry_archive::store::{Announcement, Receiving, StoreOutcome};
use gantry_core::failure::Kind;
use gantry_dimse::association::error::AssociationError;
use gantry_dimse::status::Status;

/// An instance that has arrived whole, or why it cannot be stored.
pub(crate) type Received = Result<Receiving, Error>;

/// Reads the data set into the archive. When the archive does not want it, the rest is read all
/// the same: the peer listens for an answer only after it.
pub(crate) async fn receive(
    session: &Session,
    association: &mut Accepted,
    asked: &Asked,
    has_data_set: bool,
) -> Result<Received, AssociationError> {
    if !has_data_set {
        return Ok(Err(Error::new(Kind::Malformed, "there is no data set")));
    }
    let mut received = session.server.archive.begin_data_set(Announcement {
        transfer_syntax_uid: asked.context.transfer_syntax.as_str().to_owned(),
        sop_class_uid: Some(asked.request.sop_class_uid.as_str().to_owned()),
        sop_instance_uid: asked
            .request
            .arguments
            .sop_instance_uid()
            .map(ToString::to_string),
        ..Announcement::by(session.principal.clone())
    });
    while let Some(chunk) = association.data_chunk().await? {
        if let Ok(receiving) = &mut received
            && let Err(error) = receiving.write(&chunk).await
        {
            received = Err(error);
        }
    }
    Ok(received)
}

/// Stores what has arrived, and answers.
pub(crate) async fn store(
    session: &Session,
    asked: &Asked,
    received: Received,
) -> Result<(), AssociationError> {
    let stored = match received {
        Ok(mut receiving) => receiving.finish().await,
        Err(error) => Err(error),
    };
    let uid = asked
        .request
        .arguments
        .sop_instance_uid()
        .map(tracing::field::display);
    let peer = session.negotiated.calling_ae;
    let response = match stored {
        Ok(stored) => {
            for warning in &stored.warnings {
                tracing::debug!(sop_instance.uid = uid, peer.ae = %peer, "stored with: {warning}");
            }
            if stored.outcome == StoreOutcome::DifferentKeptFirst {
                tracing::warn!(
                    sop_instance.uid = uid,
                    peer.ae = %peer,
                    "other bytes under a SOP Instance UID that is stored; the first were kept"
                );
            }
            asked.request.response(if stored.is_of_other_class {
                Status::DATA_SET_MISMATCH_WARNING
            } else {
                Status::SUCCESS
            })
        }
        Err(error) => {
            tracing::warn!(sop_instance.uid = uid, peer.ae = %peer, "instance not stored");
            status::failure(&asked.request, &error, status::of_store)
        }
    };
    session.respond(asked, &response).await
}
