//! Text objects (PS3.3 C.10.5.1). The text stands upright whatever becomes of the image.

use super::pen::Pen;
use super::placement::Placement;
use super::{Justification, Text};

/// Side of a character cell, and the height of a line, in dots of the font.
const CELL: i64 = 8;
const LINE: i64 = 10;
/// Dots between a point and the text that belongs to it.
const GAP: i64 = 2;

/// Writes a text, and what leads to its anchor point.
pub(super) fn write(text: &Text, placement: &Placement, pen: &mut Pen) {
    let anchor = text
        .anchor
        .map(|(units, point)| placement.of(units, point))
        .filter(|point| is_near(*point));
    let corners = text
        .bounding_box
        .map(|(units, corners)| corners.map(|corner| placement.of(units, corner)))
        .filter(|corners| corners.iter().all(|corner| is_near(*corner)));
    match (corners, anchor) {
        (Some([one, other]), anchor) => {
            // Turned or flipped, other corners are the upper left and the lower right one.
            let low = [one[0].min(other[0]), one[1].min(other[1])];
            let high = [one[0].max(other[0]), one[1].max(other[1])];
            if let Some(anchor) = anchor.filter(|_| text.shows_anchor) {
                let nearest = [0, 1].map(|axis| anchor[axis].clamp(low[axis], high[axis]));
                pen.path(&[nearest, anchor]);
            }
            in_box(text, low, high, pen);
        }
        (None, Some(anchor)) => {
            if text.shows_anchor {
                pen.dot(anchor);
            }
            let scale = usual_scale(pen);
            let [left, top] = anchor.map(|place| place.floor() as i64 + GAP * scale);
            for (number, line) in text.lines.iter().enumerate() {
                pen.line_of_text(line, left, top + number as i64 * LINE * scale, scale);
            }
        }
        (None, None) => {}
    }
}

/// As large as fits into the box, but not larger than other text in the picture; where it does not
/// fit at all it goes beyond.
fn in_box(text: &Text, low: [f64; 2], high: [f64; 2], pen: &mut Pen) {
    let length = |line: &String| line.chars().count() as i64 * CELL;
    let widest = text.lines.iter().map(length).max().unwrap_or(0).max(1);
    let tall = (text.lines.len() as i64 * LINE).max(1);
    let [width, height] = [0, 1].map(|axis| (high[axis] - low[axis]).ceil() as i64);
    let scale = (width / widest)
        .min(height / tall)
        .clamp(1, usual_scale(pen));
    for (number, line) in text.lines.iter().enumerate() {
        let room = width - length(line) * scale;
        let shift = match text.justification {
            Justification::Left => 0,
            Justification::Center => room / 2,
            Justification::Right => room,
        };
        let left = low[0].floor() as i64 + shift;
        let top = low[1].floor() as i64 + number as i64 * LINE * scale;
        pen.line_of_text(line, left, top, scale);
    }
}

/// What annotation has in a picture of this size.
fn usual_scale(pen: &Pen) -> i64 {
    let (width, height) = pen.size();
    i64::from(width.min(height) / 320).max(1)
}

/// Whether a place can be counted in pixels.
fn is_near(point: [f64; 2]) -> bool {
    point.iter().all(|place| place.abs() < 1e9)
}
