//! Who a request comes from, by what it shows.

use crate::clock::{MINUTE, SECOND};
use crate::error::{IdentityError, Result};
use crate::event::Actor;
use crate::identity::Identity;
use crate::person::{Person, fold_login};
use crate::random;
use crate::session::csrf_token;
use crate::share::Share;
use gantry_core::access::{Access, Right};
use std::net::IpAddr;
use std::sync::Arc;

/// How long an answer is used without asking the database again: how long after a revocation by
/// another process a credential may still work. Revocations in this process are felt at once.
const REMEMBERED: i64 = SECOND;
/// How long a password of HTTP Basic need not be hashed again.
const PASSWORD_REMEMBERED: i64 = 5 * MINUTE;

/// What a request shows.
#[derive(Clone, Copy)]
pub enum Credential<'a> {
    /// The secret of a session.
    Session(&'a str),
    /// A bearer token.
    Bearer(&'a str),
    /// Login and password, or login and token.
    Basic(&'a str, &'a str),
    /// The secret of an opened share.
    Share(&'a str),
}

/// Who a request comes from.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The person; nobody's with a share.
    pub person: Option<i64>,
    /// The login; nobody's with a share.
    pub login: Option<String>,
    /// By what they were recognised: `session 12`. No secret.
    pub credential: String,
    /// How they were recognised.
    pub kind: CallerKind,
    /// What they may do.
    pub access: Arc<Access>,
}

/// How somebody was recognised.
#[derive(Debug, Clone)]
pub enum CallerKind {
    /// By a session.
    Session {
        /// The session.
        id: i64,
        /// What changing requests have to show.
        csrf_token: String,
    },
    /// By an API token.
    Token,
    /// By login and password.
    Password,
    /// By a token of an identity provider.
    Provider,
    /// A command on this machine.
    Command,
    /// By an opened share.
    Share(Box<Share>),
}

impl Caller {
    /// As the one who does something.
    pub fn actor(&self, address: Option<IpAddr>) -> Actor {
        Actor {
            login: self.login.clone(),
            person: self.person,
            address,
            credential: Some(self.credential.clone()),
        }
    }

    /// Whether they have a right, whatever the studies.
    pub fn holds(&self, right: Right, now: i64) -> bool {
        self.access.holds(right, now)
    }

    /// The number of the session.
    pub fn session(&self) -> Option<i64> {
        match &self.kind {
            CallerKind::Session { id, .. } => Some(*id),
            _ => None,
        }
    }
}

impl Credential<'_> {
    fn parts(&self) -> [&str; 3] {
        match *self {
            Self::Session(secret) => ["session", secret, ""],
            Self::Bearer(secret) => ["bearer", secret, ""],
            Self::Basic(login, password) => ["basic", login, password],
            Self::Share(secret) => ["share", secret, ""],
        }
    }
}

impl Identity {
    /// The time, in microseconds since 1970.
    pub fn now(&self) -> i64 {
        self.clock.now()
    }

    /// Who shows `credential`, as far as that was found out a moment ago. It does not block.
    pub fn remembered(&self, credential: &Credential<'_>) -> Option<Caller> {
        let name = self.memory.name(&credential.parts());
        self.memory
            .callers
            .get(&name, self.clock.now(), self.changes())
    }

    /// Who shows `credential`.
    ///
    /// # Errors
    /// [`IdentityError::WrongCredentials`] when nobody does any more.
    pub fn identify(&self, credential: &Credential<'_>, address: Option<IpAddr>) -> Result<Caller> {
        self.look_around()?;
        let changes = self.changes();
        let caller = match *credential {
            Credential::Session(secret) => self.caller_of_session(secret)?,
            Credential::Bearer(text) if text.starts_with(random::TOKEN_PREFIX) => {
                self.caller_of_token(text, address)?
            }
            Credential::Bearer(text) if self.is_command_secret(text) => caller_of_command(),
            Credential::Bearer(text) => self.caller_of_provider(text)?,
            Credential::Basic(login, password) => {
                self.caller_of_password(login, password, address)?
            }
            Credential::Share(secret) => caller_of_share(self.use_share(secret)?),
        };
        let name = self.memory.name(&credential.parts());
        let until = self.clock.now().saturating_add(REMEMBERED);
        self.memory
            .callers
            .put(name, caller.clone(), until, changes);
        Ok(caller)
    }

