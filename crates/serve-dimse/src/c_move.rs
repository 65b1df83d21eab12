//! C-MOVE (PS3.4 C.4.2): instances go to a third AE, on associations of their own.

use crate::destination;
use crate::operations::Cancel;
use crate::session::{Asked, Session};
use crate::status;
use crate::sub_operations::{self, Feed, Planned, Progress, Run, Sent, StreamSource};
use gantry_archive::peers::Peer;
use gantry_archive::query::Model;
use gantry_archive::retrieve::{ByteStream, InstanceRef};
use gantry_dicom::data_set::DataSet;
use gantry_dimse::association::error::AssociationError;
use gantry_dimse::association::negotiation::PresentationContext;
use gantry_dimse::command::{Arguments, MoveOriginator, Priority};
use gantry_dimse::scu::{Client, ScuError, StoreRequest};
use gantry_dimse::status::Status;
use std::collections::VecDeque;

/// Answers a C-MOVE.
pub(crate) async fn c_move(
    session: &Session,
    asked: &Asked,
    model: Model,
    identifier: &DataSet,
    cancel: Cancel,
) -> Result<(), AssociationError> {
    let Arguments::CMove { destination, .. } = &asked.request.arguments else {
        return Ok(());
    };
    let Some(peer) = destination::lookup(&session.server, destination) else {
        tracing::warn!(
            peer.ae = %session.negotiated.calling_ae,
            destination,
            "move destination is no peer that may receive"
        );
        let response = asked.request.response(Status::MOVE_DESTINATION_UNKNOWN);
        return session
            .respond(asked, &response.with_comment("move destination unknown"))
            .await;
    };
    let destination = Some(destination.as_str());
    match sub_operations::select(session, asked, model, identifier, destination).await {
        Ok(instances) => send(session, asked, &peer, instances, cancel).await,
        Err(error) => {
            let response = status::failure(&asked.request, &error, status::of_retrieve);
            session.respond(asked, &response).await
        }
    }
}

/// Sends instances over as many associations as their kinds need.
async fn send(
    session: &Session,
    asked: &Asked,
    peer: &Peer,
    instances: Vec<InstanceRef>,
    cancel: Cancel,
) -> Result<(), AssociationError> {
    let mut progress = Progress::new(session, asked, instances.len());
    let mut rest = VecDeque::from(instances);
    let mut comment = None;
    while !rest.is_empty() && !cancel.is_cancelled() {
        let (batch, proposal) = destination::take_batch(&session.server, peer, &mut rest);
        if batch.is_empty() {
            break;
        }
        let client = match destination::connect(&session.server, peer, &proposal).await {
            Ok(client) => client,
            Err(error) => {
                let reason = error.chain();
                tracing::warn!(destination = %peer.ae_title, "no association: {reason}");
                comment = Some(format!("destination: {reason}"));
                fail(
                    &mut progress,
                    batch.into_iter().chain(rest.drain(..)),
                    "no association",
                );
                break;
            }
        };
        let sent_before = progress.sent();
        let mut feed = Feed::new(&session.server.archive, plan(session, peer, &client, batch));
        let run = {
            let window = destination::agreed_window(&session.server, peer, &client);
            let client = &client;
            let send =
                |planned, context, stream| store(session, asked, client, planned, context, stream);
            sub_operations::run(&mut feed, window, &cancel, &mut progress, send).await
        };
        let unsent: Vec<InstanceRef> = feed.into_rest().collect();
        match run {
            Ok(Run::Finished | Run::Cancelled) => release(peer, client).await,
            Ok(Run::Lost) => {
                client.abort().await;
                comment = Some("destination: association lost".to_owned());
                // A destination that loses one association after the other is given up.
                if progress.sent() == sent_before {
                    fail(
                        &mut progress,
                        unsent.into_iter().chain(rest.drain(..)),
                        "given up",
                    );
                    break;
                }
            }
            // The one who asked is gone: nobody wants the rest.
            Err(error) => {
                release(peer, client).await;
                return Err(error);
            }
        }
        unsent
            .into_iter()
            .rev()
            .for_each(|instance| rest.push_front(instance));
        if run.is_ok_and(|run| run == Run::Cancelled) {
            break;
        }
    }
    let is_cancelled = cancel.is_cancelled();
    progress.finish(is_cancelled, comment.as_deref()).await
}

fn fail(progress: &mut Progress<'_>, instances: impl Iterator<Item = InstanceRef>, reason: &str) {
    for instance in instances {
        progress.failed(&instance, reason);
    }
}

async fn release(peer: &Peer, client: Client) {
    if let Err(error) = client.release().await {
        tracing::debug!(destination = %peer.ae_title, "{error}");
    }
}

fn plan(
    session: &Session,
    peer: &Peer,
    client: &Client,
    instances: Vec<InstanceRef>,
) -> Vec<Planned> {
    let archive = &session.server.archive;
    let plan = |instance: InstanceRef| {
        let contexts: Vec<_> = client
            .negotiated()
            .contexts_of(&instance.sop_class_uid)
            .collect();
        let preferred = &peer.transfer_syntaxes;
        let context =
            sub_operations::choose_context(archive, &instance, &contexts, preferred).cloned();
        Planned { instance, context }
    };
    instances.into_iter().map(plan).collect()
}

async fn store(
    session: &Session,
    asked: &Asked,
    client: &Client,
    planned: Planned,
    context: PresentationContext,
    stream: ByteStream,
) -> (InstanceRef, Sent) {
    let priority = match asked.request.arguments {
        Arguments::CMove { priority, .. } => priority,
        _ => Priority::Medium,
    };
    let message_id = asked.request.message_id;
    let originator = session.principal.calling_ae.clone();
    let sent = async {
        let request = StoreRequest {
            sop_class_uid: context.abstract_syntax.clone(),
            sop_instance_uid: sub_operations::uid(&planned.instance.sop_instance_uid)?,
            priority,
            originator: originator.map(|ae_title| MoveOriginator {
                ae_title,
                message_id,
            }),
        };
        match client
            .store(context.id, request, StreamSource(stream))
            .await
        {
            Ok(response) => Ok(response),
            Err(ScuError::Association(error)) => Err(error),
            Err(ScuError::Lost(error)) => {
                tracing::debug!("association with the move destination lost: {error}");
                Err(AssociationError::Over)
            }
            Err(ScuError::NoContext(_)) => Err(AssociationError::Over),
        }
    };
    let sent = sent.await.map_or_else(Sent::from, Sent::Answered);
    (planned.instance, sent)
}
