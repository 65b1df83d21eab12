//! JPEG-LS (ISO/IEC 14495-1), through CharLS.
#![allow(unsafe_code)]

use super::samples::{Decoded, Samples, check_announced};
use crate::error::{Error, Result};
use crate::image::ImageDescription;
use charls_sys as charls;
use std::ffi::CStr;

unsafe extern "C" {
    // In the library, but not in the crate's bindings.
    fn charls_jpegls_decoder_get_interleave_mode(
        decoder: *const charls::charls_jpegls_decoder,
        mode: *mut charls::charls_interleave_mode,
    ) -> charls::charls_jpegls_errc;
}

struct Decoder(*mut charls::charls_jpegls_decoder);

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: created by the library, destroyed once.
        unsafe { charls::charls_jpegls_decoder_destroy(self.0) };
    }
}

pub(super) fn decode(image: &ImageDescription, bytes: &[u8]) -> Result<Decoded> {
    // SAFETY: takes nothing.
    let decoder = Decoder(unsafe { charls::charls_jpegls_decoder_create() });
    if decoder.0.is_null() {
        return Err(Error::TooLarge("no memory for a JPEG-LS decoder".into()));
    }
    // SAFETY: `bytes` outlives the decoder.
    check(unsafe {
        charls::charls_jpegls_decoder_set_source_buffer(
            decoder.0,
            bytes.as_ptr().cast(),
            bytes.len(),
        )
    })?;
    // SAFETY: the decoder has a source.
    check(unsafe { charls::charls_jpegls_decoder_read_header(decoder.0) })?;
    let mut info = charls::charls_frame_info {
        width: 0,
        height: 0,
        bits_per_sample: 0,
        component_count: 0,
    };
    // SAFETY: the header is read; `info` is written by the call.
    check(unsafe { charls::charls_jpegls_decoder_get_frame_info(decoder.0, &mut info) })?;
    let mut mode = charls::charls_interleave_mode_none;
    // SAFETY: as above.
    check(unsafe { charls_jpegls_decoder_get_interleave_mode(decoder.0, &mut mode) })?;
    let components = u32::try_from(info.component_count).unwrap_or(0);
    let precision = u32::try_from(info.bits_per_sample).unwrap_or(0);
    check_announced(image, info.width, info.height, components, precision)?;

    let count = info.width as usize * info.height as usize * components as usize;
    let size = if precision <= 8 { count } else { count * 2 };
    let mut wanted = 0;
    // SAFETY: as above.
    check(unsafe {
        charls::charls_jpegls_decoder_get_destination_size(decoder.0, 0, &mut wanted)
    })?;
    if wanted != size {
        return Err(Error::malformed(format!(
            "JPEG-LS: {wanted} bytes instead of {size}"
        )));
    }
    let is_planar = components > 1 && mode == charls::charls_interleave_mode_none;
    let samples = if precision <= 8 {
        let mut samples = vec![0u8; count];
        // SAFETY: `samples` has `size` bytes.
        check(unsafe {
            charls::charls_jpegls_decoder_decode_to_buffer(
                decoder.0,
                samples.as_mut_ptr().cast(),
                size,
                0,
            )
        })?;
        Samples::Bytes(if is_planar {
            interleave(&samples, components as usize)
        } else {
            samples
        })
    } else {
        let mut samples = vec![0u16; count];
        // SAFETY: `samples` has `size` bytes and the alignment of the library's samples.
        check(unsafe {
            charls::charls_jpegls_decoder_decode_to_buffer(
                decoder.0,
                samples.as_mut_ptr().cast(),
                size,
                0,
            )
        })?;
        Samples::Words(if is_planar {
            interleave(&samples, components as usize)
        } else {
            samples
        })
    };
    Ok(Decoded {
        width: info.width,
        height: info.height,
        components,
        precision,
        samples,
        photometric: crate::transcode::full_sampling(image.photometric),
    })
}

fn interleave<T: Copy>(planes: &[T], components: usize) -> Vec<T> {
    let size = planes.len() / components.max(1);
    (0..size)
        .flat_map(|at| (0..components).map(move |component| planes[component * size + at]))
        .collect()
}

fn check(code: charls::charls_jpegls_errc) -> Result<()> {
    if code == 0 {
        return Ok(());
    }
    // SAFETY: the library returns a text of its own for every code.
    let text = unsafe { charls::charls_get_error_message(code) };
    if text.is_null() {
        return Err(Error::malformed(format!("JPEG-LS: error {code}")));
    }
    // SAFETY: not null, ends with NUL, lives as long as the program.
    let text = unsafe { CStr::from_ptr(text) };
    Err(Error::malformed(format!(
        "JPEG-LS: {}",
        text.to_string_lossy()
    )))
}
