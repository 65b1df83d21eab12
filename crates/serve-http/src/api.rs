//! The API of the start page and of scripts; what it answers is plain JSON.

pub mod authority;
pub mod header;
pub mod health;
pub mod marks;
pub mod peers;
pub mod status;
pub mod studies;
