//! DICOM Audit Messages (PS3.15 A.5).

use super::Source;
use super::participant::{Participant, participants};
use super::time::rfc3339;
use super::xml::Xml;
use crate::event::{Event, Study};
use crate::kind::{Code, Family, Kind, dcm};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::net::IpAddr;

/// Studies, and texts of details in bytes, of a message that has to be short.
const BRIEF_STUDIES: usize = 32;
const BRIEF_TEXT: usize = 1024;

/// Codes of identifiers that are no DICOM terms (PS3.15 A.5.1.2.4).
const fn rfc3881(value: &'static str, meaning: &'static str) -> Code {
    Code {
        value,
        scheme: "RFC-3881",
        meaning,
    }
}

const STUDY_UID: Code = dcm("110180", "Study Instance UID");
const SOP_CLASS_UID: Code = dcm("110181", "SOP Class UID");
const NODE_ID: Code = dcm("110182", "Node ID");
const URI_MEDIUM: Code = dcm("110037", "URI");
const PATIENT_NUMBER: Code = rfc3881("2", "Patient Number");
const SEARCH_CRITERIA: Code = rfc3881("10", "Search Criteria");
const USER_ID: Code = rfc3881("11", "User Identifier");
const URI: Code = rfc3881("12", "URI");

/// The message of an event. One that has to be `brief` leaves out what is long.
pub fn audit_message(event: &Event, source: &Source, brief: bool) -> String {
    let mut xml = Xml::new();
    xml.start("AuditMessage");
    event_identification(&mut xml, event);
    for participant in participants(event, source) {
        active_participant(&mut xml, &participant);
    }
    audit_source(&mut xml, source);
    Objects { event, brief }.write(&mut xml);
    xml.finish()
}

fn event_identification(xml: &mut Xml, event: &Event) {
    xml.start("EventIdentification")
        .attribute("EventActionCode", event.action_code().as_str())
        .attribute("EventDateTime", &rfc3339(event.at))
        .attribute("EventOutcomeIndicator", &event.outcome.number().to_string());
    code(xml, "EventID", event.kind.family().code());
    if let Some(type_code) = event.kind.type_code() {
        code(xml, "EventTypeCode", type_code);
    }
    own_code(xml, "EventTypeCode", event.kind.as_str());
    if let Some(text) = &event.text {
        xml.start("EventOutcomeDescription").content(text).end();
    }
    xml.end();
}

fn active_participant(xml: &mut Xml, participant: &Participant) {
    xml.start("ActiveParticipant")
        .attribute("UserID", &participant.user_id);
    if let Some(title) = &participant.ae_title {
        // A.5.2.2.
        xml.attribute("AlternativeUserID", &format!("AETITLES={title}"));
    }
    let is_requestor = if participant.is_requestor {
        "true"
    } else {
        "false"
    };
    xml.attribute("UserIsRequestor", is_requestor);
    if let Some(address) = &participant.address {
        let is_address = address.parse::<IpAddr>().is_ok();
        xml.attribute("NetworkAccessPointID", address).attribute(
            "NetworkAccessPointTypeCode",
            if is_address { "2" } else { "1" },
        );
    }
    for role in &participant.roles {
        code(xml, "RoleIDCode", *role);
    }
    for role in &participant.own_roles {
        own_code(xml, "RoleIDCode", role);
    }
    if participant.is_medium {
        xml.start("MediaIdentifier");
        code(xml, "MediaType", URI_MEDIUM);
        xml.end();
    }
    xml.end();
}

fn audit_source(xml: &mut Xml, source: &Source) {
    xml.start("AuditSourceIdentification");
    if !source.site.is_empty() {
        xml.attribute("AuditEnterpriseSiteID", &source.site);
    }
    xml.attribute("AuditSourceID", &source.id);
    // An application server process.
    xml.start("AuditSourceTypeCode")
        .attribute("csd-code", "4")
        .end();
    xml.end();
}

fn code(xml: &mut Xml, element: &'static str, code: Code) {
    xml.start(element)
        .attribute("csd-code", code.value)
        .attribute("codeSystemName", code.scheme)
        .attribute("originalText", code.meaning)
        .end();
}

