//! Associations over any pair of byte streams (PS3.8 §9).
//!
//! [`acceptor::receive`] and [`requestor::connect`] make an [`Association`]. Its owner reads
//! messages from it; whoever has something to say gets a clone of its [`Writer`].

pub mod acceptor;
pub mod error;
pub mod negotiation;
mod reader;
pub mod requestor;
pub mod settings;
pub mod state;
pub mod transport;
mod writer;

pub use writer::Writer;

use crate::message::{Message, MessageAssembler, MessageError, Part};
use crate::pdu::abort::{Abort, AbortReason};
use crate::pdu::stream::PduEvent;
use crate::pdu::{Pdu, PduKind};
use bytes::Bytes;
use error::{AssociationError, Wait};
use negotiation::{End, Negotiated};
use reader::Reader;
use settings::Timeouts;
use state::{Reaction, State};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// An established association: the reading end and everything agreed.
///
/// [`Association::next_message`] and [`Association::data_chunk`] are cancel-safe up to the point
/// where they fail. When they fail, the peer has been told why by an A-ABORT where the standard
/// asks for one, and the connection is closed: nothing else is to be done.
#[derive(Debug)]
pub struct Association<R, W> {
    reader: Reader<R>,
    writer: Writer<W>,
    negotiated: Arc<Negotiated>,
    timeouts: Timeouts,
    state: State,
    assembler: MessageAssembler,
    data: DataSet,
}

/// What the peer wants next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// A message; its data set, if it has one, is read with [`Association::data_chunk`].
    Message(Message),
    /// The release of the association; to be answered by [`Association::accept_release`] when
    /// nothing is left to be sent.
    Release,
}

/// How far the data set of the last message was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DataSet {
    None,
    Open,
}

