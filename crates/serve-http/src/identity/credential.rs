//! What a request shows to say who it comes from.

use super::cookie;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use gantry_identity::Credential;

/// Longest credential that is looked at.
const CREDENTIAL_BYTES_MAX: usize = 16 << 10;

/// What a request shows.
#[derive(Clone, PartialEq, Eq)]
pub enum Shown {
    /// A session's cookie.
    Session(String),
    /// An opened share's cookie.
    Share(String),
    /// `Authorization: Bearer`.
    Bearer(String),
    /// `Authorization: Basic`.
    Basic(String, String),
}

impl Shown {
    /// All that a request shows, in the order in which it counts. `Authorization` is said on
    /// purpose: it comes alone.
    pub fn of(headers: &HeaderMap) -> Vec<Self> {
        if let Some(value) = headers.get(AUTHORIZATION) {
            let text = value.to_str().unwrap_or_default();
            return parse(text).into_iter().collect();
        }
        let session = cookie::find(headers, cookie::SESSION).map(Self::Session);
        let share = cookie::find(headers, cookie::SHARE).map(Self::Share);
        session.into_iter().chain(share).collect()
    }

    /// For the identity database.
    pub fn credential(&self) -> Credential<'_> {
        match self {
            Self::Session(secret) => Credential::Session(secret),
            Self::Share(secret) => Credential::Share(secret),
            Self::Bearer(text) => Credential::Bearer(text),
            Self::Basic(login, password) => Credential::Basic(login, password),
        }
    }

    /// Whether browsers send it by themselves, whichever page causes the request.
    pub fn is_ambient(&self) -> bool {
        !matches!(self, Self::Bearer(_))
    }
}

fn parse(text: &str) -> Option<Shown> {
    if text.len() > CREDENTIAL_BYTES_MAX {
        return None;
    }
    let (scheme, rest) = text.trim().split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return (!rest.is_empty()).then(|| Shown::Bearer(rest.to_owned()));
    }
    if scheme.eq_ignore_ascii_case("basic") {
        let pair = String::from_utf8(BASE64.decode(rest).ok()?).ok()?;
        let (login, password) = pair.split_once(':')?;
        return Some(Shown::Basic(login.to_owned(), password.to_owned()));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(name: &'static str, value: &str) -> Vec<Shown> {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        Shown::of(&headers)
    }

    #[test]
    fn credentials_are_read() {
        assert!(shown("authorization", "bearer  abc ") == [Shown::Bearer("abc".into())]);
        let basic = shown("authorization", "Basic QWxhZGRpbjpvcGVuOnNlc2FtZQ==");
        assert!(basic == [Shown::Basic("Aladdin".into(), "open:sesame".into())]);
        for none in ["", "Bearer", "Bearer ", "Basic !", "Basic QQ==", "Digest x"] {
            assert!(shown("authorization", none).is_empty(), "{none}");
        }
        let both = shown("cookie", "x=1; gantry_share=s; __Host-gantry_session=t");
        assert!(both == [Shown::Session("t".into()), Shown::Share("s".into())]);
    }
}
