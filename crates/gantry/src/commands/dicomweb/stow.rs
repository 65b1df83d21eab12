//! STOW-RS: storing one Part 10 file a request (PS3.18 §10.5).

use super::client::{Answer, DicomWeb, problem_text};
use bytes::Bytes;
use hyper::StatusCode;
use serde_json::Value;
use std::time::Duration;
use tokio::sync::mpsc;

/// Where parts end. It can be no line of a Part 10 file that is not made for the purpose; such a
/// file would only be refused.
const BOUNDARY: &str = "gantry-6d1f0c9b52e84b7f9a3c-part";
/// Chunks that wait for the connection.
const CHUNKS_AHEAD: usize = 4;

/// What a server did with an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stowed {
    /// It is stored.
    Stored {
        /// A warning if there was one: in words, or its code (PS3.18 Table 10.5.3-2).
        warning: Option<String>,
        /// As the server read it, if it says so.
        sop_instance_uid: String,
    },
    /// It is not stored, and never will be as it is.
    Refused {
        /// Why.
        reason: String,
        /// As the server read it, if it says so.
        sop_instance_uid: String,
    },
    /// It is not stored, but may be later: the server has no room or too much to do.
    Busy {
        /// Why.
        reason: String,
        /// When to try again, if the server says so.
        retry_after: Option<Duration>,
    },
}

/// A request whose body is being written.
pub struct Storing {
    chunks: mpsc::Sender<Bytes>,
    request: tokio::task::JoinHandle<anyhow::Result<Answer>>,
}

impl DicomWeb {
    /// Starts to store one Part 10 file. Must be called within a runtime.
    pub fn begin_store(&self) -> Storing {
        let (sender, receiver) = mpsc::channel(CHUNKS_AHEAD);
        let server = self.clone();
        let request = tokio::spawn(async move {
            let content_type =
                format!("multipart/related; type=\"application/dicom\"; boundary={BOUNDARY}");
            server
                .post(
                    "/studies",
                    &content_type,
                    "application/dicom+json",
                    receiver,
                )
                .await
        });
        Storing {
            chunks: sender,
            request,
        }
    }
}

impl Storing {
    /// Writes the part's header.
    pub async fn start(&self) -> Result<(), ()> {
        let head = format!("--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n");
        self.write(Bytes::from(head)).await
    }

    /// Writes more of the file. An error means that the server does not want more: its answer
    /// tells why.
    pub async fn write(&self, chunk: Bytes) -> Result<(), ()> {
        self.chunks.send(chunk).await.map_err(|_| ())
    }

    /// Ends the body and waits for the answer.
    pub async fn finish(self) -> anyhow::Result<Stowed> {
        // When nobody receives any more, the answer is there already.
        let _ = self
            .write(Bytes::from(format!("\r\n--{BOUNDARY}--\r\n")))
            .await;
        drop(self.chunks);
        Ok(outcome(&self.request.await??))
    }

    /// Gives up: the connection is closed in the middle of the body, so that nothing is stored.
    pub fn abort(self) {
        self.request.abort();
    }
}

/// What the answer says about the one instance of the request (PS3.18 §10.5.3).
fn outcome(answer: &Answer) -> Stowed {
    if matches!(
        answer.status,
        StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::INSUFFICIENT_STORAGE
            | StatusCode::TOO_MANY_REQUESTS
    ) {
        return Stowed::Busy {
            reason: problem_text(answer),
            retry_after: answer.retry_after,
        };
    }
    let module = serde_json::from_slice::<Value>(&answer.body).ok();
    // Some servers answer with an array of one data set.
    let module = match module {
        Some(Value::Array(mut sets)) if !sets.is_empty() => Some(sets.remove(0)),
        other => other,
    };
    let item = |tag: &str| module.as_ref()?.get(tag)?.get("Value")?.get(0);
    if let Some(failed) = item("00081198").or_else(|| item("0008119A")) {
        let reason = number(failed, "00081197").map(failure_text);
        let mut reason = reason.unwrap_or_else(|| problem_text(answer));
        // A code tells little; some servers say more.
        if let Some(text) = answer.warnings.first() {
            reason = format!("{text} ({reason})");
        }
        return Stowed::Refused {
            reason,
            sop_instance_uid: instance(failed),
        };
    }
    if answer.status.is_success() {
        let stored = item("00081199");
        return Stowed::Stored {
            warning: warning(stored, answer),
            sop_instance_uid: stored.map(instance).unwrap_or_default(),
        };
    }
    Stowed::Refused {
        reason: problem_text(answer),
        sop_instance_uid: String::new(),
    }
}

