//! JPEG 2000 (ISO/IEC 15444-1), through OpenJPEG.
#![allow(unsafe_code)]

use super::Encoded;
use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::image::{Photometric, SampleKind};
use crate::openjpeg::{Codec, Image, Stream, listen};
use crate::transcode::Loss;
use openjpeg_sys as opj;

/// Encodes one tile with up to five decompositions.
pub(super) fn encode(frame: &Frame, lossy: bool, loss: &Loss) -> Result<Encoded> {
    let image = &frame.image;
    if lossy && image.photometric == Photometric::PaletteColor {
        return Err(Error::unsupported("palette indices in a lossy coding"));
    }
    if image.samples != SampleKind::Integer || image.bits_allocated > 16 {
        return Err(Error::unsupported(format!(
            "{} bits allocated in JPEG 2000",
            image.bits_allocated
        )));
    }
    let transform = image.photometric == Photometric::Rgb;
    let mut trouble = String::new();
    let bytes = run(frame, transform, lossy.then_some(loss), &mut trouble).map_err(|error| {
        if trouble.is_empty() {
            error
        } else {
            Error::unsupported(format!("JPEG 2000 encoder: {trouble}"))
        }
    })?;
    let photometric = match (transform, lossy) {
        (true, false) => Photometric::YbrRct,
        (true, true) => Photometric::YbrIct,
        (false, _) => image.photometric,
    };
    Ok(Encoded { bytes, photometric })
}

fn run(
    frame: &Frame,
    transform: bool,
    loss: Option<&Loss>,
    trouble: &mut String,
) -> Result<Vec<u8>> {
    let no_memory = || Error::TooLarge("no memory for a JPEG 2000 encoder".into());
    let failed = || Error::unsupported("JPEG 2000 encoder: fails");
    let source = create_image(frame).ok_or_else(no_memory)?;
    let stream = Stream::writer().ok_or_else(no_memory)?;
    // SAFETY: takes a constant.
    let codec = Codec(unsafe { opj::opj_create_compress(opj::CODEC_FORMAT::OPJ_CODEC_J2K) });
    if codec.0.is_null() {
        return Err(no_memory());
    }
    listen(&codec, trouble);
    // SAFETY: handles are live, parameters are filled in by the library before use.
    let done = unsafe {
        let mut parameters = std::mem::zeroed::<opj::opj_cparameters_t>();
        opj::opj_set_default_encoder_parameters(&mut parameters);
        parameters.tcp_numlayers = 1;
        parameters.cp_disto_alloc = 1;
        parameters.tcp_mct = transform.into();
        parameters.numresolution = resolutions(frame.image.columns.min(frame.image.rows));
        if let Some(loss) = loss {
            parameters.irreversible = 1;
            parameters.tcp_rates[0] = loss.ratio.filter(|ratio| *ratio > 1.0).unwrap_or(10.0);
        }
        opj::opj_setup_encoder(codec.0, &mut parameters, source.0) != 0
            && opj::opj_start_compress(codec.0, source.0, stream.handle) != 0
            && opj::opj_encode(codec.0, stream.handle) != 0
            && opj::opj_end_compress(codec.0, stream.handle) != 0
    };
    if done {
        Ok(stream.into_written())
    } else {
        Err(failed())
    }
}

/// Six resolutions, fewer for images too small to be halved five times.
fn resolutions(side: u32) -> i32 {
    (side.max(1).ilog2() as i32 + 1).clamp(1, 6)
}

/// The samples in the library's form: 32-bit planes.
fn create_image(frame: &Frame) -> Option<Image> {
    let image = &frame.image;
    let values = frame.raw_integers();
    let count = image.samples_per_pixel as usize;
    let precision = precision(frame, &values);
    let part = opj::opj_image_cmptparm_t {
        dx: 1,
        dy: 1,
        w: image.columns,
        h: image.rows,
        x0: 0,
        y0: 0,
        prec: precision,
        bpp: precision,
        sgnd: image.signed.into(),
    };
    let mut parts = vec![part; count];
    let space = match count {
        1 => opj::COLOR_SPACE::OPJ_CLRSPC_GRAY,
        _ if image.photometric == Photometric::Rgb => opj::COLOR_SPACE::OPJ_CLRSPC_SRGB,
        _ => opj::COLOR_SPACE::OPJ_CLRSPC_UNSPECIFIED,
    };
    // SAFETY: `parts` has `count` entries.
    let created = Image(unsafe { opj::opj_image_create(count as u32, parts.as_mut_ptr(), space) });
    if created.0.is_null() {
        return None;
    }
    let pixels = image.pixels() as usize;
    // SAFETY: the image is fresh and has `count` components of `pixels` samples.
    let components = unsafe {
        (*created.0).x1 = image.columns;
        (*created.0).y1 = image.rows;
        std::slice::from_raw_parts((*created.0).comps, count)
    };
    for (number, component) in components.iter().enumerate() {
        // SAFETY: as above; planes do not overlap.
        let plane = unsafe { std::slice::from_raw_parts_mut(component.data, pixels) };
        for (place, value) in plane
            .iter_mut()
            .zip(values.iter().skip(number).step_by(count))
        {
            *place = *value as i32;
        }
    }
    Some(created)
}

/// Bits Stored where every value fits, else Bits Allocated.
fn precision(frame: &Frame, values: &[i64]) -> u32 {
    let image = &frame.image;
    let stored = image.bits_stored;
    let range = if image.signed {
        -(1i64 << (stored - 1))..1i64 << (stored - 1)
    } else {
        0..1i64 << stored
    };
    if values.iter().all(|value| range.contains(value)) {
        stored
    } else {
        image.bits_allocated
    }
}
