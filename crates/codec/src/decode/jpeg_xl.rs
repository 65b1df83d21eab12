//! JPEG XL (ISO/IEC 18181), through jxl-oxide.

use super::jpeg;
use super::samples::{Decoded, Samples, check_announced};
use crate::error::{Error, Result};
use crate::image::{ImageDescription, Photometric};
use crate::syntax::JpegXl;
use jxl_oxide::{AllocTracker, JpegReconstructionStatus, JxlImage, JxlThreadPool, PixelFormat};
use std::io::{self, Write};

pub(super) fn decode(image: &ImageDescription, bytes: &[u8], kind: JpegXl) -> Result<Decoded> {
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
        Error::malformed(format!("JPEG XL: {error}"))
    };
    // The decoder works in 32-bit samples and keeps a few copies of them.
    let room = image.sample_count().saturating_mul(64).max(64 << 20);
    let mut coded = JxlImage::builder()
        .pool(JxlThreadPool::none())
        .alloc_tracker(AllocTracker::with_limit(
            usize::try_from(room).unwrap_or(usize::MAX),
        ))
        .read(bytes)
        .map_err(failed)?;
    coded.set_render_spot_color(false);
    let components = match coded.pixel_format() {
        PixelFormat::Gray | PixelFormat::Graya => 1,
        PixelFormat::Rgb | PixelFormat::Rgba => 3,
        PixelFormat::Cmyk | PixelFormat::Cmyka => 4,
    };
    let precision = coded.image_header().metadata.bit_depth.bits_per_sample();
    check_announced(image, coded.width(), coded.height(), components, precision)?;
    if precision > 24 {
        return Err(Error::unsupported(format!(
            "JPEG XL with {precision} bits a sample"
        )));
    }
    let wants_jpeg = kind == JpegXl::JpegRecompression || is_ybr(image.photometric);
    if wants_jpeg && let Some(stream) = original_jpeg(&coded, image)? {
        return jpeg::decode(image, &stream);
    }
    let render = coded.render_frame(0).map_err(failed)?;
    let mut stream = render.stream_no_alpha();
    if (stream.width(), stream.height(), stream.channels())
        != (image.columns, image.rows, components)
    {
        return Err(Error::malformed("JPEG XL: frame and image differ in size"));
    }
    let mut values = vec![0f32; image.sample_count() as usize];
    if stream.write_to_buffer(&mut values) != values.len() {
        return Err(Error::malformed("JPEG XL: frame ends early"));
    }
    let scale = ((1u32 << precision) - 1) as f32;
    let sample = |value: f32| (value * scale).round().clamp(0.0, scale);
    let samples = match precision {
        0..=8 => Samples::Bytes(
            values
                .into_iter()
                .map(|value| sample(value) as u8)
                .collect(),
        ),
        9..=16 => Samples::Words(
            values
                .into_iter()
                .map(|value| sample(value) as u16)
                .collect(),
        ),
        _ => Samples::Integers(
            values
                .into_iter()
                .map(|value| sample(value) as i32)
                .collect(),
        ),
    };
    let photometric = match image.photometric {
        label if components == 1 => label,
        // Whatever it was coded in, the codec gives RGB.
        _ => Photometric::Rgb,
    };
    Ok(Decoded {
        width: image.columns,
        height: image.rows,
        components,
        precision,
        samples,
        photometric,
    })
}

fn is_ybr(label: Photometric) -> bool {
    matches!(
        label,
        Photometric::YbrFull | Photometric::YbrFull422 | Photometric::YbrPartial420
    )
}

/// The JPEG stream this one was made of, bit by bit, if it was.
fn original_jpeg(coded: &JxlImage, image: &ImageDescription) -> Result<Option<Vec<u8>>> {
    if !matches!(
        coded.jpeg_reconstruction_status(),
        JpegReconstructionStatus::Available
    ) {
        return Ok(None);
    }
    let room = usize::try_from(image.frame_bytes().saturating_mul(4))
        .unwrap_or(usize::MAX)
        .max(1 << 20);
    let mut stream = Bounded {
        bytes: Vec::new(),
        room,
    };
    coded
        .reconstruct_jpeg(&mut stream)
        .map_err(|error| Error::malformed(format!("JPEG XL: {error}")))?;
    Ok(Some(stream.bytes))
}

/// A buffer that does not grow beyond its room.
struct Bounded {
    bytes: Vec<u8>,
    room: usize,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.room {
            return Err(io::Error::other("reconstructed stream too long"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
