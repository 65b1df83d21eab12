//! Bodies that were expensive to make, kept for the next one who asks, within a bound of bytes.

use bytes::Bytes;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Bodies shorter than this are made anew each time.
const WORTH_KEEPING_BYTES: usize = 16 << 10;
/// A body that nobody asked for during so long a time, or up to twice as long, is dropped.
const UNUSED_MAX: Duration = Duration::from_secs(120);
/// Share of the bound that one body may have.
const SHARE_OF_ONE: usize = 4;

/// Bodies by the entity tag of their representation, which changes with every byte of them; the
/// one that was asked for longest ago makes room.
#[derive(Debug)]
pub struct BodyCache {
    bytes_max: usize,
    /// Bytes that are being collected for bodies under way.
    collecting: AtomicUsize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    bodies: HashMap<Arc<str>, KeptBody>,
    /// Tags by the moment of their last use.
    uses: BTreeMap<u64, Arc<str>>,
    moment: u64,
    bytes: usize,
}

/// A body in the pieces in which it was sent.
#[derive(Debug)]
struct KeptBody {
    pieces: Vec<Bytes>,
    bytes: usize,
    used: u64,
}

impl Kept {
    fn touch(&mut self, tag: &str) -> Option<Vec<Bytes>> {
        self.moment += 1;
        let moment = self.moment;
        let body = self.bodies.get_mut(tag)?;
        let before = std::mem::replace(&mut body.used, moment);
        let tag = self.uses.remove(&before)?;
        self.uses.insert(moment, tag);
        Some(body.pieces.clone())
    }

    fn insert(&mut self, tag: Arc<str>, pieces: Vec<Bytes>, bytes: usize) {
        self.moment += 1;
        self.bytes += bytes;
        self.uses.insert(self.moment, Arc::clone(&tag));
        let used = self.moment;
        self.bodies.insert(
            tag,
            KeptBody {
                pieces,
                bytes,
                used,
            },
        );
    }

    fn make_room(&mut self, bytes_max: usize) {
        while self.bytes > bytes_max && self.forget_oldest() {}
    }

    /// Drops what was not used after `moment`.
    fn forget_until(&mut self, moment: u64) {
        while self.uses.keys().next().is_some_and(|used| *used <= moment) && self.forget_oldest() {}
    }

    fn forget_oldest(&mut self) -> bool {
        let Some((_, oldest)) = self.uses.pop_first() else {
            return false;
        };
        if let Some(body) = self.bodies.remove(&oldest) {
            self.bytes -= body.bytes;
        }
        true
    }
}

impl BodyCache {
    /// A cache of at most `bytes_max` bytes; with 0 nothing is kept.
    pub fn new(bytes_max: usize) -> Arc<Self> {
        Arc::new(Self {
            bytes_max,
            collecting: AtomicUsize::new(0),
            kept: Mutex::default(),
        })
    }

    /// The body with this tag, in pieces.
    pub fn find(&self, tag: &str) -> Option<Vec<Bytes>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.touch(tag)
    }

    /// Begins to collect a body while it is sent.
    pub fn collect(self: &Arc<Self>, tag: &str) -> Collector {
        Collector {
            cache: Arc::clone(self),
            tag: tag.into(),
            pieces: Some(Vec::new()),
            bytes: 0,
        }
    }

    /// Drops bodies that nobody asked for during a whole pause, until none is left: an archive
    /// at rest needs no memory for them.
    fn sweep(self: &Arc<Self>) {
        let cache = Arc::downgrade(self);
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        runtime.spawn(async move {
            let mut seen = 0;
            loop {
                tokio::time::sleep(UNUSED_MAX).await;
                let Some(cache) = cache.upgrade() else {
                    return;
                };
                let mut kept = cache.kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.forget_until(seen);
                seen = kept.moment;
                if kept.bodies.is_empty() {
                    return;
                }
            }
        });
    }

    fn reserve(&self, bytes: usize) -> bool {
        let before = self.collecting.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes <= self.bytes_max {
            return true;
        }
        self.collecting.fetch_sub(bytes, Ordering::Relaxed);
        false
    }
}

/// A body on its way to a client and, if it is not too long, into the cache.
#[derive(Debug)]
pub struct Collector {
    cache: Arc<BodyCache>,
    tag: Arc<str>,
    /// Nothing when the body is too long to keep.
    pieces: Option<Vec<Bytes>>,
    bytes: usize,
}

