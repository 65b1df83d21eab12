//! Files from an origin to a destination, several at once.

use super::destination::{Destination, Imported};
use super::journal::Journal;
use crate::commands::report::{Outcome, Report};
use crate::commands::source::{Candidate, Event, Origin};
use crate::progress::{Progress, Unit};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Mutex, PoisonError};
use tokio::runtime::Runtime;

/// Files that wait for a worker.
const WAITING_MAX: usize = 256;
/// Failures of the destination, one after the other, after which nothing more is tried.
const DESTINATION_FAILURES_MAX: u32 = 3;

/// What is brought from where to where, and how.
pub struct Pipeline<'a> {
    /// Where files come from.
    pub origin: &'a dyn Origin,
    /// Where they go.
    pub destination: Destination,
    /// What was brought before.
    pub journal: Journal,
    /// Files at once.
    pub parallel: u16,
    /// What to call it.
    pub verb: &'static str,
}

/// The end of an import.
pub struct Concluded {
    report: Report,
    summary: String,
    /// Why it was given up before everything was tried.
    given_up: Option<String>,
}

impl Concluded {
    /// Prints the report; the exit code is a failure when something should be stored and is not.
    pub fn conclude(self, is_json: bool) -> anyhow::Result<ExitCode> {
        let is_whole = self.report.failed() == 0 && self.given_up.is_none();
        if is_json {
            println!("{}", self.report.counts());
            self.report.finish()?;
        } else {
            println!("{}\n{}", self.summary, self.report.finish()?.trim_end());
        }
        if let Some(reason) = self.given_up {
            anyhow::bail!("given up, call it again to go on: {reason}");
        }
        Ok(if is_whole {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

impl Concluded {
    /// As [`Concluded::conclude`] for people, but files that were refused are no failure.
    pub fn conclude_leniently(self) -> anyhow::Result<ExitCode> {
        let has_stored = self.report.stored() > 0;
        self.conclude(false)?;
        Ok(if has_stored {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

/// What the threads share.
struct Shared<'a> {
    pipeline: &'a Pipeline<'a>,
    progress: Progress,
    report: Mutex<Report>,
    destination_failures: AtomicU32,
    given_up: Mutex<Option<String>>,
    is_over: AtomicBool,
}

impl Pipeline<'_> {
    /// Brings everything; blocks.
    pub fn run(&self, runtime: &Runtime, report: Report) -> anyhow::Result<Concluded> {
        let shared = Shared {
            pipeline: self,
            progress: Progress::start(self.verb, "files", Unit::Bytes),
            report: Mutex::new(report),
            destination_failures: AtomicU32::new(0),
            given_up: Mutex::new(None),
            is_over: AtomicBool::new(false),
        };
        let (sender, receiver) = sync_channel::<Candidate>(WAITING_MAX);
        let receiver = Mutex::new(receiver);
        std::thread::scope(|scope| {
            scope.spawn(|| shared.count());
            scope.spawn(|| {
                self.origin
                    .run(&mut |event| shared.take(event, |found| sender.send(found).is_ok()));
                drop(sender);
            });
            let workers: Vec<_> = (0..self.parallel)
                .map(|_| scope.spawn(|| shared.work(&receiver, runtime)))
                .collect();
            for worker in workers {
                // A worker that panicked is a defect; the others go on, and the scope tells.
                let _ = worker.join();
            }
            shared.is_over.store(true, Ordering::Relaxed);
            // When all gave up before the end, the search must not wait for room for ever.
            for _ in receiver
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .try_iter()
            {}
        });
        Ok(Concluded {
            summary: shared.progress.finish(),
            report: shared
                .report
                .into_inner()
                .unwrap_or_else(PoisonError::into_inner),
            given_up: shared
                .given_up
                .into_inner()
                .unwrap_or_else(PoisonError::into_inner),
        })
    }
}

impl Shared<'_> {
    fn count(&self) {
        self.pipeline.origin.count(&mut |items, bytes| {
            self.progress.expect(items, bytes);
            !self.is_over.load(Ordering::Relaxed)
        });
    }

    /// Sorts out what a search comes upon; whether it shall go on.
    fn take(&self, event: Event, hand_on: impl FnOnce(Candidate) -> bool) -> bool {
        match event {
            Event::Candidate(candidate)
                if candidate
                    .key
                    .is_some_and(|key| self.pipeline.journal.has(key)) =>
            {
                self.enter(&candidate.name, &Outcome::Before, "");
                self.progress.advance(1, candidate.length);
            }
            Event::Candidate(candidate) => {
                return !self.is_over.load(Ordering::Relaxed) && hand_on(candidate);
            }
            Event::Passed {
                name,
                reason,
                is_failure,
            } => {
                let outcome = match is_failure {
                    true => Outcome::Failed(reason),
                    false => Outcome::Skipped(reason),
                };
                self.enter(&name, &outcome, "");
            }
        }
        !self.is_over.load(Ordering::Relaxed)
    }

    fn work(&self, receiver: &Mutex<Receiver<Candidate>>, runtime: &Runtime) {
        while !self.is_over.load(Ordering::Relaxed) {
            let next = receiver
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .recv();
            let Ok(candidate) = next else { break };
            let imported = self
                .pipeline
                .destination
                .import(&candidate, runtime.handle());
            self.note(&candidate, &imported);
        }
    }

    fn note(&self, candidate: &Candidate, imported: &Imported) {
        self.enter(
            &candidate.name,
            &imported.outcome,
            &imported.sop_instance_uid,
        );
        self.progress
            .advance(1, candidate.length.max(imported.length));
        if imported.outcome.is_stored()
            && let Some(key) = candidate.key
            && let Err(error) = self.pipeline.journal.note(key)
        {
            self.progress
                .say(&format!("gantry: the journal cannot be written: {error}"));
        }
        if !imported.is_destination_s {
            self.destination_failures.store(0, Ordering::Relaxed);
            return;
        }
        let failures = self.destination_failures.fetch_add(1, Ordering::Relaxed) + 1;
        if failures >= DESTINATION_FAILURES_MAX
            && let Outcome::Failed(reason) = &imported.outcome
        {
            *self.given_up.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.clone());
            self.is_over.store(true, Ordering::Relaxed);
        }
    }

    fn enter(&self, name: &str, outcome: &Outcome, sop_instance_uid: &str) {
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = report.add(name, outcome, sop_instance_uid) {
            self.progress
                .say(&format!("gantry: the report cannot be written: {error}"));
        }
    }
}
