//! The DICOM door: associations and the services on them (PS3.4 A, B, C, J).
//!
//! A service decodes a request, calls one function of the archive, and encodes the answer; there
//! is one file for each. This crate must never know SQL, a path, or another door; who may do what
//! is asked of the archive, never decided here.

mod admission;
mod c_echo;
mod c_find;
mod c_get;
mod c_move;
mod c_store;
mod commitment;
mod config;
mod destination;
mod echo_scu;
mod identifier;
mod listener;
mod n_action;
mod n_event_report;
mod negotiation;
mod operations;
mod places;
mod responses;
mod service;
mod session;
mod status;
mod sub_operations;
mod user_identity;

pub use config::DimseConfig;
pub use echo_scu::EchoScu;
pub use listener::{Listeners, serve};
