//! Region and size (PS3.18 8.3.5.1.3).

use super::picture::Picture;
use super::presentation::Presentation;
use super::request::{RenderRequest, Viewport};
use crate::error::{Error, Result};
use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

/// The greatest side of a picture.
const MAX_SIDE: u32 = 16_384;
/// The most pixels of a picture.
const MAX_PIXELS: u64 = 1 << 26;

/// A part of the frame, in pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Region {
    pub left: f64,
    pub top: f64,
    pub width: f64,
    pub height: f64,
    pub flip_x: bool,
    pub flip_y: bool,
}

/// Cuts the region out, brings it to its size, and flips it.
pub(super) fn apply(
    picture: Picture,
    presentation: &Presentation,
    request: &RenderRequest,
) -> Result<Picture> {
    let region = match &request.viewport {
        Some(viewport) => viewport.region(picture.width, picture.height)?,
        None => Region::whole(picture.width, picture.height),
    };
    let stretch = match (request.square_pixels, presentation.pixel_aspect) {
        (true, Some((height, width))) => (height / width).clamp(0.01, 100.0),
        _ => 1.0,
    };
    // Pixels that are taller than wide make the picture taller.
    let shown = (region.width, region.height * stretch);
    let (width, height) = match &request.viewport {
        Some(viewport) => viewport.fit(shown)?,
        None => (whole_pixels(shown.0), whole_pixels(shown.1)),
    };
    check_size(
        width,
        height,
        picture.width.max(picture.height),
        picture.bytes().len(),
    )?;
    let mut scaled =
        if region.is_whole(&picture) && (width, height) == (picture.width, picture.height) {
            picture
        } else {
            resize(&picture, &region, width, height)?
        };
    if region.flip_x {
        flip_rows(&mut scaled);
    }
    if region.flip_y {
        flip_columns(&mut scaled);
    }
    Ok(scaled)
}

impl Region {
    fn whole(width: u32, height: u32) -> Self {
        let (width, height) = (f64::from(width), f64::from(height));
        Self {
            left: 0.0,
            top: 0.0,
            width,
            height,
            flip_x: false,
            flip_y: false,
        }
    }

    fn is_whole(&self, picture: &Picture) -> bool {
        let whole = Self::whole(picture.width, picture.height);
        Self {
            flip_x: false,
            flip_y: false,
            ..*self
        } == whole
    }
}

impl Viewport {
    /// The region of a frame; an error when it leaves the frame.
    pub(super) fn region(&self, columns: u32, rows: u32) -> Result<Region> {
        let (left, top) = (self.x.unwrap_or(0.0), self.y.unwrap_or(0.0));
        let width = self.region_width.unwrap_or(f64::from(columns) - left);
        let height = self.region_height.unwrap_or(f64::from(rows) - top);
        let region = Region {
            left,
            top,
            width: width.abs(),
            height: height.abs(),
            flip_x: width < 0.0,
            flip_y: height < 0.0,
        };
        // Written so that a NaN fails.
        let is_inside = left >= 0.0
            && top >= 0.0
            && region.width > 0.0
            && region.height > 0.0
            && left + region.width <= f64::from(columns)
            && top + region.height <= f64::from(rows);
        if is_inside {
            Ok(region)
        } else {
            Err(Error::request("a region that is not within the image"))
        }
    }

    /// The size that keeps the shape and fits into the viewport.
    pub(super) fn fit(&self, (width, height): (f64, f64)) -> Result<(u32, u32)> {
        if self.width == 0 || self.height == 0 {
            return Err(Error::request("a viewport without extent"));
        }
        let scale = (f64::from(self.width) / width).min(f64::from(self.height) / height);
        let fitted = (whole_pixels(width * scale), whole_pixels(height * scale));
        Ok((fitted.0.min(self.width), fitted.1.min(self.height)))
    }
}

fn whole_pixels(length: f64) -> u32 {
    (length.round() as u32).max(1)
}

/// Whether a picture may have this size: not beyond the limits, or not beyond the image's own.
pub(super) fn check_size(width: u32, height: u32, own_side: u32, own_pixels: usize) -> Result<()> {
    let side = MAX_SIDE.max(own_side);
    let pixels = u64::from(width) * u64::from(height);
    if width > side || height > side || pixels > MAX_PIXELS.max(own_pixels as u64) {
        return Err(Error::request(format!(
            "a picture of {width} by {height} pixels"
        )));
    }
    Ok(())
}

