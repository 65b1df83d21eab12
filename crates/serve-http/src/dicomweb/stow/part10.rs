//! Instances that come as Part 10 files: each streams into the archive while it arrives.

use super::{Parts, Storing};
use crate::context::instance_url_of;
use crate::media_type::MediaType;
use crate::multipart::reader::{Event, PartHeader};
use crate::problem::{Problem, Purpose};
use crate::request_body::RequestBody;
use crate::store_response::{FailedInstance, StoredInstance, reason, reason_of};
use gantry_archive::Error;
use gantry_archive::store::{Receiving, StoreOutcome, Stored};
use gantry_core::failure::Kind;
use std::collections::BTreeMap;
use tokio::task::JoinSet;

/// Instances of one request that wait at once for their place on the disk. They share flushes, so
/// that a long request is not slowed down by waiting for each instance in turn.
const FINISHING_MAX: usize = 64;

/// What becomes of a part.
enum Part {
    /// Its bytes go into the archive.
    Receiving(Box<Receiving>),
    /// It failed; the rest of it is read and thrown away.
    Failed,
}

type Outcome = (usize, Result<Stored, FailedInstance>);

/// Instances whose bytes have arrived, and what became of those that are done.
#[derive(Default)]
pub struct Finishing {
    tasks: JoinSet<Outcome>,
    done: BTreeMap<usize, Result<Stored, FailedInstance>>,
    count: usize,
}

impl Finishing {
    /// Ends an instance in the background. Waits when too many are ending.
    pub async fn add(&mut self, mut receiving: Receiving, is_for_study: bool) {
        while self.tasks.len() >= FINISHING_MAX {
            self.join_one().await;
        }
        let at = self.count;
        self.count += 1;
        self.tasks.spawn(async move {
            let outcome = receiving.finish().await;
            (
                at,
                outcome.map_err(|error| failed(&receiving, &error, is_for_study)),
            )
        });
    }

    /// Notes an instance that failed before its end.
    pub fn add_failed(&mut self, failed: FailedInstance) {
        self.done.insert(self.count, Err(failed));
        self.count += 1;
    }

    /// Waits for all, and reports them in the order they came.
    pub async fn report(mut self, storing: &mut Storing<'_>) {
        while self.join_one().await {}
        let dicom_web_url = storing.asked.dicom_web_url();
        for at in 0..self.count {
            match self.done.remove(&at) {
                Some(Ok(stored)) => {
                    if stored.outcome == StoreOutcome::DifferentKeptFirst {
                        storing.kept_first += 1;
                    }
                    storing
                        .report
                        .stored(stored_instance(&dicom_web_url, &stored));
                }
                Some(Err(failed)) => storing.report.failed(failed),
                // The task broke off.
                None => storing.report.failed(FailedInstance {
                    sop_class_uid: None,
                    sop_instance_uid: None,
                    reason: reason::PROCESSING_FAILURE,
                    text: "storing it broke off".into(),
                }),
            }
        }
    }

    async fn join_one(&mut self) -> bool {
        match self.tasks.join_next().await {
            None => false,
            Some(Ok((at, outcome))) => {
                self.done.insert(at, outcome);
                true
            }
            Some(Err(error)) => {
                tracing::error!(%error, "storing an instance broke off");
                true
            }
        }
    }
}

/// The failure of an instance, with as much of its identity as is known.
pub fn failed(receiving: &Receiving, error: &Error, is_for_study: bool) -> FailedInstance {
    let kind = error.kind();
    if matches!(kind, Kind::Internal | Kind::OutOfResources) {
        tracing::error!(error = error.chain(), "an instance could not be stored");
    } else {
        tracing::info!(error = error.chain(), "an instance was refused");
    }
    let identifiers = receiving.identifiers();
    let reason = match kind {
        Kind::Conflict if is_for_study => reason::OTHER_STUDY,
        kind => reason_of(kind),
    };
    FailedInstance {
        sop_class_uid: identifiers.sop_class_uid.clone(),
        sop_instance_uid: identifiers.sop_instance_uid.clone(),
        reason,
        // What went wrong inside is for the log.
        text: match kind {
            Kind::Internal => String::new(),
            _ => error.chain(),
        },
    }
}

