//! The colour pipelines (PS3.4 N.2.2 and N.2.5): palette, YBR to RGB, more than eight bits.

use super::picture::{Picture, Pixels};
use super::presentation::Palette;
use crate::colour::{expand_422, to_rgb};
use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::image::SampleKind;

/// Three samples a pixel.
pub(super) fn of_samples(frame: &Frame) -> Result<Picture> {
    let image = &frame.image;
    if image.samples != SampleKind::Integer || image.signed {
        return Err(Error::unsupported("colour of signed or real samples"));
    }
    let expanded = expand_422(frame)?;
    let converted = to_rgb(frame)?.or(expanded);
    let frame = converted.as_ref().unwrap_or(frame);
    let shift = image.bits_stored.saturating_sub(8);
    let rgb = match image.bits_allocated {
        8 => frame.bytes.to_vec(),
        16 => {
            let words = frame.bytes.as_chunks::<2>().0.iter();
            words
                .map(|word| (u16::from_le_bytes(*word) >> shift).min(255) as u8)
                .collect()
        }
        32 => {
            let words = frame.bytes.as_chunks::<4>().0.iter();
            words
                .map(|word| (u32::from_le_bytes(*word) >> shift).min(255) as u8)
                .collect()
        }
        other => {
            return Err(Error::unsupported(format!(
                "colour with {other} bits allocated"
            )));
        }
    };
    if rgb.len() as u64 != image.sample_count() {
        return Err(Error::malformed("colour samples are missing"));
    }
    Ok(Picture {
        width: image.columns,
        height: image.rows,
        pixels: Pixels::Rgb(rgb),
    })
}

/// Indices into a palette (PS3.3 C.7.6.3.1.5).
pub(super) fn of_palette(frame: &Frame, palette: &Palette) -> Result<Picture> {
    let image = &frame.image;
    let clean = frame.without_stray_bits();
    let indices = clean.as_ref().unwrap_or(frame).raw_integers();
    let mut rgb = Vec::with_capacity(indices.len() * 3);
    for index in indices {
        for lut in [&palette.red, &palette.green, &palette.blue] {
            rgb.push(lut.byte(index as f64));
        }
    }
    Ok(Picture {
        width: image.columns,
        height: image.rows,
        pixels: Pixels::Rgb(rgb),
    })
}
