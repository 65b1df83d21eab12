//! Who is asking, and under which address they reach this server.

use crate::config::HttpConfig;
use axum::http::header::HOST;
use axum::http::{HeaderMap, Uri};
use gantry_core::access::Access;
use gantry_core::principal::{Door, Principal};
use gantry_identity::Caller;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Somebody who has not said who they are.
pub fn stranger(address: Option<IpAddr>) -> Principal {
    Principal {
        address,
        ..Principal::unknown(Door::Http)
    }
}

/// Everybody, where nobody has to log in.
pub fn everybody(address: Option<IpAddr>) -> Principal {
    Principal {
        access: Arc::new(Access::unlimited("demo")),
        ..stranger(address)
    }
}

/// Somebody who was recognised.
pub fn known(caller: &Caller, address: Option<IpAddr>) -> Principal {
    Principal {
        user: caller.login.clone(),
        credential: Some(caller.credential.clone()),
        access: Arc::clone(&caller.access),
        ..stranger(address)
    }
}

/// The address a request comes from: the peer's, or, when the peer is a proxy that is trusted,
/// the last one that it has not written itself.
pub fn address(
    peer: Option<SocketAddr>,
    headers: &HeaderMap,
    trusted: &[IpAddr],
) -> Option<IpAddr> {
    let peer = peer.map(|peer| peer.ip().to_canonical())?;
    let is_trusted = |address: &IpAddr| trusted.iter().any(|one| one.to_canonical() == *address);
    if !is_trusted(&peer) {
        return Some(peer);
    }
    let forwarded: Vec<IpAddr> = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        // What cannot be read may be anybody's: nothing before it counts.
        .map_while(|one| one.trim().parse().ok())
        .map(|address: IpAddr| address.to_canonical())
        .collect();
    let last = forwarded.iter().rev().find(|address| !is_trusted(address));
    Some(last.copied().unwrap_or(peer))
}

/// The address of this server as the client sees it, without a slash at the end:
/// `http://host:port`, and whatever path a proxy puts before ours.
pub fn base_url(
    uri: &Uri,
    headers: &HeaderMap,
    config: &HttpConfig,
    listening: SocketAddr,
    is_secure: bool,
) -> String {
    if !config.public_url.is_empty() {
        return config.public_url.trim_end_matches('/').to_owned();
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let (mut scheme, mut host, mut prefix) = (None, None, None);
    if config.trust_forwarded {
        let forwarded = text("forwarded").unwrap_or_default();
        scheme =
            forwarded_parameter(forwarded, "proto").or_else(|| first(text("x-forwarded-proto")));
        host = forwarded_parameter(forwarded, "host").or_else(|| first(text("x-forwarded-host")));
        prefix = first(text("x-forwarded-prefix"));
    }
    let scheme = scheme
        .filter(|&scheme| scheme == "http" || scheme == "https")
        .unwrap_or(if is_secure { "https" } else { "http" });
    let host = host
        .filter(|host| is_authority(host))
        .or_else(|| text(HOST.as_str()).filter(|host| is_authority(host)))
        // HTTP/2 says it in the pseudo-header field.
        .or_else(|| {
            uri.authority()
                .map(|authority| authority.as_str())
                .filter(|h| is_authority(h))
        })
        .map_or_else(|| listening.to_string(), str::to_owned);
    let prefix = prefix
        .filter(|prefix| is_path(prefix))
        .unwrap_or("")
        .trim_end_matches('/');
    format!("{scheme}://{host}{prefix}")
}

/// The host and port that a request names, if they are fit for a URL.
pub fn host_of<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    let named = headers.get(HOST).and_then(|value| value.to_str().ok());
    named
        // HTTP/2 says it in the pseudo-header field.
        .or_else(|| uri.authority().map(|authority| authority.as_str()))
        .filter(|host| is_authority(host))
}

/// The value of a parameter in the first element of a Forwarded header field (RFC 7239).
fn forwarded_parameter<'a>(forwarded: &'a str, name: &str) -> Option<&'a str> {
    let first = forwarded.split(',').next()?;
    first.split(';').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        key.trim()
            .eq_ignore_ascii_case(name)
            .then(|| value.trim().trim_matches('"'))
    })
}

