//! The task that reads a client's association.

use super::invocation::Invocation;
use super::operation::Reply;
use crate::association::error::AssociationError;
use crate::association::{Association, Incoming};
use crate::command::{Command, Response};
use crate::message::Message;
use bytes::{Bytes, BytesMut};
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

/// Longest data set of a response.
const DATA_SET_LENGTH_MAX: usize = 64 << 20;
/// Replies and chunks that may wait for whoever asked for them.
const WAITING_MAX: usize = 16;

/// What the client and its driver share.
#[derive(Debug)]
pub(super) struct Shared {
    window: Arc<Semaphore>,
    open: Mutex<OpenOperations>,
    failure: OnceLock<Arc<AssociationError>>,
}

#[derive(Debug, Default)]
struct OpenOperations {
    /// `None` as the sender's place is taken once the association is over.
    senders: HashMap<u16, mpsc::Sender<Reply>>,
    last_message_id: u16,
    is_over: bool,
}

impl Shared {
    pub(super) fn new(window: u16) -> Self {
        Self {
            window: Arc::new(Semaphore::new(window.into())),
            open: Mutex::default(),
            failure: OnceLock::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, OpenOperations> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failure(&self) -> Arc<AssociationError> {
        self.failure
            .get()
            .cloned()
            .unwrap_or_else(|| Arc::new(AssociationError::Over))
    }

    /// Waits for room in the window and takes a message ID that is not in use.
    pub(super) async fn open(self: &Arc<Self>) -> Result<Place, Arc<AssociationError>> {
        let permit = self
            .window
            .clone()
            .acquire_owned()
            .await
            .map_err(|_| self.failure())?;
        let (sender, replies) = mpsc::channel(WAITING_MAX);
        let mut open = self.lock();
        if open.is_over {
            return Err(self.failure());
        }
        let mut message_id = open.last_message_id;
        loop {
            message_id = message_id.checked_add(1).unwrap_or(1);
            if !open.senders.contains_key(&message_id) {
                break;
            }
        }
        open.last_message_id = message_id;
        open.senders.insert(message_id, sender);
        Ok(Place {
            shared: self.clone(),
            message_id,
            replies,
            _permit: permit,
        })
    }

    fn sender(&self, message_id: u16) -> Option<mpsc::Sender<Reply>> {
        self.lock().senders.get(&message_id).cloned()
    }

    /// Wakes everyone who waits.
    fn close(&self, error: Option<Arc<AssociationError>>) {
        if let Some(error) = error {
            // Only the driver sets it, once.
            let _ = self.failure.set(error);
        }
        let mut open = self.lock();
        open.is_over = true;
        open.senders.clear();
        self.window.close();
    }
}

/// An operation's place in the window, with its message ID; given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    shared: Arc<Shared>,
    message_id: u16,
    replies: mpsc::Receiver<Reply>,
    _permit: OwnedSemaphorePermit,
}

impl Place {
    pub(super) fn message_id(&self) -> u16 {
        self.message_id
    }

