//! An association that was accepted: reading its messages and starting what they ask for.

use crate::listener::Server;
use crate::operations::Operations;
use crate::responses::Responses;
use crate::service::Service;
use crate::{c_echo, c_find, c_get, c_move, c_store, identifier, n_action, n_event_report};
use bytes::Bytes;
use gantry_core::principal::Principal;
use gantry_core::uid::Uid;
use gantry_dimse::association::error::{AssociationError, Wait};
use gantry_dimse::association::negotiation::{Negotiated, PresentationContext};
use gantry_dimse::association::transport::{ReadHalf, WriteHalf};
use gantry_dimse::association::{Association, Incoming, Writer};
use gantry_dimse::command::{Arguments, Command, Operation, Request, Response};
use gantry_dimse::message::Message;
use gantry_dimse::source::ChunkSource;
use gantry_dimse::status::Status;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// The accepting end of a connection.
pub(crate) type Accepted = Association<ReadHalf, WriteHalf>;

/// What the operations on an association share.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) server: Arc<Server>,
    pub(crate) negotiated: Arc<Negotiated>,
    pub(crate) principal: Arc<Principal>,
    writer: Writer<WriteHalf>,
    responses: Responses,
}

/// How an association came to its end.
enum Ending {
    /// The peer wants it released.
    Release,
    /// It failed; the peer knows.
    Failed(AssociationError),
    /// Nothing happened for too long.
    Idle,
    /// The server stops.
    Stopping,
}

/// A request in its presentation context.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) context: PresentationContext,
    pub(crate) request: Request,
}

impl Session {
    /// Serves an association until it ends.
    pub(crate) async fn run(server: Arc<Server>, mut association: Accepted, principal: Principal) {
        let negotiated = association.negotiated().clone();
        tracing::info!(
            peer.ae = %negotiated.calling_ae,
            called.ae = %negotiated.called_ae,
            peer.address = principal.address.map(tracing::field::display),
            peer.implementation = negotiated.peer_implementation_version_name,
            contexts = negotiated.contexts.len(),
            "association accepted"
        );
        let session = Arc::new(Self {
            writer: association.writer(),
            server,
            negotiated,
            principal: Arc::new(principal),
            responses: Responses::default(),
        });
        let mut operations = Operations::default();
        let ending = session.read(&mut association, &mut operations).await;
        session.end(association, operations, ending).await;
        session.server.archive.audit().end_of(&session.principal);
    }

    async fn read(self: &Arc<Self>, association: &mut Accepted, open: &mut Operations) -> Ending {
        let mut drained_at = None;
        let mut idle_at = Instant::now() + self.server.config.idle_timeout();
        loop {
            let deadline = drained_at.unwrap_or(idle_at);
            tokio::select! {
                incoming = association.next_message() => {
                    let result = match incoming {
                        Ok(Incoming::Message(message)) => {
                            self.take(association, open, message).await
                        }
                        Ok(Incoming::Release) => return Ending::Release,
                        Err(error) => Err(error),
                    };
                    if let Err(error) = result {
                        return Ending::Failed(error);
                    }
                    // Counted from the message's end: a large one takes its time.
                    idle_at = Instant::now() + self.server.config.idle_timeout();
                }
                () = open.ended(), if !open.is_empty() => {
                    idle_at = Instant::now() + self.server.config.idle_timeout();
                }
                () = tokio::time::sleep_until(deadline), if drained_at.is_some() || open.is_empty() => {
                    return if drained_at.is_some() { Ending::Stopping } else { Ending::Idle };
                }
                () = self.server.stopped(), if drained_at.is_none() => {
                    drained_at = Some(Instant::now() + self.server.config.drain());
                }
            }
            if drained_at.is_some() && open.is_empty() {
                return Ending::Stopping;
            }
        }
    }

    async fn end(&self, association: Accepted, mut open: Operations, ending: Ending) {
        let peer = self.negotiated.calling_ae;
        let closing = match ending {
            Ending::Release => {
                // Responses may still be sent, none can come any more.
                self.responses.close();
                open.cancel_all();
                self.wait_for_end(&mut open).await;
                tracing::info!(peer.ae = %peer, "association released");
                association.accept_release().await
            }
            Ending::Failed(error) => {
                tracing::info!(peer.ae = %peer, "association ended: {error}");
                drop(association);
                Ok(())
            }
            Ending::Idle => {
                tracing::info!(peer.ae = %peer, "idle association aborted");
                association.abort_as_provider().await;
                Ok(())
            }
            Ending::Stopping => {
                tracing::info!(peer.ae = %peer, "association aborted: the server stops");
                association.abort_as_provider().await;
                Ok(())
            }
        };
        if let Err(error) = closing {
            tracing::debug!(peer.ae = %peer, "{error}");
        }
        self.responses.close();
        open.cancel_all();
        self.wait_for_end(&mut open).await;
    }

