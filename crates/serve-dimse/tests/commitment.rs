//! Storage commitment through the door.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use bytes::BytesMut;
use gantry_dicom::data_set::DataSet;
use gantry_dicom::tags;
use gantry_dimse::association::{Incoming, acceptor};
use gantry_dimse::command::{Arguments, Command};
use gantry_dimse::scu::Client;
use gantry_dimse::source::ChunkSource;
use gantry_dimse::status::Status;
use gantry_serve_dimse::DimseConfig;
use support::*;

fn information(transaction: &str, references: &[(&str, &str)]) -> DataSet {
    let mut information = DataSet::new();
    information.put_uid(tags::TRANSACTION_UID, transaction);
    let items = references.iter().map(|(sop_class, sop_instance)| {
        let mut item = DataSet::new();
        item.put_uid(tags::REFERENCED_SOP_CLASS_UID, sop_class);
        item.put_uid(tags::REFERENCED_SOP_INSTANCE_UID, sop_instance);
        item
    });
    information.put_sequence(tags::REFERENCED_SOP_SEQUENCE, items.collect());
    information
}

async fn n_action(client: &Client, action_type_id: u16, information: &DataSet) -> Status {
    let arguments = Arguments::NAction {
        sop_instance_uid: uid(COMMITMENT_INSTANCE),
        action_type_id,
    };
    let context = client.context(&uid(COMMITMENT)).unwrap().id;
    let reply = client
        .call(
            context,
            uid(COMMITMENT),
            arguments,
            Some(encode(information)),
        )
        .await
        .unwrap();
    reply.response.status
}

/// Event type, committed instances, failed instances with their reasons.
fn told(arguments: &Arguments, report: &DataSet) -> (u16, Vec<String>, Vec<(String, i64)>) {
    let Arguments::NEventReport { event_type_id, .. } = arguments else {
        panic!()
    };
    let instance = |item: &DataSet| {
        item.ascii(tags::REFERENCED_SOP_INSTANCE_UID)
            .unwrap()
            .to_owned()
    };
    let committed = report
        .items(tags::REFERENCED_SOP_SEQUENCE)
        .iter()
        .map(instance)
        .collect();
    let failed = report.items(tags::FAILED_SOP_SEQUENCE).iter();
    let failed = failed.map(|item| (instance(item), item.integer(tags::FAILURE_REASON).unwrap()));
    (*event_type_id, committed, failed.collect())
}

#[tokio::test]
async fn results_come_on_the_association_of_the_request() {
    let server = Server::start().await;
    fill(&server, &[ct(1, 1, 1), ct(1, 1, 2)]).await;
    let client = server.client(&[COMMITMENT]).await;
    let (one, two) = ("1.2.826.1.1.1", "1.2.826.1.1.2");
    for (transaction, references, expected) in [
        (
            "1.2.3.1",
            &[(CT, one), (CT, two)][..],
            (1, vec![one, two], vec![]),
        ),
        (
            "1.2.3.2",
            &[(CT, one), (CT, "1.2.9.9"), (MR, two)],
            (2, vec![one], vec![("1.2.9.9", 0x0112), (two, 0x0119)]),
        ),
        (
            "1.2.3.3",
            &[(CT, "1.2.9.9")],
            (2, vec![], vec![("1.2.9.9", 0x0112)]),
        ),
    ] {
        let asked = information(transaction, references);
        assert_eq!(n_action(&client, 1, &asked).await, Status::SUCCESS);
        let mut invocation = client.next_invocation().await.unwrap();
        let mut bytes = BytesMut::new();
        while let Some(chunk) = invocation.next_chunk().await.unwrap() {
            bytes.extend_from_slice(&chunk);
        }
        let report = decode(bytes.freeze());
        assert_eq!(report.ascii(tags::TRANSACTION_UID), Some(transaction));
        let (event_type, committed, failed) = told(&invocation.request.arguments, &report);
        let failed: Vec<_> = failed
            .iter()
            .map(|(uid, reason)| (uid.as_str(), *reason))
            .collect();
        let committed: Vec<_> = committed.iter().map(String::as_str).collect();
        assert_eq!((event_type, committed, failed), expected);
        let response = invocation.request.response(Status::SUCCESS);
        invocation.respond(&response).await.unwrap();
    }
    client.release().await.unwrap();
}

