//! What an authenticator answers, and whether it is right (WebAuthn Level 2, 7.1 and 7.2).

use super::cbor::Value;
use crate::error::{IdentityError, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use ring::digest::{SHA256, digest};
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
    UnparsedPublicKey,
};
use serde::Deserialize;

/// Longest credential ID (WebAuthn 5.8.1: 1023 bytes).
const CREDENTIAL_MAX: usize = 1023;
const USER_PRESENT: u8 = 0x01;
const USER_VERIFIED: u8 = 0x04;
const HAS_CREDENTIAL: u8 = 0x40;

/// ES256, EdDSA, RS256: what is taken, best first (COSE algorithm numbers).
pub const ALGORITHMS: [i64; 3] = [-7, -8, -257];

/// The site as authenticators know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelyingParty {
    /// The host, to which passkeys are bound.
    pub id: String,
    /// Where its pages come from: `https://pacs.example:8443`.
    pub origin: String,
}

impl RelyingParty {
    /// Of the address under which a browser reaches the server.
    pub fn of(server_url: &str) -> Option<Self> {
        let (scheme, rest) = server_url.split_once("://")?;
        let authority = rest.split('/').next()?;
        let host = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => authority,
        };
        Some(Self {
            id: host.to_lowercase(),
            origin: format!("{scheme}://{}", authority.to_lowercase()),
        })
    }
}

