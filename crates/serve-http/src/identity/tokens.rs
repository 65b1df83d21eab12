//! API tokens: one's own, and those of service accounts.

use super::answer::blocking;
use super::visitor::{Known, Numbers, Told};
use crate::problem::Problem;
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use gantry_identity::{Actor, Identity, Kind, NewToken};
use serde_json::{Value, json};
use std::sync::Arc;

/// `GET /api/me/tokens`.
pub async fn list_own(known: Known) -> Result<Json<Value>, Problem> {
    let person = known.person()?;
    list_of(known.identity, Some(person)).await
}

/// `POST /api/me/tokens`. The answer shows the token; it cannot be shown again.
pub async fn make_own(known: Known, Told(new): Told<NewToken>) -> Result<Response, Problem> {
    let person = known.person_in_person()?;
    let by = known.actor();
    make(known.identity, person, new, by).await
}

/// `DELETE /api/me/tokens/{token}`.
pub async fn revoke_own(known: Known, Numbers([token]): Numbers<1>) -> Result<StatusCode, Problem> {
    let person = known.person_in_person()?;
    let by = known.actor();
    revoke(known.identity, token, Some(person), by).await
}

/// `GET /api/tokens`: everybody's.
pub async fn list_all(known: Known) -> Result<Json<Value>, Problem> {
    known.administer()?;
    list_of(known.identity, None).await
}

/// `DELETE /api/tokens/{token}`: anybody's.
pub async fn revoke_any(known: Known, Numbers([token]): Numbers<1>) -> Result<StatusCode, Problem> {
    known.administer()?;
    let by = known.actor();
    revoke(known.identity, token, None, by).await
}

/// `POST /api/people/{person}/tokens`: of a service account.
pub async fn make_for(
    known: Known,
    Numbers([person]): Numbers<1>,
    Told(new): Told<NewToken>,
) -> Result<Response, Problem> {
    known.administer()?;
    let identity = Arc::clone(&known.identity);
    let owner = blocking(move || identity.person(person)).await?;
    if owner.kind != Kind::Service {
        return Err(super::answer::forbidden(
            "People make their tokens themselves; service accounts get theirs here.",
        ));
    }
    let by = known.actor();
    make(known.identity, person, new, by).await
}

async fn list_of(identity: Arc<Identity>, owner: Option<i64>) -> Result<Json<Value>, Problem> {
    let tokens = blocking(move || identity.tokens(owner)).await?;
    Ok(Json(json!({ "tokens": tokens })))
}

async fn make(
    identity: Arc<Identity>,
    owner: i64,
    new: NewToken,
    by: Actor,
) -> Result<Response, Problem> {
    let (secret, token) = blocking(move || identity.make_token(owner, &new, &by)).await?;
    let body = json!({ "secret": secret.as_str(), "token": token });
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

async fn revoke(
    identity: Arc<Identity>,
    token: i64,
    owner: Option<i64>,
    by: Actor,
) -> Result<StatusCode, Problem> {
    blocking(move || identity.revoke_token(token, owner, &by)).await?;
    Ok(StatusCode::NO_CONTENT)
}
