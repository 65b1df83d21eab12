//! Passwords: how strong they have to be, setting and resetting them.

use crate::clock::MINUTE;
use crate::error::{IdentityError, Result};
use crate::event::{Actor, EventKind, IdentityEvent};
use crate::hashing::PASSWORD_BYTES_MAX;
use crate::identity::Identity;
use crate::lock_out::Attempt;
use crate::person::{self, Kind, Person};
use crate::random;
use rusqlite::{OptionalExtension as _, Transaction, params};
use serde::Serialize;
use zeroize::Zeroizing;

/// How hard a password is to guess.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Strength {
    /// 0 (at once) to 4 (hardly ever).
    pub score: u8,
    /// Whether it may be used here.
    pub is_enough: bool,
    /// What is wrong with it, in words; empty when nothing is.
    pub warning: String,
    /// What would make it better.
    pub suggestions: Vec<String>,
}

impl Identity {
    /// How hard a password is to guess for somebody who knows `about`: login, name, e-mail.
    pub fn password_strength(&self, password: &str, about: &[&str]) -> Strength {
        let settings = &self.settings;
        let words: Vec<&str> = about
            .iter()
            .flat_map(|text| text.split(['@', '.', ' ', '-', '_']).chain([*text]))
            .filter(|word| word.len() > 2)
            .chain(["gantry", "pacs", "dicom", "radiology"])
            .collect();
        // The estimate looks at the beginning only; its time grows fast with the length.
        let beginning: String = password.chars().take(72).collect();
        let estimate = zxcvbn::zxcvbn(&beginning, &words);
        let mut score = u8::from(estimate.score());
        if is_made_of(&beginning, &words) {
            score = score.min(1);
        }
        let length = password.chars().count();
        let mut warning = String::new();
        let mut suggestions = Vec::new();
        if let Some(feedback) = estimate.feedback() {
            warning = feedback
                .warning()
                .map(|warning| warning.to_string())
                .unwrap_or_default();
            suggestions = feedback
                .suggestions()
                .iter()
                .map(ToString::to_string)
                .collect();
        }
        let is_long = length >= settings.password_length_min;
        let is_strong = score >= settings.password_strength_min;
        if !is_long {
            let fewest = settings.password_length_min;
            warning = format!("A password has at least {fewest} characters.");
        } else if !is_strong && warning.is_empty() {
            warning = "This password is easy to guess.".into();
        }
        Strength {
            score,
            is_enough: is_long && is_strong && password.len() <= PASSWORD_BYTES_MAX,
            warning,
            suggestions,
        }
    }

    /// Hashes a new password, if it is strong enough.
    pub(crate) fn hash_new_password(&self, password: &str, about: &[&str]) -> Result<String> {
        let strength = self.password_strength(password, about);
        if !strength.is_enough {
            let mut why = strength.warning;
            for suggestion in strength.suggestions {
                why.push(' ');
                why.push_str(&suggestion);
            }
            return Err(IdentityError::WeakPassword { why });
        }
        self.hashing.hash(password)
    }

    /// Changes the password of somebody who knows the present one. All sessions but
    /// `session` end.
    ///
    /// # Errors
    /// When the present password is wrong, too many were, or the new one is too weak.
    pub fn change_password(
        &self,
        person: i64,
        present: &str,
        new: &str,
        session: Option<i64>,
        by: &Actor,
    ) -> Result<()> {
        let now = self.clock.now();
        let person = self.prove_password(person, present, by)?;
        let hash = self.hash_new_password(new, &about(&person))?;
        self.change(|transaction| set(transaction, person.id, &hash, session, now))?;
        self.tell_changed(&person, by);
        Ok(())
    }

