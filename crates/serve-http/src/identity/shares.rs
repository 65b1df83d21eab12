//! Shares: made by people, opened by anybody who has the link.

use super::answer::blocking;
use super::cookie::SHARE;
use super::visitor::{Known, Numbers, Told, Visitor};
use crate::context::Context;
use crate::problem::{Problem, Purpose};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::SET_COOKIE;
use axum::response::{IntoResponse as _, Response};
use gantry_archive::retrieve::Selection;
use gantry_core::access::Right;
use gantry_core::principal::Principal;
use gantry_identity::NewShare;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// `GET /api/shares`: one's own; everybody's for administrators.
pub async fn list(known: Known) -> Result<Json<Value>, Problem> {
    let person = known.person()?;
    let is_all = known.administer().is_ok();
    let identity = known.identity;
    let shares = blocking(move || identity.shares((!is_all).then_some(person))).await?;
    Ok(Json(json!({ "shares": shares })))
}

/// `POST /api/shares`. The answer has the link; it cannot be shown again.
pub async fn make(
    State(context): State<Context>,
    known: Known,
    Told(new): Told<NewShare>,
) -> Result<Response, Problem> {
    let person = known.person_in_person()?;
    known.require(Right::Share)?;
    if new.may_download {
        known.require(Right::Download)?;
    }
    check_study(&context, &known, &new).await?;
    let by = known.actor();
    let identity = known.identity;
    let (secret, share) = blocking(move || identity.make_share(person, &new, &by)).await?;
    // Behind #: browsers send it to no server, and no proxy writes it down.
    let link = format!("{}/#/share/{}", known.server_url, secret.as_str());
    let body = json!({ "link": link, "secret": secret.as_str(), "share": share });
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

/// Only what one may share oneself, and what there is.
async fn check_study(context: &Context, known: &Known, new: &NewShare) -> Result<(), Problem> {
    // As somebody who may only see what may be shared (and downloaded): the archive decides what
    // that is.
    let wanted = if new.may_download {
        Right::Download
    } else {
        Right::View
    };
    let mut access = (*known.caller.access).clone();
    access
        .grants
        .retain(|grant| grant.rights.contains(Right::Share) && grant.rights.contains(wanted));
    let sharing = Principal {
        access: Arc::new(access),
        ..crate::caller::known(&known.caller, known.address)
    };
    let selection = Selection {
        studies: vec![new.study.clone()],
        series: new.series.iter().cloned().collect(),
        ..Selection::default()
    };
    let found = context
        .archive
        .select(&sharing, Right::Share, &selection)
        .await
        .map_err(|error| Problem::from_archive(&error, Purpose::Retrieve))?;
    if found.is_empty() {
        return Err(Problem::not_found("there is no such study"));
    }
    Ok(())
}

/// `DELETE /api/shares/{share}`: one's own; anybody's for administrators.
pub async fn revoke(known: Known, Numbers([share]): Numbers<1>) -> Result<StatusCode, Problem> {
    let person = known.person()?;
    let is_all = known.administer().is_ok();
    let by = known.actor();
    let identity = known.identity;
    blocking(move || identity.revoke_share(share, (!is_all).then_some(person), &by)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A link's secret and its PIN.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opening {
    secret: String,
    #[serde(default)]
    pin: Option<String>,
}

/// `POST /api/shares/open`: with the link, and its PIN if it has one. The cookie of the answer
/// shows the study from then on.
pub async fn open(visitor: Visitor, Told(told): Told<Opening>) -> Result<Response, Problem> {
    let identity = Arc::clone(&visitor.identity);
    let address = visitor.client.address;
    let outcome = blocking(move || {
        let pin = told.pin.as_deref().filter(|pin| !pin.is_empty());
        if pin.is_none() && identity.share_needs_pin(&told.secret)? {
            return Ok(None);
        }
        identity.open_share(&told.secret, pin, address).map(Some)
    })
    .await?;
    let Some(opened) = outcome else {
        return Ok(Json(json!({ "status": "pin" })).into_response());
    };
    let seconds = opened.ends.saturating_sub(visitor.identity.now()) / 1_000_000;
    let body = json!({
        "status": "open",
        "study": opened.share.study,
        "series": opened.share.series,
        "may_download": opened.share.may_download,
        "ends": opened.ends,
    });
    let mut response = Json(body).into_response();
    let cookie = visitor.cookie(SHARE, &opened.secret, seconds);
    response.headers_mut().insert(SET_COOKIE, cookie);
    Ok(response)
}
