//! How many associations are open, in all and from whom.

use gantry_core::ae_title::AeTitle;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The most associations of each kind; 0 means no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) total: usize,
    pub(crate) per_address: usize,
    pub(crate) per_title: usize,
}

/// The open associations.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
    by_title: HashMap<AeTitle, usize>,
}

/// The place of one association; free again when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Places,
    address: IpAddr,
    title: Option<AeTitle>,
}

impl Places {
    /// A place, or nothing when one of the limits is reached.
    pub(crate) fn take(
        &self,
        address: IpAddr,
        title: Option<&AeTitle>,
        limits: Limits,
    ) -> Option<Place> {
        let mut counts = self.lock();
        let is_full = |count: usize, limit: usize| limit > 0 && count >= limit;
        let by_address = counts.by_address.get(&address).copied().unwrap_or_default();
        let by_title = title
            .and_then(|title| counts.by_title.get(title))
            .copied()
            .unwrap_or_default();
        if is_full(counts.total, limits.total)
            || is_full(by_address, limits.per_address)
            || is_full(by_title, limits.per_title)
        {
            return None;
        }
        counts.total = counts.total.saturating_add(1);
        counts
            .by_address
            .insert(address, by_address.saturating_add(1));
        if let Some(title) = title {
            counts
                .by_title
                .insert(title.clone(), by_title.saturating_add(1));
        }
        Some(Place {
            places: self.clone(),
            address,
            title: title.cloned(),
        })
    }

    /// How many are taken.
    pub(crate) fn taken(&self) -> usize {
        self.lock().total
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.places.lock();
        counts.total = counts.total.saturating_sub(1);
        take_off(&mut counts.by_address, &self.address);
        if let Some(title) = &self.title {
            take_off(&mut counts.by_title, title);
        }
    }
}

fn take_off<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_holds_and_places_come_back() {
        let one = IpAddr::from([127, 0, 0, 1]);
        let other = IpAddr::from([127, 0, 0, 2]);
        let title = AeTitle::parse("CT1").unwrap();
        for (limits, second) in [
            (
                Limits {
                    total: 1,
                    per_address: 0,
                    per_title: 0,
                },
                (other, None),
            ),
            (
                Limits {
                    total: 9,
                    per_address: 1,
                    per_title: 0,
                },
                (one, None),
            ),
            (
                Limits {
                    total: 9,
                    per_address: 0,
                    per_title: 1,
                },
                (other, Some(&title)),
            ),
        ] {
            let places = Places::default();
            let place = places.take(one, Some(&title), limits).unwrap();
            assert!(
                places.take(second.0, second.1, limits).is_none(),
                "{limits:?}"
            );
            drop(place);
            assert!(
                places.take(second.0, second.1, limits).is_some(),
                "{limits:?}"
            );
            assert_eq!(places.taken(), 0);
        }
    }
}
