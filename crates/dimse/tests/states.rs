//! Every kind of end an association can have, seen byte by byte from the peer's side.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use bytes::Bytes;
use gantry_dimse::association::error::{AssociationError, Wait};
use gantry_dimse::association::{Association, Incoming, acceptor, requestor};
use gantry_dimse::command::{Arguments, Request};
use gantry_dimse::pdu::abort::{Abort, AbortReason};
use gantry_dimse::pdu::associate::{AeField, AssociateAc, AssociateRq};
use gantry_dimse::pdu::p_data::{FragmentKind, header};
use gantry_dimse::pdu::presentation_context::{AnsweredContext, ContextResult, ProposedContext};
use gantry_dimse::pdu::reject::Reject;
use gantry_dimse::pdu::user_information::UserInformation;
use gantry_dimse::pdu::{Pdu, PduKind};
use std::time::Duration;
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};

type Local = Association<ReadHalf<DuplexStream>, WriteHalf<DuplexStream>>;

const ABORT_BY_USER: [u8; 10] = [7, 0, 0, 0, 0, 4, 0, 0, 0, 0];

fn abort_by_provider(reason: u8) -> [u8; 10] {
    [7, 0, 0, 0, 0, 4, 0, 0, 2, reason]
}

fn request() -> AssociateRq {
    let context = |id, abstract_syntax| ProposedContext {
        id,
        abstract_syntax: Some(uid(abstract_syntax)),
        transfer_syntaxes: vec![uid(EXPLICIT)],
    };
    let information = UserInformation {
        maximum_length: Some(0),
        ..UserInformation::default()
    };
    AssociateRq::new(
        AeField::from(&title("GANTRY")),
        AeField::from(&title("PEER")),
        vec![context(1, VERIFICATION), context(3, CT)],
        information,
    )
}

fn request_bytes() -> Vec<u8> {
    Pdu::AssociateRq(Box::new(request())).encode().unwrap()
}

fn p_data(context_id: u8, kind: FragmentKind, is_last: bool, data: &[u8]) -> Vec<u8> {
    [
        &header(context_id, kind, is_last, data.len() as u32)[..],
        data,
    ]
    .concat()
}

fn echo_bytes() -> Vec<u8> {
    let echo = Request {
        message_id: 1,
        sop_class_uid: uid(VERIFICATION),
        arguments: Arguments::CEcho,
    };
    p_data(
        1,
        FragmentKind::Command,
        true,
        &echo.to_command_set().encode(),
    )
}

fn store_command() -> Vec<u8> {
    let arguments = Arguments::CStore {
        sop_instance_uid: uid("1.2.3"),
        priority: Default::default(),
        originator: None,
    };
    let mut set = Request {
        message_id: 2,
        sop_class_uid: uid(CT),
        arguments,
    }
    .to_command_set();
    set.set_has_data_set(true);
    set.encode()
}

/// One PDU with its header.
async fn read_pdu(peer: &mut DuplexStream) -> Vec<u8> {
    let mut pdu = vec![0; 6];
    peer.read_exact(&mut pdu).await.unwrap();
    let length = u32::from_be_bytes(pdu[2..].try_into().unwrap()) as usize;
    pdu.resize(6 + length, 0);
    peer.read_exact(&mut pdu[6..]).await.unwrap();
    pdu
}

async fn read_to_end(peer: &mut DuplexStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    peer.read_to_end(&mut bytes).await.unwrap();
    bytes
}

/// What an acceptor answers to `bytes` instead of an association, and how it fails.
async fn refused(bytes: &[u8]) -> (Vec<u8>, AssociationError) {
    let (mut peer, local) = tokio::io::duplex(1 << 20);
    let (reader, writer) = tokio::io::split(local);
    peer.write_all(bytes).await.unwrap();
    let acceptor =
        tokio::spawn(async move { acceptor::receive(reader, writer, &settings()).await });
    let answer = read_to_end(&mut peer).await;
    drop(peer);
    (answer, acceptor.await.unwrap().unwrap_err())
}

/// An acceptor's end of an established association, and the peer.
async fn established() -> (Local, DuplexStream) {
    let (mut peer, local) = tokio::io::duplex(1 << 20);
    let (reader, writer) = tokio::io::split(local);
    peer.write_all(&request_bytes()).await.unwrap();
    let requested = acceptor::receive(reader, writer, &settings())
        .await
        .unwrap();
    let association = requested.accept(&policy()).await.unwrap();
    assert_eq!(read_pdu(&mut peer).await[0], PduKind::AssociateAc.code());
    (association, peer)
}

