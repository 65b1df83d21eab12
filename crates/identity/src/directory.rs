//! People for whom others vouch: a directory (LDAP) or an identity provider (OpenID Connect).

use crate::error::{IdentityError, Result};
use crate::event::{Actor, EventKind, IdentityEvent};
use crate::identity::Identity;
use crate::people;
use crate::person::{self, Kind, NewPerson, Person};
use crate::{roles, stored};
use rusqlite::{OptionalExtension as _, params};
use std::sync::{Arc, PoisonError};

/// What another says of somebody who proved to them who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalPerson {
    /// Who says it: an issuer's URL, or `ldap`.
    pub issuer: String,
    /// The name that never changes.
    pub subject: String,
    /// The login wanted.
    pub login: String,
    /// The name to show.
    pub name: String,
    /// E-mail address.
    pub email: String,
    /// PN values as which they order and perform; none where the other does not know them.
    pub dicom_names: Option<Vec<String>>,
    /// The roles that follow from their groups.
    pub roles: Vec<String>,
}

/// Something that checks passwords of people whom we do not know ourselves.
pub trait Directory: Send + Sync {
    /// Who has this login and password; nobody when they are not right.
    ///
    /// # Errors
    /// When it does not answer.
    fn check(&self, login: &str, password: &str) -> Result<Option<ExternalPerson>>;
}

impl Identity {
    /// Whom to ask about logins that have no password here.
    pub fn set_directory(&self, directory: Arc<dyn Directory>) {
        *self
            .directory
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Some(directory);
    }

    pub(crate) fn ask_directory(&self, login: &str, password: &str) -> Result<Option<Person>> {
        let directory = self
            .directory
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let Some(directory) = directory else {
            return Ok(None);
        };
        // LDAP takes an empty password for an anonymous bind that succeeds (RFC 4513 5.1.2).
        if login.trim().is_empty() || password.is_empty() {
            return Ok(None);
        }
        match directory.check(login, password)? {
            Some(external) => self.accept_external(&external).map(Some),
            None => Ok(None),
        }
    }

    /// The account of somebody for whom another vouches; it is made at the first login. Name,
    /// e-mail and external roles are set anew each time.
    ///
    /// # Errors
    /// When the login is another account's, or the account is disabled.
    pub fn accept_external(&self, external: &ExternalPerson) -> Result<Person> {
        let now = self.clock.now();
        let known = self.read(|connection| {
            let id: Option<i64> = connection
                .prepare_cached("SELECT id FROM person WHERE issuer = ?1 AND subject = ?2")?
                .query_row([&external.issuer, &external.subject], |row| row.get(0))
                .optional()?;
            id.map(|id| person::by_id(connection, id)).transpose()
        })?;
        if let Some(person) = &known {
            if !person.is_active {
                return Err(IdentityError::WrongCredentials);
            }
            if is_as_said(person, external) {
                return Ok(person.clone());
            }
        }
        let before = known.clone();
        let after = self.change(|transaction| {
            // A role may have been deleted, or be misspelt in the configuration: the login must
            // not fail for that, it grants nothing.
            let mut known_roles = Vec::new();
            for role in &external.roles {
                if roles::find(transaction, role)?.is_some() {
                    known_roles.push(role.clone());
                } else {
                    tracing::warn!(role, "groups are mapped to a role that does not exist");
                }
            }
            let id = match &known {
                Some(person) => person.id,
                None => {
                    let new = NewPerson {
                        login: external.login.clone(),
                        kind: Kind::Person,
                        name: external.name.clone(),
                        email: external.email.clone(),
                        dicom_names: Vec::new(),
                        roles: Vec::new(),
                    };
                    let person = people::insert(transaction, &new, now)?;
                    transaction.execute(
                        "UPDATE person SET issuer = ?2, subject = ?3 WHERE id = ?1",
                        params![person.id, external.issuer, external.subject],
                    )?;
                    person.id
                }
            };
            person::check_text(&external.name, "the name")?;
            person::check_text(&external.email, "the e-mail address")?;
            if !external.name.trim().is_empty() {
                transaction.execute(
                    "UPDATE person SET name = ?2 WHERE id = ?1",
                    params![id, external.name.trim()],
                )?;
            }
            transaction.execute(
                "UPDATE person SET email = ?2 WHERE id = ?1",
                params![id, external.email.trim()],
            )?;
            if let Some(names) = &external.dicom_names {
                transaction.execute(
                    "UPDATE person SET dicom_names = ?2 WHERE id = ?1",
                    params![id, stored::write(names)?],
                )?;
            }
            people::set_roles(transaction, id, &known_roles, true)?;
            person::by_id(transaction, id)
        })?;
        let actor = Actor {
            credential: Some(external.issuer.clone()),
            login: Some(after.login.clone()),
            ..Actor::default()
        };
        let kind = if before.is_some() {
            EventKind::PersonChanged
        } else {
            EventKind::PersonAdded
        };
        let event = IdentityEvent::new(kind, &actor)
            .about(format!("person {}", after.login))
            .changed(
                before.and_then(|person| stored::value(&person)),
                stored::value(&after),
            );
        self.tell(event);
        Ok(after)
    }
}

