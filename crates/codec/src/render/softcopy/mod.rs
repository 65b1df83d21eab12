//! Images as a softcopy presentation state says they are to be shown (PS3.3 A.33, PS3.4 N.2).
//!
//! The steps after the grey-scale or colour pipeline, in their order (PS3.4 N.2.3 to N.2.7): shutter,
//! displayed area and spatial transformation, then layer by layer overlays, graphics and text. A
//! viewport is fitted around the picture that the state describes (PS3.18 8.3.5.1.3).

mod area;
mod cielab;
mod graphic;
mod layer;
mod pen;
mod placement;
mod polygon;
mod reference;
mod shutter;
mod state;
mod text;

pub use reference::{ImageReference, references};
pub use state::StateKind;

use super::overlay;
use super::picture::{Picture, Pixels};
use super::presentation::Overlay;
use super::request::RenderRequest;
use super::{annotation, icc};
use crate::error::Result;
use crate::frame::Frame;
use pen::Pen;
use placement::Placement;
use serde::{Deserialize, Serialize};

/// The most points of all graphics and polygonal shutters of a state together.
const MAX_POINTS: usize = 16_384;
/// The most graphics and texts of a state together.
const MAX_OBJECTS: usize = 4096;
/// The most layers.
const MAX_LAYERS: usize = 256;
/// The most bytes of all texts of a state together.
const MAX_TEXT_BYTES: usize = 32_768;
/// The longest text of one object, in characters (ST, PS3.5 table 6.2-1).
const MAX_TEXT: usize = 1024;

/// A colour in sRGB.
pub type Colour = [u8; 3];

/// What a presentation state adds to the pipeline of one frame.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Softcopy {
    /// Image Rotation (0070,0042), clockwise and before the flip, in quarter turns (PS3.3 C.10.6).
    pub quarter_turns: u8,
    /// Image Horizontal Flip (0070,0041).
    pub flip: bool,
    /// The part of the image that is shown; all of it when absent.
    pub area: Option<DisplayedArea>,
    /// What is covered: what any one of these does not let through.
    pub shutters: Vec<Shutter>,
    /// Shutter Presentation Value or its colour.
    pub shutter_colour: Colour,
    /// The layers, the lowest first.
    pub layers: Vec<Layer>,
    /// Whether the palette maps the outcome of the VOI LUT (PS3.4 N.2.6, pseudo-color).
    pub pseudo_colour: bool,
}

/// Displayed Area Selection (PS3.3 C.10.4).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct DisplayedArea {
    /// Left edge in pixels of the image, the image's own being 0.
    pub left: f64,
    /// Upper edge.
    pub top: f64,
    /// Right edge.
    pub right: f64,
    /// Lower edge.
    pub bottom: f64,
    /// Height of a shown pixel by its width.
    pub aspect: f64,
    /// Pixels of the picture for one of the image (MAGNIFY); 1 for the other size modes, whose
    /// size the viewport decides.
    pub magnification: f64,
}

/// A display shutter (PS3.3 C.7.6.11, C.7.6.15). Places are pixels counted from 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Shutter {
    /// The outermost columns and rows that show.
    Rectangular {
        /// Left column.
        left: i64,
        /// Right column.
        right: i64,
        /// Upper row.
        upper: i64,
        /// Lower row.
        lower: i64,
    },
    /// A disc.
    Circular {
        /// Column of its centre.
        column: i64,
        /// Row of its centre.
        row: i64,
        /// Radius in pixels.
        radius: i64,
    },
    /// Columns and rows of the vertices.
    Polygonal(Vec<[f64; 2]>),
    /// The bits that are set cover.
    Bitmap(Overlay),
}

/// A graphic layer (PS3.3 C.10.7) and what lies in it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Layer {
    /// The recommended colour.
    pub colour: Colour,
    /// Activated overlay planes.
    pub overlays: Vec<Overlay>,
    /// Graphics.
    pub graphics: Vec<Graphic>,
    /// Texts.
    pub texts: Vec<Text>,
}

/// What places are measured in (PS3.3 C.10.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Units {
    /// Pixels of the image; the upper left corner of its first pixel is 0\0.
    Pixel,
    /// Fractions of the displayed area as it is shown.
    Display,
}

/// A graphic object (PS3.3 C.10.5.2).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Graphic {
    /// Graphic Type.
    pub kind: GraphicType,
    /// Graphic Annotation Units.
    pub units: Units,
    /// Graphic Data.
    pub points: Vec<[f64; 2]>,
    /// Graphic Filled.
    pub is_filled: bool,
    /// A colour of its own.
    pub colour: Option<Colour>,
}

