//! Frames: as stored, and decoded.

use crate::image::{ImageDescription, SampleKind};
use crate::syntax::Syntax;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One frame as it lies in a stored object.
#[derive(Debug, Clone)]
pub struct StoredFrame {
    /// What the object's header says of it.
    pub image: Arc<ImageDescription>,
    /// How the bytes are coded.
    pub syntax: Syntax,
    /// The frame's bytes as stored: of a native object the bytes of
    /// [`ImageDescription::native_frame`] in the object's own byte order, of an encapsulated one
    /// the values of the frame's fragments, one after the other.
    pub bytes: Bytes,
    /// The frame's first bit in `bytes`, see [`crate::image::NativeFrame`]; 0 when encapsulated.
    pub first_bit: u32,
}

/// A decoded frame: samples as in a native little endian frame, colour by pixel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// What the samples are now. The photometric interpretation is that of the samples, which
    /// may differ from the object's label: decoding YBR_RCT and YBR_ICT gives RGB.
    pub image: ImageDescription,
    /// The samples in little endian, [`ImageDescription::frame_bytes`] long; for a native 4:2:2
    /// frame [`ImageDescription::subsampled_frame_bytes`]. 1-bit samples are packed, the first
    /// pixel in the lowest bit.
    pub bytes: Bytes,
}

impl Frame {
    /// The integer samples, one by one; 1-bit samples as 0 and 1. Nothing for real numbers.
    /// Bits above Bits Stored are not touched: see [`Frame::without_stray_bits`].
    pub fn raw_integers(&self) -> Vec<i64> {
        let wanted = self.image.sample_count() as usize;
        match (
            self.image.samples,
            self.image.bits_allocated,
            self.image.signed,
        ) {
            (SampleKind::Integer, 1, _) => (0..wanted)
                .map(|at| {
                    i64::from(
                        self.bytes
                            .get(at / 8)
                            .map_or(0, |byte| byte >> (at % 8) & 1),
                    )
                })
                .collect(),
            (SampleKind::Integer, 8, false) => {
                self.bytes.iter().map(|byte| i64::from(*byte)).collect()
            }
            (SampleKind::Integer, 8, true) => self
                .bytes
                .iter()
                .map(|byte| i64::from(*byte as i8))
                .collect(),
            (SampleKind::Integer, 16, false) => {
                each(&self.bytes, |b| i64::from(u16::from_le_bytes(b)))
            }
            (SampleKind::Integer, 16, true) => {
                each(&self.bytes, |b| i64::from(i16::from_le_bytes(b)))
            }
            (SampleKind::Integer, 32, false) => {
                each(&self.bytes, |b| i64::from(u32::from_le_bytes(b)))
            }
            (SampleKind::Integer, 32, true) => {
                each(&self.bytes, |b| i64::from(i32::from_le_bytes(b)))
            }
            (SampleKind::Integer, 64, _) => each(&self.bytes, i64::from_le_bytes),
            _ => Vec::new(),
        }
    }

    /// The frame with nothing but the samples' values in it: of integers the bits above Bits
    /// Stored are cleared or, when signed, made the sign's. Nothing when it is so already. Such
    /// bits may hold overlays, so a frame that is stored or sent on keeps them.
    pub fn without_stray_bits(&self) -> Option<Self> {
        let image = &self.image;
        let unused = image
            .bits_allocated
            .checked_sub(image.bits_stored)
            .filter(|bits| *bits > 0)?;
        if image.samples != SampleKind::Integer {
            return None;
        }
        let bytes: Vec<u8> = match image.bits_allocated {
            8 if image.signed => self
                .bytes
                .iter()
                .map(|byte| ((*byte as i8) << unused >> unused) as u8)
                .collect(),
            8 => self
                .bytes
                .iter()
                .map(|byte| byte << unused >> unused)
                .collect(),
            16 => cleared(&self.bytes, |bytes| {
                let sample = u16::from_le_bytes(bytes) << unused;
                if image.signed {
                    (sample as i16 >> unused).to_le_bytes()
                } else {
                    (sample >> unused).to_le_bytes()
                }
            }),
            32 => cleared(&self.bytes, |bytes| {
                let sample = u32::from_le_bytes(bytes) << unused;
                if image.signed {
                    (sample as i32 >> unused).to_le_bytes()
                } else {
                    (sample >> unused).to_le_bytes()
                }
            }),
            _ => return None,
        };
        (bytes != self.bytes).then(|| Self {
            image: image.clone(),
            bytes: Bytes::from(bytes),
        })
    }
}

fn each<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> i64) -> Vec<i64> {
    bytes
        .as_chunks::<N>()
        .0
        .iter()
        .map(|bytes| number(*bytes))
        .collect()
}

fn cleared<const N: usize>(bytes: &[u8], clear: impl Fn([u8; N]) -> [u8; N]) -> Vec<u8> {
    bytes
        .as_chunks::<N>()
        .0
        .iter()
        .flat_map(|bytes| clear(*bytes))
        .collect()
}
