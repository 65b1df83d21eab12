//! Storage commitment (PS3.4 Annex J): the request is written down before it is answered, the
//! result is found out by reading the stored bytes, and its delivery is tried until it succeeds.

mod check;
pub mod report;
pub mod transaction;

use crate::Archive;
use crate::error::{Error, Result};
use crate::statistics::now_micros;
use check::Check;
use gantry_core::access::Right;
use gantry_core::failure::Kind;
use gantry_core::principal::Principal;
use gantry_index::job::{Job, JobChange, NewJob};
use gantry_index::{Change, Outcome, Writer};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// The jobs' kind in the index.
const KIND: &str = "storage-commitment";
/// How long the delivery of a result may take before another attempt may begin.
const LEASE: Duration = Duration::from_secs(300);
/// How long to wait after the first, second … attempt that failed; the last one repeats.
const PAUSES: [u64; 7] = [5, 15, 60, 300, 900, 3600, 4 * 3600];
/// Attempts before a result is given up: about four days.
const ATTEMPTS_MAX: u32 = 30;
/// How often due jobs are looked for when nothing has called.
const LOOK: Duration = Duration::from_secs(2);
/// Instances in one request, at most.
const INSTANCES_MAX: usize = 100_000;
/// How long it is known what became of a request.
const KEPT: Duration = Duration::from_secs(14 * 24 * 3600);

/// A request for storage commitment, as it is written down.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct CommitmentRequest {
    /// Transaction UID.
    pub transaction_uid: String,
    /// AE title of the one who asked, to whom the result goes.
    pub requestor: String,
    /// The AE title that was called.
    pub called: String,
    /// What shall be committed: SOP Class UID and SOP Instance UID.
    pub references: Vec<(String, String)>,
}

/// A result to deliver.
#[derive(Debug, Clone)]
pub struct CommitmentJob {
    /// The job's number.
    pub id: i64,
    /// What was asked.
    pub request: CommitmentRequest,
    /// How often delivery has been tried, this time included.
    pub attempt: u32,
}

/// What can be promised.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommitmentResult {
    /// Stored, and read back: SOP Class UID and SOP Instance UID.
    pub committed: Vec<(String, String)>,
    /// Not so.
    pub failed: Vec<CommitmentFailure>,
}

/// An instance that cannot be committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitmentFailure {
    /// SOP Class UID as asked.
    pub sop_class_uid: String,
    /// SOP Instance UID as asked.
    pub sop_instance_uid: String,
    /// Why.
    pub reason: FailureReason,
}

/// Failure Reason (0008,1197) of storage commitment (PS3.3 C.14.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum FailureReason {
    /// 0110H: the bytes could not be read or are not what was stored.
    ProcessingFailure,
    /// 0112H: there is no such instance.
    NoSuchObjectInstance,
    /// 0119H: it is of another SOP Class.
    ClassInstanceConflict,
}

impl FailureReason {
    /// The value of the attribute.
    pub fn code(self) -> u16 {
        match self {
            Self::ProcessingFailure => 0x0110,
            Self::NoSuchObjectInstance => 0x0112,
            Self::ClassInstanceConflict => 0x0119,
        }
    }
}

/// What calls the one who delivers results.
pub(crate) fn due() -> Arc<Notify> {
    Arc::new(Notify::new())
}

/// Makes jobs due that somebody had taken who went with the last process.
pub(crate) fn release_leases(writer: &mut Writer) -> Result<()> {
    let now = now_micros();
    let outcomes = writer.apply(&[Change::Job(JobChange::Release { now })], None)?;
    if let [Outcome::Changed(jobs @ 1..)] = outcomes.as_slice() {
        tracing::info!(jobs, "work that was cut off is taken up again");
    }
    Ok(())
}

impl Archive {
    /// Writes a request down; its result will be delivered, also after a restart. Asking twice
    /// with one Transaction UID is asking once, until the result has been told: from then on the
    /// UID is not active any more and not to be used again (PS3.4 J.3.3.1.2).
    ///
    /// # Errors
    /// [`Kind::Forbidden`]; [`Kind::Malformed`] for none or too many references;
    /// [`Kind::Conflict`] for a Transaction UID that was used up, or is in use for another
    /// request; what the index refuses.
    pub async fn request_commitment(
        &self,
        principal: &Principal,
        request: CommitmentRequest,
    ) -> Result<()> {
        self.require(principal, Right::Store)?;
        check_count(request.references.len())?;
        let payload = written(&request)?;
        let key = format!("{}/{}", request.requestor, request.transaction_uid);
        if !self.enqueue(KIND, &key, &payload).await? {
            let job = self
                .index_blocking(move |index| index.job(KIND, &key))
                .await?;
            if job.is_some_and(|job| job.finished_at.is_some() || job.payload != payload) {
                return Err(Error::new(
                    Kind::Conflict,
                    "the Transaction UID has been used before",
                ));
            }
        }
        self.commitment_due.notify_one();
        Ok(())
    }

    /// Writes a job down that is due at once; whether there was none with this key.
    async fn enqueue(&self, kind: &str, key: &str, payload: &str) -> Result<bool> {
        let now = now_micros();
        let job = NewJob {
            kind: kind.into(),
            key: Some(key.into()),
            payload: payload.into(),
            due_at: now,
            created_at: now,
        };
        let outcomes = self
            .committer()
            .change(move |writer, _| Ok(writer.apply(&[Change::Enqueue(job)], None)?))
            .await?;
        Ok(matches!(
            outcomes.as_slice(),
            [Outcome::Enqueued { is_new: true, .. }]
        ))
    }