/// Warning Reason (0008,1196), or what the server says in words.
fn warning(stored: Option<&Value>, answer: &Answer) -> Option<String> {
    let code = stored
        .and_then(|stored| number(stored, "00081196"))
        .map(|code| format!("warning {code:04X}H"));
    match (answer.warnings.first(), code) {
        (Some(text), Some(code)) => Some(format!("{text} ({code})")),
        (text, code) => text.cloned().or(code),
    }
}

/// Referenced SOP Instance UID (0008,1155).
fn instance(item: &Value) -> String {
    let value = item
        .get("00081155")
        .and_then(|element| element.get("Value")?.get(0)?.as_str());
    value.unwrap_or_default().to_owned()
}

fn number(item: &Value, tag: &str) -> Option<u16> {
    let value = item.get(tag)?.get("Value")?.get(0)?;
    u16::try_from(value.as_u64()?).ok()
}

/// Failure Reason (0008,1197) in words (PS3.18 Table 10.5.3-3, PS3.3 C.14.1.1).
fn failure_text(code: u16) -> String {
    let words = match code {
        0x0110 => "processing failure",
        0x0111 => "SOP Instance UID is in use for something else",
        0x0122 => "SOP class not supported",
        0x0124 => "not authorized",
        0xA700..=0xA7FF => "out of resources",
        0xA900..=0xA9FF => "data set does not match SOP class or request",
        0xC000..=0xCFFF => "cannot be understood",
        _ => "refused",
    };
    format!("{words} ({code:04X}H)")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &'static str) -> Answer {
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            retry_after: None,
            warnings: Vec::new(),
            body: Bytes::from_static(body.as_bytes()),
        }
    }

    #[test]
    fn answers_are_told_apart() {
        let stored =
            r#"{"00081199":{"vr":"SQ","Value":[{"00081155":{"vr":"UI","Value":["1.2"]}}]}}"#;
        let none = String::new;
        assert_eq!(
            outcome(&answer(200, stored)),
            Stowed::Stored {
                warning: None,
                sop_instance_uid: "1.2".into()
            }
        );
        let warned =
            r#"{"00081199":{"vr":"SQ","Value":[{"00081196":{"vr":"US","Value":[45056]}}]}}"#;
        assert_eq!(
            outcome(&answer(202, warned)),
            Stowed::Stored {
                warning: Some("warning B000H".into()),
                sop_instance_uid: none()
            }
        );
        let failed =
            r#"[{"00081198":{"vr":"SQ","Value":[{"00081197":{"vr":"US","Value":[43264]}}]}}]"#;
        assert_eq!(
            outcome(&answer(409, failed)),
            Stowed::Refused {
                reason: "data set does not match SOP class or request (A900H)".into(),
                sop_instance_uid: none(),
            }
        );
        let explained = Answer {
            warnings: vec!["Study Instance UID is missing".into()],
            ..answer(409, failed)
        };
        assert_eq!(
            outcome(&explained),
            Stowed::Refused {
                reason: "Study Instance UID is missing (data set does not match SOP class or \
                         request (A900H))"
                    .into(),
                sop_instance_uid: none(),
            }
        );
        assert!(matches!(
            outcome(&answer(400, "bad")),
            Stowed::Refused { .. }
        ));
        assert!(matches!(outcome(&answer(503, "")), Stowed::Busy { .. }));
    }
}
