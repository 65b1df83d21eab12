//! C-ECHO and C-STORE through the door.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use bytes::Bytes;
use gantry_dicom::encoding::{self, Encoding};
use gantry_dicom::tags;
use gantry_dimse::command::{Arguments, Priority};
use gantry_dimse::pdu::user_information::AsynchronousOperationsWindow;
use gantry_dimse::scu::StoreRequest;
use gantry_dimse::status::Status;
use support::*;

async fn instances(server: &Server) -> u64 {
    let system = gantry_core::principal::Principal::system();
    server.archive.statistics(&system).await.unwrap().instances
}

#[tokio::test]
async fn an_echo_succeeds() {
    let server = Server::start().await;
    let client = server.client(&[VERIFICATION]).await;
    assert_eq!(client.echo().await.unwrap(), Status::SUCCESS);
    let version = client
        .negotiated()
        .peer_implementation_version_name
        .clone()
        .unwrap();
    assert!(version.starts_with("GANTRY_"), "{version}");
    client.release().await.unwrap();
}

#[tokio::test]
async fn an_instance_is_stored_once() {
    let server = Server::start().await;
    let client = server.client(&[CT]).await;
    let instance = ct(1, 1, 1);
    let response = store(&client, &instance).await;
    assert_eq!(response.status, Status::SUCCESS);
    assert_eq!(response.sop_class_uid, Some(uid(CT)));
    assert_eq!(
        response.sop_instance_uid,
        Some(uid(&instance.instance_uid()))
    );
    // The same bytes again, and other bytes under the same UID: the first ones are kept.
    assert_eq!(store(&client, &instance).await.status, Status::SUCCESS);
    let mut other = instance.data_set();
    other.put_text(tags::STUDY_DATE, gantry_dicom::Vr::DA, "20260103");
    let bytes = Bytes::from(encoding::write(&other, Encoding::ExplicitLittle));
    let response = client
        .store(1, instance.request(), Some(bytes))
        .await
        .unwrap();
    assert_eq!(response.status, Status::SUCCESS);
    client.release().await.unwrap();
    assert_eq!(instances(&server).await, 1);
}

#[tokio::test]
async fn what_cannot_be_stored_is_refused_with_its_status() {
    let server = Server::start().await;
    let client = server.client(&[CT, MR]).await;
    let instance = ct(1, 1, 1);
    let good = instance.encoded(EXPLICIT);
    let mut no_study = instance.data_set();
    no_study.remove(tags::STUDY_INSTANCE_UID);
    let no_study: Bytes = encoding::write(&no_study, Encoding::ExplicitLittle).into();
    let request = |sop_class: &str, sop_instance: &str| StoreRequest {
        sop_class_uid: uid(sop_class),
        sop_instance_uid: uid(sop_instance),
        priority: Priority::Medium,
        originator: None,
    };
    let own = instance.instance_uid();
    let ct_context = client.context(&uid(CT)).unwrap().id;
    let mr_context = client.context(&uid(MR)).unwrap().id;
    for (name, context, request, bytes, expected) in [
        (
            "other SOP instance",
            ct_context,
            request(CT, "1.2.3"),
            good.clone(),
            0xA900,
        ),
        (
            "SOP class not of the context",
            mr_context,
            request(CT, &own),
            good.clone(),
            0x0122,
        ),
        ("no study", ct_context, request(CT, &own), no_study, 0xA900),
        (
            "garbage",
            ct_context,
            request(CT, &own),
            Bytes::from(vec![0xAB; 10_000]),
            0xC000,
        ),
        (
            "cut short",
            ct_context,
            request(CT, &own),
            good.slice(..good.len() - 7000),
            0xC000,
        ),
        (
            "nothing",
            ct_context,
            request(CT, &own),
            Bytes::new(),
            0xA900,
        ),
    ] {
        let response = client.store(context, request, Some(bytes)).await.unwrap();
        assert_eq!(
            response.status,
            Status(expected),
            "{name}: {:?}",
            response.error_comment
        );
        assert!(response.error_comment.is_some(), "{name}");
    }
    assert_eq!(instances(&server).await, 0);
    // Of another SOP class than the command says: kept as what it is, with a warning.
    let other_class = client
        .store(mr_context, request(MR, &own), Some(good))
        .await;
    let status = other_class.unwrap().status;
    assert_eq!(status, Status::DATA_SET_MISMATCH_WARNING);
    assert_eq!(instances(&server).await, 1);
    // The association has survived all that.
    assert_eq!(store(&client, &instance).await.status, Status::SUCCESS);
    client.release().await.unwrap();
}

#[tokio::test]
async fn a_store_without_data_set_and_a_foreign_operation_are_refused() {
    let server = Server::start().await;
    let client = server.client(&[CT]).await;
    let arguments = Arguments::CStore {
        sop_instance_uid: uid("1.2.3"),
        priority: Priority::Medium,
        originator: None,
    };
    let reply = client.call(1, uid(CT), arguments, None).await.unwrap();
    assert_eq!(reply.response.status, Status::CANNOT_UNDERSTAND);
    let find = Arguments::CFind {
        priority: Priority::Medium,
    };
    let reply = client
        .call(1, uid(CT), find, Some(Bytes::from_static(b"xx")))
        .await
        .unwrap();
    assert_eq!(reply.response.status, Status::UNRECOGNIZED_OPERATION);
    client.release().await.unwrap();
}

