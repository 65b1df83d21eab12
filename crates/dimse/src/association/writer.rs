//! The outgoing half of a connection, shared by everyone who has something to say.

use super::error::{AssociationError, Wait};
use super::settings::{Settings, Timeouts};
use crate::command_set::CommandSet;
use crate::pdu::Pdu;
use crate::pdu::abort::Abort;
use crate::pdu::p_data::{self, FragmentKind};
use crate::source::ChunkSource;
use bytes::{Buf, Bytes, BytesMut};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::Mutex;
use tokio::time::timeout;

/// Most slices of one vectored write.
const SLICES_MAX: usize = 64;
/// Queued bytes after which [`Writer::feed`] writes.
const QUEUE_LENGTH_MAX: usize = 64 << 10;
/// How long a data set's source may take before what there is of the message is written.
const PATIENCE: Duration = Duration::from_millis(100);
/// What is copied together when the stream does not take several slices at once.
const COPY_LENGTH_MAX: usize = 64 << 10;

/// Sends whole messages, one after the other: fragments of two messages never mix (PS3.8 E.1).
/// Clones share the stream.
#[derive(Debug)]
pub struct Writer<W> {
    output: Arc<Mutex<Output<W>>>,
    payload_max: u32,
    timeouts: Timeouts,
}

#[derive(Debug)]
struct Output<W> {
    io: W,
    /// Whole PDUs that are not written yet.
    queue: VecDeque<Bytes>,
    queue_length: usize,
    state: OutputState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OutputState {
    /// Between messages.
    Ready,
    /// In a message; it stays so when whoever sends it fails or gives up.
    InMessage,
    /// Nothing may follow.
    Over,
}

impl<W> Clone for Writer<W> {
    fn clone(&self) -> Self {
        Self {
            output: self.output.clone(),
            ..*self
        }
    }
}

/// No data set.
struct Nothing;

impl ChunkSource for Nothing {
    async fn next_chunk(&mut self) -> io::Result<Option<Bytes>> {
        Ok(None)
    }
}

impl<W: AsyncWrite + Unpin + Send> Writer<W> {
    pub(super) fn new(io: W, settings: &Settings) -> Self {
        let output = Output {
            io,
            queue: VecDeque::new(),
            queue_length: 0,
            state: OutputState::Ready,
        };
        let timeouts = settings.timeouts;
        Self {
            output: Arc::new(Mutex::new(output)),
            payload_max: 0,
            timeouts,
        }
    }

    /// Fits the fragments to the peer's maximum length.
    pub(super) fn set_maximum_length(
        &mut self,
        peer: u32,
        settings: &Settings,
    ) -> Result<(), AssociationError> {
        self.payload_max = p_data::payload_max(peer, settings.send_length_max)
            .ok_or(AssociationError::MaximumLength(peer))?;
        Ok(())
    }

    /// Sends a message without data set.
    pub async fn send(&self, context_id: u8, command: &CommandSet) -> Result<(), AssociationError> {
        let mut output = self.begin().await?;
        self.put_command(&mut output, context_id, command, false);
        output.end(self.timeouts.write).await
    }

    /// Sends a message with a data set, which is asked for its first bytes before anything is
    /// sent; from then on nothing is held back from the peer when more bytes take their time.
    /// [`AssociationError::Source`] leaves the association usable, a later failure
    /// ([`AssociationError::SourceCut`]) does not, since half a message cannot be taken back.
    pub async fn send_data_set(
        &self,
        context_id: u8,
        command: &CommandSet,
        mut source: impl ChunkSource,
    ) -> Result<(), AssociationError> {
        let first = source
            .next_chunk()
            .await
            .map_err(AssociationError::Source)?;
        let mut output = self.begin().await?;
        self.put_command(&mut output, context_id, command, true);
        self.put_data_set(&mut output, context_id, first, source)
            .await?;
        output.end(self.timeouts.write).await
    }

    /// Queues a message with a data set in memory. Queued messages are written when they are
    /// many, before the next message that is sent, or by [`Writer::flush`].
    pub async fn feed(
        &self,
        context_id: u8,
        command: &CommandSet,
        data_set: Bytes,
    ) -> Result<(), AssociationError> {
        let mut output = self.begin().await?;
        self.put_command(&mut output, context_id, command, true);
        self.put_data_set(&mut output, context_id, Some(data_set), Nothing)
            .await?;
        if output.queue_length < QUEUE_LENGTH_MAX {
            output.state = OutputState::Ready;
            return Ok(());
        }
        output.end(self.timeouts.write).await
    }

