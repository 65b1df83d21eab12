//! Display shutters (PS3.3 C.7.6.11, C.7.6.15).

use super::super::overlay;
use super::super::picture::Picture;
use super::placement::Placement;
use super::{Shutter, Softcopy, polygon};
use crate::frame::Frame;

/// Covers what the shutters hide of the image. What is not image is not covered.
pub(super) fn cover(
    frame: &Frame,
    softcopy: &Softcopy,
    (columns, rows): (u32, u32),
    placement: &Placement,
    shown: &mut Picture,
) {
    if softcopy.shutters.is_empty() {
        return;
    }
    let mut hidden = vec![false; columns as usize * rows as usize];
    for shutter in &softcopy.shutters {
        hide(frame, shutter, (columns, rows), &mut hidden);
    }
    for y in 0..i64::from(shown.height) {
        for x in 0..i64::from(shown.width) {
            let [column, row] = placement.image_pixel(x, y);
            let is_inside =
                (0..i64::from(columns)).contains(&column) && (0..i64::from(rows)).contains(&row);
            let place = (row * i64::from(columns) + column) as usize;
            if is_inside && hidden.get(place) == Some(&true) {
                shown.paint(x, y, softcopy.shutter_colour);
            }
        }
    }
}

/// Marks the pixels of the image that a shutter hides.
fn hide(frame: &Frame, shutter: &Shutter, (columns, rows): (u32, u32), hidden: &mut [bool]) {
    let mut open = Vec::new();
    if let Shutter::Polygonal(vertices) = shutter {
        open = vec![false; hidden.len()];
        let mut plot = |x: i64, y: i64| {
            let is_inside =
                (0..i64::from(columns)).contains(&x) && (0..i64::from(rows)).contains(&y);
            if is_inside && let Some(pixel) = open.get_mut((y * i64::from(columns) + x) as usize) {
                *pixel = true;
            }
        };
        // Vertices are pixels, and the edges between them belong to what shows.
        let outline: Vec<[f64; 2]> = vertices
            .iter()
            .map(|vertex| vertex.map(|place| place + 0.5))
            .collect();
        polygon::fill(&outline, (columns, rows), &mut plot);
        let ends = outline.iter().skip(1).chain(outline.first());
        for (from, to) in outline.iter().zip(ends) {
            polygon::line(*from, *to, (columns, rows), &mut plot);
        }
    }
    let shows = |place: usize, x: i64, y: i64| match shutter {
        Shutter::Rectangular {
            left,
            right,
            upper,
            lower,
        } => (*left..=*right).contains(&x) && (*upper..=*lower).contains(&y),
        Shutter::Circular {
            column,
            row,
            radius,
        } => {
            let (x, y) = ((x - column) as f64, (y - row) as f64);
            x * x + y * y <= (*radius as f64) * (*radius as f64)
        }
        Shutter::Polygonal(_) => open.get(place) == Some(&true),
        Shutter::Bitmap(bits) => !overlay::covers(frame, bits, x, y),
    };
    let lines = hidden.chunks_exact_mut((columns as usize).max(1));
    for (y, line) in lines.enumerate() {
        for (x, pixel) in line.iter_mut().enumerate() {
            let place = y * columns as usize + x;
            *pixel |= !shows(place, x as i64, y as i64);
        }
    }
}
