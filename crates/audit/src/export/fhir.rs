//! Events as FHIR R4 AuditEvent resources (<https://hl7.org/fhir/R4/auditevent.html>).

use super::Source;
use super::participant::{Participant, participants};
use super::time::rfc3339;
use crate::event::{Event, Study};
use crate::kind::{Code, Family};
use crate::reader::Recorded;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use std::net::IpAddr;

const DCM: &str = "http://dicom.nema.org/resources/ontology/DCM";
const ENTITY_TYPE: &str = "http://terminology.hl7.org/CodeSystem/audit-entity-type";
const OBJECT_ROLE: &str = "http://terminology.hl7.org/CodeSystem/object-role";
const SOURCE_TYPE: &str = "http://terminology.hl7.org/CodeSystem/security-source-type";
/// The system of our own codes.
const OWN: &str = "urn:gantry:audit:kind";
/// The system in which events have their numbers and hashes.
const CHAIN: &str = "urn:gantry:audit:hash";

/// The resource of an event. Its identity is the number, its `meta.versionId` never changes.
pub fn audit_event(recorded: &Recorded, source: &Source) -> Value {
    let event = &recorded.event;
    let mut resource = json!({
        "resourceType": "AuditEvent",
        "id": recorded.sequence.to_string(),
        "meta": { "tag": [{ "system": CHAIN, "code": recorded.hash.to_string() }] },
        "type": coding(event.kind.family().code()),
        "subtype": subtypes(event),
        "action": event.action_code().as_str(),
        "recorded": rfc3339(event.at),
        "outcome": event.outcome.number().to_string(),
        "agent": participants(event, source).iter().map(agent).collect::<Vec<_>>(),
        "source": {
            "observer": {
                "identifier": { "value": source.id },
                "display": source.host,
            },
            "type": [{ "system": SOURCE_TYPE, "code": "4", "display": "Application Server" }],
        },
    });
    if let Some(fields) = resource.as_object_mut() {
        if let Some(text) = text(&event.text) {
            fields.insert("outcomeDesc".into(), text);
        }
        if let Some(reason) = text(&event.reason) {
            fields.insert("purposeOfEvent".into(), json!([{ "text": reason }]));
        }
        if let Some(summary) = &event.summary {
            let period = json!({
                "start": rfc3339(summary.from),
                "end": rfc3339(summary.until),
            });
            fields.insert("period".into(), period);
        }
        let entities = entities(event);
        if !entities.is_empty() {
            fields.insert("entity".into(), entities.into());
        }
        if !source.site.is_empty()
            && let Some(source_fields) = fields.get_mut("source").and_then(Value::as_object_mut)
        {
            source_fields.insert("site".into(), source.site.clone().into());
        }
    }
    resource
}

/// A searchset of events; `next` is the URL of the next page.
pub fn bundle(events: &[Recorded], source: &Source, own_url: &str, next: Option<&str>) -> Value {
    let mut links = vec![json!({ "relation": "self", "url": own_url })];
    links.extend(next.map(|url| json!({ "relation": "next", "url": url })));
    let entries: Vec<Value> = events
        .iter()
        .map(|it| {
            json!({
                "resource": audit_event(it, source),
                "search": { "mode": "match" },
            })
        })
        .collect();
    json!({
        "resourceType": "Bundle",
        "type": "searchset",
        "link": links,
        "entry": entries,
    })
}

/// A text that FHIR allows: not empty.
fn text(text: &Option<String>) -> Option<Value> {
    text.as_ref()
        .filter(|text| !text.trim().is_empty())
        .map(|text| Value::from(text.clone()))
}

fn coding(code: Code) -> Value {
    json!({ "system": DCM, "code": code.value, "display": code.meaning })
}

fn subtypes(event: &Event) -> Vec<Value> {
    let own = json!({ "system": OWN, "code": event.kind.as_str() });
    event
        .kind
        .type_code()
        .map(coding)
        .into_iter()
        .chain([own])
        .collect()
}

fn agent(participant: &Participant) -> Value {
    let mut agent = Map::new();
    if let Some(role) = participant.roles.first() {
        agent.insert("type".into(), json!({ "coding": [coding(*role)] }));
    }
    let own_roles: Vec<Value> = participant
        .own_roles
        .iter()
        .map(|role| json!({ "text": role }))
        .collect();
    if !own_roles.is_empty() {
        agent.insert("role".into(), own_roles.into());
    }
    let who = json!({ "identifier": { "value": participant.user_id } });
    agent.insert("who".into(), who);
    if let Some(title) = &participant.ae_title {
        agent.insert("altId".into(), title.clone().into());
    }
    agent.insert("requestor".into(), participant.is_requestor.into());
    if participant.is_medium {
        let media = json!({ "system": DCM, "code": "110037", "display": "URI" });
        agent.insert("media".into(), media);
    }
    if let Some(address) = &participant.address {
        let is_address = address.parse::<IpAddr>().is_ok();
        let network = json!({ "address": address, "type": if is_address { "2" } else { "1" } });
        agent.insert("network".into(), network);
    }
    Value::Object(agent)
}