/// Cuts a region out and brings it to a size.
pub(super) fn resize(
    picture: &Picture,
    region: &Region,
    width: u32,
    height: u32,
) -> Result<Picture> {
    let failed = |error: &dyn std::fmt::Display| Error::request(format!("this viewport: {error}"));
    let kind = if picture.samples() == 1 {
        PixelType::U8
    } else {
        PixelType::U8x3
    };
    let source = ImageRef::new(picture.width, picture.height, picture.bytes(), kind)
        .map_err(|error| failed(&error))?;
    let mut target = Image::new(width, height, kind);
    let is_smaller = f64::from(width) < region.width || f64::from(height) < region.height;
    // The first does not ring around bright structures, the second does not show the pixels.
    let filter = if is_smaller {
        FilterType::Hamming
    } else {
        FilterType::CatmullRom
    };
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(filter))
        .crop(region.left, region.top, region.width, region.height);
    Resizer::new()
        .resize(&source, &mut target, &options)
        .map_err(|error| failed(&error))?;
    Ok(picture.with(width, height, target.into_vec()))
}

fn flip_rows(picture: &mut Picture) {
    let samples = picture.samples();
    let row = picture.width as usize * samples;
    for line in picture.bytes_mut().chunks_exact_mut(row) {
        // Turns the samples of each pixel around too, and then back.
        line.reverse();
        for pixel in line.chunks_exact_mut(samples) {
            pixel.reverse();
        }
    }
}

fn flip_columns(picture: &mut Picture) {
    let row = picture.width as usize * picture.samples();
    let flipped: Vec<u8> = picture
        .bytes()
        .chunks_exact(row)
        .rev()
        .flatten()
        .copied()
        .collect();
    picture.bytes_mut().copy_from_slice(&flipped);
}

#[cfg(test)]
mod tests {
    use super::super::picture::Pixels;
    use super::*;
    use std::sync::Arc;

    fn shown(viewport: Option<Viewport>) -> Result<Picture> {
        let pixels = Pixels::Rgb((0..24).collect());
        let picture = Picture {
            width: 4,
            height: 2,
            pixels,
        };
        let presentation = Presentation::default();
        let request = RenderRequest {
            viewport,
            ..RenderRequest::new(Arc::default())
        };
        apply(picture, &presentation, &request)
    }

    fn viewport(width: u32, height: u32) -> Viewport {
        Viewport {
            width,
            height,
            x: None,
            y: None,
            region_width: None,
            region_height: None,
        }
    }

    #[test]
    fn regions_are_cut_and_flipped() {
        let part = Viewport {
            x: Some(1.0),
            region_width: Some(-2.0),
            region_height: Some(-2.0),
            ..viewport(2, 2)
        };
        let picture = shown(Some(part)).unwrap();
        assert_eq!((picture.width, picture.height), (2, 2));
        assert_eq!(picture.bytes(), [18, 19, 20, 15, 16, 17, 6, 7, 8, 3, 4, 5]);
    }

    #[test]
    fn the_shape_is_kept() {
        for (asked, wanted) in [
            ((8, 8), (8, 4)),
            ((2, 9), (2, 1)),
            ((100, 1), (2, 1)),
            ((1, 1), (1, 1)),
        ] {
            let picture = shown(Some(viewport(asked.0, asked.1))).unwrap();
            assert_eq!((picture.width, picture.height), wanted, "{asked:?}");
        }
    }

    #[test]
    fn what_is_not_there_is_refused() {
        let outside = Viewport {
            x: Some(3.0),
            region_width: Some(2.0),
            ..viewport(4, 4)
        };
        for bad in [
            outside,
            Viewport {
                x: Some(-1.0),
                ..viewport(4, 4)
            },
            Viewport {
                y: Some(f64::NAN),
                ..viewport(4, 4)
            },
            Viewport {
                region_height: Some(0.0),
                ..viewport(4, 4)
            },
            viewport(0, 4),
            viewport(100_000, 100_000),
        ] {
            assert!(
                matches!(shown(Some(bad)), Err(Error::Request(_))),
                "{bad:?}"
            );
        }
    }
}
