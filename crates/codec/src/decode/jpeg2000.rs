//! JPEG 2000 (ISO/IEC 15444-1) and High-Throughput JPEG 2000 (15444-15), through OpenJPEG.
#![allow(unsafe_code)]

use super::samples::{Decoded, Samples, check_announced};
use crate::error::{Error, Result};
use crate::image::{ImageDescription, Photometric};
use crate::openjpeg::{Codec, Image, Stream, listen};
use openjpeg_sys as opj;

/// The first bytes of a JP2 file, which some writers store instead of the bare code stream.
const JP2_SIGNATURE: [u8; 12] = [0, 0, 0, 12, b'j', b'P', b' ', b' ', 13, 10, 0x87, 10];

/// What the SIZ marker segment says (15444-1 A.5.1).
#[derive(Debug, PartialEq, Eq)]
struct Size {
    width: u32,
    height: u32,
    components: u32,
    /// The greatest precision of the components.
    precision: u32,
    tiles: u64,
}

pub(super) fn decode(image: &ImageDescription, bytes: &[u8]) -> Result<Decoded> {
    let is_file = bytes.starts_with(&JP2_SIGNATURE);
    let stream = if is_file { code_stream(bytes)? } else { bytes };
    let size =
        read_size(stream).ok_or_else(|| Error::malformed("JPEG 2000: no size at the start"))?;
    check_announced(
        image,
        size.width,
        size.height,
        size.components,
        size.precision,
    )?;
    if size.tiles > 65_535 || size.tiles > u64::from(size.width) * u64::from(size.height) {
        return Err(Error::malformed(format!("JPEG 2000: {} tiles", size.tiles)));
    }
    let format = if is_file {
        opj::CODEC_FORMAT::OPJ_CODEC_JP2
    } else {
        opj::CODEC_FORMAT::OPJ_CODEC_J2K
    };
    let mut trouble = String::new();
    let decoded = run(image, bytes, format, &size, &mut trouble);
    decoded.map_err(|error| {
        if trouble.is_empty() {
            error
        } else {
            Error::malformed(format!("JPEG 2000: {trouble}"))
        }
    })
}

fn run(
    image: &ImageDescription,
    bytes: &[u8],
    format: opj::CODEC_FORMAT,
    size: &Size,
    trouble: &mut String,
) -> Result<Decoded> {
    let no_memory = || Error::TooLarge("no memory for a JPEG 2000 decoder".into());
    let failed = || Error::malformed("JPEG 2000: cannot be decoded");
    let stream = Stream::reader(bytes).ok_or_else(no_memory)?;
    // SAFETY: takes a constant.
    let codec = Codec(unsafe { opj::opj_create_decompress(format) });
    if codec.0.is_null() {
        return Err(no_memory());
    }
    listen(&codec, trouble);
    let mut out = Image(std::ptr::null_mut());
    // SAFETY: codec and stream are live; the parameters are filled in by the library.
    let (mct, done) = unsafe {
        let mut parameters = std::mem::zeroed::<opj::opj_dparameters_t>();
        opj::opj_set_default_decoder_parameters(&mut parameters);
        // Strict mode, in which a stream that is cut fails, is the default. It is not asked for:
        // asking would also stop the library from mending wrong counts of tile-parts, and layers
        // would go missing without a word.
        if opj::opj_setup_decoder(codec.0, &mut parameters) == 0
            || opj::opj_read_header(stream.handle, codec.0, &mut out.0) == 0
        {
            return Err(failed());
        }
        let mut info = opj::opj_get_cstr_info(codec.0);
        let mct = !info.is_null() && (*info).m_default_tile_info.mct != 0;
        if !info.is_null() {
            opj::opj_destroy_cstr_info(&mut info);
        }
        (mct, opj::opj_decode(codec.0, stream.handle, out.0) != 0)
    };
    if !done {
        return Err(failed());
    }
    let samples = Samples::Integers(collect(&out, size)?);
    Ok(Decoded {
        width: size.width,
        height: size.height,
        components: size.components,
        precision: size.precision,
        samples,
        photometric: photometric(image.photometric, mct),
    })
}

