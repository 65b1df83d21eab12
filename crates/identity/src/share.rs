//! Shares: links to one study or series for people without an account.

use crate::clock::{DAY, MINUTE};
use crate::error::{IdentityError, Result};
use crate::event::{Actor, EventKind, IdentityEvent};
use crate::grants::found;
use crate::identity::Identity;
use crate::person::check_text;
use crate::random;
use gantry_core::access::{Access, Grant, Right, Rights, Scope};
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use zeroize::Zeroizing;

/// Wrong PINs after which a share is closed for good: a PIN is short.
const PIN_FAILURES_MAX: u32 = 10;
/// How long an opened share stays open without being opened again.
const OPEN: i64 = 8 * 60 * MINUTE;
/// Shortest and longest PIN.
const PIN_CHARACTERS: std::ops::RangeInclusive<usize> = 4..=64;

/// A share, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Share {
    /// The number.
    pub id: i64,
    /// Study Instance UID.
    pub study: String,
    /// Series Instance UID, when only one series is shared.
    pub series: Option<String>,
    /// Whether a PIN is asked for.
    pub has_pin: bool,
    /// Whether the stored objects may be downloaded.
    pub may_download: bool,
    /// For whom or what.
    pub note: String,
    /// Who shares it.
    pub login: String,
    /// Since when, in microseconds since 1970.
    pub created: i64,
    /// Until when.
    pub ends: i64,
    /// When it was revoked.
    pub revoked: Option<i64>,
    /// How often it was opened.
    pub uses: u32,
    /// When it was last opened.
    pub last_used: Option<i64>,
}

/// What is to be shared.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewShare {
    /// Study Instance UID.
    pub study: String,
    /// Series Instance UID, to share only one series.
    #[serde(default)]
    pub series: Option<String>,
    /// What has to be typed beside the link.
    #[serde(default, skip_serializing)]
    pub pin: Option<String>,
    /// Whether the stored objects may be downloaded.
    #[serde(default)]
    pub may_download: bool,
    /// For whom or what.
    #[serde(default)]
    pub note: String,
    /// Days until it ends.
    pub days: u32,
}

/// A share that was opened.
#[derive(Debug)]
pub struct OpenedShare {
    /// What is shown with each request from now on.
    pub secret: Zeroizing<String>,
    /// Until when that works.
    pub ends: i64,
    /// The share.
    pub share: Share,
}

