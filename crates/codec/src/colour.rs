//! Colour spaces of DICOM (PS3.3 C.7.6.3.1.2).

use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::image::{ImageDescription, Photometric};
use bytes::Bytes;

/// A native 4:2:2 frame with its chrominance repeated; nothing when the frame is none.
pub(crate) fn expand_422(frame: &Frame) -> Result<Option<Frame>> {
    let image = &frame.image;
    let Some(size) = image.subsampled_frame_bytes() else {
        return Ok(None);
    };
    if frame.bytes.len() as u64 != size || size == image.frame_bytes() {
        return Ok(None);
    }
    let width = (image.bits_allocated / 8) as usize;
    let row = image.columns.div_ceil(2) as usize * 4 * width;
    let mut full = Vec::new();
    full.try_reserve_exact(image.frame_bytes() as usize)
        .map_err(|_| Error::TooLarge("no memory for the samples".into()))?;
    for line in frame.bytes.chunks_exact(row) {
        let mut left = image.columns;
        for quad in line.chunks_exact(4 * width) {
            let (luminance, chrominance) = quad.split_at(2 * width);
            for sample in luminance.chunks_exact(width).take(left.min(2) as usize) {
                full.extend_from_slice(sample);
                full.extend_from_slice(chrominance);
            }
            left = left.saturating_sub(2);
        }
    }
    let photometric = match image.photometric {
        Photometric::YbrFull422 => Photometric::YbrFull,
        other => other,
    };
    Ok(Some(Frame {
        image: ImageDescription {
            photometric,
            ..image.clone()
        },
        bytes: Bytes::from(full),
    }))
}

/// One pixel of YBR_FULL as RGB, for samples of `greatest` at most.
pub(crate) fn full_to_rgb([y, cb, cr]: [f32; 3], greatest: f32) -> [f32; 3] {
    let middle = (greatest + 1.0) / 2.0;
    let (cb, cr) = (cb - middle, cr - middle);
    [
        y + 1.402 * cr,
        y - 0.344_136_3 * cb - 0.714_136_3 * cr,
        y + 1.772 * cb,
    ]
}

/// One pixel of YBR_PARTIAL as RGB: luminance from 16 to 235, chrominance from 16 to 240.
pub(crate) fn partial_to_rgb([y, cb, cr]: [f32; 3], greatest: f32) -> [f32; 3] {
    let unit = (greatest + 1.0) / 256.0;
    let y = (y - 16.0 * unit) * (255.0 / 219.0);
    let (cb, cr) = (
        (cb - 128.0 * unit) * (255.0 / 224.0),
        (cr - 128.0 * unit) * (255.0 / 224.0),
    );
    [
        y + 1.402 * cr,
        y - 0.344_136_3 * cb - 0.714_136_3 * cr,
        y + 1.772 * cb,
    ]
}

/// A frame of YBR samples in RGB; nothing when it is in another colour space.
pub(crate) fn to_rgb(frame: &Frame) -> Result<Option<Frame>> {
    let convert = match frame.image.photometric {
        Photometric::YbrFull | Photometric::YbrFull422 => full_to_rgb,
        Photometric::YbrPartial422 | Photometric::YbrPartial420 => partial_to_rgb,
        _ => return Ok(None),
    };
    let expanded = expand_422(frame)?;
    let frame = expanded.as_ref().unwrap_or(frame);
    let image = &frame.image;
    if image.samples_per_pixel != 3 {
        return Ok(None);
    }
    let greatest = ((1u64 << image.bits_stored.min(16)) - 1) as f32;
    let put = |value: f32| (value + 0.5).clamp(0.0, greatest);
    let bytes: Vec<u8> = match image.bits_allocated {
        8 => frame
            .bytes
            .as_chunks::<3>()
            .0
            .iter()
            .flat_map(|pixel| convert(pixel.map(f32::from), greatest).map(|value| put(value) as u8))
            .collect(),
        16 => frame
            .bytes
            .as_chunks::<6>()
            .0
            .iter()
            .flat_map(|[a, b, c, d, e, f]| {
                let pixel =
                    [[*a, *b], [*c, *d], [*e, *f]].map(|word| f32::from(u16::from_le_bytes(word)));
                convert(pixel, greatest).map(|value| (put(value) as u16).to_le_bytes())
            })
            .flatten()
            .collect(),
        other => {
            return Err(Error::unsupported(format!(
                "YBR with {other} bits allocated"
            )));
        }
    };
    let image = ImageDescription {
        photometric: Photometric::Rgb,
        ..image.clone()
    };
    Ok(Some(Frame {
        image,
        bytes: Bytes::from(bytes),
    }))
}
