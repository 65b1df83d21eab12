//! Bytes on their way out, a bounded number at a time.

use crate::error::{Error, Result};
use bytes::Bytes;
use futures_util::Stream;
use gantry_core::failure::Kind;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// Bytes of one chunk, at most.
pub(crate) const CHUNK_BYTES: usize = 512 << 10;
/// Chunks that wait for the reader.
const CHUNKS_AHEAD: usize = 3;

/// A bounded stream of chunks. Dropping it stops the work behind it.
#[derive(Debug)]
pub struct ByteStream {
    length: Option<u64>,
    source: Source,
}

#[derive(Debug)]
enum Source {
    /// Everything is here already.
    Ready(Option<Bytes>),
    /// Another thread reads or makes it.
    Channel(mpsc::Receiver<Result<Bytes>>),
}

impl ByteStream {
    /// A stream of one chunk.
    pub fn ready(bytes: Bytes) -> Self {
        Self {
            length: Some(bytes.len() as u64),
            source: Source::Ready(Some(bytes)),
        }
    }

    /// Length in bytes of what is still to come, where it is known.
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// The next chunk; nothing at the end. An error ends the stream.
    pub async fn next(&mut self) -> Option<Result<Bytes>> {
        std::future::poll_fn(|context| self.poll_chunk(context)).await
    }

    /// Everything, when the caller knows that it is little.
    ///
    /// # Errors
    /// What the stream fails with; [`Kind::OutOfResources`] above `limit` bytes.
    pub async fn collect(mut self, limit: usize) -> Result<Bytes> {
        let mut whole = match self.next().await {
            None => return Ok(Bytes::new()),
            Some(first) => first?,
        };
        let mut rest = Vec::new();
        while let Some(chunk) = self.next().await {
            let chunk = chunk?;
            if rest.is_empty() {
                rest.extend_from_slice(&whole);
            }
            rest.extend_from_slice(&chunk);
            if rest.len() > limit {
                return Err(Error::new(
                    Kind::OutOfResources,
                    "the value is too large to hold",
                ));
            }
        }
        if !rest.is_empty() {
            whole = rest.into();
        }
        Ok(whole)
    }

    /// Runs `produce` on a thread for blocking work; what it writes becomes the stream.
    pub(crate) fn produce(
        length: Option<u64>,
        produce: impl FnOnce(&mut ChunkWriter) -> Result<()> + Send + 'static,
    ) -> Self {
        let (sender, receiver) = mpsc::channel(CHUNKS_AHEAD);
        tokio::task::spawn_blocking(move || {
            let mut writer = ChunkWriter {
                sender,
                chunk: Vec::new(),
                is_abandoned: false,
            };
            if let Err(error) = produce(&mut writer).and_then(|()| writer.finish())
                && !writer.is_abandoned
            {
                // The reader may be gone as well; then nobody is left to tell.
                let _ = writer.sender.blocking_send(Err(error));
            }
        });
        Self {
            length,
            source: Source::Channel(receiver),
        }
    }

    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        match &mut self.source {
            Source::Ready(bytes) => Poll::Ready(bytes.take().filter(|b| !b.is_empty()).map(Ok)),
            Source::Channel(receiver) => receiver.poll_recv(context),
        }
    }
}

impl Stream for ByteStream {
    type Item = Result<Bytes>;
    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_chunk(context)
    }
}

/// The writing end of a [`ByteStream`], for blocking code.
#[derive(Debug)]
pub(crate) struct ChunkWriter {
    sender: mpsc::Sender<Result<Bytes>>,
    chunk: Vec<u8>,
    is_abandoned: bool,
}

impl ChunkWriter {
    /// Hands a whole chunk over without copying it, after what was written before.
    pub(crate) fn send(&mut self, bytes: Bytes) -> Result<()> {
        self.finish()?;
        self.hand_over(bytes)
    }

    /// Hands over what was written.
    fn finish(&mut self) -> Result<()> {
        let chunk = std::mem::take(&mut self.chunk);
        if chunk.is_empty() {
            Ok(())
        } else {
            self.hand_over(chunk.into())
        }
    }

    fn hand_over(&mut self, bytes: Bytes) -> Result<()> {
        if self.sender.blocking_send(Ok(bytes)).is_err() {
            self.is_abandoned = true;
            return Err(Error::new(Kind::Cancelled, "the reader is gone"));
        }
        Ok(())
    }
}

impl std::io::Write for ChunkWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.chunk.extend_from_slice(bytes);
        if self.chunk.len() >= CHUNK_BYTES {
            self.finish().map_err(std::io::Error::other)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[tokio::test]
    async fn what_is_written_comes_out_in_order() {
        let stream = ByteStream::produce(None, |writer| {
            writer.write_all(&[1; 3]).unwrap();
            writer.send(Bytes::from_static(&[2; 2]))?;
            writer.write_all(&vec![3; CHUNK_BYTES + 1]).unwrap();
            Ok(())
        });
        let all = stream.collect(2 * CHUNK_BYTES).await.unwrap();
        assert_eq!(&all[..6], &[1, 1, 1, 2, 2, 3]);
        assert_eq!(all.len(), 5 + CHUNK_BYTES + 1);
    }

    #[tokio::test]
    async fn an_error_is_the_last_item() {
        let mut stream = ByteStream::produce(None, |writer| {
            writer.write_all(b"x").unwrap();
            Err(Error::new(Kind::Internal, "broken"))
        });
        // What was not handed over yet is lost with the error: a partial chunk helps nobody.
        assert_eq!(
            stream.next().await.unwrap().unwrap_err().kind(),
            Kind::Internal
        );
        assert!(stream.next().await.is_none());
    }

    #[tokio::test]
    async fn a_reader_that_goes_away_stops_the_writer() {
        let (told, tell) = std::sync::mpsc::channel();
        let stream = ByteStream::produce(None, move |writer| {
            let mut outcome = Ok(());
            while outcome.is_ok() {
                outcome = writer.send(Bytes::from_static(&[0; 64]));
            }
            let _ = told.send(outcome.is_err());
            outcome
        });
        drop(stream);
        let stopped = tokio::task::spawn_blocking(move || tell.recv())
            .await
            .unwrap();
        assert_eq!(stopped, Ok(true));
    }
}
