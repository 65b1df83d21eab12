//! Drawing into a picture.

use super::super::annotation;
use super::super::picture::Picture;
use super::{Colour, polygon};

/// Sides of pictures up to which lines are one pixel wide.
const THIN_UP_TO: u32 = 1024;

/// A colour and a picture to put it on.
pub(super) struct Pen<'a> {
    picture: &'a mut Picture,
    pub colour: Colour,
    /// Width of lines.
    thickness: i64,
}

impl<'a> Pen<'a> {
    pub fn new(picture: &'a mut Picture, colour: Colour) -> Self {
        let side = picture.width.min(picture.height);
        Self {
            thickness: i64::from(side.div_ceil(THIN_UP_TO).max(1)),
            picture,
            colour,
        }
    }

    /// Width and height of the picture.
    pub fn size(&self) -> (u32, u32) {
        (self.picture.width, self.picture.height)
    }

    /// A dot as wide as a line.
    pub fn dot(&mut self, [x, y]: [f64; 2]) {
        if x.is_finite() && y.is_finite() {
            self.stamp(x.floor() as i64, y.floor() as i64);
        }
    }

    /// Lines from point to point.
    pub fn path(&mut self, points: &[[f64; 2]]) {
        if let [point] = points {
            self.dot(*point);
        }
        for ends in points.windows(2) {
            if let [from, to] = *ends {
                polygon::line(from, to, self.size(), |x, y| self.stamp(x, y));
            }
        }
    }

    /// The area within an outline.
    pub fn fill(&mut self, outline: &[[f64; 2]]) {
        polygon::fill(outline, self.size(), |x, y| {
            self.picture.paint(x, y, self.colour);
        });
    }

    /// A line of text with its upper left corner there; each dot of the font is `scale` wide.
    pub fn line_of_text(&mut self, text: &str, left: i64, top: i64, scale: i64) {
        annotation::write(text, (left, top), scale, self.colour, self.picture);
    }

    fn stamp(&mut self, x: i64, y: i64) {
        let before = (self.thickness - 1) / 2;
        for row in 0..self.thickness {
            for column in 0..self.thickness {
                let x = x.saturating_add(column - before);
                let y = y.saturating_add(row - before);
                self.picture.paint(x, y, self.colour);
            }
        }
    }
}
