//! Where imported instances go: an archive in this process, or a server by STOW-RS.

use crate::commands::dicomweb::client::DicomWeb;
use crate::commands::dicomweb::stow::Stowed;
use crate::commands::reach::Reached;
use crate::commands::report::Outcome;
use crate::commands::source::{self, Candidate};
use bytes::{Bytes, BytesMut};
use gantry_archive::Archive;
use gantry_archive::store::{Announcement, Receiving, StoreOutcome};
use gantry_core::failure::Kind;
use gantry_core::principal::Principal;
use gantry_dicom::part10::{self, FileMeta, NewFileMeta};
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

/// Bytes that are read and handed on at once.
const CHUNK: usize = 256 << 10;
/// Waits before a busy destination is tried again.
const WAITS: [Duration; 4] = [
    Duration::from_millis(500),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
];
/// Longest wait that a server can ask for.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// Where instances go.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "there is one in a process")]
pub enum Destination {
    /// An archive that this process has open.
    Archive(Arc<Archive>, Arc<Principal>),
    /// A server.
    Server(DicomWeb),
}

/// What became of one file.
#[derive(Debug)]
pub struct Imported {
    /// The outcome for the report.
    pub outcome: Outcome,
    /// Its SOP Instance UID, where it became known.
    pub sop_instance_uid: String,
    /// Bytes that were read.
    pub length: u64,
    /// Whether the trouble is the destination's, so that other files will fare no better.
    pub is_destination_s: bool,
}

impl Imported {
    fn of(outcome: Outcome) -> Self {
        Self {
            outcome,
            sop_instance_uid: String::new(),
            length: 0,
            is_destination_s: false,
        }
    }

    fn destination_failed(reason: String) -> Self {
        Self {
            is_destination_s: true,
            ..Self::of(Outcome::Failed(reason))
        }
    }
}

/// One attempt.
enum Attempt {
    Done(Imported),
    /// Worth another try, after a while.
    Busy(String, Option<Duration>),
}

impl Destination {
    /// A destination that was reached.
    pub fn new(reached: Reached) -> Self {
        match reached {
            Reached::Archive(archive) => Self::Archive(archive, Arc::new(Principal::command())),
            Reached::Server(server) => Self::Server(server),
        }
    }

    /// Imports one file; blocks.
    pub fn import(&self, candidate: &Candidate, runtime: &Handle) -> Imported {
        let mut waits = WAITS.iter();
        loop {
            let attempt = candidate
                .read(|file| self.attempt(file, runtime))
                .unwrap_or_else(|reason| Attempt::Done(Imported::of(Outcome::Failed(reason))));
            match (attempt, waits.next()) {
                (Attempt::Done(imported), _) => return imported,
                (Attempt::Busy(_, asked), Some(wait)) => {
                    std::thread::sleep(asked.unwrap_or(*wait).min(WAIT_MAX));
                }
                (Attempt::Busy(reason, _), None) => return Imported::destination_failed(reason),
            }
        }
    }

    fn attempt(&self, file: &mut dyn Read, runtime: &Handle) -> Attempt {
        let (meta, mut head) = match source::open_instance(file) {
            Ok(opened) => opened,
            Err(outcome) => return Attempt::Done(Imported::of(outcome)),
        };
        match self {
            Self::Archive(archive, principal) => {
                let announcement = Announcement::by(Arc::clone(principal));
                match archive.begin_part10(announcement) {
                    Ok(receiving) => store(receiving, &head, file, runtime),
                    Err(error) => refused(&error, String::new(), 0),
                }
            }
            Self::Server(server) => {
                let start = match part10_start(&meta, &mut head, file) {
                    Ok(start) => start,
                    Err(outcome) => return Attempt::Done(Imported::of(outcome)),
                };
                stow(server, start, file, runtime)
            }
        }
    }
}

