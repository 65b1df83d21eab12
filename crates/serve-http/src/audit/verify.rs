//! Whether the trail is what was recorded.

use super::auditor::{self, blocking};
use crate::context::{Asked, Context};
use crate::problem::Problem;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use gantry_audit::{Filter, Head, Kind};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

/// Everything is read: one at a time is enough.
static RUNNING: Semaphore = Semaphore::const_new(1);

/// `GET /api/audit/verify?head=…`: heads are such as somebody noted, `number:hash`.
pub async fn verify(State(context): State<Context>, asked: Asked) -> Result<Json<Value>, Problem> {
    let heads = asked
        .query
        .all("head")
        .map(|text| {
            text.parse::<Head>()
                .map_err(|error| Problem::bad_request(error.to_string()))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let trail = auditor::admit(&context, &asked, Kind::AuditVerified, &Filter::default()).await?;
    let Ok(_running) = RUNNING.try_acquire() else {
        return Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "the trail is being verified for somebody else",
        ));
    };
    let found = blocking(move || trail.log.reader().verify(&heads, &mut |_, _| {})).await?;
    let problems: Vec<String> = found.problems.iter().map(ToString::to_string).collect();
    Ok(Json(json!({
        "is_sound": found.is_sound(),
        "events": found.events,
        "head": found.head.map(|head| head.to_string()),
        "is_keyed": found.is_keyed,
        "problems": problems,
        "problems_total": found.problems_total,
    })))
}
