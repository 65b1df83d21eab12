//! Deflated Image Frame Compression (PS3.5 A.4.12).

use crate::error::{Error, Result};
use std::io::Write;

pub(super) fn encode(bytes: &[u8]) -> Result<Vec<u8>> {
    let failed = |error: std::io::Error| Error::Worker(format!("deflate: {error}"));
    let mut encoder =
        flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).map_err(failed)?;
    encoder.finish().map_err(failed)
}
