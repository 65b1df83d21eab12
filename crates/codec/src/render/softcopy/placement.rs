//! Where an image lies in the picture: displayed area, rotation and flip, region and viewport
//! (PS3.3 C.10.4 and C.10.6, PS3.18 8.3.5.1.3).

use super::super::picture::{Picture, Pixels};
use super::super::request::Viewport;
use super::super::viewport::{Region, check_size, resize};
use super::{DisplayedArea, Softcopy, Units};
use crate::error::Result;

/// Stretching, quarter turns, flips and shifts: `x' = xx x + xy y + dx`, `y' = yx x + yy y + dy`,
/// where either `xy` and `yx` or `xx` and `yy` are zero.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Affine {
    xx: f64,
    xy: f64,
    dx: f64,
    yx: f64,
    yy: f64,
    dy: f64,
}

impl Affine {
    const IDENTITY: Self = Self {
        xx: 1.0,
        xy: 0.0,
        dx: 0.0,
        yx: 0.0,
        yy: 1.0,
        dy: 0.0,
    };

    fn shifted(self, dx: f64, dy: f64) -> Self {
        Self {
            dx: self.dx + dx,
            dy: self.dy + dy,
            ..self
        }
    }

    fn scaled(self, x: f64, y: f64) -> Self {
        Self {
            xx: self.xx * x,
            xy: self.xy * x,
            dx: self.dx * x,
            yx: self.yx * y,
            yy: self.yy * y,
            dy: self.dy * y,
        }
    }

    /// Clockwise by 90 degrees, of something so high.
    fn turned(self, height: f64) -> Self {
        Self {
            xx: -self.yx,
            xy: -self.yy,
            dx: height - self.dy,
            yx: self.xx,
            yy: self.xy,
            dy: self.dx,
        }
    }

    fn apply(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        [
            self.xx * x + self.xy * y + self.dx,
            self.yx * x + self.yy * y + self.dy,
        ]
    }

    fn is_transposed(&self) -> bool {
        self.xx == 0.0
    }

    /// What is mapped to this place.
    fn source(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        let (x, y) = (x - self.dx, y - self.dy);
        if self.is_transposed() {
            [y / self.yx, x / self.xy]
        } else {
            [x / self.xx, y / self.yy]
        }
    }
}

/// Where everything lies in a picture.
pub(super) struct Placement {
    width: u32,
    height: u32,
    /// From pixels of the image to pixels of the picture.
    image: Affine,
    /// From fractions of the displayed area to pixels of the picture.
    display: Affine,
}

impl Placement {
    /// Places an image of `size` columns and rows. Without a viewport the picture has a pixel for
    /// each of the displayed area, or as many as it is to be magnified.
    pub fn new(
        softcopy: &Softcopy,
        (columns, rows): (u32, u32),
        viewport: Option<&Viewport>,
    ) -> Result<Self> {
        let area = softcopy
            .area
            .unwrap_or_else(|| DisplayedArea::whole(columns, rows));
        let (across, down) = (area.right - area.left, area.bottom - area.top);
        let (mut width, mut height) = area.size();
        let mut image = Affine::IDENTITY
            .shifted(-area.left, -area.top)
            .scaled(width / across, height / down);
        for _ in 0..softcopy.quarter_turns % 4 {
            image = image.turned(height);
            (width, height) = (height, width);
        }
        // The flip follows the rotation (C.10.6).
        if softcopy.flip {
            image = image.scaled(-1.0, 1.0).shifted(width, 0.0);
        }
        let display = Affine::IDENTITY.scaled(width, height);
        let mut placement = Self {
            width: width as u32,
            height: height as u32,
            image,
            display,
        };
        if let Some(viewport) = viewport {
            placement.fit(viewport)?;
        }
        let own_pixels = columns as usize * rows as usize;
        check_size(
            placement.width,
            placement.height,
            columns.max(rows),
            own_pixels,
        )?;
        Ok(placement)
    }

    /// Cuts the region out and fits it into the viewport.
    fn fit(&mut self, viewport: &Viewport) -> Result<()> {
        let region = viewport.region(self.width, self.height)?;
        (self.width, self.height) = viewport.fit((region.width, region.height))?;
        let (width, height) = (f64::from(self.width), f64::from(self.height));
        for affine in [&mut self.image, &mut self.display] {
            *affine = affine
                .shifted(-region.left, -region.top)
                .scaled(width / region.width, height / region.height);
            if region.flip_x {
                *affine = affine.scaled(-1.0, 1.0).shifted(width, 0.0);
            }
            if region.flip_y {
                *affine = affine.scaled(1.0, -1.0).shifted(0.0, height);
            }
        }
        Ok(())
    }

    /// Where a point is in the picture.
    pub fn of(&self, units: Units, point: [f64; 2]) -> [f64; 2] {
        match units {
            Units::Pixel => self.image.apply(point),
            Units::Display => self.display.apply(point),
        }
    }

    /// Where a point of the image is in the picture.
    pub fn of_image(&self, point: [f64; 2]) -> [f64; 2] {
        self.image.apply(point)
    }

    /// Column and row of the image's pixel that a pixel of the picture shows.
    pub fn image_pixel(&self, x: i64, y: i64) -> [i64; 2] {
        let place = self.image.source([x as f64 + 0.5, y as f64 + 0.5]);
        place.map(|place| place.floor() as i64)
    }

