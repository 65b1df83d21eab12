//! How fast events are appended, and what a repeated access costs.
//!
//! `cargo run --release -p gantry-audit --example measure_audit -- [FOLDER]`

use gantry_audit::{Access, AuditLog, AuditSettings, Event, Kind, Study};
use gantry_core::principal::{Door, Principal};
use std::error::Error;
use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "audit-measure".into());
    std::fs::create_dir_all(&folder)?;
    let log = AuditLog::open(folder.as_ref(), None, AuditSettings::default())?;
    let mut out = std::io::stdout().lock();
    for threads in [1, 4, 16, 64] {
        let before = log.written();
        let started = Instant::now();
        std::thread::scope(|scope| {
            for thread in 0..threads {
                let log = &log;
                scope.spawn(move || append(log, thread, 6400 / threads));
            }
        });
        let seconds = started.elapsed().as_secs_f64();
        let written = log.written();
        let events = written.events - before.events;
        writeln!(
            out,
            "{threads:>3} callers: {:>8.0} events/s, {:.1} events a flush",
            events as f64 / seconds,
            events as f64 / (written.flushes - before.flushes) as f64
        )?;
    }
    for threads in [1, 2, 4] {
        let started = Instant::now();
        let times = 1_000_000;
        std::thread::scope(|scope| {
            for thread in 0..threads {
                let log = &log;
                scope.spawn(move || repeat(log, thread, times));
            }
        });
        let each = started.elapsed().as_nanos() as f64 / f64::from(times);
        writeln!(
            out,
            "{threads:>3} callers: a repeated access takes {each:.0} ns"
        )?;
    }
    let started = Instant::now();
    let verified = log.reader().verify(&[], &mut |_, _| {})?;
    writeln!(
        out,
        "verified {} events at {:.0} events/s, {} problems",
        verified.events,
        verified.events as f64 / started.elapsed().as_secs_f64(),
        verified.problems_total
    )?;
    log.close();
    Ok(())
}

fn principal(number: u32) -> Principal {
    Principal {
        user: Some(format!("user{number}")),
        credential: Some(format!("session {number}")),
        address: Some([10, 0, 0, 7].into()),
        ..Principal::unknown(Door::Http)
    }
}

fn append(log: &Arc<AuditLog>, thread: u32, times: u32) {
    let principal = principal(thread);
    for number in 0..times {
        let event = Event::new(Kind::Viewed, &principal)
            .study(Study::new(format!("1.2.840.113619.2.55.3.{number}")));
        if let Err(error) = log.record(event).wait() {
            tracing::error!(%error, "not recorded");
        }
    }
}

fn repeat(log: &Arc<AuditLog>, thread: u32, times: u32) {
    let principal = principal(thread);
    let access = Access::new(Kind::Viewed, "1.2.840.113619.2.55.3.604688119.971.1")
        .sop_class("1.2.840.10008.5.1.4.1.1.2");
    for _ in 0..times {
        if let Err(error) = log.accessed(&principal, &access).wait() {
            tracing::error!(%error, "not recorded");
        }
    }
}