    fn caller_of_session(&self, secret: &str) -> Result<Caller> {
        let (id, person) = self.use_session(secret)?;
        let kind = CallerKind::Session {
            id,
            csrf_token: csrf_token(secret),
        };
        self.caller_of(&person, format!("session {id}"), kind)
    }

    fn caller_of_token(&self, text: &str, address: Option<IpAddr>) -> Result<Caller> {
        let (token, person, access) = self.use_token(text, address)?;
        Ok(Caller {
            person: Some(person.id),
            login: Some(person.login),
            credential: format!("token {}", token.id),
            kind: CallerKind::Token,
            access: Arc::new(access),
        })
    }

    fn caller_of_password(
        &self,
        login: &str,
        password: &str,
        address: Option<IpAddr>,
    ) -> Result<Caller> {
        if password.starts_with(random::TOKEN_PREFIX) {
            let caller = self.caller_of_token(password, address)?;
            if caller.login.as_deref() != Some(&fold_login(login)) {
                return Err(IdentityError::WrongCredentials);
            }
            return Ok(caller);
        }
        let name = self.memory.name(&["password", login, password]);
        // Clients send many requests at once: one of them has the password checked, and the
        // others do not count as attempts.
        let _turn = self.memory.turn(&name);
        let (now, changes) = (self.clock.now(), self.changes());
        let person = match self.memory.passwords.get(&name, now, changes) {
            Some(person) => self.person(person)?,
            None => {
                let (person, attempt) = self.check_password(login, password, address)?;
                if person.has_totp {
                    // Otherwise the second factor could be left out here.
                    return Err(IdentityError::Forbidden(
                        "this account has a second factor: use an API token as the password".into(),
                    ));
                }
                self.write(|transaction| attempt.succeeded(transaction))?;
                let until = now.saturating_add(PASSWORD_REMEMBERED);
                self.memory.passwords.put(name, person.id, until, changes);
                person
            }
        };
        if !person.is_active {
            return Err(IdentityError::WrongCredentials);
        }
        self.caller_of(&person, "password".into(), CallerKind::Password)
    }

    pub(crate) fn caller_of(
        &self,
        person: &Person,
        credential: String,
        kind: CallerKind,
    ) -> Result<Caller> {
        Ok(Caller {
            person: Some(person.id),
            login: Some(person.login.clone()),
            credential,
            kind,
            access: self.access_of(person.id)?,
        })
    }

    fn is_command_secret(&self, text: &str) -> bool {
        // Hashes, so that the time tells nothing.
        random::hash(text) == random::hash(&self.command_secret)
    }
}

fn caller_of_command() -> Caller {
    Caller {
        person: None,
        login: None,
        credential: "command".into(),
        kind: CallerKind::Command,
        access: Arc::new(Access::unlimited("a command on this machine")),
    }
}

