//! C-FIND through the door.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use gantry_dicom::{Vr, tags};
use gantry_dimse::pdu::user_information::{AsynchronousOperationsWindow, ExtendedNegotiation};
use gantry_dimse::status::Status;
use gantry_serve_dimse::DimseConfig;
use support::*;

async fn filled() -> Server {
    let server = Server::start().await;
    let mut instances: Vec<Instance> = (1..=5).map(|study| ct(study, 1, 1)).collect();
    instances.extend([
        ct(1, 1, 2),
        ct(1, 2, 1),
        Instance {
            sop_class: MR,
            ..ct(1, 3, 1)
        },
    ]);
    fill(&server, &instances).await;
    server
}

#[tokio::test]
async fn studies_series_instances_and_patients_are_found() {
    let server = filled().await;
    let client = server.client(&[STUDY_FIND, PATIENT_FIND]).await;
    let study = (tags::STUDY_INSTANCE_UID, Vr::UI, "1.2.826.1");
    let series = (tags::SERIES_INSTANCE_UID, Vr::UI, "1.2.826.1.1");
    let any_instance = (tags::SOP_INSTANCE_UID, Vr::UI, "");
    for (model, level, keys, count) in [
        (
            STUDY_FIND,
            "STUDY",
            &[(tags::STUDY_INSTANCE_UID, Vr::UI, "")][..],
            5,
        ),
        (STUDY_FIND, "STUDY", &[study], 1),
        (
            STUDY_FIND,
            "STUDY",
            &[(tags::PATIENT_NAME, Vr::PN, "phantom^number1")],
            1,
        ),
        (STUDY_FIND, "STUDY", &[(tags::PATIENT_ID, Vr::LO, "P?")], 5),
        (
            STUDY_FIND,
            "STUDY",
            &[(tags::STUDY_DATE, Vr::DA, "20260103-")],
            0,
        ),
        (
            STUDY_FIND,
            "STUDY",
            &[(tags::MODALITIES_IN_STUDY, Vr::CS, "MR")],
            1,
        ),
        (
            STUDY_FIND,
            "SERIES",
            &[study, (tags::SERIES_INSTANCE_UID, Vr::UI, "")],
            3,
        ),
        (STUDY_FIND, "IMAGE", &[study, series, any_instance], 2),
        (
            PATIENT_FIND,
            "PATIENT",
            &[(tags::PATIENT_ID, Vr::LO, "")],
            5,
        ),
    ] {
        let (matches, last) = find(&client, model, &identifier(level, keys)).await;
        assert_eq!(last.response.status, Status::SUCCESS, "{level} {keys:?}");
        assert_eq!(last.data_set, None);
        assert_eq!(matches.len(), count, "{level} {keys:?}");
        for found in &matches {
            assert_eq!(found.ascii(tags::QUERY_RETRIEVE_LEVEL), Some(level));
        }
    }
    client.release().await.unwrap();
}

#[tokio::test]
async fn every_requested_key_comes_back_and_counts_are_right() {
    let server = filled().await;
    let client = server.client(&[STUDY_FIND]).await;
    let asked = identifier(
        "STUDY",
        &[
            (tags::STUDY_INSTANCE_UID, Vr::UI, "1.2.826.1"),
            (tags::PATIENT_NAME, Vr::PN, ""),
            (tags::MODALITIES_IN_STUDY, Vr::CS, ""),
            (tags::NUMBER_OF_STUDY_RELATED_SERIES, Vr::IS, ""),
            (tags::NUMBER_OF_STUDY_RELATED_INSTANCES, Vr::IS, ""),
            (tags::REFERRING_PHYSICIAN_NAME, Vr::PN, ""),
        ],
    );
    let (matches, _) = find(&client, STUDY_FIND, &asked).await;
    let [found] = &matches[..] else {
        panic!("{matches:?}")
    };
    for element in asked.elements() {
        assert!(
            found.get(element.tag).is_some(),
            "{:?} is missing",
            element.tag
        );
    }
    assert_eq!(
        found.string(tags::PATIENT_NAME).as_deref(),
        Some("Phantom^Number1")
    );
    assert_eq!(found.integer(tags::NUMBER_OF_STUDY_RELATED_SERIES), Some(3));
    assert_eq!(
        found.integer(tags::NUMBER_OF_STUDY_RELATED_INSTANCES),
        Some(4)
    );
    let mut modalities = found.strings(tags::MODALITIES_IN_STUDY);
    modalities.sort();
    assert_eq!(modalities, ["CT", "MR"]);
    assert!(
        found
            .get(tags::REFERRING_PHYSICIAN_NAME)
            .unwrap()
            .is_empty()
    );
    assert_eq!(found.ascii(tags::RETRIEVE_AE_TITLE), Some("GANTRY"));
    client.release().await.unwrap();
}

