//! The vocabulary every other crate speaks: identifiers, titles, levels, who is asking, and the
//! kinds of failure a door has to translate.
//!
//! This crate must never do I/O, and must never know an encoding, a protocol or a store.

pub mod access;
pub mod ae_title;
pub mod certificate;
pub mod failure;
pub mod level;
pub mod principal;
pub mod secret;
pub mod uid;
