//! From HTTP to HTTPS.
//!
//! Programs on this machine may go on speaking plain HTTP: nobody is in between. So may a reverse
//! proxy that says that its client speaks HTTPS.

use crate::caller::host_of;
use crate::config::HttpConfig;
use crate::connection::Peer;
use axum::extract::{Request, State};
use axum::http::header::{LOCATION, VARY};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Paths that whoever watches the server asks for without being a browser.
const SIGNS_OF_LIFE: [&str; 2] = ["/livez", "/readyz"];

/// Where to.
#[derive(Debug, Clone)]
pub struct Redirect {
    port: Option<u16>,
    public_url: Option<String>,
    trust_forwarded: bool,
}

impl Redirect {
    /// As configured.
    pub fn new(config: &HttpConfig) -> Self {
        let public_url = config.public_url.trim_end_matches('/');
        Self {
            port: config.redirect_to_port,
            public_url: public_url
                .starts_with("https://")
                .then(|| public_url.to_owned()),
            trust_forwarded: config.trust_forwarded,
        }
    }

    fn target(&self, request: &Request) -> Option<String> {
        let port = self.port?;
        let peer = request.extensions().get::<Peer>()?;
        let path = request.uri().path();
        if peer.is_secure || peer.address.ip().is_loopback() || SIGNS_OF_LIFE.contains(&path) {
            return None;
        }
        let forwarded = request.headers().get("x-forwarded-proto");
        if self.trust_forwarded && forwarded.is_some_and(|scheme| scheme == "https") {
            return None;
        }
        let path_and_query = request.uri().path_and_query()?.as_str();
        if let Some(url) = &self.public_url {
            return Some(format!("{url}{path_and_query}"));
        }
        let host = host_of(request.uri(), request.headers())?;
        let name = match host.rsplit_once(':') {
            // The colons of a bare IPv6 address are inside its brackets.
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        };
        Some(match port {
            443 => format!("https://{name}{path_and_query}"),
            _ => format!("https://{name}:{port}{path_and_query}"),
        })
    }
}

/// Redirects.
pub async fn layer(State(redirect): State<Redirect>, request: Request, next: Next) -> Response {
    let Some(target) = redirect.target(&request) else {
        return next.run(request).await;
    };
    let Ok(target) = HeaderValue::from_str(&target) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let mut response = StatusCode::PERMANENT_REDIRECT.into_response();
    let headers = response.headers_mut();
    headers.insert(LOCATION, target);
    headers.insert(VARY, HeaderValue::from_static("Host"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use std::net::SocketAddr;

    fn target(config: &HttpConfig, address: &str, fields: &[(&str, &str)]) -> Option<String> {
        let address: SocketAddr = address.parse().unwrap();
        let mut request = Request::builder().uri("/dicom-web/studies?limit=1");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let mut request = request.body(Body::empty()).unwrap();
        request.extensions_mut().insert(Peer::plain(address));
        Redirect::new(config).target(&request)
    }

    fn config() -> HttpConfig {
        HttpConfig {
            redirect_to_port: Some(8443),
            ..HttpConfig::default()
        }
    }

    #[test]
    fn others_are_sent_to_https_and_this_machine_is_not() {
        let host = [("host", "pacs.example:8104")];
        let expected = "https://pacs.example:8443/dicom-web/studies?limit=1";
        let found = target(&config(), "192.0.2.1:4000", &host);
        assert_eq!(found.as_deref(), Some(expected));
        assert_eq!(target(&config(), "127.0.0.1:4000", &host), None);
        assert_eq!(target(&config(), "[::ffff:127.0.0.1]:4000", &host), None);
        let nowhere = HttpConfig::default();
        assert_eq!(target(&nowhere, "192.0.2.1:4000", &host), None);
    }

    #[test]
    fn addresses_and_configured_names_are_kept() {
        let found = target(&config(), "192.0.2.1:1", &[("host", "[2001:db8::1]")]);
        assert!(found.unwrap().starts_with("https://[2001:db8::1]:8443/"));
        let named = HttpConfig {
            public_url: "https://pacs.example/".into(),
            ..config()
        };
        let found = target(&named, "192.0.2.1:1", &[("host", "inner")]);
        assert!(found.unwrap().starts_with("https://pacs.example/dicom-web"));
    }

    #[test]
    fn a_proxy_that_speaks_https_for_its_client_is_left_alone() {
        let fields = [("host", "pacs"), ("x-forwarded-proto", "https")];
        assert_eq!(target(&config(), "192.0.2.1:1", &fields), None);
    }

    #[test]
    fn a_host_that_is_none_is_not_repeated() {
        let fields = [("host", "evil\"/")];
        assert_eq!(target(&config(), "192.0.2.1:1", &fields), None);
    }
}
