//! Waiting for a flush, in async code and on threads.

use crate::error::{AuditError, Result};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// What all who wait for the same events share.
#[derive(Debug, Default)]
pub(crate) struct Ticket {
    state: Mutex<State>,
    resolved: Condvar,
}

#[derive(Debug, Default)]
struct State {
    outcome: Option<Result<u64>>,
    wakers: Vec<Waker>,
}

impl Ticket {
    /// Tells everybody who waits. The first outcome stays.
    pub fn resolve(&self, outcome: Result<u64>) {
        let mut state = self.lock();
        if state.outcome.is_none() {
            state.outcome = Some(outcome);
        }
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        self.resolved.notify_all();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// The outcome, when there is one.
    pub fn outcome(&self) -> Option<Result<u64>> {
        self.lock().outcome.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An event on its way to the disk: await it, or [`wait`](Self::wait) on a thread. It is written
/// even if nobody waits.
///
/// It gives the number of the event, or 0 when an access was only counted.
#[derive(Debug)]
#[must_use = "only when this is ready the event is durable"]
pub struct Recording(Inner);

#[derive(Debug)]
enum Inner {
    Done(Option<AuditError>),
    Waiting(Arc<Ticket>),
}

impl Recording {
    pub(crate) fn done() -> Self {
        Self(Inner::Done(None))
    }

    pub(crate) fn failed(error: AuditError) -> Self {
        Self(Inner::Done(Some(error)))
    }

    pub(crate) fn waiting(ticket: Arc<Ticket>) -> Self {
        Self(Inner::Waiting(ticket))
    }

    /// Waits on this thread. Async code awaits instead.
    ///
    /// # Errors
    /// When the event could not be written: what it tells of must not be done.
    pub fn wait(self) -> Result<u64> {
        match self.0 {
            Inner::Done(None) => Ok(0),
            Inner::Done(Some(error)) => Err(error),
            Inner::Waiting(ticket) => {
                let mut state = ticket.lock();
                loop {
                    if let Some(outcome) = &state.outcome {
                        return outcome.clone();
                    }
                    state = ticket
                        .resolved
                        .wait(state)
                        .unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }
}

impl Future for Recording {
    type Output = Result<u64>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &self.0 {
            Inner::Done(None) => Poll::Ready(Ok(0)),
            Inner::Done(Some(error)) => Poll::Ready(Err(error.clone())),
            Inner::Waiting(ticket) => {
                let mut state = ticket.lock();
                if let Some(outcome) = &state.outcome {
                    return Poll::Ready(outcome.clone());
                }
                if !state
                    .wakers
                    .iter()
                    .any(|waker| waker.will_wake(context.waker()))
                {
                    state.wakers.push(context.waker().clone());
                }
                Poll::Pending
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn threads_and_tasks_are_told_alike() {
        let ticket = Arc::new(Ticket::default());
        assert!(ticket.outcome().is_none());
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let thread = {
            let recording = Recording::waiting(Arc::clone(&ticket));
            std::thread::spawn(move || recording.wait())
        };
        let tasks: Vec<_> = (0..3)
            .map(|_| runtime.spawn(Recording::waiting(Arc::clone(&ticket))))
            .collect();
        std::thread::sleep(Duration::from_millis(20));
        ticket.resolve(Ok(5));
        ticket.resolve(Err(AuditError::Closed));
        assert_eq!(thread.join().unwrap().unwrap(), 5);
        for task in tasks {
            assert_eq!(runtime.block_on(task).unwrap().unwrap(), 5);
        }
        assert_eq!(Recording::done().wait().unwrap(), 0);
        assert!(Recording::failed(AuditError::Busy).wait().is_err());
    }
}
