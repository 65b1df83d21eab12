//! Reading graphic layers and what lies in them (PS3.3 C.10.5, C.10.7, C.11.7).

use super::area::{colour, lab};
use super::state::State;
use super::{Graphic, GraphicType, Justification, Layer, MAX_LAYERS, MAX_TEXT, Text, Units};
use crate::error::{Error, Result};
use bytes::Bytes;
use gantry_dicom::character_set::CharacterSet;
use gantry_dicom::data_set::{DataSet, Deferred};
use gantry_dicom::{Tag, tags};

/// The most lines of a text.
const MAX_LINES: usize = 64;
/// What has no layer, or one without a colour, is white.
const WHITE: [u8; 3] = [255; 3];

/// The layers for a frame, the lowest first.
pub(super) fn read(
    applied: &State<'_>,
    fetch: &mut impl FnMut(Deferred) -> Option<Bytes>,
) -> Result<Vec<Layer>> {
    let mut layers = Layers::declared(applied.state)?;
    // Overlay groups (PS3.5 7.6).
    for group in (0x6000..=0x601E).step_by(2) {
        let name = applied.state.ascii(Tag(group, 0x1001));
        let is_shutter = applied.state.integer(tags::SHUTTER_OVERLAY_GROUP) == Some(group.into());
        if let Some(name) = name.filter(|_| !is_shutter)
            && let Some(overlay) = applied.overlay(group, fetch)
        {
            layers.find(name)?.overlays.push(overlay);
        }
    }
    let (set, has_matrix) = (applied.state.character_set(), applied.has_matrix());
    for item in applied.items(tags::GRAPHIC_ANNOTATION_SEQUENCE) {
        let layer = layers.find(item.ascii(tags::GRAPHIC_LAYER).unwrap_or_default())?;
        for object in item.items(tags::GRAPHIC_OBJECT_SEQUENCE) {
            layer.graphics.extend(graphic(object, has_matrix)?);
        }
        for object in item.items(tags::TEXT_OBJECT_SEQUENCE) {
            layer.texts.extend(text(object, set, has_matrix)?);
        }
    }
    Ok(layers.0.into_iter().map(|(_, layer)| layer).collect())
}

/// Layers by their names, in their order.
struct Layers(Vec<(String, Layer)>);

impl Layers {
    /// Those of the Graphic Layer Sequence by Graphic Layer Order.
    fn declared(state: &DataSet) -> Result<Self> {
        let items = state.items(tags::GRAPHIC_LAYER_SEQUENCE);
        let mut items: Vec<&DataSet> = items.iter().take(MAX_LAYERS + 1).collect();
        items.sort_by_key(|item| item.integer(tags::GRAPHIC_LAYER_ORDER).unwrap_or(i64::MAX));
        let mut layers = Self(Vec::new());
        for item in items {
            let name = item.ascii(tags::GRAPHIC_LAYER).unwrap_or_default();
            let recommended = colour(
                item,
                tags::GRAPHIC_LAYER_RECOMMENDED_DISPLAY_CIE_LAB_VALUE,
                tags::GRAPHIC_LAYER_RECOMMENDED_DISPLAY_GRAYSCALE_VALUE,
            );
            layers.find(name)?.colour = recommended.unwrap_or(WHITE);
        }
        Ok(layers)
    }

    /// The layer of a name. One that is used but not declared comes on top.
    fn find(&mut self, name: &str) -> Result<&mut Layer> {
        let place = self.0.iter().position(|(found, _)| found == name);
        let place = place.unwrap_or(self.0.len());
        if place == self.0.len() {
            let layer = Layer {
                colour: WHITE,
                ..Layer::default()
            };
            self.0.push((name.to_owned(), layer));
        }
        match self.0.get_mut(place) {
            Some((_, layer)) if place < MAX_LAYERS => Ok(layer),
            _ => Err(Error::unsupported(
                "a presentation state with very many layers",
            )),
        }
    }
}

