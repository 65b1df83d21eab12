//! A small DICOMweb client (PS3.18), for commands that talk to a running server.

pub mod client;
pub mod multipart;
pub mod stow;
pub mod wado;
