//! Messages between the two ends of an association.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use bytes::{Bytes, BytesMut};
use gantry_dimse::association::error::AssociationError;
use gantry_dimse::association::{Incoming, acceptor, requestor};
use gantry_dimse::command::{Arguments, Command, Priority, Request};
use gantry_dimse::pdu::user_information::{AsynchronousOperationsWindow, RoleSelection};
use gantry_dimse::scu::{Client, ScuError, StoreRequest};
use gantry_dimse::source::ChunkSource;
use gantry_dimse::status::Status;
use proptest::prelude::*;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

fn store_request(number: usize) -> StoreRequest {
    StoreRequest {
        sop_class_uid: uid(CT),
        sop_instance_uid: uid(&format!("1.2.3.{number}")),
        priority: Priority::Medium,
        originator: None,
    }
}

fn pattern(length: usize, seed: usize) -> Bytes {
    (0..length)
        .map(|at| (at.wrapping_mul(31) ^ (at >> 8) ^ seed) as u8)
        .collect()
}

/// Sends `chunks` as one data set over a connection that is cut every `piece` bytes, between ends
/// with these maximum lengths, and gives what arrives.
async fn pass(chunks: Vec<Bytes>, piece: usize, maximum_length: u32, send_max: u32) -> Bytes {
    let (near, near_far) = tokio::io::duplex(1 << 16);
    let (far, far_near) = tokio::io::duplex(1 << 16);
    // A wire that hands on a few bytes at a time.
    let wire = |mut from: tokio::io::ReadHalf<_>, mut to: tokio::io::WriteHalf<_>| async move {
        let mut buffer = vec![0; piece];
        loop {
            match from.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(count) => to.write_all(&buffer[..count]).await.unwrap(),
            }
        }
        let _ = to.shutdown().await;
    };
    let (a_reader, a_writer) = tokio::io::split(near_far);
    let (b_reader, b_writer) = tokio::io::split(far_near);
    tokio::spawn(wire(a_reader, b_writer));
    tokio::spawn(wire(b_reader, a_writer));

    let scp = tokio::spawn(async move {
        let (reader, writer) = tokio::io::split(far);
        let mut settings = settings();
        settings.maximum_length = maximum_length;
        let requested = acceptor::receive(reader, writer, &settings).await.unwrap();
        let mut association = requested.accept(&policy()).await.unwrap();
        let Ok(Incoming::Message(message)) = association.next_message().await else {
            panic!()
        };
        let Ok(Command::Request(request)) = Command::parse(&message.command) else {
            panic!()
        };
        let mut data_set = BytesMut::new();
        while let Some(chunk) = association.data_chunk().await.unwrap() {
            assert!(!chunk.is_empty());
            data_set.extend_from_slice(&chunk);
        }
        let response = request.response(Status::SUCCESS).to_command_set();
        association
            .writer()
            .send(message.context_id, &response)
            .await
            .unwrap();
        assert_eq!(association.next_message().await.unwrap(), Incoming::Release);
        association.accept_release().await.unwrap();
        data_set.freeze()
    });
    let (reader, writer) = tokio::io::split(near);
    let mut settings = settings();
    settings.send_length_max = send_max;
    let association = requestor::request(reader, writer, &proposal(&[CT]), &settings)
        .await
        .unwrap();
    let client = Client::over(association);
    let response = client
        .store(1, store_request(1), chunks.into_iter())
        .await
        .unwrap();
    assert_eq!(response.status, Status::SUCCESS);
    client.release().await.unwrap();
    scp.await.unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn a_data_set_arrives_unchanged_however_it_is_cut(
        lengths in prop::collection::vec(0usize..5000, 0..8),
        piece in 1usize..3000,
        maximum_length in 64u32..9000,
        send_max in 64u32..9000,
    ) {
        let chunks: Vec<Bytes> =
            lengths.iter().enumerate().map(|(seed, &length)| pattern(length, seed)).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let arrived = runtime.block_on(pass(chunks.clone(), piece, maximum_length, send_max));
        prop_assert_eq!(arrived, Bytes::from(chunks.concat()));
    }
}

#[tokio::test]
async fn lengths_around_the_maximum_arrive() {
    // The variable field of a PDU holds six bytes besides the data.
    for length in [0, 2, 1016, 1018, 1020, 2034, 2036, 2038] {
        let data = pattern(length, 1);
        assert_eq!(
            pass(vec![data.clone()], 4096, 1024, 1 << 20).await,
            data,
            "{length}"
        );
    }
}

