//! API tokens of people and service accounts.

use crate::clock::{DAY, MINUTE};
use crate::error::{IdentityError, Result};
use crate::event::{Actor, EventKind, IdentityEvent};
use crate::grants::found;
use crate::identity::Identity;
use crate::person::{self, Person, check_text};
use crate::{access, random, stored};
use gantry_core::access::{Access, Rights, Scope};
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use zeroize::Zeroizing;

/// Tokens of one account that are not revoked.
const TOKENS_MAX: i64 = 100;

/// A token, as it is listed: without what proves it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Token {
    /// The number.
    pub id: i64,
    /// Whose it is.
    pub login: String,
    /// What it is for.
    pub name: String,
    /// The rights, as far as the owner has them.
    pub rights: Rights,
    /// The studies, as far as the owner's rights extend to them.
    pub scope: Scope,
    /// Since when, in microseconds since 1970.
    pub created: i64,
    /// When it ends.
    pub ends: Option<i64>,
    /// When it was last used, to a minute.
    pub last_used: Option<i64>,
    /// From where.
    pub last_address: Option<String>,
    /// When it was revoked.
    pub revoked: Option<i64>,
}

/// What a token is to be.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// What it is for.
    pub name: String,
    /// The rights.
    pub rights: Rights,
    /// The studies.
    #[serde(default = "Scope::everything")]
    pub scope: Scope,
    /// Days until it ends; none: as long as the site allows.
    #[serde(default)]
    pub days: Option<u32>,
}

impl Identity {
    /// Makes a token. The text that is returned is not kept: it cannot be shown again.
    ///
    /// # Errors
    /// When there is no such person, or they lack one of the rights.
    pub fn make_token(
        &self,
        owner: i64,
        new: &NewToken,
        by: &Actor,
    ) -> Result<(Zeroizing<String>, Token)> {
        check_text(&new.name, "the name")?;
        if new.name.trim().is_empty() {
            return Err(IdentityError::invalid("a token has a name"));
        }
        let now = self.clock.now();
        let ends = self.token_end(new.days, now)?;
        let text = random::token()?;
        let token = self.write(|transaction| {
            let owner = person::by_id(transaction, owner)?;
            check_rights(&access::of(transaction, &owner, now)?, new.rights, now)?;
            let count: i64 = transaction.query_row(
                "SELECT count(*) FROM token WHERE person = ?1 AND revoked IS NULL",
                [owner.id],
                |row| row.get(0),
            )?;
            if count >= TOKENS_MAX {
                return Err(IdentityError::Conflict("there are too many tokens".into()));
            }
            transaction.execute(
                "INSERT INTO token (secret_hash, person, name, rights, scope, created, ends)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    random::hash(&text),
                    owner.id,
                    new.name.trim(),
                    stored::write(&new.rights)?,
                    stored::write(&new.scope)?,
                    now,
                    ends,
                ],
            )?;
            one(transaction, transaction.last_insert_rowid())
        })?;
        let event = IdentityEvent::new(EventKind::TokenMade, by)
            .about(format!("token {} of {}", token.id, token.login))
            .changed(None, stored::value(&token));
        self.tell(event);
        Ok((text, token))
    }

    fn token_end(&self, days: Option<u32>, now: i64) -> Result<Option<i64>> {
        let longest = self.settings.token_days_max;
        let days = match days {
            Some(0) => return Err(IdentityError::invalid("a token lives for a day at least")),
            Some(days) if longest != 0 && days > longest => {
                return Err(IdentityError::invalid(format!(
                    "a token lives for {longest} days at most"
                )));
            }
            Some(days) => days,
            None if longest == 0 => return Ok(None),
            None => longest,
        };
        Ok(Some(now.saturating_add(i64::from(days) * DAY)))
    }

    /// Tokens, the newest first; `owner`: only theirs.
    ///
    /// # Errors
    /// When the database fails.
    pub fn tokens(&self, owner: Option<i64>) -> Result<Vec<Token>> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&format!(
                "{SELECT} WHERE (?1 IS NULL OR person = ?1) ORDER BY token.id DESC LIMIT 5000"
            ))?;
            let mut tokens = Vec::new();
            for row in statement.query_map([owner], from_row)? {
                tokens.push(row??);
            }
            Ok(tokens)
        })
    }

    /// Revokes a token; `owner`: only one of theirs.
    ///
    /// # Errors
    /// When there is none that is not revoked already.
    pub fn revoke_token(&self, token: i64, owner: Option<i64>, by: &Actor) -> Result<()> {
        let now = self.clock.now();
        let token = self.change(|transaction| {
            let count = transaction.execute(
                "UPDATE token SET revoked = ?2
                 WHERE id = ?1 AND revoked IS NULL AND (?3 IS NULL OR person = ?3)",
                params![token, now, owner],
            )?;
            if count == 0 {
                return Err(IdentityError::NotFound("token"));
            }
            one(transaction, token)
        })?;
        let event = IdentityEvent::new(EventKind::TokenRevoked, by)
            .about(format!("token {} of {}", token.id, token.login));
        self.tell(event);
        Ok(())
    }

    /// The token of a text, its owner and what it may do, with its use noted.
    pub(crate) fn use_token(
        &self,
        text: &str,
        address: Option<IpAddr>,
    ) -> Result<(Token, Person, Access)> {
        if !random::is_token(text) {
            return Err(IdentityError::WrongCredentials);
        }
        let now = self.clock.now();
        let (token, person) = self.read(|connection| {
            let id: Option<(i64, i64)> = connection
                .prepare_cached(
                    "SELECT id, person FROM token
                     WHERE secret_hash = ?1 AND revoked IS NULL AND (ends IS NULL OR ends > ?2)",
                )?
                .query_row(params![random::hash(text), now], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })
                .optional()?;
            let (token, person) = id.ok_or(IdentityError::WrongCredentials)?;
            Ok((one(connection, token)?, person::by_id(connection, person)?))
        })?;
        if !person.is_active {
            return Err(IdentityError::WrongCredentials);
        }
        let of_owner = self.access_of(person.id)?;
        let source = format!("token {}", token.id);
        let access = access::narrow(&of_owner, token.rights, &token.scope, token.ends, &source);
        let is_noted = token
            .last_used
            .is_some_and(|last| now.saturating_sub(last) < MINUTE);
        if !is_noted {
            let address = address.map(|address| address.to_string());
            self.write(|transaction| {
                transaction.execute(
                    "UPDATE token SET last_used = ?2, last_address = ?3 WHERE id = ?1",
                    params![token.id, now, address],
                )?;
                transaction.execute(
                    "UPDATE person SET last_seen = ?2 WHERE id = ?1",
                    [person.id, now],
                )?;
                Ok(())
            })?;
        }
        Ok((token, person, access))
    }
}

