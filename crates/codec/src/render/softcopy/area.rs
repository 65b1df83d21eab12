//! Reading displayed area, spatial transformation and shutters (PS3.3 C.10.4, C.10.6, C.7.6.11,
//! C.7.6.15).

use super::state::State;
use super::{Colour, DisplayedArea, Shutter, Softcopy, cielab};
use crate::error::{Error, Result};
use gantry_dicom::data_set::DataSet;
use gantry_dicom::{Tag, tags};

/// Places beyond this are as good as there: no image has so many pixels in a row.
const FAR: i64 = 1 << 32;
/// The greatest magnification; a picture has no room for more.
const MAX_MAGNIFICATION: f64 = 65_536.0;

/// All but the layers.
pub(super) fn read(applied: &State<'_>) -> Result<Softcopy> {
    let state = applied.state;
    Ok(Softcopy {
        quarter_turns: quarter_turns(state)?,
        flip: state.ascii(tags::IMAGE_HORIZONTAL_FLIP) == Some("Y"),
        area: applied
            .items(tags::DISPLAYED_AREA_SELECTION_SEQUENCE)
            .next()
            .map(|item| area(item, applied.has_matrix()))
            .transpose()?
            .flatten(),
        shutters: shutters(applied),
        shutter_colour: colour(
            state,
            tags::SHUTTER_PRESENTATION_COLOR_CIE_LAB_VALUE,
            tags::SHUTTER_PRESENTATION_VALUE,
        )
        .unwrap_or([0; 3]),
        ..Softcopy::default()
    })
}

/// A colour for displays with colour, or else the grey value for those without.
pub(super) fn colour(item: &DataSet, in_lab: Tag, in_grey: Tag) -> Option<Colour> {
    let grey = || {
        let value = u16::try_from(item.integer(in_grey)?).ok()?;
        Some(cielab::of_p_value(value))
    };
    lab(item, in_lab).or_else(grey)
}

/// A colour in CIELab.
pub(super) fn lab(item: &DataSet, tag: Tag) -> Option<Colour> {
    let values = item.integers(tag);
    let &[l, a, b] = values.first_chunk::<3>()?;
    let in_words = [l, a, b].map(|value| u16::try_from(value).ok());
    match in_words {
        [Some(l), Some(a), Some(b)] => Some(cielab::to_srgb([l, a, b])),
        _ => None,
    }
}

fn quarter_turns(state: &DataSet) -> Result<u8> {
    match state.integer(tags::IMAGE_ROTATION).unwrap_or(0) {
        0 | 360 => Ok(0),
        90 => Ok(1),
        180 => Ok(2),
        270 => Ok(3),
        other => Err(Error::malformed(format!(
            "a presentation state that rotates by {other} degrees"
        ))),
    }
}

/// Nothing when the corners are missing: the whole image is shown then.
fn area(item: &DataSet, has_matrix: bool) -> Result<Option<DisplayedArea>> {
    if has_matrix && item.ascii(tags::PIXEL_ORIGIN_INTERPRETATION) == Some("VOLUME") {
        return Err(Error::unsupported(
            "a displayed area of a matrix that is made of several frames",
        ));
    }
    let corner = |tag| item.integers(tag).first_chunk::<2>().copied();
    let (Some(one), Some(other)) = (
        corner(tags::DISPLAYED_AREA_TOP_LEFT_HAND_CORNER),
        corner(tags::DISPLAYED_AREA_BOTTOM_RIGHT_HAND_CORNER),
    ) else {
        return Ok(None);
    };
    // The corners are those after rotation and flip, told in pixels from before; the pixels at
    // both are shown (C.10.4).
    let edges = |axis: usize| {
        let [one, other] = [one, other].map(|corner| corner[axis].clamp(-FAR, FAR));
        ((one.min(other) - 1) as f64, one.max(other) as f64)
    };
    let ((left, right), (top, bottom)) = (edges(0), edges(1));
    let magnification = match item.ascii(tags::PRESENTATION_SIZE_MODE) {
        Some("MAGNIFY") => item.decimal(tags::PRESENTATION_PIXEL_MAGNIFICATION_RATIO),
        _ => None,
    };
    let is_fit = |ratio: &f64| (1.0 / MAX_MAGNIFICATION..=MAX_MAGNIFICATION).contains(ratio);
    Ok(Some(DisplayedArea {
        left,
        top,
        right,
        bottom,
        aspect: aspect(item),
        magnification: magnification.filter(is_fit).unwrap_or(1.0),
    }))
}

/// Height by width of a pixel: Presentation Pixel Spacing or Aspect Ratio, the vertical first.
fn aspect(item: &DataSet) -> f64 {
    let ratio = |tag| match item.decimals(tag)[..] {
        [height, width] if height > 0.0 && width > 0.0 => Some(height / width),
        _ => None,
    };
    ratio(tags::PRESENTATION_PIXEL_SPACING)
        .or_else(|| ratio(tags::PRESENTATION_PIXEL_ASPECT_RATIO))
        .filter(|ratio| ratio.is_finite())
        .unwrap_or(1.0)
        .clamp(0.01, 100.0)
}

/// Each shape hides what is outside of it (C.7.6.11): of several, the least remains.
fn shutters(applied: &State<'_>) -> Vec<Shutter> {
    let state = applied.state;
    // Rows and columns are counted from 1.
    let place = |number: i64| number.clamp(-FAR, FAR) - 1;
    let edge = |tag, missing| state.integer(tag).map_or(missing, place);
    let shapes = state.ascii_values(tags::SHUTTER_SHAPE).take(4);
    shapes
        .filter_map(|shape| match shape {
            "RECTANGULAR" => Some(Shutter::Rectangular {
                left: edge(tags::SHUTTER_LEFT_VERTICAL_EDGE, -FAR),
                right: edge(tags::SHUTTER_RIGHT_VERTICAL_EDGE, FAR),
                upper: edge(tags::SHUTTER_UPPER_HORIZONTAL_EDGE, -FAR),
                lower: edge(tags::SHUTTER_LOWER_HORIZONTAL_EDGE, FAR),
            }),
            "CIRCULAR" => {
                let center = state.integers(tags::CENTER_OF_CIRCULAR_SHUTTER);
                let [row, column] = *center.first_chunk::<2>()?;
                let radius = state.integer(tags::RADIUS_OF_CIRCULAR_SHUTTER)?;
                Some(Shutter::Circular {
                    column: place(column),
                    row: place(row),
                    radius: radius.clamp(0, FAR),
                })
            }
            "POLYGONAL" => {
                let vertices = state.integers(tags::VERTICES_OF_THE_POLYGONAL_SHUTTER);
                let vertices = vertices.as_chunks::<2>().0.iter();
                let vertices: Vec<[f64; 2]> = vertices
                    .map(|[row, column]| [place(*column) as f64, place(*row) as f64])
                    .collect();
                (!vertices.is_empty()).then_some(Shutter::Polygonal(vertices))
            }
            "BITMAP" => {
                let group = u16::try_from(state.integer(tags::SHUTTER_OVERLAY_GROUP)?).ok()?;
                applied.own_overlay(group).map(Shutter::Bitmap)
            }
            _ => None,
        })
        .collect()
}