/// An entity: what it is (audit-entity-type), its role (object-role), its identifier.
fn entity(kind: &str, role: &str, system: Option<&str>, value: &str) -> Map<String, Value> {
    let mut identifier = json!({ "value": value });
    if let Some(system) = system
        && let Some(identifier) = identifier.as_object_mut()
    {
        identifier.insert("system".into(), system.into());
    }
    let fields = json!({
        "what": { "identifier": identifier },
        "type": { "system": ENTITY_TYPE, "code": kind },
        "role": { "system": OBJECT_ROLE, "code": role },
    });
    match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

fn entities(event: &Event) -> Vec<Value> {
    let mut entities: Vec<Map<String, Value>> = event.studies.iter().map(study).collect();
    if let Some(patient) = &event.patient {
        let mut entity = entity("1", "1", None, &patient.id);
        if let Some(issuer) = &patient.issuer
            && let Some(what) = entity.get_mut("what").and_then(Value::as_object_mut)
            && let Some(identifier) = what.get_mut("identifier").and_then(Value::as_object_mut)
        {
            identifier.insert("assigner".into(), json!({ "display": issuer }));
        }
        entities.push(entity);
    }
    if let Some(question) = &event.question {
        let mut entity = entity("2", "24", None, &question.of);
        let query = question
            .data_set
            .clone()
            .unwrap_or_else(|| STANDARD.encode(&question.text));
        if !query.is_empty() {
            entity.insert("query".into(), query.into());
        }
        entities.push(entity);
    }
    if event.kind.family() == Family::AuditLogUsed {
        let mut entity = entity("2", "13", None, "gantry:audit.sqlite");
        entity.insert("name".into(), "Security Audit Log".into());
        entities.push(entity);
    } else if let Some(subject) = &event.subject {
        let (kind, role) = match subject.what.as_str() {
            "user" | "person" => ("1", "11"),
            "role" => ("2", "12"),
            _ => ("2", "13"),
        };
        let id = format!("gantry:{}/{}", subject.what, subject.id);
        entities.push(entity(kind, role, None, &id));
    }
    let details = details(event);
    if !details.is_empty() {
        if entities.is_empty() {
            entities.push(entity("4", "4", None, event.kind.as_str()));
        }
        if let Some(first) = entities.first_mut() {
            let had = first.remove("detail");
            let mut all = details;
            if let Some(Value::Array(had)) = had {
                all.extend(had);
            }
            first.insert("detail".into(), all.into());
        }
    }
    entities.into_iter().map(Value::Object).collect()
}

fn study(study: &Study) -> Map<String, Value> {
    let uid = format!("urn:oid:{}", study.uid);
    let mut entity = entity("2", "3", Some("urn:dicom:uid"), &uid);
    let mut details = Vec::new();
    let mut add = |name: &str, value: String| {
        details.push(json!({ "type": name, "valueString": value }));
    };
    for series in &study.series {
        add("Series Instance UID", series.clone());
    }
    if study.instances > 0 {
        add("NumberOfInstances", study.instances.to_string());
    }
    for (class, count) in &study.sop_classes {
        add("SOPClass", format!("{class} ({count})"));
    }
    if let Some(accession) = study.accession.as_ref().filter(|it| !it.is_empty()) {
        add("Accession", accession.clone());
    }
    if !details.is_empty() {
        entity.insert("detail".into(), details.into());
    }
    entity
}

fn details(event: &Event) -> Vec<Value> {
    let json_text = |value: &Option<Value>| value.as_ref().map(ToString::to_string);
    let accesses = event.summary.as_ref().map(|it| it.accesses.to_string());
    [
        ("Before", json_text(&event.before)),
        ("After", json_text(&event.after)),
        ("Accesses", accesses),
        ("Credential", event.actor.credential.clone()),
        ("Certificate", event.actor.certificate.clone()),
        ("Door", Some(event.actor.door.clone())),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value.filter(|value| !value.is_empty())?)))
    .map(|(name, value)| json!({ "type": name, "valueString": value }))
    .collect()
}
