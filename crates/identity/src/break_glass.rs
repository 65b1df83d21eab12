//! Break-glass: access that somebody takes in an emergency, for a reason, for a while; others
//! review it afterwards (45 CFR 164.312(a)(2)(ii)).

use crate::clock::MINUTE;
use crate::error::{IdentityError, Result};
use crate::event::{Actor, EventKind, IdentityEvent};
use crate::grants::found;
use crate::identity::Identity;
use crate::{access, person, stored};
use gantry_core::access::{Grant, Right, Rights, Scope};
use rusqlite::{Connection, Row, params};
use serde::Serialize;

/// Shortest reason that says anything.
const REASON_CHARACTERS_MIN: usize = 5;
/// Longest reason or note.
const TEXT_CHARACTERS_MAX: usize = 2000;
/// What it allows.
const RIGHTS: Rights = Rights::of(&[Right::View, Right::Download]);

/// Access that somebody took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BreakGlass {
    /// The number.
    pub id: i64,
    /// Who took it.
    pub login: String,
    /// Their name.
    pub name: String,
    /// Why, in their words.
    pub reason: String,
    /// What it allows.
    pub rights: Rights,
    /// To which studies.
    pub scope: Scope,
    /// Since when, in microseconds since 1970.
    pub opened: i64,
    /// Until when.
    pub ends: i64,
    /// From where.
    pub address: Option<String>,
    /// When it was reviewed.
    pub reviewed: Option<i64>,
    /// By whom.
    pub reviewed_by: Option<String>,
    /// What they noted.
    pub review_note: Option<String>,
}

