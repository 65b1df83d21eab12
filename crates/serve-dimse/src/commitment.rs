//! Delivering the results of storage commitment by N-EVENT-REPORT (PS3.4 J.3.3): on the
//! association of the request if it is still there, otherwise on a new one, again and again until
//! it is acknowledged.

use crate::destination;
use crate::identifier;
use crate::listener::Server;
use crate::negotiation::{EXPLICIT_LITTLE, IMPLICIT_LITTLE};
use crate::service::{STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE};
use crate::session::{Asked, Session};
use gantry_archive::commitment::report::reference_item;
use gantry_archive::commitment::{CommitmentJob, CommitmentRequest, CommitmentResult};
use gantry_core::ae_title::AeTitle;
use gantry_core::principal::{Door, Principal};
use gantry_core::uid::{Uid, UidError};
use gantry_dicom::data_set::DataSet;
use gantry_dicom::{Vr, tags};
use gantry_dimse::association::negotiation::PresentationContext;
use gantry_dimse::command::Arguments;
use gantry_dimse::pdu::user_information::RoleSelection;
use gantry_dimse::status::Status;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// Results that are delivered at once.
const DELIVERIES_MAX: usize = 4;
/// Pause after the queue of results could not be read.
const QUEUE_PAUSE: Duration = Duration::from_secs(5);
/// How long the acknowledgement of a request may take.
const ACKNOWLEDGEMENT: Duration = Duration::from_secs(10);
/// Event types (PS3.4 J.3.3.1.1).
const ALL_COMMITTED: u16 = 1;
const FAILURES_EXIST: u16 = 2;

/// Requests whose association may still be there.
#[derive(Debug, Default)]
pub(crate) struct Waiting(Mutex<HashMap<Key, Entry>>);

/// Requestor's AE title and Transaction UID.
type Key = (String, String);

#[derive(Debug)]
struct Entry {
    session: Weak<Session>,
    context: PresentationContext,
    acknowledged: watch::Receiver<bool>,
}

impl Waiting {
    /// Remembers on which association a request came. The sender tells that the request has been
    /// acknowledged, or by going away that it will not be.
    pub(crate) fn expect(
        &self,
        session: &Arc<Session>,
        asked: &Asked,
        request: &CommitmentRequest,
    ) -> watch::Sender<bool> {
        let (sender, acknowledged) = watch::channel(false);
        let entry = Entry {
            session: Arc::downgrade(session),
            context: asked.context.clone(),
            acknowledged,
        };
        let mut waiting = self.lock();
        waiting.retain(|_, entry| entry.session.strong_count() > 0);
        waiting.insert(key(request), entry);
        sender
    }

