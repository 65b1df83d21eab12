//! Syslog messages (RFC 5424) that carry audit messages (PS3.15 A.6, A.7).

use super::{Source, audit_message, rfc3339};
use crate::event::Outcome;
use crate::reader::Recorded;

/// Longest message that a UDP datagram over IPv4 can hold, less some room.
pub(crate) const DATAGRAM_MAX: usize = 65_000;
/// The enterprise number of the structured data: the one for documentation (RFC 5612), as there
/// is none of our own.
const STRUCTURED_DATA: &str = "gantry@32473";

/// The message of an event. With the number and hash of the event, the collector has the head of
/// the chain too, and can be asked later whether the trail is still the same.
pub fn syslog_message(recorded: &Recorded, source: &Source) -> Vec<u8> {
    let message = message(recorded, source, false);
    if message.len() <= DATAGRAM_MAX {
        return message;
    }
    // Receivers need take no more than 32 KiB (PS3.15 A.6), and a datagram cannot hold it.
    self::message(recorded, source, true)
}

fn message(recorded: &Recorded, source: &Source, brief: bool) -> Vec<u8> {
    let event = &recorded.event;
    // Facility 10, severity 5 (notice), or 4 (warning).
    let priority = match event.outcome {
        Outcome::Success => 85,
        _ => 84,
    };
    let host = name(&source.host, 255);
    let process = std::process::id();
    let mut message = format!(
        "<{priority}>1 {} {host} gantry {process} DICOM+RFC3881 \
         [{STRUCTURED_DATA} sequence=\"{}\" hash=\"{}\"] ",
        rfc3339(event.at),
        recorded.sequence,
        recorded.hash
    )
    .into_bytes();
    // RFC 5424 6.4: UTF-8 begins with a byte order mark.
    message.extend_from_slice("\u{FEFF}".as_bytes());
    message.extend_from_slice(audit_message(event, source, brief).as_bytes());
    message
}

/// A field of the header: printable ASCII without spaces, or a hyphen.
fn name(text: &str, length_max: usize) -> String {
    let name: String = text
        .chars()
        .filter(char::is_ascii_graphic)
        .take(length_max)
        .collect();
    if name.is_empty() { "-".into() } else { name }
}

/// As it goes over a stream (RFC 5425 4.3): its length in bytes, a space, the message.
pub(crate) fn frame(message: &[u8]) -> Vec<u8> {
    let mut frame = format!("{} ", message.len()).into_bytes();
    frame.extend_from_slice(message);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Actor, Event, Hash, Kind, Study};

    fn source() -> Source {
        Source {
            id: "GANTRY".into(),
            site: String::new(),
            host: "pacs 1".into(),
            ae_title: "GANTRY".into(),
        }
    }

    fn recorded(event: Event) -> Recorded {
        Recorded {
            sequence: 3,
            recorded: 0,
            hash: Hash([0xAB; 32]),
            event,
        }
    }

    #[test]
    fn the_header_is_what_rfc_5424_asks_for() {
        let event = Event {
            at: 0,
            ..Event::by(Kind::Viewed, Actor::default())
        };
        let message = syslog_message(&recorded(event), &source());
        let text = String::from_utf8(message.clone()).unwrap();
        let (header, body) = text.split_once('\u{FEFF}').unwrap();
        let expected = format!(
            "<85>1 1970-01-01T00:00:00.000000Z pacs1 gantry {} DICOM+RFC3881 \
             [gantry@32473 sequence=\"3\" hash=\"{}\"] ",
            std::process::id(),
            "ab".repeat(32)
        );
        assert_eq!(header, expected);
        assert!(body.starts_with("<?xml"));
        let framed = frame(&message);
        let length = format!("{} <85>1", message.len());
        assert!(framed.starts_with(length.as_bytes()));
    }

    #[test]
    fn failures_are_warnings() {
        let event = Event::by(Kind::LoggedIn, Actor::default())
            .outcome(Outcome::MinorFailure, "wrong password");
        assert!(syslog_message(&recorded(event), &source()).starts_with(b"<84>1"));
    }

    #[test]
    fn a_long_message_becomes_brief() {
        let mut event =
            Event::by(Kind::Queried, Actor::default()).question("1.2", "x".repeat(60_000));
        for number in 0..4000 {
            event = event.study(Study::new(format!("1.2.{number}")));
        }
        event.bound();
        let message = syslog_message(&recorded(event), &source());
        assert!(message.len() < 32_768, "{}", message.len());
    }
}
