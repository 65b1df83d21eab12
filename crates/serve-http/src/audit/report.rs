//! Who has accessed a patient's images: the report that the patient may ask for.

use super::auditor::{self, blocking};
use super::filter::{self, PatientBody};
use crate::context::{Asked, Context};
use crate::problem::Problem;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use gantry_audit::export::rfc3339;
use gantry_audit::{Event, Filter, Kind, PAGE_MAX, Reader};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Most events that a report sums up; a patient with more of them asks for a shorter time.
const EVENTS_MAX: usize = 1_000_000;

/// Whose accesses to what are told in one line.
type Key = (String, &'static str, String, Option<String>);

/// What is told of them.
#[derive(Debug, Default)]
struct Line {
    roles: Vec<String>,
    addresses: Vec<String>,
    reasons: Vec<String>,
    first: i64,
    last: i64,
    accesses: u64,
    failures: u64,
    instances: u64,
}

/// `POST /api/audit/patients/report`.
pub async fn report(
    State(context): State<Context>,
    asked: Asked,
    body: Body,
) -> Result<Json<Value>, Problem> {
    let body: PatientBody = filter::json(body, context.config.body_timeout()).await?;
    let filter = body.filter()?;
    let trail = auditor::admit(&context, &asked, Kind::AuditRead, &filter).await?;
    let patient = filter.patient.clone();
    let (lines, is_complete) = blocking(move || collect(trail.log.reader(), &filter)).await?;
    let lines: Vec<Value> = lines.iter().map(|(key, line)| told(key, line)).collect();
    Ok(Json(json!({
        "patient_id": patient.as_ref().map(|it| it.patient_id.clone()),
        "issuer": patient.and_then(|it| it.issuer),
        "accesses": lines,
        "is_complete": is_complete,
    })))
}

fn collect(reader: &Reader, filter: &Filter) -> gantry_audit::Result<(BTreeMap<Key, Line>, bool)> {
    let mut lines: BTreeMap<Key, Line> = BTreeMap::new();
    let mut before = None;
    let mut events = 0;
    loop {
        let page = reader.page(filter, before, PAGE_MAX)?;
        events += page.events.len();
        for recorded in &page.events {
            add(&mut lines, &recorded.event);
        }
        before = page.before;
        if before.is_none() {
            return Ok((lines, true));
        }
        if events >= EVENTS_MAX {
            return Ok((lines, false));
        }
    }
}

fn add(lines: &mut BTreeMap<Key, Line>, event: &Event) {
    // That the trail itself was read is no access to the patient's images.
    if event.kind.family() == gantry_audit::Family::AuditLogUsed {
        return;
    }
    let actor = &event.actor;
    let who = [&actor.user, &actor.calling_ae, &actor.address]
        .into_iter()
        .find_map(Clone::clone)
        .unwrap_or_else(|| actor.door.clone());
    let accesses = event.summary.as_ref().map_or(1, |it| it.accesses);
    let (first, last) = event
        .summary
        .as_ref()
        .map_or((event.at, event.at), |it| (it.from, it.until));
    let whole = [gantry_audit::Study::default()];
    let studies = if event.studies.is_empty() {
        &whole[..]
    } else {
        &event.studies
    };
    for study in studies {
        let key = (
            who.clone(),
            event.kind.as_str(),
            study.uid.clone(),
            event.other.clone(),
        );
        let line = lines.entry(key).or_default();
        line.first = if line.accesses == 0 {
            first
        } else {
            line.first.min(first)
        };
        line.last = line.last.max(last);
        line.accesses += accesses;
        line.instances += study.instances;
        if event.outcome != gantry_audit::Outcome::Success {
            line.failures += accesses;
        }
        for role in &actor.roles {
            note(&mut line.roles, role);
        }
        for (list, text) in [
            (&mut line.addresses, &actor.address),
            (&mut line.reasons, &event.reason),
        ] {
            if let Some(text) = text {
                note(list, text);
            }
        }
    }
}

fn note(list: &mut Vec<String>, text: &str) {
    const LIST_MAX: usize = 64;
    if list.len() < LIST_MAX && !list.iter().any(|one| one == text) {
        list.push(text.to_owned());
    }
}

fn told((who, kind, study, other): &Key, line: &Line) -> Value {
    json!({
        "who": who,
        "roles": line.roles,
        "addresses": line.addresses,
        "kind": kind,
        "study": (!study.is_empty()).then_some(study),
        "other": other,
        "reasons": line.reasons,
        "first": rfc3339(line.first),
        "last": rfc3339(line.last),
        "accesses": line.accesses,
        "failures": line.failures,
        "instances": line.instances,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use gantry_audit::event::Summary;
    use gantry_audit::{Actor, Study};

    #[test]
    fn accesses_of_one_person_to_one_study_are_one_line() {
        let actor = Actor {
            user: Some("doe".into()),
            roles: vec!["radiologist".into()],
            ..Actor::default()
        };
        let viewed = |at| Event {
            at,
            ..Event::by(Kind::Viewed, actor.clone()).study(Study::new("1.2"))
        };
        let mut lines = BTreeMap::new();
        add(&mut lines, &viewed(20));
        let summary = Summary {
            accesses: 9,
            from: 5,
            until: 30,
        };
        add(
            &mut lines,
            &Event {
                summary: Some(summary),
                ..viewed(40)
            },
        );
        add(&mut lines, &Event::by(Kind::AuditRead, actor));
        assert_eq!(lines.len(), 1);
        let (key, line) = lines.first_key_value().unwrap();
        assert_eq!((line.accesses, line.first, line.last), (10, 5, 30));
        let told = told(key, line);
        assert_eq!(told["who"], "doe");
        assert_eq!(told["roles"][0], "radiologist");
        assert_eq!(told["study"], "1.2");
    }
}
