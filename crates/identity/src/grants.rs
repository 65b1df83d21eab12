//! Grants to one person beside the roles.

use crate::error::{IdentityError, Result};
use crate::event::{Actor, EventKind, IdentityEvent};
use crate::identity::Identity;
use crate::person::{self, check_text};
use crate::stored;
use gantry_core::access::{Grant, Rights, Scope};
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::{Deserialize, Serialize};

/// Grants of one person.
const GRANTS_MAX: i64 = 1000;

/// A grant to one person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PersonalGrant {
    /// The number.
    pub id: i64,
    /// What may be done.
    pub rights: Rights,
    /// With which studies.
    pub scope: Scope,
    /// Until when, in microseconds since 1970.
    pub ends: Option<i64>,
    /// Why.
    pub reason: String,
    /// Who granted it.
    pub granted_by: Option<String>,
    /// When.
    pub created: i64,
}

/// What is granted.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewGrant {
    /// What may be done.
    pub rights: Rights,
    /// With which studies.
    #[serde(default)]
    pub scope: Scope,
    /// Until when, in microseconds since 1970; none: until it is taken back.
    #[serde(default)]
    pub ends: Option<i64>,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

impl Identity {
    /// The grants of a person, those that ended included.
    ///
    /// # Errors
    /// When there is no such person.
    pub fn grants(&self, person: i64) -> Result<Vec<PersonalGrant>> {
        self.read(|connection| {
            person::by_id(connection, person)?;
            list(connection, person)
        })
    }

    /// Grants something to a person.
    ///
    /// # Errors
    /// When there is no such person, or the grant would be none.
    pub fn grant(&self, person: i64, new: &NewGrant, by: &Actor) -> Result<i64> {
        check_text(&new.reason, "the reason")?;
        if new.rights.is_empty() {
            return Err(IdentityError::invalid("a grant names at least one right"));
        }
        let now = self.clock.now();
        if new.ends.is_some_and(|ends| ends <= now) {
            return Err(IdentityError::invalid("the grant would have ended already"));
        }
        let (id, person) = self.change(|transaction| {
            let person = person::by_id(transaction, person)?;
            let count: i64 = transaction.query_row(
                "SELECT count(*) FROM personal_grant WHERE person = ?1",
                [person.id],
                |row| row.get(0),
            )?;
            if count >= GRANTS_MAX {
                return Err(IdentityError::Conflict("there are too many grants".into()));
            }
            transaction.execute(
                "INSERT INTO personal_grant
                    (person, rights, scope, ends, reason, granted_by, created)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    person.id,
                    stored::write(&new.rights)?,
                    stored::write(&new.scope)?,
                    new.ends,
                    new.reason,
                    by.login,
                    now,
                ],
            )?;
            Ok((transaction.last_insert_rowid(), person))
        })?;
        let event = IdentityEvent::new(EventKind::GrantAdded, by)
            .about(format!("person {}", person.login))
            .because(new.reason.clone())
            .changed(None, stored::value(new));
        self.tell(event);
        Ok(id)
    }

    /// Takes a grant back.
    ///
    /// # Errors
    /// When the person has no such grant.
    pub fn remove_grant(&self, person: i64, grant: i64, by: &Actor) -> Result<()> {
        let (person, before) = self.change(|transaction| {
            let person = person::by_id(transaction, person)?;
            let before = list(transaction, person.id)?
                .into_iter()
                .find(|one| one.id == grant)
                .ok_or(IdentityError::NotFound("grant"))?;
            transaction.execute("DELETE FROM personal_grant WHERE id = ?1", [grant])?;
            Ok((person, before))
        })?;
        let event = IdentityEvent::new(EventKind::GrantRemoved, by)
            .about(format!("person {}", person.login))
            .changed(stored::value(&before), None);
        self.tell(event);
        Ok(())
    }
}

fn list(connection: &Connection, person: i64) -> Result<Vec<PersonalGrant>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, rights, scope, ends, reason, granted_by, created
         FROM personal_grant WHERE person = ?1 ORDER BY id",
    )?;
    let mut grants = Vec::new();
    for row in statement.query_map([person], from_row)? {
        grants.push(row??);
    }
    Ok(grants)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Result<PersonalGrant>> {
    let (rights, scope): (String, String) = (row.get(1)?, row.get(2)?);
    let grant = PersonalGrant {
        id: row.get(0)?,
        rights: Rights::NONE,
        scope: Scope::default(),
        ends: row.get(3)?,
        reason: row.get(4)?,
        granted_by: row.get(5)?,
        created: row.get(6)?,
    };
    Ok(stored::read(&rights, "a grant").and_then(|rights| {
        let scope = stored::read(&scope, "a grant")?;
        Ok(PersonalGrant {
            rights,
            scope,
            ..grant
        })
    }))
}

/// The grants that have not ended.
pub(crate) fn of(connection: &Connection, person: i64, now: i64) -> Result<Vec<Grant>> {
    let grants = list(connection, person)?.into_iter();
    Ok(grants
        .filter(|grant| grant.ends.is_none_or(|ends| now < ends))
        .map(|grant| Grant {
            rights: grant.rights,
            scope: grant.scope,
            until: grant.ends,
            source: match &grant.granted_by {
                Some(by) => format!("granted by {by}"),
                None => "granted personally".into(),
            },
        })
        .collect())
}

/// A value of one row, or `NotFound`.
pub(crate) fn found<T>(row: rusqlite::Result<T>, what: &'static str) -> Result<T> {
    row.optional()?.ok_or(IdentityError::NotFound(what))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::person::NewPerson;
    use crate::testing::{Bench, bench};
    use gantry_core::access::Right;

    #[test]
    fn a_grant_ends_or_is_taken_back() {
        let Bench {
            identity,
            by,
            clock,
            ..
        } = bench();
        let person = identity
            .add_person(&NewPerson::new("p", &[]), &by)
            .unwrap()
            .id;
        let now = clock.now();
        let new = NewGrant {
            rights: Rights::of(&[Right::View]),
            scope: Scope {
                studies: vec!["1.2.3".into()],
                ..Scope::default()
            },
            ends: Some(now + 1000),
            reason: "second opinion".into(),
        };
        let grant = identity.grant(person, &new, &by).unwrap();
        let access = identity.access_of(person).unwrap();
        assert!(access.holds(Right::View, now) && !access.holds(Right::View, now + 1000));
        identity.remove_grant(person, grant, &by).unwrap();
        assert!(!identity.access_of(person).unwrap().holds(Right::View, now));
        assert!(identity.remove_grant(person, grant, &by).is_err());
        let over = NewGrant {
            ends: Some(now),
            ..new.clone()
        };
        assert!(identity.grant(person, &over, &by).is_err());
        assert!(identity.grant(99, &new, &by).is_err());
    }
}
