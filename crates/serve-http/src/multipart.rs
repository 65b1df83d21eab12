//! `multipart/related` bodies (RFC 2046 §5.1, RFC 2387; PS3.18 8.6.1.2).

mod delimiter;
mod part_header;
pub mod reader;
pub mod writer;
