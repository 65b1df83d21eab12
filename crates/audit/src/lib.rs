//! The audit trail (PS3.15 Annex A.5): who did what to which patient's studies, when and from
//! where; append-only, chained by hashes, and given on as DICOM Audit Messages.
//!
//! This crate must never know a protocol of images, a store or a door: it is told of events.

mod appender;
mod chain;
mod database;
mod error;
pub mod event;
pub mod export;
mod head_file;
pub mod kind;
mod log;
mod migration;
mod paths;
mod reader;
mod settings;
mod ticket;
pub mod verify;
mod windows;

pub use chain::{Hash, Head, HeadError};
pub use error::{AuditError, Result};
pub use event::{Actor, Event, Outcome, Patient, Study};
pub use kind::{Action, Family, Kind};
pub use log::{AuditLog, Written};
pub use reader::{Filter, PAGE_MAX, Page, Reader, Recorded};
pub use settings::{AuditSettings, CollectorSettings, Transport};
pub use ticket::Recording;
pub use verify::{Problem, Verified};
pub use windows::Access;
