//! C-GET and C-MOVE through the door.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use bytes::{Bytes, BytesMut};
use gantry_core::principal::Principal;
use gantry_dicom::data_set::DataSet;
use gantry_dicom::encoding::{self, Limits};
use gantry_dicom::{Vr, tags};
use gantry_dimse::association::requestor::Proposal;
use gantry_dimse::command::{Arguments, MoveOriginator};
use gantry_dimse::scu::Client;
use gantry_dimse::scu::operation::Reply;
use gantry_dimse::source::ChunkSource;
use gantry_dimse::status::Status;
use gantry_serve_dimse::DimseConfig;
use std::collections::BTreeMap;
use support::*;

fn study(number: u32) -> DataSet {
    identifier(
        "STUDY",
        &[(
            tags::STUDY_INSTANCE_UID,
            Vr::UI,
            &format!("1.2.826.{number}"),
        )],
    )
}

async fn filled() -> Server {
    let server = Server::start().await;
    fill(&server, &instances()).await;
    server
}

fn instances() -> Vec<Instance> {
    let mut instances: Vec<Instance> = (1..=6).map(|instance| ct(1, 1, instance)).collect();
    instances.push(Instance {
        sop_class: MR,
        ..ct(1, 2, 1)
    });
    instances
}

/// Runs a C-GET, answering every C-STORE with `status`.
async fn get(
    client: &Client,
    identifier: &DataSet,
    status: Status,
) -> (BTreeMap<String, (String, Bytes)>, Reply) {
    let context = client.context(&uid(STUDY_GET)).unwrap().clone();
    let mut operation = client.get(&context, encode(identifier)).await.unwrap();
    let mut arrived = BTreeMap::new();
    loop {
        tokio::select! {
            reply = operation.next() => {
                let reply = reply.unwrap();
                if !reply.response.status.is_pending() {
                    return (arrived, reply);
                }
            }
            Some(mut invocation) = client.next_invocation() => {
                let mut data_set = BytesMut::new();
                while let Some(chunk) = invocation.next_chunk().await.unwrap() {
                    data_set.extend_from_slice(&chunk);
                }
                let uid = invocation.request.arguments.sop_instance_uid().unwrap().to_string();
                let syntax = invocation.context.transfer_syntax.to_string();
                arrived.insert(uid, (syntax, data_set.freeze()));
                let response = invocation.request.response(status);
                invocation.respond(&response).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn a_study_comes_back_bit_exactly() {
    let server = filled().await;
    let proposal = with_scp_role(with_scp_role(proposal(&[STUDY_GET, CT, MR]), CT), MR);
    let client = server.connect(&proposal).await;
    let (arrived, last) = get(&client, &study(1), Status::SUCCESS).await;
    assert_eq!(last.response.status, Status::SUCCESS);
    let counters = last.response.sub_operations.unwrap();
    assert_eq!(
        (counters.completed, counters.failed, counters.remaining),
        (7, 0, None)
    );
    assert_eq!(last.data_set, None);
    let expected: BTreeMap<_, _> = instances()
        .iter()
        .map(|one| {
            (
                one.instance_uid(),
                (EXPLICIT.to_owned(), one.encoded(EXPLICIT)),
            )
        })
        .collect();
    assert!(arrived == expected);
    client.release().await.unwrap();
}

#[tokio::test]
async fn a_requestor_that_wants_implicit_gets_it_with_the_same_values() {
    let server = filled().await;
    let mut proposal = Proposal::new(title("GANTRY"), title("TEST"))
        .with_context(uid(STUDY_GET), vec![uid(EXPLICIT)])
        .with_context(uid(CT), vec![uid(IMPLICIT)])
        .with_context(uid(MR), vec![uid(IMPLICIT)]);
    proposal = with_scp_role(with_scp_role(proposal, CT), MR);
    let client = server.connect(&proposal).await;
    let (arrived, last) = get(&client, &study(1), Status::SUCCESS).await;
    assert_eq!(last.response.status, Status::SUCCESS);
    for instance in instances() {
        let (syntax, bytes) = &arrived[&instance.instance_uid()];
        assert_eq!(syntax, IMPLICIT);
        let encoding = encoding_of(IMPLICIT);
        let data_set = encoding::parse(bytes.clone(), encoding, &Limits::default()).unwrap();
        assert!(data_set == instance.data_set());
    }
    client.release().await.unwrap();
}

#[tokio::test]
async fn instances_without_context_fail_and_the_others_go_on() {
    let server = filled().await;
    let client = server
        .connect(&with_scp_role(proposal(&[STUDY_GET, CT]), CT))
        .await;
    let (arrived, last) = get(&client, &study(1), Status::SUCCESS).await;
    assert_eq!(
        last.response.status,
        Status::SUB_OPERATIONS_COMPLETE_WITH_FAILURES
    );
    let counters = last.response.sub_operations.unwrap();
    assert_eq!((counters.completed, counters.failed), (6, 1));
    assert_eq!(failed_list(&last), ["1.2.826.1.2.1"]);
    assert_eq!(arrived.len(), 6);
    client.release().await.unwrap();
}

#[tokio::test]
async fn what_the_requestor_refuses_has_failed() {
    let server = filled().await;
    let proposal = with_scp_role(with_scp_role(proposal(&[STUDY_GET, CT, MR]), CT), MR);
    let client = server.connect(&proposal).await;
    let (_, last) = get(&client, &study(1), Status::OUT_OF_RESOURCES).await;
    assert_eq!(
        last.response.status,
        Status::UNABLE_TO_PERFORM_SUB_OPERATIONS
    );
    assert_eq!(last.response.sub_operations.unwrap().failed, 7);
    assert_eq!(failed_list(&last).len(), 7);
    let (_, last) = get(&client, &study(1), Status::COERCION).await;
    assert_eq!(
        last.response.status,
        Status::SUB_OPERATIONS_COMPLETE_WITH_FAILURES
    );
    assert_eq!(last.response.sub_operations.unwrap().warning, 7);
    assert_eq!(last.data_set, None);
    client.release().await.unwrap();
}

#[tokio::test]
async fn a_forgotten_role_is_assumed_unless_configured_otherwise() {
    for (assume_roles, expected) in [(true, 0x0000), (false, 0xA702)] {
        let config = DimseConfig {
            assume_roles,
            ..DimseConfig::default()
        };
        let server = Server::start_with(config, |_| {}, Vec::new()).await;
        fill(&server, &[ct(1, 1, 1)]).await;
        let client = server.client(&[STUDY_GET, CT]).await;
        let (_, last) = get(&client, &study(1), Status::SUCCESS).await;
        assert_eq!(last.response.status, Status(expected));
        client.release().await.unwrap();
    }
}

#[tokio::test]
async fn nothing_found_is_a_success_and_wrong_identifiers_are_not() {
    let server = filled().await;
    let client = server
        .connect(&with_scp_role(proposal(&[STUDY_GET, CT]), CT))
        .await;
    let (_, last) = get(&client, &study(99), Status::SUCCESS).await;
    assert_eq!(last.response.status, Status::SUCCESS);
    let counters = last.response.sub_operations.unwrap();
    assert_eq!(
        (counters.completed, counters.failed, counters.warning),
        (0, 0, 0)
    );
    let no_key = identifier(
        "SERIES",
        &[(tags::SERIES_INSTANCE_UID, Vr::UI, "1.2.826.1.1")],
    );
    let (_, last) = get(&client, &no_key, Status::SUCCESS).await;
    assert_eq!(last.response.status, Status::DATA_SET_MISMATCH);
    client.release().await.unwrap();
}

#[tokio::test]
async fn a_cancelled_get_tells_how_far_it_came() {
    let server = filled().await;
    let proposal = with_scp_role(with_scp_role(proposal(&[STUDY_GET, CT, MR]), CT), MR);
    let client = server.connect(&proposal).await;
    let context = client.context(&uid(STUDY_GET)).unwrap().clone();
    let mut operation = client.get(&context, encode(&study(1))).await.unwrap();
    for is_last in [false, true] {
        let invocation = client.next_invocation().await.unwrap();
        if is_last {
            operation.cancel().await.unwrap();
        }
        let response = invocation.request.response(Status::SUCCESS);
        invocation.respond(&response).await.unwrap();
    }
    let last = loop {
        let reply = operation.next().await.unwrap();
        if !reply.response.status.is_pending() {
            break reply;
        }
    };
    assert_eq!(last.response.status, Status::CANCEL);
    let counters = last.response.sub_operations.unwrap();
    assert_eq!((counters.completed, counters.remaining), (2, Some(5)));
    drop(operation);
    client.release().await.unwrap();
}

async fn move_to(client: &Client, destination: &str, identifier: &DataSet) -> Reply {
    let context = client.context(&uid(STUDY_MOVE)).unwrap().clone();
    let mut operation = client
        .move_to(&context, &title(destination), encode(identifier))
        .await
        .unwrap();
    loop {
        let reply = operation.next().await.unwrap();
        if !reply.response.status.is_pending() {
            return reply;
        }
    }
}

#[tokio::test]
async fn a_study_moves_to_a_configured_destination() {
    let server = filled().await;
    let destination = Server::start().await;
    server
        .archive
        .peers()
        .replace(vec![peer("DEST", destination.address.port())]);
    let client = server.client(&[STUDY_MOVE]).await;
    let last = move_to(&client, "DEST", &study(1)).await;
    assert_eq!(last.response.status, Status::SUCCESS);
    assert_eq!(last.response.sub_operations.unwrap().completed, 7);
    client.release().await.unwrap();
    let statistics = destination
        .archive
        .statistics(&Principal::system())
        .await
        .unwrap();
    assert_eq!((statistics.instances, statistics.series), (7, 2));

    // What has arrived is what was sent.
    let proposal = with_scp_role(with_scp_role(proposal(&[STUDY_GET, CT, MR]), CT), MR);
    let client = destination.connect(&proposal).await;
    let (arrived, _) = get(&client, &study(1), Status::SUCCESS).await;
    for instance in instances() {
        assert!(arrived[&instance.instance_uid()].1 == instance.encoded(EXPLICIT));
    }
    client.release().await.unwrap();
}

#[tokio::test]
async fn unknown_and_forbidden_destinations_are_told() {
    let server = filled().await;
    let mut forbidden = peer("FORBIDDEN", 104);
    forbidden.may_receive = false;
    server.archive.peers().replace(vec![forbidden]);
    let client = server.client(&[STUDY_MOVE]).await;
    for destination in ["NOBODY", "FORBIDDEN"] {
        let last = move_to(&client, destination, &study(1)).await;
        assert_eq!(
            last.response.status,
            Status::MOVE_DESTINATION_UNKNOWN,
            "{destination}"
        );
    }
    client.release().await.unwrap();
}

#[tokio::test]
async fn a_destination_that_is_down_fails_every_instance() {
    let server = filled().await;
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    server
        .archive
        .peers()
        .replace(vec![peer("DOWN", unused.local_addr().unwrap().port())]);
    drop(unused);
    let client = server.client(&[STUDY_MOVE]).await;
    let last = move_to(&client, "DOWN", &study(1)).await;
    assert_eq!(
        last.response.status,
        Status::UNABLE_TO_PERFORM_SUB_OPERATIONS
    );
    assert_eq!(last.response.sub_operations.unwrap().failed, 7);
    assert_eq!(failed_list(&last).len(), 7);
    assert!(last.response.error_comment.unwrap().contains("destination"));
    client.release().await.unwrap();
}

#[tokio::test]
async fn sub_operations_name_their_originator_and_a_lost_association_is_replaced() {
    use gantry_dimse::association::{Incoming, acceptor};
    use gantry_dimse::command::Command;

    let server = filled().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    server
        .archive
        .peers()
        .replace(vec![peer("DEST", listener.local_addr().unwrap().port())]);
    // A destination that aborts every association after its third instance.
    let destination = tokio::spawn(async move {
        let mut received = Vec::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (reader, writer) = stream.into_split();
            let requested = acceptor::receive(reader, writer, &settings())
                .await
                .unwrap();
            let mut association = requested.accept(&policy()).await.unwrap();
            let mut count = 0;
            loop {
                match association.next_message().await.unwrap() {
                    Incoming::Release => {
                        association.accept_release().await.unwrap();
                        return received;
                    }
                    Incoming::Message(_) if count == 3 => {
                        association.abort().await;
                        break;
                    }
                    Incoming::Message(message) => {
                        let Ok(Command::Request(request)) = Command::parse(&message.command) else {
                            panic!()
                        };
                        let response = request.response(Status::SUCCESS).to_command_set();
                        while association.data_chunk().await.unwrap().is_some() {}
                        let Arguments::CStore {
                            sop_instance_uid,
                            originator,
                            ..
                        } = request.arguments
                        else {
                            panic!()
                        };
                        received.push((sop_instance_uid, originator));
                        association
                            .writer()
                            .send(message.context_id, &response)
                            .await
                            .unwrap();
                        count += 1;
                    }
                }
            }
        }
    });
    let client = server.client(&[STUDY_MOVE]).await;
    let last = move_to(&client, "DEST", &study(1)).await;
    // Three, one lost, three.
    assert_eq!(
        last.response.status,
        Status::SUB_OPERATIONS_COMPLETE_WITH_FAILURES
    );
    let counters = last.response.sub_operations.unwrap();
    assert_eq!((counters.completed, counters.failed), (6, 1));
    assert_eq!(failed_list(&last), ["1.2.826.1.1.4"]);
    for (_, originator) in destination.await.unwrap() {
        let MoveOriginator {
            ae_title,
            message_id,
        } = originator.unwrap();
        assert_eq!((ae_title.as_str(), message_id), ("TEST", 1));
    }
    client.release().await.unwrap();
}

/// A destination that answers C-STORE requests only when `held` of them are open, or when nothing
/// more comes for a while; tells how many were open at most.
async fn hold_responses(listener: tokio::net::TcpListener, window: u16, held: usize) -> usize {
    use gantry_dimse::association::negotiation::Policy;
    use gantry_dimse::association::{Incoming, acceptor};
    use gantry_dimse::command::Command;
    use gantry_dimse::pdu::user_information::AsynchronousOperationsWindow;

    let (stream, _) = listener.accept().await.unwrap();
    let (reader, writer) = stream.into_split();
    let requested = acceptor::receive(reader, writer, &settings())
        .await
        .unwrap();
    let policy = Policy {
        window_max: AsynchronousOperationsWindow {
            invoked: window,
            performed: window,
        },
        ..policy()
    };
    let mut association = requested.accept(&policy).await.unwrap();
    let mut open = Vec::new();
    let mut most = 0;
    loop {
        let pause = tokio::time::sleep(std::time::Duration::from_millis(500));
        let incoming = tokio::select! {
            incoming = association.next_message() => Some(incoming.unwrap()),
            () = pause => None,
        };
        match incoming {
            Some(Incoming::Release) => {
                association.accept_release().await.unwrap();
                return most;
            }
            Some(Incoming::Message(message)) => {
                let Ok(Command::Request(request)) = Command::parse(&message.command) else {
                    panic!()
                };
                while association.data_chunk().await.unwrap().is_some() {}
                let response = request.response(Status::SUCCESS).to_command_set();
                open.push((message.context_id, response));
                most = most.max(open.len());
                if open.len() < held {
                    continue;
                }
            }
            None => {}
        }
        // The last first: responses may come in any order.
        for (context_id, response) in open.drain(..).rev() {
            let writer = association.writer();
            writer.send(context_id, &response).await.unwrap();
        }
    }
}

#[tokio::test]
async fn several_sub_operations_are_open_at_a_destination_that_takes_several() {
    for (granted, own, expected) in [(16, 0, 7), (4, 0, 4), (16, 3, 3), (16, 1, 1), (1, 0, 1)] {
        let server = filled().await;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut destination = peer("DEST", listener.local_addr().unwrap().port());
        destination.operations_max = own;
        server.archive.peers().replace(vec![destination]);
        let destination = tokio::spawn(hold_responses(listener, granted, expected));
        let client = server.client(&[STUDY_MOVE]).await;
        let last = move_to(&client, "DEST", &study(1)).await;
        assert_eq!(last.response.status, Status::SUCCESS);
        assert_eq!(last.response.sub_operations.unwrap().completed, 7);
        let most = destination.await.unwrap();
        assert_eq!(most, expected, "granted {granted}, own {own}");
        client.release().await.unwrap();
    }
}

#[tokio::test]
async fn more_sop_classes_than_an_association_has_contexts_for_take_several() {
    let private = |number: u32| -> &'static str { format!("1.2.840.113619.4.{number}").leak() };
    let instances: Vec<Instance> = (1..=150)
        .map(|number| Instance {
            sop_class: private(number),
            ..ct(1, 1, number)
        })
        .collect();
    let server = Server::start().await;
    for some in instances.chunks(100) {
        fill(&server, some).await;
    }
    let destination = Server::start().await;
    server
        .archive
        .peers()
        .replace(vec![peer("DEST", destination.address.port())]);
    let client = server.client(&[STUDY_MOVE]).await;
    let last = move_to(&client, "DEST", &study(1)).await;
    assert_eq!(last.response.status, Status::SUCCESS);
    assert_eq!(last.response.sub_operations.unwrap().completed, 150);
    client.release().await.unwrap();
    let principal = Principal::system();
    let statistics = destination.archive.statistics(&principal).await.unwrap();
    assert_eq!(statistics.instances, 150);
}
