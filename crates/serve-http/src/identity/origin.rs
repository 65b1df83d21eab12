//! Requests that pages of other sites cause (cross-site request forgery).

use crate::problem::Problem;
use axum::http::header::ORIGIN;
use axum::http::{HeaderMap, Method, StatusCode};
use gantry_identity::CallerKind;

/// The header field with what pages of other sites cannot know.
const TOKEN_FIELD: &str = "x-csrf-token";

/// Whether a method changes nothing.
pub fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Refuses a changing request that a browser says comes from a page of another site.
///
/// # Errors
/// 403.
pub fn check_site(
    headers: &HeaderMap,
    server_url: &str,
    trusted_origins: &[String],
) -> Result<(), Problem> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let origin = text(ORIGIN.as_str());
    let is_named = origin.is_some_and(|origin| {
        trusted_origins
            .iter()
            .any(|trusted| trusted.trim_end_matches('/').eq_ignore_ascii_case(origin))
    });
    let is_ours = match (text("sec-fetch-site"), origin) {
        (Some("same-origin" | "none"), _) => true,
        (Some(_), _) => false,
        (None, Some(origin)) => is_origin_of(origin, server_url),
        // No browser of these days.
        (None, None) => true,
    };
    if is_ours || is_named {
        return Ok(());
    }
    Err(forged("a page of another site has caused this request"))
}

/// Refuses a changing request of a session that does not show what belongs to the session.
///
/// # Errors
/// 403.
pub fn check_token(headers: &HeaderMap, kind: &CallerKind) -> Result<(), Problem> {
    let CallerKind::Session { csrf_token, .. } = kind else {
        return Ok(());
    };
    let shown = headers.get(TOKEN_FIELD).map(|value| value.as_bytes());
    // Hashes, so that the time tells nothing.
    let is_right =
        shown.is_some_and(|shown| blake3::hash(shown) == blake3::hash(csrf_token.as_bytes()));
    if is_right {
        return Ok(());
    }
    Err(forged(
        "changing requests of a session show its csrf_token (see /api/me) as X-CSRF-Token",
    ))
}

fn is_origin_of(origin: &str, server_url: &str) -> bool {
    let Some((_, rest)) = server_url.split_once("://") else {
        return false;
    };
    let host = rest.split('/').next().unwrap_or(rest);
    origin
        .split_once("://")
        .is_some_and(|(_, from)| from.eq_ignore_ascii_case(host))
}

fn forged(detail: &str) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, detail)
        .named("cross-site", "Request from another site refused")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(fields: &[(&'static str, &str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.insert(*name, value.parse().unwrap());
        }
        let trusted = ["https://viewer.example/".to_owned()];
        check_site(&headers, "https://pacs.example:8443/x", &trusted).is_ok()
    }

    #[test]
    fn other_sites_are_refused() {
        assert!(check(&[]));
        assert!(check(&[("sec-fetch-site", "same-origin")]));
        assert!(!check(&[("sec-fetch-site", "cross-site")]));
        assert!(!check(&[("sec-fetch-site", "same-site")]));
        assert!(check(&[("origin", "https://pacs.example:8443")]));
        assert!(!check(&[("origin", "https://pacs.example")]));
        assert!(!check(&[("origin", "null")]));
        assert!(check(&[
            ("sec-fetch-site", "cross-site"),
            ("origin", "https://viewer.example")
        ]));
    }

    #[test]
    fn a_session_shows_its_token() {
        let kind = CallerKind::Session {
            id: 1,
            csrf_token: "abc".into(),
        };
        let mut headers = HeaderMap::new();
        assert!(check_token(&headers, &kind).is_err());
        assert!(check_token(&headers, &CallerKind::Token).is_ok());
        headers.insert(TOKEN_FIELD, "abd".parse().unwrap());
        assert!(check_token(&headers, &kind).is_err());
        headers.insert(TOKEN_FIELD, "abc".parse().unwrap());
        assert!(check_token(&headers, &kind).is_ok());
    }
}
