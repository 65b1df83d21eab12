//! Talking to one OpenID provider.

use super::jwt::{Claims, KeySet, Unverified};
use super::settings::ProviderSettings;
use crate::clock::{MINUTE, SECOND};
use crate::directory::ExternalPerson;
use crate::error::{IdentityError, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use ureq::Agent;
use ureq::http::Response;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

/// How long one request to the provider may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Longest answer.
const ANSWER_BYTES_MAX: u64 = 1 << 20;
/// How long its description and keys are used without asking again.
const KNOWN: i64 = 60 * MINUTE;
/// How often it is asked for keys that nobody knew: anybody can make up a token.
const REFRESH: i64 = 30 * SECOND;

/// A provider.
pub(crate) struct Provider {
    pub settings: ProviderSettings,
    agent: Agent,
    secret: String,
    known: Mutex<Option<Known>>,
}

#[derive(Clone)]
struct Known {
    description: Arc<Description>,
    keys: Arc<KeySet>,
    since: i64,
}

/// OpenID Connect Discovery 1.0, section 3.
#[derive(Debug, Deserialize)]
struct Description {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    #[serde(default)]
    userinfo_endpoint: Option<String>,
    jwks_uri: String,
}

#[derive(Debug, Deserialize)]
struct Tokens {
    id_token: String,
    #[serde(default)]
    access_token: String,
}

/// A login that was begun.
#[derive(Debug, Clone)]
pub(crate) struct Begun {
    pub provider: String,
    pub nonce: String,
    pub verifier: String,
    pub redirect: String,
}

impl Provider {
    pub fn new(settings: &ProviderSettings) -> Result<Self> {
        let secret = match &settings.client_secret_file {
            Some(file) => std::fs::read_to_string(file)?.trim().to_owned(),
            None => settings.client_secret.clone(),
        };
        let mut config = Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            .max_redirects(0);
        if let Some(file) = &settings.authority_file {
            let pem = std::fs::read(file)?;
            let certificates: Vec<_> = parse_pem(&pem)
                .filter_map(|item| match item {
                    Ok(PemItem::Certificate(certificate)) => Some(certificate),
                    _ => None,
                })
                .collect();
            let roots = RootCerts::new_with_certs(&certificates);
            config = config.tls_config(TlsConfig::builder().root_certs(roots).build());
        }
        Ok(Self {
            settings: settings.clone(),
            agent: Agent::new_with_config(config.build()),
            secret,
            known: Mutex::new(None),
        })
    }

    /// Where the browser goes to log in.
    pub fn authorization_url(&self, begun: &Begun, state: &str, now: i64) -> Result<String> {
        let known = self.known(now)?;
        let challenge = ring::digest::digest(&ring::digest::SHA256, begun.verifier.as_bytes());
        let challenge = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(challenge.as_ref());
        let scope = format!("openid {}", self.settings.scopes.join(" "));
        let endpoint = &known.description.authorization_endpoint;
        let mut url = endpoint.clone();
        url.push(if endpoint.contains('?') { '&' } else { '?' });
        let parameters = [
            ("response_type", "code"),
            ("client_id", &self.settings.client_id),
            ("redirect_uri", &begun.redirect),
            ("scope", scope.trim()),
            ("state", state),
            ("nonce", &begun.nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        let parameters = parameters.map(|(name, value)| format!("{name}={}", encode(value)));
        url.push_str(&parameters.join("&"));
        Ok(url)
    }

    /// Who logged in there, for the code that the browser brought back.
    pub fn redeem(&self, begun: &Begun, code: &str, now: i64) -> Result<ExternalPerson> {
        let known = self.known(now)?;
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &begun.redirect),
            ("code_verifier", &begun.verifier),
        ];
        let mut request = self.agent.post(&known.description.token_endpoint);
        if self.secret.is_empty() {
            form.push(("client_id", &self.settings.client_id));
        } else {
            let (id, secret) = (encode(&self.settings.client_id), encode(&self.secret));
            let pair = BASE64.encode(format!("{id}:{secret}"));
            request = request.header("Authorization", format!("Basic {pair}"));
        }
        let answer = request
            .send_form(form)
            .map_err(|error| self.failed(&error))?;
        let tokens: Tokens = self.read(answer, "token")?;
        let mut claims = self.verify(&tokens.id_token, now)?;
        let client = &self.settings.client_id;
        let is_ours = claims.is_for(client)
            && (claims.texts("aud").len() == 1 || claims.text("azp") == Some(client))
            && claims.text("nonce") == Some(&begun.nonce);
        if !is_ours {
            return Err(self.unfit("its ID token is not for this login"));
        }
        self.complete(&mut claims, &known.description, &tokens.access_token)?;
        self.person(&claims)
    }

    /// Who shows a bearer token of this issuer.
    pub fn bearer(&self, token: &str, now: i64) -> Result<ExternalPerson> {
        let claims = self.verify(token, now)?;
        let mut audiences = self.settings.audiences.iter();
        if !audiences.any(|audience| claims.is_for(audience)) {
            return Err(IdentityError::WrongCredentials);
        }
        self.person(&claims)
    }

    fn verify(&self, token: &str, now: i64) -> Result<Claims> {
        let unverified = Unverified::read(token)?;
        let mut known = self.known(now)?;
        if !unverified.has_key_in(&known.keys) && now.saturating_sub(known.since) >= REFRESH {
            // The provider has changed its keys.
            known = self.ask(now)?;
        }
        unverified.verify(&known.keys, &self.settings.issuer, now / SECOND)
    }

    /// Login and groups may stand at the userinfo endpoint only.
    fn complete(
        &self,
        claims: &mut Claims,
        description: &Description,
        access_token: &str,
    ) -> Result<()> {
        let has = |name: &str| claims.0.contains_key(name);
        let is_complete = has(&self.settings.login_claim) && has(&self.settings.groups_claim);
        let Some(endpoint) = description
            .userinfo_endpoint
            .as_ref()
            .filter(|_| !is_complete && !access_token.is_empty())
        else {
            return Ok(());
        };
        let answer = self
            .agent
            .get(endpoint)
            .header("Authorization", format!("Bearer {access_token}"))
            .call()
            .map_err(|error| self.failed(&error))?;
        let more = Claims(self.read(answer, "userinfo")?);
        if more.text("sub") != claims.text("sub") {
            return Err(self.unfit("its userinfo is somebody else's"));
        }
        for (name, value) in more.0 {
            claims.0.entry(name).or_insert(value);
        }
        Ok(())
    }

    fn person(&self, claims: &Claims) -> Result<ExternalPerson> {
        let settings = &self.settings;
        let subject = claims.text("sub").filter(|subject| !subject.is_empty());
        let subject = subject.ok_or_else(|| self.unfit("it does not say who logged in"))?;
        let login = claims
            .text(&settings.login_claim)
            .or_else(|| claims.text("email"))
            .unwrap_or(subject);
        let groups = claims.texts(&settings.groups_claim);
        let mapped = groups.iter().filter_map(|group| settings.roles.get(*group));
        let mut roles: Vec<String> = mapped.chain(&settings.default_roles).cloned().collect();
        roles.sort();
        roles.dedup();
        Ok(ExternalPerson {
            issuer: settings.issuer.clone(),
            subject: subject.to_owned(),
            login: login.to_owned(),
            name: claims.text("name").unwrap_or_default().to_owned(),
            email: claims.text("email").unwrap_or_default().to_owned(),
            dicom_names: None,
            roles,
        })
    }

    fn known(&self, now: i64) -> Result<Known> {
        let known = self.lock().clone();
        match known {
            Some(known) if now.saturating_sub(known.since) < KNOWN => Ok(known),
            // What is old serves while the provider does not answer.
            Some(old) => Ok(self.ask(now).unwrap_or(old)),
            None => self.ask(now),
        }
    }

    fn ask(&self, now: i64) -> Result<Known> {
        let issuer = self.settings.issuer.trim_end_matches('/');
        let url = format!("{issuer}/.well-known/openid-configuration");
        let description: Description = self.get(&url, "description")?;
        if description.issuer != self.settings.issuer {
            return Err(self.unfit("its description is another issuer's"));
        }
        let keys: KeySet = self.get(&description.jwks_uri, "keys")?;
        let known = Known {
            description: Arc::new(description),
            keys: Arc::new(keys),
            since: now,
        };
        *self.lock() = Some(known.clone());
        Ok(known)
    }

    fn get<T: DeserializeOwned>(&self, url: &str, what: &str) -> Result<T> {
        let answer = self.agent.get(url).call();
        self.read(answer.map_err(|error| self.failed(&error))?, what)
    }

    fn read<T: DeserializeOwned>(&self, mut answer: Response<ureq::Body>, what: &str) -> Result<T> {
        let status = answer.status();
        if status.as_u16() != 200 {
            return Err(self.unfit(&format!(
                "it answered {status} to the request for its {what}"
            )));
        }
        let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX);
        let text = body.read_to_string().map_err(|error| self.failed(&error))?;
        serde_json::from_str(&text)
            .map_err(|_| self.unfit(&format!("the answer to the request for its {what} is none")))
    }

    fn failed(&self, error: &ureq::Error) -> IdentityError {
        IdentityError::Provider(format!(
            "the identity provider {} does not answer: {error}",
            self.settings.name
        ))
    }

    fn unfit(&self, why: &str) -> IdentityError {
        IdentityError::Provider(format!(
            "the identity provider {} cannot be used: {why}",
            self.settings.name
        ))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// RFC 3986: everything but unreserved characters.
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