#[tokio::test]
async fn stores_are_pipelined_within_the_window() {
    let server = Server::start().await;
    let mut proposal = proposal(&[CT]);
    proposal.window = Some(AsynchronousOperationsWindow {
        invoked: 64,
        performed: 1,
    });
    let client = server.connect(&proposal).await;
    assert_eq!(client.negotiated().invoked_here(), Some(16));
    let all: Vec<Instance> = (1..=100).map(|instance| ct(1, 1, instance)).collect();
    let stores = all.iter().map(|instance| store(&client, instance));
    for response in futures_util::future::join_all(stores).await {
        assert_eq!(response.status, Status::SUCCESS);
    }
    client.release().await.unwrap();
    assert_eq!(instances(&server).await, 100);
}

#[tokio::test]
async fn half_an_instance_is_not_stored() {
    let server = Server::start().await;
    let client = server.client(&[CT]).await;
    let instance = ct(1, 1, 1);
    let (sender, source) = tokio::sync::mpsc::channel(1);
    sender
        .send(Ok(instance.encoded(EXPLICIT).slice(..4000)))
        .await
        .unwrap();
    let request = instance.request();
    let sending = async { client.store(1, request, source).await };
    let result = tokio::time::timeout(std::time::Duration::from_millis(300), sending).await;
    assert!(result.is_err(), "nothing can be answered yet");
    client.abort().await;
    drop(sender);
    let client = server.client(&[VERIFICATION]).await;
    client.echo().await.unwrap();
    client.release().await.unwrap();
    assert_eq!(instances(&server).await, 0);
}

#[tokio::test]
async fn private_classes_and_unknown_syntaxes_are_stored_as_they_come() {
    let server = Server::start().await;
    let private = "1.2.840.113619.4.30";
    let syntax = "1.2.840.113619.5.99";
    let proposal =
        gantry_dimse::association::requestor::Proposal::new(title("GANTRY"), title("TEST"))
            .with_context(uid(private), vec![uid(syntax)]);
    let client = server.connect(&proposal).await;
    let instance = Instance {
        sop_class: private,
        ..ct(1, 1, 1)
    };
    let bytes = instance.encoded(EXPLICIT);
    let response = client
        .store(1, instance.request(), Some(bytes))
        .await
        .unwrap();
    assert_eq!(response.status, Status::SUCCESS);
    client.release().await.unwrap();
    assert_eq!(instances(&server).await, 1);
}

/// Limits of a second each, so that what takes three tells them apart.
fn impatient() -> gantry_serve_dimse::DimseConfig {
    gantry_serve_dimse::DimseConfig {
        idle_timeout_s: 1,
        pdu_timeout_s: 1,
        ..gantry_serve_dimse::DimseConfig::default()
    }
}

#[tokio::test]
async fn data_that_dribble_for_longer_than_the_idle_limit_are_stored() {
    let server = Server::start_with(impatient(), |_| {}, Vec::new()).await;
    let client = server.client(&[CT]).await;
    let instance = ct(1, 1, 1);
    let bytes = instance.encoded(EXPLICIT);
    let (sender, source) = tokio::sync::mpsc::channel(1);
    let dribbling = async move {
        for chunk in bytes.chunks(bytes.len() / 6 + 1) {
            sender
                .send(Ok(Bytes::copy_from_slice(chunk)))
                .await
                .unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        }
        drop(sender);
    };
    let storing = client.store(1, instance.request(), source);
    let (response, ()) = tokio::join!(storing, dribbling);
    assert_eq!(response.unwrap().status, Status::SUCCESS);
    client.release().await.unwrap();
    assert_eq!(instances(&server).await, 1);
}

#[tokio::test]
async fn data_that_stall_are_cut_off() {
    let server = Server::start_with(impatient(), |_| {}, Vec::new()).await;
    let client = server.client(&[CT]).await;
    let instance = ct(1, 1, 1);
    let (sender, source) = tokio::sync::mpsc::channel(1);
    let half = instance.encoded(EXPLICIT).slice(..4000);
    sender.send(Ok(half)).await.unwrap();
    let storing = client.store(1, instance.request(), source);
    let watching = client.next_invocation();
    let limit = std::time::Duration::from_secs(10);
    let begun = std::time::Instant::now();
    // The association's end wakes whoever waits for a request of the server's.
    let ended = tokio::time::timeout(limit, async {
        tokio::select! {
            response = storing => assert!(response.is_err(), "nothing can be answered"),
            invocation = watching => assert!(invocation.is_none()),
        }
    });
    ended.await.expect("it was cut off");
    assert!(begun.elapsed() >= std::time::Duration::from_millis(900));
    drop(sender);
    assert_eq!(instances(&server).await, 0);
}
