//! The requests, and waiting for their results.

use super::listener;
use super::{References, WaitOptions};
use crate::commands::random;
use crate::commands::scu;
use crate::peer_address::PeerOptions;
use anyhow::Context;
use bytes::{Bytes, BytesMut};
use gantry_archive::commitment::report::{CommitmentReport, request_information};
use gantry_core::uid::Uid;
use gantry_dimse::association::negotiation::PresentationContext;
use gantry_dimse::command::{Arguments, Request, Response};
use gantry_dimse::scu::Client;
use gantry_dimse::source::ChunkSource;
use gantry_dimse::status::Status;
use std::collections::HashMap;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

/// Storage Commitment Push Model (PS3.4 J.5) and its well-known instance (J.3.5).
pub const PUSH_MODEL: &str = "1.2.840.10008.1.20.1";
const PUSH_MODEL_INSTANCE: &str = "1.2.840.10008.1.20.1.1";
/// Request Storage Commitment (PS3.4 J.3.2.1.1).
const REQUEST_STORAGE_COMMITMENT: u16 = 1;
/// The event types: all committed, failures exist (PS3.4 J.3.3.1.1).
const EVENT_TYPES: [u16; 2] = [1, 2];
/// Most instances in one request.
const REFERENCES_MAX: usize = 10_000;
/// Longest event information that is taken.
const INFORMATION_MAX: usize = 64 << 20;
/// How long the association of the request stays open for the result when the peer may open
/// another one: there are peers that wait for its end.
const SAME_ASSOCIATION: Duration = Duration::from_secs(5);

/// The result of all requests.
#[derive(Debug, Default)]
pub struct Promised {
    /// Number of instances that the peer promises to keep.
    pub committed: u64,
    /// The others, and why.
    pub failed: Vec<(String, String)>,
}

/// Requests without result, by transaction.
type Open = HashMap<String, Vec<(String, String)>>;

/// Asks for commitment and waits for the results.
pub async fn request(
    peer: &PeerOptions,
    references: &References,
    wait: &WaitOptions,
) -> anyhow::Result<Promised> {
    let (sender, mut reports) = mpsc::channel(16);
    if let Some(address) = wait.listen {
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("cannot listen on {address}"))?;
        tokio::spawn(listener::serve(listener, scu::settings(peer)?, sender));
    } else {
        drop(sender);
    }
    let contexts = vec![scu::plain_context(PUSH_MODEL)?];
    let client = scu::connect(peer, contexts, |_| {}).await?;
    let context = client.context(&scu::uid(PUSH_MODEL)?)?.clone();
    let mut open = Open::new();
    let all: Vec<(String, String)> = references
        .iter()
        .map(|(instance, class)| (class.clone(), instance.clone()))
        .collect();
    for part in all.chunks(REFERENCES_MAX) {
        let transaction = Uid::from_random(random::bits()?);
        ask(&client, &context, transaction.as_str(), part).await?;
        open.insert(transaction.as_str().to_owned(), part.to_vec());
    }
    let end = Instant::now() + Duration::from_secs(wait.wait);
    let mut promised = Promised::default();
    let same_until = match wait.listen {
        Some(_) => end.min(Instant::now() + SAME_ASSOCIATION),
        None => end,
    };
    wait_on_both(&client, &mut reports, same_until, &mut open, &mut promised).await;
    // The peer may have released it already.
    let _ = client.release().await;
    while !open.is_empty() {
        match timeout_at(end, reports.recv()).await {
            Ok(Some(report)) => take(report, &mut open, &mut promised),
            Ok(None) | Err(_) => break,
        }
    }
    anyhow::ensure!(
        open.is_empty(),
        "{} has taken the request, but no result came within {} s",
        peer.peer,
        wait.wait
    );
    Ok(promised)
}

/// Sends a request.
async fn ask(
    client: &Client,
    context: &PresentationContext,
    transaction: &str,
    references: &[(String, String)],
) -> anyhow::Result<()> {
    let information = request_information(transaction, references);
    let arguments = Arguments::NAction {
        sop_instance_uid: scu::uid(PUSH_MODEL_INSTANCE)?,
        action_type_id: REQUEST_STORAGE_COMMITMENT,
    };
    let data_set = scu::encoded(&information, &context.transfer_syntax);
    let class = scu::uid(PUSH_MODEL)?;
    let reply = client
        .call(context.id, class, arguments, Some(data_set))
        .await
        .context("the request for commitment was not answered")?;
    let response = &reply.response;
    anyhow::ensure!(
        response.status.is_done(),
        "the request for commitment was refused: {}",
        scu::status_text(response)
    );
    Ok(())
}

