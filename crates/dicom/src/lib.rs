//! DICOM data sets: their encodings (PS3.5), their dictionary (PS3.6), their text, and their JSON
//! and XML models (PS3.18 F, PS3.19).
//!
//! Bytes in, values out: this crate must never open a file or a socket, and must never decode a
//! pixel. It is the only crate that names the dictionary crates it is built on. Everything in it
//! treats its input as hostile: depth, lengths and counts are bounded, and nothing panics.
#![deny(clippy::indexing_slicing)]

pub mod character_set;
pub mod data_set;
pub mod date_time;
pub mod dictionary;
pub mod element_path;
pub mod encoding;
pub mod frames;
pub mod header;
pub mod json;
mod limits;
pub mod matching;
pub mod model;
pub mod part10;
pub mod person_name;
pub mod scan;
pub mod sop_class;
pub mod text;
pub mod transcode;
pub mod transfer_syntax;
pub mod xml;

pub use dicom_core::{Tag, VR as Vr};
pub use dicom_dictionary_std::{tags, uids};
