//! Deflated Image Frame Compression (PS3.5 A.4.12): a native frame in a raw deflate stream.

use super::native;
use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::image::ImageDescription;
use bytes::Bytes;
use std::io::Read;

pub(super) fn decode(image: &ImageDescription, bytes: &[u8]) -> Result<Frame> {
    let wanted = image.frame_bytes();
    let mut inflated = Vec::new();
    // A stream that goes on beyond the frame is not followed.
    flate2::read::DeflateDecoder::new(bytes)
        .take(wanted)
        .read_to_end(&mut inflated)
        .map_err(|error| Error::malformed(format!("deflated frame: {error}")))?;
    native::little_endian(image, &Bytes::from(inflated), 0)
}
