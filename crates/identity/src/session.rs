//! Sessions of browsers.

use crate::clock::{MINUTE, SECOND};
use crate::error::{IdentityError, Result};
use crate::event::{Actor, EventKind, IdentityEvent};
use crate::identity::Identity;
use crate::person::{self, Person};
use crate::{lock_out, random};
use rusqlite::{Connection, OptionalExtension as _, params};
use serde::Serialize;
use std::net::IpAddr;
use zeroize::Zeroizing;

/// Use is noted once in this time, not with every request.
const NOTED: i64 = 30 * SECOND;
/// Sessions of one person; with more the least recently used end.
const SESSIONS_MAX: i64 = 50;
/// Characters kept of what a browser says of itself.
const USER_AGENT_MAX: usize = 200;

/// Who logs in, as far as the connection tells.
#[derive(Debug, Clone, Default)]
pub struct Client {
    /// The address.
    pub address: Option<IpAddr>,
    /// What the browser says of itself.
    pub user_agent: String,
}

/// A session, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Session {
    /// The number.
    pub id: i64,
    /// Since when, in microseconds since 1970.
    pub created: i64,
    /// When it was last used, to half a minute.
    pub last_used: i64,
    /// When it ends at the latest.
    pub ends: i64,
    /// From where it began.
    pub address: Option<String>,
    /// What the browser said of itself.
    pub user_agent: String,
    /// How the person proved who they are.
    pub method: String,
}

/// A session that just began.
#[derive(Debug)]
pub struct NewSession {
    /// What the browser shows; it is not kept here.
    pub secret: Zeroizing<String>,
    /// What changing requests show beside it.
    pub csrf_token: String,
    /// The session.
    pub session: Session,
    /// Whose it is.
    pub person: Person,
}

impl Identity {
    /// Microseconds without use after which a session ends.
    pub(crate) fn session_idle(&self) -> i64 {
        i64::from(self.settings.session_idle_minutes.max(1)) * MINUTE
    }

