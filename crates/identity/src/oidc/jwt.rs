//! Signed tokens (RFC 7515, RFC 7517, RFC 7519) with public keys. Tokens without signature, and
//! those with shared secrets, are none.

use crate::error::{IdentityError, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use ring::signature::{
    self, ED25519, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
use serde::Deserialize;
use serde_json::{Map, Value};

/// Longest token that is looked at.
const TOKEN_BYTES_MAX: usize = 16 << 10;
/// How far clocks may differ, in seconds.
const SKEW: i64 = 60;

/// A set of keys, as providers publish it.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct KeySet {
    keys: Vec<Key>,
}

/// A public key (RFC 7518 6).
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Key {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    alg: Option<String>,
    crv: String,
    n: String,
    e: String,
    x: String,
    y: String,
}

#[derive(Debug, Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    /// Extensions that must be understood: none is.
    #[serde(default)]
    crit: Option<Value>,
}

/// A token whose signature has not been looked at.
pub struct Unverified<'a> {
    header: Header,
    claims: Claims,
    signed: &'a str,
    signature: Vec<u8>,
}

/// What a token says.
#[derive(Debug, Clone, Default)]
pub struct Claims(pub Map<String, Value>);

impl<'a> Unverified<'a> {
    /// Reads a token.
    pub fn read(token: &'a str) -> Result<Self> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(IdentityError::WrongCredentials);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(WRONG)?;
        let (header, claims) = signed.split_once('.').ok_or(WRONG)?;
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| WRONG)?;
        if header.crit.is_some() {
            return Err(WRONG);
        }
        Ok(Self {
            header,
            claims: Claims(serde_json::from_slice(&decode(claims)?).map_err(|_| WRONG)?),
            signed,
            signature: decode(signature)?,
        })
    }

    /// Who it says has issued it. Not to be believed yet.
    pub fn issuer(&self) -> &str {
        self.claims.text("iss").unwrap_or_default()
    }

    /// Whether the set has a key that may be the one.
    pub fn has_key_in(&self, keys: &KeySet) -> bool {
        self.candidates(keys).next().is_some()
    }

    /// What it says, if one of the keys signed it, and the issuer and time are right.
    pub fn verify(self, keys: &KeySet, issuer: &str, now: i64) -> Result<Claims> {
        let is_signed = self.candidates(keys).any(|key| {
            key.verify(&self.header.alg, self.signed.as_bytes(), &self.signature)
                .is_some()
        });
        let claims = &self.claims;
        let expires = claims.number("exp").ok_or(WRONG)?;
        let begins = claims.number("nbf").unwrap_or(i64::MIN);
        let issued = claims.number("iat").unwrap_or(i64::MIN);
        let is_right = is_signed
            && claims.text("iss") == Some(issuer)
            && now < expires.saturating_add(SKEW)
            && begins.saturating_sub(SKEW) <= now
            && issued.saturating_sub(SKEW) <= now;
        is_right.then_some(self.claims).ok_or(WRONG)
    }

    fn candidates<'k>(&'k self, keys: &'k KeySet) -> impl Iterator<Item = &'k Key> {
        keys.keys.iter().filter(|key| {
            let is_named = match (&self.header.kid, &key.kid) {
                (Some(wanted), Some(name)) => wanted == name,
                (Some(_), None) => false,
                (None, _) => true,
            };
            is_named
                && key
                    .purpose
                    .as_deref()
                    .is_none_or(|purpose| purpose == "sig")
                && key.alg.as_ref().is_none_or(|alg| *alg == self.header.alg)
        })
    }
}

impl Claims {
    /// A text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// A number of seconds.
    pub fn number(&self, name: &str) -> Option<i64> {
        let number = self.0.get(name)?;
        number
            .as_i64()
            .or_else(|| number.as_f64().map(|number| number as i64))
    }