/// Nobody gives away what they do not have.
fn check_rights(access: &Access, rights: Rights, now: i64) -> Result<()> {
    if rights.is_empty() {
        return Err(IdentityError::invalid("a token names at least one right"));
    }
    // Own studies are none at the moment for who has no DICOM name; the roles tell too.
    let roles = crate::role::built_in();
    let by_role = |right| {
        roles
            .iter()
            .any(|role| access.roles.contains(&role.name) && role.rights.contains(right))
    };
    match rights
        .iter()
        .find(|&right| !access.holds(right, now) && !by_role(right))
    {
        Some(right) => Err(IdentityError::Forbidden(format!(
            "the account has not the right {right}"
        ))),
        None => Ok(()),
    }
}

const SELECT: &str = "SELECT token.id, login, token.name, rights, scope, token.created, ends,
     last_used, last_address, revoked
     FROM token JOIN person ON person.id = token.person";

fn one(connection: &Connection, id: i64) -> Result<Token> {
    let row = connection
        .prepare_cached(&format!("{SELECT} WHERE token.id = ?1"))?
        .query_row([id], from_row);
    found(row, "token")?
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Result<Token>> {
    let (rights, scope): (String, String) = (row.get(3)?, row.get(4)?);
    let token = Token {
        id: row.get(0)?,
        login: row.get(1)?,
        name: row.get(2)?,
        rights: Rights::NONE,
        scope: Scope::default(),
        created: row.get(5)?,
        ends: row.get(6)?,
        last_used: row.get(7)?,
        last_address: row.get(8)?,
        revoked: row.get(9)?,
    };
    Ok(stored::read(&rights, "a token").and_then(|rights| {
        let scope = stored::read(&scope, "a token")?;
        Ok(Token {
            rights,
            scope,
            ..token
        })
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::person::{NewPerson, PersonChange};
    use crate::testing::{Bench, bench};
    use gantry_core::access::{Permitted, Right};

    fn new(rights: &[Right]) -> NewToken {
        NewToken {
            name: "script".into(),
            rights: Rights::of(rights),
            scope: Scope::everything(),
            days: Some(7),
        }
    }

    #[test]
    fn a_token_has_a_part_of_its_owner_s_rights() {
        let Bench {
            identity,
            by,
            clock,
            ..
        } = bench();
        let owner = identity
            .add_person(&NewPerson::new("t", &["technologist"]), &by)
            .unwrap()
            .id;
        let wanted = NewToken {
            scope: Scope {
                modalities: vec!["CT".into()],
                ..Scope::default()
            },
            ..new(&[Right::View])
        };
        let (text, token) = identity.make_token(owner, &wanted, &by).unwrap();
        let (_, person, access) = identity.use_token(&text, None).unwrap();
        assert_eq!(person.id, owner);
        let now = clock.now();
        assert_eq!(
            access.permitted(Right::View, now),
            Permitted::Scopes(vec![wanted.scope.clone()])
        );
        assert!(!access.holds(Right::Store, now));
        assert!(
            identity
                .make_token(owner, &new(&[Right::Delete]), &by)
                .is_err()
        );
        assert!(identity.make_token(owner, &new(&[]), &by).is_err());
        // What the owner loses, the token loses.
        let demote = PersonChange {
            roles: Some(vec![]),
            ..PersonChange::default()
        };
        identity.change_person(owner, &demote, &by).unwrap();
        assert!(identity.use_token(&text, None).unwrap().2.grants.is_empty());
        assert_eq!(identity.tokens(Some(owner)).unwrap().len(), 1);
        identity.revoke_token(token.id, Some(owner), &by).unwrap();
        assert!(identity.use_token(&text, None).is_err());
        assert!(identity.revoke_token(token.id, Some(owner), &by).is_err());
    }

    #[test]
    fn tokens_end() {
        let Bench {
            identity,
            by,
            clock,
            ..
        } = bench();
        let owner = identity
            .add_person(&NewPerson::new("t", &["technologist"]), &by)
            .unwrap()
            .id;
        let (text, _) = identity
            .make_token(owner, &new(&[Right::View]), &by)
            .unwrap();
        clock.advance_hours(7 * 24 - 1);
        identity
            .use_token(&text, Some("10.0.0.1".parse().unwrap()))
            .unwrap();
        let listed = identity.tokens(None).unwrap();
        assert_eq!(listed[0].last_address.as_deref(), Some("10.0.0.1"));
        clock.advance_hours(2);
        assert!(identity.use_token(&text, None).is_err());
        let long = NewToken {
            days: Some(1000),
            ..new(&[Right::View])
        };
        assert!(identity.make_token(owner, &long, &by).is_err());
    }
}
