//! What C-MOVE and C-GET have in common: instances are sent one after the other, counted, and the
//! counters told (PS3.4 C.4.2 and C.4.3).

use crate::identifier;
use crate::negotiation::{EXPLICIT_LITTLE, IMPLICIT_LITTLE};
use crate::operations::Cancel;
use crate::session::{Asked, Session};
use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, StreamExt};
use gantry_archive::query::Model;
use gantry_archive::retrieve::{ByteStream, InstanceRef};
use gantry_archive::{Archive, Error};
use gantry_core::access::Right;
use gantry_core::failure::Kind;
use gantry_core::uid::Uid;
use gantry_dicom::data_set::DataSet;
use gantry_dicom::{Vr, tags};
use gantry_dimse::association::error::AssociationError;
use gantry_dimse::association::negotiation::PresentationContext;
use gantry_dimse::command::{Response, SubOperations};
use gantry_dimse::source::ChunkSource;
use gantry_dimse::status::{Status, StatusClass};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Longest value of an attribute in explicit VR with a length of 16 bits, even.
const SHORT_VALUE_LENGTH_MAX: usize = 65_534;

/// A data set of the archive as something to send.
pub(crate) struct StreamSource(pub(crate) ByteStream);

impl ChunkSource for StreamSource {
    async fn next_chunk(&mut self) -> io::Result<Option<Bytes>> {
        let chunk = self.0.next().await.transpose();
        chunk.map_err(|error| io::Error::other(error.chain()))
    }
}

/// An instance with the presentation context it goes in.
#[derive(Debug, Clone)]
pub(crate) struct Planned {
    pub(crate) instance: InstanceRef,
    pub(crate) context: Option<PresentationContext>,
}

/// The instances that an identifier asks for, to send them to the one who asks or to the AE of
/// another title.
pub(crate) async fn select(
    session: &Session,
    asked: &Asked,
    model: Model,
    identifier: &DataSet,
    destination: Option<&str>,
) -> gantry_archive::Result<Vec<InstanceRef>> {
    let is_relational = session.is_relational_retrieval(asked);
    let selection = identifier::selection(identifier, model, is_relational)?;
    let archive = &session.server.archive;
    let principal = &session.principal;
    match destination {
        Some(title) => archive.select_to_send(principal, &selection, title).await,
        None => archive.select(principal, Right::Download, &selection).await,
    }
}

/// The context for an instance: in the order of `preferred` transfer syntaxes, then as stored,
/// then in whatever it can be had.
pub(crate) fn choose_context<'a>(
    archive: &Archive,
    instance: &InstanceRef,
    contexts: &[&'a PresentationContext],
    preferred: &[String],
) -> Option<&'a PresentationContext> {
    let find = |transfer_syntax: &str| {
        contexts
            .iter()
            .find(|context| context.transfer_syntax.as_str() == transfer_syntax)
            .filter(|_| archive.can_provide(instance, transfer_syntax))
            .copied()
    };
    preferred
        .iter()
        .find_map(|transfer_syntax| find(transfer_syntax))
        .or_else(|| find(&instance.transfer_syntax_uid))
        .or_else(|| find(EXPLICIT_LITTLE))
        .or_else(|| find(IMPLICIT_LITTLE))
        .or_else(|| {
            contexts
                .iter()
                .find_map(|context| find(context.transfer_syntax.as_str()))
        })
}

/// Instances in the order in which they go.
pub(crate) struct Feed<'a> {
    archive: &'a Archive,
    plan: VecDeque<Planned>,
}

impl<'a> Feed<'a> {
    pub(crate) fn new(archive: &'a Archive, plan: impl IntoIterator<Item = Planned>) -> Self {
        Self {
            archive,
            plan: plan.into_iter().collect(),
        }
    }

    /// The next instance, opened only now: what was just read is sent faster than what was read
    /// a while ago.
    async fn next(&mut self) -> Option<(Planned, Result<ByteStream, Error>)> {
        let planned = self.plan.pop_front()?;
        let stream = match &planned.context {
            Some(context) => {
                self.archive
                    .data_set(&planned.instance, context.transfer_syntax.as_str())
                    .await
            }
            None => Err(Error::new(
                Kind::Unsupported,
                "no presentation context was accepted in which the instance can be sent",
            )),
        };
        Some((planned, stream))
    }

    /// The instances that were not sent.
    pub(crate) fn into_rest(self) -> impl Iterator<Item = InstanceRef> {
        self.plan.into_iter().map(|planned| planned.instance)
    }
}

/// What became of a sub-operation.
pub(crate) enum Sent {
    /// The receiver has answered.
    Answered(Response),
    /// Nothing was sent, since the instance cannot be read.
    Unread(AssociationError),
    /// The association is of no more use.
    Lost(AssociationError),
}