#[tokio::test]
async fn an_echo_succeeds() {
    let address = listen(Arc::default()).await;
    let client = Client::connect(address, &proposal(&[VERIFICATION]), &settings())
        .await
        .unwrap();
    assert_eq!(client.echo().await.unwrap(), Status::SUCCESS);
    assert_eq!(
        client.negotiated().peer_implementation_class_uid,
        Some(uid("1.2.3.4.5"))
    );
    client.release().await.unwrap();
}

#[tokio::test]
async fn stores_are_pipelined_as_far_as_the_window_allows() {
    for (window, open_max) in [(None, 1), (Some(4), 4), (Some(0), 16)] {
        let (near, far) = tokio::io::duplex(1 << 20);
        let open = Arc::new(AtomicUsize::new(0));
        let most = Arc::new(AtomicUsize::new(0));
        let counts = (open.clone(), most.clone());
        // Answers all that is open, the last first, when nothing more comes for a while.
        let scp = tokio::spawn(async move {
            let (open, most) = counts;
            let (reader, writer) = tokio::io::split(far);
            let requested = acceptor::receive(reader, writer, &settings())
                .await
                .unwrap();
            let mut association = requested.accept(&policy()).await.unwrap();
            let writer = association.writer();
            let mut waiting: Vec<(u8, Request)> = Vec::new();
            loop {
                let pause = Duration::from_millis(50);
                match tokio::time::timeout(pause, association.next_message()).await {
                    Ok(Ok(Incoming::Message(message))) => {
                        let Ok(Command::Request(request)) = Command::parse(&message.command) else {
                            panic!()
                        };
                        while association.data_chunk().await.unwrap().is_some() {}
                        waiting.push((message.context_id, request));
                        open.fetch_add(1, Ordering::SeqCst);
                        most.fetch_max(open.load(Ordering::SeqCst), Ordering::SeqCst);
                    }
                    Ok(Ok(Incoming::Release)) => break association.accept_release().await.unwrap(),
                    Ok(Err(error)) => panic!("{error}"),
                    Err(_) => {
                        while let Some((context_id, request)) = waiting.pop() {
                            open.fetch_sub(1, Ordering::SeqCst);
                            let response = request.response(Status::SUCCESS).to_command_set();
                            writer.send(context_id, &response).await.unwrap();
                        }
                    }
                }
            }
        });
        let (reader, writer) = tokio::io::split(near);
        let mut proposal = proposal(&[CT]);
        proposal.window = window.map(|invoked| AsynchronousOperationsWindow {
            invoked,
            performed: 1,
        });
        let association = requestor::request(reader, writer, &proposal, &settings())
            .await
            .unwrap();
        let client = Client::over(association);
        let count = if open_max == 1 { 3 } else { 40 };
        let stores = (0..count).map(|number| {
            let client = &client;
            async move {
                let data = Some(pattern(3000, number));
                let response = client.store(1, store_request(number), data).await.unwrap();
                assert_eq!(response.status, Status::SUCCESS);
                assert_eq!(
                    response.sop_instance_uid,
                    Some(uid(&format!("1.2.3.{number}")))
                );
            }
        });
        futures_util::future::join_all(stores).await;
        client.release().await.unwrap();
        scp.await.unwrap();
        assert_eq!(most.load(Ordering::SeqCst), open_max, "{window:?}");
    }
}

#[tokio::test]
async fn a_find_streams_its_matches() {
    let store = Arc::new(Store::default());
    let identifiers: Vec<Bytes> = (0..500).map(|number| pattern(300, number)).collect();
    *store.identifiers.lock().unwrap() = identifiers.clone();
    let address = listen(store).await;
    let client = Client::connect(address, &proposal(&[STUDY_FIND]), &settings())
        .await
        .unwrap();
    let context = client.context(&uid(STUDY_FIND)).unwrap().clone();
    let mut find = client.find(&context, pattern(100, 0)).await.unwrap();
    let mut found = Vec::new();
    let last = loop {
        let reply = find.next().await.unwrap();
        match reply.data_set {
            Some(identifier) if reply.response.status == Status::PENDING => found.push(identifier),
            _ => break reply,
        }
    };
    assert_eq!(last.response.status, Status::SUCCESS);
    assert_eq!(found, identifiers);
    drop(find);
    client.release().await.unwrap();
}