#[tokio::test]
async fn wrong_identifiers_are_refused() {
    let server = filled().await;
    let client = server.client(&[STUDY_FIND]).await;
    for (name, asked, expected) in [
        ("no level", identifier("", &[]), 0xA900),
        ("level of another model", identifier("PATIENT", &[]), 0xA900),
        ("no study above", identifier("SERIES", &[]), 0xA900),
        (
            "no date",
            identifier("STUDY", &[(tags::STUDY_DATE, Vr::DA, "today")]),
            0xA900,
        ),
    ] {
        let (matches, last) = find(&client, STUDY_FIND, &asked).await;
        assert_eq!(last.response.status, Status(expected), "{name}");
        assert!(last.response.error_comment.is_some(), "{name}");
        assert_eq!(matches.len(), 0);
    }
    let context = client.context(&uid(STUDY_FIND)).unwrap().clone();
    let garbage = bytes::Bytes::from(vec![0xAB; 100]);
    let mut operation = client.find(&context, garbage).await.unwrap();
    assert_eq!(
        operation.next().await.unwrap().response.status,
        Status::CANNOT_UNDERSTAND
    );
    drop(operation);
    client.release().await.unwrap();
}

#[tokio::test]
async fn relational_queries_are_answered_when_they_were_negotiated() {
    let server = filled().await;
    let mut proposal = proposal(&[STUDY_FIND]);
    proposal.extended.push(ExtendedNegotiation {
        sop_class_uid: uid(STUDY_FIND),
        information: bytes::Bytes::from_static(&[1, 0, 1]),
    });
    let client = server.connect(&proposal).await;
    let asked = identifier("SERIES", &[(tags::MODALITY, Vr::CS, "CT")]);
    let (matches, last) = find(&client, STUDY_FIND, &asked).await;
    assert_eq!(last.response.status, Status::SUCCESS);
    assert_eq!(matches.len(), 6);
    client.release().await.unwrap();
}

#[tokio::test]
async fn too_many_matches_are_no_success() {
    let config = DimseConfig {
        matches_max: 2,
        ..DimseConfig::default()
    };
    let server = Server::start_with(config, |_| {}, Vec::new()).await;
    fill(&server, &[ct(1, 1, 1), ct(2, 1, 1), ct(3, 1, 1)]).await;
    let client = server.client(&[STUDY_FIND]).await;
    let (matches, last) = find(&client, STUDY_FIND, &identifier("STUDY", &[])).await;
    assert_eq!(last.response.status, Status::OUT_OF_RESOURCES);
    assert_eq!(matches.len(), 2);
    client.release().await.unwrap();
}

#[tokio::test]
async fn a_cancel_ends_a_query() {
    let server = Server::start().await;
    let many: Vec<Instance> = (1..=400).map(|study| ct(study, 1, 1)).collect();
    fill(&server, &many).await;
    let client = server.client(&[STUDY_FIND]).await;
    let context = client.context(&uid(STUDY_FIND)).unwrap().clone();
    let asked = encode(&identifier("STUDY", &[(tags::PATIENT_NAME, Vr::PN, "")]));
    let mut operation = client.find(&context, asked).await.unwrap();
    operation.cancel().await.unwrap();
    let last = loop {
        let reply = operation.next().await.unwrap();
        if !reply.response.status.is_pending() {
            break reply;
        }
    };
    // A query that was faster than its cancel has succeeded.
    assert!(
        [Status::CANCEL, Status::SUCCESS].contains(&last.response.status),
        "{:?}",
        last.response
    );
    drop(operation);
    let (matches, _) = find(&client, STUDY_FIND, &identifier("STUDY", &[])).await;
    assert_eq!(matches.len(), 400);
    client.release().await.unwrap();
}