/// A requestor's end of an established association, and the peer.
async fn requested() -> (Local, DuplexStream) {
    let (mut peer, local) = tokio::io::duplex(1 << 20);
    let (reader, writer) = tokio::io::split(local);
    let requestor = tokio::spawn(async move {
        requestor::request(reader, writer, &proposal(&[VERIFICATION]), &settings())
            .await
            .unwrap()
    });
    let bytes = read_pdu(&mut peer).await;
    let Pdu::AssociateRq(request) = Pdu::decode(PduKind::AssociateRq, &bytes[6..]).unwrap() else {
        panic!()
    };
    let answer = AnsweredContext {
        id: 1,
        result: ContextResult::Acceptance,
        transfer_syntax: Some(uid(IMPLICIT)),
    };
    let acceptance = AssociateAc::new(&request, vec![answer], UserInformation::default());
    let bytes = Pdu::AssociateAc(Box::new(acceptance)).encode().unwrap();
    peer.write_all(&bytes).await.unwrap();
    (requestor.await.unwrap(), peer)
}

/// Feeds `bytes` to an established association; what it answers before it closes, and its error.
async fn broken_by(bytes: &[u8]) -> (Vec<u8>, AssociationError) {
    let (mut association, mut peer) = established().await;
    peer.write_all(bytes).await.unwrap();
    let task = tokio::spawn(async move {
        loop {
            association.next_message().await?;
        }
    });
    let answer = read_to_end(&mut peer).await;
    drop(peer);
    let result: Result<(), AssociationError> = task.await.unwrap();
    (answer, result.unwrap_err())
}

// Sta2

#[tokio::test]
async fn garbage_before_a_request_is_aborted() {
    for bytes in [
        &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        &[0x16, 3, 1],
        &[0],
        &[0xFF; 100_000],
    ] {
        let (answer, error) = refused(bytes).await;
        assert_eq!(answer, ABORT_BY_USER);
        assert!(matches!(error, AssociationError::Pdu(_)), "{error}");
    }
}

#[tokio::test]
async fn other_pdus_before_a_request_are_aborted() {
    let acceptance = AssociateAc::new(&request(), Vec::new(), UserInformation::default());
    for pdu in [
        Pdu::AssociateAc(Box::new(acceptance)),
        Pdu::AssociateRj(Reject::NO_REASON),
        Pdu::ReleaseRq,
        Pdu::ReleaseRp,
    ] {
        let (answer, error) = refused(&pdu.encode().unwrap()).await;
        assert_eq!(answer, ABORT_BY_USER, "{pdu:?}");
        assert!(
            matches!(error, AssociationError::UnexpectedPdu { .. }),
            "{error}"
        );
    }
    assert_eq!(refused(&echo_bytes()).await.0, ABORT_BY_USER);
}

#[tokio::test]
async fn an_abort_before_a_request_just_closes() {
    let (answer, error) = refused(&Abort::SERVICE_USER.to_pdu()).await;
    assert_eq!(answer, [0; 0]);
    assert!(matches!(error, AssociationError::Aborted(_)), "{error}");
}

#[tokio::test]
async fn a_malformed_request_is_aborted() {
    let mut bytes = request_bytes();
    // The application context item claims to be longer than the PDU.
    bytes[6 + 68 + 2] = 0xFF;
    let (answer, error) = refused(&bytes).await;
    assert_eq!(answer, ABORT_BY_USER);
    assert!(matches!(error, AssociationError::Pdu(_)), "{error}");
}

#[tokio::test]
async fn a_request_of_four_gigabytes_is_aborted_at_its_header() {
    let (answer, error) = refused(&[1, 0, 0xFF, 0xFF, 0xFF, 0xFF]).await;
    assert_eq!(answer, ABORT_BY_USER);
    assert!(matches!(error, AssociationError::Pdu(_)), "{error}");
}

