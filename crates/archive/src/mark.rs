//! What people say of a study that decides who sees it: labels, and restriction (embargo, VIP,
//! consent withheld). It is in the ledger, so that it survives the loss of the index.

use crate::Archive;
use crate::error::{Error, Result};
use crate::ledger_entry::{LedgerEntry, Provenance, StoredMark};
use crate::statistics::now_micros;
use gantry_audit::{Event, Study};
use gantry_core::access::{Access, Permitted, Right, Scope};
use gantry_core::failure::Kind;
use gantry_core::principal::Principal;
use gantry_core::uid::Uid;
use gantry_index::{Change, Permit};

pub use gantry_index::Mark;

/// Longest label, in characters.
const LABEL_MAX: usize = 64;
/// Most labels of a study.
const LABELS_MAX: usize = 32;

/// What was said of a study.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Marks {
    /// Its labels, as they were written.
    pub labels: Vec<String>,
    /// Whether only those see it who were granted restricted studies.
    pub restricted: bool,
}

/// A grant, and what it says of one study.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct GrantOnStudy {
    /// Where the grant comes from, in words.
    pub source: String,
    /// Its rights.
    pub rights: Vec<Right>,
    /// Whether the study is in its scope.
    pub includes_study: bool,
    /// Whether the study would be in its scope were it not restricted.
    pub only_for_restriction: bool,
    /// Until when, in microseconds since 1970.
    pub until: Option<i64>,
}

impl Archive {
    /// The labels of a study, and whether it is restricted.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when the principal may not know of the study, or there is none.
    pub async fn marks(&self, principal: &Principal, study: &Uid) -> Result<Marks> {
        self.require_study(principal, Right::View, study).await?;
        let study = study.as_str().to_owned();
        let (labels, restricted) = self
            .index_blocking(move |index| index.marks(&study))
            .await?;
        Ok(Marks { labels, restricted })
    }

    /// Says something of a study, or takes it back. Returns what holds then.
    ///
    /// # Errors
    /// [`Kind::Forbidden`] without the right to modify, [`Kind::NotFound`] when the study is not
    /// among those over which it is held, [`Kind::Malformed`] for a label that is none.
    pub async fn mark(
        &self,
        principal: &Principal,
        study: &Uid,
        mark: Mark,
        is_set: bool,
    ) -> Result<Marks> {
        self.require_study(principal, Right::Modify, study).await?;
        let before = self.marks(principal, study).await?;
        check(&mark, &before)?;
        let after = before.with(&mark, is_set);
        if after == before {
            return Ok(before);
        }
        let json = |marks: &Marks| serde_json::to_value(marks).ok();
        let event = Event::new(gantry_audit::Kind::RestrictionChanged, principal)
            .study(Study::new(study.as_str()))
            .change(json(&before), json(&after));
        self.audit().record(event).await?;
        let by = Provenance::of(principal, now_micros());
        let entry = LedgerEntry::Marked {
            study: study.to_string(),
            mark: StoredMark::from(&mark),
            is_set,
            by,
        };
        let study = study.to_string();
        let change = Change::Mark {
            study: study.clone(),
            mark,
            is_set,
        };
        self.record_event(entry, change).await?;
        let (labels, restricted) = self
            .index_blocking(move |index| index.marks(&study))
            .await?;
        Ok(Marks { labels, restricted })
    }

    /// Asks whether somebody may be told who sees what.
    ///
    /// # Errors
    /// [`Kind::Forbidden`] unless the principal looks after people or audits.
    pub fn require_explaining(&self, principal: &Principal) -> Result<()> {
        if principal.access.holds(Right::Audit, now_micros()) {
            return Ok(());
        }
        self.require(principal, Right::Administer)
    }