    /// Waits for the next result to deliver. Report back with [`Self::commitment_delivered`] or
    /// [`Self::commitment_undelivered`].
    ///
    /// # Errors
    /// What the index refuses.
    pub async fn next_commitment(&self) -> Result<CommitmentJob> {
        loop {
            if let Some(job) = self.lease_job(KIND).await? {
                let request = serde_json::from_str(&job.payload).map_err(|error| {
                    Error::caused(Kind::Internal, "a written request is not readable", error)
                });
                match request {
                    Ok(request) => {
                        return Ok(CommitmentJob {
                            id: job.id,
                            request,
                            attempt: job.attempts,
                        });
                    }
                    Err(error) => self.give_up(job.id, &error.chain()).await?,
                }
                continue;
            }
            // A call, or a look from time to time for those whose pause is over.
            let _ = tokio::time::timeout(LOOK, self.commitment_due.notified()).await;
        }
    }

    /// Takes the next job of a kind that is due.
    async fn lease_job(&self, kind: &'static str) -> Result<Option<Job>> {
        let now = now_micros();
        let due = self
            .index_blocking(move |index| index.next_job_due(&[kind]))
            .await?;
        if due.is_none_or(|due| due > now) {
            return Ok(None);
        }
        let lease = JobChange::Lease {
            kinds: vec![kind.into()],
            now,
            until: later(now, LEASE),
            limit: 1,
        };
        let outcomes = self
            .committer()
            .change(move |writer, _| Ok(writer.apply(&[Change::Job(lease)], None)?))
            .await?;
        Ok(outcomes.into_iter().find_map(|outcome| match outcome {
            Outcome::Leased(jobs) => jobs.into_iter().next(),
            _ => None,
        }))
    }

    /// Finds out what can be promised: each instance is looked up and its bytes are read and
    /// compared with the digest they had when they came.
    ///
    /// # Errors
    /// What the index refuses. Bytes that cannot be read are a failure of the instance.
    pub async fn check_commitment(
        &self,
        principal: &Principal,
        references: &[(String, String)],
    ) -> Result<CommitmentResult> {
        let instances = references.iter().map(|(_, instance)| instance.as_str());
        let mut check = Check::begin(self, principal, instances).await?;
        let mut result = CommitmentResult::default();
        for (sop_class_uid, sop_instance_uid) in references {
            let reason = check.reason_against(sop_class_uid, sop_instance_uid, None);
            match reason.await {
                None => result
                    .committed
                    .push((sop_class_uid.clone(), sop_instance_uid.clone())),
                Some(reason) => result.failed.push(CommitmentFailure {
                    sop_class_uid: sop_class_uid.clone(),
                    sop_instance_uid: sop_instance_uid.clone(),
                    reason,
                }),
            }
        }
        Ok(result)
    }

    /// The result has been delivered.
    ///
    /// # Errors
    /// What the index refuses.
    pub async fn commitment_delivered(&self, job: &CommitmentJob) -> Result<()> {
        let done = JobChange::Complete {
            id: job.id,
            at: now_micros(),
            outcome: None,
        };
        self.change_job(done).await
    }

    /// The result could not be delivered: it is tried again later, for some days.
    ///
    /// # Errors
    /// What the index refuses.
    pub async fn commitment_undelivered(&self, job: &CommitmentJob, error: &str) -> Result<()> {
        if job.attempt >= ATTEMPTS_MAX {
            return self.give_up(job.id, error).await;
        }
        self.change_job(retry(job.id, job.attempt, error)).await
    }

    async fn give_up(&self, id: i64, error: &str) -> Result<()> {
        tracing::error!(job = id, "a storage commitment result is given up: {error}");
        self.change_job(JobChange::Fail {
            id,
            at: now_micros(),
            error: error.into(),
        })
        .await
    }

    async fn change_job(&self, change: JobChange) -> Result<()> {
        self.committer()
            .change(move |writer, _| Ok(writer.apply(&[Change::Job(change)], None)?))
            .await?;
        Ok(())
    }

    /// Forgets what became of requests that were done long ago.
    ///
    /// # Errors
    /// What the index refuses.
    pub(crate) async fn forget_commitments(&self, now: i64) -> Result<()> {
        let kept = i64::try_from(KEPT.as_micros()).unwrap_or(i64::MAX);
        let finished_before = now.saturating_sub(kept);
        self.change_job(JobChange::Forget { finished_before }).await
    }
}

fn check_count(references: usize) -> Result<()> {
    if (1..=INSTANCES_MAX).contains(&references) {
        return Ok(());
    }
    Err(Error::new(
        Kind::Malformed,
        "no or too many instances are referenced",
    ))
}

/// A request as it is written down.
fn written<T: serde::Serialize + ?Sized>(request: &T) -> Result<String> {
    serde_json::to_string(request)
        .map_err(|error| Error::caused(Kind::Internal, "the request is not written", error))
}

/// Microseconds since 1970 of what comes so much later.
fn later(now: i64, by: Duration) -> i64 {
    now.saturating_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX))
}

/// What becomes of a job whose attempt with this number has failed.
fn retry(id: i64, attempt: u32, error: &str) -> JobChange {
    let at = usize::try_from(attempt.saturating_sub(1)).unwrap_or(usize::MAX);
    let pause = PAUSES.get(at.min(PAUSES.len() - 1)).copied().unwrap_or(60);
    JobChange::Retry {
        id,
        due_at: later(now_micros(), Duration::from_secs(pause)),
        error: error.into(),
    }
}
