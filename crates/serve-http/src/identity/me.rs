//! One's own account.

use super::answer::blocking;
use super::visitor::{Known, Numbers, Told};
use crate::context::{Asked, Context};
use crate::problem::Problem;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use gantry_core::access::{Access, Rights};
use gantry_identity::{CallerKind, Identity, describe};
use serde::Deserialize;
use serde_json::{Value, json};

/// What a person is told of themselves.
pub fn profile(identity: &Identity, person: i64) -> gantry_identity::Result<Value> {
    let person = identity.person(person)?;
    let access = identity.access_of(person.id)?;
    let left = identity.recovery_codes_left(person.id)?;
    let (rights, grants) = in_words(&access, identity.now());
    Ok(json!({
        "person": person,
        "rights": rights,
        "grants": grants,
        "recovery_codes_left": left,
    }))
}

/// The rights held now, and each grant in words.
pub fn in_words(access: &Access, now: i64) -> (Rights, Vec<Value>) {
    let holding = access
        .grants
        .iter()
        .filter(|grant| grant.until.is_none_or(|until| now < until));
    let mut rights = Rights::NONE;
    let mut grants = Vec::new();
    for grant in holding {
        rights = rights.with(grant.rights);
        grants.push(json!({
            "text": describe(grant),
            "rights": grant.rights,
            "scope": grant.scope,
            "until": grant.until,
            "source": grant.source,
        }));
    }
    (rights, grants)
}

/// `GET /api/me`: who asks, what they may do and why.
pub async fn me(State(context): State<Context>, asked: Asked) -> Result<Json<Value>, Problem> {
    let (rights, grants) = in_words(&asked.principal.access, i64::MIN);
    let Some(identity) = context.identity else {
        return Ok(Json(json!({
            "is_demo": true,
            "person": null,
            "rights": rights,
            "grants": grants,
        })));
    };
    let Some(person) = asked
        .principal
        .user
        .clone()
        .filter(|_| asked.principal.credential.is_some())
    else {
        return Ok(Json(json!({
            "is_demo": false,
            "person": null,
            "credential": asked.principal.credential,
            "rights": rights,
            "grants": grants,
        })));
    };
    let (csrf_token, access) = (asked.csrf_token(), asked.principal.access.clone());
    let credential = asked.principal.credential.clone();
    let body = blocking(move || {
        let found = identity.person_by_login(&person)?;
        let found = found.ok_or(gantry_identity::IdentityError::WrongCredentials)?;
        let mut body = profile(&identity, found.id)?;
        // A token has less than its owner.
        let (rights, grants) = in_words(&access, identity.now());
        if let Some(body) = body.as_object_mut() {
            body.insert("is_demo".into(), json!(false));
            body.insert("credential".into(), json!(credential));
            body.insert("csrf_token".into(), json!(csrf_token));
            body.insert("rights".into(), json!(rights));
            body.insert("grants".into(), json!(grants));
        }
        Ok(body)
    })
    .await?;
    Ok(Json(body))
}

impl Asked {
    /// What changing requests of this session show.
    fn csrf_token(&self) -> Option<String> {
        match &self.caller.as_ref()?.kind {
            CallerKind::Session { csrf_token, .. } => Some(csrf_token.clone()),
            _ => None,
        }
    }
}

/// A password and its successor.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PasswordChange {
    present: String,
    new: String,
}

/// `PUT /api/me/password`. All other sessions end.
pub async fn change_password(
    known: Known,
    Told(told): Told<PasswordChange>,
) -> Result<StatusCode, Problem> {
    let person = known.person_in_person()?;
    let (by, session) = (known.actor(), known.caller.session());
    let identity = known.identity;
    blocking(move || identity.change_password(person, &told.present, &told.new, session, &by))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /api/me/sessions`.
pub async fn sessions(known: Known) -> Result<Json<Value>, Problem> {
    let person = known.person()?;
    let present = known.caller.session();
    let identity = known.identity;
    let sessions = blocking(move || identity.sessions(person)).await?;
    let listed: Vec<Value> = sessions
        .iter()
        .map(|session| {
            let mut listed = json!(session);
            if let Some(listed) = listed.as_object_mut() {
                listed.insert("is_this".into(), json!(Some(session.id) == present));
            }
            listed
        })
        .collect();
    Ok(Json(json!({ "sessions": listed })))
}

/// `DELETE /api/me/sessions/{session}`.
pub async fn end_session(
    known: Known,
    Numbers([session]): Numbers<1>,
) -> Result<StatusCode, Problem> {
    let person = known.person_in_person()?;
    let by = known.actor();
    let identity = known.identity;
    blocking(move || identity.end_session(person, session, &by)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /api/me/sessions`: all but the one that asks.
pub async fn end_other_sessions(known: Known) -> Result<StatusCode, Problem> {
    let person = known.person_in_person()?;
    let (by, session) = (known.actor(), known.caller.session());
    let identity = known.identity;
    blocking(move || identity.end_sessions(person, session, &by)).await?;
    Ok(StatusCode::NO_CONTENT)
}
