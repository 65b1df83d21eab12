//! Storage commitment whose result is fetched by the one who asked (PS3.18 13): the request is
//! written down and worked on, also after a restart, and its result is kept for some days.

use super::check::Check;
use super::{FailureReason, LEASE, check_count, later, retry, written};
use crate::Archive;
use crate::error::{Error, Result};
use crate::statistics::now_micros;
use gantry_blob::failpoint;
use gantry_core::access::Right;
use gantry_core::failure::Kind;
use gantry_core::principal::Principal;
use gantry_index::job::{Job, JobChange, JobState};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// The jobs' kind in the index.
const KIND: &str = "storage-commitment-transaction";
/// Requests that are worked on at once. Reading all that is referenced keeps disks busy.
const CHECKERS: usize = 2;
/// Requests that may wait for that; more are refused.
const OPEN_MAX: u64 = 256;
/// Attempts before the result is that nothing can be committed: the index failed, or the process
/// ended, so often.
const ATTEMPTS_MAX: u32 = 6;
/// How often due requests are looked for when nothing has called.
const LOOK: Duration = Duration::from_secs(5);

/// An instance whose commitment is asked for.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Reference {
    /// SOP Class UID.
    pub sop_class_uid: String,
    /// SOP Instance UID.
    pub sop_instance_uid: String,
    /// Where it shall be, if that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parents: Option<Parents>,
}

/// Study and series of an instance.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Parents {
    /// Study Instance UID.
    pub study_instance_uid: String,
    /// Series Instance UID.
    pub series_instance_uid: String,
}

/// What is known of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transaction {
    /// It is still being worked on.
    Open,
    /// What became of each reference, in the order of the request.
    Done(Vec<Verdict>),
}

/// What became of a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// As it was asked for.
    pub reference: Reference,
    /// Why it is not committed; nothing when it is.
    pub failure: Option<FailureReason>,
}

/// What calls those who work on requests, and those who wait for a result.
#[derive(Debug, Default)]
pub(crate) struct Transactions {
    /// A request was written down.
    due: Notify,
    /// The result of a request was written down.
    done: Notify,
}

impl Archive {
    /// Asks for the commitment of instances, and waits up to `patience` for the result. It is
    /// found out in any case, also after a restart. The same request again is answered the same.
    ///
    /// # Errors
    /// [`Kind::Forbidden`]; [`Kind::Malformed`] for none or too many references;
    /// [`Kind::Conflict`] when the Transaction UID is in use for another request;
    /// [`Kind::OutOfResources`] when too many requests wait; what the index refuses.
    pub async fn commit(
        &self,
        principal: &Principal,
        transaction_uid: &str,
        references: &[Reference],
        patience: Duration,
    ) -> Result<Transaction> {
        self.require(principal, Right::Store)?;
        check_count(references.len())?;
        let payload = written(references)?;
        if self.transaction(transaction_uid).await?.is_none() {
            let open = self.index_blocking(|index| index.open_jobs(KIND)).await?;
            if open >= OPEN_MAX {
                return Err(Error::new(
                    Kind::OutOfResources,
                    "too many requests for commitment wait",
                ));
            }
            self.enqueue(KIND, transaction_uid, &payload).await?;
            self.transactions.due.notify_one();
        }
        let deadline = Instant::now() + patience;
        loop {
            let done = self.transactions.done.notified();
            tokio::pin!(done);
            // From here on no call is missed.
            done.as_mut().enable();
            let job = self
                .transaction(transaction_uid)
                .await?
                .ok_or_else(unknown)?;
            if job.payload != payload {
                return Err(Error::new(
                    Kind::Conflict,
                    "the Transaction UID is in use for another request",
                ));
            }
            let state = state_of(&job)?;
            if state != Transaction::Open || tokio::time::timeout_at(deadline, done).await.is_err()
            {
                return Ok(state);
            }
        }
    }

    /// What is known of an earlier request.
    ///
    /// # Errors
    /// [`Kind::Forbidden`]; [`Kind::NotFound`] when there was no such request, or it was
    /// forgotten; what the index refuses.
    pub async fn commitment(
        &self,
        principal: &Principal,
        transaction_uid: &str,
    ) -> Result<Transaction> {
        self.require(principal, Right::Store)?;
        let job = self.transaction(transaction_uid).await?;
        state_of(&job.ok_or_else(unknown)?)
    }

    async fn transaction(&self, transaction_uid: &str) -> Result<Option<Job>> {
        let key = transaction_uid.to_owned();
        self.index_blocking(move |index| index.job(KIND, &key))
            .await
    }

    /// Works on requests until the archive is closed or gone.
    pub(crate) fn spawn_checkers(self: &Arc<Self>) {
        let mut tasks = self.tasks();
        for _ in 0..CHECKERS {
            let calls = Arc::clone(&self.transactions);
            tasks.spawn(check_all(Arc::downgrade(self), calls));
        }
    }