    /// Whether the picture has fewer pixels than the part of the image it shows.
    pub fn is_smaller(&self) -> bool {
        let Affine { xx, xy, yx, yy, .. } = self.image;
        (xx + xy).abs() < 1.0 || (yx + yy).abs() < 1.0
    }

    /// The image in its place; what is not image is black.
    pub fn place(&self, picture: &Picture) -> Result<Picture> {
        let is_transposed = self.image.is_transposed();
        let (width, height) = if is_transposed {
            (self.height, self.width)
        } else {
            (self.width, self.height)
        };
        // The part of the image the picture shows, which may leave it.
        let one = self.image.source([0.0, 0.0]);
        let other = self
            .image
            .source([f64::from(self.width), f64::from(self.height)]);
        let across = Span::new(one[0], other[0], picture.width, width);
        let down = Span::new(one[1], other[1], picture.height, height);
        let mut canvas = blank(picture, width, height);
        if let (Some(across), Some(down)) = (across, down) {
            let region = Region {
                left: across.from,
                top: down.from,
                width: across.length,
                height: down.length,
                flip_x: false,
                flip_y: false,
            };
            let part = resize(picture, &region, across.pixels, down.pixels)?;
            let (left, top) = (across.start as usize, down.start as usize);
            paste(&part, &mut canvas, left, top);
        }
        Ok(self.orient(canvas))
    }

    /// Turns and flips a canvas that has the scale of the picture.
    fn orient(&self, canvas: Picture) -> Picture {
        let Affine { xx, xy, yx, yy, .. } = self.image;
        let is_transposed = self.image.is_transposed();
        if !is_transposed && xx > 0.0 && yy > 0.0 {
            return canvas;
        }
        let samples = canvas.samples();
        let (width, height) = (canvas.width as usize, canvas.height as usize);
        let mut oriented = Vec::with_capacity(canvas.bytes().len());
        let turn = |place: usize, length: usize, factor: f64| {
            if factor < 0.0 {
                length - 1 - place
            } else {
                place
            }
        };
        for y in 0..self.height as usize {
            for x in 0..self.width as usize {
                let (column, row) = if is_transposed {
                    (turn(y, width, yx), turn(x, height, xy))
                } else {
                    (turn(x, width, xx), turn(y, height, yy))
                };
                let start = (row * width + column) * samples;
                let pixel = canvas.bytes().get(start..start + samples);
                oriented.extend_from_slice(pixel.unwrap_or(&[0; 3][..samples]));
            }
        }
        canvas.with(self.width, self.height, oriented)
    }
}

impl DisplayedArea {
    fn whole(columns: u32, rows: u32) -> Self {
        Self {
            left: 0.0,
            top: 0.0,
            right: f64::from(columns),
            bottom: f64::from(rows),
            aspect: 1.0,
            magnification: 1.0,
        }
    }

    /// Width and height of the displayed area in whole pixels of the picture, not turned.
    fn size(&self) -> (f64, f64) {
        let whole = |length: f64| length.round().clamp(1.0, f64::from(u32::MAX));
        (
            whole((self.right - self.left) * self.magnification),
            whole((self.bottom - self.top) * self.magnification * self.aspect),
        )
    }
}

/// A stretch of the image along one axis and the pixels of the canvas it fills.
struct Span {
    from: f64,
    length: f64,
    start: u32,
    pixels: u32,
}

impl Span {
    /// The part of `one` to `other` that is in the image; nothing when none is.
    fn new(one: f64, other: f64, image: u32, canvas: u32) -> Option<Self> {
        let (low, high) = (one.min(other), one.max(other));
        // What floating point makes of an edge must not cut a pixel.
        let snapped = |edge: f64| {
            if (edge - edge.round()).abs() < 1e-6 {
                edge.round()
            } else {
                edge
            }
        };
        let (from, to) = (snapped(low.max(0.0)), snapped(high.min(f64::from(image))));
        let scale = f64::from(canvas) / (high - low);
        // Written so that a NaN is nothing.
        if !(from < to && scale.is_finite()) {
            return None;
        }
        let start = (((from - low) * scale).round() as u32).min(canvas.saturating_sub(1));
        let end = (((to - low) * scale).round() as u32).clamp(start + 1, canvas.max(start + 1));
        Some(Self {
            from,
            length: to - from,
            start,
            pixels: end - start,
        })
    }
}

fn blank(like: &Picture, width: u32, height: u32) -> Picture {
    let bytes = vec![0; width as usize * height as usize * like.samples()];
    Picture {
        width,
        height,
        pixels: match like.pixels {
            Pixels::Grey(_) => Pixels::Grey(bytes),
            Pixels::Rgb(_) => Pixels::Rgb(bytes),
        },
    }
}

fn paste(part: &Picture, canvas: &mut Picture, left: usize, top: usize) {
    let samples = part.samples();
    let (from, to) = (
        part.width as usize * samples,
        canvas.width as usize * samples,
    );
    let rows = part.bytes().chunks_exact(from);
    for (row, line) in rows.zip(canvas.bytes_mut().chunks_exact_mut(to).skip(top)) {
        if let Some(place) = line.get_mut(left * samples..left * samples + from) {
            place.copy_from_slice(row);
        }
    }
}