#[tokio::test]
async fn a_cancel_reaches_a_service_that_is_at_work() {
    let (near, far) = tokio::io::duplex(1 << 20);
    let scp = tokio::spawn(async move {
        let (reader, writer) = tokio::io::split(far);
        let requested = acceptor::receive(reader, writer, &settings())
            .await
            .unwrap();
        let mut association = requested.accept(&policy()).await.unwrap();
        let Ok(Incoming::Message(message)) = association.next_message().await else {
            panic!()
        };
        let Ok(Command::Request(request)) = Command::parse(&message.command) else {
            panic!()
        };
        let writer = association.writer();
        let (stop, stopped) = tokio::sync::watch::channel(false);
        // Matches go out while the reading end waits for a cancel.
        let service = tokio::spawn(async move {
            let pending = request.response(Status::PENDING).to_command_set();
            while !*stopped.borrow() {
                writer
                    .feed(message.context_id, &pending, pattern(100, 0))
                    .await
                    .unwrap();
                tokio::task::yield_now().await;
            }
            let cancel = request.response(Status::CANCEL).to_command_set();
            writer.send(message.context_id, &cancel).await.unwrap();
            request.message_id
        });
        let Ok(Incoming::Message(message)) = association.next_message().await else {
            panic!()
        };
        let Ok(Command::CCancel { message_id }) = Command::parse(&message.command) else {
            panic!()
        };
        stop.send(true).unwrap();
        assert_eq!(service.await.unwrap(), message_id);
        assert_eq!(association.next_message().await.unwrap(), Incoming::Release);
        association.accept_release().await.unwrap();
    });
    let (reader, writer) = tokio::io::split(near);
    let association = requestor::request(reader, writer, &proposal(&[STUDY_FIND]), &settings())
        .await
        .unwrap();
    let client = Client::over(association);
    let context = client.context(&uid(STUDY_FIND)).unwrap().clone();
    let mut find = client.find(&context, pattern(10, 0)).await.unwrap();
    assert_eq!(find.next().await.unwrap().response.status, Status::PENDING);
    find.cancel().await.unwrap();
    let last = loop {
        let reply = find.next().await.unwrap();
        if !reply.response.status.is_pending() {
            break reply;
        }
    };
    assert_eq!(last.response.status, Status::CANCEL);
    drop(find);
    client.release().await.unwrap();
    scp.await.unwrap();
}

#[tokio::test]
async fn a_get_brings_instances_on_the_same_association() {
    let store = Arc::new(Store::default());
    let instances: Vec<Received> = (0..5)
        .map(|number| Received {
            sop_class_uid: uid(CT),
            sop_instance_uid: uid(&format!("1.2.{}", number + 1)),
            transfer_syntax: uid(EXPLICIT),
            calling_ae: String::new(),
            originator: None,
            data_set: pattern(300_000, number),
        })
        .collect();
    *store.received.lock().unwrap() = instances.clone();
    let address = listen(store).await;
    let mut proposal = proposal(&[STUDY_GET, CT]);
    proposal.roles = vec![RoleSelection {
        sop_class_uid: uid(CT),
        is_scu: false,
        is_scp: true,
    }];
    let client = Client::connect(address, &proposal, &settings())
        .await
        .unwrap();
    let context = client.context(&uid(STUDY_GET)).unwrap().clone();
    let mut get = client.get(&context, pattern(10, 0)).await.unwrap();
    let mut arrived = Vec::new();
    let last = loop {
        tokio::select! {
            reply = get.next() => {
                let reply = reply.unwrap();
                if !reply.response.status.is_pending() {
                    break reply;
                }
            }
            Some(mut invocation) = client.next_invocation() => {
                let mut data_set = BytesMut::new();
                while let Some(chunk) = invocation.next_chunk().await.unwrap() {
                    data_set.extend_from_slice(&chunk);
                }
                arrived.push((invocation.request.arguments.sop_instance_uid().cloned(), data_set));
                let response = invocation.request.response(Status::SUCCESS);
                invocation.respond(&response).await.unwrap();
            }
        }
    };
    assert_eq!(last.response.sub_operations.unwrap().completed, 5);
    let expected: Vec<_> = instances
        .into_iter()
        .map(|instance| {
            (
                Some(instance.sop_instance_uid),
                BytesMut::from(&instance.data_set[..]),
            )
        })
        .collect();
    assert_eq!(arrived, expected);
    drop(get);
    client.release().await.unwrap();
}