    /// Works on the next request that is due; whether there was one.
    async fn check_next(&self) -> Result<bool> {
        let Some(job) = self.lease_job(KIND).await? else {
            return Ok(false);
        };
        let references = match references_of(&job) {
            Ok(references) => references,
            Err(error) => return self.give_up(job.id, &error.chain()).await.map(|()| true),
        };
        let checked = if job.attempts > ATTEMPTS_MAX {
            Err(Error::new(Kind::Internal, "it was begun too often"))
        } else {
            self.check(&job, &references).await
        };
        let reasons = match checked {
            Ok(reasons) => reasons,
            Err(error) if job.attempts < ATTEMPTS_MAX => {
                tracing::warn!("a commitment is checked again later: {}", error.chain());
                let retry = retry(job.id, job.attempts, &error.chain());
                return self.change_job(retry).await.map(|()| true);
            }
            Err(error) => {
                tracing::error!("a commitment cannot be checked: {}", error.chain());
                vec![Some(FailureReason::ProcessingFailure); references.len()]
            }
        };
        let failed = reasons.iter().flatten().count();
        self.change_job(JobChange::Complete {
            id: job.id,
            at: now_micros(),
            outcome: Some(written(&reasons)?),
        })
        .await?;
        self.transactions.done.notify_waiters();
        tracing::info!(
            transaction.uid = job.key,
            committed = references.len() - failed,
            failed,
            "commitment result written down"
        );
        Ok(true)
    }

    async fn check(
        &self,
        job: &Job,
        references: &[Reference],
    ) -> Result<Vec<Option<FailureReason>>> {
        let instances = references.iter().map(|one| one.sop_instance_uid.as_str());
        // Whether it may be asked for was decided when it was.
        let mut check = Check::begin(self, &Principal::system(), instances).await?;
        let mut extended = Instant::now();
        let mut reasons = Vec::with_capacity(references.len());
        for reference in references {
            if let Err(error) = failpoint::pass("commitment.check") {
                return Err(Error::caused(Kind::Internal, "a failpoint", error));
            }
            if extended.elapsed() > LEASE / 3 {
                let until = later(now_micros(), LEASE);
                self.change_job(JobChange::Extend { id: job.id, until })
                    .await?;
                extended = Instant::now();
            }
            let reason = check.reason_against(
                &reference.sop_class_uid,
                &reference.sop_instance_uid,
                reference.parents.as_ref(),
            );
            reasons.push(reason.await);
        }
        Ok(reasons)
    }
}

fn unknown() -> Error {
    Error::new(
        Kind::NotFound,
        "there is no request with this Transaction UID, or it was forgotten",
    )
}

fn references_of(job: &Job) -> Result<Vec<Reference>> {
    serde_json::from_str(&job.payload).map_err(unreadable)
}

fn state_of(job: &Job) -> Result<Transaction> {
    let outcome = match (job.state, &job.outcome) {
        (JobState::Queued | JobState::Leased, _) => return Ok(Transaction::Open),
        (JobState::Done, Some(outcome)) => outcome,
        _ => return Err(Error::new(Kind::Internal, "the request was given up")),
    };
    let reasons: Vec<Option<FailureReason>> = serde_json::from_str(outcome).map_err(unreadable)?;
    let verdicts = references_of(job)?.into_iter().zip(reasons);
    Ok(Transaction::Done(
        verdicts
            .map(|(reference, failure)| Verdict { reference, failure })
            .collect(),
    ))
}

fn unreadable(error: serde_json::Error) -> Error {
    Error::caused(Kind::Internal, "a written request is not readable", error)
}

