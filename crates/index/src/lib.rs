//! The index of stored instances: what there is, who it belongs to, where its bytes lie.
//!
//! One SQLite database with one [`Writer`] and many readers ([`Index`]). It is derived from the
//! ledger: each change that came through the ledger is committed together with the ledger's
//! position, without waiting for the disk, and a power cut costs nothing but a replay of the
//! ledger's last records. Lost altogether, it is built again from the ledger.
//!
//! The stored header of every instance is kept here, so that no query and no metadata request
//! ever opens a stored object.
//!
//! This crate must never touch a stored object, must never decide who may see what (it is told by
//! a [`Permit`] that every question takes), and no SQL leaves it.

mod access_keys;
pub mod change;
mod checkpoint;
mod counts;
mod database;
pub mod error;
mod header_pack;
pub mod index;
pub mod instance;
mod intern;
pub mod job;
mod migration;
mod parents;
pub mod permit;
pub mod query;
mod readers;
mod refresh;
pub mod remove;
pub mod search;
pub mod selection;
pub mod statistics;
mod store;
pub mod writer;

pub use access_keys::Mark;
pub use change::{Change, NewInstance, Outcome, Source, Target};
pub use database::PAGES;
pub use error::IndexError;
pub use index::{Index, Options};
pub use instance::{Existing, InstanceId, InstanceRow};
pub use job::{Job, JobState, NewJob};
pub use permit::Permit;
pub use query::Query;
pub use search::{Cancel, Match};
pub use selection::Selection;
pub use writer::{Span, Writer};
