//! Audit messages have the form that PS3.15 A.5.1 gives them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use gantry_audit::event::Summary;
use gantry_audit::export::{Source, audit_event, audit_message};
use gantry_audit::{Actor, Event, Family, Hash, Kind, Outcome, Patient, Recorded, Study};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event as Xml};
use std::collections::BTreeMap;

/// An element: its name, attributes, children and text.
#[derive(Debug, Default)]
struct Element {
    name: String,
    attributes: BTreeMap<String, String>,
    children: Vec<Element>,
    text: String,
}

fn element(start: &BytesStart<'_>) -> Element {
    let attributes = start.attributes().map(|attribute| {
        let attribute = attribute.unwrap();
        let key = attribute.key.as_ref().to_owned();
        let value = quick_xml::escape::unescape(&attribute.value).unwrap();
        (key, value.into_owned())
    });
    Element {
        name: start.name().as_ref().to_owned(),
        attributes: attributes.collect(),
        ..Element::default()
    }
}

fn parse(text: &str) -> Element {
    let mut reader = Reader::from_str(text);
    let mut open = vec![Element::default()];
    loop {
        match reader.read_event().unwrap() {
            Xml::Start(start) => open.push(element(&start)),
            Xml::Empty(start) => open.last_mut().unwrap().children.push(element(&start)),
            Xml::End(_) => {
                let done = open.pop().unwrap();
                open.last_mut().unwrap().children.push(done);
            }
            Xml::Text(text) => {
                open.last_mut().unwrap().text.push_str(&text);
            }
            Xml::Eof => break,
            _ => {}
        }
    }
    open.remove(0).children.remove(0)
}

/// How often a child may be there.
#[derive(Clone, Copy)]
enum Times {
    One,
    Optional,
    Any,
    Some,
}

/// What an element may hold: required attributes, optional ones, children in their order. A
/// bar in a name stands between the values that an attribute may have.
struct Form {
    required: &'static [&'static str],
    optional: &'static [&'static str],
    children: &'static [(&'static str, Times)],
}

fn form(name: &str) -> Form {
    use Times::{Any, One, Optional, Some};
    let (required, optional, children): (
        &'static [&'static str],
        &'static [&'static str],
        &'static [(&'static str, Times)],
    ) = match name {
        "AuditMessage" => (
            &[],
            &[],
            &[
                ("EventIdentification", One),
                ("ActiveParticipant", Some),
                ("AuditSourceIdentification", One),
                ("ParticipantObjectIdentification", Any),
            ],
        ),
        "EventIdentification" => (
            &["EventDateTime", "EventOutcomeIndicator=0|4|8|12"],
            &["EventActionCode=C|R|U|D|E"],
            &[
                ("EventID", One),
                ("EventTypeCode", Any),
                ("EventOutcomeDescription", Optional),
            ],
        ),
        "EventID"
        | "EventTypeCode"
        | "RoleIDCode"
        | "MediaType"
        | "ParticipantObjectIDTypeCode" => (
            &["csd-code", "codeSystemName", "originalText"],
            &["displayName"],
            &[],
        ),
        "ActiveParticipant" => (
            &["UserID", "UserIsRequestor=true|false"],
            &[
                "AlternativeUserID",
                "UserName",
                "NetworkAccessPointID",
                "NetworkAccessPointTypeCode=1|2|3|4|5",
            ],
            &[("RoleIDCode", Any), ("MediaIdentifier", Optional)],
        ),
        "MediaIdentifier" => (&[], &[], &[("MediaType", One)]),
        "AuditSourceIdentification" => (
            &["AuditSourceID"],
            &["AuditEnterpriseSiteID"],
            &[("AuditSourceTypeCode", Any)],
        ),
        "AuditSourceTypeCode" => (&["csd-code=1|2|3|4|5|6|7|8|9"], &[], &[]),
        "ParticipantObjectIdentification" => (
            &["ParticipantObjectID"],
            &[
                "ParticipantObjectTypeCode=1|2|3|4",
                "ParticipantObjectTypeCodeRole=1|3|11|12|13|24",
                "ParticipantObjectDataLifeCycle=1|2|3|6|7|10|14|15",
                "ParticipantObjectSensitivity",
            ],
            &[
                ("ParticipantObjectIDTypeCode", One),
                ("ParticipantObjectName", Optional),
                ("ParticipantObjectQuery", Optional),
                ("ParticipantObjectDetail", Any),
                ("ParticipantObjectDescription", Any),
            ],
        ),
        "ParticipantObjectDetail" => (&["type", "value"], &[], &[]),
        "ParticipantObjectDescription" => (&[], &[], &[("Accession", Any), ("SOPClass", Any)]),
        "Accession" => (&["Number"], &[], &[]),
        "SOPClass" => (&["NumberOfInstances"], &["UID"], &[("Instance", Any)]),
        "EventOutcomeDescription" | "ParticipantObjectName" | "ParticipantObjectQuery" => {
            (&[], &[], &[])
        }
        name => panic!("there is no element {name}"),
    };
    Form {
        required,
        optional,
        children,
    }
}