    /// Checks the password of somebody who is logged in, before something that whoever finds the
    /// browser open must not do.
    ///
    /// # Errors
    /// When it is wrong, too many were, or there is none.
    pub fn prove_password(&self, person: i64, present: &str, by: &Actor) -> Result<Person> {
        let now = self.clock.now();
        let person = self.person(person)?;
        let kept = self.read(|connection| password_of(connection, person.id))?;
        // Accounts of an identity provider have none: it is not for them to make one here.
        if kept.is_none() {
            return Err(IdentityError::Conflict(
                "this account has no password here".into(),
            ));
        }
        let attempt = self.write(|transaction| {
            let login = &person.login;
            let attempt = Attempt::upon(
                transaction,
                &self.settings,
                login,
                Some(person.id),
                by.address,
            )?;
            attempt.begin(transaction, &self.settings, now)?;
            Ok(attempt)
        })?;
        let is_right = match self.hashing.verify(present, kept.as_deref()) {
            Err(error @ IdentityError::Busy) => {
                self.write(|transaction| attempt.withdraw(transaction))?;
                return Err(error);
            }
            outcome => outcome?,
        };
        if !is_right {
            let event = IdentityEvent::new(EventKind::PasswordChanged, by)
                .about(format!("person {}", person.login))
                .failed("present password is wrong");
            self.tell(event);
            return Err(IdentityError::WrongCredentials);
        }
        self.write(|transaction| attempt.succeeded(transaction))?;
        Ok(person)
    }

    /// Sets the password of a person without asking for the present one: for commands.
    ///
    /// # Errors
    /// When it is too weak, or for a service account.
    pub fn set_password(&self, person: i64, new: &str, by: &Actor) -> Result<()> {
        let person = self.person(person)?;
        if person.kind == Kind::Service {
            return Err(IdentityError::Conflict(
                "service accounts have tokens, no password".into(),
            ));
        }
        let hash = self.hash_new_password(new, &about(&person))?;
        let now = self.clock.now();
        self.change(|transaction| set(transaction, person.id, &hash, None, now))?;
        self.tell_changed(&person, by);
        Ok(())
    }

    /// Makes a secret with which the person can set a password once. Earlier ones become void; the
    /// present password goes on working until then.
    ///
    /// # Errors
    /// When there is no such person, or it is a service account.
    pub fn make_password_link(&self, person: i64, by: &Actor) -> Result<Zeroizing<String>> {
        let secret = random::secret()?;
        let ends = self
            .clock
            .now()
            .saturating_add(i64::from(self.settings.reset_link_hours) * 60 * MINUTE);
        let person = self.write(|transaction| {
            let person = person::by_id(transaction, person)?;
            if person.kind == Kind::Service || person.issuer.is_some() {
                return Err(IdentityError::Conflict(
                    "this account has no password here".into(),
                ));
            }
            transaction.execute("DELETE FROM one_time_link WHERE person = ?1", [person.id])?;
            transaction.execute(
                "INSERT INTO one_time_link (secret_hash, purpose, person, ends)
                 VALUES (?1, 'password', ?2, ?3)",
                params![random::hash(&secret), person.id, ends],
            )?;
            Ok(person)
        })?;
        let event = IdentityEvent::new(EventKind::PasswordLinkMade, by)
            .about(format!("person {}", person.login));
        self.tell(event);
        Ok(secret)
    }

    /// Whose password a link sets.
    ///
    /// # Errors
    /// When the link is none, was used, or has ended.
    pub fn person_of_password_link(&self, secret: &str) -> Result<Person> {
        let now = self.clock.now();
        self.read(|connection| {
            let person: Option<i64> = connection
                .query_row(
                    "SELECT person FROM one_time_link
                     WHERE secret_hash = ?1 AND purpose = 'password' AND ends > ?2",
                    params![random::hash(secret), now],
                    |row| row.get(0),
                )
                .optional()?;
            let person = person.ok_or(IdentityError::WrongCredentials)?;
            person::by_id(connection, person)
        })
    }