async fn check_all(archive: Weak<Archive>, calls: Arc<Transactions>) {
    while let Some(open) = archive.upgrade() {
        let was_due = open.check_next().await.unwrap_or_else(|error| {
            tracing::warn!("commitments wait: {}", error.chain());
            false
        });
        drop(open);
        if !was_due {
            // A call, or a look from time to time for those whose pause is over.
            let _ = tokio::time::timeout(LOOK, calls.due.notified()).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ArchiveConfig;
    use std::path::Path;

    const PATIENCE: Duration = Duration::from_secs(20);

    async fn open(folder: &Path) -> Arc<Archive> {
        let config = ArchiveConfig {
            data: folder.to_owned(),
            pack_bytes: 1 << 20,
            ..ArchiveConfig::default()
        };
        Archive::open(config, Vec::new()).await.unwrap()
    }

    fn references(uids: &[&str]) -> Vec<Reference> {
        uids.iter()
            .map(|uid| Reference {
                sop_class_uid: "1.2".into(),
                sop_instance_uid: (*uid).into(),
                parents: None,
            })
            .collect()
    }

    fn all_unknown(references: &[Reference]) -> Transaction {
        let verdict = |reference: &Reference| Verdict {
            reference: reference.clone(),
            failure: Some(FailureReason::NoSuchObjectInstance),
        };
        Transaction::Done(references.iter().map(verdict).collect())
    }

    #[tokio::test]
    async fn the_same_request_has_the_same_result_and_another_is_a_conflict() {
        let folder = tempfile::tempdir().unwrap();
        let archive = open(folder.path()).await;
        let system = Principal::system();
        let (asked, other) = (references(&["1.3", "1.4"]), references(&["1.3"]));
        for _ in 0..2 {
            let found = archive.commit(&system, "1.9", &asked, PATIENCE).await;
            assert_eq!(found.unwrap(), all_unknown(&asked));
        }
        let conflict = archive.commit(&system, "1.9", &other, PATIENCE).await;
        assert_eq!(conflict.unwrap_err().kind(), Kind::Conflict);
        let unknown = archive.commitment(&system, "1.8").await;
        assert_eq!(unknown.unwrap_err().kind(), Kind::NotFound);
        let none = archive.commit(&system, "1.7", &[], PATIENCE).await;
        assert_eq!(none.unwrap_err().kind(), Kind::Malformed);
        archive.close().await;
    }

    #[tokio::test]
    async fn what_nobody_worked_on_is_worked_on_after_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let archive = open(folder.path()).await;
        let system = Principal::system();
        let asked = references(&["1.3"]);
        archive.stop_tasks().await;
        let found = archive.commit(&system, "1.9", &asked, Duration::ZERO).await;
        assert_eq!(found.unwrap(), Transaction::Open);
        archive.lease_job(KIND).await.unwrap().unwrap();
        archive.close().await;
        drop(archive);

        let archive = open(folder.path()).await;
        let found = archive.commit(&system, "1.9", &asked, PATIENCE).await;
        assert_eq!(found.unwrap(), all_unknown(&asked));
        archive.close().await;
    }

    #[tokio::test]
    async fn too_many_requests_are_refused_but_those_that_wait_are_known() {
        let folder = tempfile::tempdir().unwrap();
        let archive = open(folder.path()).await;
        let system = Principal::system();
        archive.stop_tasks().await;
        let asked = references(&["1.3"]);
        let commit = |number: u64| {
            let uid = format!("1.9.{number}");
            let (archive, system, asked) = (&archive, &system, &asked);
            async move { archive.commit(system, &uid, asked, Duration::ZERO).await }
        };
        for number in 0..OPEN_MAX {
            assert_eq!(commit(number).await.unwrap(), Transaction::Open);
        }
        let refused = commit(OPEN_MAX).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::OutOfResources);
        assert_eq!(commit(0).await.unwrap(), Transaction::Open);
        archive.close().await;
    }

    #[tokio::test]
    async fn a_request_that_was_begun_too_often_commits_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let archive = open(folder.path()).await;
        let system = Principal::system();
        archive.stop_tasks().await;
        let asked = references(&["1.3"]);
        let found = archive.commit(&system, "1.9", &asked, Duration::ZERO).await;
        assert_eq!(found.unwrap(), Transaction::Open);
        for _ in 0..ATTEMPTS_MAX {
            let job = archive.lease_job(KIND).await.unwrap().unwrap();
            let due = JobChange::Retry {
                id: job.id,
                due_at: 0,
                error: String::new(),
            };
            archive.change_job(due).await.unwrap();
        }
        assert!(archive.check_next().await.unwrap());
        let Transaction::Done(verdicts) = archive.commitment(&system, "1.9").await.unwrap() else {
            panic!("it is done")
        };
        assert_eq!(verdicts[0].failure, Some(FailureReason::ProcessingFailure));
        archive.close().await;
    }

    #[tokio::test]
    async fn results_are_forgotten_after_a_while() {
        let folder = tempfile::tempdir().unwrap();
        let archive = open(folder.path()).await;
        let system = Principal::system();
        let asked = references(&["1.3"]);
        let found = archive.commit(&system, "1.9", &asked, PATIENCE).await;
        assert_ne!(found.unwrap(), Transaction::Open);
        let now = now_micros();
        archive.forget_commitments(now).await.unwrap();
        assert!(archive.commitment(&system, "1.9").await.is_ok());
        let then = later(now, super::super::KEPT + Duration::from_secs(1));
        archive.forget_commitments(then).await.unwrap();
        let forgotten = archive.commitment(&system, "1.9").await.unwrap_err();
        assert_eq!(forgotten.kind(), Kind::NotFound);
        archive.close().await;
    }
}
