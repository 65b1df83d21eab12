//! Pixels: decoding, encoding and rendering frames.
//!
//! Bytes of one frame in, samples or a picture out. This crate must never read a stored object
//! and must never know a door. What decodes or encodes with C or C++ libraries, and all that
//! decodes compressed bytes, is meant to run in a worker process: callers use [`Pool`].

mod colour;
pub mod decode;
pub mod encode;
pub mod error;
pub mod frame;
pub mod image;
mod jpeg;
mod openjpeg;
pub mod render;
pub mod syntax;
pub mod transcode;
pub mod worker;

pub use error::Error;
pub use frame::{Frame, StoredFrame};
pub use image::{ImageDescription, Limits, Photometric};
pub use render::{Presentation, RenderRequest, Rendered};
pub use syntax::Syntax;
pub use transcode::{Relabel, Target, Transcoded};
pub use worker::{Pool, PoolOptions};
