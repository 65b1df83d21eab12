//! Adding and changing people.

use crate::error::{IdentityError, Result};
use crate::event::{Actor, EventKind, IdentityEvent};
use crate::identity::Identity;
use crate::person::{self, Kind, NewPerson, Person, PersonChange, check_text};
use crate::role::ADMINISTRATOR;
use crate::{random, roles, stored};
use rusqlite::{Connection, Transaction, params};

/// Most DICOM names of one person.
const DICOM_NAMES_MAX: usize = 20;

impl Identity {
    /// Everybody, by login.
    ///
    /// # Errors
    /// When the database fails.
    pub fn people(&self) -> Result<Vec<Person>> {
        self.read(person::all)
    }

    /// One person.
    ///
    /// # Errors
    /// When there is none of that number.
    pub fn person(&self, id: i64) -> Result<Person> {
        self.read(|connection| person::by_id(connection, id))
    }

    /// The person of a login.
    ///
    /// # Errors
    /// When the database fails.
    pub fn person_by_login(&self, login: &str) -> Result<Option<Person>> {
        self.read(|connection| person::by_login(connection, login))
    }

    /// Adds a person, who has no password as yet.
    ///
    /// # Errors
    /// When the login is taken or none, or there is no such role.
    pub fn add_person(&self, new: &NewPerson, by: &Actor) -> Result<Person> {
        let now = self.clock.now();
        let person = self.change(|transaction| insert(transaction, new, now))?;
        self.tell_added(&person, by);
        Ok(person)
    }

    pub(crate) fn tell_added(&self, person: &Person, by: &Actor) {
        let event = IdentityEvent::new(EventKind::PersonAdded, by)
            .about(format!("person {}", person.login))
            .changed(None, stored::value(person));
        self.tell(event);
    }

    /// Changes a person. Who is disabled loses all sessions.
    ///
    /// # Errors
    /// When there is no such person or role, or no administrator would be left.
    pub fn change_person(&self, id: i64, change: &PersonChange, by: &Actor) -> Result<Person> {
        let (before, after) = self.change(|transaction| {
            let before = person::by_id(transaction, id)?;
            apply(transaction, &before, change)?;
            let after = person::by_id(transaction, id)?;
            let was_administrator = is_active_administrator(&before);
            if was_administrator && !is_active_administrator(&after) {
                keep_an_administrator(transaction)?;
            }
            if !after.is_active {
                transaction.execute("DELETE FROM session WHERE person = ?1", [id])?;
            }
            Ok((before, after))
        })?;
        let event = IdentityEvent::new(EventKind::PersonChanged, by)
            .about(format!("person {}", after.login))
            .changed(stored::value(&before), stored::value(&after));
        self.tell(event);
        Ok(after)
    }

    /// Deletes a person with sessions, tokens and shares. The audit trail keeps what they did.
    ///
    /// # Errors
    /// When there is no such person, or no administrator would be left.
    pub fn delete_person(&self, id: i64, by: &Actor) -> Result<()> {
        let before = self.change(|transaction| {
            let before = person::by_id(transaction, id)?;
            transaction.execute("DELETE FROM person WHERE id = ?1", [id])?;
            if is_active_administrator(&before) {
                keep_an_administrator(transaction)?;
            }
            Ok(before)
        })?;
        let event = IdentityEvent::new(EventKind::PersonDeleted, by)
            .about(format!("person {}", before.login))
            .changed(stored::value(&before), None);
        self.tell(event);
        Ok(())
    }
}

/// Inserts a person with roles.
pub(crate) fn insert(transaction: &Transaction<'_>, new: &NewPerson, now: i64) -> Result<Person> {
    let login = person::fold_login(&new.login);
    person::check_login(&login)?;
    check_text(&new.name, "the name")?;
    check_text(&new.email, "the e-mail address")?;
    check_dicom_names(&new.dicom_names)?;
    if person::by_login(transaction, &login)?.is_some() {
        return Err(IdentityError::Conflict(format!(
            "the login {login} is taken"
        )));
    }
    let name = match new.name.trim() {
        "" => new.login.trim(),
        name => name,
    };
    transaction.execute(
        "INSERT INTO person (login, kind, name, email, dicom_names, is_active, created, handle)
         VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6, ?7)",
        params![
            login,
            new.kind.as_str(),
            name,
            new.email.trim(),
            stored::write(&new.dicom_names)?,
            now,
            random::bytes::<32>()?,
        ],
    )?;
    let id = transaction.last_insert_rowid();
    set_roles(transaction, id, &new.roles, false)?;
    person::by_id(transaction, id)
}

/// Sets the roles of one origin.
pub(crate) fn set_roles(
    transaction: &Transaction<'_>,
    id: i64,
    names: &[String],
    is_external: bool,
) -> Result<()> {
    transaction.execute(
        "DELETE FROM person_role WHERE person = ?1 AND is_external = ?2",
        params![id, is_external],
    )?;
    for name in names {
        if roles::find(transaction, name)?.is_none() {
            return Err(IdentityError::invalid(format!("there is no role {name:?}")));
        }
        transaction.execute(
            "INSERT OR IGNORE INTO person_role (person, role, is_external) VALUES (?1, ?2, ?3)",
            params![id, name, is_external],
        )?;
    }
    Ok(())
}

/// Whether a new account would be the first one that may administer.
pub(crate) fn has_administrator(connection: &Connection) -> Result<bool> {
    Ok(connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM person JOIN person_role ON person = id
         WHERE role = ?1 AND is_active AND kind = 'person')",
        [ADMINISTRATOR],
        |row| row.get(0),
    )?)
}

