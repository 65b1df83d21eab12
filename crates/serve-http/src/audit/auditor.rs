//! The one place that decides who may read the audit trail, and that records it.

use crate::context::{Asked, Context};
use crate::problem::Problem;
use axum::http::StatusCode;
use gantry_audit::export::Source;
use gantry_audit::{AuditError, AuditLog, Event, Filter, Kind, Outcome};
use gantry_core::access::Right;
use gantry_core::failure;
use std::sync::Arc;

/// The trail, opened for somebody who may read it. That it was read is recorded.
#[derive(Debug, Clone)]
pub struct Trail {
    /// The trail.
    pub log: Arc<AuditLog>,
    /// What stands in exported messages about this archive.
    pub source: Source,
}

/// Lets in who holds the right, and records what they are about to read.
///
/// # Errors
/// 403 for everybody else, which is recorded too; 503 when that cannot be recorded.
pub async fn admit(
    context: &Context,
    asked: &Asked,
    kind: Kind,
    filter: &Filter,
) -> Result<Trail, Problem> {
    let log = context.archive.audit();
    let path = asked.uri.path().to_owned();
    let right = Right::Audit;
    if !asked
        .principal
        .access
        .holds(right, gantry_audit::event::now())
    {
        let refused = Event::new(Kind::Refused, &asked.principal)
            .outcome(Outcome::MinorFailure, "may not read the audit trail")
            .subject("audit", path);
        log.record(refused).await.map_err(|error| failed(&error))?;
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "the audit trail is for those with the right audit",
        ));
    }
    let mut event = Event::new(kind, &asked.principal).question(path, super::filter::words(filter));
    if let Some(patient) = &filter.patient {
        event = event.patient(patient);
    }
    log.record(event).await.map_err(|error| failed(&error))?;
    Ok(Trail {
        log: Arc::clone(log),
        source: Source::new(log.settings(), context.archive.config().ae_title.as_str()),
    })
}

/// A failure of the trail as an answer.
pub fn failed(error: &AuditError) -> Problem {
    tracing::error!(%error, "the audit trail failed");
    match error.kind() {
        failure::Kind::OutOfResources => Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "the audit trail cannot be written or is busy",
        ),
        _ => Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the audit trail cannot be read",
        ),
    }
}

/// Reads the trail where it may block.
///
/// # Errors
/// The failure as an answer.
pub async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> gantry_audit::Result<T> + Send + 'static,
) -> Result<T, Problem> {
    match tokio::task::spawn_blocking(read).await {
        Ok(outcome) => outcome.map_err(|error| failed(&error)),
        Err(_) => Err(Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the request was not finished",
        )),
    }
}