#[tokio::test]
async fn a_move_sends_to_another_association_in_the_name_of_its_originator() {
    let destination = Arc::new(Store::default());
    let store = Arc::new(Store::default());
    store.received.lock().unwrap().push(Received {
        sop_class_uid: uid(CT),
        sop_instance_uid: uid("1.2.3"),
        transfer_syntax: uid(EXPLICIT),
        calling_ae: String::new(),
        originator: None,
        data_set: pattern(1000, 0),
    });
    *store.destination.lock().unwrap() = Some(listen(destination.clone()).await);
    let address = listen(store).await;
    let client = Client::connect(address, &proposal(&[STUDY_MOVE]), &settings())
        .await
        .unwrap();
    let context = client.context(&uid(STUDY_MOVE)).unwrap().clone();
    let mut operation = client
        .move_to(&context, &title("DEST"), pattern(10, 0))
        .await
        .unwrap();
    let message_id = operation.message_id();
    let reply = operation.next().await.unwrap();
    assert_eq!(reply.response.sub_operations.unwrap().completed, 1);
    let received = destination.received.lock().unwrap().clone();
    assert_eq!(received.len(), 1);
    let originator = received[0].originator.clone().unwrap();
    assert_eq!(
        (originator.ae_title, originator.message_id),
        (title("ASKER"), message_id)
    );
}

#[tokio::test]
async fn normalized_operations_carry_their_numbers() {
    let address = listen(Arc::default()).await;
    let commitment = "1.2.840.10008.1.20.1";
    let client = Client::connect(address, &proposal(&[commitment]), &settings())
        .await
        .unwrap();
    let context = client.context(&uid(commitment)).unwrap().clone();
    for arguments in [
        Arguments::NAction {
            sop_instance_uid: uid("1.2.840.10008.1.20.1.1"),
            action_type_id: 1,
        },
        Arguments::NEventReport {
            sop_instance_uid: uid("1.2.840.10008.1.20.1.1"),
            event_type_id: 2,
        },
        Arguments::NCreate {
            sop_instance_uid: None,
        },
        Arguments::NSet {
            sop_instance_uid: uid("1.2"),
        },
        Arguments::NGet {
            sop_instance_uid: uid("1.2"),
            attributes: Vec::new(),
        },
        Arguments::NDelete {
            sop_instance_uid: uid("1.2"),
        },
    ] {
        let operation = arguments.operation();
        let reply = client
            .call(context.id, uid(commitment), arguments, Some(pattern(10, 0)))
            .await
            .unwrap();
        assert_eq!(reply.response.status, Status::SUCCESS);
        assert_eq!(reply.response.operation(), Some(operation));
    }
    client.release().await.unwrap();
}

#[tokio::test]
async fn a_source_that_fails_at_once_costs_nothing_and_later_the_association() {
    let store = Arc::new(Store::default());
    let address = listen(store.clone()).await;
    let client = Client::connect(address, &proposal(&[CT]), &settings())
        .await
        .unwrap();

    let (sender, source) = mpsc::channel(4);
    sender
        .send(Err(io::Error::other("no such file")))
        .await
        .unwrap();
    let result = client.store(1, store_request(1), source).await;
    assert!(matches!(
        result,
        Err(ScuError::Association(AssociationError::Source(_)))
    ));

    let response = client
        .store(1, store_request(2), Some(pattern(10, 0)))
        .await
        .unwrap();
    assert_eq!(response.status, Status::SUCCESS);

    let (sender, source) = mpsc::channel(4);
    sender.send(Ok(pattern(300_000, 0))).await.unwrap();
    sender
        .send(Err(io::Error::other("disk gone")))
        .await
        .unwrap();
    let result = client.store(1, store_request(3), source).await;
    assert!(matches!(
        result,
        Err(ScuError::Association(AssociationError::SourceCut(_)))
    ));
    let result = client
        .store(1, store_request(4), Some(pattern(10, 0)))
        .await;
    assert!(result.is_err());
    let received: Vec<_> = store
        .received
        .lock()
        .unwrap()
        .iter()
        .map(|one| one.sop_instance_uid.clone())
        .collect();
    assert_eq!(
        received,
        [uid("1.2.3.2")],
        "half an instance must not look complete"
    );
}

