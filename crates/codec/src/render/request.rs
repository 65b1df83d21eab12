//! What a caller may ask of a rendering.

use super::presentation::{Presentation, Window};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How a frame is to be rendered (PS3.18 8.3.5.1).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RenderRequest {
    /// What the object says about showing this frame.
    pub presentation: Arc<Presentation>,
    /// A window that overrides the object's (8.3.5.1.4).
    pub window: Option<Window>,
    /// Region and size (8.3.5.1.3); the whole frame in its own size when absent.
    pub viewport: Option<Viewport>,
    /// Quality of a lossy format, 1 to 100 (8.3.5.1.2); 90 when absent.
    pub quality: Option<u8>,
    /// The media type.
    pub format: Format,
    /// Lines of text burnt into the picture (8.3.5.1.1).
    pub annotation: Vec<String>,
    /// Whether overlay planes are burnt in.
    pub overlays: bool,
    /// What becomes of colour management (8.3.5.1.5).
    pub icc: IccOutput,
    /// Whether pixels that are not square are made so by stretching.
    pub square_pixels: bool,
}

impl RenderRequest {
    /// The whole frame as the object says it is to be shown, as JPEG.
    pub fn new(presentation: Arc<Presentation>) -> Self {
        Self {
            presentation,
            window: None,
            viewport: None,
            quality: None,
            format: Format::Jpeg,
            annotation: Vec::new(),
            overlays: true,
            icc: IccOutput::Srgb,
            square_pixels: false,
        }
    }
}

/// Region of the frame and size of the picture (PS3.18 8.3.5.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Viewport {
    /// Width of the picture, greater than 0; with `height` the box the region is fitted into.
    pub width: u32,
    /// Height of the picture, greater than 0.
    pub height: u32,
    /// Left edge of the region in pixels of the frame; 0 when absent.
    pub x: Option<f64>,
    /// Upper edge of the region; 0 when absent.
    pub y: Option<f64>,
    /// Width of the region, negative to flip it horizontally; to the frame's edge when absent.
    pub region_width: Option<f64>,
    /// Height of the region, negative to flip it vertically; to the frame's edge when absent.
    pub region_height: Option<f64>,
}

/// Media type of a rendered frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Format {
    /// image/jpeg.
    Jpeg,
    /// image/png.
    Png,
    /// image/gif.
    Gif,
}

impl Format {
    /// The media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Gif => "image/gif",
        }
    }
}

/// The `iccprofile` parameter (PS3.18 8.3.5.1.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum IccOutput {
    /// `no`: samples as they are, no profile in the picture.
    No,
    /// `yes`: samples as they are, with the object's profile (sRGB when it has none).
    Yes,
    /// `srgb`: converted, with the profile.
    Srgb,
    /// `adobergb`: converted, with the profile.
    AdobeRgb,
    /// `rommrgb`: converted, with the profile.
    RommRgb,
    /// `displayp3`: converted, with the profile.
    DisplayP3,
}

/// A picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rendered {
    /// The encoded picture.
    pub bytes: Bytes,
    /// What it is encoded in.
    pub format: Format,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}
