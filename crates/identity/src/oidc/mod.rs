//! OpenID Connect: logins at an identity provider (authorization code with PKCE), and bearer
//! tokens of it.

mod jwt;
mod provider;
mod settings;

pub(crate) use provider::{Begun, Provider};
pub use settings::ProviderSettings;

use crate::caller::{Caller, CallerKind};
use crate::clock::MINUTE;
use crate::error::{IdentityError, Result};
use crate::event::{Actor, EventKind, IdentityEvent};
use crate::identity::Identity;
use crate::random;
use crate::session::{Client, NewSession};
use zeroize::Zeroizing;

/// How long a login at the provider may take.
const LOGIN: i64 = 10 * MINUTE;

impl Identity {
    /// Names and titles of the providers.
    pub fn providers(&self) -> Vec<(String, String)> {
        let settings = self.providers.iter().map(|provider| &provider.settings);
        settings
            .map(|settings| {
                let title = match settings.title.as_str() {
                    "" => &settings.name,
                    title => title,
                };
                (settings.name.clone(), title.to_owned())
            })
            .collect()
    }

    /// Begins a login at a provider. Returns where the browser goes, and the state that it has to
    /// bring back from there.
    ///
    /// # Errors
    /// When there is no such provider, or it does not answer.
    pub fn begin_provider_login(
        &self,
        name: &str,
        redirect: &str,
    ) -> Result<(String, Zeroizing<String>)> {
        let provider = self.provider(name)?;
        let now = self.clock.now();
        let begun = Begun {
            provider: name.to_owned(),
            nonce: random::secret()?.to_string(),
            verifier: random::secret()?.to_string(),
            redirect: redirect.to_owned(),
        };
        let state = random::secret()?;
        let url = provider.authorization_url(&begun, &state, now)?;
        self.provider_logins
            .begin_as(&state, begun, 1, now, now.saturating_add(LOGIN));
        Ok((url, state))
    }

    /// Goes on with a login: the browser is back with a code.
    ///
    /// # Errors
    /// When the state or code is not right, or the account may not log in.
    pub fn finish_provider_login(
        &self,
        name: &str,
        state: &str,
        code: &str,
        client: &Client,
    ) -> Result<NewSession> {
        let outcome = self.redeem(name, state, code);
        match outcome {
            Ok(person) => self.begin_session(person, client, &format!("provider {name}")),
            Err(error) => {
                let event = IdentityEvent::new(EventKind::Login, &Actor::at(client.address))
                    .about("person unknown")
                    .failed(format!("at provider {name}: {error}"));
                self.tell(event);
                Err(error)
            }
        }
    }

    fn redeem(&self, name: &str, state: &str, code: &str) -> Result<crate::person::Person> {
        let now = self.clock.now();
        let begun = self.provider_logins.attempt(state, now)?;
        if begun.provider != name {
            return Err(IdentityError::WrongCredentials);
        }
        let external = self.provider(name)?.redeem(&begun, code, now)?;
        self.accept_external(&external)
    }

    pub(crate) fn caller_of_provider(&self, token: &str) -> Result<Caller> {
        let unverified = jwt::Unverified::read(token)?;
        let issuer = unverified.issuer();
        let mut providers = self.providers.iter();
        let provider = providers
            .find(|provider| provider.settings.issuer == issuer)
            .ok_or(IdentityError::WrongCredentials)?;
        let external = provider.bearer(token, self.clock.now())?;
        let person = self.accept_external(&external)?;
        let credential = format!("provider {}", provider.settings.name);
        self.caller_of(&person, credential, CallerKind::Provider)
    }

    fn provider(&self, name: &str) -> Result<&Provider> {
        let mut providers = self.providers.iter();
        providers
            .find(|provider| provider.settings.name == name)
            .ok_or(IdentityError::NotFound("identity provider"))
    }
}