fn store(mut receiving: Receiving, head: &[u8], file: &mut dyn Read, runtime: &Handle) -> Attempt {
    let mut length = head.len() as u64;
    let mut written = runtime.block_on(receiving.write(head));
    let mut chunk = vec![0; CHUNK];
    while written.is_ok() {
        let read = match source::read_full(file, &mut chunk) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) => {
                let reason = format!("cannot be read to its end: {error}");
                return Attempt::Done(Imported::of(Outcome::Failed(reason)));
            }
        };
        length += read as u64;
        written = runtime.block_on(receiving.write(chunk.get(..read).unwrap_or_default()));
    }
    let finished = match written {
        Ok(()) => runtime.block_on(receiving.finish()),
        Err(error) => Err(error),
    };
    match finished {
        Ok(stored) => Attempt::Done(Imported {
            outcome: match stored.outcome {
                StoreOutcome::New => Outcome::Stored,
                StoreOutcome::Identical => Outcome::Identical,
                StoreOutcome::DifferentKeptFirst => Outcome::DifferentKeptFirst,
            },
            sop_instance_uid: stored.sop_instance_uid.as_str().to_owned(),
            length,
            is_destination_s: false,
        }),
        Err(error) => {
            let uid = receiving
                .identifiers()
                .sop_instance_uid
                .clone()
                .unwrap_or_default();
            refused(&error, uid, length)
        }
    }
}

fn refused(error: &gantry_archive::Error, sop_instance_uid: String, length: u64) -> Attempt {
    if error.kind() == Kind::OutOfResources {
        return Attempt::Busy(error.chain(), None);
    }
    Attempt::Done(Imported {
        outcome: Outcome::Failed(error.message().to_owned()),
        sop_instance_uid,
        length,
        is_destination_s: error.kind() == Kind::Internal,
    })
}

/// The start of the file as STOW-RS wants it: with preamble and meta information (PS3.18
/// §8.7.3.5), which bare data sets lack.
fn part10_start(
    meta: &FileMeta,
    head: &mut Vec<u8>,
    file: &mut dyn Read,
) -> Result<Vec<u8>, Outcome> {
    if meta.has_preamble && !meta.elements.is_empty() {
        return Ok(std::mem::take(head));
    }
    let (class, instance) = source::identifiers(meta, head, file)?;
    let mut start = part10::write_meta(&NewFileMeta {
        sop_class: class.as_str(),
        sop_instance: instance.as_str(),
        transfer_syntax: meta.transfer_syntax(),
        ..NewFileMeta::default()
    });
    let offset = usize::try_from(meta.data_set_offset).unwrap_or(usize::MAX);
    start.extend_from_slice(head.get(offset..).unwrap_or_default());
    Ok(start)
}

fn stow(server: &DicomWeb, start: Vec<u8>, file: &mut dyn Read, runtime: &Handle) -> Attempt {
    let mut length = start.len() as u64;
    let storing = {
        let _context = runtime.enter();
        server.begin_store()
    };
    let mut is_wanted = runtime
        .block_on(async {
            storing.start().await?;
            storing.write(Bytes::from(start)).await
        })
        .is_ok();
    while is_wanted {
        let mut chunk = BytesMut::zeroed(CHUNK);
        match source::read_full(file, &mut chunk) {
            Ok(0) => break,
            Ok(read) => {
                length += read as u64;
                chunk.truncate(read);
                is_wanted = runtime.block_on(storing.write(chunk.freeze())).is_ok();
            }
            Err(error) => {
                storing.abort();
                let reason = format!("cannot be read to its end: {error}");
                return Attempt::Done(Imported::of(Outcome::Failed(reason)));
            }
        }
    }
    let imported = |outcome, uid| Imported {
        outcome,
        sop_instance_uid: uid,
        length,
        is_destination_s: false,
    };
    match runtime.block_on(storing.finish()) {
        Ok(Stowed::Stored {
            warning: None,
            sop_instance_uid,
        }) => Attempt::Done(imported(Outcome::Accepted, sop_instance_uid)),
        Ok(Stowed::Stored {
            warning: Some(warning),
            sop_instance_uid,
        }) => Attempt::Done(imported(Outcome::Warned(warning), sop_instance_uid)),
        Ok(Stowed::Refused {
            reason,
            sop_instance_uid,
        }) => Attempt::Done(imported(Outcome::Failed(reason), sop_instance_uid)),
        Ok(Stowed::Busy {
            reason,
            retry_after,
        }) => Attempt::Busy(reason, retry_after),
        // The connection may have been closed just when it was used again.
        Err(error) => Attempt::Busy(format!("{error:#}"), None),
    }
}
