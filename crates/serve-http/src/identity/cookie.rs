//! The cookies: one for a session, one for an opened share, one for a login at a provider.

use axum::http::header::COOKIE;
use axum::http::{HeaderMap, HeaderValue};

/// A session's cookie.
pub const SESSION: &str = "gantry_session";
/// An opened share's cookie.
pub const SHARE: &str = "gantry_share";
/// The cookie of a login that was begun at an identity provider.
pub const PROVIDER: &str = "gantry_provider";
/// Over HTTPS browsers take cookies of these names from this host alone, for all its paths.
const HOST_PREFIX: &str = "__Host-";
/// Longest value that is looked at.
const VALUE_BYTES_MAX: usize = 256;

/// From which pages' requests a cookie is sent along.
#[derive(Debug, Clone, Copy)]
pub enum SameSite {
    /// From this server's pages only.
    Strict,
    /// Also when another site's page leads here.
    Lax,
}

/// The value of a cookie that a request shows, with or without the prefix.
pub fn find(headers: &HeaderMap, name: &str) -> Option<String> {
    let pairs: Vec<(&str, &str)> = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .collect();
    let prefixed = format!("{HOST_PREFIX}{name}");
    // The prefixed one cannot come from another host.
    let value = [prefixed.as_str(), name]
        .into_iter()
        .find_map(|name| pairs.iter().find(|(key, _)| *key == name))?
        .1;
    (!value.is_empty() && value.len() <= VALUE_BYTES_MAX).then(|| value.to_owned())
}

/// The header field that sets a cookie for some seconds, or, with none, takes it away.
pub fn set(
    name: &str,
    value: &str,
    seconds: i64,
    is_https: bool,
    same_site: SameSite,
) -> HeaderValue {
    let (prefix, secure) = if is_https {
        (HOST_PREFIX, "; Secure")
    } else {
        ("", "")
    };
    let same_site = match same_site {
        SameSite::Strict => "Strict",
        SameSite::Lax => "Lax",
    };
    let seconds = seconds.max(0);
    let text = format!(
        "{prefix}{name}={value}; Path=/; HttpOnly; SameSite={same_site}; Max-Age={seconds}{secure}"
    );
    let mut field = crate::reply::header_value(&text);
    field.set_sensitive(true);
    field
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_for_this_host_and_not_for_scripts() {
        let secure = set(SESSION, "abc", 60, true, SameSite::Strict);
        assert_eq!(
            secure.to_str().unwrap(),
            "__Host-gantry_session=abc; Path=/; HttpOnly; SameSite=Strict; Max-Age=60; Secure"
        );
        let plain = set(SESSION, "", -5, false, SameSite::Strict);
        assert_eq!(
            plain.to_str().unwrap(),
            "gantry_session=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0"
        );
    }

    #[test]
    fn the_prefixed_cookie_counts_first() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, "gantry_session=evil".parse().unwrap());
        assert_eq!(find(&headers, SESSION).as_deref(), Some("evil"));
        headers.append(COOKIE, "a=b; __Host-gantry_session=good".parse().unwrap());
        assert_eq!(find(&headers, SESSION).as_deref(), Some("good"));
        assert_eq!(find(&headers, SHARE), None);
    }
}
