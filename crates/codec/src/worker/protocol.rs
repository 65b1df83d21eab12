//! The messages between parent and worker: a length-prefixed head in postcard, then the bytes.
//!
//! ```text
//! u32 length of head | u64 length of bytes | head | bytes      (integers little endian)
//! ```

use crate::error::{Error, Result};
use crate::image::{ImageDescription, Limits};
use crate::render::{Format, RenderRequest};
use crate::syntax::Syntax;
use crate::transcode::{Relabel, Target};
use serde::{Deserialize, Serialize};

/// Bytes of the prefix.
pub(super) const PREFIX: usize = 12;
/// A head is small but for the tables of a presentation.
pub(super) const MAX_HEAD: u32 = 64 << 20;

/// What the parent says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Request {
    /// First of all, once: what the process may take.
    Start { memory: u64, limits: Limits },
    /// Decode the frame in the bytes.
    Decode { frame: FrameHead },
    /// Encode the frame anew.
    Transcode { frame: FrameHead, target: Target },
    /// Render the frame.
    Render {
        frame: FrameHead,
        request: RenderRequest,
    },
    /// Render frames as one moving picture; the bytes hold them one after the other.
    Animate {
        image: ImageDescription,
        syntax: Syntax,
        frames: Vec<MovingFrame>,
        request: RenderRequest,
    },
}

/// A frame without its bytes.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct FrameHead {
    pub image: ImageDescription,
    pub syntax: Syntax,
    pub first_bit: u32,
}

/// A frame of a moving picture.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct MovingFrame {
    pub length: u64,
    pub first_bit: u32,
    /// How long it is shown, in hundredths of a second.
    pub delay: u16,
}

/// What the worker says; the bytes that belong to it follow.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Response {
    Started,
    Decoded(ImageDescription),
    Transcoded(Relabel),
    Rendered {
        format: Format,
        width: u32,
        height: u32,
    },
    Failed(Error),
}

/// The prefix and the head of a message.
pub(super) fn head(message: &impl Serialize, bytes: usize) -> Result<Vec<u8>> {
    let head = postcard::to_extend(message, vec![0; PREFIX])
        .map_err(|error| Error::Worker(format!("message cannot be written: {error}")))?;
    let mut head = head;
    let length = (head.len() - PREFIX) as u32;
    head[..4].copy_from_slice(&length.to_le_bytes());
    head[4..PREFIX].copy_from_slice(&(bytes as u64).to_le_bytes());
    Ok(head)
}

/// Reads a prefix: the lengths of head and bytes.
pub(super) fn lengths(prefix: [u8; PREFIX], max_bytes: u64) -> Result<(usize, usize)> {
    let [a, b, c, d, rest @ ..] = prefix;
    let head = u32::from_le_bytes([a, b, c, d]);
    let bytes = u64::from_le_bytes(rest);
    if head > MAX_HEAD || bytes > max_bytes {
        return Err(Error::Worker(format!(
            "message of {head} and {bytes} bytes"
        )));
    }
    Ok((head as usize, bytes as usize))
}

/// Reads a head.
pub(super) fn parse<'a, M: Deserialize<'a>>(head: &'a [u8]) -> Result<M> {
    postcard::from_bytes(head)
        .map_err(|error| Error::Worker(format!("message cannot be read: {error}")))
}