#[tokio::test]
async fn more_matches_than_a_page_has_come_once_each_and_in_order() {
    let server = Server::start().await;
    let mut proposal = proposal(&[CT]);
    proposal.window = Some(AsynchronousOperationsWindow {
        invoked: 16,
        performed: 1,
    });
    let client = server.connect(&proposal).await;
    // Studies of one instance, and one study of as many.
    let studies = (1..=1100).map(|study| ct(study, 1, 1));
    let instances = (2..=1100).map(|instance| ct(1, 1, instance));
    let all: Vec<Instance> = studies.chain(instances).collect();
    let stores = all.iter().map(|instance| store(&client, instance));
    for response in futures_util::future::join_all(stores).await {
        assert_eq!(response.status, Status::SUCCESS);
    }
    client.release().await.unwrap();
    let client = server.client(&[STUDY_FIND]).await;
    let study = (tags::STUDY_INSTANCE_UID, Vr::UI, "");
    let one_study = (tags::STUDY_INSTANCE_UID, Vr::UI, "1.2.826.1");
    let series = (tags::SERIES_INSTANCE_UID, Vr::UI, "1.2.826.1.1");
    let name = (tags::PATIENT_NAME, Vr::PN, "phan*");
    let dates = (tags::STUDY_DATE, Vr::DA, "20260101-20261231");
    for (level, keys, tag) in [
        ("STUDY", &[study][..], tags::STUDY_INSTANCE_UID),
        ("STUDY", &[study, name], tags::STUDY_INSTANCE_UID),
        ("STUDY", &[study, dates], tags::STUDY_INSTANCE_UID),
        ("IMAGE", &[one_study, series], tags::SOP_INSTANCE_UID),
    ] {
        let (matches, last) = find(&client, STUDY_FIND, &identifier(level, keys)).await;
        assert_eq!(last.response.status, Status::SUCCESS);
        let found: std::collections::BTreeSet<&str> = matches
            .iter()
            .filter_map(|found| found.ascii(tag))
            .collect();
        assert_eq!(
            (matches.len(), found.len()),
            (1100, 1100),
            "{level} {keys:?}"
        );
    }
    client.release().await.unwrap();
}

#[tokio::test]
async fn keys_that_are_not_supported_are_told_with_each_match() {
    let server = filled().await;
    let client = server.client(&[STUDY_FIND]).await;
    let context = client.context(&uid(STUDY_FIND)).unwrap().clone();
    let counted = (tags::NUMBER_OF_STUDY_RELATED_INSTANCES, Vr::IS);
    for (key, expected) in [
        ((tags::PATIENT_ID, Vr::LO, "P1"), Status::PENDING),
        ((counted.0, counted.1, ""), Status::PENDING),
        (
            (counted.0, counted.1, "99"),
            Status::PENDING_KEYS_UNSUPPORTED,
        ),
        (
            (tags::RETRIEVE_AE_TITLE, Vr::AE, "ELSEWHERE"),
            Status::PENDING_KEYS_UNSUPPORTED,
        ),
        (
            (tags::PIXEL_DATA, Vr::OW, ""),
            Status::PENDING_KEYS_UNSUPPORTED,
        ),
    ] {
        let study = (tags::STUDY_INSTANCE_UID, Vr::UI, "1.2.826.1");
        let asked = encode(&identifier("STUDY", &[study, key]));
        let mut operation = client.find(&context, asked).await.unwrap();
        assert_eq!(
            operation.next().await.unwrap().response.status,
            expected,
            "{key:?}"
        );
        assert_eq!(
            operation.next().await.unwrap().response.status,
            Status::SUCCESS
        );
    }
    client.release().await.unwrap();
}
