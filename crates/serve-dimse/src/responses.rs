//! Responses to what this end asks on an association that it was asked for.

use gantry_dimse::command::Response;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// The requests of this end that wait for a response.
#[derive(Debug, Default)]
pub(crate) struct Responses(Mutex<Open>);

#[derive(Debug, Default)]
struct Open {
    senders: HashMap<u16, oneshot::Sender<Response>>,
    last_message_id: u16,
    is_over: bool,
}

impl Responses {
    /// A message ID that is not in use, and where its response will come; nothing when no
    /// response can come any more.
    pub(crate) fn expect(&self) -> Option<(u16, oneshot::Receiver<Response>)> {
        let mut open = self.lock();
        if open.is_over || open.senders.len() >= usize::from(u16::MAX / 2) {
            return None;
        }
        let mut message_id = open.last_message_id;
        loop {
            message_id = message_id.checked_add(1).unwrap_or(1);
            if !open.senders.contains_key(&message_id) {
                break;
            }
        }
        let (sender, receiver) = oneshot::channel();
        open.last_message_id = message_id;
        open.senders.insert(message_id, sender);
        Some((message_id, receiver))
    }

    /// Hands a response to the one who waits for it.
    pub(crate) fn complete(&self, response: Response) {
        let sender = self.lock().senders.remove(&response.message_id);
        match sender {
            // The one who waited may have given up.
            Some(sender) => drop(sender.send(response)),
            None => tracing::debug!(response.message_id, "response to nothing that was asked"),
        }
    }

    /// Forgets a request whose response is not awaited any more.
    pub(crate) fn forget(&self, message_id: u16) {
        self.lock().senders.remove(&message_id);
    }

    /// No response comes any more: wakes everyone who waits.
    pub(crate) fn close(&self) {
        let mut open = self.lock();
        open.is_over = true;
        open.senders.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
