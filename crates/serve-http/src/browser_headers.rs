//! Header fields that tell browsers what pages of this server may do.

use crate::reply::IsEncoded;
use axum::extract::Request;
use axum::http::header::{
    CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;

/// For pages of this server: scripts and styles are files of it, and nothing else is loaded.
pub const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self' blob: data:; connect-src 'self'; media-src 'self'; frame-src 'self'; \
     manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";
/// For what is not a page: if a browser shows it, it may do nothing. Stored documents come from
/// anywhere and would otherwise run as part of this server.
const CONTENT_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; \
     sandbox; frame-ancestors 'self'";
/// Browsers' viewers of PDF and of video do not run in a sandbox.
const VIEWER_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; media-src 'self'; \
     object-src 'self'; plugin-types application/pdf; frame-ancestors 'self'";

/// Adds the header fields.
pub async fn layer(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let has_right_tag = response.extensions().get::<IsEncoded>().is_some();
    let headers = response.headers_mut();
    let content_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let policy =
        if content_type.starts_with("application/pdf") || content_type.starts_with("video/") {
            VIEWER_POLICY
        } else {
            CONTENT_POLICY
        };
    let defaults: [(HeaderName, &'static str); 4] = [
        (CONTENT_SECURITY_POLICY, policy),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "SAMEORIGIN"),
        (REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in defaults {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    if !has_right_tag {
        weaken(headers);
    }
    response
}

/// A compressed answer has not the bytes that its strong entity tag stands for (RFC 9110 §8.8.3).
fn weaken(headers: &mut axum::http::HeaderMap) {
    if !headers.contains_key(CONTENT_ENCODING) {
        return;
    }
    let weak = headers
        .get(ETAG)
        .and_then(|tag| tag.to_str().ok())
        .filter(|tag| !tag.starts_with("W/"))
        .and_then(|tag| HeaderValue::from_str(&format!("W/{tag}")).ok());
    if let Some(weak) = weak {
        headers.insert(ETAG, weak);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::body::Body;
    use axum::middleware::from_fn;
    use axum::routing::get;
    use tower::ServiceExt;

    async fn answer(fields: &'static [(&'static str, &'static str)]) -> Response {
        let handler = move || async move {
            let mut response = Response::new(Body::from("x"));
            for (name, value) in fields {
                let name = HeaderName::from_static(name);
                response
                    .headers_mut()
                    .insert(name, HeaderValue::from_static(value));
            }
            response
        };
        let router = Router::new().route("/", get(handler)).layer(from_fn(layer));
        router.oneshot(Request::new(Body::empty())).await.unwrap()
    }

    #[tokio::test]
    async fn what_is_no_page_may_do_nothing() {
        let response = answer(&[("content-type", "text/html")]).await;
        let policy = response.headers()[CONTENT_SECURITY_POLICY]
            .to_str()
            .unwrap();
        assert!(policy.contains("sandbox") && policy.contains("default-src 'none'"));
        assert_eq!(response.headers()[X_CONTENT_TYPE_OPTIONS], "nosniff");
        let response = answer(&[("content-type", "application/pdf")]).await;
        let policy = response.headers()[CONTENT_SECURITY_POLICY]
            .to_str()
            .unwrap();
        assert!(!policy.contains("sandbox"));
    }

    #[tokio::test]
    async fn a_page_keeps_its_own_policy() {
        let response = answer(&[("content-security-policy", PAGE_POLICY)]).await;
        assert_eq!(response.headers()[CONTENT_SECURITY_POLICY], PAGE_POLICY);
        assert!(!PAGE_POLICY.contains("unsafe"));
    }

    #[tokio::test]
    async fn compressed_answers_have_weak_tags() {
        let response = answer(&[("etag", "\"x\""), ("content-encoding", "gzip")]).await;
        assert_eq!(response.headers()[ETAG], "W/\"x\"");
        let response = answer(&[("etag", "\"x\"")]).await;
        assert_eq!(response.headers()[ETAG], "\"x\"");
    }
}