    fn take(&self, request: &CommitmentRequest) -> Option<Entry> {
        self.lock().remove(&key(request))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(request: &CommitmentRequest) -> Key {
    (request.requestor.clone(), request.transaction_uid.clone())
}

/// Delivers results until the server stops.
pub(crate) async fn deliver_results(server: Arc<Server>) {
    let places = Arc::new(Semaphore::new(DELIVERIES_MAX));
    let mut deliveries = JoinSet::new();
    loop {
        let Ok(place) = places.clone().acquire_owned().await else {
            return;
        };
        let next = tokio::select! {
            next = server.archive.next_commitment() => next,
            () = server.stopped() => break,
        };
        match next {
            Ok(job) => {
                let server = server.clone();
                deliveries.spawn(async move {
                    deliver(&server, &job).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::error!("commitment results wait: {}", error.chain());
                tokio::select! {
                    () = tokio::time::sleep(QUEUE_PAUSE) => {}
                    () = server.stopped() => break,
                }
            }
        }
        while deliveries.try_join_next().is_some() {}
    }
    while deliveries.join_next().await.is_some() {}
}

async fn deliver(server: &Server, job: &CommitmentJob) {
    let outcome = match report(server, job).await {
        Ok(()) => {
            tracing::info!(
                transaction.uid = job.request.transaction_uid,
                peer.ae = job.request.requestor,
                instances = job.request.references.len(),
                "commitment result delivered"
            );
            server.archive.commitment_delivered(job).await
        }
        Err(reason) => {
            tracing::warn!(
                transaction.uid = job.request.transaction_uid,
                peer.ae = job.request.requestor,
                attempt = job.attempt,
                "commitment result not delivered: {reason}"
            );
            server.archive.commitment_undelivered(job, &reason).await
        }
    };
    if let Err(error) = outcome {
        tracing::error!(
            "the fate of a commitment result is not recorded: {}",
            error.chain()
        );
    }
}

/// Finds out the result and tells it; why that was not possible.
async fn report(server: &Server, job: &CommitmentJob) -> Result<(), String> {
    let request = &job.request;
    // Found out anew at every attempt: what was true a day ago may not be any more.
    let result = server
        .archive
        .check_commitment(&principal(request), &request.references)
        .await
        .map_err(|error| error.chain())?;
    let report = Report::new(server, request, &result).map_err(|error| error.to_string())?;
    if let Some(entry) = server.commitments.take(request) {
        match report.send_back(server, entry).await {
            Ok(()) => return Ok(()),
            Err(reason) => tracing::debug!(
                transaction.uid = request.transaction_uid,
                "not on the association of the request: {reason}"
            ),
        }
    }
    report.send_anew(server, &request.requestor).await
}

fn principal(request: &CommitmentRequest) -> Principal {
    Principal {
        door: Door::Dimse,
        calling_ae: AeTitle::parse(&request.requestor).ok(),
        called_ae: AeTitle::parse(&request.called).ok(),
        ..Principal::system()
    }
}

/// An N-EVENT-REPORT.
#[derive(Debug)]
struct Report {
    sop_class_uid: Uid,
    arguments: Arguments,
    information: DataSet,
}

impl Report {
    fn new(
        server: &Server,
        request: &CommitmentRequest,
        result: &CommitmentResult,
    ) -> Result<Self, UidError> {
        let ae_title = server.archive.config().ae_title.as_str();
        let event_type_id = if result.failed.is_empty() {
            ALL_COMMITTED
        } else {
            FAILURES_EXIST
        };
        Ok(Self {
            sop_class_uid: Uid::parse(STORAGE_COMMITMENT)?,
            arguments: Arguments::NEventReport {
                sop_instance_uid: Uid::parse(STORAGE_COMMITMENT_INSTANCE)?,
                event_type_id,
            },
            information: information(request, result, ae_title),
        })
    }

    /// On the association of the request, if it is still there and the peer answers there.
    async fn send_back(&self, server: &Server, mut entry: Entry) -> Result<(), String> {
        let acknowledged = entry
            .acknowledged
            .wait_for(|is_acknowledged| *is_acknowledged);
        match tokio::time::timeout(ACKNOWLEDGEMENT, acknowledged).await {
            Ok(Ok(_)) => {}
            Ok(Err(_)) | Err(_) => return Err("the request was not acknowledged".into()),
        }
        let session = entry.session.upgrade().ok_or("the association is over")?;
        let data_set = identifier::encode(&self.information, &entry.context);
        let response = session
            .invoke(
                entry.context.id,
                self.sop_class_uid.clone(),
                self.arguments.clone(),
                Some(data_set),
                Duration::from_secs(server.config.commitment_timeout_s),
            )
            .await
            .map_err(|error| error.to_string())?;
        accepted(response.status)
    }

    /// On a new association, on which we are the SCP (PS3.4 J.3.3.1.2).
    async fn send_anew(&self, server: &Server, requestor: &str) -> Result<(), String> {
        let peer = destination::lookup(server, requestor)
            .ok_or("the requestor is no peer that may receive")?;
        let transfer_syntaxes = [EXPLICIT_LITTLE, IMPLICIT_LITTLE]
            .into_iter()
            .map(Uid::parse)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| error.to_string())?;
        let mut proposal = destination::proposal(server, &peer)
            .with_context(self.sop_class_uid.clone(), transfer_syntaxes);
        proposal.roles.push(RoleSelection {
            sop_class_uid: self.sop_class_uid.clone(),
            is_scu: false,
            is_scp: true,
        });
        let client = destination::connect(server, &peer, &proposal)
            .await
            .map_err(|error| error.chain())?;
        let context = client
            .context(&self.sop_class_uid)
            .map_err(|error| error.to_string())?
            .clone();
        // A peer that has forgotten to answer the role selection is taken to agree.
        if context.roles.is_negotiated && !context.roles.is_requestor_scp {
            client.abort().await;
            return Err("the peer does not take the role of an SCU".into());
        }
        let data_set = identifier::encode(&self.information, &context);
        let reply = client
            .call(
                context.id,
                self.sop_class_uid.clone(),
                self.arguments.clone(),
                Some(data_set),
            )
            .await
            .map_err(|error| error.to_string())?;
        if let Err(error) = client.release().await {
            tracing::debug!(peer.ae = requestor, "{error}");
        }
        accepted(reply.response.status)
    }
}

/// Whether the peer has taken the report. One that does not know the transaction (any more) will
/// not know it later.
fn accepted(status: Status) -> Result<(), String> {
    if status.is_done() || status == Status::NO_SUCH_SOP_INSTANCE {
        return Ok(());
    }
    Err(format!("the peer answers {status}"))
}

/// The event information (PS3.4 Table J.3-2).
fn information(request: &CommitmentRequest, result: &CommitmentResult, ae_title: &str) -> DataSet {
    let mut information = DataSet::new();
    information.put_text(tags::RETRIEVE_AE_TITLE, Vr::AE, ae_title);
    information.put_uid(tags::TRANSACTION_UID, &request.transaction_uid);
    let committed: Vec<DataSet> = result
        .committed
        .iter()
        .map(|(class, instance)| reference_item(class, instance))
        .collect();
    if !committed.is_empty() {
        information.put_sequence(tags::REFERENCED_SOP_SEQUENCE, committed);
    }
    let failed: Vec<DataSet> = result
        .failed
        .iter()
        .map(|failure| {
            let mut item = reference_item(&failure.sop_class_uid, &failure.sop_instance_uid);
            item.put_u16(tags::FAILURE_REASON, failure.reason.code());
            item
        })
        .collect();
    if !failed.is_empty() {
        information.put_sequence(tags::FAILED_SOP_SEQUENCE, failed);
    }
    information
}

#[cfg(test)]
mod tests {
    use super::*;
    use gantry_archive::commitment::{CommitmentFailure, FailureReason};

    #[test]
    fn every_reference_is_in_one_of_the_lists() {
        let request = CommitmentRequest {
            transaction_uid: "1.2.3".into(),
            requestor: "CT1".into(),
            called: "GANTRY".into(),
            references: vec![("1.1".into(), "1.2".into()), ("1.1".into(), "1.3".into())],
        };
        let result = CommitmentResult {
            committed: vec![("1.1".into(), "1.2".into())],
            failed: vec![CommitmentFailure {
                sop_class_uid: "1.1".into(),
                sop_instance_uid: "1.3".into(),
                reason: FailureReason::NoSuchObjectInstance,
            }],
        };
        let information = information(&request, &result, "GANTRY");
        assert_eq!(information.ascii(tags::TRANSACTION_UID), Some("1.2.3"));
        let [committed] = information.items(tags::REFERENCED_SOP_SEQUENCE) else {
            panic!()
        };
        assert_eq!(
            committed.ascii(tags::REFERENCED_SOP_INSTANCE_UID),
            Some("1.2")
        );
        let [failed] = information.items(tags::FAILED_SOP_SEQUENCE) else {
            panic!()
        };
        assert_eq!(failed.ascii(tags::REFERENCED_SOP_INSTANCE_UID), Some("1.3"));
        assert_eq!(failed.integer(tags::FAILURE_REASON), Some(0x0112));
    }

    #[test]
    fn a_report_without_failures_has_no_list_of_them() {
        let request = CommitmentRequest {
            transaction_uid: "1.2.3".into(),
            requestor: "CT1".into(),
            called: "GANTRY".into(),
            references: vec![("1.1".into(), "1.2".into())],
        };
        let result = CommitmentResult {
            committed: request.references.clone(),
            failed: Vec::new(),
        };
        let information = information(&request, &result, "GANTRY");
        assert!(information.get(tags::FAILED_SOP_SEQUENCE).is_none());
    }
}
