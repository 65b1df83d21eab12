//! Logging in with a password, and with a second factor after it.

use crate::clock::MINUTE;
use crate::error::{IdentityError, Result};
use crate::event::{Actor, EventKind, IdentityEvent};
use crate::identity::Identity;
use crate::lock_out::Attempt;
use crate::password::password_of;
use crate::person::{self, Kind, Person, fold_login};
use crate::session::{Client, NewSession};
use std::net::IpAddr;
use zeroize::Zeroizing;

/// How long somebody may take to find the code.
const TICKET: i64 = 5 * MINUTE;
/// Codes that may be tried with one ticket.
const TICKET_TRIES: u32 = 5;
/// Longest login or code that is looked at.
const TEXT_BYTES_MAX: usize = 256;

/// How far a login has come.
#[derive(Debug)]
pub enum LoginOutcome {
    /// It is done.
    LoggedIn(Box<NewSession>),
    /// A code of the second factor is still missing; the ticket goes with it.
    SecondFactor {
        /// What shows that the password was right.
        ticket: Zeroizing<String>,
    },
}

/// Somebody whose password was right.
#[derive(Debug, Clone)]
pub(crate) struct Ticket {
    person: i64,
    attempt: Attempt,
}

impl Identity {
    /// Logs in with a password.
    ///
    /// # Errors
    /// [`IdentityError::WrongCredentials`] for whatever is not right,
    /// [`IdentityError::Blocked`] after too many failures.
    pub fn login(&self, login: &str, password: &str, client: &Client) -> Result<LoginOutcome> {
        let (person, attempt) = self.check_password(login, password, client.address)?;
        if person.has_totp {
            let now = self.clock.now();
            let ticket = Ticket {
                person: person.id,
                attempt,
            };
            let ends = now.saturating_add(TICKET);
            let ticket = self.tickets.begin(ticket, TICKET_TRIES, now, ends)?;
            return Ok(LoginOutcome::SecondFactor { ticket });
        }
        self.write(|transaction| attempt.succeeded(transaction))?;
        let session = self.begin_session(person, client, "password")?;
        Ok(LoginOutcome::LoggedIn(Box::new(session)))
    }

    /// Goes on with a login: `code` is one of the second factor, or a recovery code.
    ///
    /// # Errors
    /// As [`Self::login`].
    pub fn login_second_factor(
        &self,
        ticket: &str,
        code: &str,
        client: &Client,
    ) -> Result<NewSession> {
        let now = self.clock.now();
        let Ticket { person, attempt } = self.tickets.attempt(ticket, now)?;
        let person = self.person(person)?;
        let actor = Actor {
            login: Some(person.login.clone()),
            ..Actor::at(client.address)
        };
        let is_blocking = self.write(|transaction| {
            let upon = Attempt::from(&self.settings, &second_factor(&person), None);
            upon.begin(transaction, &self.settings, now)
        })?;
        let code = code.get(..code.len().min(TEXT_BYTES_MAX)).unwrap_or("");
        let method = if self.use_totp(person.id, code)? {
            "password and code"
        } else if self.use_recovery_code(&person, code, &actor)? {
            "password and recovery code"
        } else {
            self.tell_failed(&actor, &person.login, "wrong code", is_blocking);
            return Err(IdentityError::WrongCredentials);
        };
        if !person.is_active {
            return Err(IdentityError::WrongCredentials);
        }
        self.tickets.finish(ticket);
        self.write(|transaction| {
            attempt.succeeded(transaction)?;
            Attempt::from(&self.settings, &second_factor(&person), None).succeeded(transaction)
        })?;
        self.begin_session(person, client, method)
    }