impl From<AssociationError> for Sent {
    fn from(error: AssociationError) -> Self {
        match error {
            AssociationError::Source(_) => Self::Unread(error),
            error => Self::Lost(error),
        }
    }
}

/// How a run of sub-operations ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Run {
    /// All were tried.
    Finished,
    /// The invoker wants no more.
    Cancelled,
    /// The association over which they went was lost.
    Lost,
}

/// Sends what is fed, up to `window` instances at once.
pub(crate) async fn run<F>(
    feed: &mut Feed<'_>,
    window: usize,
    cancel: &Cancel,
    progress: &mut Progress<'_>,
    send: impl Fn(Planned, PresentationContext, ByteStream) -> F,
) -> Result<Run, AssociationError>
where
    F: Future<Output = (InstanceRef, Sent)>,
{
    let mut under_way = FuturesUnordered::new();
    let mut run = Run::Finished;
    loop {
        while under_way.len() < window.max(1) && run == Run::Finished {
            if cancel.is_cancelled() {
                run = Run::Cancelled;
                break;
            }
            match feed.next().await {
                Some((planned, Ok(stream))) => match planned.context.clone() {
                    Some(context) => under_way.push(send(planned, context, stream)),
                    None => progress.failed(&planned.instance, "no presentation context"),
                },
                Some((planned, Err(error))) => progress.failed(&planned.instance, &error.chain()),
                None => break,
            }
        }
        let Some((instance, sent)) = under_way.next().await else {
            return Ok(run);
        };
        match sent {
            Sent::Answered(response) => progress.answered(&instance, &response),
            Sent::Unread(error) => progress.failed(&instance, &error.to_string()),
            Sent::Lost(error) => {
                progress.failed(&instance, &error.to_string());
                run = Run::Lost;
            }
        }
        if run == Run::Finished {
            progress.tell().await?;
        }
    }
}

/// Counts sub-operations, and tells the invoker.
pub(crate) struct Progress<'a> {
    session: &'a Session,
    asked: &'a Asked,
    tally: Tally,
    told_at: Instant,
}

impl<'a> Progress<'a> {
    pub(crate) fn new(session: &'a Session, asked: &'a Asked, total: usize) -> Self {
        Self {
            session,
            asked,
            tally: Tally::new(total),
            told_at: Instant::now(),
        }
    }

    pub(crate) fn failed(&mut self, instance: &InstanceRef, reason: &str) {
        tracing::warn!(
            sop_instance.uid = &*instance.sop_instance_uid,
            operation = self.asked.request.operation().name(),
            "instance not sent: {reason}"
        );
        self.tally.failed(&instance.sop_instance_uid);
    }

    fn answered(&mut self, instance: &InstanceRef, response: &Response) {
        match response.status.class() {
            StatusClass::Success => self.tally.completed += 1,
            StatusClass::Warning => self.tally.warning += 1,
            StatusClass::Failure | StatusClass::Cancel | StatusClass::Pending => {
                let comment = response.error_comment.as_deref().unwrap_or_default();
                self.failed(instance, &format!("status {} {comment}", response.status));
            }
        }
    }

    /// How many went well so far.
    pub(crate) fn sent(&self) -> u64 {
        self.tally.completed.saturating_add(self.tally.warning)
    }

    /// Sends a pending response if the last one was sent long enough ago.
    async fn tell(&mut self) -> Result<(), AssociationError> {
        let interval = Duration::from_millis(self.session.server.config.pending_interval_ms);
        if self.told_at.elapsed() < interval || self.tally.remaining() == 0 {
            return Ok(());
        }
        self.told_at = Instant::now();
        let response = self.asked.request.response(Status::PENDING);
        let response = response.with_sub_operations(self.tally.counters(true));
        self.session.respond(self.asked, &response).await
    }

    /// Sends the final response, with the list of what failed.
    pub(crate) async fn finish(
        self,
        is_cancelled: bool,
        comment: Option<&str>,
    ) -> Result<(), AssociationError> {
        let status = self.tally.final_status(is_cancelled);
        let mut response = self.asked.request.response(status);
        if let Some(comment) = comment.filter(|_| status != Status::SUCCESS) {
            response = response.with_comment(comment);
        }
        let response = response.with_sub_operations(self.tally.counters(is_cancelled));
        let is_explicit = identifier::encoding(&self.asked.context).is_explicit();
        match self.tally.failed_list(is_explicit) {
            Some(list) => {
                let data_set = identifier::encode(&list, &self.asked.context);
                self.session
                    .respond_with(self.asked, &response, data_set)
                    .await
            }
            None => self.session.respond(self.asked, &response).await,
        }
    }
}

/// Numbers of sub-operations, and which of them failed.
#[derive(Debug, Default)]
struct Tally {
    total: u64,
    completed: u64,
    warning: u64,
    failed: Vec<Arc<str>>,
}