#[tokio::test]
async fn results_come_on_a_new_association_when_the_first_is_over() {
    let server = Server::start().await;
    fill(&server, &[ct(1, 1, 1)]).await;
    let listener = listen_as_peer(&server).await;

    let client = server.client(&[COMMITMENT]).await;
    let asked = information("1.2.3", &[(CT, "1.2.826.1.1.1")]);
    assert_eq!(n_action(&client, 1, &asked).await, Status::SUCCESS);
    client.release().await.unwrap();

    let (stream, _) = listener.accept().await.unwrap();
    let (reader, writer) = stream.into_split();
    let requested = acceptor::receive(reader, writer, &settings())
        .await
        .unwrap();
    let request = requested.request();
    assert_eq!(request.calling_ae.to_string(), "GANTRY");
    assert_eq!(request.called_ae.to_string(), "TEST");
    let [role] = &request.user_information.roles[..] else {
        panic!("no role selection")
    };
    assert_eq!((role.is_scu, role.is_scp), (false, true));
    let mut association = requested.accept(&policy()).await.unwrap();
    let Ok(Incoming::Message(message)) = association.next_message().await else {
        panic!()
    };
    let Ok(Command::Request(request)) = Command::parse(&message.command) else {
        panic!()
    };
    let mut bytes = BytesMut::new();
    while let Some(chunk) = association.data_chunk().await.unwrap() {
        bytes.extend_from_slice(&chunk);
    }
    let (event_type, committed, failed) = told(&request.arguments, &decode(bytes.freeze()));
    assert_eq!((event_type, committed.len(), failed.len()), (1, 1, 0));
    let response = request.response(Status::SUCCESS).to_command_set();
    association
        .writer()
        .send(message.context_id, &response)
        .await
        .unwrap();
    assert_eq!(association.next_message().await.unwrap(), Incoming::Release);
    association.accept_release().await.unwrap();
}

#[tokio::test]
async fn a_requestor_that_is_silent_is_told_on_a_new_association() {
    let config = DimseConfig {
        commitment_timeout_s: 1,
        ..DimseConfig::default()
    };
    let server = Server::start_with(config, |_| {}, Vec::new()).await;
    fill(&server, &[ct(1, 1, 1)]).await;
    let listener = listen_as_peer(&server).await;
    let client = server.client(&[COMMITMENT]).await;
    let asked = information("1.2.3", &[(CT, "1.2.826.1.1.1")]);
    assert_eq!(n_action(&client, 1, &asked).await, Status::SUCCESS);
    let unanswered = client.next_invocation().await.unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    drop((stream, unanswered));
    client.release().await.unwrap();
}

#[tokio::test]
async fn wrong_requests_are_refused() {
    let server = Server::start().await;
    let client = server.client(&[COMMITMENT]).await;
    let good = information("1.2.3", &[(CT, "1.2.3")]);
    assert_eq!(
        n_action(&client, 2, &good).await,
        Status::NO_SUCH_ACTION_TYPE
    );
    let empty = information("1.2.3", &[]);
    assert_eq!(
        n_action(&client, 1, &empty).await,
        Status::INVALID_ARGUMENT_VALUE
    );
    let mut no_transaction = good.clone();
    no_transaction.remove(tags::TRANSACTION_UID);
    assert_eq!(
        n_action(&client, 1, &no_transaction).await,
        Status::INVALID_ARGUMENT_VALUE
    );
    let arguments = Arguments::NAction {
        sop_instance_uid: uid("1.2.3"),
        action_type_id: 1,
    };
    let reply = client
        .call(1, uid(COMMITMENT), arguments, Some(encode(&good)))
        .await
        .unwrap();
    assert_eq!(reply.response.status, Status::NO_SUCH_SOP_INSTANCE);
    client.release().await.unwrap();
}

/// Sends a result as the SCP that was asked does, on an association of its own.
async fn n_event_report(client: &Client, event_type_id: u16, information: &DataSet) -> Status {
    let arguments = Arguments::NEventReport {
        sop_instance_uid: uid(COMMITMENT_INSTANCE),
        event_type_id,
    };
    let context = client.context(&uid(COMMITMENT)).unwrap().id;
    let information = Some(encode(information));
    let reply = client
        .call(context, uid(COMMITMENT), arguments, information)
        .await
        .unwrap();
    reply.response.status
}

#[tokio::test]
async fn a_peer_may_tell_a_result_on_an_association_of_its_own() {
    let server = Server::start().await;
    let client = server
        .connect(&with_scp_role(proposal(&[COMMITMENT]), COMMITMENT))
        .await;
    assert!(client.negotiated().contexts[0].roles.is_requestor_scp);
    let result = information("1.2.3.1", &[(CT, "1.2.826.1.1.1")]);
    assert_eq!(n_event_report(&client, 1, &result).await, Status::SUCCESS);
    assert_eq!(
        n_event_report(&client, 3, &result).await,
        Status::NO_SUCH_EVENT_TYPE
    );
    let nameless = {
        let mut result = result.clone();
        result.remove(tags::TRANSACTION_UID);
        result
    };
    assert_eq!(
        n_event_report(&client, 1, &nameless).await,
        Status::INVALID_ARGUMENT_VALUE
    );
    client.release().await.unwrap();
    // One that has forgotten to propose its role.
    let client = server.client(&[COMMITMENT]).await;
    assert_eq!(n_event_report(&client, 2, &result).await, Status::SUCCESS);
    client.release().await.unwrap();
}

#[tokio::test]
async fn who_is_scp_alone_is_not_asked_for_commitment() {
    let server = Server::start().await;
    let mut proposal = with_scp_role(proposal(&[COMMITMENT]), COMMITMENT);
    proposal.roles[0].is_scu = false;
    let client = server.connect(&proposal).await;
    let asked = information("1.2.3.1", &[(CT, "1.2.826.1.1.1")]);
    assert_eq!(
        n_action(&client, 1, &asked).await,
        Status::UNRECOGNIZED_OPERATION
    );
    client.release().await.unwrap();
}