/// A unit; what is measured in a matrix of several frames cannot be placed.
fn units(object: &DataSet, tag: Tag, has_matrix: bool) -> Result<Option<Units>> {
    match object.ascii(tag) {
        Some("PIXEL") => Ok(Some(Units::Pixel)),
        Some("DISPLAY") => Ok(Some(Units::Display)),
        Some("MATRIX") if !has_matrix => Ok(Some(Units::Pixel)),
        Some("MATRIX") => Err(Error::unsupported(
            "annotation of a matrix that is made of several frames",
        )),
        _ => Ok(None),
    }
}

/// Nothing for an object that cannot be understood.
fn graphic(object: &DataSet, has_matrix: bool) -> Result<Option<Graphic>> {
    let kind = match object.ascii(tags::GRAPHIC_TYPE) {
        Some("POINT") => GraphicType::Point,
        Some("POLYLINE") => GraphicType::Polyline,
        Some("INTERPOLATED") => GraphicType::Interpolated,
        Some("CIRCLE") => GraphicType::Circle,
        Some("ELLIPSE") => GraphicType::Ellipse,
        _ => return Ok(None),
    };
    let Some(units) = units(object, tags::GRAPHIC_ANNOTATION_UNITS, has_matrix)? else {
        return Ok(None);
    };
    let places = object.decimals(tags::GRAPHIC_DATA);
    let style = |sequence| {
        let style = object.items(sequence).first()?;
        lab(style, tags::PATTERN_ON_COLOR_CIE_LAB_VALUE)
    };
    Ok(Some(Graphic {
        kind,
        units,
        points: places.as_chunks::<2>().0.to_vec(),
        is_filled: object.ascii(tags::GRAPHIC_FILLED) == Some("Y"),
        colour: style(tags::LINE_STYLE_SEQUENCE),
    }))
}

fn text(object: &DataSet, set: CharacterSet, has_matrix: bool) -> Result<Option<Text>> {
    let Some(value) = object.string_in(tags::UNFORMATTED_TEXT_VALUE, set) else {
        return Ok(None);
    };
    let point = |tag| object.decimals(tag).first_chunk::<2>().copied();
    let corners = point(tags::BOUNDING_BOX_TOP_LEFT_HAND_CORNER)
        .zip(point(tags::BOUNDING_BOX_BOTTOM_RIGHT_HAND_CORNER))
        .map(|(one, other)| [one, other]);
    let style = object.items(tags::TEXT_STYLE_SEQUENCE).first();
    Ok(Some(Text {
        lines: lines(&value),
        bounding_box: units(object, tags::BOUNDING_BOX_ANNOTATION_UNITS, has_matrix)?.zip(corners),
        justification: match object.ascii(tags::BOUNDING_BOX_TEXT_HORIZONTAL_JUSTIFICATION) {
            Some("CENTER") => Justification::Center,
            Some("RIGHT") => Justification::Right,
            _ => Justification::Left,
        },
        anchor: units(object, tags::ANCHOR_POINT_ANNOTATION_UNITS, has_matrix)?
            .zip(point(tags::ANCHOR_POINT)),
        shows_anchor: object.ascii(tags::ANCHOR_POINT_VISIBILITY) == Some("Y"),
        colour: style.and_then(|style| lab(style, tags::TEXT_COLOR_CIE_LAB_VALUE)),
    }))
}

/// Lines end with CR, LF or both (PS3.5 6.1.3).
fn lines(text: &str) -> Vec<String> {
    let text: String = text.chars().take(MAX_TEXT).collect();
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let shown = |line: &str| line.chars().filter(|char| !char.is_control()).collect();
    text.split('\n').take(MAX_LINES).map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_in_any_way() {
        assert_eq!(lines("a\r\nb\rc\nd\u{7}"), ["a", "b", "c", "d"]);
        let long = "x".repeat(5000) + "\n";
        assert_eq!(lines(&long)[0].len(), MAX_TEXT);
        assert_eq!(lines(&"\n".repeat(5000)).len(), MAX_LINES);
    }
}
