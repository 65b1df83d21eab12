//! Failures of the identity database as HTTP answers.

use crate::problem::Problem;
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use gantry_identity::IdentityError;

/// Does something that blocks.
///
/// # Errors
/// The failure as an answer.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> gantry_identity::Result<T> + Send + 'static,
) -> Result<T, Problem> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| problem(&error)),
        Err(_) => Err(Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the request was not finished",
        )),
    }
}

/// The failure as an answer.
pub fn problem(error: &IdentityError) -> Problem {
    let detail = sentence(&error.to_string());
    let (status, word, title) = match error {
        IdentityError::WrongCredentials => (
            StatusCode::UNAUTHORIZED,
            "wrong-credentials",
            "Not recognised",
        ),
        IdentityError::Blocked { .. } => (
            StatusCode::TOO_MANY_REQUESTS,
            "too-many-attempts",
            "Too many failed attempts",
        ),
        IdentityError::Busy => (StatusCode::SERVICE_UNAVAILABLE, "busy", "Busy"),
        IdentityError::WeakPassword { .. } => (
            StatusCode::BAD_REQUEST,
            "weak-password",
            "Password too easy to guess",
        ),
        IdentityError::Invalid(_) => (StatusCode::BAD_REQUEST, "invalid", "Not possible so"),
        IdentityError::NotFound(_) => (StatusCode::NOT_FOUND, "not-found", "Not found"),
        IdentityError::Conflict(_) => (StatusCode::CONFLICT, "conflict", "Not possible now"),
        IdentityError::Forbidden(_) => (StatusCode::FORBIDDEN, "forbidden", "Not allowed"),
        IdentityError::Provider(_) => (
            StatusCode::BAD_GATEWAY,
            "provider",
            "Identity provider does not answer as it should",
        ),
        _ => {
            tracing::error!(%error, "identity request failed");
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            return Problem::new(status, "The identity database failed; the log says why.");
        }
    };
    let problem = Problem::new(status, detail).named(word, title);
    match error {
        IdentityError::Blocked { seconds } => {
            problem.with_header(RETRY_AFTER, HeaderValue::from(*seconds))
        }
        IdentityError::Busy => problem.with_header(RETRY_AFTER, HeaderValue::from(2)),
        _ => problem,
    }
}

/// 401 for those who show nothing, or nothing that holds.
pub fn unauthenticated(headers: &HeaderMap, detail: &str) -> Problem {
    let challenge = if is_browser(headers) {
        // With Basic browsers would ask in a window of their own, and send the password along
        // with every request from then on.
        HeaderValue::from_static("Bearer realm=\"gantry\"")
    } else {
        HeaderValue::from_static(
            "Bearer realm=\"gantry\", Basic realm=\"gantry\", charset=\"UTF-8\"",
        )
    };
    Problem::new(StatusCode::UNAUTHORIZED, detail)
        .named("not-logged-in", "Not logged in")
        .with_header(WWW_AUTHENTICATE, challenge)
}

/// 403.
pub fn forbidden(detail: &str) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, detail).named("forbidden", "Not allowed")
}

fn is_browser(headers: &HeaderMap) -> bool {
    headers.contains_key("sec-fetch-mode") || headers.contains_key("sec-fetch-site")
}

/// With a capital letter and a full stop, for people.
fn sentence(fragment: &str) -> String {
    let mut letters = fragment.chars();
    let Some(first) = letters.next() else {
        return String::new();
    };
    let mut text: String = first.to_uppercase().chain(letters).collect();
    if !text.ends_with(['.', '!', '?']) {
        text.push('.');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::response::IntoResponse as _;

    #[test]
    fn failures_have_their_status() {
        for (error, status) in [
            (IdentityError::WrongCredentials, 401),
            (IdentityError::Blocked { seconds: 7 }, 429),
            (IdentityError::Busy, 503),
            (IdentityError::Invalid("x".into()), 400),
            (IdentityError::NotFound("person"), 404),
            (IdentityError::Damaged("x"), 500),
        ] {
            assert_eq!(problem(&error).status(), status);
        }
        let blocked = problem(&IdentityError::Blocked { seconds: 7 }).into_response();
        assert_eq!(blocked.headers()[RETRY_AFTER], "7");
        let secret = problem(&IdentityError::Damaged("inner matter"));
        assert!(!secret.detail().contains("inner"));
        assert_eq!(
            problem(&IdentityError::NotFound("person")).detail(),
            "There is no such person."
        );
    }

    #[test]
    fn browsers_are_not_offered_basic() {
        let mut headers = HeaderMap::new();
        let offered = |headers: &HeaderMap| {
            let response = unauthenticated(headers, "x").into_response();
            response.headers()[WWW_AUTHENTICATE]
                .to_str()
                .unwrap()
                .contains("Basic")
        };
        assert!(offered(&headers));
        headers.insert("sec-fetch-mode", HeaderValue::from_static("cors"));
        assert!(!offered(&headers));
    }
}