impl Tally {
    fn new(total: usize) -> Self {
        Self {
            total: total as u64,
            ..Self::default()
        }
    }

    fn failed(&mut self, sop_instance_uid: &Arc<str>) {
        self.failed.push(sop_instance_uid.clone());
    }

    fn remaining(&self) -> u64 {
        let done = self.completed + self.warning + self.failed.len() as u64;
        self.total.saturating_sub(done)
    }

    /// The counters have VR US: what does not fit is told as the most that does.
    fn counters(&self, has_remaining: bool) -> SubOperations {
        let number = |count: u64| u16::try_from(count).unwrap_or(u16::MAX);
        SubOperations {
            remaining: has_remaining.then(|| number(self.remaining())),
            completed: number(self.completed),
            failed: number(self.failed.len() as u64),
            warning: number(self.warning),
        }
    }

    /// PS3.4 Tables C.4-2 and C.4-3.
    fn final_status(&self, is_cancelled: bool) -> Status {
        if is_cancelled && self.remaining() > 0 {
            Status::CANCEL
        } else if self.failed.is_empty() && self.warning == 0 {
            Status::SUCCESS
        } else if self.completed == 0 && self.warning == 0 {
            Status::UNABLE_TO_PERFORM_SUB_OPERATIONS
        } else {
            Status::SUB_OPERATIONS_COMPLETE_WITH_FAILURES
        }
    }

    /// Failed SOP Instance UID List (0008,0058); nothing when nothing failed. In explicit VR its
    /// length has 16 bits: what does not fit is left out, the counters still tell its number.
    fn failed_list(&self, is_explicit: bool) -> Option<DataSet> {
        let mut value = String::new();
        for uid in &self.failed {
            let length = value.len().saturating_add(uid.len()).saturating_add(1);
            if is_explicit && length > SHORT_VALUE_LENGTH_MAX {
                break;
            }
            if !value.is_empty() {
                value.push('\\');
            }
            value.push_str(uid);
        }
        if value.is_empty() {
            return None;
        }
        let mut data_set = DataSet::new();
        data_set.put_text(tags::FAILED_SOP_INSTANCE_UID_LIST, Vr::UI, &value);
        Some(data_set)
    }
}

/// A UID of the archive in the terms of messages.
pub(crate) fn uid(text: &str) -> Result<Uid, AssociationError> {
    Uid::parse_lenient(text).map_err(|error| AssociationError::Source(io::Error::other(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(total: u64, completed: u64, warning: u64, failed: usize) -> Tally {
        Tally {
            total,
            completed,
            warning,
            failed: vec!["1.2.3".into(); failed],
        }
    }

    #[test]
    fn final_statuses_are_those_of_the_tables() {
        for (total, completed, warning, failed, is_cancelled, status) in [
            (0, 0, 0, 0, false, 0x0000),
            (2, 2, 0, 0, false, 0x0000),
            (2, 1, 0, 1, false, 0xB000),
            (2, 1, 1, 0, false, 0xB000),
            (2, 0, 1, 1, false, 0xB000),
            (2, 0, 0, 2, false, 0xA702),
            (2, 1, 0, 0, true, 0xFE00),
            // Cancelled when all was done: nothing was left to be cancelled.
            (2, 2, 0, 0, true, 0x0000),
        ] {
            let tally = tally(total, completed, warning, failed);
            assert_eq!(
                tally.final_status(is_cancelled),
                Status(status),
                "{tally:?}"
            );
        }
    }

    #[test]
    fn remaining_is_told_on_the_way_and_on_cancel_only() {
        let tally = tally(5, 1, 1, 1);
        let on_the_way = SubOperations {
            remaining: Some(2),
            completed: 1,
            failed: 1,
            warning: 1,
        };
        assert_eq!(tally.counters(true), on_the_way);
        assert_eq!(
            tally.counters(false),
            SubOperations {
                remaining: None,
                ..on_the_way
            }
        );
    }

    #[test]
    fn counters_stop_at_what_fits() {
        assert_eq!(
            tally(100_000, 70_000, 0, 0).counters(true).completed,
            u16::MAX
        );
        assert_eq!(
            tally(100_000, 70_000, 0, 0).counters(true).remaining,
            Some(30_000)
        );
    }

    #[test]
    fn the_list_of_failures_fits_its_encoding() {
        assert_eq!(tally(1, 1, 0, 0).failed_list(true), None);
        let list = |count, is_explicit| {
            let list = tally(count as u64, 0, 0, count)
                .failed_list(is_explicit)
                .unwrap();
            list.strings(tags::FAILED_SOP_INSTANCE_UID_LIST).len()
        };
        assert_eq!(list(3, true), 3);
        assert_eq!(list(20_000, true), 10_922);
        assert_eq!(list(20_000, false), 20_000);
    }
}