impl Identity {
    /// Opens access to the studies or patients of `scope`, restricted ones included, for some
    /// minutes.
    ///
    /// # Errors
    /// When the site or the person's rights do not allow it, or no reason is stated.
    pub fn open_break_glass(
        &self,
        person: i64,
        reason: &str,
        scope: &Scope,
        minutes: u32,
        by: &Actor,
    ) -> Result<BreakGlass> {
        let reason = check_note(reason, "the reason")?;
        if reason.chars().count() < REASON_CHARACTERS_MIN {
            return Err(IdentityError::invalid("state the reason in a few words"));
        }
        if scope.studies.is_empty() && scope.patients.is_empty() {
            return Err(IdentityError::invalid(
                "name the study or the patient that is needed",
            ));
        }
        let longest = self.settings.break_glass_minutes_max;
        if minutes == 0 || minutes > longest {
            return Err(IdentityError::invalid(format!(
                "access can be opened for 1 to {longest} minutes"
            )));
        }
        let now = self.clock.now();
        let ends = now.saturating_add(i64::from(minutes) * MINUTE);
        let scope = Scope {
            includes_restricted: true,
            ..scope.clone()
        };
        let is_allowed = self.settings.break_glass;
        let opened = self.change(|transaction| {
            let person = person::by_id(transaction, person)?;
            let access = access::of(transaction, &person, now)?;
            // Clinicians without a study of their own need it most: holding a role that views
            // counts, even if no study is in it at the moment.
            let may_view = access.holds(Right::View, now)
                || access
                    .roles
                    .iter()
                    .filter_map(|role| crate::roles::find(transaction, role).ok().flatten())
                    .any(|role| role.rights.contains(Right::View));
            if !is_allowed || !may_view {
                return Err(IdentityError::Forbidden(
                    "break-glass access is not open to this account".into(),
                ));
            }
            transaction.execute(
                "INSERT INTO break_glass (person, reason, rights, scope, opened, ends, address)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    person.id,
                    reason,
                    stored::write(&RIGHTS)?,
                    stored::write(&scope)?,
                    now,
                    ends,
                    by.address.map(|address| address.to_string()),
                ],
            )?;
            one(transaction, transaction.last_insert_rowid())
        })?;
        let mut event = IdentityEvent::new(EventKind::BreakGlassOpened, by)
            .about(format!("break-glass {} of {}", opened.id, opened.login))
            .because(reason)
            .changed(None, stored::value(&opened));
        event.study = opened.scope.studies.first().cloned();
        self.tell(event);
        Ok(opened)
    }

    /// Ends access before its time. `person`: only one's own.
    ///
    /// # Errors
    /// When there is none that is open.
    pub fn close_break_glass(&self, id: i64, person: Option<i64>, by: &Actor) -> Result<()> {
        let now = self.clock.now();
        let closed = self.change(|transaction| {
            let count = transaction.execute(
                "UPDATE break_glass SET ends = ?2
                 WHERE id = ?1 AND ends > ?2 AND (?3 IS NULL OR person = ?3)",
                params![id, now, person],
            )?;
            if count == 0 {
                return Err(IdentityError::NotFound("open break-glass access"));
            }
            one(transaction, id)
        })?;
        let event = IdentityEvent::new(EventKind::BreakGlassClosed, by)
            .about(format!("break-glass {id} of {}", closed.login));
        self.tell(event);
        Ok(())
    }

    /// Notes that somebody looked at it afterwards.
    ///
    /// # Errors
    /// When there is none, it was reviewed, or it is one's own.
    pub fn review_break_glass(&self, id: i64, note: &str, by: &Actor) -> Result<BreakGlass> {
        let note = check_note(note, "the note")?;
        let now = self.clock.now();
        let reviewed = self.write(|transaction| {
            let before = one(transaction, id)?;
            if before.reviewed.is_some() {
                return Err(IdentityError::Conflict("it was reviewed already".into()));
            }
            if by.login.as_deref() == Some(&before.login) {
                return Err(IdentityError::Forbidden(
                    "somebody else has to review it".into(),
                ));
            }
            transaction.execute(
                "UPDATE break_glass SET reviewed = ?2, reviewed_by = ?3, review_note = ?4
                 WHERE id = ?1",
                params![id, now, by.login.as_deref().unwrap_or("command"), note],
            )?;
            one(transaction, id)
        })?;
        let event = IdentityEvent::new(EventKind::BreakGlassReviewed, by)
            .about(format!("break-glass {id} of {}", reviewed.login))
            .because(note);
        self.tell(event);
        Ok(reviewed)
    }

    /// The newest ones; `person`: only theirs; `is_waiting`: only those not reviewed.
    ///
    /// # Errors
    /// When the database fails.
    pub fn break_glass_list(
        &self,
        person: Option<i64>,
        is_waiting: bool,
    ) -> Result<Vec<BreakGlass>> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&format!(
                "{SELECT} WHERE (?1 IS NULL OR person = ?1) AND (NOT ?2 OR reviewed IS NULL)
                 ORDER BY opened DESC, break_glass.id DESC LIMIT 1000"
            ))?;
            let mut list = Vec::new();
            for row in statement.query_map(params![person, is_waiting], from_row)? {
                list.push(row??);
            }
            Ok(list)
        })
    }
}

const SELECT: &str = "SELECT break_glass.id, login, name, reason, rights, scope, opened, ends,
     address, reviewed, reviewed_by, review_note
     FROM break_glass JOIN person ON person.id = person";

