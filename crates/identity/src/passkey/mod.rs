//! Passkeys (WebAuthn Level 2): keys that a device keeps, bound to this site, used after the
//! device has recognised its owner. They are two factors in one, and cannot be guessed or phished.

mod cbor;
mod ceremony;

pub use ceremony::{Assertion, Attestation, RelyingParty};

use crate::clock::MINUTE;
use crate::error::{IdentityError, Result};
use crate::event::{Actor, EventKind, IdentityEvent};
use crate::identity::Identity;
use crate::person::{self, check_text};
use crate::session::{Client, NewSession};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use ceremony::ALGORITHMS;
use rusqlite::{OptionalExtension as _, params};
use serde::Serialize;
use serde_json::{Value, json};

/// How long somebody may take with the authenticator.
const CEREMONY: i64 = 5 * MINUTE;
/// Passkeys of one person.
const PASSKEYS_MAX: u32 = 20;

/// A passkey, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Passkey {
    /// The number.
    pub id: i64,
    /// What its owner calls it.
    pub name: String,
    /// Since when, in microseconds since 1970.
    pub created: i64,
    /// When it was last used.
    pub last_used: Option<i64>,
}

/// A passkey, as it is checked.
struct KnownKey {
    id: i64,
    person: i64,
    public_key: Vec<u8>,
    signature_count: u32,
    handle: Vec<u8>,
}

/// What a challenge is for: somebody's new passkey, or a login of whoever it is.
pub(crate) type Challenge = Option<i64>;

impl Identity {
    /// What the browser asks the authenticator to make a passkey:
    /// `PublicKeyCredential.parseCreationOptionsFromJSON` reads it.
    ///
    /// # Errors
    /// When the person has too many.
    pub fn begin_passkey(&self, person: i64, party: &RelyingParty) -> Result<Value> {
        let now = self.clock.now();
        let (person, handle, known) = self.read(|connection| {
            let person = person::by_id(connection, person)?;
            let handle: Vec<u8> = connection.query_row(
                "SELECT handle FROM person WHERE id = ?1",
                [person.id],
                |row| row.get(0),
            )?;
            let mut statement =
                connection.prepare_cached("SELECT credential FROM passkey WHERE person = ?1")?;
            let known = statement.query_map([person.id], |row| row.get::<_, Vec<u8>>(0))?;
            let known = known.collect::<rusqlite::Result<Vec<_>>>()?;
            Ok((person, handle, known))
        })?;
        if person.passkeys >= PASSKEYS_MAX {
            return Err(IdentityError::Conflict(
                "there are too many passkeys".into(),
            ));
        }
        let ends = now.saturating_add(CEREMONY);
        let challenge = self.challenges.begin(Some(person.id), 1, now, ends)?;
        let known: Vec<Value> = known
            .iter()
            .map(|id| json!({ "type": "public-key", "id": BASE64URL.encode(id) }))
            .collect();
        let algorithms = ALGORITHMS.map(|alg| json!({ "type": "public-key", "alg": alg }));
        Ok(json!({
            "rp": { "id": party.id, "name": "Gantry" },
            "user": {
                "id": BASE64URL.encode(handle),
                "name": person.login,
                "displayName": person.name,
            },
            "challenge": BASE64URL.encode(challenge.as_bytes()),
            "pubKeyCredParams": algorithms,
            "timeout": CEREMONY / 1000,
            "excludeCredentials": known,
            "authenticatorSelection": {
                "residentKey": "required",
                "requireResidentKey": true,
                "userVerification": "required",
            },
            "attestation": "none",
        }))
    }

    /// Keeps a passkey that an authenticator made.
    ///
    /// # Errors
    /// When the answer is not right, or not to what was asked.
    pub fn add_passkey(
        &self,
        person: i64,
        name: &str,
        answer: &Attestation,
        party: &RelyingParty,
        by: &Actor,
    ) -> Result<Passkey> {
        check_text(name, "the name")?;
        let now = self.clock.now();
        let challenge = ceremony::challenge_of(&answer.response.client_data)?;
        if self.challenges.attempt(&challenge, now)? != Some(person) {
            return Err(IdentityError::WrongCredentials);
        }
        let new = ceremony::check_attestation(&answer.response, party)?;
        let name = match name.trim() {
            "" => "Passkey",
            name => name,
        };
        let (id, person) = self.change(|transaction| {
            let person = person::by_id(transaction, person)?;
            let is_known = transaction
                .prepare_cached("SELECT 1 FROM passkey WHERE credential = ?1")?
                .exists([&new.id])?;
            if is_known {
                return Err(IdentityError::Conflict(
                    "this passkey is known already".into(),
                ));
            }
            transaction.execute(
                "INSERT INTO passkey
                    (person, credential, public_key, signature_count, name, created)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![
                    person.id,
                    new.id,
                    new.public_key,
                    new.signature_count,
                    name,
                    now
                ],
            )?;
            Ok((transaction.last_insert_rowid(), person))
        })?;
        let event = IdentityEvent::new(EventKind::PasskeyAdded, by)
            .about(format!("passkey {id} of {}", person.login));
        self.tell(event);
        Ok(Passkey {
            id,
            name: name.to_owned(),
            created: now,
            last_used: None,
        })
    }

