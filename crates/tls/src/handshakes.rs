//! The handshakes that are under way, and which of them has to give way.
//!
//! One who opens connections and then says nothing must not keep others out. So a handshake is
//! never refused for want of room: the one that has had the longest time gives way, first of the
//! same address. An honest one takes a few round trips and has long been done by then.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// The handshakes under way.
#[derive(Debug)]
pub(crate) struct Handshakes {
    total_max: usize,
    per_address_max: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    /// In the order of their beginning.
    by_number: BTreeMap<u64, (IpAddr, Arc<Notify>)>,
    next: u64,
}

/// A place among them, given back when dropped.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    handshakes: &'a Handshakes,
    number: u64,
    displaced: Arc<Notify>,
}

impl Handshakes {
    pub(crate) fn new(total_max: usize, per_address_max: usize) -> Self {
        Self {
            total_max: total_max.max(1),
            per_address_max: per_address_max.max(1),
            open: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place, and the place of another if there is none left.
    pub(crate) fn begin(&self, address: IpAddr) -> Place<'_> {
        let displaced = Arc::new(Notify::new());
        let mut open = self.lock();
        let mut of_address = open
            .by_number
            .iter()
            .filter(|(_, (other, _))| *other == address)
            .map(|(number, _)| *number);
        let oldest_of_address = of_address.next();
        let is_address_full = of_address.count().saturating_add(1) >= self.per_address_max;
        let giving_way = if is_address_full && oldest_of_address.is_some() {
            oldest_of_address
        } else if open.by_number.len() >= self.total_max {
            open.by_number.keys().next().copied()
        } else {
            None
        };
        if let Some((_, other)) = giving_way.and_then(|number| open.by_number.remove(&number)) {
            other.notify_one();
        }
        let number = open.next;
        open.next = number.wrapping_add(1);
        open.by_number.insert(number, (address, displaced.clone()));
        Place {
            handshakes: self,
            number,
            displaced,
        }
    }
}

impl Place<'_> {
    /// Waits until another has taken the place.
    pub(crate) async fn displaced(&self) {
        self.displaced.notified().await;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.handshakes.lock().by_number.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    async fn is_displaced(place: &Place<'_>) -> bool {
        tokio::time::timeout(Duration::from_millis(1), place.displaced())
            .await
            .is_ok()
    }

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[tokio::test]
    async fn the_oldest_of_the_same_address_gives_way_first() {
        let handshakes = Handshakes::new(10, 2);
        let other = handshakes.begin(address(1));
        let first = handshakes.begin(address(2));
        let second = handshakes.begin(address(2));
        assert!(!is_displaced(&first).await);
        let third = handshakes.begin(address(2));
        assert!(is_displaced(&first).await);
        assert!(!is_displaced(&second).await && !is_displaced(&third).await);
        assert!(!is_displaced(&other).await);
    }

    #[tokio::test]
    async fn with_many_addresses_the_oldest_of_all_gives_way() {
        let handshakes = Handshakes::new(3, 2);
        let places: Vec<_> = (0..4).map(|n| handshakes.begin(address(n))).collect();
        assert!(is_displaced(&places[0]).await);
        assert!(!is_displaced(&places[1]).await);
        drop(places);
        assert!(handshakes.lock().by_number.is_empty());
    }

    #[tokio::test]
    async fn a_place_that_was_given_back_displaces_nobody() {
        let handshakes = Handshakes::new(1, 1);
        drop(handshakes.begin(address(1)));
        let place = handshakes.begin(address(1));
        assert!(!is_displaced(&place).await);
    }
}