/// Takes results from the association of the request, and from others, until it ends or there is
/// nothing left to wait for.
async fn wait_on_both(
    client: &Client,
    reports: &mut mpsc::Receiver<CommitmentReport>,
    until: Instant,
    open: &mut Open,
    promised: &mut Promised,
) {
    while !open.is_empty() {
        let event = tokio::select! {
            invocation = client.next_invocation() => invocation,
            Some(report) = reports.recv() => {
                take(report, open, promised);
                continue;
            }
            () = tokio::time::sleep_until(until) => return,
        };
        let Some(mut invocation) = event else { return };
        let (response, report) = match read(&mut invocation).await {
            Ok(information) => answer(&invocation.request, &invocation.context, information),
            // The association is over.
            Err(_) => return,
        };
        let is_answered = invocation.respond(&response).await.is_ok();
        if let Some(report) = report {
            take(report, open, promised);
        }
        if !is_answered {
            return;
        }
    }
}

/// The data set of a request, up to some length.
pub async fn read(source: &mut impl ChunkSource) -> std::io::Result<Option<Bytes>> {
    let mut bytes = BytesMut::new();
    let mut is_too_long = false;
    while let Some(chunk) = source.next_chunk().await? {
        is_too_long |= bytes.len().saturating_add(chunk.len()) > INFORMATION_MAX;
        if !is_too_long {
            bytes.extend_from_slice(&chunk);
        }
    }
    Ok((!is_too_long).then(|| bytes.freeze()))
}

/// The response to an N-EVENT-REPORT, and the result in it.
pub fn answer(
    request: &Request,
    context: &PresentationContext,
    information: Option<Bytes>,
) -> (Response, Option<CommitmentReport>) {
    let refuse = |status| (request.response(status), None);
    let Arguments::NEventReport {
        sop_instance_uid,
        event_type_id,
    } = &request.arguments
    else {
        return refuse(Status::UNRECOGNIZED_OPERATION);
    };
    if sop_instance_uid.as_str() != PUSH_MODEL_INSTANCE {
        return refuse(Status::NO_SUCH_SOP_INSTANCE);
    }
    if !EVENT_TYPES.contains(event_type_id) {
        return refuse(Status::NO_SUCH_EVENT_TYPE);
    }
    let report = information
        .and_then(|bytes| scu::decoded(bytes, &context.transfer_syntax).ok())
        .and_then(|information| CommitmentReport::read(&information).ok());
    match report {
        Some(report) => (request.response(Status::SUCCESS), Some(report)),
        None => refuse(Status::INVALID_ARGUMENT_VALUE),
    }
}

/// Counts a result in. What the peer leaves out it has not promised.
fn take(report: CommitmentReport, open: &mut Open, promised: &mut Promised) {
    let Some(references) = open.remove(&report.transaction_uid) else {
        return;
    };
    let mut committed: HashMap<&str, &str> = report
        .committed
        .iter()
        .map(|(class, instance)| (instance.as_str(), class.as_str()))
        .collect();
    for (class, instance) in &references {
        if committed.remove(instance.as_str()) == Some(class.as_str()) {
            promised.committed += 1;
            continue;
        }
        let failure = report
            .failed
            .iter()
            .find(|failure| failure.sop_instance_uid == *instance);
        let reason = match failure {
            Some(failure) => failure.reason_text(),
            None => "the peer says nothing about it".into(),
        };
        promised.failed.push((instance.clone(), reason));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gantry_archive::commitment::report::NotCommitted;

    #[test]
    fn only_what_the_peer_names_is_promised() {
        let reference = |number: u32| ("1.2".to_owned(), format!("1.3.{number}"));
        let mut open = Open::from([("1.9".into(), (1..=4).map(reference).collect())]);
        let mut promised = Promised::default();
        let report = CommitmentReport {
            transaction_uid: "1.9".into(),
            committed: vec![
                reference(1),
                ("1.2.99".into(), "1.3.2".into()),
                reference(77),
            ],
            failed: vec![NotCommitted {
                sop_class_uid: "1.2".into(),
                sop_instance_uid: "1.3.3".into(),
                reason: Some(0x0112),
            }],
        };
        let other = CommitmentReport {
            transaction_uid: "1.8".into(),
            ..report.clone()
        };
        take(other, &mut open, &mut promised);
        assert_eq!((open.len(), promised.committed), (1, 0));
        take(report, &mut open, &mut promised);
        assert_eq!((open.len(), promised.committed), (0, 1));
        let failed: Vec<_> = promised
            .failed
            .iter()
            .map(|(uid, _)| uid.as_str())
            .collect();
        assert_eq!(failed, ["1.3.2", "1.3.3", "1.3.4"]);
        assert_eq!(promised.failed[1].1, "no such object instance (0112H)");
    }
}