    /// Begins a session of somebody who proved who they are.
    pub(crate) fn begin_session(
        &self,
        person: Person,
        client: &Client,
        method: &str,
    ) -> Result<NewSession> {
        let secret = random::secret()?;
        let now = self.clock.now();
        let hours = i64::from(self.settings.session_hours_max.max(1));
        let user_agent: String = client
            .user_agent
            .chars()
            .filter(|c| !c.is_control())
            .take(USER_AGENT_MAX)
            .collect();
        let session = Session {
            id: 0,
            created: now,
            last_used: now,
            ends: now.saturating_add(hours * 60 * MINUTE),
            address: client.address.map(|address| address.to_string()),
            user_agent,
            method: method.into(),
        };
        let id = self.write(|transaction| {
            transaction.execute(
                "INSERT INTO session
                    (secret_hash, person, created, last_used, ends, address, user_agent, method)
                 VALUES (?1, ?2, ?3, ?3, ?4, ?5, ?6, ?7)",
                params![
                    random::hash(&secret),
                    person.id,
                    now,
                    session.ends,
                    session.address,
                    session.user_agent,
                    session.method,
                ],
            )?;
            let id = transaction.last_insert_rowid();
            transaction.execute(
                "DELETE FROM session WHERE person = ?1 AND id NOT IN (
                    SELECT id FROM session WHERE person = ?1
                    ORDER BY last_used DESC, id DESC LIMIT ?2)",
                [person.id, SESSIONS_MAX],
            )?;
            transaction.execute(
                "UPDATE person SET last_seen = ?2 WHERE id = ?1",
                [person.id, now],
            )?;
            lock_out::familiarize(transaction, person.id, client.address, now)?;
            Ok(id)
        })?;
        let actor = Actor {
            login: Some(person.login.clone()),
            person: Some(person.id),
            address: client.address,
            credential: Some(format!("session {id}")),
        };
        let event = IdentityEvent::new(EventKind::Login, &actor)
            .about(format!("person {}", person.login))
            .because(method);
        self.tell(event);
        Ok(NewSession {
            csrf_token: csrf_token(&secret),
            secret,
            session: Session { id, ..session },
            person,
        })
    }

    /// The sessions of a person that have not ended, the last used first.
    ///
    /// # Errors
    /// When the database fails.
    pub fn sessions(&self, person: i64) -> Result<Vec<Session>> {
        let now = self.clock.now();
        let idle_since = now.saturating_sub(self.session_idle());
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, created, last_used, ends, address, user_agent, method FROM session
                 WHERE person = ?1 AND ends > ?2 AND last_used > ?3
                 ORDER BY last_used DESC, id DESC",
            )?;
            let rows = statement.query_map([person, now, idle_since], |row| {
                Ok(Session {
                    id: row.get(0)?,
                    created: row.get(1)?,
                    last_used: row.get(2)?,
                    ends: row.get(3)?,
                    address: row.get(4)?,
                    user_agent: row.get(5)?,
                    method: row.get(6)?,
                })
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Ends a session of a person.
    ///
    /// # Errors
    /// When the person has no such session.
    pub fn end_session(&self, person: i64, session: i64, by: &Actor) -> Result<()> {
        let login = self.change(|transaction| {
            let person = person::by_id(transaction, person)?;
            let count = transaction.execute(
                "DELETE FROM session WHERE id = ?1 AND person = ?2",
                [session, person.id],
            )?;
            if count == 0 {
                return Err(IdentityError::NotFound("session"));
            }
            Ok(person.login)
        })?;
        let is_own = by.credential.as_deref() == Some(format!("session {session}").as_str());
        let kind = if is_own {
            EventKind::Logout
        } else {
            EventKind::SessionRevoked
        };
        let event = IdentityEvent::new(kind, by).about(format!("session {session} of {login}"));
        self.tell(event);
        Ok(())
    }

    /// Ends all sessions of a person but one. Returns how many.
    ///
    /// # Errors
    /// When there is no such person.
    pub fn end_sessions(&self, person: i64, but: Option<i64>, by: &Actor) -> Result<usize> {
        let (login, count) = self.change(|transaction| {
            let person = person::by_id(transaction, person)?;
            let count = transaction.execute(
                "DELETE FROM session WHERE person = ?1 AND id IS NOT ?2",
                params![person.id, but],
            )?;
            Ok((person.login, count))
        })?;
        let event = IdentityEvent::new(EventKind::SessionRevoked, by)
            .about(format!("{count} sessions of {login}"));
        self.tell(event);
        Ok(count)
    }

    /// The session of a secret, with its use noted.
    pub(crate) fn use_session(&self, secret: &str) -> Result<(i64, Person)> {
        let now = self.clock.now();
        let hash = random::hash(secret);
        let idle_since = now.saturating_sub(self.session_idle());
        let found = self.read(|connection| find(connection, &hash, now, idle_since))?;
        let (id, last_used, person) = found.ok_or(IdentityError::WrongCredentials)?;
        if now.saturating_sub(last_used) >= NOTED {
            self.write(|transaction| {
                transaction
                    .execute("UPDATE session SET last_used = ?2 WHERE id = ?1", [id, now])?;
                transaction.execute(
                    "UPDATE person SET last_seen = ?2 WHERE id = ?1",
                    [person.id, now],
                )?;
                Ok(())
            })?;
        }
        Ok((id, person))
    }
}

fn find(
    connection: &Connection,
    hash: &[u8; 32],
    now: i64,
    idle_since: i64,
) -> Result<Option<(i64, i64, Person)>> {
    let row: Option<(i64, i64, i64)> = connection
        .prepare_cached(
            "SELECT id, last_used, person FROM session
             WHERE secret_hash = ?1 AND ends > ?2 AND last_used > ?3",
        )?
        .query_row(params![hash, now, idle_since], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    let Some((id, last_used, person)) = row else {
        return Ok(None);
    };
    let person = person::by_id(connection, person)?;
    Ok(person.is_active.then_some((id, last_used, person)))
}

/// What changing requests of a session show in a header field, which pages of other origins cannot
/// know. It is made of the session's secret, so that nothing has to be kept.
pub(crate) fn csrf_token(secret: &str) -> String {
    let key = blake3::derive_key("gantry identity 2026 csrf token", secret.as_bytes());
    random::base32(&key)
}
