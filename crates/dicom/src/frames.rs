//! Where the frames of an image lie in its stored object (PS3.5 8 and A.4, PS3.3 C.7.6.3).

mod index;
mod varint;

#[cfg(test)]
mod tests;

pub use index::FrameIndex;

use crate::data_set::{DataSet, Value};
use crate::encoding::DecodeError;
use crate::header::Header;
use crate::{Tag, tags};

/// The attributes of an image that tell the size and number of its frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PixelDescription {
    /// Rows (0028,0010).
    pub rows: u16,
    /// Columns (0028,0011).
    pub columns: u16,
    /// Samples per Pixel (0028,0002).
    pub samples_per_pixel: u16,
    /// Bits Allocated (0028,0100).
    pub bits_allocated: u16,
    /// Number of Frames (0028,0008); 1 when it is missing, zero or no number.
    pub number_of_frames: u32,
    /// Whether the colour channels have half the columns (Photometric Interpretation
    /// YBR_FULL_422 or YBR_PARTIAL_422). This matters only for native pixel data.
    pub is_subsampled: bool,
}

impl PixelDescription {
    /// From the data set, or what was read of it.
    pub fn of(data_set: &DataSet) -> Self {
        let number = |tag, absent| us(data_set, tag).unwrap_or(absent);
        let photometric = text(data_set, tags::PHOTOMETRIC_INTERPRETATION);
        let frames = text(data_set, tags::NUMBER_OF_FRAMES)
            .parse()
            .unwrap_or(1u32);
        Self {
            rows: number(tags::ROWS, 0),
            columns: number(tags::COLUMNS, 0),
            samples_per_pixel: number(tags::SAMPLES_PER_PIXEL, 1),
            bits_allocated: number(tags::BITS_ALLOCATED, 0),
            number_of_frames: frames.max(1),
            is_subsampled: matches!(photometric, "YBR_FULL_422" | "YBR_PARTIAL_422"),
        }
    }

    /// From the stored header, of which only these elements are read.
    pub fn of_header(header: &Header) -> Result<Self, DecodeError> {
        Ok(Self::of(
            &header.parse_only(|tag| tag.group() == tags::ROWS.group())?,
        ))
    }

    /// Bits of one native frame. Cells of native frames follow one another without a gap, also
    /// when they are no whole bytes (PS3.5 8.1.1).
    pub fn frame_bits(&self) -> u64 {
        let samples = match (self.samples_per_pixel, self.is_subsampled) {
            // Y, Y, Cb, Cr for two pixels.
            (3, true) => 2,
            (samples, _) => u64::from(samples),
        };
        let pixels = u64::from(self.rows) * u64::from(self.columns);
        pixels
            .saturating_mul(samples)
            .saturating_mul(u64::from(self.bits_allocated))
    }
}

/// Where one frame lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameLocation {
    /// Offset and length of its parts, in order: one part if native; the frame's fragments,
    /// without item headers, if encapsulated. Offsets are those of
    /// [`Deferred`](crate::data_set::Deferred).
    pub ranges: Vec<(u64, u64)>,
    /// At which bit of the first byte a native frame starts, counted from the least significant
    /// one. Not zero only when cells are no whole bytes; then the last byte, too, may be shared
    /// with another frame.
    pub bit_offset: u8,
}

fn us(data_set: &DataSet, tag: Tag) -> Option<u16> {
    data_set
        .bytes(tag)?
        .first_chunk()
        .copied()
        .map(u16::from_le_bytes)
}

fn text(data_set: &DataSet, tag: Tag) -> &str {
    let bytes = match data_set.get(tag).map(|element| &element.value) {
        Some(Value::Bytes(bytes)) => bytes,
        _ => return "",
    };
    std::str::from_utf8(bytes)
        .unwrap_or_default()
        .trim_matches(['\0', ' '])
}
