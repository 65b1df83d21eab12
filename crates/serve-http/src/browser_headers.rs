//! Header fields that tell browsers what pages of this server may do.

use crate::caller::host_of;
use crate::config::HttpConfig;
use crate::connection::Peer;
use crate::reply::IsEncoded;
use axum::extract::{Request, State};
use axum::http::header::{
    CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
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

/// Devices and abilities that no page of this server uses.
const PERMISSIONS: &str = "accelerometer=(), camera=(), display-capture=(), geolocation=(), \
     gyroscope=(), magnetometer=(), microphone=(), midi=(), payment=(), serial=(), usb=()";
const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const EMBEDDER_POLICY: HeaderName = HeaderName::from_static("cross-origin-embedder-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// What depends on the site.
#[derive(Debug, Clone)]
pub struct Policy {
    transport_security: Option<HeaderValue>,
    resources: HeaderValue,
}

impl Policy {
    /// As configured.
    pub fn new(config: &HttpConfig) -> Self {
        let seconds = config.hsts_seconds;
        Self {
            transport_security: (seconds > 0)
                .then(|| HeaderValue::from_str(&format!("max-age={seconds}")).ok())
                .flatten(),
            // Pages of other origins that may read answers may also show pictures of ours.
            resources: HeaderValue::from_static(if config.cors_origins.is_empty() {
                "same-origin"
            } else {
                "cross-origin"
            }),
        }
    }
}

/// Makes a page isolated from others (the HTML standard's cross-origin isolation), so that it may
/// share memory between its workers: a viewer that decodes in them.
#[allow(dead_code, reason = "for the pages of the viewer")]
pub fn isolate(response: &mut Response) {
    let headers = response.headers_mut();
    headers.insert(OPENER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(EMBEDDER_POLICY, HeaderValue::from_static("require-corp"));
}

/// Adds the header fields.
pub async fn layer(State(site): State<Policy>, request: Request, next: Next) -> Response {
    let transport_security = site
        .transport_security
        .filter(|_| is_for_ever_secure(&request));
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
    let defaults: [(HeaderName, HeaderValue); 7] = [
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy)),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (PERMISSIONS_POLICY, HeaderValue::from_static(PERMISSIONS)),
        (OPENER_POLICY, HeaderValue::from_static("same-origin")),
        (RESOURCE_POLICY, site.resources),
    ];
    for (name, value) in defaults {
        headers.entry(name).or_insert(value);
    }
    if let Some(value) = transport_security {
        headers.insert(STRICT_TRANSPORT_SECURITY, value);
    }
    if !has_right_tag {
        weaken(headers);
    }
    response
}

/// Whether the browser may be told never to use plain HTTP with this host again (RFC 6797). It
/// holds for all ports of a host, and `localhost` is home to other servers as well.
fn is_for_ever_secure(request: &Request) -> bool {
    let host = host_of(request.uri(), request.headers()).unwrap_or_default();
    let name = host.split(':').next().unwrap_or_default();
    Peer::is_secure(request.extensions()) && name != "localhost" && !name.ends_with(".localhost")
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
    use axum::middleware::from_fn_with_state;
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
        let router = Router::new().route("/", get(handler));
        ask(router, &HttpConfig::default(), "pacs.example", false).await
    }

    async fn ask(router: Router, config: &HttpConfig, host: &str, is_secure: bool) -> Response {
        let router = router.layer(from_fn_with_state(Policy::new(config), layer));
        let request = Request::builder().header("host", host);
        let mut request = request.body(Body::empty()).unwrap();
        let peer = Peer::plain(([192, 0, 2, 7], 4000).into());
        let peer = if is_secure { peer.secured(None) } else { peer };
        request.extensions_mut().insert(peer);
        router.oneshot(request).await.unwrap()
    }

    #[tokio::test]
    async fn browsers_are_to_stay_with_https_once_they_have_used_it() {
        let config = HttpConfig {
            hsts_seconds: 600,
            ..HttpConfig::default()
        };
        let router = || Router::new().route("/", get(|| async {}));
        let has = |response: &Response| response.headers().contains_key(STRICT_TRANSPORT_SECURITY);
        let response = ask(router(), &config, "pacs.example:8443", true).await;
        assert_eq!(response.headers()[STRICT_TRANSPORT_SECURITY], "max-age=600");
        assert!(!has(&ask(router(), &config, "pacs.example", false).await));
        assert!(!has(&ask(router(), &config, "localhost:8443", true).await));
        let never = HttpConfig::default();
        assert!(!has(&ask(router(), &never, "pacs.example", true).await));
    }

    #[tokio::test]
    async fn resources_are_for_the_same_origin_unless_others_are_allowed() {
        let router = || Router::new().route("/", get(|| async {}));
        let response = ask(router(), &HttpConfig::default(), "pacs", true).await;
        assert_eq!(response.headers()[RESOURCE_POLICY], "same-origin");
        assert_eq!(response.headers()[OPENER_POLICY], "same-origin");
        assert!(response.headers().contains_key(PERMISSIONS_POLICY));
        assert!(!response.headers().contains_key(EMBEDDER_POLICY));
        let shared = HttpConfig {
            cors_origins: vec!["https://viewer.example".into()],
            ..HttpConfig::default()
        };
        let response = ask(router(), &shared, "pacs", true).await;
        assert_eq!(response.headers()[RESOURCE_POLICY], "cross-origin");
    }

    #[test]
    fn an_isolated_page_says_so() {
        let mut response = Response::new(Body::empty());
        isolate(&mut response);
        assert_eq!(response.headers()[EMBEDDER_POLICY], "require-corp");
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
