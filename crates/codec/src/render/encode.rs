//! From a picture to JPEG, PNG or GIF.

use super::picture::{Picture, Pixels};
use super::request::{Format, RenderRequest, Rendered};
use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::jpeg::{self, Colour, Options};
use bytes::Bytes;
use gif::Repeat;
use std::borrow::Cow;

/// JPEG quality where none is asked for.
const DEFAULT_QUALITY: u8 = 90;

/// Encodes a picture in the format that is asked for.
pub(super) fn encode(
    picture: &Picture,
    request: &RenderRequest,
    profile: Option<&[u8]>,
) -> Result<Rendered> {
    let bytes = match request.format {
        Format::Jpeg => to_jpeg(picture, request.quality, profile)?,
        Format::Png => to_png(picture, profile)?,
        Format::Gif => {
            let mut animation = Animation::new(request);
            animation.push_picture(picture, 0)?;
            return animation.finish();
        }
    };
    Ok(Rendered {
        bytes: Bytes::from(bytes),
        format: request.format,
        width: picture.width,
        height: picture.height,
    })
}

fn to_jpeg(picture: &Picture, quality: Option<u8>, profile: Option<&[u8]>) -> Result<Vec<u8>> {
    let quality = quality.unwrap_or(DEFAULT_QUALITY).clamp(1, 100);
    let (input, stored) = match picture.pixels {
        Pixels::Grey(_) => (Colour::Grey, Colour::Grey),
        Pixels::Rgb(_) => (Colour::Rgb, Colour::Ybr),
    };
    let options = Options {
        width: picture.width,
        height: picture.height,
        precision: 8,
        lossless: false,
        quality,
        input,
        stored,
        // Who asks for quality wants the colour's edges too.
        subsampling: if quality >= DEFAULT_QUALITY {
            (1, 1)
        } else {
            (2, 2)
        },
        density: None,
        icc: profile,
    };
    jpeg::encode_bytes(picture.bytes(), &options)
}

fn to_png(picture: &Picture, profile: Option<&[u8]>) -> Result<Vec<u8>> {
    let failed = |error: png::EncodingError| Error::Worker(format!("png: {error}"));
    let mut info = png::Info::with_size(picture.width, picture.height);
    info.bit_depth = png::BitDepth::Eight;
    info.color_type = match picture.pixels {
        Pixels::Grey(_) => png::ColorType::Grayscale,
        Pixels::Rgb(_) => png::ColorType::Rgb,
    };
    info.icc_profile = profile.map(Cow::Borrowed);
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::with_info(&mut bytes, info).map_err(failed)?;
    encoder.set_compression(png::Compression::Fast);
    let mut writer = encoder.write_header().map_err(failed)?;
    writer.write_image_data(picture.bytes()).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(bytes)
}

/// A GIF in the making: one picture after the other.
pub struct Animation<'a> {
    request: &'a RenderRequest,
    /// Made with the first picture, which decides the size.
    encoder: Option<gif::Encoder<Vec<u8>>>,
    size: (u16, u16),
    pictures: u32,
}

impl<'a> Animation<'a> {
    /// An animation without a picture.
    pub fn new(request: &'a RenderRequest) -> Self {
        Self {
            request,
            encoder: None,
            size: (0, 0),
            pictures: 0,
        }
    }

    /// Renders a frame and appends it; shown for `delay` hundredths of a second.
    pub fn push(&mut self, frame: &Frame, delay: u16) -> Result<()> {
        let (picture, _) = super::compose(frame, self.request)?;
        self.push_picture(&picture, delay)
    }

    fn push_picture(&mut self, picture: &Picture, delay: u16) -> Result<()> {
        let size = (side(picture.width)?, side(picture.height)?);
        let mut frame = match &picture.pixels {
            // The level is the index: the palette of the whole animation is grey.
            Pixels::Grey(levels) => gif::Frame {
                width: size.0,
                height: size.1,
                buffer: Cow::Borrowed(levels.as_slice()),
                ..gif::Frame::default()
            },
            Pixels::Rgb(pixels) => gif::Frame::from_rgb_speed(size.0, size.1, pixels, 10),
        };
        frame.delay = delay;
        let encoder = match &mut self.encoder {
            Some(encoder) if self.size == size => encoder,
            Some(_) => return Err(Error::malformed("pictures of different sizes")),
            None => {
                let mut encoder =
                    gif::Encoder::new(Vec::new(), size.0, size.1, &greys()).map_err(failed)?;
                if delay > 0 {
                    encoder.set_repeat(Repeat::Infinite).map_err(failed)?;
                }
                self.size = size;
                self.encoder.insert(encoder)
            }
        };
        encoder.write_frame(&frame).map_err(failed)?;
        self.pictures += 1;
        Ok(())
    }

    /// The encoded animation.
    pub fn finish(self) -> Result<Rendered> {
        let encoder = self.encoder.ok_or_else(|| Error::request("no frames"))?;
        let bytes = encoder.into_inner().map_err(failed)?;
        let (width, height) = (self.size.0.into(), self.size.1.into());
        Ok(Rendered {
            bytes: Bytes::from(bytes),
            format: Format::Gif,
            width,
            height,
        })
    }
}

fn greys() -> Vec<u8> {
    (0..=255).flat_map(|level| [level; 3]).collect()
}

fn side(length: u32) -> Result<u16> {
    u16::try_from(length).map_err(|_| Error::request(format!("a GIF of {length} pixels")))
}

fn failed(error: gif::EncodingError) -> Error {
    Error::Worker(format!("gif: {error}"))
}
