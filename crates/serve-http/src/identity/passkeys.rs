//! One's own passkeys, and logins with them.

use super::answer::blocking;
use super::login::logged_in;
use super::visitor::{Known, Numbers, Told, Visitor};
use crate::problem::Problem;
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use gantry_identity::{Assertion, Attestation, RelyingParty};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// `POST /api/me/passkeys/options`: what the browser asks the authenticator.
pub async fn begin(known: Known) -> Result<Json<Value>, Problem> {
    let person = known.person_in_person()?;
    let party = party(&known.server_url)?;
    let identity = known.identity;
    blocking(move || identity.begin_passkey(person, &party))
        .await
        .map(Json)
}

/// What the authenticator answered, as `PublicKeyCredential.toJSON()` writes it.
#[derive(Deserialize)]
pub struct New {
    #[serde(default)]
    name: String,
    credential: Attestation,
}

/// `POST /api/me/passkeys`.
pub async fn add(known: Known, Told(new): Told<New>) -> Result<Response, Problem> {
    let person = known.person_in_person()?;
    let party = party(&known.server_url)?;
    let by = known.actor();
    let identity = known.identity;
    let passkey =
        blocking(move || identity.add_passkey(person, &new.name, &new.credential, &party, &by))
            .await?;
    Ok((StatusCode::CREATED, Json(json!({ "passkey": passkey }))).into_response())
}

/// `GET /api/me/passkeys`.
pub async fn list(known: Known) -> Result<Json<Value>, Problem> {
    let person = known.person()?;
    let identity = known.identity;
    let passkeys = blocking(move || identity.passkeys(person)).await?;
    Ok(Json(json!({ "passkeys": passkeys })))
}

/// `DELETE /api/me/passkeys/{passkey}`.
pub async fn remove(known: Known, Numbers([passkey]): Numbers<1>) -> Result<StatusCode, Problem> {
    let person = known.person_in_person()?;
    let by = known.actor();
    let identity = known.identity;
    blocking(move || identity.remove_passkey(person, passkey, &by)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/login/passkey/options`.
pub async fn begin_login(visitor: Visitor) -> Result<Json<Value>, Problem> {
    let party = party(&visitor.server_url)?;
    let identity = visitor.identity;
    blocking(move || identity.begin_passkey_login(&party))
        .await
        .map(Json)
}

/// What the authenticator answered.
#[derive(Deserialize)]
pub struct Login {
    credential: Assertion,
}

/// `POST /api/login/passkey`.
pub async fn log_in(visitor: Visitor, Told(told): Told<Login>) -> Result<Response, Problem> {
    let party = party(&visitor.server_url)?;
    let (identity, client) = (Arc::clone(&visitor.identity), visitor.client.clone());
    let session =
        blocking(move || identity.login_with_passkey(&told.credential, &party, &client)).await?;
    logged_in(&visitor, session).await
}

fn party(server_url: &str) -> Result<RelyingParty, Problem> {
    RelyingParty::of(server_url)
        .ok_or_else(|| Problem::bad_request("the address of the server is none for passkeys"))
}
