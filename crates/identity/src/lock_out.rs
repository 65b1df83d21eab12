//! Waits after failed attempts.
//!
//! Failures count against the account, and against the address they come from. So that nobody can
//! keep others out of their account by failing on purpose, an account's owner has a count of
//! their own at addresses from which they have logged in before, and passkeys never wait.

use crate::clock::{DAY, SECOND};
use crate::error::{IdentityError, Result};
use crate::person::fold_login;
use crate::settings::IdentitySettings;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use std::net::IpAddr;

/// Failures are forgotten after this time.
const FORGOTTEN: i64 = DAY;
/// One address serves many people behind a gateway: it may fail this many times as often.
const ADDRESS_FACTOR: u32 = 10;
/// Rows kept; with more the oldest go, so that guessing does not fill the disk.
const ROWS_MAX: i64 = 100_000;
/// Addresses remembered of one person.
const FAMILIAR_MAX: i64 = 20;

/// What attempts are counted against.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    /// Account (at a familiar address), and address.
    counted: Vec<([u8; 32], u32)>,
}

impl Attempt {
    /// An attempt upon an account. `person` is whose account it is, if there is such an account.
    pub fn upon(
        connection: &Connection,
        settings: &IdentitySettings,
        login: &str,
        person: Option<i64>,
        address: Option<IpAddr>,
    ) -> Result<Self> {
        let at = address.map(|address| address.to_canonical().to_string());
        let at = at.as_deref().unwrap_or_default();
        let is_familiar = match person {
            Some(person) => connection
                .prepare_cached(
                    "SELECT 1 FROM familiar_address WHERE person = ?1 AND address = ?2",
                )?
                .exists(params![person, at])?,
            None => false,
        };
        let login = fold_login(login);
        let account = if is_familiar {
            name(&["account at", &login, at])
        } else {
            name(&["account", &login])
        };
        let most = settings.failures_max.max(1);
        let by_address = name(&["address", at]);
        Ok(Self {
            counted: vec![
                (account, most),
                (by_address, most.saturating_mul(ADDRESS_FACTOR)),
            ],
        })
    }

    /// An attempt from an address upon something that is not an account: a link, a share's PIN.
    pub fn from(settings: &IdentitySettings, what: &str, address: Option<IpAddr>) -> Self {
        let at = address.map(|address| address.to_canonical().to_string());
        let most = settings.failures_max.max(1);
        Self {
            counted: vec![(name(&[what, at.as_deref().unwrap_or_default()]), most)],
        }
    }

    fn check(&self, connection: &Connection, now: i64) -> Result<()> {
        for (what, _) in &self.counted {
            let until: Option<i64> = connection
                .prepare_cached("SELECT blocked_until FROM failed_attempt WHERE what = ?1")?
                .query_row([what], |row| row.get(0))
                .optional()?;
            let left = until.unwrap_or(0).saturating_sub(now);
            if left > 0 {
                let seconds = u64::try_from(left.saturating_add(SECOND - 1) / SECOND).unwrap_or(1);
                return Err(IdentityError::Blocked { seconds });
            }
        }
        Ok(())
    }

    /// Refuses the attempt while it has to wait, and counts it as failed until it
    /// [succeeded](Self::succeeded): so that many at the same time are not looked at before the
    /// first is counted. Tells whether failing causes a wait.
    pub fn begin(
        &self,
        transaction: &Transaction<'_>,
        settings: &IdentitySettings,
        now: i64,
    ) -> Result<bool> {
        self.check(transaction, now)?;
        self.count(transaction, settings, now)
    }

    fn count(
        &self,
        transaction: &Transaction<'_>,
        settings: &IdentitySettings,
        now: i64,
    ) -> Result<bool> {
        let mut is_blocked = false;
        for (what, most) in &self.counted {
            let found: Option<(u32, i64)> = transaction
                .prepare_cached("SELECT failures, last FROM failed_attempt WHERE what = ?1")?
                .query_row([what], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let failures = match found {
                Some((failures, last)) if now.saturating_sub(last) < FORGOTTEN => {
                    failures.saturating_add(1)
                }
                _ => 1,
            };
            let wait = wait_seconds(failures, *most, settings.wait_seconds_max);
            is_blocked |= wait > 0;
            let until = now.saturating_add(i64::from(wait) * SECOND);
            transaction.execute(
                "INSERT OR REPLACE INTO failed_attempt (what, failures, last, blocked_until)
                 VALUES (?1, ?2, ?3, ?4)",
                params![what, failures, now, until],
            )?;
        }
        Ok(is_blocked)
    }

    /// Notes that it succeeded: the account's count begins anew. The address's is only as before,
    /// else whoever has one account could guess at others for ever.
    pub fn succeeded(&self, transaction: &Transaction<'_>) -> Result<()> {
        self.withdraw(transaction)?;
        if let Some((what, _)) = self.counted.first() {
            transaction.execute("DELETE FROM failed_attempt WHERE what = ?1", [what])?;
        }
        Ok(())
    }

    /// Counts it no longer, since nobody looked at it.
    pub fn withdraw(&self, transaction: &Transaction<'_>) -> Result<()> {
        for (what, _) in &self.counted {
            transaction.execute(
                "UPDATE failed_attempt SET failures = max(failures - 1, 0), blocked_until = 0
                 WHERE what = ?1",
                [what],
            )?;
        }
        Ok(())
    }
}

/// Remembers that somebody logged in from an address.
pub(crate) fn familiarize(
    transaction: &Transaction<'_>,
    person: i64,
    address: Option<IpAddr>,
    now: i64,
) -> Result<()> {
    let Some(address) = address else {
        return Ok(());
    };
    transaction.execute(
        "INSERT OR REPLACE INTO familiar_address (person, address, last) VALUES (?1, ?2, ?3)",
        params![person, address.to_canonical().to_string(), now],
    )?;
    transaction.execute(
        "DELETE FROM familiar_address WHERE person = ?1 AND address NOT IN (
            SELECT address FROM familiar_address WHERE person = ?1 ORDER BY last DESC LIMIT ?2)",
        [person, FAMILIAR_MAX],
    )?;
    Ok(())
}

/// Forgets what is old, and what is too much.
pub(crate) fn tidy(transaction: &Transaction<'_>, now: i64) -> Result<()> {
    transaction.execute(
        "DELETE FROM failed_attempt WHERE last <= ?1",
        [now.saturating_sub(FORGOTTEN)],
    )?;
    let count: i64 =
        transaction.query_row("SELECT count(*) FROM failed_attempt", [], |row| row.get(0))?;
    if count > ROWS_MAX {
        transaction.execute(
            "DELETE FROM failed_attempt WHERE what IN (
                SELECT what FROM failed_attempt ORDER BY last LIMIT ?1)",
            [count - ROWS_MAX],
        )?;
    }
    Ok(())
}

/// 1 s after the last failure that is allowed, doubled with each further one.
fn wait_seconds(failures: u32, most: u32, longest: u32) -> u32 {
    let Some(over) = failures.checked_sub(most) else {
        return 0;
    };
    1u32.checked_shl(over).unwrap_or(u32::MAX).min(longest)
}

/// Hashed, since people type passwords where the login belongs.
fn name(parts: &[&str]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("gantry identity 2026 failed attempt");
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_and_has_an_end() {
        let waits: Vec<u32> = (3..=12).map(|n| wait_seconds(n, 5, 60)).collect();
        assert_eq!(waits, [0, 0, 1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(wait_seconds(u32::MAX, 1, 900), 900);
    }
}