impl Collector {
    /// Notes a piece that is sent.
    pub fn add(&mut self, piece: &Bytes) {
        let Some(pieces) = &mut self.pieces else {
            return;
        };
        let is_short = self.bytes + piece.len() <= self.cache.bytes_max / SHARE_OF_ONE;
        if is_short && self.cache.reserve(piece.len()) {
            self.bytes += piece.len();
            pieces.push(piece.clone());
        } else {
            self.pieces = None;
        }
    }

    /// The body is complete. One that breaks off is dropped instead.
    pub fn finish(mut self) {
        let Some(pieces) = self.pieces.take() else {
            return;
        };
        if self.bytes < WORTH_KEEPING_BYTES {
            return;
        }
        let mut kept = self
            .cache
            .kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if kept.touch(&self.tag).is_none() {
            let is_first = kept.bodies.is_empty();
            kept.insert(Arc::clone(&self.tag), pieces, self.bytes);
            kept.make_room(self.cache.bytes_max);
            drop(kept);
            if is_first {
                self.cache.sweep();
            }
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.cache
            .collecting
            .fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: usize = WORTH_KEEPING_BYTES;

    fn keep(cache: &Arc<BodyCache>, tag: &str, length: usize) {
        let mut collector = cache.collect(tag);
        let half = Bytes::from(vec![7; length / 2]);
        collector.add(&half);
        collector.add(&half);
        collector.finish();
    }

    #[test]
    fn a_whole_body_is_found_again() {
        let cache = BodyCache::new(8 * BODY);
        assert_eq!(cache.find("a"), None);
        keep(&cache, "a", BODY);
        assert_eq!(cache.find("a").unwrap().concat(), vec![7; BODY]);
        assert_eq!(cache.find("b"), None);
        cache.collect("c").add(&Bytes::from(vec![7; BODY]));
        assert_eq!(cache.find("c"), None, "it broke off");
        assert_eq!(cache.collecting.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn the_one_that_was_used_longest_ago_makes_room() {
        let cache = BodyCache::new(4 * BODY);
        for tag in ["a", "b", "c", "d"] {
            keep(&cache, tag, BODY);
        }
        assert!(cache.find("a").is_some());
        keep(&cache, "e", BODY);
        assert!(cache.find("b").is_none());
        for tag in ["a", "c", "d", "e"] {
            assert!(cache.find(tag).is_some(), "{tag}");
        }
        assert_eq!(cache.kept.lock().unwrap().bytes, 4 * BODY);
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_asks_for_is_dropped() {
        let cache = BodyCache::new(8 * BODY);
        keep(&cache, "a", BODY);
        keep(&cache, "b", BODY);
        // The pause begins when the task that sweeps has begun.
        tokio::task::yield_now().await;
        tokio::time::sleep(UNUSED_MAX + Duration::from_secs(1)).await;
        assert!(
            cache.find("a").is_some(),
            "a whole pause must pass without a use"
        );
        tokio::time::sleep(UNUSED_MAX).await;
        assert!(cache.find("b").is_none());
        assert!(cache.find("a").is_some());
        tokio::time::sleep(3 * UNUSED_MAX).await;
        assert!(cache.find("a").is_none());
        keep(&cache, "c", BODY);
        tokio::time::sleep(3 * UNUSED_MAX).await;
        assert!(
            cache.find("c").is_none(),
            "it is swept again after it was empty"
        );
        assert_eq!(cache.kept.lock().unwrap().bytes, 0);
    }

    #[test]
    fn what_is_too_long_or_too_short_is_not_kept() {
        let cache = BodyCache::new(8 * BODY);
        keep(&cache, "long", 4 * BODY);
        keep(&cache, "short", BODY / 2);
        assert!(cache.find("long").is_none() && cache.find("short").is_none());
        let off = BodyCache::new(0);
        keep(&off, "a", BODY);
        assert!(off.find("a").is_none());
        assert_eq!(off.collecting.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn bodies_under_way_share_the_bound() {
        let cache = BodyCache::new(4 * BODY);
        let piece = Bytes::from(vec![7; BODY]);
        let mut collectors: Vec<Collector> = (0..6)
            .map(|number| cache.collect(&number.to_string()))
            .collect();
        for collector in &mut collectors {
            collector.add(&piece);
        }
        for collector in collectors {
            collector.finish();
        }
        let found = (0..6).filter(|number| cache.find(&number.to_string()).is_some());
        assert_eq!(found.count(), 4);
    }

    #[test]
    fn the_same_body_twice_counts_once() {
        let cache = BodyCache::new(8 * BODY);
        keep(&cache, "a", BODY);
        keep(&cache, "a", BODY);
        assert_eq!(cache.kept.lock().unwrap().bytes, BODY);
        assert_eq!(cache.kept.lock().unwrap().uses.len(), 1);
    }
}