fn caller_of_share(share: Share) -> Caller {
    Caller {
        person: None,
        login: None,
        credential: format!("share {}", share.id),
        access: Arc::new(share.access()),
        kind: CallerKind::Share(Box::new(share)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventKind;
    use crate::login::LoginOutcome;
    use crate::person::NewPerson;
    use crate::session::Client;
    use crate::settings::IdentitySettings;
    use crate::testing::{Bench, GOOD_PASSWORD, bench};
    use crate::token::NewToken;
    use gantry_core::access::{Rights, Scope};

    #[test]
    fn each_credential_is_recognised_until_it_is_revoked() {
        let Bench { identity, by, .. } = bench();
        let id = identity
            .add_person(&NewPerson::new("p", &["technologist"]), &by)
            .unwrap()
            .id;
        identity.set_password(id, GOOD_PASSWORD, &by).unwrap();
        let Ok(LoginOutcome::LoggedIn(session)) =
            identity.login("p", GOOD_PASSWORD, &Client::default())
        else {
            panic!();
        };
        let new = NewToken {
            name: "t".into(),
            rights: Rights::of(&[Right::View]),
            scope: Scope::default(),
            days: None,
        };
        let (token, listed) = identity.make_token(id, &new, &by).unwrap();
        let now = identity.now();
        let command = Credential::Bearer(identity.command_secret());
        let command = identity.identify(&command, None).unwrap();
        assert_eq!((command.person, &command.credential[..]), (None, "command"));
        for (credential, stores) in [
            (Credential::Session(&session.secret), true),
            (Credential::Bearer(&token), false),
            (Credential::Basic("P", GOOD_PASSWORD), true),
            (Credential::Basic("p", &token), false),
        ] {
            assert!(identity.remembered(&credential).is_none());
            let caller = identity.identify(&credential, None).unwrap();
            assert_eq!(caller.person, Some(id));
            assert_eq!(caller.holds(Right::Store, now), stores);
            assert!(identity.remembered(&credential).is_some());
        }
        assert!(
            identity
                .identify(&Credential::Basic("q", &token), None)
                .is_err()
        );
        assert!(identity.identify(&Credential::Bearer("eyJ"), None).is_err());
        identity.revoke_token(listed.id, None, &by).unwrap();
        assert!(identity.remembered(&Credential::Bearer(&token)).is_none());
        assert!(
            identity
                .identify(&Credential::Bearer(&token), None)
                .is_err()
        );
        identity.end_session(id, session.session.id, &by).unwrap();
        let session = Credential::Session(&session.secret);
        assert!(identity.remembered(&session).is_none());
        assert!(identity.identify(&session, None).is_err());
    }

    #[test]
    fn many_requests_at_once_are_one_attempt() {
        let Bench { identity, by, .. } = bench();
        let id = identity
            .add_person(&NewPerson::new("p", &["technologist"]), &by)
            .unwrap()
            .id;
        identity.set_password(id, GOOD_PASSWORD, &by).unwrap();
        std::thread::scope(|scope| {
            let ask = || identity.identify(&Credential::Basic("p", GOOD_PASSWORD), None);
            let asking: Vec<_> = (0..20).map(|_| scope.spawn(ask)).collect();
            for one in asking {
                assert_eq!(one.join().unwrap().unwrap().person, Some(id));
            }
        });
    }

    #[test]
    fn a_change_by_another_process_is_felt() {
        let Bench {
            identity,
            by,
            clock,
            folder,
            events,
        } = bench();
        let id = identity
            .add_person(&NewPerson::new("p", &["technologist"]), &by)
            .unwrap()
            .id;
        identity.set_password(id, GOOD_PASSWORD, &by).unwrap();
        let basic = Credential::Basic("p", GOOD_PASSWORD);
        identity.identify(&basic, None).unwrap();
        let key = gantry_core::secret::SecretKey::new([5; 32]);
        let other = Identity::open(folder.path(), Some(key), IdentitySettings::default()).unwrap();
        other
            .set_password(id, "glacier-47-Walnut-trombone", &Actor::command())
            .unwrap();
        clock.advance(2);
        assert!(identity.remembered(&basic).is_none());
        assert!(identity.identify(&basic, None).is_err());
        // What it did is told by who listens.
        assert!(events.lock().unwrap().iter().any(|event| {
            event.kind == EventKind::PasswordChanged
                && event.actor.credential.as_deref() == Some("command")
        }));
        let count = events.lock().unwrap().len();
        identity.look_around().unwrap();
        assert_eq!(events.lock().unwrap().len(), count);
    }
}