impl<R, W> Association<R, W>
where
    R: AsyncRead + Unpin + Send,
    W: AsyncWrite + Unpin + Send,
{
    fn new(
        reader: Reader<R>,
        writer: Writer<W>,
        negotiated: Negotiated,
        timeouts: Timeouts,
    ) -> Self {
        Self {
            reader,
            writer,
            negotiated: Arc::new(negotiated),
            timeouts,
            state: State::Established,
            assembler: MessageAssembler::default(),
            data: DataSet::None,
        }
    }

    /// What was agreed.
    pub fn negotiated(&self) -> &Arc<Negotiated> {
        &self.negotiated
    }

    /// A handle to send with.
    pub fn writer(&self) -> Writer<W> {
        self.writer.clone()
    }

    /// Waits for the next message or the release, for as long as it takes. What was not read of
    /// the last message's data set is discarded.
    pub async fn next_message(&mut self) -> Result<Incoming, AssociationError> {
        let result = self.read_message().await;
        self.abort_on_error(result).await
    }

    /// The next bytes of the last message's data set, not copied and never empty; `None` after
    /// the last, and when the message has no data set.
    pub async fn data_chunk(&mut self) -> Result<Option<Bytes>, AssociationError> {
        let result = self.read_data().await;
        self.abort_on_error(result).await
    }

    /// Answers the peer's request for the release, and closes the connection.
    pub async fn accept_release(mut self) -> Result<(), AssociationError> {
        let result = self.writer.finish(&Pdu::ReleaseRp).await;
        self.reader.linger(self.timeouts.linger).await;
        result
    }

    /// Asks for the release, waits until the peer agrees, and closes the connection. Messages
    /// that still come are discarded.
    pub async fn release(mut self) -> Result<(), AssociationError> {
        let limit = self.timeouts.release;
        let result = match tokio::time::timeout(limit, self.exchange_release()).await {
            Ok(result) => result,
            Err(_) => Err(AssociationError::Timeout(Wait::Release)),
        };
        self.abort_on_error(result).await?;
        self.writer.close().await;
        Ok(())
    }

    /// Aborts the association as the service-user.
    pub async fn abort(self) {
        self.abort_with(Abort::SERVICE_USER).await;
    }

    /// Aborts the association as the service-provider, for a reason that the standard does not
    /// name: it was idle for too long, or this end is going down.
    pub async fn abort_as_provider(self) {
        self.abort_with(Abort::provider(AbortReason::NotSpecified))
            .await;
    }

    async fn abort_with(mut self, abort: Abort) {
        self.end_with(abort).await;
    }

    async fn end_with(&mut self, abort: Abort) {
        self.writer.abort_with(abort).await;
        self.reader.linger(self.timeouts.linger).await;
    }

    async fn abort_on_error<T>(
        &mut self,
        result: Result<T, AssociationError>,
    ) -> Result<T, AssociationError> {
        if let Err(error) = &result {
            match error.abort() {
                Some(abort) => self.end_with(abort).await,
                None => self.writer.close().await,
            }
        }
        result
    }

    async fn read_message(&mut self) -> Result<Incoming, AssociationError> {
        while self.read_data().await?.is_some() {}
        loop {
            match self.read_part().await? {
                Some(Part::Message(message)) => {
                    if message.command.has_data_set() {
                        self.data = DataSet::Open;
                    }
                    return Ok(Incoming::Message(message));
                }
                // Data without a message is an error of the assembler.
                Some(Part::Data { .. }) => {}
                None => return Ok(Incoming::Release),
            }
        }
    }

    async fn read_data(&mut self) -> Result<Option<Bytes>, AssociationError> {
        while self.data == DataSet::Open {
            match self.read_part().await? {
                Some(Part::Data { bytes, is_last }) => {
                    if is_last {
                        self.data = DataSet::None;
                    }
                    if !bytes.is_empty() {
                        return Ok(Some(bytes));
                    }
                }
                // A command inside a data set is an error of the assembler.
                Some(Part::Message(_)) => {}
                None => return Err(AssociationError::Released),
            }
        }
        Ok(None)
    }

    /// The next part of a message; `None` when the peer asks for the release.
    async fn read_part(&mut self) -> Result<Option<Part>, AssociationError> {
        loop {
            let limit = self
                .assembler
                .is_inside_message()
                .then_some((self.timeouts.message, Wait::Message));
            match self.reader.next(limit).await? {
                PduEvent::Piece(piece) => {
                    if state::react(self.state, PduKind::PDataTf) != Reaction::Data {
                        return Err(self.unexpected(PduKind::PDataTf));
                    }
                    if !self.assembler.is_inside_message()
                        && self.negotiated.context(piece.context_id).is_none()
                    {
                        return Err(MessageError::UnknownContext(piece.context_id).into());
                    }
                    if let Some(part) = self.assembler.push(piece)? {
                        return Ok(Some(part));
                    }
                }
                PduEvent::Pdu(pdu) => match state::react(self.state, pdu.kind()) {
                    Reaction::ReleaseIndication if !self.assembler.is_inside_message() => {
                        self.state = State::ReleaseRequested;
                        return Ok(None);
                    }
                    _ => return Err(self.rejected_pdu(&pdu)),
                },
            }
        }
    }

    /// PS3.8 Table 9-10, Sta6 to Sta12.
    async fn exchange_release(&mut self) -> Result<(), AssociationError> {
        self.writer.send_pdu(&Pdu::ReleaseRq).await?;
        self.state = State::AwaitingReleaseResponse;
        loop {
            let pdu = match self.reader.next(None).await? {
                PduEvent::Piece(_) => {
                    if state::react(self.state, PduKind::PDataTf) != Reaction::Data {
                        return Err(self.unexpected(PduKind::PDataTf));
                    }
                    continue;
                }
                PduEvent::Pdu(pdu) => pdu,
            };
            match (state::react(self.state, pdu.kind()), self.negotiated.end) {
                (Reaction::ReleaseCollision, End::Requestor) => {
                    self.state = State::CollisionRequestorAnswers;
                    self.writer.send_pdu(&Pdu::ReleaseRp).await?;
                    self.state = State::CollisionRequestorAwaits;
                }
                (Reaction::ReleaseCollision, End::Acceptor) => {
                    self.state = State::CollisionAcceptorAwaits;
                }
                (Reaction::ReleaseConfirmed, _) if self.state == State::CollisionAcceptorAwaits => {
                    self.state = State::CollisionAcceptorAnswers;
                    self.writer.finish(&Pdu::ReleaseRp).await?;
                    self.reader.linger(self.timeouts.linger).await;
                    return Ok(());
                }
                (Reaction::ReleaseConfirmed, _) => return Ok(()),
                _ => return Err(self.rejected_pdu(&pdu)),
            }
        }
    }

    fn rejected_pdu(&self, pdu: &Pdu) -> AssociationError {
        match pdu {
            Pdu::Abort(abort) => AssociationError::Aborted(*abort),
            pdu => self.unexpected(pdu.kind()),
        }
    }

    fn unexpected(&self, kind: PduKind) -> AssociationError {
        AssociationError::UnexpectedPdu {
            kind,
            state: self.state,
        }
    }

    /// How long to wait for the next response to what this end asked.
    pub fn response_timeout(&self) -> Duration {
        self.timeouts.response
    }
}