    /// Whose password it is. The attempt counts as failed until it is said to have succeeded.
    pub(crate) fn check_password(
        &self,
        login: &str,
        password: &str,
        address: Option<IpAddr>,
    ) -> Result<(Person, Attempt)> {
        let now = self.clock.now();
        let login = login.get(..login.len().min(TEXT_BYTES_MAX)).unwrap_or("");
        let (person, kept) = self.read(|connection| {
            let person = person::by_login(connection, login)?
                .filter(|person| person.is_active && person.kind == Kind::Person);
            let kept = match &person {
                Some(person) => password_of(connection, person.id)?,
                None => None,
            };
            Ok((person, kept))
        })?;
        let id = person.as_ref().map(|person| person.id);
        let (attempt, is_blocking) = self.write(|transaction| {
            let attempt = Attempt::upon(transaction, &self.settings, login, id, address)?;
            let is_blocking = attempt.begin(transaction, &self.settings, now)?;
            Ok((attempt, is_blocking))
        })?;
        let is_right = match self.hashing.verify(password, kept.as_deref()) {
            Ok(is_right) => is_right,
            // Too long to be anybody's.
            Err(IdentityError::Invalid(_)) => false,
            Err(error) => {
                self.write(|transaction| attempt.withdraw(transaction))?;
                return Err(error);
            }
        };
        let found = person.filter(|_| is_right);
        let found = match found {
            None if kept.is_none() => self.ask_directory(login, password)?,
            found => found,
        };
        match found {
            Some(person) => Ok((person, attempt)),
            None => {
                let actor = Actor::at(address);
                // A login that is none may be a password that slipped: it is not written down.
                let login = if id.is_some() {
                    fold_login(login)
                } else {
                    "unknown".to_owned()
                };
                self.tell_failed(&actor, &login, "wrong login or password", is_blocking);
                Err(IdentityError::WrongCredentials)
            }
        }
    }

    fn tell_failed(&self, actor: &Actor, login: &str, why: &str, is_blocking: bool) {
        let subject = format!("person {login}");
        let event = IdentityEvent::new(EventKind::Login, actor)
            .about(subject.as_str())
            .failed(why);
        self.tell(event);
        if is_blocking {
            let event = IdentityEvent::new(EventKind::LockOut, actor)
                .about(subject)
                .because("too many failed attempts");
            self.tell(event);
        }
    }
}

