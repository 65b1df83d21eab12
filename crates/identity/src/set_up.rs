//! The first start: whoever has the link that the server prints makes the first administrator.

use crate::error::{IdentityError, Result};
use crate::event::{Actor, EventKind, IdentityEvent};
use crate::identity::Identity;
use crate::person::{self, NewPerson};
use crate::role::ADMINISTRATOR;
use crate::session::{Client, NewSession};
use crate::{password, people, random};
use rusqlite::params;
use zeroize::Zeroizing;

impl Identity {
    /// Whether nobody may administer as yet.
    ///
    /// # Errors
    /// When the database fails.
    pub fn needs_set_up(&self) -> Result<bool> {
        self.read(|connection| Ok(!people::has_administrator(connection)?))
    }

    /// A new secret for the first start, or nothing when there is an administrator. Earlier ones
    /// become void.
    ///
    /// # Errors
    /// When the database fails.
    pub fn set_up_secret(&self) -> Result<Option<Zeroizing<String>>> {
        let secret = random::secret()?;
        self.write(|transaction| {
            transaction.execute("DELETE FROM one_time_link WHERE purpose = 'set-up'", [])?;
            if people::has_administrator(transaction)? {
                return Ok(None);
            }
            transaction.execute(
                "INSERT INTO one_time_link (secret_hash, purpose) VALUES (?1, 'set-up')",
                [random::hash(&secret)],
            )?;
            Ok(Some(secret))
        })
    }

    /// Whether it is the secret of the first start.
    ///
    /// # Errors
    /// When it is not.
    pub fn check_set_up_secret(&self, secret: &str) -> Result<()> {
        self.read(|connection| {
            let is_right = connection
                .prepare_cached(
                    "SELECT 1 FROM one_time_link WHERE secret_hash = ?1 AND purpose = 'set-up'",
                )?
                .exists([random::hash(secret)])?;
            is_right
                .then_some(())
                .ok_or(IdentityError::WrongCredentials)
        })
    }

    /// Makes the first administrator and begins a session.
    ///
    /// # Errors
    /// When the secret is not right, there is an administrator already, the login is none or the
    /// password too weak.
    pub fn set_up(
        &self,
        secret: &str,
        login: &str,
        name: &str,
        password: &str,
        client: &Client,
    ) -> Result<NewSession> {
        self.check_set_up_secret(secret)?;
        let new = NewPerson {
            name: name.to_owned(),
            ..NewPerson::new(login, &[ADMINISTRATOR])
        };
        person::check_login(&person::fold_login(login))?;
        let hash = self.hash_new_password(password, &[login, name])?;
        let now = self.clock.now();
        let person = self.change(|transaction| {
            if people::has_administrator(transaction)? {
                return Err(IdentityError::Conflict(
                    "there is an administrator already".into(),
                ));
            }
            let used = transaction.execute(
                "DELETE FROM one_time_link WHERE secret_hash = ?1 AND purpose = 'set-up'",
                params![random::hash(secret)],
            )?;
            if used == 0 {
                return Err(IdentityError::WrongCredentials);
            }
            let person = people::insert(transaction, &new, now)?;
            password::set(transaction, person.id, &hash, None, now)?;
            person::by_id(transaction, person.id)
        })?;
        let actor = Actor {
            login: Some(person.login.clone()),
            ..Actor::at(client.address)
        };
        self.tell_added(&person, &actor);
        let event =
            IdentityEvent::new(EventKind::SetUp, &actor).about(format!("person {}", person.login));
        self.tell(event);
        self.begin_session(person, client, "password")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, GOOD_PASSWORD, bench};

    #[test]
    fn the_first_administrator_is_made_once_with_the_secret() {
        let Bench { identity, .. } = bench();
        let client = Client::default();
        let set_up = |secret: &str, password: &str| {
            identity.set_up(secret, "root", "Root", password, &client)
        };
        assert!(identity.needs_set_up().unwrap());
        let old = identity.set_up_secret().unwrap().unwrap();
        let secret = identity.set_up_secret().unwrap().unwrap();
        assert!(set_up(&old, GOOD_PASSWORD).is_err());
        assert!(set_up("", GOOD_PASSWORD).is_err());
        assert!(matches!(
            set_up(&secret, "weak"),
            Err(IdentityError::WeakPassword { .. })
        ));
        let session = set_up(&secret, GOOD_PASSWORD).unwrap();
        assert_eq!(session.person.roles, [ADMINISTRATOR]);
        assert!(session.person.has_password);
        assert!(set_up(&secret, GOOD_PASSWORD).is_err());
        assert!(identity.set_up_secret().unwrap().is_none());
        assert!(!identity.needs_set_up().unwrap());
    }
}
