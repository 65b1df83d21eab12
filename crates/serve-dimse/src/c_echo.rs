//! C-ECHO (PS3.4 A.4): the peer is there, and so are we.

use crate::session::{Asked, Session};
use gantry_dimse::association::error::AssociationError;
use gantry_dimse::status::Status;

pub(crate) async fn c_echo(session: &Session, asked: &Asked) -> Result<(), AssociationError> {
    session
        .respond(asked, &asked.request.response(Status::SUCCESS))
        .await
}