#[tokio::test]
async fn foreign_versions_and_application_contexts_are_rejected() {
    let mut version = request();
    version.protocol_version = 2;
    let mut context = request();
    context.application_context = "1.2.3".into();
    for (request, reject) in [
        (version, Reject::PROTOCOL_VERSION),
        (context, Reject::APPLICATION_CONTEXT),
    ] {
        let (answer, error) = refused(&Pdu::AssociateRq(Box::new(request)).encode().unwrap()).await;
        assert_eq!(answer, Pdu::AssociateRj(reject).encode().unwrap());
        assert!(matches!(error, AssociationError::Refused(refused) if refused == reject));
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_asks_for_nothing_is_dropped_when_artim_expires() {
    for bytes in [&[][..], &request_bytes()[..20]] {
        let (mut peer, local) = tokio::io::duplex(1 << 20);
        let (reader, writer) = tokio::io::split(local);
        peer.write_all(bytes).await.unwrap();
        let error = acceptor::receive(reader, writer, &settings())
            .await
            .unwrap_err();
        assert!(
            matches!(error, AssociationError::Timeout(Wait::Associate)),
            "{error}"
        );
        assert_eq!(read_to_end(&mut peer).await, [0; 0]);
    }
}

// Sta3

#[tokio::test]
async fn a_rejection_says_why() {
    let (mut peer, local) = tokio::io::duplex(1 << 20);
    let (reader, writer) = tokio::io::split(local);
    peer.write_all(&request_bytes()).await.unwrap();
    let requested = acceptor::receive(reader, writer, &settings())
        .await
        .unwrap();
    assert_eq!(requested.request(), &request());
    let task = tokio::spawn(requested.reject(Reject::LOCAL_LIMIT_EXCEEDED));
    assert_eq!(read_to_end(&mut peer).await, [3, 0, 0, 0, 0, 4, 0, 2, 3, 2]);
    drop(peer);
    task.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_peer_that_takes_no_data_is_aborted() {
    let mut request = request();
    request.user_information.maximum_length = Some(7);
    let (mut peer, local) = tokio::io::duplex(1 << 20);
    let (reader, writer) = tokio::io::split(local);
    peer.write_all(&Pdu::AssociateRq(Box::new(request)).encode().unwrap())
        .await
        .unwrap();
    let requested = acceptor::receive(reader, writer, &settings())
        .await
        .unwrap();
    let task = tokio::spawn(async move { requested.accept(&policy()).await.map(|_| ()) });
    assert_eq!(read_to_end(&mut peer).await, abort_by_provider(6));
    drop(peer);
    assert!(matches!(
        task.await.unwrap(),
        Err(AssociationError::MaximumLength(7))
    ));
}

// Sta5

#[tokio::test]
async fn a_requestor_understands_every_answer() {
    let acceptance = |id| {
        let answer = AnsweredContext {
            id,
            result: ContextResult::Acceptance,
            transfer_syntax: Some(uid(IMPLICIT)),
        };
        let ac = AssociateAc::new(&request(), vec![answer], UserInformation::default());
        Pdu::AssociateAc(Box::new(ac)).encode().unwrap()
    };
    type Check = fn(&AssociationError) -> bool;
    let cases: [(Vec<u8>, &[u8], Check); 6] = [
        (
            Pdu::AssociateRj(Reject::CALLED_AE_TITLE).encode().unwrap(),
            &[],
            |error| matches!(error, AssociationError::Rejected(Reject::CALLED_AE_TITLE)),
        ),
        (Abort::SERVICE_USER.to_pdu().to_vec(), &[], |error| {
            matches!(error, AssociationError::Aborted(Abort::SERVICE_USER))
        }),
        (
            Pdu::ReleaseRq.encode().unwrap(),
            &abort_by_provider(2),
            |error| matches!(error, AssociationError::UnexpectedPdu { .. }),
        ),
        (echo_bytes(), &abort_by_provider(2), |error| {
            matches!(error, AssociationError::UnexpectedPdu { .. })
        }),
        (vec![0x99], &abort_by_provider(1), |error| {
            matches!(error, AssociationError::Pdu(_))
        }),
        (acceptance(77), &abort_by_provider(6), |error| {
            matches!(error, AssociationError::Acceptance(77))
        }),
    ];
    for (answer, reaction, check) in cases {
        let (mut peer, local) = tokio::io::duplex(1 << 20);
        let (reader, writer) = tokio::io::split(local);
        let requestor = tokio::spawn(async move {
            requestor::request(reader, writer, &proposal(&[VERIFICATION]), &settings()).await
        });
        read_pdu(&mut peer).await;
        peer.write_all(&answer).await.unwrap();
        assert_eq!(read_to_end(&mut peer).await, reaction);
        drop(peer);
        let error = requestor.await.unwrap().unwrap_err();
        assert!(check(&error), "{error}");
    }
}

#[tokio::test]
async fn what_cannot_be_proposed_is_not_sent() {
    let many: Vec<&str> = std::iter::repeat_n(CT, 129).collect();
    for proposal in [proposal(&many), proposal(&[])] {
        let (_peer, local) = tokio::io::duplex(1 << 20);
        let (reader, writer) = tokio::io::split(local);
        let result = requestor::request(reader, writer, &proposal, &settings()).await;
        assert!(matches!(result, Err(AssociationError::Proposal(_))));
    }
}

#[tokio::test]
async fn a_hundred_and_twenty_eight_contexts_have_the_odd_identifiers() {
    let (mut peer, local) = tokio::io::duplex(1 << 20);
    let (reader, writer) = tokio::io::split(local);
    let many: Vec<&str> = std::iter::repeat_n(CT, 128).collect();
    let proposal = proposal(&many);
    tokio::spawn(async move {
        requestor::request(reader, writer, &proposal, &settings())
            .await
            .map(|_| ())
    });
    let bytes = read_pdu(&mut peer).await;
    let Pdu::AssociateRq(request) = Pdu::decode(PduKind::AssociateRq, &bytes[6..]).unwrap() else {
        panic!()
    };
    let ids: Vec<u8> = request
        .presentation_contexts
        .iter()
        .map(|context| context.id)
        .collect();
    assert_eq!(ids, (1..=255).step_by(2).collect::<Vec<u8>>());
}

// Sta6

#[tokio::test]
async fn unexpected_pdus_in_an_association_are_aborted() {
    let acceptance = AssociateAc::new(&request(), Vec::new(), UserInformation::default());
    for bytes in [
        request_bytes(),
        Pdu::AssociateAc(Box::new(acceptance)).encode().unwrap(),
        Pdu::AssociateRj(Reject::NO_REASON).encode().unwrap(),
        Pdu::ReleaseRp.encode().unwrap(),
    ] {
        let (answer, error) = broken_by(&bytes).await;
        assert_eq!(answer, abort_by_provider(2), "{error}");
        assert!(
            matches!(error, AssociationError::UnexpectedPdu { .. }),
            "{error}"
        );
    }
}

#[tokio::test]
async fn broken_data_is_aborted_with_its_reason() {
    let command = store_command();
    let cases: [(&str, Vec<u8>, [u8; 10]); 9] = [
        ("unknown PDU type", vec![0x42], abort_by_provider(1)),
        (
            "PDU longer than announced",
            vec![4, 0, 1, 0, 0, 0],
            abort_by_provider(6),
        ),
        (
            "PDV longer than its PDU",
            vec![4, 0, 0, 0, 0, 6, 0, 0, 0, 9, 1, 3],
            abort_by_provider(6),
        ),
        (
            "unknown context",
            p_data(99, FragmentKind::Command, true, &command),
            abort_by_provider(6),
        ),
        (
            "data before a command",
            p_data(1, FragmentKind::DataSet, true, b"xx"),
            abort_by_provider(5),
        ),
        (
            "command inside a data set",
            [
                p_data(3, FragmentKind::Command, true, &command),
                p_data(3, FragmentKind::Command, true, &command),
            ]
            .concat(),
            abort_by_provider(5),
        ),
        (
            "change of context inside a message",
            [
                p_data(3, FragmentKind::Command, true, &command),
                p_data(1, FragmentKind::DataSet, true, b"xx"),
            ]
            .concat(),
            abort_by_provider(6),
        ),
        (
            "broken command set",
            p_data(1, FragmentKind::Command, true, b"broken"),
            ABORT_BY_USER,
        ),
        (
            "release inside a data set",
            [
                p_data(3, FragmentKind::Command, true, &command),
                Pdu::ReleaseRq.encode().unwrap(),
            ]
            .concat(),
            abort_by_provider(2),
        ),
    ];
    for (name, bytes, expected) in cases {
        let (answer, error) = broken_by(&bytes).await;
        assert_eq!(answer, expected, "{name}: {error}");
    }
}

#[tokio::test]
async fn an_abort_of_the_peer_is_told_and_not_answered() {
    let abort = Abort::provider(AbortReason::UnexpectedPdu);
    let (answer, error) = broken_by(&abort.to_pdu()).await;
    assert_eq!(answer, [0; 0]);
    assert!(
        matches!(error, AssociationError::Aborted(told) if told == abort),
        "{error}"
    );
}

#[tokio::test]
async fn a_lost_connection_is_told() {
    let (mut association, peer) = established().await;
    drop(peer);
    let error = association.next_message().await.unwrap_err();
    assert!(
        matches!(error, AssociationError::Closed | AssociationError::Io(_)),
        "{error}"
    );

    let (mut association, mut peer) = established().await;
    peer.write_all(&p_data(3, FragmentKind::Command, true, &store_command()))
        .await
        .unwrap();
    peer.write_all(&p_data(3, FragmentKind::DataSet, false, b"half"))
        .await
        .unwrap();
    drop(peer);
    assert!(matches!(
        association.next_message().await,
        Ok(Incoming::Message(_))
    ));
    assert_eq!(
        association.data_chunk().await.unwrap(),
        Some(Bytes::from_static(b"half"))
    );
    assert!(
        association.data_chunk().await.is_err(),
        "half a data set must not look complete"
    );
}

#[tokio::test(start_paused = true)]
async fn a_pdu_and_a_message_must_come_to_their_end() {
    for (bytes, wait) in [
        (&echo_bytes()[..20], Wait::Pdu),
        (&[4][..], Wait::Pdu),
        (
            &p_data(3, FragmentKind::Command, true, &store_command()),
            Wait::Message,
        ),
        (
            &p_data(1, FragmentKind::Command, false, b"\0\0"),
            Wait::Message,
        ),
    ] {
        let (mut association, mut peer) = established().await;
        peer.write_all(bytes).await.unwrap();
        let error = loop {
            match association.next_message().await {
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert!(
            matches!(error, AssociationError::Timeout(found) if found == wait),
            "{error}"
        );
        assert_eq!(read_to_end(&mut peer).await, abort_by_provider(0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_pdu_that_trickles_in_is_aborted() {
    let (mut association, mut peer) = established().await;
    let trickle = tokio::spawn(async move {
        for byte in p_data(3, FragmentKind::Command, true, &[0; 1000]) {
            if peer.write_all(&[byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        read_to_end(&mut peer).await
    });
    let start = tokio::time::Instant::now();
    let error = association.next_message().await.unwrap_err();
    assert!(
        matches!(error, AssociationError::Timeout(Wait::Pdu)),
        "{error}"
    );
    let waited = start.elapsed().as_secs();
    assert!((59..=63).contains(&waited), "{waited} s");
    drop(association);
    assert_eq!(trickle.await.unwrap(), abort_by_provider(0));
}

#[tokio::test(start_paused = true)]
async fn the_time_that_this_end_takes_is_not_held_against_the_peer() {
    let (mut association, mut peer) = established().await;
    let mut bytes = p_data(3, FragmentKind::Command, true, &store_command());
    bytes.extend_from_slice(&header(3, FragmentKind::DataSet, true, 8));
    bytes.extend_from_slice(b"half");
    peer.write_all(&bytes).await.unwrap();
    association.next_message().await.unwrap();
    assert_eq!(
        association.data_chunk().await.unwrap(),
        Some(Bytes::from_static(b"half"))
    );
    // The disk is slow today.
    tokio::time::sleep(Duration::from_secs(600)).await;
    peer.write_all(b"rest").await.unwrap();
    assert_eq!(
        association.data_chunk().await.unwrap(),
        Some(Bytes::from_static(b"rest"))
    );
    assert_eq!(association.data_chunk().await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn an_idle_association_waits() {
    let (mut association, mut peer) = established().await;
    let wait = tokio::time::timeout(Duration::from_secs(86_400), association.next_message());
    assert!(wait.await.is_err());
    peer.write_all(&echo_bytes()).await.unwrap();
    assert!(matches!(
        association.next_message().await,
        Ok(Incoming::Message(_))
    ));
}

// Sta7 to Sta13

#[tokio::test]
async fn a_release_is_answered_and_the_connection_closed() {
    let (mut association, mut peer) = established().await;
    peer.write_all(&Pdu::ReleaseRq.encode().unwrap())
        .await
        .unwrap();
    assert_eq!(association.next_message().await.unwrap(), Incoming::Release);
    // Sta8: what is left to be said may still be said.
    let echo = Request {
        message_id: 1,
        sop_class_uid: uid(VERIFICATION),
        arguments: Arguments::CEcho,
    };
    association
        .writer()
        .send(1, &echo.to_command_set())
        .await
        .unwrap();
    let task = tokio::spawn(association.accept_release());
    assert_eq!(read_pdu(&mut peer).await, echo_bytes());
    assert_eq!(
        read_to_end(&mut peer).await,
        Pdu::ReleaseRp.encode().unwrap()
    );
    drop(peer);
    task.await.unwrap().unwrap();
}

#[tokio::test]
async fn data_after_a_release_request_is_aborted() {
    let bytes = [Pdu::ReleaseRq.encode().unwrap(), echo_bytes()].concat();
    let (answer, error) = broken_by(&bytes).await;
    assert_eq!(answer, abort_by_provider(2));
    assert!(
        matches!(error, AssociationError::UnexpectedPdu { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_requested_release_discards_data_that_is_under_way() {
    let (association, mut peer) = requested().await;
    let task = tokio::spawn(association.release());
    assert_eq!(read_pdu(&mut peer).await, Pdu::ReleaseRq.encode().unwrap());
    peer.write_all(&echo_bytes()).await.unwrap();
    peer.write_all(&Pdu::ReleaseRp.encode().unwrap())
        .await
        .unwrap();
    task.await.unwrap().unwrap();
    assert_eq!(read_to_end(&mut peer).await, [0; 0]);
}

#[tokio::test]
async fn in_a_release_collision_the_requestor_answers_first() {
    let (association, mut peer) = requested().await;
    let task = tokio::spawn(association.release());
    peer.write_all(&Pdu::ReleaseRq.encode().unwrap())
        .await
        .unwrap();
    assert_eq!(read_pdu(&mut peer).await, Pdu::ReleaseRq.encode().unwrap());
    assert_eq!(read_pdu(&mut peer).await, Pdu::ReleaseRp.encode().unwrap());
    peer.write_all(&Pdu::ReleaseRp.encode().unwrap())
        .await
        .unwrap();
    task.await.unwrap().unwrap();
}

#[tokio::test]
async fn in_a_release_collision_the_acceptor_answers_last() {
    let (association, mut peer) = established().await;
    let task = tokio::spawn(association.release());
    peer.write_all(&Pdu::ReleaseRq.encode().unwrap())
        .await
        .unwrap();
    assert_eq!(read_pdu(&mut peer).await, Pdu::ReleaseRq.encode().unwrap());
    peer.write_all(&Pdu::ReleaseRp.encode().unwrap())
        .await
        .unwrap();
    assert_eq!(
        read_to_end(&mut peer).await,
        Pdu::ReleaseRp.encode().unwrap()
    );
    drop(peer);
    task.await.unwrap().unwrap();
}

#[tokio::test]
async fn data_in_a_release_collision_is_aborted() {
    let (association, mut peer) = established().await;
    let task = tokio::spawn(association.release());
    let bytes = [Pdu::ReleaseRq.encode().unwrap(), echo_bytes()].concat();
    peer.write_all(&bytes).await.unwrap();
    assert_eq!(read_pdu(&mut peer).await, Pdu::ReleaseRq.encode().unwrap());
    assert_eq!(read_to_end(&mut peer).await, abort_by_provider(2));
    drop(peer);
    assert!(task.await.unwrap().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_release_that_is_not_answered_is_aborted() {
    let (association, mut peer) = requested().await;
    let task = tokio::spawn(association.release());
    let answer = read_to_end(&mut peer).await;
    let expected = [&Pdu::ReleaseRq.encode().unwrap()[..], &abort_by_provider(0)].concat();
    assert_eq!(answer, expected);
    assert!(matches!(
        task.await.unwrap(),
        Err(AssociationError::Timeout(Wait::Release))
    ));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_is_given_up() {
    let (peer, local) = tokio::io::duplex(4096);
    let (reader, writer) = tokio::io::split(local);
    let mut peer = peer;
    peer.write_all(&request_bytes()).await.unwrap();
    let requested = acceptor::receive(reader, writer, &settings())
        .await
        .unwrap();
    let association = requested.accept(&policy()).await.unwrap();
    let writer = association.writer();
    let arguments = Arguments::CStore {
        sop_instance_uid: uid("1.2.3"),
        priority: Default::default(),
        originator: None,
    };
    let command = Request {
        message_id: 2,
        sop_class_uid: uid(CT),
        arguments,
    }
    .to_command_set();
    let data = Some(Bytes::from(vec![0; 100_000]));
    let error = writer.send_data_set(3, &command, data).await.unwrap_err();
    assert!(
        matches!(error, AssociationError::Timeout(Wait::Write)),
        "{error}"
    );
    let error = writer.send(3, &command).await.unwrap_err();
    assert!(matches!(error, AssociationError::Broken), "{error}");
}