#[tokio::test]
async fn an_end_of_the_association_reaches_every_open_operation() {
    let (near, far) = tokio::io::duplex(1 << 20);
    let scp = tokio::spawn(async move {
        let (reader, writer) = tokio::io::split(far);
        let requested = acceptor::receive(reader, writer, &settings())
            .await
            .unwrap();
        let mut association = requested.accept(&policy()).await.unwrap();
        association.next_message().await.unwrap();
        association.abort().await;
    });
    let (reader, writer) = tokio::io::split(near);
    let association = requestor::request(reader, writer, &proposal(&[VERIFICATION]), &settings())
        .await
        .unwrap();
    let client = Client::over(association);
    let error = client.echo().await.unwrap_err();
    assert!(
        matches!(&error, ScuError::Lost(cause) if matches!(**cause, AssociationError::Aborted(_)))
    );
    scp.await.unwrap();
    assert!(matches!(client.echo().await, Err(ScuError::Lost(_))));
    assert!(client.release().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_response_that_does_not_come_aborts() {
    let (near, far) = tokio::io::duplex(1 << 20);
    let scp = tokio::spawn(async move {
        let (reader, writer) = tokio::io::split(far);
        let requested = acceptor::receive(reader, writer, &settings())
            .await
            .unwrap();
        let mut association = requested.accept(&policy()).await.unwrap();
        association.next_message().await.unwrap();
        association.next_message().await.unwrap_err()
    });
    let (reader, writer) = tokio::io::split(near);
    let association = requestor::request(reader, writer, &proposal(&[VERIFICATION]), &settings())
        .await
        .unwrap();
    let client = Client::over(association);
    assert!(matches!(
        client.echo().await,
        Err(ScuError::Association(AssociationError::Timeout(_)))
    ));
    assert!(matches!(scp.await.unwrap(), AssociationError::Aborted(_)));
}

#[tokio::test]
async fn what_there_is_of_a_message_does_not_wait_for_a_slow_source() {
    let (near, far) = tokio::io::duplex(1 << 20);
    let (sender, source) = mpsc::channel(1);
    let scp = tokio::spawn(async move {
        let (reader, writer) = tokio::io::split(far);
        let requested = acceptor::receive(reader, writer, &settings())
            .await
            .unwrap();
        let mut association = requested.accept(&policy()).await.unwrap();
        let Ok(Incoming::Message(message)) = association.next_message().await else {
            panic!()
        };
        // The command is here although the data set has not ended, and most of what there is.
        let first = association.data_chunk().await.unwrap().unwrap();
        assert!(first.len() >= 998, "{}", first.len());
        let mut data_set = BytesMut::from(&first[..]);
        sender.send(Ok(pattern(3, 2))).await.unwrap();
        drop(sender);
        while let Some(chunk) = association.data_chunk().await.unwrap() {
            data_set.extend_from_slice(&chunk);
        }
        let Ok(Command::Request(request)) = Command::parse(&message.command) else {
            panic!()
        };
        let response = request.response(Status::SUCCESS).to_command_set();
        let writer = association.writer();
        writer.send(message.context_id, &response).await.unwrap();
        let Ok(Incoming::Release) = association.next_message().await else {
            panic!()
        };
        association.accept_release().await.unwrap();
        data_set.freeze()
    });
    let (reader, writer) = tokio::io::split(near);
    let association = requestor::request(reader, writer, &proposal(&[CT]), &settings())
        .await
        .unwrap();
    let client = Client::over(association);
    let source = Slow {
        first: Some(pattern(1000, 1)),
        rest: source,
    };
    let response = tokio::time::timeout(
        Duration::from_secs(10),
        client.store(1, store_request(1), source),
    );
    assert_eq!(response.await.unwrap().unwrap().status, Status::SUCCESS);
    client.release().await.unwrap();
    let expected = [pattern(1000, 1), pattern(3, 2)].concat();
    assert!(scp.await.unwrap() == expected);
}

/// Something at once, and the rest when somebody sends it.
struct Slow {
    first: Option<Bytes>,
    rest: mpsc::Receiver<io::Result<Bytes>>,
}

impl ChunkSource for Slow {
    async fn next_chunk(&mut self) -> io::Result<Option<Bytes>> {
        match self.first.take() {
            Some(first) => Ok(Some(first)),
            None => self.rest.next_chunk().await,
        }
    }
}