impl Identity {
    /// Shares a study or series. The secret of the link is not kept: it cannot be shown again.
    /// Whether the one who shares may see the study is for the caller to check.
    ///
    /// # Errors
    /// When it would last too long, or the PIN is too short.
    pub fn make_share(
        &self,
        person: i64,
        new: &NewShare,
        by: &Actor,
    ) -> Result<(Zeroizing<String>, Share)> {
        check_text(&new.note, "the note")?;
        for uid in [Some(&new.study), new.series.as_ref()]
            .into_iter()
            .flatten()
        {
            if gantry_core::uid::Uid::parse(uid).is_err() {
                return Err(IdentityError::invalid("that is no UID"));
            }
        }
        let longest = self.settings.share_days_max;
        if new.days == 0 || new.days > longest {
            return Err(IdentityError::invalid(format!(
                "a share lasts 1 to {longest} days"
            )));
        }
        let pin = match new.pin.as_deref() {
            None | Some("") => None,
            Some(pin) if PIN_CHARACTERS.contains(&pin.chars().count()) => {
                Some(self.hashing.hash(pin)?)
            }
            Some(_) => return Err(IdentityError::invalid("a PIN has 4 to 64 characters")),
        };
        let secret = random::secret()?;
        let now = self.clock.now();
        let share = self.write(|transaction| {
            transaction.execute(
                "INSERT INTO share (secret_hash, study, series, pin, pin_failures, may_download,
                    note, person, created, ends, uses)
                 VALUES (?1, ?2, ?3, ?4, 0, ?5, ?6, ?7, ?8, ?9, 0)",
                params![
                    random::hash(&secret),
                    new.study,
                    new.series,
                    pin,
                    new.may_download,
                    new.note.trim(),
                    person,
                    now,
                    now.saturating_add(i64::from(new.days) * DAY),
                ],
            )?;
            one(transaction, transaction.last_insert_rowid())
        })?;
        self.tell(about(EventKind::ShareMade, by, &share));
        Ok((secret, share))
    }

    /// Shares, the newest first; `person`: only theirs.
    ///
    /// # Errors
    /// When the database fails.
    pub fn shares(&self, person: Option<i64>) -> Result<Vec<Share>> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&format!(
                "{SELECT} WHERE (?1 IS NULL OR person = ?1) ORDER BY share.id DESC LIMIT 5000"
            ))?;
            let rows = statement.query_map([person], from_row)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Revokes a share; `person`: only one of theirs. Who has it open sees nothing any more.
    ///
    /// # Errors
    /// When there is none that is not revoked already.
    pub fn revoke_share(&self, share: i64, person: Option<i64>, by: &Actor) -> Result<()> {
        let now = self.clock.now();
        let share = self.change(|transaction| {
            let count = transaction.execute(
                "UPDATE share SET revoked = ?2
                 WHERE id = ?1 AND revoked IS NULL AND (?3 IS NULL OR person = ?3)",
                params![share, now, person],
            )?;
            if count == 0 {
                return Err(IdentityError::NotFound("share"));
            }
            one(transaction, share)
        })?;
        self.tell(about(EventKind::ShareRevoked, by, &share));
        Ok(())
    }

    /// What is said of a link before its PIN is asked for: whether one is needed.
    ///
    /// # Errors
    /// When the link is none, or has ended.
    pub fn share_needs_pin(&self, secret: &str) -> Result<bool> {
        let now = self.clock.now();
        self.read(|connection| {
            let row: Option<bool> = connection
                .prepare_cached(&format!("SELECT pin IS NOT NULL FROM share WHERE {OPENS}"))?
                .query_row(
                    params![random::hash(secret), now, PIN_FAILURES_MAX],
                    |row| row.get(0),
                )
                .optional()?;
            row.ok_or(IdentityError::WrongCredentials)
        })
    }

    /// Opens a share with its link's secret and PIN.
    ///
    /// # Errors
    /// When one of them is not right, or the share has ended.
    pub fn open_share(
        &self,
        secret: &str,
        pin: Option<&str>,
        address: Option<IpAddr>,
    ) -> Result<OpenedShare> {
        let now = self.clock.now();
        let actor = Actor::at(address);
        // The PIN counts as wrong until it was right, as with logins.
        let (share, kept) = self.write(|transaction| {
            let row: Option<(i64, Option<String>)> = transaction
                .prepare_cached(&format!("SELECT id, pin FROM share WHERE {OPENS}"))?
                .query_row(
                    params![random::hash(secret), now, PIN_FAILURES_MAX],
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )
                .optional()?;
            let (id, kept) = row.ok_or(IdentityError::WrongCredentials)?;
            if kept.is_some() && pin.is_some() {
                transaction.execute(
                    "UPDATE share SET pin_failures = pin_failures + 1 WHERE id = ?1",
                    [id],
                )?;
            }
            Ok((one(transaction, id)?, kept))
        })?;
        if kept.is_some() && !self.hashing.verify(pin.unwrap_or(""), kept.as_deref())? {
            let event = about(EventKind::ShareOpened, &actor, &share).failed("wrong PIN");
            self.tell(event);
            return Err(IdentityError::WrongCredentials);
        }
        let opened = random::secret()?;
        let ends = share.ends.min(now.saturating_add(OPEN));
        let share = self.write(|transaction| {
            transaction.execute(
                "UPDATE share SET uses = uses + 1, last_used = ?2, pin_failures = 0 WHERE id = ?1",
                [share.id, now],
            )?;
            transaction.execute(
                "INSERT INTO share_session (secret_hash, share, ends, address)
                 VALUES (?1, ?2, ?3, ?4)",
                params![
                    random::hash(&opened),
                    share.id,
                    ends,
                    address.map(|address| address.to_string()),
                ],
            )?;
            one(transaction, share.id)
        })?;
        self.tell(about(EventKind::ShareOpened, &actor, &share));
        Ok(OpenedShare {
            secret: opened,
            ends,
            share,
        })
    }

    /// The share that was opened with a secret.
    pub(crate) fn use_share(&self, opened: &str) -> Result<Share> {
        let now = self.clock.now();
        self.read(|connection| {
            let id: Option<i64> = connection
                .prepare_cached(
                    "SELECT share.id FROM share_session
                     JOIN share ON share.id = share
                     JOIN person ON person.id = share.person
                     WHERE share_session.secret_hash = ?1 AND share_session.ends > ?2
                        AND share.ends > ?2 AND revoked IS NULL AND is_active",
                )?
                .query_row(params![random::hash(opened), now], |row| row.get(0))
                .optional()?;
            one(connection, id.ok_or(IdentityError::WrongCredentials)?)
        })
    }
}

/// Shares that a link's secret opens at a time.
const OPENS: &str = "secret_hash = ?1 AND ends > ?2 AND revoked IS NULL AND pin_failures < ?3
     AND EXISTS (SELECT 1 FROM person WHERE person.id = share.person AND is_active)";