    /// What each grant of `access` says of a study, for "Why can this person see this study?".
    ///
    /// # Errors
    /// [`Kind::Forbidden`] unless the principal looks after people or audits; [`Kind::NotFound`]
    /// when there is no such study.
    pub async fn explain(
        &self,
        principal: &Principal,
        access: &Access,
        study: &Uid,
    ) -> Result<Vec<GrantOnStudy>> {
        self.require_explaining(principal)?;
        let now = now_micros();
        let grants: Vec<_> = access
            .grants
            .iter()
            .filter(|grant| grant.until.is_none_or(|until| now < until))
            .cloned()
            .collect();
        let permit = |scope: Scope| {
            let scopes = Permitted::Scopes(vec![scope]);
            Permit::new(&scopes, |site| self.config().titles_of(site))
        };
        let permits: Vec<_> = grants
            .into_iter()
            .map(|grant| {
                let unrestricted = Scope {
                    includes_restricted: true,
                    ..grant.scope.clone()
                };
                let permits = [permit(grant.scope.clone()), permit(unrestricted)];
                (grant, permits)
            })
            .collect();
        let study = study.as_str().to_owned();
        let found = self
            .index_blocking(move |index| {
                if !index.is_permitted(&study, &Permit::everything())? {
                    return Ok(None);
                }
                let mut found = Vec::with_capacity(permits.len());
                for (grant, [own, unrestricted]) in permits {
                    let includes_study = index.is_permitted(&study, &own)?;
                    found.push(GrantOnStudy {
                        source: grant.source,
                        rights: grant.rights.iter().collect(),
                        includes_study,
                        only_for_restriction: !includes_study
                            && index.is_permitted(&study, &unrestricted)?,
                        until: grant.until,
                    });
                }
                Ok(Some(found))
            })
            .await?;
        found.ok_or_else(no_such_study)
    }

    /// Asks whether a right is held over a study that is there.
    async fn require_study(&self, principal: &Principal, right: Right, study: &Uid) -> Result<()> {
        let permit = self.permit(principal, right)?;
        let study = study.as_str().to_owned();
        let is_permitted = self
            .index_blocking(move |index| index.is_permitted(&study, &permit))
            .await?;
        if is_permitted {
            return Ok(());
        }
        Err(no_such_study())
    }
}

fn no_such_study() -> Error {
    Error::new(Kind::NotFound, "there is no such study")
}

fn check(mark: &Mark, before: &Marks) -> Result<()> {
    let Mark::Label(label) = mark else {
        return Ok(());
    };
    let is_label = !label.trim().is_empty()
        && label.chars().count() <= LABEL_MAX
        && !label.chars().any(char::is_control);
    if !is_label {
        return Err(Error::new(
            Kind::Malformed,
            format!("a label has 1 to {LABEL_MAX} characters, none of them a control character"),
        ));
    }
    if before.labels.len() >= LABELS_MAX {
        return Err(Error::new(
            Kind::Conflict,
            format!("a study has {LABELS_MAX} labels at most"),
        ));
    }
    Ok(())
}

impl Marks {
    /// What holds after `mark` was set or taken away.
    fn with(&self, mark: &Mark, is_set: bool) -> Self {
        let mut after = self.clone();
        match mark {
            Mark::Restricted => after.restricted = is_set,
            Mark::Label(label) => {
                let folded = label.to_lowercase();
                let is_other = |one: &String| one.to_lowercase() != folded;
                let is_there = !after.labels.iter().all(is_other);
                match (is_there, is_set) {
                    (true, false) => after.labels.retain(is_other),
                    (false, true) => {
                        after.labels.push(label.clone());
                        after.labels.sort();
                    }
                    _ => {}
                }
            }
        }
        after
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_set_once_and_taken_away_whatever_the_case() {
        let label = |text: &str| Mark::Label(text.into());
        let marks = Marks::default().with(&label("Teaching"), true);
        assert_eq!(marks.labels, ["Teaching"]);
        assert_eq!(marks.with(&label("TEACHING"), true), marks);
        assert_eq!(marks.with(&label("teaching"), false), Marks::default());
        assert!(marks.with(&Mark::Restricted, true).restricted);
    }

    #[test]
    fn what_is_no_label_is_refused() {
        let none = Marks::default();
        for text in ["", "  ", "a\nb", &"x".repeat(65)] {
            assert!(check(&Mark::Label(text.to_owned()), &none).is_err());
        }
        assert!(check(&Mark::Label("Überweisung 7".into()), &none).is_ok());
        let full = Marks {
            labels: (0..32).map(|n| n.to_string()).collect(),
            restricted: false,
        };
        assert!(check(&Mark::Label("one more".into()), &full).is_err());
    }
}