    /// A list of texts, or one.
    pub fn texts(&self, name: &str) -> Vec<&str> {
        match self.0.get(name) {
            Some(Value::String(text)) => vec![text],
            Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether it is meant for `audience`.
    pub fn is_for(&self, audience: &str) -> bool {
        self.texts("aud").contains(&audience)
    }
}

const WRONG: IdentityError = IdentityError::WrongCredentials;

fn decode(text: &str) -> Result<Vec<u8>> {
    BASE64URL.decode(text).map_err(|_| WRONG)
}

impl Key {
    /// The algorithm belongs to the kind of key, whatever the token says.
    fn verify(&self, algorithm: &str, message: &[u8], signature: &[u8]) -> Option<()> {
        match (self.kty.as_str(), self.crv.as_str(), algorithm) {
            ("RSA", _, "RS256") => {
                self.rsa(&signature::RSA_PKCS1_2048_8192_SHA256, message, signature)
            }
            ("RSA", _, "RS384") => {
                self.rsa(&signature::RSA_PKCS1_2048_8192_SHA384, message, signature)
            }
            ("RSA", _, "RS512") => {
                self.rsa(&signature::RSA_PKCS1_2048_8192_SHA512, message, signature)
            }
            ("RSA", _, "PS256") => {
                self.rsa(&signature::RSA_PSS_2048_8192_SHA256, message, signature)
            }
            ("RSA", _, "PS384") => {
                self.rsa(&signature::RSA_PSS_2048_8192_SHA384, message, signature)
            }
            ("RSA", _, "PS512") => {
                self.rsa(&signature::RSA_PSS_2048_8192_SHA512, message, signature)
            }
            ("EC", "P-256", "ES256") => {
                self.point(&signature::ECDSA_P256_SHA256_FIXED, message, signature)
            }
            ("EC", "P-384", "ES384") => {
                self.point(&signature::ECDSA_P384_SHA384_FIXED, message, signature)
            }
            ("OKP", "Ed25519", "EdDSA" | "Ed25519") => {
                let x = BASE64URL.decode(&self.x).ok()?;
                UnparsedPublicKey::new(&ED25519, x)
                    .verify(message, signature)
                    .ok()
            }
            _ => None,
        }
    }

    fn rsa(&self, parameters: &RsaParameters, message: &[u8], signature: &[u8]) -> Option<()> {
        let n = BASE64URL.decode(&self.n).ok()?;
        let e = BASE64URL.decode(&self.e).ok()?;
        RsaPublicKeyComponents { n, e }
            .verify(parameters, message, signature)
            .ok()
    }

    fn point(
        &self,
        algorithm: &'static dyn VerificationAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Option<()> {
        let (x, y) = (
            BASE64URL.decode(&self.x).ok()?,
            BASE64URL.decode(&self.y).ok()?,
        );
        let point = [&[4], x.as_slice(), y.as_slice()].concat();
        UnparsedPublicKey::new(algorithm, point)
            .verify(message, signature)
            .ok()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use ring::signature::{Ed25519KeyPair, KeyPair as _};
    use serde_json::json;

    pub fn key() -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap()
    }

    pub fn key_set(kid: &str) -> Value {
        let x = BASE64URL.encode(key().public_key().as_ref());
        json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": kid, "use": "sig", "x": x }] })
    }

    pub fn token(header: &Value, claims: &Value) -> String {
        let part = |value: &Value| BASE64URL.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = BASE64URL.encode(key().sign(signed.as_bytes()).as_ref());
        format!("{signed}.{signature}")
    }

    fn check(token: &str, now: i64) -> Result<Claims> {
        let keys: KeySet = serde_json::from_value(key_set("k")).unwrap();
        Unverified::read(token)?.verify(&keys, "https://issuer", now)
    }

    #[test]
    fn a_token_is_signed_in_time_and_of_the_issuer() {
        let header = json!({ "alg": "EdDSA", "kid": "k" });
        let claims = json!({ "iss": "https://issuer", "exp": 1000, "nbf": 500, "aud": ["a", "b"] });
        let good = token(&header, &claims);
        let found = check(&good, 700).unwrap();
        assert!(found.is_for("a") && !found.is_for("c"));
        for (now, is_right) in [(439, false), (441, true), (1059, true), (1060, false)] {
            assert_eq!(check(&good, now).is_ok(), is_right, "{now}");
        }
        // Changed, unsigned, signed by another way, of another key or issuer.
        let (head, signature) = good.rsplit_once('.').unwrap();
        let (first, _) = head.split_once('.').unwrap();
        let other = BASE64URL.encode(json!({ "iss": "https://issuer", "exp": 9999 }).to_string());
        assert!(check(&format!("{first}.{other}.{signature}"), 700).is_err());
        assert!(check(&format!("{head}."), 700).is_err());
        for header in [
            json!({ "alg": "none" }),
            json!({ "alg": "HS256", "kid": "k" }),
            json!({ "alg": "EdDSA", "kid": "other" }),
            json!({ "alg": "EdDSA", "kid": "k", "crit": ["x"] }),
        ] {
            assert!(check(&token(&header, &claims), 700).is_err(), "{header}");
        }
        let elsewhere = json!({ "iss": "https://evil", "exp": 1000 });
        assert!(check(&token(&header, &elsewhere), 700).is_err());
        let for_ever = json!({ "iss": "https://issuer" });
        assert!(check(&token(&header, &for_ever), 700).is_err());
        for nonsense in ["", "a.b.c", "..", &"x".repeat(20_000)] {
            assert!(check(nonsense, 0).is_err());
        }
    }
}