fn own_code(xml: &mut Xml, element: &'static str, word: &str) {
    xml.start(element)
        .attribute("csd-code", word)
        .attribute("codeSystemName", "Gantry")
        .attribute("originalText", word)
        .end();
}

/// The objects of an event.
struct Objects<'a> {
    event: &'a Event,
    brief: bool,
}

/// One of them.
struct Object<'a> {
    id: &'a str,
    type_code: &'a str,
    role: &'a str,
    id_type: Code,
    name: &'a str,
    life_cycle: Option<&'a str>,
}

impl Objects<'_> {
    fn write(&self, xml: &mut Xml) {
        let event = self.event;
        let mut details = self.details();
        let studies_max = if self.brief {
            BRIEF_STUDIES
        } else {
            usize::MAX
        };
        for study in event.studies.iter().take(studies_max) {
            self.study(xml, study, &std::mem::take(&mut details));
        }
        if let Some(patient) = &event.patient {
            let id = match &patient.issuer {
                Some(issuer) => format!("{}^^^{issuer}", patient.id),
                None => patient.id.clone(),
            };
            let object = Object {
                id: &id,
                type_code: "1",
                role: "1",
                id_type: PATIENT_NUMBER,
                // The name of the patient is left out; the element may not be.
                name: &id,
                life_cycle: None,
            };
            start(xml, &object);
            end(xml, &std::mem::take(&mut details));
        }
        if event.question.is_some() {
            self.question(xml, &std::mem::take(&mut details));
        }
        if event.kind.family() == Family::AuditLogUsed {
            let object = Object {
                id: "gantry:audit.sqlite",
                type_code: "2",
                role: "13",
                id_type: URI,
                // Table A.5.3.2-1: shall be this.
                name: "Security Audit Log",
                life_cycle: None,
            };
            start(xml, &object);
            end(xml, &std::mem::take(&mut details));
        } else if event.subject.is_some() || details.iter().any(|(name, _)| *name != "Door") {
            self.subject(xml, &details);
        }
    }

    fn study(&self, xml: &mut Xml, study: &Study, details: &[(&str, String)]) {
        let life_cycle = match self.event.kind {
            Kind::Received => Some("1"),
            Kind::Imported => Some("2"),
            Kind::Modified => Some("3"),
            Kind::Viewed => Some("6"),
            Kind::DeIdentified => Some("7"),
            Kind::Exported => Some("10"),
            Kind::StudyDeleted | Kind::InstancesDeleted => Some("14"),
            Kind::StudyPurged => Some("15"),
            _ => None,
        };
        let object = Object {
            id: &study.uid,
            type_code: "2",
            role: "3",
            id_type: STUDY_UID,
            name: &study.uid,
            life_cycle,
        };
        start(xml, &object);
        detail(xml, details);
        if !self.brief {
            for series in &study.series {
                detail(xml, &[("Series Instance UID", series.clone())]);
            }
        }
        let known: u64 = study.sop_classes.values().sum();
        if study.accession.is_some() || study.instances > 0 || known > 0 {
            xml.start("ParticipantObjectDescription");
            if let Some(accession) = &study.accession {
                xml.start("Accession").attribute("Number", accession).end();
            }
            for (class, count) in &study.sop_classes {
                xml.start("SOPClass")
                    .attribute("UID", class)
                    .attribute("NumberOfInstances", &count.to_string())
                    .end();
            }
            let rest = study.instances.saturating_sub(known);
            if rest > 0 {
                xml.start("SOPClass")
                    .attribute("NumberOfInstances", &rest.to_string())
                    .end();
            }
            xml.end();
        }
        xml.end();
    }

    /// Table A.5.3.10-1: with the data set of the query where there is one, else its text.
    fn question(&self, xml: &mut Xml, details: &[(&str, String)]) {
        let Some(question) = &self.event.question else {
            return;
        };
        let data_set = question
            .data_set
            .as_ref()
            .zip(question.transfer_syntax.as_ref())
            .filter(|_| !self.brief);
        xml.start("ParticipantObjectIdentification")
            .attribute("ParticipantObjectID", &question.of)
            .attribute("ParticipantObjectTypeCode", "2")
            .attribute(
                "ParticipantObjectTypeCodeRole",
                if data_set.is_some() { "3" } else { "24" },
            );
        let id_type = if data_set.is_some() {
            SOP_CLASS_UID
        } else {
            SEARCH_CRITERIA
        };
        code(xml, "ParticipantObjectIDTypeCode", id_type);
        let text = cut(&question.text, self.brief);
        let base64 = data_set.map_or_else(|| STANDARD.encode(text), |(bytes, _)| bytes.clone());
        xml.start("ParticipantObjectQuery").content(&base64).end();
        if let Some((_, syntax)) = data_set {
            detail(xml, &[("TransferSyntax", syntax.clone())]);
        }
        detail(xml, details);
        xml.end();
    }

    /// What was changed or used, and the description of an alert (Table A.5.3.11-1).
    fn subject(&self, xml: &mut Xml, details: &[(&str, String)]) {
        let event = self.event;
        let subject = event.subject.as_ref();
        let (what, id) = subject.map_or(("event", event.kind.as_str()), |it| (&it.what, &it.id));
        let uri = format!("gantry:{what}/{id}");
        let (id, id_type, role) = match what {
            "user" | "person" => (id, USER_ID, "11"),
            "peer" => (id, NODE_ID, "13"),
            "role" => (uri.as_str(), URI, "12"),
            _ => (uri.as_str(), URI, "13"),
        };
        let object = Object {
            id,
            type_code: "2",
            role,
            id_type,
            name: id,
            life_cycle: None,
        };
        start(xml, &object);
        end(xml, details);
    }

    /// What has no field of its own; it goes with the first object.
    fn details(&self) -> Vec<(&'static str, String)> {
        let event = self.event;
        let json = |value: &Option<serde_json::Value>| value.as_ref().map(ToString::to_string);
        let is_alert = event.kind.family() == Family::SecurityAlert;
        let description = event
            .text
            .clone()
            .unwrap_or_else(|| event.kind.as_str().replace('-', " "));
        let summary = event.summary.as_ref();
        [
            ("Alert Description", is_alert.then_some(description)),
            ("Reason", event.reason.clone()),
            ("Before", json(&event.before)),
            ("After", json(&event.after)),
            ("Accesses", summary.map(|it| it.accesses.to_string())),
            ("From", summary.map(|it| rfc3339(it.from))),
            ("Until", summary.map(|it| rfc3339(it.until))),
            ("Credential", event.actor.credential.clone()),
            ("Door", Some(event.actor.door.clone())),
        ]
        .into_iter()
        .filter_map(|(name, text)| Some((name, cut(&text?, self.brief).to_owned())))
        .filter(|(_, text)| !text.is_empty())
        .collect()
    }
}

fn start(xml: &mut Xml, object: &Object<'_>) {
    xml.start("ParticipantObjectIdentification")
        .attribute("ParticipantObjectID", object.id)
        .attribute("ParticipantObjectTypeCode", object.type_code)
        .attribute("ParticipantObjectTypeCodeRole", object.role);
    if let Some(life_cycle) = object.life_cycle {
        xml.attribute("ParticipantObjectDataLifeCycle", life_cycle);
    }
    code(xml, "ParticipantObjectIDTypeCode", object.id_type);
    xml.start("ParticipantObjectName")
        .content(object.name)
        .end();
}

fn end(xml: &mut Xml, details: &[(&str, String)]) {
    detail(xml, details);
    xml.end();
}

/// Values are in base64 whatever they hold (PS3.15 A.5.1).
fn detail(xml: &mut Xml, details: &[(&str, String)]) {
    for (name, text) in details {
        xml.start("ParticipantObjectDetail")
            .attribute("type", name)
            .attribute("value", &STANDARD.encode(text))
            .end();
    }
}

fn cut(text: &str, brief: bool) -> &str {
    if !brief || text.len() <= BRIEF_TEXT {
        return text;
    }
    let end = (0..=BRIEF_TEXT)
        .rev()
        .find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}