    /// Writes what is queued.
    pub async fn flush(&self) -> Result<(), AssociationError> {
        self.begin().await?.end(self.timeouts.write).await
    }

    /// Sends a PDU that is no P-DATA-TF, after which data may still follow.
    pub(super) async fn send_pdu(&self, pdu: &Pdu) -> Result<(), AssociationError> {
        let bytes = pdu.encode()?;
        let mut output = self.begin().await?;
        output.put(bytes.into());
        output.end(self.timeouts.write).await
    }

    /// Sends a last PDU and closes this half of the connection.
    pub(super) async fn finish(&self, pdu: &Pdu) -> Result<(), AssociationError> {
        self.send_pdu(pdu).await?;
        self.close().await;
        Ok(())
    }

    /// Aborts the association as the service-user: what is being sent is cut off, nothing follows.
    /// The reading half then sees the peer close the connection.
    pub async fn abort(&self) {
        self.abort_with(Abort::SERVICE_USER).await;
    }

    /// Sends an A-ABORT, unless the stream stands in the middle of a PDU, and closes this half of
    /// the connection.
    pub(super) async fn abort_with(&self, abort: Abort) {
        let limit = self.timeouts.linger;
        // Another task may be stuck in a write to the peer that we are giving up on.
        let Ok(mut output) = timeout(limit, self.output.lock()).await else {
            return;
        };
        if output.state == OutputState::Ready {
            output.put(Bytes::copy_from_slice(&abort.to_pdu()));
            // The peer is told if it still listens.
            let _ = output.end(limit).await;
        }
        output.close(limit).await;
    }

    /// Closes this half of the connection.
    pub(super) async fn close(&self) {
        let limit = self.timeouts.linger;
        if let Ok(mut output) = timeout(limit, self.output.lock()).await {
            output.close(limit).await;
        }
    }

    async fn begin(&self) -> Result<tokio::sync::OwnedMutexGuard<Output<W>>, AssociationError> {
        let mut output = self.output.clone().lock_owned().await;
        match output.state {
            OutputState::Ready => {
                output.state = OutputState::InMessage;
                Ok(output)
            }
            OutputState::InMessage => Err(AssociationError::Broken),
            OutputState::Over => Err(AssociationError::Over),
        }
    }

    fn put_command(
        &self,
        output: &mut Output<W>,
        context_id: u8,
        command: &CommandSet,
        has_data_set: bool,
    ) {
        let bytes = if command.has_data_set() == has_data_set {
            command.encode()
        } else {
            let mut command = command.clone();
            command.set_has_data_set(has_data_set);
            command.encode()
        };
        let mut fragments = Fragments::new(context_id, FragmentKind::Command, self.payload_max);
        fragments.push(bytes.into());
        fragments.finish(output);
    }

    async fn put_data_set(
        &self,
        output: &mut Output<W>,
        context_id: u8,
        first: Option<Bytes>,
        mut source: impl ChunkSource,
    ) -> Result<(), AssociationError> {
        let mut fragments = Fragments::new(context_id, FragmentKind::DataSet, self.payload_max);
        let mut next = first;
        while let Some(chunk) = next {
            fragments.push(chunk);
            fragments.cut(output);
            if output.queue_length >= QUEUE_LENGTH_MAX {
                output.write(self.timeouts.write).await?;
            }
            next = self.wait_for(&mut source, &mut fragments, output).await?;
        }
        fragments.finish(output);
        Ok(())
    }

    /// The next chunk of a source. While a slow one keeps us waiting, the peer gets the command
    /// and what there is of the data, lest it takes the association for idle.
    async fn wait_for(
        &self,
        source: &mut impl ChunkSource,
        fragments: &mut Fragments,
        output: &mut Output<W>,
    ) -> Result<Option<Bytes>, AssociationError> {
        let next = source.next_chunk();
        tokio::pin!(next);
        let next = match timeout(PATIENCE, &mut next).await {
            Ok(next) => next,
            Err(_) => {
                fragments.cut_short(output);
                output.write(self.timeouts.write).await?;
                next.await
            }
        };
        next.map_err(AssociationError::SourceCut)
    }
}

impl<W: AsyncWrite + Unpin> Output<W> {
    fn put(&mut self, bytes: Bytes) {
        self.queue_length = self.queue_length.saturating_add(bytes.len());
        self.queue.push_back(bytes);
    }

    /// Writes what is queued and leaves the message.
    async fn end(&mut self, limit: Duration) -> Result<(), AssociationError> {
        self.state = OutputState::InMessage;
        self.write(limit).await?;
        timeout(limit, self.io.flush())
            .await
            .map_err(|_| AssociationError::Timeout(Wait::Write))?
            .map_err(AssociationError::Io)?;
        self.state = OutputState::Ready;
        Ok(())
    }

