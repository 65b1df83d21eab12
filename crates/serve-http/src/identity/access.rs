//! Break-glass access, and its review.

use super::answer::{blocking, forbidden};
use super::visitor::{Known, Numbers, Told};
use crate::context::Asked;
use crate::problem::Problem;
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use gantry_core::access::{PatientIdentity, Right, Scope};
use serde::Deserialize;
use serde_json::{Value, json};

/// What is needed, and why.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opening {
    reason: String,
    #[serde(default)]
    study: Option<String>,
    #[serde(default)]
    patient: Option<PatientIdentity>,
    minutes: u32,
}

/// `POST /api/break-glass`.
pub async fn open(known: Known, Told(told): Told<Opening>) -> Result<Response, Problem> {
    let person = known.person_in_person()?;
    let by = known.actor();
    let identity = known.identity;
    let scope = Scope {
        studies: told.study.into_iter().collect(),
        patients: told.patient.into_iter().collect(),
        ..Scope::default()
    };
    let opened = blocking(move || {
        identity.open_break_glass(person, &told.reason, &scope, told.minutes, &by)
    })
    .await?;
    Ok((StatusCode::CREATED, Json(json!({ "access": opened }))).into_response())
}

/// `GET /api/break-glass?waiting=true`: one's own; everybody's for those who review.
pub async fn list(known: Known, asked: Asked) -> Result<Json<Value>, Problem> {
    let person = known.person()?;
    let is_reviewer = known.require(Right::Audit).is_ok();
    let is_waiting = asked.query.single("waiting")? == Some("true");
    let identity = known.identity;
    let list =
        blocking(move || identity.break_glass_list((!is_reviewer).then_some(person), is_waiting))
            .await?;
    Ok(Json(json!({ "accesses": list, "may_review": is_reviewer })))
}

/// `POST /api/break-glass/{access}/close`: one's own before its time; anybody's for
/// administrators.
pub async fn close(known: Known, Numbers([access]): Numbers<1>) -> Result<StatusCode, Problem> {
    let person = known.person()?;
    let is_all = known.administer().is_ok();
    let by = known.actor();
    let identity = known.identity;
    blocking(move || identity.close_break_glass(access, (!is_all).then_some(person), &by)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What the reviewer found.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Review {
    #[serde(default)]
    note: String,
}

/// `POST /api/break-glass/{access}/review`.
pub async fn review(
    known: Known,
    Numbers([access]): Numbers<1>,
    Told(told): Told<Review>,
) -> Result<Json<Value>, Problem> {
    if known.require(Right::Audit).is_err() {
        return Err(forbidden("Reviewing needs the right audit."));
    }
    let by = known.actor();
    let identity = known.identity;
    let reviewed = blocking(move || identity.review_break_glass(access, &told.note, &by)).await?;
    Ok(Json(json!({ "access": reviewed })))
}
