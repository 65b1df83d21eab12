//! One log line for each request, without anything that could be a patient's: the route's
//! template instead of the path, and no query.

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use std::net::SocketAddr;
use std::time::Instant;

/// Logs what was asked and how it was answered.
pub async fn layer(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map(|path| path.as_str().to_owned());
    let peer = request
        .extensions()
        .get::<SocketAddr>()
        .map(|peer| peer.ip().to_canonical());
    let response = next.run(request).await;
    let status = response.status().as_u16();
    let route = route.as_deref().unwrap_or("none");
    let duration_ms = started.elapsed().as_millis() as u64;
    macro_rules! log {
        ($level:ident) => {
            tracing::$level!(
                http.method = %method,
                http.route = route,
                http.status = status,
                peer.address = peer.map(tracing::field::display),
                duration_ms,
                "answered"
            )
        };
    }
    match status {
        500.. => log!(warn),
        _ if method != axum::http::Method::GET => log!(info),
        400.. => log!(info),
        _ => log!(debug),
    }
    response
}
