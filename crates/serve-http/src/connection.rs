//! A stream that does not wait for ever, and who is at its other end.

use gantry_core::certificate::PeerCertificate;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// The other end of a connection; every request has it among its extensions.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its address, IPv4 as such.
    pub address: SocketAddr,
    /// Whether the connection is secured (HTTPS).
    pub is_secure: bool,
    /// The certificate that it has shown, verified.
    pub certificate: Option<Arc<PeerCertificate>>,
}

impl Peer {
    /// One that speaks plain HTTP.
    pub fn plain(address: SocketAddr) -> Self {
        Self {
            address: SocketAddr::new(address.ip().to_canonical(), address.port()),
            is_secure: false,
            certificate: None,
        }
    }

    /// The same on a secured connection.
    pub fn secured(self, certificate: Option<Arc<PeerCertificate>>) -> Self {
        Self {
            is_secure: true,
            certificate,
            ..self
        }
    }

    /// Whether a request came over HTTPS to this server itself.
    pub fn is_secure(extensions: &axum::http::Extensions) -> bool {
        extensions.get::<Self>().is_some_and(|peer| peer.is_secure)
    }
}

/// A stream whose peer has to send its first byte, and to take what is written to it, within a
/// time. (Time-outs of later requests' header fields and bodies are kept where those are read.)
#[derive(Debug)]
pub struct TimedStream<S> {
    stream: S,
    first_byte: Deadline,
    has_sent: bool,
    write: Deadline,
}

#[derive(Debug)]
struct Deadline {
    limit: Duration,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Deadline {
    fn new(limit: Duration) -> Self {
        Self { limit, sleep: None }
    }

    /// Called whenever there is nothing to do: pending until the limit has passed since the first
    /// such call after the last progress.
    fn poll_expired(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let limit = self.limit;
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + limit)));
        sleep.as_mut().poll(context)
    }

    fn progress(&mut self) {
        self.sleep = None;
    }
}

impl<S> TimedStream<S> {
    /// Watches over `stream`.
    pub fn new(stream: S, first_byte: Duration, write: Duration) -> Self {
        Self {
            stream,
            first_byte: Deadline::new(first_byte),
            has_sent: false,
            write: Deadline::new(write),
        }
    }

    fn watch_write<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.write.progress();
            return written;
        }
        ready!(self.write.poll_expired(context));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "peer does not take its answer",
        )))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for TimedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let read = Pin::new(&mut this.stream).poll_read(context, buffer);
        if read.is_ready() {
            this.has_sent = true;
            this.first_byte.progress();
            return read;
        }
        if this.has_sent {
            return Poll::Pending;
        }
        ready!(this.first_byte.poll_expired(context));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "peer sends nothing",
        )))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for TimedStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch_write(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.watch_write(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_sends_nothing_is_dropped() {
        let (ours, _theirs) = tokio::io::duplex(64);
        let mut stream = TimedStream::new(ours, Duration::from_secs(5), Duration::from_secs(60));
        let error = stream.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_has_sent_may_pause() {
        let (ours, mut theirs) = tokio::io::duplex(64);
        let mut stream = TimedStream::new(ours, Duration::from_secs(5), Duration::from_secs(60));
        theirs.write_all(b"a").await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), b'a');
        let waiting = tokio::time::timeout(Duration::from_secs(3600), stream.read_u8()).await;
        assert!(waiting.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_does_not_read_is_dropped_but_a_slow_one_is_not() {
        let (ours, mut theirs) = tokio::io::duplex(8);
        let mut stream = TimedStream::new(ours, Duration::from_secs(5), Duration::from_secs(60));
        let reader = tokio::spawn(async move {
            for _ in 0..10 {
                tokio::time::sleep(Duration::from_secs(50)).await;
                theirs.read_exact(&mut [0; 8]).await.unwrap();
            }
            theirs
        });
        stream.write_all(&[0; 88]).await.unwrap();
        let _still_open = reader.await.unwrap();
        let error = stream.write_all(&[0; 88]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