/// Graphic Type (0070,0023).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum GraphicType {
    /// POINT.
    Point,
    /// POLYLINE.
    Polyline,
    /// INTERPOLATED: a curve through the points.
    Interpolated,
    /// CIRCLE: its centre and a point on it.
    Circle,
    /// ELLIPSE: both ends of the major, then of the minor axis.
    Ellipse,
}

/// A text object (PS3.3 C.10.5.1).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Text {
    /// Unformatted Text Value, cut into lines.
    pub lines: Vec<String>,
    /// Two corners of the bounding box.
    pub bounding_box: Option<(Units, [[f64; 2]; 2])>,
    /// Where the lines stand in the bounding box.
    pub justification: Justification,
    /// The anchor point.
    pub anchor: Option<(Units, [f64; 2])>,
    /// Anchor Point Visibility.
    pub shows_anchor: bool,
    /// A colour of its own.
    pub colour: Option<Colour>,
}

/// Bounding Box Text Horizontal Justification (0070,0012).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Justification {
    /// LEFT.
    #[default]
    Left,
    /// CENTER.
    Center,
    /// RIGHT.
    Right,
}

impl Softcopy {
    fn has_colour(&self) -> bool {
        let is_colour = |[red, green, blue]: Colour| red != green || green != blue;
        let of_layer = |layer: &Layer| {
            let own = layer.graphics.iter().map(|graphic| graphic.colour);
            let own = own.chain(layer.texts.iter().map(|text| text.colour));
            is_colour(layer.colour) || own.flatten().any(is_colour)
        };
        is_colour(self.shutter_colour) || self.layers.iter().any(of_layer)
    }
}

/// Everything after the pipelines: the picture and the colour profile that belongs into it.
pub(super) fn compose(
    frame: &Frame,
    mut picture: Picture,
    softcopy: &Softcopy,
    request: &RenderRequest,
) -> Result<(Picture, Option<Vec<u8>>)> {
    if softcopy.has_colour() {
        picture = in_colour(picture);
    }
    let own = request.presentation.icc_profile.as_deref();
    let profile = icc::convert(&mut picture, own, request.icc);
    let size = (picture.width, picture.height);
    let placement = Placement::new(softcopy, size, request.viewport.as_ref())?;
    let mut shown = placement.place(&picture)?;
    shutter::cover(frame, softcopy, size, &placement, &mut shown);
    for layer in &softcopy.layers {
        for overlay in &layer.overlays {
            burn(frame, overlay, size, &placement, layer.colour, &mut shown);
        }
        let mut pen = Pen::new(&mut shown, layer.colour);
        for graphic in &layer.graphics {
            pen.colour = graphic.colour.unwrap_or(layer.colour);
            graphic::draw(graphic, &placement, &mut pen);
        }
        for text in &layer.texts {
            pen.colour = text.colour.unwrap_or(layer.colour);
            text::write(text, &placement, &mut pen);
        }
    }
    annotation::burn(&request.annotation, &mut shown);
    Ok((shown, profile))
}

fn in_colour(picture: Picture) -> Picture {
    match picture.pixels {
        Pixels::Grey(levels) => Picture {
            pixels: Pixels::Rgb(levels.into_iter().flat_map(|level| [level; 3]).collect()),
            ..picture
        },
        Pixels::Rgb(_) => picture,
    }
}

/// Paints the set bits of an overlay plane (PS3.3 C.9.2) where they are shown. Made smaller, a bit
/// is still a pixel: thin lines must not vanish.
fn burn(
    frame: &Frame,
    overlay: &Overlay,
    (columns, rows): (u32, u32),
    placement: &Placement,
    colour: Colour,
    shown: &mut Picture,
) {
    if placement.is_smaller() {
        for y in 0..i64::from(rows) {
            for x in 0..i64::from(columns) {
                if overlay::covers(frame, overlay, x, y) {
                    let place = placement.of_image([x as f64 + 0.5, y as f64 + 0.5]);
                    shown.paint(place[0].floor() as i64, place[1].floor() as i64, colour);
                }
            }
        }
        return;
    }
    for y in 0..i64::from(shown.height) {
        for x in 0..i64::from(shown.width) {
            let [column, row] = placement.image_pixel(x, y);
            let is_inside =
                (0..i64::from(columns)).contains(&column) && (0..i64::from(rows)).contains(&row);
            if is_inside && overlay::covers(frame, overlay, column, row) {
                shown.paint(x, y, colour);
            }
        }
    }
}

#[cfg(test)]
mod tests;
