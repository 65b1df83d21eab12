//! Answers that pages of other origins may read (the Fetch standard's CORS protocol).
//!
//! OPTIONS requests that are no preflight pass through: they retrieve the capabilities
//! (PS3.18 8.9).

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use std::sync::Arc;

/// Header fields of answers that pages may read beside the safelisted ones.
const EXPOSED: &str = "Content-Type, Content-Length, Content-Location, Content-Range, \
                       Content-Encoding, Accept-Ranges, ETag, Location, Retry-After, Warning";
/// Methods that pages may use.
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
/// Seconds for which a browser may remember a preflight; browsers cap it at two hours or a day.
const MAX_AGE: &str = "86400";

/// Which origins may read.
#[derive(Debug, Clone)]
pub struct Cors {
    origins: Arc<[String]>,
    is_any: bool,
}

impl Cors {
    /// Origins as configured; `*` among them means every one.
    pub fn new(origins: &[String]) -> Self {
        let is_any = origins.iter().any(|origin| origin == "*");
        let origins = origins
            .iter()
            .map(|origin| origin.trim_end_matches('/').to_lowercase());
        Self {
            origins: origins.collect(),
            is_any,
        }
    }

    fn allow(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(ORIGIN)?;
        if self.is_any {
            return Some(HeaderValue::from_static("*"));
        }
        let text = origin.to_str().ok()?.to_lowercase();
        self.origins.contains(&text).then(|| origin.clone())
    }
}

/// Answers preflights and marks answers that may be read.
pub async fn layer(State(cors): State<Cors>, request: Request, next: Next) -> Response {
    let allow = cors.allow(request.headers());
    let is_preflight = request.method() == Method::OPTIONS
        && request.headers().contains_key(ORIGIN)
        && request
            .headers()
            .contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = if is_preflight {
        preflight(request.headers(), allow.is_some())
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    if !cors.origins.is_empty() && !cors.is_any {
        headers.append(VARY, HeaderValue::from_static("Origin"));
    }
    if let Some(origin) = allow {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(
            ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static(EXPOSED),
        );
    }
    response
}

fn preflight(asked: &HeaderMap, is_allowed: bool) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    if !is_allowed {
        return response;
    }
    let headers = response.headers_mut();
    headers.insert(
        ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static(METHODS),
    );
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE));
    if let Some(names) = asked.get(ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::middleware::from_fn_with_state;
    use axum::routing::get;
    use tower::ServiceExt;

    async fn ask(origins: &[&str], method: Method, fields: &[(&str, &str)]) -> Response {
        let origins: Vec<String> = origins.iter().map(|&origin| origin.to_owned()).collect();
        let router = Router::new()
            .route(
                "/",
                get(|| async { "body" }).options(|| async { "capabilities" }),
            )
            .layer(from_fn_with_state(Cors::new(&origins), layer));
        let mut request = Request::builder().method(method).uri("/");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        router
            .oneshot(request.body(Body::empty()).unwrap())
            .await
            .unwrap()
    }

    const VIEWER: (&str, &str) = ("origin", "https://viewer.example");
    const PREFLIGHT: [(&str, &str); 3] = [
        VIEWER,
        ("access-control-request-method", "GET"),
        ("access-control-request-headers", "authorization, accept"),
    ];

    #[tokio::test]
    async fn configured_origins_may_read() {
        let response = ask(&["https://Viewer.example/"], Method::GET, &[VIEWER]).await;
        assert_eq!(
            response.headers()[ACCESS_CONTROL_ALLOW_ORIGIN],
            "https://viewer.example"
        );
        let exposed = response.headers()[ACCESS_CONTROL_EXPOSE_HEADERS]
            .to_str()
            .unwrap();
        assert!(exposed.contains("Content-Type"));
        assert_eq!(response.headers()[VARY], "Origin");
    }

    #[tokio::test]
    async fn other_origins_may_not() {
        for origins in [&[][..], &["https://other.example"]] {
            let response = ask(origins, Method::GET, &[VIEWER]).await;
            assert_eq!(response.status(), 200);
            assert!(!response.headers().contains_key(ACCESS_CONTROL_ALLOW_ORIGIN));
            let response = ask(origins, Method::OPTIONS, &PREFLIGHT).await;
            assert!(
                !response
                    .headers()
                    .contains_key(ACCESS_CONTROL_ALLOW_METHODS)
            );
        }
    }

    #[tokio::test]
    async fn preflights_are_answered_here() {
        let response = ask(&["*"], Method::OPTIONS, &PREFLIGHT).await;
        assert_eq!(response.status(), 204);
        assert_eq!(response.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        assert_eq!(
            response.headers()[ACCESS_CONTROL_ALLOW_HEADERS],
            "authorization, accept"
        );
    }

    #[tokio::test]
    async fn options_without_preflight_passes() {
        let response = ask(&["*"], Method::OPTIONS, &[VIEWER]).await;
        let body = axum::body::to_bytes(response.into_body(), 100)
            .await
            .unwrap();
        assert_eq!(&body[..], b"capabilities");
    }
}
