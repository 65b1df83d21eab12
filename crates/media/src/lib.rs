//! DICOM files as they lie on media and in folders: the directory of a File-set (DICOMDIR, PS3.3
//! Annex F), its file IDs (PS3.10 §8), trees of folders, and ZIP files.
//!
//! This crate finds files, names files and says what a file is. It must never interpret an
//! instance beyond the keys of a directory record, and must never know an archive or a protocol.
//! What it reads comes from anywhere: names, counts and sizes are bounded.
#![deny(clippy::indexing_slicing)]

pub mod content;
pub mod directory;
pub mod file_id;
pub mod file_name;
pub mod file_set;
pub mod folder;
mod keys;
mod locate;
pub mod record_type;
pub mod zip_file;