impl Share {
    /// What it allows: to see the one study, restricted or not, since somebody who may share it
    /// chose to. That a share of a series shows no other series is checked where its path is known.
    pub fn access(&self) -> Access {
        let rights = if self.may_download {
            Rights::of(&[Right::View, Right::Download])
        } else {
            Rights::of(&[Right::View])
        };
        Access {
            grants: vec![Grant {
                rights,
                scope: Scope {
                    studies: vec![self.study.clone()],
                    includes_restricted: true,
                    ..Scope::default()
                },
                until: Some(self.ends),
                source: format!("share {}", self.id),
            }],
            roles: Vec::new(),
        }
    }
}

fn about(kind: EventKind, by: &Actor, share: &Share) -> IdentityEvent {
    let mut event = IdentityEvent::new(kind, by)
        .about(format!("share {} of {}", share.id, share.login))
        .changed(None, crate::stored::value(share));
    event.study = Some(share.study.clone());
    event
}

const SELECT: &str = "SELECT share.id, study, series, pin IS NOT NULL, may_download, note, login,
     share.created, ends, revoked, uses, last_used
     FROM share JOIN person ON person.id = share.person";

fn one(connection: &Connection, id: i64) -> Result<Share> {
    let row = connection
        .prepare_cached(&format!("{SELECT} WHERE share.id = ?1"))?
        .query_row([id], from_row);
    found(row, "share")
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Share> {
    Ok(Share {
        id: row.get(0)?,
        study: row.get(1)?,
        series: row.get(2)?,
        has_pin: row.get(3)?,
        may_download: row.get(4)?,
        note: row.get(5)?,
        login: row.get(6)?,
        created: row.get(7)?,
        ends: row.get(8)?,
        revoked: row.get(9)?,
        uses: row.get(10)?,
        last_used: row.get(11)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::person::NewPerson;
    use crate::testing::{Bench, bench};

    fn new(pin: Option<&str>) -> NewShare {
        NewShare {
            study: "1.2.3".into(),
            series: None,
            pin: pin.map(str::to_owned),
            may_download: false,
            note: "family doctor".into(),
            days: 7,
        }
    }

    #[test]
    fn a_share_opens_with_link_and_pin_until_it_is_revoked() {
        let Bench {
            identity,
            by,
            clock,
            ..
        } = bench();
        let person = identity
            .add_person(&NewPerson::new("p", &["radiologist"]), &by)
            .unwrap()
            .id;
        let (link, share) = identity
            .make_share(person, &new(Some("4711")), &by)
            .unwrap();
        assert!(identity.share_needs_pin(&link).unwrap());
        assert!(identity.share_needs_pin("x").is_err());
        assert!(identity.open_share(&link, None, None).is_err());
        assert!(identity.open_share(&link, Some("0000"), None).is_err());
        let opened = identity.open_share(&link, Some("4711"), None).unwrap();
        assert_eq!(opened.share.uses, 1);
        // The link itself does not pass for an opened share.
        assert!(identity.use_share(&link).is_err());
        let access = identity.use_share(&opened.secret).unwrap().access();
        let now = clock.now();
        assert!(access.holds(Right::View, now) && !access.holds(Right::Download, now));
        assert_eq!(access.grants[0].scope.studies, ["1.2.3"]);
        identity.revoke_share(share.id, Some(person), &by).unwrap();
        assert!(identity.use_share(&opened.secret).is_err());
        assert!(identity.open_share(&link, Some("4711"), None).is_err());
    }

    #[test]
    fn guessing_a_pin_closes_the_share() {
        let Bench { identity, by, .. } = bench();
        let person = identity
            .add_person(&NewPerson::new("p", &["radiologist"]), &by)
            .unwrap()
            .id;
        let (link, _) = identity
            .make_share(person, &new(Some("4711")), &by)
            .unwrap();
        for _ in 0..PIN_FAILURES_MAX {
            assert!(identity.open_share(&link, Some("0000"), None).is_err());
        }
        assert!(identity.open_share(&link, Some("4711"), None).is_err());
    }

    #[test]
    fn a_share_ends_and_its_terms_are_bounded() {
        let Bench {
            identity,
            by,
            clock,
            ..
        } = bench();
        let person = identity
            .add_person(&NewPerson::new("p", &["radiologist"]), &by)
            .unwrap()
            .id;
        let (link, _) = identity.make_share(person, &new(None), &by).unwrap();
        let opened = identity.open_share(&link, None, None).unwrap();
        clock.advance_hours(9);
        assert!(identity.use_share(&opened.secret).is_err());
        identity.open_share(&link, None, None).unwrap();
        clock.advance_hours(7 * 24);
        assert!(identity.open_share(&link, None, None).is_err());
        for wrong in [
            NewShare {
                days: 0,
                ..new(None)
            },
            NewShare {
                days: 91,
                ..new(None)
            },
            NewShare {
                study: "x".into(),
                ..new(None)
            },
            new(Some("123")),
        ] {
            assert!(identity.make_share(person, &wrong, &by).is_err());
        }
    }
}
