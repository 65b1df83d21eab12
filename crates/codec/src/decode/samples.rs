//! What codecs deliver, and how it becomes a native frame.

use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::image::{ImageDescription, Photometric};
use bytes::Bytes;

/// A frame as a codec delivers it: samples by pixel.
#[derive(Debug)]
pub(crate) struct Decoded {
    pub width: u32,
    pub height: u32,
    pub components: u32,
    /// Bits that a sample has in the codec's terms.
    pub precision: u32,
    pub samples: Samples,
    /// The colour space of the samples.
    pub photometric: Photometric,
}

/// Samples in the width the codec works with. Bits above the precision are of no meaning.
#[derive(Debug)]
pub(crate) enum Samples {
    Bytes(Vec<u8>),
    Words(Vec<u16>),
    Integers(Vec<i32>),
}

/// Compares what a coded frame announces with the header, before anything is allocated for it.
pub(super) fn check_announced(
    image: &ImageDescription,
    width: u32,
    height: u32,
    components: u32,
    precision: u32,
) -> Result<()> {
    let (rows, columns, samples) = (image.rows, image.columns, image.samples_per_pixel);
    if (width, height, components) != (columns, rows, samples) {
        return Err(Error::malformed(format!(
            "a coded frame of {width} by {height} with {components} samples a pixel, \
             where the header says {columns} by {rows} with {samples}"
        )));
    }
    if precision == 0 || precision > image.bits_allocated {
        return Err(Error::malformed(format!(
            "coded samples of {precision} bits, where the header allocates {}",
            image.bits_allocated
        )));
    }
    Ok(())
}

impl Decoded {
    /// Puts the samples into the container the header allocates. Signed samples get the sign of
    /// their highest coded bit.
    pub(super) fn into_frame(self, image: &ImageDescription) -> Result<Frame> {
        check_announced(
            image,
            self.width,
            self.height,
            self.components,
            self.precision,
        )?;
        let precision = self.precision;
        let signed = image.signed;
        let bytes = match (self.samples, image.bits_allocated) {
            (Samples::Bytes(samples), 8) if precision == 8 => samples,
            (Samples::Bytes(samples), bits) => pack(
                samples
                    .into_iter()
                    .map(|sample| extend(sample.into(), precision, signed)),
                bits,
            )?,
            (Samples::Words(samples), 16) if precision == 16 || !signed => {
                samples.into_iter().flat_map(u16::to_le_bytes).collect()
            }
            (Samples::Words(samples), bits) => pack(
                samples
                    .into_iter()
                    .map(|sample| extend(sample.into(), precision, signed)),
                bits,
            )?,
            (Samples::Integers(samples), bits) => pack(
                samples
                    .into_iter()
                    .map(|sample| extend(sample as u32, precision, signed)),
                bits,
            )?,
        };
        let image = ImageDescription {
            planar: false,
            photometric: self.photometric,
            ..image.clone()
        };
        if bytes.len() as u64 != image.frame_bytes() {
            return Err(Error::malformed(format!(
                "a coded frame of {} bytes, where the header means {}",
                bytes.len(),
                image.frame_bytes()
            )));
        }
        Ok(Frame {
            image,
            bytes: Bytes::from(bytes),
        })
    }
}

/// The lowest `precision` bits, with the sign extended to 32 bits when signed.
fn extend(sample: u32, precision: u32, signed: bool) -> u32 {
    let unused = 32 - precision.clamp(1, 32);
    if signed {
        (((sample << unused) as i32) >> unused) as u32
    } else {
        (sample << unused) >> unused
    }
}

fn pack(samples: impl ExactSizeIterator<Item = u32>, bits_allocated: u32) -> Result<Vec<u8>> {
    Ok(match bits_allocated {
        1 => {
            let mut bytes = vec![0; samples.len().div_ceil(8)];
            for (at, sample) in samples.enumerate() {
                if let Some(byte) = bytes.get_mut(at / 8) {
                    *byte |= ((sample & 1) as u8) << (at % 8);
                }
            }
            bytes
        }
        8 => samples.map(|sample| sample as u8).collect(),
        16 => samples
            .flat_map(|sample| (sample as u16).to_le_bytes())
            .collect(),
        32 => samples.flat_map(u32::to_le_bytes).collect(),
        other => {
            return Err(Error::unsupported(format!(
                "coded samples with {other} bits allocated"
            )));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_are_extended_from_the_coded_precision() {
        assert_eq!(extend(0x0fff, 12, true), 0xffff_ffff);
        assert_eq!(extend(0x07ff, 12, true), 0x07ff);
        assert_eq!(extend(0xffff_f001, 12, false), 1);
        assert_eq!(extend(0x8000_0000, 32, true), 0x8000_0000);
    }

    #[test]
    fn bits_are_packed_from_the_lowest() {
        let packed = pack([1, 0, 0, 1, 0, 0, 0, 0, 1].into_iter(), 1);
        assert_eq!(packed, Ok(vec![0b1001, 1]));
    }
}
