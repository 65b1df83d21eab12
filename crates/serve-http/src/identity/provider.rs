//! Logins at an identity provider.

use super::answer::blocking;
use super::cookie::{self, PROVIDER, SESSION, SameSite};
use super::visitor::Visitor;
use crate::context::Asked;
use crate::problem::Problem;
use crate::reply::header_value;
use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, LOCATION, SET_COOKIE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use std::sync::Arc;

/// Seconds that a login at the provider may take.
const LOGIN_SECONDS: i64 = 600;

/// `GET /api/providers/{provider}/login`: sends the browser there.
pub async fn begin(visitor: Visitor, Path(name): Path<String>) -> Result<Response, Problem> {
    let redirect = callback_url(&visitor, &name);
    let identity = Arc::clone(&visitor.identity);
    let (url, state) = blocking(move || identity.begin_provider_login(&name, &redirect)).await?;
    // The way back begins at another site: a strict cookie would not come along. Only the browser
    // that began may finish.
    let cookie = cookie::set(
        PROVIDER,
        &state,
        LOGIN_SECONDS,
        visitor.is_https(),
        SameSite::Lax,
    );
    Ok(go_to(&url, [cookie]))
}

/// `GET /api/providers/{provider}/callback`: the browser is back.
pub async fn finish(
    visitor: Visitor,
    Path(name): Path<String>,
    asked: Asked,
) -> Result<Response, Problem> {
    let begun = cookie::find(&asked.headers, PROVIDER);
    let state = asked.query.single("state")?.unwrap_or_default();
    if begun.as_deref() != Some(state) || state.is_empty() {
        return Err(Problem::bad_request(
            "This login was not begun in this browser, or took too long: begin again.",
        )
        .named("provider", "Login not begun here"));
    }
    let Some(code) = asked.query.single("code")?.map(str::to_owned) else {
        let why = asked.query.single("error")?.unwrap_or("no code");
        let why: String = why
            .chars()
            .filter(char::is_ascii_graphic)
            .take(100)
            .collect();
        return Err(Problem::bad_request(format!(
            "The identity provider refused the login: {why}."
        ))
        .named("provider", "Login refused by the provider"));
    };
    let (identity, client) = (Arc::clone(&visitor.identity), visitor.client.clone());
    let state = state.to_owned();
    let session =
        blocking(move || identity.finish_provider_login(&name, &state, &code, &client)).await?;
    let seconds = session.session.ends.saturating_sub(visitor.identity.now()) / 1_000_000;
    let taken = cookie::set(PROVIDER, "", 0, visitor.is_https(), SameSite::Lax);
    let given = visitor.cookie(SESSION, &session.secret, seconds);
    Ok(go_to(&format!("{}/", visitor.server_url), [given, taken]))
}

fn callback_url(visitor: &Visitor, name: &str) -> String {
    format!("{}/api/providers/{name}/callback", visitor.server_url)
}

fn go_to<const N: usize>(url: &str, cookies: [HeaderValue; N]) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let headers = response.headers_mut();
    headers.insert(LOCATION, header_value(url));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    for cookie in cookies {
        headers.append(SET_COOKIE, cookie);
    }
    response
}
