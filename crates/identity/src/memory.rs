//! What was found out about credentials a moment ago, so that not every request asks the database.

use crate::caller::Caller;
use crate::error::Result;
use crate::random;
use gantry_core::access::Access;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Passwords that can be looked at without waiting for each other, more or less.
const TURNS: usize = 64;
/// Entries of each kind; with more, all are forgotten.
const ENTRIES_MAX: usize = 10_000;

/// Remembered answers. Each is void once something was changed, or its time is over.
pub(crate) struct Memory {
    /// Credentials are known by hashes with this key.
    key: [u8; 32],
    pub callers: Remembered<[u8; 32], Caller>,
    pub passwords: Remembered<[u8; 32], i64>,
    pub access: Remembered<i64, Arc<Access>>,
    turns: [Mutex<()>; TURNS],
}

impl Memory {
    pub fn new() -> Result<Self> {
        Ok(Self {
            key: random::bytes()?,
            callers: Remembered::default(),
            passwords: Remembered::default(),
            access: Remembered::default(),
            turns: std::array::from_fn(|_| Mutex::default()),
        })
    }

    /// Waits until nobody else finds out about the same thing.
    pub fn turn(&self, name: &[u8; 32]) -> Option<MutexGuard<'_, ()>> {
        let [first, ..] = name;
        let turn = self.turns.get(usize::from(*first) % TURNS)?;
        Some(turn.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// By what a credential is known here.
    pub fn name(&self, parts: &[&str]) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        *hasher.finalize().as_bytes()
    }
}

/// Answers of one kind.
pub(crate) struct Remembered<K, V>(Mutex<HashMap<K, Entry<V>>>);

struct Entry<V> {
    value: V,
    until: i64,
    changes: u64,
}

impl<K, V> Default for Remembered<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, V: Clone> Remembered<K, V> {
    /// What was remembered and still holds.
    pub fn get(&self, key: &K, now: i64, changes: u64) -> Option<V> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries
            .get(key)
            .filter(|entry| now < entry.until && entry.changes == changes)
            .map(|entry| entry.value.clone())
    }

    /// Remembers until a time; `changes` is the count from before the value was found out.
    pub fn put(&self, key: K, value: V, until: i64, changes: u64) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= ENTRIES_MAX {
            entries.clear();
        }
        entries.insert(
            key,
            Entry {
                value,
                until,
                changes,
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_or_time_voids_what_was_remembered() {
        let remembered = Remembered::default();
        remembered.put(1, "a", 10, 5);
        assert_eq!(remembered.get(&1, 9, 5), Some("a"));
        assert_eq!(remembered.get(&1, 10, 5), None);
        assert_eq!(remembered.get(&1, 9, 6), None);
        assert_eq!(remembered.get(&2, 9, 5), None);
    }

    #[test]
    fn names_of_credentials_keep_their_parts_apart() {
        let memory = Memory::new().unwrap();
        assert_ne!(memory.name(&["ab", "c"]), memory.name(&["a", "bc"]));
        assert_ne!(memory.name(&["a"]), Memory::new().unwrap().name(&["a"]));
    }
}
