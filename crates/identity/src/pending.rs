//! What was begun and waits for its second half: logins without their second factor, passkey
//! challenges, logins at an identity provider. They live in memory: a restart asks people to begin
//! again.

use crate::error::{IdentityError, Result};
use crate::random;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use zeroize::Zeroizing;

/// Entries of one kind; with more, the ones that end first go.
const ENTRIES_MAX: usize = 10_000;

/// Entries of one kind, by secrets that only the one who began knows.
pub(crate) struct Pending<V>(Mutex<HashMap<[u8; 32], Entry<V>>>);

struct Entry<V> {
    value: V,
    ends: i64,
    tries_left: u32,
}

impl<V> Default for Pending<V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<V: Clone> Pending<V> {
    /// Keeps a value until `ends`, for so many tries; returns what gets it back.
    pub fn begin(&self, value: V, tries: u32, now: i64, ends: i64) -> Result<Zeroizing<String>> {
        let secret = random::secret()?;
        self.begin_as(&secret, value, tries, now, ends);
        Ok(secret)
    }

    /// As [`Self::begin`], under a secret that exists.
    pub fn begin_as(&self, secret: &str, value: V, tries: u32, now: i64, ends: i64) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= ENTRIES_MAX {
            entries.retain(|_, entry| now < entry.ends);
        }
        if entries.len() >= ENTRIES_MAX {
            let first = entries.iter().min_by_key(|(_, entry)| entry.ends);
            let first = first.map(|(name, _)| *name);
            if let Some(first) = first {
                entries.remove(&first);
            }
        }
        let entry = Entry {
            value,
            ends,
            tries_left: tries,
        };
        entries.insert(random::hash(secret), entry);
    }

    /// The value, for one try.
    pub fn attempt(&self, secret: &str, now: i64) -> Result<V> {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let name = random::hash(secret);
        let entry = entries
            .get_mut(&name)
            .filter(|entry| now < entry.ends && entry.tries_left > 0)
            .ok_or(IdentityError::WrongCredentials)?;
        entry.tries_left -= 1;
        let value = entry.value.clone();
        if entry.tries_left == 0 {
            entries.remove(&name);
        }
        Ok(value)
    }

    /// It is done.
    pub fn finish(&self, secret: &str) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.remove(&random::hash(secret));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_and_time_are_limited() {
        let pending = Pending::default();
        let secret = pending.begin("x", 2, 0, 10).unwrap();
        assert!(pending.attempt("other", 0).is_err());
        assert!(pending.attempt(&secret, 10).is_err());
        assert_eq!(pending.attempt(&secret, 9).unwrap(), "x");
        assert_eq!(pending.attempt(&secret, 9).unwrap(), "x");
        assert!(pending.attempt(&secret, 9).is_err());
        let secret = pending.begin("y", 2, 0, 10).unwrap();
        pending.finish(&secret);
        assert!(pending.attempt(&secret, 0).is_err());
    }

    #[test]
    fn the_number_is_limited() {
        let pending = Pending::default();
        for at in 0..=ENTRIES_MAX {
            pending.begin_as(&at.to_string(), at, 1, 0, 10 + at as i64);
        }
        assert!(pending.attempt("0", 0).is_err());
        assert!(pending.attempt(&ENTRIES_MAX.to_string(), 0).is_ok());
    }
}
