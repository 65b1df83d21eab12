//! The incoming half of a connection.

use super::error::{AssociationError, Wait};
use super::settings::{Settings, Timeouts};
use crate::pdu::stream::{PduEvent, PduStream};
use bytes::BytesMut;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::{Instant, timeout};

/// First read of an association, and reads after a pause: idle peers must cost little.
const READ_LENGTH_MIN: usize = 8 << 10;
/// Longest read.
const READ_LENGTH_MAX: usize = 256 << 10;
/// A pause after which a large buffer is given back.
const PAUSE: Duration = Duration::from_secs(2);

/// Reads PDU events from a byte stream into one buffer, out of which the events' bytes are cut
/// without copying. [`Reader::next`] is cancel-safe: what was read stays in the buffer.
#[derive(Debug)]
pub(super) struct Reader<R> {
    input: Input<R>,
    stream: PduStream,
    timeouts: Timeouts,
    /// What is left of [`Timeouts::pdu`] for the PDU that has begun.
    pdu_rest: Duration,
}

#[derive(Debug)]
struct Input<R> {
    io: R,
    buffer: BytesMut,
    read_length: usize,
}

/// Takes the time spent waiting off a budget, also when the wait is cancelled.
struct Spending<'a> {
    since: Instant,
    rest: &'a mut Duration,
}

impl Drop for Spending<'_> {
    fn drop(&mut self) {
        *self.rest = self.rest.saturating_sub(self.since.elapsed());
    }
}

impl<R: AsyncRead + Unpin> Reader<R> {
    pub(super) fn new(io: R, settings: &Settings) -> Self {
        Self {
            input: Input {
                io,
                buffer: BytesMut::new(),
                read_length: READ_LENGTH_MIN,
            },
            stream: PduStream::new(settings.pdu_limits()),
            timeouts: settings.timeouts,
            pdu_rest: settings.timeouts.pdu,
        }
    }

    /// The next event. Between PDUs it may take `limit` (any time when there is none, otherwise
    /// failing with the given [`Wait`]), inside one [`Timeouts::pdu`].
    pub(super) async fn next(
        &mut self,
        limit: Option<(Duration, Wait)>,
    ) -> Result<PduEvent, AssociationError> {
        loop {
            if let Some(event) = self.stream.next(&mut self.input.buffer)? {
                if !self.stream.is_inside_pdu() {
                    self.pdu_rest = self.timeouts.pdu;
                }
                return Ok(event);
            }
            let missing = self.stream.missing(self.input.buffer.len());
            if self.stream.is_inside_pdu() || !self.input.buffer.is_empty() {
                let spending = Spending {
                    since: Instant::now(),
                    rest: &mut self.pdu_rest,
                };
                timeout(*spending.rest, self.input.fill(missing))
                    .await
                    .map_err(|_| AssociationError::Timeout(Wait::Pdu))??;
            } else if let Some((limit, wait)) = limit {
                timeout(limit, self.input.fill(missing))
                    .await
                    .map_err(|_| AssociationError::Timeout(wait))??;
            } else {
                self.input.fill_after_pause(missing).await?;
            }
        }
    }

    /// Discards what comes until the peer closes the connection or `limit` is over (Sta13).
    pub(super) async fn linger(&mut self, limit: Duration) {
        let discard = async {
            self.input.buffer = BytesMut::with_capacity(READ_LENGTH_MIN);
            loop {
                self.input.buffer.clear();
                match self.input.io.read_buf(&mut self.input.buffer).await {
                    Ok(0) | Err(_) => return,
                    Ok(_) => {}
                }
            }
        };
        // Whether the peer or the timer ends it makes no difference.
        let _ = timeout(limit, discard).await;
    }
}

impl<R: AsyncRead + Unpin> Input<R> {
    /// Reads at once if possible; gives a large buffer back before a long wait.
    async fn fill_after_pause(&mut self, missing: usize) -> Result<(), AssociationError> {
        if self.buffer.capacity() > READ_LENGTH_MIN {
            if let Ok(result) = timeout(PAUSE, self.fill(missing)).await {
                return result;
            }
            self.buffer = BytesMut::new();
            self.read_length = READ_LENGTH_MIN;
        }
        self.fill(missing).await
    }

    async fn fill(&mut self, missing: usize) -> Result<(), AssociationError> {
        self.make_room(missing);
        let room = self.buffer.capacity().saturating_sub(self.buffer.len());
        let count =
            self.io
                .read_buf(&mut self.buffer)
                .await
                .map_err(|error| match error.kind() {
                    // A secured connection that ends without saying so (RFC 8446 6.1), as most do.
                    io::ErrorKind::UnexpectedEof => AssociationError::Closed,
                    _ => AssociationError::Io(error),
                })?;
        if count == 0 {
            return Err(AssociationError::Closed);
        }
        if count == room {
            self.read_length = self.read_length.saturating_mul(4).min(READ_LENGTH_MAX);
        }
        Ok(())
    }

    /// Reuses the buffer when nobody holds bytes of it any more; otherwise a new one is started,
    /// and those who hold the old one keep it alive as long as they need it.
    fn make_room(&mut self, missing: usize) {
        let wanted = self.read_length.max(missing.min(READ_LENGTH_MAX));
        let room = self.buffer.capacity().saturating_sub(self.buffer.len());
        if room >= wanted / 2 || self.buffer.try_reclaim(wanted) {
            return;
        }
        let mut buffer = BytesMut::with_capacity(self.buffer.len().saturating_add(wanted));
        buffer.extend_from_slice(&self.buffer);
        self.buffer = buffer;
    }
}