    async fn wait_for_end(&self, open: &mut Operations) {
        if timeout(self.server.config.drain(), open.all_ended())
            .await
            .is_err()
        {
            tracing::warn!(peer.ae = %self.negotiated.calling_ae, "operations cut off");
        }
    }

    /// Takes one message, its data set included.
    async fn take(
        self: &Arc<Self>,
        association: &mut Accepted,
        open: &mut Operations,
        message: Message,
    ) -> Result<(), AssociationError> {
        let request = match Command::parse(&message.command) {
            Ok(Command::Request(request)) => request,
            Ok(Command::CCancel { message_id }) => {
                open.cancel(message_id);
                return Ok(());
            }
            Ok(Command::Response(response)) => {
                self.responses.complete(response);
                return Ok(());
            }
            Err(error) => {
                tracing::info!(peer.ae = %self.negotiated.calling_ae, "invalid command: {error}");
                return match error.response() {
                    Some(response) => self.respond_in(message.context_id, &response).await,
                    None => Err(self.give_up().await),
                };
            }
        };
        let Some(context) = self.negotiated.context(message.context_id).cloned() else {
            // The association has refused such messages already.
            return Err(AssociationError::Over);
        };
        let asked = Asked { context, request };
        if let Some(response) = self.refusal(open, &asked) {
            while association.data_chunk().await?.is_some() {}
            return self.respond(&asked, &response).await;
        }
        self.start(association, open, asked, message.command.has_data_set())
            .await
    }

    /// What is wrong with a request whatever it asks for.
    fn refusal(&self, open: &Operations, asked: &Asked) -> Option<Response> {
        let Asked { context, request } = asked;
        let service = Service::of_accepted(context.abstract_syntax.as_str());
        let (status, comment) = if open.contains(request.message_id) {
            (Status::DUPLICATE_INVOCATION, "message ID is in use")
        } else if !service.has(request.operation()) {
            (
                Status::UNRECOGNIZED_OPERATION,
                "operation is not one of the SOP class",
            )
        } else if !self.has_role_for(asked) {
            (
                Status::UNRECOGNIZED_OPERATION,
                "the role for the operation was not negotiated",
            )
        } else if request.sop_class_uid != context.abstract_syntax {
            (
                Status::SOP_CLASS_NOT_SUPPORTED,
                "SOP class is not that of the presentation context",
            )
        } else if self.server.is_stopping() && !matches!(service, Service::Verification) {
            let status = match service {
                Service::StorageCommitment => Status::RESOURCE_LIMITATION,
                _ => Status::OUT_OF_RESOURCES,
            };
            (status, "the server is stopping")
        } else {
            return None;
        };
        Some(request.response(status).with_comment(comment))
    }

    /// Whether this end has the role of the one who is asked. A result of storage commitment comes
    /// to an SCU; the field has SCPs that forget to propose their role for it.
    fn has_role_for(&self, Asked { context, request }: &Asked) -> bool {
        match request.operation() {
            Operation::NEventReport => {
                !context.roles.is_negotiated || self.negotiated.is_scu(context)
            }
            _ => self.negotiated.is_scp(context),
        }
    }

