//! Failures as HTTP answers (RFC 9457 problem details).

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use gantry_core::failure::Kind;

/// What a request wanted; the same kind of failure has another status for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Getting something that is stored.
    Retrieve,
    /// Asking what there is.
    Search,
    /// Storing.
    Store,
    /// Deleting or restoring.
    Remove,
    /// Asking for storage commitment.
    Commit,
}

/// The HTTP status of a kind of failure.
pub fn status_of(kind: Kind, purpose: Purpose) -> StatusCode {
    match (kind, purpose) {
        (Kind::Malformed, _) => StatusCode::BAD_REQUEST,
        (Kind::MismatchedSopClass, Purpose::Store) => StatusCode::CONFLICT,
        (Kind::MismatchedSopClass, _) => StatusCode::BAD_REQUEST,
        (Kind::Unauthenticated, _) => StatusCode::UNAUTHORIZED,
        (Kind::Forbidden, _) => StatusCode::FORBIDDEN,
        (Kind::NotFound, _) => StatusCode::NOT_FOUND,
        (Kind::Gone, _) => StatusCode::GONE,
        (Kind::Conflict, _) => StatusCode::CONFLICT,
        (Kind::Unsupported, Purpose::Store) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        (Kind::Unsupported, Purpose::Retrieve) => StatusCode::NOT_ACCEPTABLE,
        (Kind::Unsupported, Purpose::Search | Purpose::Remove | Purpose::Commit) => {
            StatusCode::NOT_IMPLEMENTED
        }
        (Kind::OutOfResources, Purpose::Store) => StatusCode::INSUFFICIENT_STORAGE,
        (Kind::OutOfResources, _) => StatusCode::SERVICE_UNAVAILABLE,
        // Nobody is listening any more; the status is for the log.
        (Kind::Cancelled, _) => StatusCode::SERVICE_UNAVAILABLE,
        (Kind::Internal, _) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Seconds after which a request that met a shortage may be tried again.
const RETRY_AFTER_SECONDS: &str = "5";

/// A failed request.
#[derive(Debug, Clone)]
pub struct Problem {
    status: StatusCode,
    kind: Option<(&'static str, &'static str)>,
    detail: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// A problem with a text for the peer, which must hold no patient data.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            kind: None,
            detail: detail.into(),
            headers: Vec::new(),
        }
    }

    /// 400.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 404.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// 410.
    pub fn gone(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, detail)
    }

    /// 406 with what could have been had.
    pub fn not_acceptable(supported: &str) -> Self {
        Self::new(
            StatusCode::NOT_ACCEPTABLE,
            format!("supported media types: {supported}"),
        )
    }

    /// The answer to a use case's failure; causes that are ours go to the log.
    pub fn from_archive(error: &gantry_archive::Error, purpose: Purpose) -> Self {
        let status = status_of(error.kind(), purpose);
        if status.is_server_error() {
            tracing::error!(
                error = error.chain(),
                http.status = status.as_u16(),
                "request failed"
            );
        }
        let problem = Self::new(status, error.message());
        match error.kind() {
            Kind::OutOfResources => {
                problem.with_header(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS))
            }
            _ => problem,
        }
    }

    /// Says which problem it is: a word that stays the same, for programs, and a title for people.
    pub fn named(mut self, word: &'static str, title: &'static str) -> Self {
        self.kind = Some((word, title));
        self
    }

    /// Adds a header field to the answer.
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The text for the peer.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (kind, title) = match self.kind {
            Some((word, title)) => (format!("urn:gantry:problem:{word}"), title),
            None => {
                let reason = self.status.canonical_reason().unwrap_or("error");
                ("about:blank".to_owned(), reason)
            }
        };
        let body = serde_json::json!({
            "type": kind,
            "title": title,
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.extend(self.headers);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_status_for_every_purpose() {
        // Retrieve, Search, Store, Remove, Commit.
        for (kind, expect) in [
            (Kind::Malformed, [400; 5]),
            (Kind::MismatchedSopClass, [400, 400, 409, 400, 400]),
            (Kind::Unauthenticated, [401; 5]),
            (Kind::Forbidden, [403; 5]),
            (Kind::NotFound, [404; 5]),
            (Kind::Gone, [410; 5]),
            (Kind::Conflict, [409; 5]),
            (Kind::Unsupported, [406, 501, 415, 501, 501]),
            (Kind::OutOfResources, [503, 503, 507, 503, 503]),
            (Kind::Cancelled, [503; 5]),
            (Kind::Internal, [500; 5]),
        ] {
            let purposes = [
                Purpose::Retrieve,
                Purpose::Search,
                Purpose::Store,
                Purpose::Remove,
                Purpose::Commit,
            ];
            let found = purposes.map(|purpose| status_of(kind, purpose).as_u16());
            assert_eq!(found, expect, "{kind:?}");
        }
    }

    #[test]
    fn shortage_says_when_to_try_again() {
        let error = gantry_archive::Error::new(Kind::OutOfResources, "disk is full");
        let response = Problem::from_archive(&error, Purpose::Store).into_response();
        assert_eq!(response.status(), 507);
        assert_eq!(response.headers()[RETRY_AFTER], RETRY_AFTER_SECONDS);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
    }

    #[tokio::test]
    async fn the_body_says_what_is_wrong() {
        let response = Problem::not_acceptable("application/dicom+json").into_response();
        let body = axum::body::to_bytes(response.into_body(), 10_000)
            .await
            .unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["status"], 406);
        assert_eq!(body["title"], "Not Acceptable");
        assert_eq!(
            body["detail"],
            "supported media types: application/dicom+json"
        );
    }
}
