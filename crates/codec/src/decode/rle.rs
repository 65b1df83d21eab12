//! RLE Lossless (PS3.5 G).

use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::image::ImageDescription;
use bytes::Bytes;

/// Bytes of the header: a count and 15 offsets.
const HEADER: usize = 64;

/// Decodes a frame. Each byte of each sample is a segment of its own, the most significant first.
pub(super) fn decode(image: &ImageDescription, bytes: &[u8]) -> Result<Frame> {
    let width = (image.bits_allocated as usize).div_ceil(8);
    let samples = image.samples_per_pixel as usize;
    let segments = segments(bytes)?;
    if segments.len() != width * samples {
        return Err(Error::malformed(format!(
            "{} RLE segments, where the header means {}",
            segments.len(),
            width * samples
        )));
    }
    let size = image.frame_bytes() as usize;
    let mut frame = vec![0; size];
    let plane = size / segments.len();
    for (number, segment) in segments.into_iter().enumerate() {
        let (sample, byte) = (number / width, width - 1 - number % width);
        expand(
            segment,
            &mut frame,
            sample * width + byte,
            width * samples,
            plane,
        )?;
    }
    let image = ImageDescription {
        planar: false,
        words: false,
        ..image.clone()
    };
    Ok(Frame {
        image,
        bytes: Bytes::from(frame),
    })
}

/// The segments by the header's offsets.
fn segments(bytes: &[u8]) -> Result<Vec<&[u8]>> {
    let header = bytes
        .first_chunk::<HEADER>()
        .ok_or_else(|| Error::malformed("RLE header cut short"))?;
    let words: Vec<usize> = header
        .as_chunks::<4>()
        .0
        .iter()
        .map(|word| u32::from_le_bytes(*word) as usize)
        .collect();
    let count = words[0];
    if count == 0 || count > 15 {
        return Err(Error::malformed(format!("{count} RLE segments")));
    }
    let offsets = &words[1..=count];
    let mut segments = Vec::with_capacity(count);
    for (at, start) in offsets.iter().enumerate() {
        let end = offsets.get(at + 1).copied().unwrap_or(bytes.len());
        let segment = bytes.get(*start..end).filter(|_| *start >= HEADER);
        segments.push(segment.ok_or_else(|| Error::malformed("RLE segment outside the frame"))?);
    }
    Ok(segments)
}

/// Expands a segment into every `step`th byte from `first` on (PS3.5 G.3.2).
fn expand(segment: &[u8], frame: &mut [u8], first: usize, step: usize, count: usize) -> Result<()> {
    let mut places = frame.iter_mut().skip(first).step_by(step).take(count);
    let mut left = count;
    let mut rest = segment;
    while left > 0 {
        let [control, after @ ..] = rest else {
            return Err(Error::malformed("RLE segment ends early"));
        };
        match *control {
            128 => rest = after,
            literal @ 0..128 => {
                let (run, after) = after
                    .split_at_checked(usize::from(literal) + 1)
                    .or_else(|| (after.len() >= left).then_some((after, &[])))
                    .ok_or_else(|| Error::malformed("RLE segment ends early"))?;
                let run = &run[..run.len().min(left)];
                for (byte, place) in run.iter().zip(&mut places) {
                    *place = *byte;
                }
                left -= run.len();
                rest = after;
            }
            repeat => {
                let [byte, after @ ..] = after else {
                    return Err(Error::malformed("RLE segment ends early"));
                };
                let run = (257 - usize::from(repeat)).min(left);
                for place in places.by_ref().take(run) {
                    *place = *byte;
                }
                left -= run;
                rest = after;
            }
        }
    }
    Ok(())
}
