//! The byte streams below associations: TCP, as it is or secured.
//!
//! What is secured is known here by its behaviour alone, so that plain connections, of which
//! there are more, are read and written without detours.

use std::fmt::Debug;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// A connection that somebody has secured.
pub trait SecureStream: AsyncRead + AsyncWrite + Debug + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Debug + Unpin + Send> SecureStream for S {}

/// The incoming half of a connection.
#[derive(Debug)]
pub enum ReadHalf {
    /// TCP.
    Plain(OwnedReadHalf),
    /// TLS over TCP (PS3.15 B).
    Secure(tokio::io::ReadHalf<Box<dyn SecureStream>>),
}

/// The outgoing half of a connection.
#[derive(Debug)]
pub enum WriteHalf {
    /// TCP.
    Plain(OwnedWriteHalf),
    /// TLS over TCP (PS3.15 B).
    Secure(tokio::io::WriteHalf<Box<dyn SecureStream>>),
}

/// The halves of a connection.
pub fn plain(stream: TcpStream) -> (ReadHalf, WriteHalf) {
    let (reader, writer) = stream.into_split();
    (ReadHalf::Plain(reader), WriteHalf::Plain(writer))
}

/// The halves of a connection that was secured.
pub fn secure(stream: impl SecureStream + 'static) -> (ReadHalf, WriteHalf) {
    let stream: Box<dyn SecureStream> = Box::new(stream);
    let (reader, writer) = tokio::io::split(stream);
    (ReadHalf::Secure(reader), WriteHalf::Secure(writer))
}

impl AsyncRead for ReadHalf {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(half) => Pin::new(half).poll_read(context, buffer),
            Self::Secure(half) => Pin::new(half).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for WriteHalf {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Plain(half) => Pin::new(half).poll_write(context, bytes),
            Self::Secure(half) => Pin::new(half).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Plain(half) => Pin::new(half).poll_write_vectored(context, slices),
            Self::Secure(half) => Pin::new(half).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(half) => half.is_write_vectored(),
            Self::Secure(half) => half.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(half) => Pin::new(half).poll_flush(context),
            Self::Secure(half) => Pin::new(half).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(half) => Pin::new(half).poll_shutdown(context),
            Self::Secure(half) => Pin::new(half).poll_shutdown(context),
        }
    }
}