fn one(connection: &Connection, id: i64) -> Result<BreakGlass> {
    let row = connection
        .prepare_cached(&format!("{SELECT} WHERE break_glass.id = ?1"))?
        .query_row([id], from_row);
    found(row, "break-glass access")?
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Result<BreakGlass>> {
    let (rights, scope): (String, String) = (row.get(4)?, row.get(5)?);
    let opened = BreakGlass {
        id: row.get(0)?,
        login: row.get(1)?,
        name: row.get(2)?,
        reason: row.get(3)?,
        rights: Rights::NONE,
        scope: Scope::default(),
        opened: row.get(6)?,
        ends: row.get(7)?,
        address: row.get(8)?,
        reviewed: row.get(9)?,
        reviewed_by: row.get(10)?,
        review_note: row.get(11)?,
    };
    Ok(
        stored::read(&rights, "break-glass access").and_then(|rights| {
            let scope = stored::read(&scope, "break-glass access")?;
            Ok(BreakGlass {
                rights,
                scope,
                ..opened
            })
        }),
    )
}

/// What is open now.
pub(crate) fn grants(connection: &Connection, person: i64, now: i64) -> Result<Vec<Grant>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, rights, scope, ends FROM break_glass
         WHERE person = ?1 AND ends > ?2 ORDER BY id",
    )?;
    let rows = statement.query_map(params![person, now], |row| {
        Ok((
            row.get::<_, i64>(0)?,
            row.get::<_, String>(1)?,
            row.get::<_, String>(2)?,
            row.get::<_, i64>(3)?,
        ))
    })?;
    rows.map(|row| {
        let (id, rights, scope, ends) = row?;
        Ok(Grant {
            rights: stored::read(&rights, "break-glass access")?,
            scope: stored::read(&scope, "break-glass access")?,
            until: Some(ends),
            source: format!("break-glass {id}"),
        })
    })
    .collect()
}

fn check_note<'a>(text: &'a str, what: &str) -> Result<&'a str> {
    if text.chars().count() > TEXT_CHARACTERS_MAX {
        return Err(IdentityError::invalid(format!("{what} is too long")));
    }
    Ok(text.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::person::NewPerson;
    use crate::testing::{Bench, bench};

    fn study() -> Scope {
        Scope {
            studies: vec!["1.2.3".into()],
            ..Scope::default()
        }
    }

    #[test]
    fn it_opens_for_a_while_and_somebody_else_reviews_it() {
        let Bench {
            identity,
            by,
            clock,
            ..
        } = bench();
        let id = identity
            .add_person(&NewPerson::new("doc", &["clinician"]), &by)
            .unwrap()
            .id;
        let doc = Actor {
            login: Some("doc".into()),
            ..Actor::default()
        };
        let opened = identity
            .open_break_glass(id, "unconscious in the ER", &study(), 30, &doc)
            .unwrap();
        let now = clock.now();
        let access = identity.access_of(id).unwrap();
        assert!(access.holds(Right::View, now));
        assert!(!access.holds(Right::View, now + 30 * MINUTE));
        let grant = access.grants_of(Right::View, now).next().unwrap();
        assert!(grant.scope.includes_restricted);
        assert_eq!(grant.source, "break-glass 1");

        assert_eq!(identity.break_glass_list(None, true).unwrap().len(), 1);
        assert!(identity.review_break_glass(opened.id, "", &doc).is_err());
        identity.review_break_glass(opened.id, "fine", &by).unwrap();
        assert!(identity.review_break_glass(opened.id, "", &by).is_err());
        assert!(identity.break_glass_list(None, true).unwrap().is_empty());
        assert_eq!(identity.break_glass_list(Some(id), false).unwrap().len(), 1);

        assert!(
            identity
                .close_break_glass(opened.id, Some(99), &by)
                .is_err()
        );
        identity
            .close_break_glass(opened.id, Some(id), &doc)
            .unwrap();
        assert!(!identity.access_of(id).unwrap().holds(Right::View, now));
    }

    #[test]
    fn it_wants_a_reason_a_target_a_time_and_a_right() {
        let Bench { identity, by, .. } = bench();
        let add = |login, role| {
            let new = NewPerson::new(login, &[role]);
            identity.add_person(&new, &by).unwrap().id
        };
        let doc = add("doc", "clinician");
        let auditor = add("aud", "auditor");
        let open = |person, reason: &str, scope: &Scope, minutes| {
            identity
                .open_break_glass(person, reason, scope, minutes, &by)
                .is_ok()
        };
        assert!(!open(doc, " ", &study(), 30));
        assert!(!open(doc, "emergency", &Scope::default(), 30));
        assert!(!open(doc, "emergency", &study(), 0));
        assert!(!open(doc, "emergency", &study(), 10_000));
        assert!(!open(auditor, "emergency", &study(), 30));
        assert!(open(doc, "emergency", &study(), 30));
    }
}
