//! What the header says about showing a frame.

use super::softcopy::Softcopy;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Everything in a header that decides how one frame looks.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Presentation {
    /// From stored values to values with a meaning (PS3.3 C.11.1).
    pub modality_lut: ModalityLut,
    /// Windows in the order of the header (PS3.3 C.11.2.1.2). The first is used.
    pub windows: Vec<Window>,
    /// VOI LUT Sequence (PS3.3 C.11.2.1.1); used when there is no window.
    pub voi_luts: Vec<Lut>,
    /// Whether the result is turned from black to white (Presentation LUT Shape, PS3.3 C.11.6);
    /// when absent the photometric interpretation decides, as it does for images alone. A
    /// presentation state decides for itself.
    pub inverse: Option<bool>,
    /// Presentation LUT Sequence, of presentation states and print (PS3.3 C.11.6.1).
    pub presentation_lut: Option<Lut>,
    /// Palette Color Lookup Tables (PS3.3 C.7.6.3.1.5), segmented ones expanded.
    pub palette: Option<Palette>,
    /// Stored values, first and last, that stand for no measurement: Pixel Padding Value and
    /// Pixel Padding Range Limit (PS3.3 C.7.5.1.1.2).
    pub padding: Option<(i64, i64)>,
    /// Overlay planes (PS3.3 C.9.2).
    pub overlays: Vec<Overlay>,
    /// ICC Profile (PS3.3 C.11.15).
    pub icc_profile: Option<Bytes>,
    /// Height and width of a pixel, in any unit.
    pub pixel_aspect: Option<(f64, f64)>,
    /// Modality (0008,0060), which decides how a window is found when there is none.
    pub modality: String,
    /// What a presentation state adds; it has set what is above too.
    pub softcopy: Option<Softcopy>,
}

/// From stored values to values with a meaning.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub enum ModalityLut {
    /// Stored values are meant as they are.
    #[default]
    Identity,
    /// Rescale Slope and Intercept.
    Rescale {
        /// Rescale Slope (0028,1053).
        slope: f64,
        /// Rescale Intercept (0028,1052).
        intercept: f64,
    },
    /// Modality LUT Sequence.
    Table(Lut),
}

/// A window (PS3.3 C.11.2.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// Window Center (0028,1050).
    pub center: f64,
    /// Window Width (0028,1051).
    pub width: f64,
    /// VOI LUT Function (0028,1056).
    pub function: VoiFunction,
}

/// VOI LUT Function (PS3.3 C.11.2.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum VoiFunction {
    /// LINEAR.
    #[default]
    Linear,
    /// LINEAR_EXACT.
    LinearExact,
    /// SIGMOID.
    Sigmoid,
}

/// A lookup table: LUT Descriptor and LUT Data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lut {
    /// First input value mapped; smaller ones get the first entry, those beyond the end the last.
    pub first: i64,
    /// Bits of an entry, 8 to 16.
    pub bits: u32,
    /// The entries; at least one.
    pub entries: Vec<u16>,
}

/// Palette Color Lookup Tables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Palette {
    /// Red, green and blue; as long as each other.
    pub red: Lut,
    /// Green.
    pub green: Lut,
    /// Blue.
    pub blue: Lut,
}

/// An overlay plane (PS3.3 C.9.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overlay {
    /// Overlay Rows.
    pub rows: u32,
    /// Overlay Columns.
    pub columns: u32,
    /// Row of the image its first row lies on, counted from 0; may be negative.
    pub top: i32,
    /// Column of the image its first column lies on, counted from 0; may be negative.
    pub left: i32,
    /// Where its bits are.
    pub bits: OverlayBits,
}

/// Where the bits of an overlay are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum OverlayBits {
    /// In Overlay Data (60xx,3000), from this bit on.
    Data {
        /// Packed bits, the first pixel in the lowest.
        bytes: Bytes,
        /// The first bit of this frame's plane.
        first_bit: u64,
    },
    /// In this bit of each pixel (retired, but stored).
    InPixel(u32),
}
