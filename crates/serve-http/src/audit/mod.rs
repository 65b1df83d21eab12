//! The audit trail, for those who may read it: what happened, whether the trail is whole, and who
//! saw a patient's images.
//!
//! Patient IDs stand in bodies of requests, never in URLs, which end up in logs and histories.

mod auditor;
mod filter;
mod list;
mod report;
pub mod routes;
mod verify;