    async fn write(&mut self, limit: Duration) -> Result<(), AssociationError> {
        if !self.io.is_write_vectored() {
            self.copy_together();
        }
        while !self.queue.is_empty() {
            let slices: Vec<IoSlice<'_>> = self
                .queue
                .iter()
                .take(SLICES_MAX)
                .map(|bytes| IoSlice::new(bytes))
                .collect();
            let count = timeout(limit, self.io.write_vectored(&slices))
                .await
                .map_err(|_| AssociationError::Timeout(Wait::Write))?
                .map_err(AssociationError::Io)?;
            if count == 0 {
                return Err(AssociationError::Io(io::ErrorKind::WriteZero.into()));
            }
            self.advance(count);
        }
        self.queue_length = 0;
        Ok(())
    }

    fn advance(&mut self, mut count: usize) {
        while let Some(first) = self.queue.front_mut() {
            if count < first.len() {
                first.advance(count);
                return;
            }
            count = count.saturating_sub(first.len());
            self.queue.pop_front();
        }
    }

    /// For streams that take one slice at a time: headers and short chunks travel together.
    fn copy_together(&mut self) {
        let mut together: VecDeque<Bytes> = VecDeque::new();
        let mut copy = BytesMut::new();
        for bytes in self.queue.drain(..) {
            if bytes.len() >= COPY_LENGTH_MAX {
                if !copy.is_empty() {
                    together.push_back(copy.split().freeze());
                }
                together.push_back(bytes);
            } else {
                copy.extend_from_slice(&bytes);
            }
        }
        if !copy.is_empty() {
            together.push_back(copy.freeze());
        }
        self.queue = together;
    }

    async fn close(&mut self, limit: Duration) {
        self.state = OutputState::Over;
        self.queue.clear();
        // The peer may be gone already.
        let _ = timeout(limit, self.io.shutdown()).await;
    }
}

/// Cuts a command or a data set into P-DATA-TF PDUs of one PDV each, without copying it.
struct Fragments {
    context_id: u8,
    kind: FragmentKind,
    payload_max: u32,
    chunks: VecDeque<Bytes>,
    length: usize,
}

impl Fragments {
    fn new(context_id: u8, kind: FragmentKind, payload_max: u32) -> Self {
        // The payload is set once the association is negotiated; before, nothing is sent.
        let payload_max = payload_max.max(2);
        Self {
            context_id,
            kind,
            payload_max,
            chunks: VecDeque::new(),
            length: 0,
        }
    }

    fn push(&mut self, chunk: Bytes) {
        if !chunk.is_empty() {
            self.length = self.length.saturating_add(chunk.len());
            self.chunks.push_back(chunk);
        }
    }

    /// Hands out the fragments that are certainly not the last.
    fn cut<W: AsyncWrite + Unpin>(&mut self, output: &mut Output<W>) {
        while self.length > self.payload_max as usize {
            self.fragment(self.payload_max, false, output);
        }
    }

    /// Hands out what there is in a fragment of even length. Something stays, so that the last
    /// fragment will not be empty.
    fn cut_short<W: AsyncWrite + Unpin>(&mut self, output: &mut Output<W>) {
        let length = self.length.saturating_sub(1) & !1;
        // After a cut there is less than the longest fragment takes.
        if let Ok(length) = u32::try_from(length)
            && length > 0
        {
            self.fragment(length, false, output);
        }
    }

    /// Hands out all that is left; the last fragment may be empty.
    fn finish<W: AsyncWrite + Unpin>(mut self, output: &mut Output<W>) {
        self.cut(output);
        let length = u32::try_from(self.length).unwrap_or(self.payload_max);
        self.fragment(length, true, output);
    }

    fn fragment<W: AsyncWrite + Unpin>(
        &mut self,
        length: u32,
        is_last: bool,
        output: &mut Output<W>,
    ) {
        let header = p_data::header(self.context_id, self.kind, is_last, length);
        output.put(Bytes::copy_from_slice(&header));
        let mut rest = length as usize;
        self.length = self.length.saturating_sub(rest);
        while rest > 0 {
            let Some(first) = self.chunks.front_mut() else {
                return;
            };
            if first.len() > rest {
                output.put(first.split_to(rest));
                return;
            }
            rest = rest.saturating_sub(first.len());
            if let Some(whole) = self.chunks.pop_front() {
                output.put(whole);
            }
        }
    }
}