fn keep_an_administrator(transaction: &Transaction<'_>) -> Result<()> {
    if has_administrator(transaction)? {
        return Ok(());
    }
    Err(IdentityError::Conflict(
        "this is the last administrator: make another one first".into(),
    ))
}

fn is_active_administrator(person: &Person) -> bool {
    let mut roles = person.roles.iter().chain(&person.external_roles);
    person.is_active && person.kind == Kind::Person && roles.any(|role| role == ADMINISTRATOR)
}

fn apply(transaction: &Transaction<'_>, before: &Person, change: &PersonChange) -> Result<()> {
    let id = before.id;
    if let Some(name) = &change.name {
        check_text(name, "the name")?;
        transaction.execute(
            "UPDATE person SET name = ?2 WHERE id = ?1",
            params![id, name],
        )?;
    }
    if let Some(email) = &change.email {
        check_text(email, "the e-mail address")?;
        transaction.execute(
            "UPDATE person SET email = ?2 WHERE id = ?1",
            params![id, email],
        )?;
    }
    if let Some(names) = &change.dicom_names {
        check_dicom_names(names)?;
        transaction.execute(
            "UPDATE person SET dicom_names = ?2 WHERE id = ?1",
            params![id, stored::write(names)?],
        )?;
    }
    if let Some(is_active) = change.is_active {
        transaction.execute(
            "UPDATE person SET is_active = ?2 WHERE id = ?1",
            params![id, is_active],
        )?;
    }
    if let Some(roles) = &change.roles {
        set_roles(transaction, id, roles, false)?;
    }
    Ok(())
}

fn check_dicom_names(names: &[String]) -> Result<()> {
    if names.len() > DICOM_NAMES_MAX {
        return Err(IdentityError::invalid("too many DICOM names"));
    }
    for name in names {
        check_text(name, "a DICOM name")?;
        if name.trim().is_empty() || name.contains('\\') {
            return Err(IdentityError::invalid(
                "a DICOM name is one value, not empty",
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, bench};

    #[test]
    fn people_are_added_and_changed() {
        let Bench { identity, by, .. } = bench();
        let mut new = NewPerson::new(" Anna.Berg@Clinic ", &["radiologist"]);
        new.dicom_names = vec!["BERG^ANNA".into()];
        let anna = identity.add_person(&new, &by).unwrap();
        assert_eq!(anna.login, "anna.berg@clinic");
        assert_eq!(anna.name, "Anna.Berg@Clinic");
        assert_eq!(anna.roles, ["radiologist"]);
        assert!(!anna.has_password && anna.is_active);
        let again = identity.add_person(&new, &by);
        assert!(matches!(again, Err(IdentityError::Conflict(_))));
        let change = PersonChange {
            roles: Some(vec!["auditor".into()]),
            is_active: Some(false),
            ..PersonChange::default()
        };
        let anna = identity.change_person(anna.id, &change, &by).unwrap();
        assert_eq!(anna.roles, ["auditor"]);
        assert!(!anna.is_active);
        assert_eq!(anna.dicom_names, ["BERG^ANNA"]);
        identity.delete_person(anna.id, &by).unwrap();
        assert!(identity.person(anna.id).is_err());
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let Bench { identity, by, .. } = bench();
        for login in ["", " ", "a b", "a/b", "a\nb", &"x".repeat(65)] {
            assert!(
                identity
                    .add_person(&NewPerson::new(login, &[]), &by)
                    .is_err(),
                "{login:?}"
            );
        }
        assert!(
            identity
                .add_person(&NewPerson::new("a", &["king"]), &by)
                .is_err()
        );
        // Nothing of it is left.
        assert!(identity.person_by_login("a").unwrap().is_none());
        let mut new = NewPerson::new("a", &[]);
        new.dicom_names = vec!["A\\B".into()];
        assert!(identity.add_person(&new, &by).is_err());
    }

    #[test]
    fn the_last_administrator_stays() {
        let Bench { identity, by, .. } = bench();
        let new = NewPerson::new("root", &[ADMINISTRATOR]);
        let root = identity.add_person(&new, &by).unwrap();
        let demote = PersonChange {
            roles: Some(vec![]),
            ..PersonChange::default()
        };
        let disable = PersonChange {
            is_active: Some(false),
            ..PersonChange::default()
        };
        for change in [&demote, &disable] {
            assert!(identity.change_person(root.id, change, &by).is_err());
        }
        assert!(identity.delete_person(root.id, &by).is_err());
        let second = NewPerson::new("second", &[ADMINISTRATOR]);
        identity.add_person(&second, &by).unwrap();
        identity.change_person(root.id, &demote, &by).unwrap();
    }

    #[test]
    fn changes_are_told_with_before_and_after() {
        let Bench {
            identity,
            by,
            events,
            ..
        } = bench();
        let person = identity.add_person(&NewPerson::new("a", &[]), &by).unwrap();
        let change = PersonChange {
            name: Some("New".into()),
            ..PersonChange::default()
        };
        identity.change_person(person.id, &change, &by).unwrap();
        let event = events.lock().unwrap().pop().unwrap();
        assert_eq!(event.kind, EventKind::PersonChanged);
        assert_eq!(event.subject.as_deref(), Some("person a"));
        assert_eq!(event.before.unwrap()["name"], "a");
        assert_eq!(event.after.unwrap()["name"], "New");
    }
}
