//! What tests of this crate share.

use crate::clock::{Clock, SECOND};
use crate::event::{Actor, IdentityEvent};
use crate::identity::Identity;
use crate::settings::IdentitySettings;
use gantry_core::secret::SecretKey;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

pub(crate) const GOOD_PASSWORD: &str = "walnut-Trombone-47-glacier";

/// A clock that tests move.
#[derive(Clone)]
pub(crate) struct TestClock(Arc<AtomicI64>);

impl TestClock {
    pub fn now(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }

    pub fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds * SECOND, Ordering::SeqCst);
    }

    pub fn advance_hours(&self, hours: i64) {
        self.advance(hours * 3600);
    }
}

/// An identity database of its own.
pub(crate) struct Bench {
    pub identity: Arc<Identity>,
    pub by: Actor,
    pub clock: TestClock,
    pub events: Arc<Mutex<Vec<IdentityEvent>>>,
    pub folder: TempDir,
}

pub(crate) fn bench() -> Bench {
    bench_with(IdentitySettings::default())
}

pub(crate) fn bench_with(settings: IdentitySettings) -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let clock = TestClock(Arc::new(AtomicI64::new(1_700_000_000 * SECOND)));
    let shown = clock.clone();
    let identity = Identity::open_with_clock(
        folder.path(),
        Some(SecretKey::new([5; 32])),
        settings,
        Clock::of(move || shown.now()),
    )
    .unwrap();
    let events = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&events);
    identity
        .set_event_sink(Arc::new(move |event| sink.lock().unwrap().push(event)))
        .unwrap();
    Bench {
        identity: Arc::new(identity),
        by: Actor {
            login: Some("tester".into()),
            ..Actor::default()
        },
        clock,
        events,
        folder,
    }
}
