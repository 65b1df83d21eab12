//! Which associations the door accepts, how long it keeps them, and how it closes.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use bytes::Bytes;
use gantry_archive::config::UnknownPeers;
use gantry_dimse::association::error::AssociationError;
use gantry_dimse::association::requestor::Proposal;
use gantry_dimse::pdu::Pdu;
use gantry_dimse::pdu::associate::{AeField, AssociateRq};
use gantry_dimse::pdu::presentation_context::ProposedContext;
use gantry_dimse::pdu::reject::Reject;
use gantry_dimse::pdu::user_information::{IdentityKind, UserIdentity, UserInformation};
use gantry_dimse::scu::{Client, ScuError};
use gantry_dimse::status::Status;
use gantry_serve_dimse::DimseConfig;
use std::time::{Duration, Instant};
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn rejection(server: &Server, proposal: &Proposal) -> Option<Reject> {
    match Client::connect(server.address, proposal, &settings()).await {
        Ok(client) => {
            client.release().await.unwrap();
            None
        }
        Err(AssociationError::Rejected(reject)) => Some(reject),
        Err(error) => panic!("{error}"),
    }
}

/// What the server answers to a request with these bytes as AE titles.
async fn answer(server: &Server, called: [u8; 16], calling: [u8; 16]) -> Vec<u8> {
    let context = ProposedContext {
        id: 1,
        abstract_syntax: Some(uid(VERIFICATION)),
        transfer_syntaxes: vec![uid(IMPLICIT)],
    };
    let information = UserInformation {
        maximum_length: Some(0),
        ..UserInformation::default()
    };
    let request = AssociateRq::new(
        AeField(called),
        AeField(calling),
        vec![context],
        information,
    );
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let bytes = Pdu::AssociateRq(Box::new(request)).encode().unwrap();
    stream.write_all(&bytes).await.unwrap();
    let mut answer = [0; 10];
    stream.read_exact(&mut answer).await.unwrap();
    answer.to_vec()
}

#[tokio::test]
async fn titles_that_are_none_are_rejected_and_blank_ones_are_not() {
    let server = Server::start().await;
    let (good, blank, bad) = (*b"GANTRY          ", [b' '; 16], *b"A\\B\x07            ");
    assert_eq!(answer(&server, good, blank).await[0], 2);
    assert_eq!(answer(&server, blank, good).await[0], 2);
    assert_eq!(
        answer(&server, good, bad).await,
        [3, 0, 0, 0, 0, 4, 0, 1, 1, 3]
    );
    assert_eq!(
        answer(&server, bad, good).await,
        [3, 0, 0, 0, 0, 4, 0, 1, 1, 7]
    );
}

#[tokio::test]
async fn the_called_title_is_checked_on_demand() {
    let config = DimseConfig {
        check_called_ae: true,
        called_ae_titles: vec![title("ALIAS")],
        ..DimseConfig::default()
    };
    let server = Server::start_with(config, |_| {}, Vec::new()).await;
    for (called, expected) in [
        ("GANTRY", None),
        ("ALIAS", None),
        ("OTHER", Some(Reject::CALLED_AE_TITLE)),
    ] {
        let mut proposal = proposal(&[VERIFICATION]);
        proposal.called_ae = title(called);
        assert_eq!(rejection(&server, &proposal).await, expected, "{called}");
    }
}

#[tokio::test]
async fn unknown_peers_may_be_kept_out() {
    let refuse = |archive: &mut gantry_archive::config::ArchiveConfig| {
        archive.unknown_peers = UnknownPeers::Refuse;
    };
    let peers = vec![peer("KNOWN", 104)];
    let server = Server::start_with(DimseConfig::default(), refuse, peers).await;
    assert_eq!(
        rejection(&server, &proposal(&[VERIFICATION])).await,
        Some(Reject::CALLING_AE_TITLE)
    );
    let mut known = proposal(&[VERIFICATION]);
    known.calling_ae = title("KNOWN");
    assert_eq!(rejection(&server, &known).await, None);

    let echo_only = |archive: &mut gantry_archive::config::ArchiveConfig| {
        archive.unknown_peers = UnknownPeers::EchoOnly;
    };
    let server = Server::start_with(DimseConfig::default(), echo_only, Vec::new()).await;
    let client = server.client(&[VERIFICATION, CT, STUDY_FIND]).await;
    assert_eq!(client.echo().await.unwrap(), Status::SUCCESS);
    assert_eq!(
        store(&client, &ct(1, 1, 1)).await.status,
        Status::NOT_AUTHORIZED
    );
    let (_, last) = find(&client, STUDY_FIND, &identifier("STUDY", &[])).await;
    assert_eq!(last.response.status, Status::NOT_AUTHORIZED);
    client.release().await.unwrap();
}