    /// Sets a password with a one-time secret. All sessions of the person end.
    ///
    /// # Errors
    /// When the secret is none or has ended, or the password is too weak; then it still works.
    pub fn use_password_link(&self, secret: &str, new: &str, by: &Actor) -> Result<Person> {
        let person = self.person_of_password_link(secret)?;
        let hash = self.hash_new_password(new, &about(&person))?;
        let now = self.clock.now();
        self.change(|transaction| {
            let used = transaction.execute(
                "DELETE FROM one_time_link WHERE secret_hash = ?1",
                [random::hash(secret)],
            )?;
            if used == 0 {
                return Err(IdentityError::WrongCredentials);
            }
            set(transaction, person.id, &hash, None, now)
        })?;
        self.tell_changed(&person, by);
        Ok(person)
    }

    fn tell_changed(&self, person: &Person, by: &Actor) {
        let event = IdentityEvent::new(EventKind::PasswordChanged, by)
            .about(format!("person {}", person.login));
        self.tell(event);
    }
}

/// Whether hardly anything is left of a password without the words.
fn is_made_of(password: &str, words: &[&str]) -> bool {
    let mut rest = password.to_lowercase();
    let mut words: Vec<String> = words.iter().map(|word| word.to_lowercase()).collect();
    words.sort_by_key(|word| std::cmp::Reverse(word.len()));
    for word in words {
        rest = rest.replace(&word, "");
    }
    rest.chars().filter(|c| c.is_alphanumeric()).count() < 6
}

/// What others may know of a person, and a password must not be.
fn about(person: &Person) -> [&str; 3] {
    [&person.login, &person.name, &person.email]
}

/// The hash that is kept.
pub(crate) fn password_of(
    connection: &rusqlite::Connection,
    person: i64,
) -> Result<Option<String>> {
    Ok(connection
        .prepare_cached("SELECT password FROM person WHERE id = ?1 AND kind = 'person'")?
        .query_row([person], |row| row.get(0))
        .optional()?
        .flatten())
}

/// Keeps a new hash and ends the sessions but one.
pub(crate) fn set(
    transaction: &Transaction<'_>,
    person: i64,
    hash: &str,
    but: Option<i64>,
    now: i64,
) -> Result<()> {
    transaction.execute(
        "UPDATE person SET password = ?2, password_changed = ?3 WHERE id = ?1",
        params![person, hash, now],
    )?;
    transaction.execute(
        "DELETE FROM session WHERE person = ?1 AND id IS NOT ?2",
        params![person, but],
    )?;
    transaction.execute(
        "DELETE FROM one_time_link WHERE person = ?1 AND purpose = 'password'",
        [person],
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::person::NewPerson;
    use crate::testing::{Bench, GOOD_PASSWORD, bench};

    #[test]
    fn weak_passwords_are_refused_with_words() {
        let Bench { identity, .. } = bench();
        let strength = |password| identity.password_strength(password, &["anna", "Anna Berg"]);
        for weak in [
            "",
            "short",
            "password12",
            "1234567890",
            "annaberg2024",
            "aaaaaaaaaaaaaa",
        ] {
            let found = strength(weak);
            assert!(!found.is_enough, "{weak}: {found:?}");
            assert!(!found.warning.is_empty(), "{weak}");
        }
        let good = strength(GOOD_PASSWORD);
        assert!(good.is_enough && good.score >= 3, "{good:?}");
        let long = "x".repeat(100_000);
        assert!(!strength(&long).is_enough);
    }

    #[test]
    fn a_link_sets_a_password_once() {
        let Bench {
            identity,
            by,
            clock,
            ..
        } = bench();
        let person = identity.add_person(&NewPerson::new("p", &[]), &by).unwrap();
        let old = identity.make_password_link(person.id, &by).unwrap();
        let link = identity.make_password_link(person.id, &by).unwrap();
        assert!(identity.person_of_password_link(&old).is_err());
        assert!(identity.use_password_link(&link, "weak", &by).is_err());
        identity
            .use_password_link(&link, GOOD_PASSWORD, &by)
            .unwrap();
        assert!(identity.person(person.id).unwrap().has_password);
        assert!(
            identity
                .use_password_link(&link, GOOD_PASSWORD, &by)
                .is_err()
        );
        let late = identity.make_password_link(person.id, &by).unwrap();
        clock.advance_hours(25);
        assert!(identity.person_of_password_link(&late).is_err());
    }
}
