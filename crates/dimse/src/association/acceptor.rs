//! Being asked for an association.

use super::Association;
use super::error::{AssociationError, Wait};
use super::negotiation::{End, Negotiated, Policy, accept};
use super::reader::Reader;
use super::settings::Settings;
use super::state::{self, Reaction, State};
use super::writer::Writer;
use crate::pdu::abort::{Abort, AbortReason};
use crate::pdu::associate::{APPLICATION_CONTEXT_NAME, AssociateAc, AssociateRq};
use crate::pdu::reject::Reject;
use crate::pdu::stream::PduEvent;
use crate::pdu::{Pdu, PduKind};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

/// An A-ASSOCIATE-RQ that waits for an answer (Sta3).
#[derive(Debug)]
pub struct Requested<R, W> {
    reader: Reader<R>,
    writer: Writer<W>,
    settings: Settings,
    request: Box<AssociateRq>,
}

/// Waits for an A-ASSOCIATE-RQ on a new connection. Whatever else comes is answered by an
/// A-ABORT, a request in another protocol version or application context by an A-ASSOCIATE-RJ.
pub async fn receive<R, W>(
    reader: R,
    writer: W,
    settings: &Settings,
) -> Result<Requested<R, W>, AssociationError>
where
    R: AsyncRead + Unpin + Send,
    W: AsyncWrite + Unpin + Send,
{
    let mut reader = Reader::new(reader, settings);
    let writer = Writer::new(writer, settings);
    // ARTIM covers the whole request, not only its beginning (PS3.8 §9.1.5).
    let limit = settings.timeouts.associate;
    let result = match timeout(limit, read_request(&mut reader)).await {
        Ok(result) => result,
        Err(_) => Err(AssociationError::Timeout(Wait::Associate)),
    };
    match result {
        Ok(request) => {
            let requested = Requested {
                reader,
                writer,
                settings: settings.clone(),
                request,
            };
            requested.check().await
        }
        Err(error) => {
            match error {
                AssociationError::Pdu(_) | AssociationError::UnexpectedPdu { .. } => {
                    // AA-1: as the service-user, without a reason.
                    writer.abort_with(Abort::SERVICE_USER).await;
                    reader.linger(settings.timeouts.linger).await;
                }
                // AA-2 and AA-5: there is nobody who would understand an abort.
                _ => writer.close().await,
            }
            Err(error)
        }
    }
}

async fn read_request<R: AsyncRead + Unpin>(
    reader: &mut Reader<R>,
) -> Result<Box<AssociateRq>, AssociationError> {
    let state = State::AwaitingRequest;
    match reader.next(None).await? {
        PduEvent::Piece(_) => Err(AssociationError::UnexpectedPdu {
            kind: PduKind::PDataTf,
            state,
        }),
        PduEvent::Pdu(pdu) => match (state::react(state, pdu.kind()), pdu) {
            (Reaction::Request, Pdu::AssociateRq(request)) => Ok(request),
            (_, Pdu::Abort(abort)) => Err(AssociationError::Aborted(abort)),
            (_, pdu) => Err(AssociationError::UnexpectedPdu {
                kind: pdu.kind(),
                state,
            }),
        },
    }
}

impl<R, W> Requested<R, W>
where
    R: AsyncRead + Unpin + Send,
    W: AsyncWrite + Unpin + Send,
{
    /// What is asked for.
    pub fn request(&self) -> &AssociateRq {
        &self.request
    }

    /// What the upper layer itself cannot accept.
    async fn check(self) -> Result<Self, AssociationError> {
        let reject = if !self.request.is_version_supported() {
            Reject::PROTOCOL_VERSION
        } else if self.request.application_context != APPLICATION_CONTEXT_NAME {
            Reject::APPLICATION_CONTEXT
        } else {
            return Ok(self);
        };
        self.reject(reject).await?;
        Err(AssociationError::Refused(reject))
    }

    /// Rejects the association (AE-8).
    pub async fn reject(mut self, reject: Reject) -> Result<(), AssociationError> {
        let result = self.writer.finish(&Pdu::AssociateRj(reject)).await;
        self.reader.linger(self.settings.timeouts.linger).await;
        result
    }

    /// Accepts the association as `policy` says (AE-7).
    pub async fn accept(self, policy: &Policy<'_>) -> Result<Association<R, W>, AssociationError> {
        let acceptance = accept(&self.request, policy, &self.settings);
        self.accept_with(acceptance).await
    }

    /// Accepts the association with an answer of one's own making (AE-7).
    pub async fn accept_with(
        mut self,
        acceptance: AssociateAc,
    ) -> Result<Association<R, W>, AssociationError> {
        let peer_maximum_length = self
            .request
            .user_information
            .maximum_length
            .unwrap_or(16 << 10);
        if let Err(error) = self
            .writer
            .set_maximum_length(peer_maximum_length, &self.settings)
        {
            let abort = Abort::provider(AbortReason::InvalidPduParameterValue);
            self.writer.abort_with(abort).await;
            self.reader.linger(self.settings.timeouts.linger).await;
            return Err(error);
        }
        let negotiated = Negotiated::new(End::Acceptor, &self.request, &acceptance)
            .map_err(AssociationError::Acceptance)?;
        self.writer
            .send_pdu(&Pdu::AssociateAc(Box::new(acceptance)))
            .await?;
        let timeouts = self.settings.timeouts;
        Ok(Association::new(
            self.reader,
            self.writer,
            negotiated,
            timeouts,
        ))
    }
}