fn is_as_said(person: &Person, external: &ExternalPerson) -> bool {
    let mut roles = external.roles.clone();
    roles.sort();
    roles.dedup();
    let name = external.name.trim();
    (name.is_empty() || person.name == name)
        && person.email == external.email.trim()
        && external
            .dicom_names
            .as_ref()
            .is_none_or(|names| *names == person.dicom_names)
        && person.external_roles == roles
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::login::LoginOutcome;
    use crate::person::PersonChange;
    use crate::session::Client;
    use crate::testing::{Bench, bench};

    struct Few;

    impl Directory for Few {
        fn check(&self, login: &str, password: &str) -> Result<Option<ExternalPerson>> {
            let roles = match (login, password) {
                ("eva", "right") => vec!["radiologist".to_owned(), "gone".to_owned()],
                ("eva", "promoted") => vec!["administrator".to_owned()],
                _ => return Ok(None),
            };
            Ok(Some(ExternalPerson {
                issuer: "ldap".into(),
                subject: "uid=eva".into(),
                login: login.into(),
                name: "Eva".into(),
                email: String::new(),
                dicom_names: None,
                roles,
            }))
        }
    }

    #[test]
    fn somebody_whom_a_directory_knows_gets_an_account() {
        let Bench { identity, by, .. } = bench();
        identity.set_directory(Arc::new(Few));
        let log_in = |password| match identity.login("eva", password, &Client::default()) {
            Ok(LoginOutcome::LoggedIn(new)) => Ok(new.person),
            Ok(LoginOutcome::SecondFactor { .. }) => panic!(),
            Err(error) => Err(error),
        };
        assert!(log_in("wrong").is_err());
        assert!(log_in("").is_err());
        let eva = log_in("right").unwrap();
        assert_eq!(eva.external_roles, ["radiologist"]);
        assert_eq!(eva.issuer.as_deref(), Some("ldap"));
        let again = log_in("promoted").unwrap();
        assert_eq!(
            (again.id, &again.external_roles[0][..]),
            (eva.id, "administrator")
        );
        // No password of our own: they cannot get round the directory.
        assert!(identity.make_password_link(eva.id, &by).is_err());
        let disable = PersonChange {
            is_active: Some(false),
            ..PersonChange::default()
        };
        identity
            .add_person(&NewPerson::new("root", &["administrator"]), &by)
            .unwrap();
        identity.change_person(eva.id, &disable, &by).unwrap();
        assert!(log_in("right").is_err());
    }

    #[test]
    fn a_directory_does_not_take_over_an_account_of_ours() {
        let Bench { identity, by, .. } = bench();
        identity.set_directory(Arc::new(Few));
        identity
            .add_person(&NewPerson::new("eva", &["administrator"]), &by)
            .unwrap();
        let outcome = identity.login("eva", "right", &Client::default());
        assert!(
            matches!(outcome, Err(IdentityError::Conflict(_))),
            "{outcome:?}"
        );
    }
}
