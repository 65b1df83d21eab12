//! What the header says about the pixels (PS3.3 C.7.6.3, Image Pixel Module).

use crate::error::{Error, Result};
use gantry_dicom::data_set::DataSet;
use gantry_dicom::{Tag, Vr, tags};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// The attributes that say how a frame's samples are laid out. All frames of an image share them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageDescription {
    /// Rows (0028,0010).
    pub rows: u32,
    /// Columns (0028,0011).
    pub columns: u32,
    /// Samples per Pixel (0028,0002): 1, 3 or 4.
    pub samples_per_pixel: u32,
    /// Bits Allocated (0028,0100): 1, 8, 16, 32 or 64.
    pub bits_allocated: u32,
    /// Bits Stored (0028,0101).
    pub bits_stored: u32,
    /// High Bit (0028,0102).
    pub high_bit: u32,
    /// Pixel Representation (0028,0103): two's complement when set.
    pub signed: bool,
    /// Planar Configuration (0028,0006): colour by plane when set. Native frames only; what
    /// codecs deliver is always colour by pixel.
    pub planar: bool,
    /// Photometric Interpretation (0028,0004).
    pub photometric: Photometric,
    /// Number of Frames (0028,0008); 1 when absent.
    pub frames: u32,
    /// Which of the pixel data elements holds the samples.
    pub samples: SampleKind,
    /// Whether Pixel Data has the VR OW, so that 8-bit and 1-bit samples of a big endian object
    /// are swapped in pairs of bytes (PS3.5 D).
    pub words: bool,
}

/// What a sample is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SampleKind {
    /// An integer: Pixel Data (7FE0,0010).
    Integer,
    /// IEEE 754 binary32: Float Pixel Data (7FE0,0008).
    Float,
    /// IEEE 754 binary64: Double Float Pixel Data (7FE0,0009).
    Double,
}

/// Photometric Interpretation (PS3.3 C.7.6.3.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Photometric {
    Monochrome1,
    Monochrome2,
    PaletteColor,
    Rgb,
    YbrFull,
    YbrFull422,
    YbrPartial422,
    YbrPartial420,
    YbrIct,
    YbrRct,
    Xyb,
    /// Retired and unknown ones.
    Other,
}

impl Photometric {
    /// From the attribute's value; unknown and retired values are [`Photometric::Other`].
    pub fn from_term(term: &str) -> Self {
        match term.trim_matches([' ', '\0']) {
            "MONOCHROME1" => Self::Monochrome1,
            "MONOCHROME2" => Self::Monochrome2,
            "PALETTE COLOR" => Self::PaletteColor,
            "RGB" => Self::Rgb,
            "YBR_FULL" => Self::YbrFull,
            "YBR_FULL_422" => Self::YbrFull422,
            "YBR_PARTIAL_422" => Self::YbrPartial422,
            "YBR_PARTIAL_420" => Self::YbrPartial420,
            "YBR_ICT" => Self::YbrIct,
            "YBR_RCT" => Self::YbrRct,
            "XYB" => Self::Xyb,
            _ => Self::Other,
        }
    }

    /// The attribute's value; nothing for [`Photometric::Other`].
    pub fn term(self) -> Option<&'static str> {
        Some(match self {
            Self::Monochrome1 => "MONOCHROME1",
            Self::Monochrome2 => "MONOCHROME2",
            Self::PaletteColor => "PALETTE COLOR",
            Self::Rgb => "RGB",
            Self::YbrFull => "YBR_FULL",
            Self::YbrFull422 => "YBR_FULL_422",
            Self::YbrPartial422 => "YBR_PARTIAL_422",
            Self::YbrPartial420 => "YBR_PARTIAL_420",
            Self::YbrIct => "YBR_ICT",
            Self::YbrRct => "YBR_RCT",
            Self::Xyb => "XYB",
            Self::Other => return None,
        })
    }
}

/// What an image may cost. A header is not believed beyond it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// The largest decoded frame, in bytes.
    pub max_frame_bytes: u64,
    /// The largest Number of Frames.
    pub max_frames: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_frame_bytes: 1 << 31,
            max_frames: 10_000_000,
        }
    }
}