fn check(element: &Element) {
    let form = form(&element.name);
    let split = |form: &'static str| form.split_once('=').unwrap_or((form, ""));
    for required in form.required {
        let name = split(required).0;
        assert!(element.attributes.contains_key(name), "{name}: {element:?}");
    }
    for (name, value) in &element.attributes {
        let (_, values) = form
            .required
            .iter()
            .chain(form.optional)
            .map(|form| split(form))
            .find(|(known, _)| known == name)
            .unwrap_or_else(|| panic!("{} has no attribute {name}", element.name));
        assert!(
            values.is_empty() || values.split('|').any(|known| known == value),
            "{name}={value}"
        );
    }
    let mut rest = element.children.iter().peekable();
    for (name, times) in form.children {
        let mut count = 0;
        while rest.next_if(|child| child.name == *name).is_some() {
            count += 1;
        }
        let is_right = match times {
            Times::One => count == 1,
            Times::Optional => count <= 1,
            Times::Some => count >= 1,
            Times::Any => true,
        };
        assert!(is_right, "{} has {count} of {name}", element.name);
    }
    assert!(
        rest.peek().is_none(),
        "{:?} in {}",
        rest.peek(),
        element.name
    );
    element.children.iter().for_each(check);
    if element.name == "ParticipantObjectIdentification" {
        let count = |name: &str| element.children.iter().filter(|it| it.name == name).count();
        let names = count("ParticipantObjectName") + count("ParticipantObjectQuery");
        assert_eq!(names, 1, "either a name or a query: {element:?}");
    }
}

fn source() -> Source {
    Source {
        id: "GANTRY".into(),
        site: "Hospital <North>".into(),
        host: "pacs1".into(),
        ae_title: "GANTRY".into(),
    }
}

/// An event of a kind with everything that an event can have.
fn full(kind: Kind) -> Event {
    let actor = Actor {
        door: "http".into(),
        user: Some("j\"doe&<>".into()),
        roles: vec!["radiologist".into()],
        calling_ae: Some("CT1".into()),
        address: Some("10.0.0.7".into()),
        credential: Some("session 1".into()),
        ..Actor::default()
    };
    let mut study = Study::new("1.2.3");
    study.instances = 9;
    study.series = vec!["1.2.3.4".into()];
    study.sop_classes = [("1.2.840.10008.5.1.4.1.1.2".to_owned(), 7)].into();
    study.accession = Some("A 1".into());
    let mut event = Event::by(kind, actor)
        .study(study)
        .other("DEST")
        .question("1.2.840.10008.5.1.4.1.2.2.1", "PatientName=Müller*\n\u{1}")
        .subject("user", "roe")
        .reason("second opinion")
        .outcome(Outcome::MinorFailure, "no\u{0}thing")
        .change(Some("before".into()), Some(serde_json::json!({"a": [1]})));
    event.patient = Some(Patient {
        id: "4711".into(),
        issuer: Some("North".into()),
    });
    event.summary = Some(Summary {
        accesses: 5,
        from: 0,
        until: 1,
    });
    event
}

fn bare(kind: Kind) -> Event {
    Event::by(
        kind,
        Actor::from(&gantry_core::principal::Principal::system()),
    )
}

fn find<'a>(message: &'a Element, name: &str) -> Vec<&'a Element> {
    message
        .children
        .iter()
        .filter(|it| it.name == name)
        .collect()
}

#[test]
fn every_kind_of_event_gives_a_message_of_the_schema() {
    for kind in Kind::ALL {
        for event in [full(*kind), bare(*kind)] {
            for brief in [false, true] {
                let message = parse(&audit_message(&event, &source(), brief));
                assert_eq!(message.name, "AuditMessage");
                check(&message);
                let id = &message.children[0].children[0];
                assert_eq!(id.attributes["csd-code"], kind.family().code().value);
            }
        }
    }
}

#[test]
fn who_sends_and_who_gets_is_told_by_role() {
    let roles = |event: &Event| -> Vec<(String, Vec<String>)> {
        let message = parse(&audit_message(event, &source(), false));
        find(&message, "ActiveParticipant")
            .into_iter()
            .map(|it| {
                let codes = it.children.iter().filter(|role| {
                    role.name == "RoleIDCode" && role.attributes["codeSystemName"] == "DCM"
                });
                let codes = codes.map(|role| role.attributes["csd-code"].clone());
                (it.attributes["UserID"].clone(), codes.collect())
            })
            .collect()
    };
    let pair = |id: &str, role: &[&str]| {
        (
            id.to_owned(),
            role.iter().map(|it| (*it).to_owned()).collect(),
        )
    };
    let person = "j\"doe&<>";
    assert_eq!(
        roles(&full(Kind::Received)),
        [pair(person, &["110153"]), pair("GANTRY", &["110152"])]
    );
    assert_eq!(
        roles(&full(Kind::Sent)),
        [
            pair("GANTRY", &["110153"]),
            pair("DEST", &["110152"]),
            pair(person, &[])
        ]
    );
    let get = Event {
        other: None,
        ..full(Kind::Sent)
    };
    assert_eq!(
        roles(&get),
        [pair("GANTRY", &["110153"]), pair(person, &["110152"])]
    );
    assert_eq!(
        roles(&full(Kind::Queried)),
        [pair(person, &["110153"]), pair("GANTRY", &["110152"])]
    );
    assert_eq!(
        roles(&full(Kind::Exported)),
        [pair(person, &["110153"]), pair("DEST", &["110154"])]
    );
    assert_eq!(
        roles(&bare(Kind::ApplicationStarted)),
        [pair("GANTRY", &["110150"])]
    );
}

