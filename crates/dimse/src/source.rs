//! Where the bytes of a data set to be sent come from.

use bytes::{Bytes, BytesMut};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc;

/// An encoded data set that is handed out piece by piece, so that no instance need be in memory.
pub trait ChunkSource: Send {
    /// The next bytes (empty ones are skipped); `None` at the end.
    fn next_chunk(&mut self) -> impl Future<Output = io::Result<Option<Bytes>>> + Send;
}

/// A data set that is in memory.
impl ChunkSource for Option<Bytes> {
    async fn next_chunk(&mut self) -> io::Result<Option<Bytes>> {
        Ok(self.take())
    }
}

/// Pieces that are in memory.
impl ChunkSource for std::vec::IntoIter<Bytes> {
    async fn next_chunk(&mut self) -> io::Result<Option<Bytes>> {
        Ok(self.next())
    }
}

/// Pieces made by another task.
impl ChunkSource for mpsc::Receiver<io::Result<Bytes>> {
    async fn next_chunk(&mut self) -> io::Result<Option<Bytes>> {
        self.recv().await.transpose()
    }
}

/// A data set that is read from a stream, a file for example, to its end.
#[derive(Debug)]
pub struct ReadSource<R> {
    reader: R,
    chunk_length: usize,
}

impl<R: AsyncRead + Unpin + Send> ReadSource<R> {
    /// Reads `reader` in chunks of up to 256 KiB.
    pub fn new(reader: R) -> Self {
        Self {
            reader,
            chunk_length: 256 << 10,
        }
    }
}

impl<R: AsyncRead + Unpin + Send> ChunkSource for ReadSource<R> {
    async fn next_chunk(&mut self) -> io::Result<Option<Bytes>> {
        let mut chunk = BytesMut::with_capacity(self.chunk_length);
        let count = self.reader.read_buf(&mut chunk).await?;
        Ok((count > 0).then(|| chunk.freeze()))
    }
}
