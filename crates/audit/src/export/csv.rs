//! Events as lines of CSV (RFC 4180).

use super::time::rfc3339;
use crate::reader::Recorded;
use std::fmt::Write;

/// The first line.
pub const HEADER: &str = "sequence,at,kind,action,outcome,text,user,roles,door,calling_ae,\
called_ae,address,credential,certificate,other,patient_id,issuer,studies,series,instances,\
accesses,question,subject,reason,before,after,hash\r\n";

/// The line of an event, with its end.
pub fn line(recorded: &Recorded) -> String {
    let event = &recorded.event;
    let actor = &event.actor;
    let some = |text: &Option<String>| text.clone().unwrap_or_default();
    let json = |value: &Option<serde_json::Value>| {
        value.as_ref().map_or_else(String::new, ToString::to_string)
    };
    let studies: Vec<&str> = event.studies.iter().map(|it| it.uid.as_str()).collect();
    let series: Vec<&str> = event
        .studies
        .iter()
        .flat_map(|it| it.series.iter().map(String::as_str))
        .collect();
    let instances: u64 = event.studies.iter().map(|it| it.instances).sum();
    let accesses = event.summary.as_ref().map_or(1, |it| it.accesses);
    let patient = event.patient.as_ref();
    let question = event.question.as_ref();
    let subject = event.subject.as_ref();
    let cells = [
        recorded.sequence.to_string(),
        rfc3339(event.at),
        event.kind.to_string(),
        event.action_code().as_str().to_owned(),
        event.outcome.number().to_string(),
        some(&event.text),
        some(&actor.user),
        actor.roles.join(" "),
        actor.door.clone(),
        some(&actor.calling_ae),
        some(&actor.called_ae),
        some(&actor.address),
        some(&actor.credential),
        some(&actor.certificate),
        some(&event.other),
        patient.map(|it| it.id.clone()).unwrap_or_default(),
        patient.map(|it| some(&it.issuer)).unwrap_or_default(),
        studies.join(" "),
        series.join(" "),
        instances.to_string(),
        accesses.to_string(),
        question.map_or_else(String::new, |it| format!("{} {}", it.of, it.text)),
        subject.map_or_else(String::new, |it| format!("{} {}", it.what, it.id)),
        some(&event.reason),
        json(&event.before),
        json(&event.after),
        recorded.hash.to_string(),
    ];
    let mut line = String::new();
    for (number, cell) in cells.iter().enumerate() {
        if number > 0 {
            line.push(',');
        }
        push_cell(&mut line, cell);
    }
    line.push_str("\r\n");
    line
}

/// A cell, in quotation marks where need be. What a spreadsheet would take for a formula gets an
/// apostrophe before it: an AE title or a query comes from outside.
fn push_cell(line: &mut String, cell: &str) {
    let is_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if !is_formula && !cell.contains([',', '"', '\r', '\n']) {
        line.push_str(cell);
        return;
    }
    let apostrophe = if is_formula { "'" } else { "" };
    // Writing to a string does not fail.
    let _ = write!(line, "\"{apostrophe}{}\"", cell.replace('"', "\"\""));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Actor, Event, Hash, Kind};

    #[test]
    fn every_line_has_the_cells_of_the_header_and_no_formula() {
        let recorded = Recorded {
            sequence: 7,
            recorded: 0,
            hash: Hash([0; 32]),
            event: Event::by(Kind::Queried, Actor::default())
                .text("=HYPERLINK(\"x\")")
                .question("1.2", "PatientName"),
        };
        let line = line(&recorded);
        assert_eq!(line.split(',').count(), HEADER.split(',').count());
        assert!(line.contains(",\"'=HYPERLINK(\"\"x\"\")\","), "{line}");
        assert!(line.ends_with("\r\n"));
    }
}
