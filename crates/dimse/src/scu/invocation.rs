//! A request that the peer makes on an association that this end asked for.

use crate::association::Writer;
use crate::association::error::AssociationError;
use crate::association::negotiation::PresentationContext;
use crate::command::{Request, Response};
use crate::source::ChunkSource;
use bytes::Bytes;
use std::io;
use tokio::io::AsyncWrite;
use tokio::sync::mpsc;

/// A request of the peer, to be answered by [`Invocation::respond`].
#[derive(Debug)]
pub struct Invocation<W> {
    /// The presentation context it came in.
    pub context: PresentationContext,
    /// The request.
    pub request: Request,
    pub(super) data_set: Option<mpsc::Receiver<io::Result<Bytes>>>,
    pub(super) writer: Writer<W>,
}

/// The data set, as it arrives; an error when the association ends before the data set.
impl<W: AsyncWrite + Unpin + Send> ChunkSource for Invocation<W> {
    async fn next_chunk(&mut self) -> io::Result<Option<Bytes>> {
        match &mut self.data_set {
            Some(data_set) => data_set.recv().await.transpose(),
            None => Ok(None),
        }
    }
}

impl<W: AsyncWrite + Unpin + Send> Invocation<W> {
    /// Sends the response. What was not read of the data set is discarded.
    pub async fn respond(self, response: &Response) -> Result<(), AssociationError> {
        self.writer
            .send(self.context.id, &response.to_command_set())
            .await
    }
}