/// The components' samples by pixel; subsampled components are repeated.
fn collect(image: &Image, size: &Size) -> Result<Vec<i32>> {
    let wrong = || Error::malformed("JPEG 2000: components do not fit the image");
    let (width, height) = (size.width as usize, size.height as usize);
    // SAFETY: opj_decode succeeded, so the image is there.
    let raw = unsafe { &*image.0 };
    if raw.numcomps != size.components || raw.comps.is_null() {
        return Err(wrong());
    }
    // SAFETY: the library holds `numcomps` components.
    let components = unsafe { std::slice::from_raw_parts(raw.comps, raw.numcomps as usize) };
    let count = components.len();
    let mut samples = Vec::new();
    samples
        .try_reserve_exact(width * height * count)
        .map_err(|_| Error::TooLarge("no memory for the samples".into()))?;
    samples.resize(width * height * count, 0);
    for (number, component) in components.iter().enumerate() {
        let (w, h) = (component.w as usize, component.h as usize);
        let (dx, dy) = (component.dx.max(1) as usize, component.dy.max(1) as usize);
        if component.data.is_null()
            || w * dx + dx <= width
            || h * dy + dy <= height
            || w == 0
            || h == 0
        {
            return Err(wrong());
        }
        // SAFETY: the library holds w * h samples of a decoded component.
        let plane = unsafe { std::slice::from_raw_parts(component.data, w * h) };
        for (row, line) in samples.chunks_exact_mut(width * count).enumerate() {
            let source = &plane[(row / dy).min(h - 1) * w..][..w];
            if dx == 1 && w >= width {
                for (pixel, sample) in line.chunks_exact_mut(count).zip(source) {
                    pixel[number] = *sample;
                }
            } else {
                for (column, pixel) in line.chunks_exact_mut(count).enumerate() {
                    pixel[number] = source[(column / dx).min(w - 1)];
                }
            }
        }
    }
    Ok(samples)
}

/// The colour space of the samples: the codec has undone its own transform (PS3.5 8.2.4).
fn photometric(label: Photometric, multiple_component_transform: bool) -> Photometric {
    match label {
        Photometric::YbrRct | Photometric::YbrIct => Photometric::Rgb,
        Photometric::YbrFull | Photometric::YbrFull422 if multiple_component_transform => {
            Photometric::Rgb
        }
        other => crate::transcode::full_sampling(other),
    }
}

/// The code stream in a JP2 file: the contents of its first box `jp2c` (15444-1 I.5.4).
fn code_stream(file: &[u8]) -> Result<&[u8]> {
    let mut rest = file;
    while let Some((head, _)) = rest.split_first_chunk::<8>() {
        let [a, b, c, d, kind @ ..] = *head;
        let (start, length) = match u32::from_be_bytes([a, b, c, d]) {
            0 => (8, rest.len()),
            1 => {
                let Some(length) = rest.get(8..16).and_then(|field| field.first_chunk::<8>())
                else {
                    break;
                };
                (
                    16,
                    usize::try_from(u64::from_be_bytes(*length)).unwrap_or(usize::MAX),
                )
            }
            length => (8, length as usize),
        };
        if &kind == b"jp2c" {
            return Ok(rest.get(start..length.min(rest.len())).unwrap_or_default());
        }
        match rest.get(length.max(start)..) {
            Some(next) => rest = next,
            None => break,
        }
    }
    Err(Error::malformed("JPEG 2000: no code stream in the file"))
}

fn read_size(stream: &[u8]) -> Option<Size> {
    let body = stream.strip_prefix(&[0xff, 0x4f, 0xff, 0x51])?;
    let word = |at: usize| {
        let field = body.get(at..at + 4)?.first_chunk::<4>()?;
        Some(u32::from_be_bytes(*field))
    };
    let (right, bottom, left, top) = (word(4)?, word(8)?, word(12)?, word(16)?);
    let (tile_width, tile_height, tile_left, tile_top) =
        (word(20)?, word(24)?, word(28)?, word(32)?);
    let components = u32::from(u16::from_be_bytes(*body.get(36..38)?.first_chunk::<2>()?));
    let depths = body.get(38..)?.chunks_exact(3).take(components as usize);
    if depths.len() != components as usize {
        return None;
    }
    let precision = depths.map(|part| u32::from(part[0] & 0x7f) + 1).max()?;
    let tiles = |end: u32, start: u32, size: u32| {
        Some(u64::from(end.checked_sub(start)?).div_ceil(u64::from(size).max(1)))
    };
    if tile_width == 0 || tile_height == 0 {
        return None;
    }
    Some(Size {
        width: right.checked_sub(left)?,
        height: bottom.checked_sub(top)?,
        components,
        precision,
        tiles: tiles(right, tile_left, tile_width)? * tiles(bottom, tile_top, tile_height)?,
    })
}