fn first(list: Option<&str>) -> Option<&str> {
    list.and_then(|list| list.split(',').next())
        .map(str::trim)
        .filter(|value| !value.is_empty())
}

/// Only what cannot break out of a URL in an answer.
fn is_authority(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 255
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte))
}

fn is_path(text: &str) -> bool {
    text.starts_with('/')
        && text.len() <= 255
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"/.-_~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};

    #[track_caller]
    fn check(config: &HttpConfig, fields: &[(&str, &str)], expect: &str) {
        let headers: HeaderMap = fields
            .iter()
            .map(|(name, value)| {
                (
                    name.parse::<HeaderName>().unwrap(),
                    HeaderValue::from_str(value).unwrap(),
                )
            })
            .collect();
        let listening = SocketAddr::from(([127, 0, 0, 1], 8104));
        let uri = Uri::from_static("/dicom-web");
        assert_eq!(
            base_url(&uri, &headers, config, listening, false),
            expect,
            "{fields:?}"
        );
    }

    #[test]
    fn the_address_is_the_one_the_client_used() {
        let config = HttpConfig::default();
        check(&config, &[], "http://127.0.0.1:8104");
        check(&config, &[("host", "pacs:80")], "http://pacs:80");
        check(&config, &[("host", "[::1]:80")], "http://[::1]:80");
        check(
            &config,
            &[
                ("host", "inner"),
                (
                    "forwarded",
                    "for=1.2.3.4;Proto=https;host=\"pacs:443\", for=x",
                ),
            ],
            "https://pacs:443",
        );
        check(
            &config,
            &[
                ("host", "inner"),
                ("x-forwarded-proto", "https, http"),
                ("x-forwarded-host", "pacs"),
                ("x-forwarded-prefix", "/gantry/"),
            ],
            "https://pacs/gantry",
        );
    }

    #[test]
    fn forwarded_addresses_are_believed_from_trusted_proxies_only() {
        let peer = Some(SocketAddr::from(([10, 0, 0, 1], 5)));
        let proxy: IpAddr = "10.0.0.1".parse().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(
            "x-forwarded-for",
            "6.6.6.6, 9.9.9.9, 10.0.0.1".parse().unwrap(),
        );
        assert_eq!(address(peer, &headers, &[]), Some(proxy));
        let last: IpAddr = "9.9.9.9".parse().unwrap();
        assert_eq!(address(peer, &headers, &[proxy]), Some(last));
        assert_eq!(address(peer, &HeaderMap::new(), &[proxy]), Some(proxy));
        assert_eq!(address(None, &headers, &[proxy]), None);
    }

    #[test]
    fn over_http_2_the_address_is_in_the_uri() {
        let listening = SocketAddr::from(([127, 0, 0, 1], 8104));
        let uri = Uri::from_static("http://pacs:81/dicom-web");
        let found = base_url(
            &uri,
            &HeaderMap::new(),
            &HttpConfig::default(),
            listening,
            true,
        );
        assert_eq!(found, "https://pacs:81");
    }

    #[test]
    fn what_could_break_a_url_is_not_used() {
        let config = HttpConfig::default();
        check(
            &config,
            &[("host", "a\"><script>")],
            "http://127.0.0.1:8104",
        );
        check(
            &config,
            &[
                ("host", "pacs"),
                ("x-forwarded-host", "a/b"),
                ("x-forwarded-proto", "javascript"),
            ],
            "http://pacs",
        );
    }

    #[test]
    fn configuration_beats_header_fields() {
        let config = HttpConfig {
            public_url: "https://pacs.example/x/".into(),
            ..HttpConfig::default()
        };
        check(&config, &[("host", "inner")], "https://pacs.example/x");
        let config = HttpConfig {
            trust_forwarded: false,
            ..HttpConfig::default()
        };
        check(
            &config,
            &[("host", "inner"), ("x-forwarded-host", "evil")],
            "http://inner",
        );
    }
}
