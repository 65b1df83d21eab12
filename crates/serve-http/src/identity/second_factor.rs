//! One's own authenticator app and recovery codes.

use super::answer::blocking;
use super::visitor::{Known, Told};
use crate::problem::Problem;
use axum::Json;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

/// `POST /api/me/totp`: begins to add an authenticator app.
pub async fn begin(known: Known) -> Result<Json<Value>, Problem> {
    let person = known.person_in_person()?;
    let identity = known.identity;
    let enrolment = blocking(move || identity.begin_totp(person)).await?;
    Ok(Json(json!({
        "secret": enrolment.secret.as_str(),
        "uri": enrolment.uri.as_str(),
    })))
}

/// A code of the app.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Code {
    code: String,
}

/// `POST /api/me/totp/confirm`: from now on a code is asked for. The answer has recovery codes.
pub async fn confirm(known: Known, Told(told): Told<Code>) -> Result<Json<Value>, Problem> {
    let person = known.person_in_person()?;
    let by = known.actor();
    let identity = known.identity;
    let codes = blocking(move || {
        identity.confirm_totp(person, &told.code, &by)?;
        identity.make_recovery_codes(person, &by)
    })
    .await?;
    Ok(Json(json!({ "recovery_codes": texts(&codes) })))
}

/// The present password: whoever finds a browser open must not take the second factor away.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    password: String,
}

/// `POST /api/me/totp/remove`.
pub async fn remove(known: Known, Told(told): Told<Proof>) -> Result<StatusCode, Problem> {
    let person = known.person_in_person()?;
    let by = known.actor();
    let identity = known.identity;
    blocking(move || {
        identity.prove_password(person, &told.password, &by)?;
        identity.remove_totp(person, &by)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/me/recovery-codes`: new ones; earlier ones become void.
pub async fn recovery_codes(known: Known, Told(told): Told<Proof>) -> Result<Json<Value>, Problem> {
    let person = known.person_in_person()?;
    let by = known.actor();
    let identity = known.identity;
    let codes = blocking(move || {
        identity.prove_password(person, &told.password, &by)?;
        identity.make_recovery_codes(person, &by)
    })
    .await?;
    Ok(Json(json!({ "recovery_codes": texts(&codes) })))
}

fn texts<S: std::ops::Deref<Target = String>>(codes: &[S]) -> Vec<&str> {
    codes.iter().map(|code| code.as_str()).collect()
}
