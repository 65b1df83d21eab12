//! The use cases of the archive: what may happen to DICOM instances, once, whatever the door.
//!
//! Every door (DICOM associations, DICOMweb, import, commands) calls the same functions here:
//! one way in ([`store`]), one way to ask ([`query`]), one way out ([`retrieve`]), one way to
//! remove ([`remove`]). Permission, duplicates, durability and provenance are decided here.
//!
//! This crate must never know a protocol: no PDU, no HTTP, no status code. Doors must never know
//! what is below it: no SQL, no path.

pub mod access;
pub mod archive;
pub mod callers;
mod catch_up;
pub mod commitment;
mod committer;
pub mod config;
pub mod error;
mod keys;
mod ledger_entry;
pub mod maintenance;
pub mod mark;
pub mod peers;
pub mod query;
pub mod remove;
pub mod retrieve;
pub mod statistics;
pub mod store;
mod trail;

pub use archive::Archive;
pub use error::{Error, Result};
