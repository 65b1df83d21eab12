//! The DICOM upper layer (PS3.8) and the DIMSE messages (PS3.7), for both ends of an association.
//!
//! [`pdu`], [`command_set`], [`command`], [`status`] and [`message`] are pure: bytes in, values
//! out, "need more" as a value. [`association`] drives them over any pair of byte streams, and
//! [`scu`] is a client on top. This crate must never know what a data set means, where instances
//! are kept, or which services its owner offers. Everything a peer sends is hostile: lengths and
//! counts are bounded, nothing panics, and whatever is wrong is answered by an A-ABORT.
#![deny(clippy::indexing_slicing)]

pub mod association;
pub mod command;
pub mod command_set;
pub mod message;
pub mod pdu;
pub mod scu;
pub mod source;
pub mod status;
