//! Native frames: byte order, bit packing, planes (PS3.5 8.1, 8.2 and D).

use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::image::ImageDescription;
use bytes::Bytes;

/// A little endian frame. Without planes to interleave the bytes are not copied.
pub(super) fn little_endian(
    image: &ImageDescription,
    bytes: &Bytes,
    first_bit: u32,
) -> Result<Frame> {
    let bytes = from_first_bit(image, bytes.clone(), first_bit);
    let size = frame_size(image, bytes.len())?;
    let bytes = bytes.slice(..size);
    let is_subsampled = size as u64 != image.frame_bytes();
    let bytes = if image.planar && !is_subsampled {
        interleave(image, &bytes)
    } else {
        bytes
    };
    Ok(Frame {
        image: ImageDescription {
            planar: false,
            words: false,
            ..image.clone()
        },
        bytes,
    })
}

/// A big endian frame. Samples of up to 8 bits are swapped only where they were written as words.
pub(super) fn big_endian(image: &ImageDescription, bytes: &[u8], first_bit: u32) -> Result<Frame> {
    let mut swapped = bytes.to_vec();
    let group = match image.bits_allocated {
        0..=8 if image.words => 2,
        bits => (bits / 8).max(1) as usize,
    };
    for sample in swapped.chunks_exact_mut(group) {
        sample.reverse();
    }
    little_endian(image, &Bytes::from(swapped), first_bit)
}

/// The bytes of the frame in what is there: in full, or with subsampled chrominance.
fn frame_size(image: &ImageDescription, available: usize) -> Result<usize> {
    let whole = image.frame_bytes();
    if available as u64 >= whole {
        return Ok(whole as usize);
    }
    match image.subsampled_frame_bytes() {
        Some(size) if available as u64 >= size => Ok(size as usize),
        _ => Err(Error::malformed(format!(
            "a frame of {available} bytes, where the header means {whole}"
        ))),
    }
}

/// Shifts the bits of a frame that does not begin at a byte. The last byte's unused bits are
/// cleared: they are the next frame's.
fn from_first_bit(image: &ImageDescription, bytes: Bytes, first_bit: u32) -> Bytes {
    let bytes = bytes.slice(((first_bit / 8) as usize).min(bytes.len())..);
    if image.bits_allocated != 1 {
        return bytes;
    }
    let shift = first_bit % 8;
    let bits = image.sample_count();
    let size = (bits.div_ceil(8) as usize).min(bytes.len());
    let mut shifted: Vec<u8> = (0..size)
        .map(|at| {
            let low = u16::from(bytes[at]);
            let high = bytes.get(at + 1).map_or(0, |byte| u16::from(*byte));
            ((low | high << 8) >> shift) as u8
        })
        .collect();
    if shift != 0 && bytes.len() * 8 < shift as usize + bits as usize {
        shifted.truncate(size.saturating_sub(1));
    }
    if !bits.is_multiple_of(8)
        && size as u64 == bits.div_ceil(8)
        && let Some(last) = shifted.get_mut(size - 1)
    {
        *last &= (1u8 << (bits % 8)) - 1;
    }
    Bytes::from(shifted)
}

/// From colour by plane to colour by pixel.
fn interleave(image: &ImageDescription, planes: &[u8]) -> Bytes {
    let samples = image.samples_per_pixel as usize;
    let width = (image.bits_allocated / 8) as usize;
    let mut pixels = vec![0; planes.len()];
    let plane_size = planes.len() / samples;
    if plane_size == 0 {
        return Bytes::from(pixels);
    }
    for (number, plane) in planes.chunks_exact(plane_size).take(samples).enumerate() {
        let places = pixels.chunks_exact_mut(samples * width);
        for (place, sample) in places.zip(plane.chunks_exact(width)) {
            place[number * width..(number + 1) * width].copy_from_slice(sample);
        }
    }
    Bytes::from(pixels)
}