    async fn start(
        self: &Arc<Self>,
        association: &mut Accepted,
        open: &mut Operations,
        asked: Asked,
        has_data_set: bool,
    ) -> Result<(), AssociationError> {
        if matches!(asked.request.arguments, Arguments::CEcho) {
            while association.data_chunk().await?.is_some() {}
            return c_echo::c_echo(self, &asked).await;
        }
        let may_have_others = self
            .negotiated
            .performed_here()
            .is_none_or(|number| number > 1);
        if matches!(asked.request.arguments, Arguments::CStore { .. }) {
            let received = c_store::receive(self, association, &asked, has_data_set).await?;
            let session = self.clone();
            if !may_have_others {
                return c_store::store(&session, &asked, received).await;
            }
            self.wait_for_room(open).await;
            open.spawn(asked.request.message_id, |_| async move {
                if let Err(error) = c_store::store(&session, &asked, received).await {
                    session.report(&asked, &error);
                }
            });
            return Ok(());
        }
        let identifier = match identifier::read(self, association, &asked, has_data_set).await? {
            Ok(identifier) => identifier,
            Err(response) => return self.respond(&asked, &response).await,
        };
        if open.len() >= usize::from(self.server.config.operations_max.max(1)) {
            let response = asked.request.response(Status::OUT_OF_RESOURCES);
            return self
                .respond(&asked, &response.with_comment("too many open operations"))
                .await;
        }
        let session = self.clone();
        open.spawn(asked.request.message_id, |cancel| async move {
            let service = Service::of_accepted(asked.context.abstract_syntax.as_str());
            let result = match service {
                Service::Find(model) => {
                    c_find::c_find(&session, &asked, model, &identifier, cancel).await
                }
                Service::Move(model) => {
                    c_move::c_move(&session, &asked, model, &identifier, cancel).await
                }
                Service::Get(model) => {
                    c_get::c_get(&session, &asked, model, &identifier, cancel).await
                }
                Service::StorageCommitment
                    if asked.request.operation() == Operation::NEventReport =>
                {
                    n_event_report::n_event_report(&session, &asked, &identifier).await
                }
                Service::StorageCommitment => {
                    n_action::n_action(&session, &asked, &identifier).await
                }
                // Done above.
                Service::Verification | Service::Storage => Ok(()),
            };
            if let Err(error) = result {
                session.report(&asked, &error);
            }
        });
        Ok(())
    }

    /// A peer that sends more than it may is made to wait.
    async fn wait_for_room(&self, open: &mut Operations) {
        let most = usize::from(self.server.config.operations_max.max(1));
        while open.len() >= most {
            open.ended().await;
        }
    }

    fn report(&self, asked: &Asked, error: &AssociationError) {
        tracing::info!(
            peer.ae = %self.negotiated.calling_ae,
            operation = asked.request.operation().name(),
            "response not sent: {error}"
        );
    }

    async fn give_up(&self) -> AssociationError {
        self.writer.abort().await;
        AssociationError::Over
    }

    /// Sends the response to a request.
    pub(crate) async fn respond(
        &self,
        asked: &Asked,
        response: &Response,
    ) -> Result<(), AssociationError> {
        self.respond_in(asked.context.id, response).await
    }

    async fn respond_in(
        &self,
        context_id: u8,
        response: &Response,
    ) -> Result<(), AssociationError> {
        self.writer
            .send(context_id, &response.to_command_set())
            .await
    }

    /// Sends a response with a data set.
    pub(crate) async fn respond_with(
        &self,
        asked: &Asked,
        response: &Response,
        data_set: Bytes,
    ) -> Result<(), AssociationError> {
        let command = response.to_command_set();
        self.writer
            .send_data_set(asked.context.id, &command, Some(data_set))
            .await
    }

    /// Queues a response with a data set, to be sent together with others.
    pub(crate) async fn feed(
        &self,
        asked: &Asked,
        response: &Response,
        data_set: Bytes,
    ) -> Result<(), AssociationError> {
        self.writer
            .feed(asked.context.id, &response.to_command_set(), data_set)
            .await
    }

    /// Sends what is queued.
    pub(crate) async fn flush(&self) -> Result<(), AssociationError> {
        self.writer.flush().await
    }

    /// Asks the peer for something and waits for its response.
    pub(crate) async fn invoke(
        &self,
        context_id: u8,
        sop_class_uid: Uid,
        arguments: Arguments,
        data_set: impl ChunkSource,
        limit: Duration,
    ) -> Result<Response, AssociationError> {
        let (message_id, response) = self.responses.expect().ok_or(AssociationError::Over)?;
        let command = Request {
            message_id,
            sop_class_uid,
            arguments,
        }
        .to_command_set();
        let sent = self
            .writer
            .send_data_set(context_id, &command, data_set)
            .await;
        let result = match sent {
            Ok(()) => match timeout(limit, response).await {
                Ok(response) => response.map_err(|_| AssociationError::Over),
                Err(_) => Err(AssociationError::Timeout(Wait::Response)),
            },
            Err(error) => Err(error),
        };
        if result.is_err() {
            self.responses.forget(message_id);
        }
        result
    }

    /// Whether unique keys above the level may be missing in a retrieval (PS3.4 C.5.3).
    pub(crate) fn is_relational_retrieval(&self, asked: &Asked) -> bool {
        let agreed = self
            .negotiated
            .extended_of(asked.context.abstract_syntax.as_str());
        agreed
            .and_then(|bytes| bytes.first())
            .is_some_and(|&byte| byte == 1)
    }

    /// Aborts the association: what was begun cannot be ended.
    pub(crate) async fn abort(&self) {
        self.writer.abort().await;
    }
}