    /// The passkeys of a person.
    ///
    /// # Errors
    /// When the database fails.
    pub fn passkeys(&self, person: i64) -> Result<Vec<Passkey>> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, name, created, last_used FROM passkey WHERE person = ?1 ORDER BY id",
            )?;
            let rows = statement.query_map([person], |row| {
                Ok(Passkey {
                    id: row.get(0)?,
                    name: row.get(1)?,
                    created: row.get(2)?,
                    last_used: row.get(3)?,
                })
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Forgets a passkey of a person.
    ///
    /// # Errors
    /// When the person has no such passkey.
    pub fn remove_passkey(&self, person: i64, passkey: i64, by: &Actor) -> Result<()> {
        let person = self.change(|transaction| {
            let count = transaction.execute(
                "DELETE FROM passkey WHERE id = ?1 AND person = ?2",
                [passkey, person],
            )?;
            if count == 0 {
                return Err(IdentityError::NotFound("passkey"));
            }
            person::by_id(transaction, person)
        })?;
        let event = IdentityEvent::new(EventKind::PasskeyRemoved, by)
            .about(format!("passkey {passkey} of {}", person.login));
        self.tell(event);
        Ok(())
    }

    /// What the browser asks the authenticator to log in with whichever passkey it has of this
    /// site: `PublicKeyCredential.parseRequestOptionsFromJSON` reads it.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn begin_passkey_login(&self, party: &RelyingParty) -> Result<Value> {
        let now = self.clock.now();
        let ends = now.saturating_add(CEREMONY);
        let challenge = self.challenges.begin(None, 1, now, ends)?;
        Ok(json!({
            "rpId": party.id,
            "challenge": BASE64URL.encode(challenge.as_bytes()),
            "timeout": CEREMONY / 1000,
            "userVerification": "required",
            "allowCredentials": [],
        }))
    }

    /// Logs in with a passkey.
    ///
    /// # Errors
    /// When the answer is not right, or the account is disabled.
    pub fn login_with_passkey(
        &self,
        answer: &Assertion,
        party: &RelyingParty,
        client: &Client,
    ) -> Result<NewSession> {
        let outcome = self.check_passkey(answer, party);
        match outcome {
            Ok(person) => self.begin_session(person, client, "passkey"),
            Err(error) => {
                let event = IdentityEvent::new(EventKind::Login, &Actor::at(client.address))
                    .about("person unknown")
                    .failed("passkey not accepted");
                self.tell(event);
                Err(error)
            }
        }
    }

    fn check_passkey(&self, answer: &Assertion, party: &RelyingParty) -> Result<person::Person> {
        let now = self.clock.now();
        let challenge = ceremony::challenge_of(&answer.response.client_data)?;
        if self.challenges.attempt(&challenge, now)?.is_some() {
            return Err(IdentityError::WrongCredentials);
        }
        let credential = ceremony::decode(&answer.id)?;
        let known = self.read(|connection| {
            Ok(connection
                .prepare_cached(
                    "SELECT passkey.id, person, public_key, signature_count, handle
                     FROM passkey JOIN person ON person.id = person
                     WHERE credential = ?1 AND is_active",
                )?
                .query_row([&credential], |row| {
                    Ok(KnownKey {
                        id: row.get(0)?,
                        person: row.get(1)?,
                        public_key: row.get(2)?,
                        signature_count: row.get(3)?,
                        handle: row.get(4)?,
                    })
                })
                .optional()?)
        })?;
        let known = known.ok_or(IdentityError::WrongCredentials)?;
        if let Some(shown) = answer.response.user_handle.as_deref()
            && !shown.is_empty()
            && ceremony::decode(shown)? != known.handle
        {
            return Err(IdentityError::WrongCredentials);
        }
        let count = ceremony::check_assertion(&answer.response, &known.public_key, party)?;
        // A count that does not rise tells of a copied authenticator (WebAuthn 6.1.1).
        let last = known.signature_count;
        if (count != 0 || last != 0) && count <= last {
            return Err(IdentityError::WrongCredentials);
        }
        self.write(|transaction| {
            transaction.execute(
                "UPDATE passkey SET signature_count = ?2, last_used = ?3 WHERE id = ?1",
                params![known.id, count, now],
            )?;
            Ok(())
        })?;
        self.person(known.person)
    }
}

#[cfg(test)]
mod tests;