/// Where a native frame lies in the pixel data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NativeFrame {
    /// The bytes of the value field that hold the frame.
    pub bytes: Range<u64>,
    /// The first of the frame's bits in them: frames of 1-bit images need not begin at a byte
    /// (PS3.5 8.1.1).
    pub first_bit: u32,
}

impl ImageDescription {
    /// Reads the Image Pixel Module and checks it: dimensions are not zero, bits are a layout
    /// this crate knows, and a frame stays within `limits`.
    pub fn from_data_set(data_set: &DataSet, limits: &Limits) -> Result<Self> {
        let number = |tag| unsigned(data_set, tag);
        let need = |tag, name: &str| {
            number(tag).ok_or_else(|| Error::malformed(format!("{name} is missing or no number")))
        };
        let samples = sample_kind(data_set);
        let bits_allocated = need(tags::BITS_ALLOCATED, "Bits Allocated")?;
        let bits_stored = number(tags::BITS_STORED).unwrap_or(bits_allocated);
        let samples_per_pixel = number(tags::SAMPLES_PER_PIXEL).unwrap_or(1);
        let photometric = match data_set.ascii(tags::PHOTOMETRIC_INTERPRETATION) {
            Some(term) => Photometric::from_term(term),
            None if samples_per_pixel == 3 => Photometric::Rgb,
            None => Photometric::Monochrome2,
        };
        let image = Self {
            rows: need(tags::ROWS, "Rows")?,
            columns: need(tags::COLUMNS, "Columns")?,
            samples_per_pixel,
            bits_allocated,
            bits_stored,
            high_bit: number(tags::HIGH_BIT).unwrap_or(bits_stored.saturating_sub(1)),
            signed: signed(data_set)?,
            planar: samples_per_pixel > 1 && number(tags::PLANAR_CONFIGURATION) == Some(1),
            photometric,
            frames: number_of_frames(data_set, limits)?,
            samples,
            words: data_set
                .get(tags::PIXEL_DATA)
                .is_some_and(|element| element.vr == Vr::OW),
        };
        image.check(limits)?;
        Ok(image)
    }

    /// Checks what [`ImageDescription::from_data_set`] promises.
    pub fn check(&self, limits: &Limits) -> Result<()> {
        if self.rows == 0 || self.columns == 0 || self.rows > 65_535 || self.columns > 65_535 {
            return Err(Error::malformed(format!(
                "{} rows by {} columns",
                self.rows, self.columns
            )));
        }
        if !matches!(self.samples_per_pixel, 1 | 3 | 4) {
            return Err(Error::malformed(format!(
                "{} samples per pixel",
                self.samples_per_pixel
            )));
        }
        let bits_are_known = match self.samples {
            SampleKind::Integer => matches!(self.bits_allocated, 1 | 8 | 16 | 32 | 64),
            SampleKind::Float => self.bits_allocated == 32,
            SampleKind::Double => self.bits_allocated == 64,
        };
        if !bits_are_known {
            return Err(Error::unsupported(format!(
                "{} bits allocated",
                self.bits_allocated
            )));
        }
        if self.bits_stored == 0 || self.bits_stored > self.bits_allocated {
            return Err(Error::malformed(format!(
                "{} bits stored of {} allocated",
                self.bits_stored, self.bits_allocated
            )));
        }
        if self.bits_allocated == 1 && self.samples_per_pixel != 1 {
            return Err(Error::unsupported("colour with 1 bit a sample"));
        }
        if self.frames > limits.max_frames {
            return Err(Error::TooLarge(format!("{} frames", self.frames)));
        }
        let bytes = self.frame_bytes();
        if bytes > limits.max_frame_bytes {
            return Err(Error::TooLarge(format!("a frame of {bytes} bytes")));
        }
        Ok(())
    }

    /// Pixels of a frame.
    pub fn pixels(&self) -> u64 {
        u64::from(self.rows) * u64::from(self.columns)
    }

    /// Samples of a frame.
    pub fn sample_count(&self) -> u64 {
        self.pixels() * u64::from(self.samples_per_pixel)
    }

    /// Bytes of one decoded frame, each pixel with all its samples; a 1-bit frame is packed and
    /// begins at a byte.
    pub fn frame_bytes(&self) -> u64 {
        (self.sample_count() * u64::from(self.bits_allocated)).div_ceil(8)
    }