fn stored_instance(dicom_web_url: &str, stored: &Stored) -> StoredInstance {
    StoredInstance {
        sop_class_uid: stored.sop_class_uid.as_str().to_owned(),
        sop_instance_uid: stored.sop_instance_uid.as_str().to_owned(),
        study_instance_uid: stored.study_instance_uid.as_str().to_owned(),
        url: instance_url_of(
            dicom_web_url,
            stored.study_instance_uid.as_str(),
            stored.series_instance_uid.as_str(),
            stored.sop_instance_uid.as_str(),
        ),
    }
}

/// A request whose body is one Part 10 file.
pub async fn store_single(storing: &mut Storing<'_>, mut body: RequestBody) -> Result<(), Problem> {
    let is_for_study = storing.study.is_some();
    let mut finishing = Finishing::default();
    let mut part = begin(storing)?;
    let mut is_empty = true;
    while let Some(bytes) = body.next().await? {
        is_empty = false;
        write(&mut part, &bytes, &mut finishing, is_for_study).await;
    }
    if is_empty {
        return Ok(());
    }
    if let Part::Receiving(receiving) = part {
        finishing.add(*receiving, is_for_study).await;
    }
    finishing.report(storing).await;
    Ok(())
}

/// A multipart request of Part 10 files.
pub async fn store_parts(storing: &mut Storing<'_>, mut parts: Parts) -> Result<(), Problem> {
    let mut finishing = Finishing::default();
    let read = read_parts(storing, &mut parts, &mut finishing).await;
    // What is complete is stored and reported, also when the rest does not come.
    finishing.report(storing).await;
    read
}

async fn read_parts(
    storing: &Storing<'_>,
    parts: &mut Parts,
    finishing: &mut Finishing,
) -> Result<(), Problem> {
    let is_for_study = storing.study.is_some();
    let mut part = Part::Failed;
    while let Some(event) = parts.next().await? {
        match event {
            Event::Start(header) if is_part10(&header) => part = begin(storing)?,
            Event::Start(_) => {
                part = Part::Failed;
                finishing.add_failed(FailedInstance {
                    sop_class_uid: None,
                    sop_instance_uid: None,
                    reason: reason::CANNOT_UNDERSTAND,
                    text: "a part is no Part 10 file".into(),
                });
            }
            Event::Data(bytes) => write(&mut part, &bytes, finishing, is_for_study).await,
            Event::End => {
                if let Part::Receiving(receiving) = std::mem::replace(&mut part, Part::Failed) {
                    finishing.add(*receiving, is_for_study).await;
                }
            }
        }
    }
    Ok(())
}

/// A part without a type is taken for what the request says it has.
fn is_part10(header: &PartHeader) -> bool {
    let is_dicom = header.field("content-type").is_none_or(|text| {
        MediaType::parse(text).is_ok_and(|media_type| media_type.essence() == "application/dicom")
    });
    let is_binary = header
        .field("content-transfer-encoding")
        .is_none_or(|encoding| {
            ["binary", "8bit", "7bit"]
                .iter()
                .any(|plain| encoding.eq_ignore_ascii_case(plain))
        });
    is_dicom && is_binary
}

fn begin(storing: &Storing<'_>) -> Result<Part, Problem> {
    let receiving = storing
        .context
        .archive
        .begin_part10(storing.announcement())
        .map_err(|error| Problem::from_archive(&error, Purpose::Store))?;
    Ok(Part::Receiving(Box::new(receiving)))
}

async fn write(part: &mut Part, bytes: &[u8], finishing: &mut Finishing, is_for_study: bool) {
    let Part::Receiving(receiving) = part else {
        return;
    };
    if let Err(error) = receiving.write(bytes).await {
        finishing.add_failed(failed(receiving, &error, is_for_study));
        *part = Part::Failed;
    }
}