    pub(super) async fn reply(&mut self) -> Result<Reply, Arc<AssociationError>> {
        self.replies
            .recv()
            .await
            .ok_or_else(|| self.shared.failure())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.lock().senders.remove(&self.message_id);
    }
}

/// Reads `association` until it ends or `release` says that it shall.
pub(super) async fn run<R, W>(
    association: Association<R, W>,
    shared: Arc<Shared>,
    invocations: mpsc::Sender<Invocation<W>>,
    release: oneshot::Receiver<()>,
) -> Result<(), Arc<AssociationError>>
where
    R: AsyncRead + Unpin + Send,
    W: AsyncWrite + Unpin + Send,
{
    let result = drive(association, &shared, &invocations, release)
        .await
        .map_err(Arc::new);
    shared.close(result.as_ref().err().cloned());
    result
}

async fn drive<R, W>(
    mut association: Association<R, W>,
    shared: &Shared,
    invocations: &mpsc::Sender<Invocation<W>>,
    mut release: oneshot::Receiver<()>,
) -> Result<(), AssociationError>
where
    R: AsyncRead + Unpin + Send,
    W: AsyncWrite + Unpin + Send,
{
    loop {
        let incoming = tokio::select! {
            incoming = association.next_message() => incoming?,
            result = &mut release => {
                return match result {
                    Ok(()) => association.release().await,
                    Err(_) => {
                        association.abort().await;
                        Err(AssociationError::Over)
                    }
                };
            }
        };
        match incoming {
            Incoming::Message(message) => {
                take_message(&mut association, shared, invocations, message).await?;
            }
            Incoming::Release => {
                association.accept_release().await?;
                return Err(AssociationError::Released);
            }
        }
    }
}

async fn take_message<R, W>(
    association: &mut Association<R, W>,
    shared: &Shared,
    invocations: &mpsc::Sender<Invocation<W>>,
    message: Message,
) -> Result<(), AssociationError>
where
    R: AsyncRead + Unpin + Send,
    W: AsyncWrite + Unpin + Send,
{
    match Command::parse(&message.command) {
        Ok(Command::Response(response)) => {
            take_response(association, shared, &message, response).await
        }
        Ok(Command::Request(request)) => {
            let Some(context) = association
                .negotiated()
                .context(message.context_id)
                .cloned()
            else {
                return Ok(());
            };
            let (sender, receiver) = mpsc::channel(WAITING_MAX);
            let data_set = message.command.has_data_set().then_some(receiver);
            let writer = association.writer();
            let invocation = Invocation {
                context,
                request,
                data_set,
                writer,
            };
            // Nobody listens any more when the client is gone; the data set is discarded then.
            let _ = invocations.send(invocation).await;
            pass_data_set(association, sender).await
        }
        // Nothing that could be cancelled is performed here.
        Ok(Command::CCancel { .. }) => Ok(()),
        Err(error) => match error.response() {
            Some(response) => {
                let command = response.to_command_set();
                association
                    .writer()
                    .send(message.context_id, &command)
                    .await
            }
            None => {
                association.writer().abort().await;
                Err(AssociationError::Over)
            }
        },
    }
}

async fn take_response<R, W>(
    association: &mut Association<R, W>,
    shared: &Shared,
    message: &Message,
    response: Response,
) -> Result<(), AssociationError>
where
    R: AsyncRead + Unpin + Send,
    W: AsyncWrite + Unpin + Send,
{
    let Some(sender) = shared.sender(response.message_id) else {
        tracing::debug!(
            message_id = response.message_id,
            "response to nothing that is open"
        );
        return Ok(());
    };
    let mut data_set = None;
    if message.command.has_data_set() {
        let mut bytes = BytesMut::new();
        while let Some(chunk) = association.data_chunk().await? {
            if bytes.len().saturating_add(chunk.len()) > DATA_SET_LENGTH_MAX {
                association.writer().abort().await;
                return Err(AssociationError::Over);
            }
            bytes.extend_from_slice(&chunk);
        }
        data_set = Some(bytes.freeze());
    }
    // Whoever asked may have lost interest.
    let _ = sender.send(Reply { response, data_set }).await;
    Ok(())
}

async fn pass_data_set<R, W>(
    association: &mut Association<R, W>,
    sender: mpsc::Sender<io::Result<Bytes>>,
) -> Result<(), AssociationError>
where
    R: AsyncRead + Unpin + Send,
    W: AsyncWrite + Unpin + Send,
{
    loop {
        match association.data_chunk().await {
            // Read on when the receiver has gone.
            Ok(Some(chunk)) => drop(sender.send(Ok(chunk)).await),
            Ok(None) => return Ok(()),
            Err(error) => {
                let _ = sender.send(Err(io::Error::other(error.to_string()))).await;
                return Err(error);
            }
        }
    }
}