    /// Bytes of one native frame whose chrominance is subsampled (PS3.3 C.7.6.3.1.2); `None` when
    /// it is not.
    pub fn subsampled_frame_bytes(&self) -> Option<u64> {
        let bytes_per_sample = u64::from(self.bits_allocated / 8);
        (self.samples_per_pixel == 3 && matches!(self.bits_allocated, 8 | 16)).then_some(())?;
        match self.photometric {
            Photometric::YbrFull422 | Photometric::YbrPartial422 => Some(
                u64::from(self.rows) * u64::from(self.columns.div_ceil(2)) * 4 * bytes_per_sample,
            ),
            _ => None,
        }
    }

    /// Where frame number `frame`, counted from 0, lies in native pixel data of `length` bytes.
    pub fn native_frame(&self, frame: u32, length: u64) -> Result<NativeFrame> {
        if frame >= self.frames {
            return Err(Error::request(format!(
                "frame {} of {}",
                u64::from(frame) + 1,
                self.frames
            )));
        }
        let frame = u64::from(frame);
        let place = if self.bits_allocated == 1 {
            let bits = self.sample_count();
            let start = frame * bits;
            NativeFrame {
                bytes: start / 8..(start + bits).div_ceil(8),
                first_bit: (start % 8) as u32,
            }
        } else {
            let whole = self.frame_bytes();
            // Some writers label 4:2:2 what they store in full.
            let size = match self.subsampled_frame_bytes() {
                Some(size) if length < whole.saturating_mul(u64::from(self.frames)) => size,
                _ => whole,
            };
            let start = frame
                .checked_mul(size)
                .ok_or_else(|| Error::malformed("pixel data overflow"))?;
            NativeFrame {
                bytes: start..start.saturating_add(size),
                first_bit: 0,
            }
        };
        let place = if self.words && self.bits_allocated <= 8 {
            place.in_words(length)
        } else {
            place
        };
        if place.bytes.end > length {
            return Err(Error::malformed(format!(
                "frame {} ends at byte {}, the pixel data at {length}",
                frame + 1,
                place.bytes.end
            )));
        }
        Ok(place)
    }
}

impl NativeFrame {
    /// Widened to whole 16-bit words, which is what big endian 8-bit data must be swapped by.
    fn in_words(self, length: u64) -> Self {
        let start = self.bytes.start & !1;
        let end = self
            .bytes
            .end
            .next_multiple_of(2)
            .min(length.max(self.bytes.end));
        let first_bit = self.first_bit + ((self.bytes.start - start) * 8) as u32;
        Self {
            bytes: start..end,
            first_bit,
        }
    }
}

fn unsigned(data_set: &DataSet, tag: Tag) -> Option<u32> {
    u32::try_from(data_set.integer(tag)?).ok()
}

fn sample_kind(data_set: &DataSet) -> SampleKind {
    if data_set.get(tags::PIXEL_DATA).is_some() {
        SampleKind::Integer
    } else if data_set.get(tags::FLOAT_PIXEL_DATA).is_some() {
        SampleKind::Float
    } else if data_set.get(tags::DOUBLE_FLOAT_PIXEL_DATA).is_some() {
        SampleKind::Double
    } else {
        SampleKind::Integer
    }
}

fn signed(data_set: &DataSet) -> Result<bool> {
    match unsigned(data_set, tags::PIXEL_REPRESENTATION) {
        None | Some(0) => Ok(false),
        Some(1) => Ok(true),
        Some(other) => Err(Error::malformed(format!("Pixel Representation {other}"))),
    }
}

fn number_of_frames(data_set: &DataSet, limits: &Limits) -> Result<u32> {
    let frames = data_set
        .get(tags::NUMBER_OF_FRAMES)
        .filter(|element| !element.is_empty());
    if frames.is_none() {
        return Ok(1);
    }
    match data_set.integer(tags::NUMBER_OF_FRAMES) {
        // Written by some devices for a single frame.
        Some(0) => Ok(1),
        Some(frames) if frames > 0 && frames <= i64::from(limits.max_frames) => Ok(frames as u32),
        Some(frames) if frames > 0 => Err(Error::TooLarge(format!("{frames} frames"))),
        _ => Err(Error::malformed("Number of Frames is no count")),
    }
}