#[test]
fn what_is_told_of_studies_patients_and_queries() {
    use base64::Engine;
    let message = parse(&audit_message(&full(Kind::Queried), &source(), false));
    let objects = find(&message, "ParticipantObjectIdentification");
    let ids: Vec<&str> = objects
        .iter()
        .map(|it| it.attributes["ParticipantObjectID"].as_str())
        .collect();
    assert_eq!(
        ids,
        [
            "1.2.3",
            "4711^^^North",
            "1.2.840.10008.5.1.4.1.2.2.1",
            "roe"
        ]
    );
    let description = objects[0]
        .children
        .iter()
        .find(|it| it.name == "ParticipantObjectDescription")
        .unwrap();
    let counts: Vec<&str> = find(description, "SOPClass")
        .into_iter()
        .map(|it| it.attributes["NumberOfInstances"].as_str())
        .collect();
    assert_eq!(
        counts,
        ["7", "2"],
        "those of no known class are counted too"
    );
    let query = &find(objects[2], "ParticipantObjectQuery")[0].text;
    let query = base64::engine::general_purpose::STANDARD
        .decode(query)
        .unwrap();
    assert_eq!(
        String::from_utf8(query).unwrap(),
        "PatientName=Müller*\n\u{1}"
    );
    // With the data set of the query.
    let event = full(Kind::Queried).identifier("1.2.840.10008.1.2.1", b"\x10\0\x20\0");
    let message = parse(&audit_message(&event, &source(), false));
    let object = find(&message, "ParticipantObjectIdentification")[2];
    let type_code = &object.children[0].attributes["csd-code"];
    assert_eq!(type_code, "110181");
    assert_eq!(find(object, "ParticipantObjectQuery")[0].text, "EAAgAA==");
    let syntax = &find(object, "ParticipantObjectDetail")[0].attributes;
    assert_eq!(syntax["type"], "TransferSyntax");
}

#[test]
fn alerts_and_the_log_s_own_use_have_what_their_tables_ask_for() {
    let message = parse(&audit_message(&bare(Kind::KeyRotated), &source(), false));
    let object = find(&message, "ParticipantObjectIdentification")[0];
    let detail = &find(object, "ParticipantObjectDetail")[0].attributes;
    assert_eq!(detail["type"], "Alert Description");
    for participant in find(&message, "ActiveParticipant") {
        assert_eq!(participant.attributes["UserIsRequestor"], "false");
    }
    let message = parse(&audit_message(&bare(Kind::AuditRead), &source(), false));
    let object = find(&message, "ParticipantObjectIdentification")[0];
    assert_eq!(
        find(object, "ParticipantObjectName")[0].text,
        "Security Audit Log"
    );
    assert_eq!(object.attributes["ParticipantObjectTypeCodeRole"], "13");
}

#[test]
fn every_kind_of_event_gives_an_audit_event_of_fhir() {
    for kind in Kind::ALL {
        for event in [full(*kind), bare(*kind)] {
            let recorded = Recorded {
                sequence: 7,
                recorded: 0,
                hash: Hash([1; 32]),
                event,
            };
            let resource = audit_event(&recorded, &source());
            assert_eq!(resource["resourceType"], "AuditEvent");
            // What R4 asks for: type, recorded, agent 1..* with requestor, source.observer.
            assert!(resource["type"]["code"].is_string());
            assert!(resource["recorded"].as_str().unwrap().ends_with('Z'));
            let agents = resource["agent"].as_array().unwrap();
            assert!(!agents.is_empty());
            assert!(agents.iter().all(|it| it["requestor"].is_boolean()));
            assert!(resource["source"]["observer"].is_object());
            // Invariant sev-1: either a name or a query.
            for entity in resource["entity"].as_array().into_iter().flatten() {
                assert!(!(entity["name"].is_string() && entity["query"].is_string()));
                for detail in entity["detail"].as_array().into_iter().flatten() {
                    assert!(!detail["valueString"].as_str().unwrap().is_empty());
                }
            }
            no_empty(&resource);
        }
    }
    assert_eq!(Family::ALL.len(), 15);
}

/// FHIR has no empty objects, lists or texts.
fn no_empty(value: &serde_json::Value) {
    match value {
        serde_json::Value::Object(fields) => {
            assert!(!fields.is_empty());
            fields.values().for_each(no_empty);
        }
        serde_json::Value::Array(items) => {
            assert!(!items.is_empty());
            items.iter().for_each(no_empty);
        }
        serde_json::Value::String(text) => assert!(!text.is_empty()),
        serde_json::Value::Null => panic!("null"),
        _ => {}
    }
}
