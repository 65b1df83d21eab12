//! People, for administrators.

use super::answer::blocking;
use super::me::in_words;
use super::visitor::{Known, Numbers, Told};
use crate::problem::Problem;
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use gantry_identity::{NewGrant, NewPerson, PersonChange};
use serde_json::{Value, json};

/// `GET /api/people`.
pub async fn list(known: Known) -> Result<Json<Value>, Problem> {
    known.administer()?;
    let identity = known.identity;
    let people = blocking(move || identity.people()).await?;
    Ok(Json(json!({ "people": people })))
}

/// `POST /api/people`. A person gets no password: the link that is made next sets it.
pub async fn add(known: Known, Told(new): Told<NewPerson>) -> Result<Response, Problem> {
    known.administer()?;
    let by = known.actor();
    let identity = known.identity;
    let person = blocking(move || identity.add_person(&new, &by)).await?;
    Ok((StatusCode::CREATED, Json(json!({ "person": person }))).into_response())
}

/// `GET /api/people/{person}`: with rights and the reasons for them.
pub async fn one(known: Known, Numbers([person]): Numbers<1>) -> Result<Json<Value>, Problem> {
    known.administer()?;
    let identity = known.identity;
    let body = blocking(move || {
        let found = identity.person(person)?;
        let access = identity.access_of(person)?;
        let (rights, words) = in_words(&access, identity.now());
        Ok(json!({
            "person": found,
            "rights": rights,
            "grants": words,
            "personal_grants": identity.grants(person)?,
            "sessions": identity.sessions(person)?,
            "tokens": identity.tokens(Some(person))?,
        }))
    })
    .await?;
    Ok(Json(body))
}

/// `PATCH /api/people/{person}`.
pub async fn change(
    known: Known,
    Numbers([person]): Numbers<1>,
    Told(change): Told<PersonChange>,
) -> Result<Json<Value>, Problem> {
    known.administer()?;
    let by = known.actor();
    let identity = known.identity;
    let person = blocking(move || identity.change_person(person, &change, &by)).await?;
    Ok(Json(json!({ "person": person })))
}

/// `DELETE /api/people/{person}`.
pub async fn delete(known: Known, Numbers([person]): Numbers<1>) -> Result<StatusCode, Problem> {
    known.administer()?;
    let by = known.actor();
    let identity = known.identity;
    blocking(move || identity.delete_person(person, &by)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/people/{person}/password-link`: a link with which the person sets a password.
pub async fn password_link(
    known: Known,
    Numbers([person]): Numbers<1>,
) -> Result<Json<Value>, Problem> {
    known.administer()?;
    let by = known.actor();
    let identity = known.identity;
    let secret = blocking(move || identity.make_password_link(person, &by)).await?;
    // Behind #: browsers send it to no server.
    let link = format!("{}/#/password/{}", known.server_url, secret.as_str());
    Ok(Json(json!({ "link": link, "secret": secret.as_str() })))
}

/// `DELETE /api/people/{person}/sessions`.
pub async fn end_sessions(
    known: Known,
    Numbers([person]): Numbers<1>,
) -> Result<StatusCode, Problem> {
    known.administer()?;
    let by = known.actor();
    let identity = known.identity;
    blocking(move || identity.end_sessions(person, None, &by)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /api/people/{person}/totp`: for who has lost app and recovery codes.
pub async fn remove_totp(
    known: Known,
    Numbers([person]): Numbers<1>,
) -> Result<StatusCode, Problem> {
    known.administer()?;
    let by = known.actor();
    let identity = known.identity;
    blocking(move || identity.remove_totp(person, &by)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/people/{person}/grants`.
pub async fn grant(
    known: Known,
    Numbers([person]): Numbers<1>,
    Told(new): Told<NewGrant>,
) -> Result<Response, Problem> {
    known.administer()?;
    let by = known.actor();
    let identity = known.identity;
    let grant = blocking(move || identity.grant(person, &new, &by)).await?;
    Ok((StatusCode::CREATED, Json(json!({ "grant": grant }))).into_response())
}

/// `DELETE /api/people/{person}/grants/{grant}`.
pub async fn remove_grant(
    known: Known,
    Numbers([person, grant]): Numbers<2>,
) -> Result<StatusCode, Problem> {
    known.administer()?;
    let by = known.actor();
    let identity = known.identity;
    blocking(move || identity.remove_grant(person, grant, &by)).await?;
    Ok(StatusCode::NO_CONTENT)
}