fn second_factor(person: &Person) -> String {
    format!("second factor of {}", person.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::person::{NewPerson, PersonChange};
    use crate::testing::{Bench, GOOD_PASSWORD, bench};

    fn at(address: &str) -> Client {
        Client {
            address: Some(address.parse().unwrap()),
            user_agent: "test".into(),
        }
    }

    fn with_person() -> (Bench, i64) {
        let bench = bench();
        let new = NewPerson::new("anna", &["radiologist"]);
        let id = bench.identity.add_person(&new, &bench.by).unwrap().id;
        bench
            .identity
            .set_password(id, GOOD_PASSWORD, &bench.by)
            .unwrap();
        (bench, id)
    }

    #[test]
    fn the_right_password_begins_a_session() {
        let (Bench { identity, by, .. }, id) = with_person();
        let client = at("10.0.0.1");
        let LoginOutcome::LoggedIn(new) = identity.login(" ANNA ", GOOD_PASSWORD, &client).unwrap()
        else {
            panic!("a second factor is asked for");
        };
        assert_eq!(new.person.id, id);
        assert_eq!(identity.use_session(&new.secret).unwrap().0, new.session.id);
        assert_eq!(identity.sessions(id).unwrap(), vec![new.session.clone()]);
        assert!(identity.use_session("other").is_err());
        identity.end_session(id, new.session.id, &by).unwrap();
        assert!(identity.use_session(&new.secret).is_err());
    }

    #[test]
    fn wrong_unknown_disabled_and_service_look_the_same() {
        let (Bench { identity, by, .. }, id) = with_person();
        let service = NewPerson {
            kind: Kind::Service,
            ..NewPerson::new("robot", &[])
        };
        let service = identity.add_person(&service, &by).unwrap();
        assert!(
            identity
                .set_password(service.id, GOOD_PASSWORD, &by)
                .is_err()
        );
        let try_it = |login: &str, password: &str| {
            identity
                .login(login, password, &at("10.0.0.1"))
                .unwrap_err()
                .to_string()
        };
        let wrong = try_it("anna", "wrong");
        assert_eq!(try_it("nobody", "wrong"), wrong);
        assert_eq!(try_it("robot", ""), wrong);
        assert_eq!(try_it("anna", &"x".repeat(5000)), wrong);
        let disable = PersonChange {
            is_active: Some(false),
            ..PersonChange::default()
        };
        identity.change_person(id, &disable, &by).unwrap();
        assert_eq!(try_it("anna", GOOD_PASSWORD), wrong);
    }

    #[test]
    fn failures_cause_waits_that_end() {
        let (
            Bench {
                identity,
                clock,
                events,
                ..
            },
            _,
        ) = with_person();
        let client = at("10.0.0.66");
        for _ in 0..5 {
            assert!(matches!(
                identity.login("anna", "wrong", &client),
                Err(IdentityError::WrongCredentials)
            ));
        }
        let kinds: Vec<EventKind> = events.lock().unwrap().iter().map(|e| e.kind).collect();
        assert_eq!(kinds.last(), Some(&EventKind::LockOut));
        // Even the right password waits, and waiting attempts do not make it longer.
        for _ in 0..20 {
            assert!(matches!(
                identity.login("anna", GOOD_PASSWORD, &client),
                Err(IdentityError::Blocked { seconds: 1 })
            ));
        }
        clock.advance(1);
        assert!(identity.login("anna", "wrong", &client).is_err());
        assert!(matches!(
            identity.login("anna", GOOD_PASSWORD, &client),
            Err(IdentityError::Blocked { seconds: 2 })
        ));
        clock.advance(2);
        identity.login("anna", GOOD_PASSWORD, &client).unwrap();
        // The count began anew.
        assert!(matches!(
            identity.login("anna", "wrong", &client),
            Err(IdentityError::WrongCredentials)
        ));
    }

    #[test]
    fn unknown_logins_wait_like_known_ones() {
        let (Bench { identity, .. }, _) = with_person();
        for _ in 0..5 {
            let _ = identity.login("nobody", "wrong", &at("10.0.0.66"));
        }
        assert!(matches!(
            identity.login("nobody", "wrong", &at("10.0.0.67")),
            Err(IdentityError::Blocked { .. })
        ));
    }

    #[test]
    fn an_attacker_does_not_lock_out_the_owner_at_a_familiar_address() {
        let (Bench { identity, .. }, _) = with_person();
        let home = at("10.0.0.1");
        identity.login("anna", GOOD_PASSWORD, &home).unwrap();
        for _ in 0..10 {
            let _ = identity.login("anna", "guess", &at("10.6.6.6"));
        }
        assert!(matches!(
            identity.login("anna", GOOD_PASSWORD, &at("10.6.6.6")),
            Err(IdentityError::Blocked { .. })
        ));
        identity.login("anna", GOOD_PASSWORD, &home).unwrap();
    }

    #[test]
    fn an_address_that_guesses_at_many_accounts_waits() {
        let (Bench { identity, .. }, _) = with_person();
        for n in 0..50 {
            let _ = identity.login(&format!("guess{n}"), "x", &at("10.6.6.6"));
        }
        assert!(matches!(
            identity.login("fresh", "x", &at("10.6.6.6")),
            Err(IdentityError::Blocked { .. })
        ));
        assert!(matches!(
            identity.login("fresh2", "x", &at("10.7.7.7")),
            Err(IdentityError::WrongCredentials)
        ));
    }

    #[test]
    fn sessions_end_by_idleness_age_and_password_change() {
        let (
            Bench {
                identity,
                by,
                clock,
                ..
            },
            id,
        ) = with_person();
        let begin = || match identity.login("anna", GOOD_PASSWORD, &at("10.0.0.1")) {
            Ok(LoginOutcome::LoggedIn(new)) => new,
            other => panic!("{other:?}"),
        };
        let session = begin();
        clock.advance(29 * 60);
        identity.use_session(&session.secret).unwrap();
        clock.advance(31 * 60);
        assert!(identity.use_session(&session.secret).is_err());
        assert!(identity.sessions(id).unwrap().is_empty());

        let session = begin();
        for _ in 0..25 {
            clock.advance(29 * 60);
            let _ = identity.use_session(&session.secret);
        }
        assert!(identity.use_session(&session.secret).is_err());

        let (one, two) = (begin(), begin());
        let other = "another-Walnut-91-trombone";
        identity
            .change_password(id, "wrong", other, Some(one.session.id), &by)
            .unwrap_err();
        identity
            .change_password(id, GOOD_PASSWORD, other, Some(one.session.id), &by)
            .unwrap();
        identity.use_session(&one.secret).unwrap();
        assert!(identity.use_session(&two.secret).is_err());
        assert!(identity.login("anna", GOOD_PASSWORD, &at("::1")).is_err());
        identity.login("anna", other, &at("::1")).unwrap();
    }
}