/// The answer to a request to make a passkey, as `PublicKeyCredential.toJSON()` writes it.
#[derive(Debug, Clone, Deserialize)]
pub struct Attestation {
    pub(super) response: AttestationResponse,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AttestationResponse {
    #[serde(rename = "clientDataJSON")]
    pub client_data: String,
    pub attestation_object: String,
}

/// The answer to a request to log in, as `PublicKeyCredential.toJSON()` writes it.
#[derive(Debug, Clone, Deserialize)]
pub struct Assertion {
    pub(super) id: String,
    pub(super) response: AssertionResponse,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AssertionResponse {
    #[serde(rename = "clientDataJSON")]
    pub client_data: String,
    pub authenticator_data: String,
    pub signature: String,
    #[serde(default)]
    pub user_handle: Option<String>,
}

/// What the browser says of what it did.
#[derive(Debug, Deserialize)]
struct ClientData {
    #[serde(rename = "type")]
    kind: String,
    challenge: String,
    origin: String,
    #[serde(default, rename = "crossOrigin")]
    cross_origin: bool,
}

/// A new passkey.
#[derive(Debug)]
pub(super) struct NewCredential {
    pub id: Vec<u8>,
    pub public_key: Vec<u8>,
    pub signature_count: u32,
}

pub(super) fn decode(text: &str) -> Result<Vec<u8>> {
    BASE64URL
        .decode(text.trim_end_matches('='))
        .map_err(|_| malformed())
}

/// The challenge that the answer is to, in the text form in which it was begun.
pub(super) fn challenge_of(client_data: &str) -> Result<String> {
    let data: ClientData =
        serde_json::from_slice(&decode(client_data)?).map_err(|_| malformed())?;
    String::from_utf8(decode(&data.challenge)?).map_err(|_| malformed())
}

/// Checks the answer to a request to make a passkey. What kind of authenticator it is does not
/// matter here, so its own attestation is not looked at.
pub(super) fn check_attestation(
    answer: &AttestationResponse,
    party: &RelyingParty,
) -> Result<NewCredential> {
    check_client_data(&answer.client_data, "webauthn.create", party)?;
    let object = decode(&answer.attestation_object)?;
    let (object, _) = Value::read(&object)?;
    let data = object.named("authData").and_then(Value::bytes);
    let data = AuthenticatorData::read(data.ok_or_else(malformed)?, party)?;
    let (id, public_key) = data.credential.ok_or_else(malformed)?;
    // A key that is of no use is found out now, not at the first login.
    PublicKey::read(public_key)?;
    Ok(NewCredential {
        id: id.to_vec(),
        public_key: public_key.to_vec(),
        signature_count: data.signature_count,
    })
}

/// Checks the answer to a request to log in with a passkey of this key; returns the signature
/// count.
pub(super) fn check_assertion(
    answer: &AssertionResponse,
    public_key: &[u8],
    party: &RelyingParty,
) -> Result<u32> {
    check_client_data(&answer.client_data, "webauthn.get", party)?;
    let mut signed = decode(&answer.authenticator_data)?;
    let count = AuthenticatorData::read(&signed, party)?.signature_count;
    let client_data = digest(&SHA256, &decode(&answer.client_data)?);
    signed.extend_from_slice(client_data.as_ref());
    PublicKey::read(public_key)?.verify(&signed, &decode(&answer.signature)?)?;
    Ok(count)
}

fn check_client_data(text: &str, kind: &str, party: &RelyingParty) -> Result<()> {
    let data: ClientData = serde_json::from_slice(&decode(text)?).map_err(|_| malformed())?;
    let is_right =
        data.kind == kind && data.origin.eq_ignore_ascii_case(&party.origin) && !data.cross_origin;
    is_right
        .then_some(())
        .ok_or(IdentityError::WrongCredentials)
}

/// WebAuthn 6.1.
struct AuthenticatorData<'a> {
    signature_count: u32,
    /// Credential ID and COSE key.
    credential: Option<(&'a [u8], &'a [u8])>,
}

impl<'a> AuthenticatorData<'a> {
    /// Reads it, and checks that it is for this site and that the person was there and verified:
    /// only so a passkey is two factors.
    fn read(bytes: &'a [u8], party: &RelyingParty) -> Result<Self> {
        let (site, rest) = bytes.split_at_checked(32).ok_or_else(malformed)?;
        let (flags, rest) = rest.split_first().ok_or_else(malformed)?;
        let (count, rest) = rest.split_first_chunk::<4>().ok_or_else(malformed)?;
        let expected = digest(&SHA256, party.id.as_bytes());
        let needed = USER_PRESENT | USER_VERIFIED;
        if site != expected.as_ref() || flags & needed != needed {
            return Err(IdentityError::WrongCredentials);
        }
        let credential = if flags & HAS_CREDENTIAL != 0 {
            Some(read_credential(rest)?)
        } else {
            None
        };
        Ok(Self {
            signature_count: u32::from_be_bytes(*count),
            credential,
        })
    }
}

fn read_credential(bytes: &[u8]) -> Result<(&[u8], &[u8])> {
    let (_model, rest) = bytes.split_at_checked(16).ok_or_else(malformed)?;
    let (length, rest) = rest.split_first_chunk::<2>().ok_or_else(malformed)?;
    let length = usize::from(u16::from_be_bytes(*length));
    if length == 0 || length > CREDENTIAL_MAX {
        return Err(malformed());
    }
    let (id, rest) = rest.split_at_checked(length).ok_or_else(malformed)?;
    let (_, after) = Value::read(rest)?;
    let key = rest.get(..rest.len() - after.len()).ok_or_else(malformed)?;
    Ok((id, key))
}

/// A COSE_Key (RFC 9052 7) of one of [`ALGORITHMS`].
enum PublicKey<'a> {
    /// The point, uncompressed.
    Es256(Vec<u8>),
    Ed25519(&'a [u8]),
    Rs256 {
        n: &'a [u8],
        e: &'a [u8],
    },
}

impl<'a> PublicKey<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self> {
        let (key, _) = Value::read(bytes)?;
        let number = |name| match key.numbered(name) {
            Some(Value::Integer(number)) => Some(*number),
            _ => None,
        };
        let part = |name| key.numbered(name).and_then(Value::bytes);
        let key = match (number(1), number(3), number(-1)) {
            (Some(2), Some(-7), Some(1)) => match (part(-2), part(-3)) {
                (Some(x), Some(y)) if x.len() == 32 && y.len() == 32 => {
                    Some(Self::Es256([&[4], x, y].concat()))
                }
                _ => None,
            },
            (Some(1), Some(-8), Some(6)) => part(-2).filter(|x| x.len() == 32).map(Self::Ed25519),
            (Some(3), Some(-257), _) => match (part(-1), part(-2)) {
                (Some(n), Some(e)) => Some(Self::Rs256 { n, e }),
                _ => None,
            },
            _ => None,
        };
        key.ok_or_else(|| IdentityError::invalid("the passkey's algorithm is not supported"))
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<()> {
        let outcome = match self {
            Self::Es256(point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(message, signature)
            }
            Self::Ed25519(x) => UnparsedPublicKey::new(&ED25519, x).verify(message, signature),
            Self::Rs256 { n, e } => RsaPublicKeyComponents { n, e }.verify(
                &RSA_PKCS1_2048_8192_SHA256,
                message,
                signature,
            ),
        };
        outcome.map_err(|_| IdentityError::WrongCredentials)
    }
}

fn malformed() -> IdentityError {
    IdentityError::invalid("the passkey's answer cannot be read")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_site_is_host_and_origin() {
        let party = |url| RelyingParty::of(url).unwrap();
        let found = party("https://PACS.example:8443/x");
        assert_eq!(found.id, "pacs.example");
        assert_eq!(found.origin, "https://pacs.example:8443");
        assert_eq!(party("http://localhost:80").id, "localhost");
        assert_eq!(party("http://localhost").origin, "http://localhost");
        assert_eq!(RelyingParty::of("nonsense"), None);
    }
}