#[tokio::test]
async fn an_identity_may_be_required_and_is_answered() {
    let config = DimseConfig {
        require_user_identity: true,
        ..DimseConfig::default()
    };
    let server = Server::start_with(config, |_| {}, Vec::new()).await;
    assert_eq!(
        rejection(&server, &proposal(&[VERIFICATION])).await,
        Some(Reject::NO_REASON)
    );
    let mut named = proposal(&[VERIFICATION]);
    named.identity = Some(UserIdentity {
        kind: IdentityKind::UsernamePasscode,
        is_response_requested: true,
        primary: Bytes::from_static(b"reader"),
        secondary: Bytes::from_static(b"secret"),
    });
    let client = server.connect(&named).await;
    assert_eq!(client.negotiated().identity_response, Some(Bytes::new()));
    client.release().await.unwrap();
}

#[tokio::test]
async fn full_is_told_as_transient() {
    let config = DimseConfig {
        associations_max: 2,
        ..DimseConfig::default()
    };
    let mut limited = peer("LIMITED", 104);
    limited.associations_max = 1;
    let server = Server::start_with(config, |_| {}, vec![limited]).await;
    let mut of_limited = proposal(&[VERIFICATION]);
    of_limited.calling_ae = title("LIMITED");

    let first = server.connect(&of_limited).await;
    let full = Some(Reject::LOCAL_LIMIT_EXCEEDED);
    assert_eq!(rejection(&server, &of_limited).await, full, "its own limit");
    let second = server.client(&[VERIFICATION]).await;
    assert_eq!(
        rejection(&server, &proposal(&[VERIFICATION])).await,
        full,
        "the limit of all"
    );
    assert_eq!(first.echo().await.unwrap(), Status::SUCCESS);
    second.release().await.unwrap();
    first.release().await.unwrap();
    // A place is free again when the server has seen the end of the association.
    let start = Instant::now();
    while rejection(&server, &of_limited).await.is_some() {
        assert!(start.elapsed() < Duration::from_secs(10));
    }
}

#[tokio::test]
async fn an_association_without_a_context_is_a_matter_of_policy() {
    let worklist = "1.2.840.10008.5.1.4.31";
    let server = Server::start().await;
    let client = server.client(&[worklist]).await;
    assert_eq!(client.negotiated().contexts, []);
    client.release().await.unwrap();
    let config = DimseConfig {
        accept_without_contexts: false,
        ..DimseConfig::default()
    };
    let server = Server::start_with(config, |_| {}, Vec::new()).await;
    assert_eq!(
        rejection(&server, &proposal(&[worklist])).await,
        Some(Reject::NO_REASON)
    );
}

#[tokio::test]
async fn an_idle_association_is_aborted() {
    let config = DimseConfig {
        idle_timeout_s: 1,
        ..DimseConfig::default()
    };
    let server = Server::start_with(config, |_| {}, Vec::new()).await;
    let client = server.client(&[VERIFICATION]).await;
    client.echo().await.unwrap();
    assert!(
        client.next_invocation().await.is_none(),
        "the association must end"
    );
    let error = client.release().await.unwrap_err();
    assert!(
        matches!(&error, ScuError::Lost(cause) if matches!(**cause, AssociationError::Aborted(_))),
        "{error:?}"
    );
}

#[tokio::test]
async fn stopping_aborts_idle_associations_and_takes_no_more() {
    let mut server = Server::start().await;
    let address = server.address;
    let client = server.client(&[VERIFICATION]).await;
    client.echo().await.unwrap();
    server.signal_stop();
    assert!(
        client.next_invocation().await.is_none(),
        "the association must end"
    );
    tokio::time::timeout(Duration::from_secs(5), server.stopped())
        .await
        .unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn stopping_lets_an_operation_end() {
    let mut server = Server::start().await;
    fill(&server, &[ct(1, 1, 1), ct(1, 1, 2)]).await;
    let client = server
        .connect(&with_scp_role(proposal(&[STUDY_GET, CT]), CT))
        .await;
    let context = client.context(&uid(STUDY_GET)).unwrap().clone();
    let study = identifier(
        "STUDY",
        &[(
            gantry_dicom::tags::STUDY_INSTANCE_UID,
            gantry_dicom::Vr::UI,
            "1.2.826.1",
        )],
    );
    let mut operation = client.get(&context, encode(&study)).await.unwrap();
    let first = client.next_invocation().await.unwrap();
    server.signal_stop();
    tokio::time::sleep(Duration::from_millis(100)).await;
    for invocation in [Some(first), None] {
        let invocation = match invocation {
            Some(invocation) => invocation,
            None => client.next_invocation().await.unwrap(),
        };
        let response = invocation.request.response(Status::SUCCESS);
        invocation.respond(&response).await.unwrap();
    }
    let last = loop {
        let reply = operation.next().await.unwrap();
        if !reply.response.status.is_pending() {
            break reply;
        }
    };
    assert_eq!(last.response.status, Status::SUCCESS);
    tokio::time::timeout(Duration::from_secs(5), server.stopped())
        .await
        .unwrap();
}

#[tokio::test]
async fn idle_connections_do_not_stop_others() {
    let server = Server::start().await;
    let mut idle = Vec::new();
    for _ in 0..200 {
        idle.push(TcpStream::connect(server.address).await.unwrap());
    }
    let client = server.client(&[CT]).await;
    assert_eq!(store(&client, &ct(1, 1, 1)).await.status, Status::SUCCESS);
    client.release().await.unwrap();
}
