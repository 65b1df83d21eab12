//! Setting up, logging in and out.

use super::answer::blocking;
use super::cookie::{SESSION, SHARE};
use super::me;
use super::visitor::{Known, Told, Visitor};
use crate::context::Context;
use crate::problem::Problem;
use axum::Json;
use axum::extract::State;
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use gantry_identity::{Actor, LoginOutcome, NewSession};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// `GET /api/login`: in which ways one can log in here.
pub async fn ways(State(context): State<Context>) -> Result<Json<Value>, Problem> {
    let Some(identity) = context.identity.clone() else {
        return Ok(Json(json!({
            "is_demo": true,
            "needs_set_up": false,
            "password": false,
            "passkey": false,
            "providers": [],
        })));
    };
    let settings = identity.settings();
    let (length, score) = (settings.password_length_min, settings.password_strength_min);
    let providers: Vec<Value> = identity
        .providers()
        .into_iter()
        .map(|(name, title)| {
            json!({ "name": name, "title": title, "url": format!("/api/providers/{name}/login") })
        })
        .collect();
    let needs_set_up = blocking(move || identity.needs_set_up()).await?;
    Ok(Json(json!({
        "is_demo": false,
        "needs_set_up": needs_set_up,
        "password": true,
        "passkey": true,
        "providers": providers,
        "password_length_min": length,
        "password_strength_min": score,
    })))
}

/// Login and password.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PasswordLogin {
    login: String,
    password: String,
}

/// `POST /api/login`.
pub async fn password(
    visitor: Visitor,
    Told(told): Told<PasswordLogin>,
) -> Result<Response, Problem> {
    let (identity, client) = (Arc::clone(&visitor.identity), visitor.client.clone());
    let outcome = blocking(move || identity.login(&told.login, &told.password, &client)).await?;
    match outcome {
        LoginOutcome::LoggedIn(session) => logged_in(&visitor, *session).await,
        LoginOutcome::SecondFactor { ticket } => Ok(Json(json!({
            "status": "second-factor",
            "ticket": ticket.as_str(),
        }))
        .into_response()),
    }
}

/// A code beside the ticket that the password was answered with.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecondFactor {
    ticket: String,
    code: String,
}

/// `POST /api/login/second-factor`.
pub async fn second_factor(
    visitor: Visitor,
    Told(told): Told<SecondFactor>,
) -> Result<Response, Problem> {
    let (identity, client) = (Arc::clone(&visitor.identity), visitor.client.clone());
    let session =
        blocking(move || identity.login_second_factor(&told.ticket, &told.code, &client)).await?;
    logged_in(&visitor, session).await
}

/// The first administrator.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetUp {
    secret: String,
    login: String,
    #[serde(default)]
    name: String,
    password: String,
}

/// `POST /api/set-up`.
pub async fn set_up(visitor: Visitor, Told(told): Told<SetUp>) -> Result<Response, Problem> {
    let (identity, client) = (Arc::clone(&visitor.identity), visitor.client.clone());
    let session = blocking(move || {
        identity.set_up(
            &told.secret,
            &told.login,
            &told.name,
            &told.password,
            &client,
        )
    })
    .await?;
    logged_in(&visitor, session).await
}

/// A password to be judged.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judged {
    password: String,
    #[serde(default)]
    login: String,
    #[serde(default)]
    name: String,
}

/// `POST /api/password-strength`: for the meter beside the field.
pub async fn strength(visitor: Visitor, Told(told): Told<Judged>) -> Result<Json<Value>, Problem> {
    let identity = visitor.identity;
    let strength =
        blocking(
            move || Ok(identity.password_strength(&told.password, &[&told.login, &told.name])),
        )
        .await?;
    Ok(Json(json!(strength)))
}

/// A one-time link and the password it is to set.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewPassword {
    secret: String,
    password: String,
}

/// `POST /api/password-link`: sets a password with the link that an administrator made.
pub async fn password_link(
    visitor: Visitor,
    Told(told): Told<NewPassword>,
) -> Result<Json<Value>, Problem> {
    let (identity, by) = (visitor.identity, Actor::at(visitor.client.address));
    let person =
        blocking(move || identity.use_password_link(&told.secret, &told.password, &by)).await?;
    Ok(Json(json!({ "login": person.login })))
}

/// `POST /api/logout`. It ends the session that asks, and takes the cookies away.
pub async fn logout(visitor: Visitor, known: Known) -> Result<Response, Problem> {
    let by = known.actor();
    if let (Some(person), Some(session)) = (known.caller.person, known.caller.session()) {
        let identity = Arc::clone(&visitor.identity);
        blocking(move || identity.end_session(person, session, &by)).await?;
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    for name in [SESSION, SHARE] {
        let cookie = visitor.cookie(name, "", 0);
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    let everything = HeaderValue::from_static("\"cache\", \"storage\"");
    response.headers_mut().insert("clear-site-data", everything);
    Ok(response)
}

/// The answer to a login: a cookie, and what the page needs.
pub async fn logged_in(visitor: &Visitor, session: NewSession) -> Result<Response, Problem> {
    let identity = Arc::clone(&visitor.identity);
    let person = session.person.id;
    let seconds = session.session.ends.saturating_sub(identity.now()) / 1_000_000;
    let profile = blocking(move || me::profile(&identity, person)).await?;
    let body = json!({
        "status": "logged-in",
        "csrf_token": session.csrf_token,
        "me": profile,
    });
    let mut response = Json(body).into_response();
    let cookie = visitor.cookie(SESSION, &session.secret, seconds);
    response.headers_mut().insert(SET_COOKIE, cookie);
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().insert("cache-control", no_store);
    Ok(response)
}
