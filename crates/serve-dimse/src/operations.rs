//! The operations that a peer has open on an association.

use std::collections::HashMap;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Tells an operation that its invoker wants it to stop.
#[derive(Debug, Clone)]
pub(crate) struct Cancel(watch::Receiver<bool>);

impl Cancel {
    /// Whether it shall stop.
    pub(crate) fn is_cancelled(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it shall stop.
    pub(crate) async fn cancelled(&mut self) {
        if self.0.wait_for(|is_cancelled| *is_cancelled).await.is_err() {
            // Nobody is left who could cancel it.
            std::future::pending::<()>().await;
        }
    }
}

/// Open operations by message ID.
#[derive(Debug, Default)]
pub(crate) struct Operations {
    tasks: JoinSet<u16>,
    cancels: HashMap<u16, watch::Sender<bool>>,
}

impl Operations {
    pub(crate) fn len(&self) -> usize {
        self.cancels.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.cancels.is_empty()
    }

    /// Whether a message ID is in use.
    pub(crate) fn contains(&self, message_id: u16) -> bool {
        self.cancels.contains_key(&message_id)
    }

    /// Runs an operation beside the others.
    pub(crate) fn spawn<F>(&mut self, message_id: u16, operation: impl FnOnce(Cancel) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (sender, receiver) = watch::channel(false);
        let operation = operation(Cancel(receiver));
        self.cancels.insert(message_id, sender);
        self.tasks.spawn(async move {
            operation.await;
            message_id
        });
    }

    /// Tells an operation to stop. One that is not open has ended before: that is no mistake.
    pub(crate) fn cancel(&self, message_id: u16) {
        if let Some(sender) = self.cancels.get(&message_id) {
            sender.send_replace(true);
        }
    }

    /// Tells all operations to stop.
    pub(crate) fn cancel_all(&self) {
        for sender in self.cancels.values() {
            sender.send_replace(true);
        }
    }

    /// Waits for the end of an operation; at once when there is none. Cancel-safe.
    pub(crate) async fn ended(&mut self) {
        match self.tasks.join_next().await {
            Some(Ok(message_id)) => {
                self.cancels.remove(&message_id);
            }
            Some(Err(error)) => {
                tracing::error!(%error, "an operation broke off");
                // Which one it was is not known: those that still run keep their entries.
                if self.tasks.is_empty() {
                    self.cancels.clear();
                }
            }
            None => self.cancels.clear(),
        }
    }

    /// Waits for the end of all operations.
    pub(crate) async fn all_ended(&mut self) {
        while !self.is_empty() {
            self.ended().await;
        }
    }
}
