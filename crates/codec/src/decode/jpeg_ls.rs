//! JPEG-LS (ISO/IEC 14495-1), through CharLS.
#![allow(unsafe_code)]

use super::samples::{Decoded, Samples, check_announced};
use crate::error::{Error, Result};
use crate::image::ImageDescription;
use charls_sys as charls;
use std::borrow::Cow;
use std::ffi::CStr;

/// EOI.
const END_MARKER: [u8; 2] = [0xff, 0xd9];

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

/// Decodes a frame. CharLS wants the end marker right after the scan; encoders are known that
/// put zeros between them, so a stream that fails is tried again without.
pub(super) fn decode(image: &ImageDescription, bytes: &[u8]) -> Result<Decoded> {
    let bytes = &*with_end_marker(bytes);
    decode_strictly(image, bytes).or_else(|error| match without_padding(bytes) {
        Some(mended) => decode_strictly(image, &mended).map_err(|_| error),
        None => Err(error),
    })
}

/// The stream with an end marker. Where it was cut off, CharLS 2.4.5 would count bits below zero
/// for seconds; at a marker it stops.
fn with_end_marker(bytes: &[u8]) -> Cow<'_, [u8]> {
    let end = bytes
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1);
    match bytes.get(..end) {
        Some([.., 0xff, 0xd9]) => Cow::Borrowed(bytes),
        _ => Cow::Owned([bytes, &END_MARKER].concat()),
    }
}

/// The stream without zeros before its end marker; nothing when there are none.
fn without_padding(bytes: &[u8]) -> Option<Vec<u8>> {
    let end = bytes.iter().rposition(|byte| *byte != 0)?;
    let body = bytes.get(..=end)?.strip_suffix(&END_MARKER)?;
    let kept = body.iter().rposition(|byte| *byte != 0)?;
    (kept + 1 < body.len()).then(|| [&body[..=kept], &END_MARKER].concat())
}

fn decode_strictly(image: &ImageDescription, bytes: &[u8]) -> Result<Decoded> {
    // SAFETY: takes nothing.
    let decoder = Decoder(unsafe { charls::charls_jpegls_decoder_create() });
    if decoder.0.is_null() {
        return Err(Error::TooLarge("no memory for a JPEG-LS decoder".into()));
    }
    let (info, mode) = read_header(&decoder, bytes)?;
    let components = u32::try_from(info.component_count).unwrap_or(0);
    let precision = u32::try_from(info.bits_per_sample).unwrap_or(0);
    check_announced(image, info.width, info.height, components, precision)?;
    let count = info.width as usize * info.height as usize * components as usize;
    let is_planar = components > 1 && mode == charls::charls_interleave_mode_none;
    let planes = if is_planar { components as usize } else { 1 };
    let samples = if precision <= 8 {
        Samples::Bytes(interleave(read_samples(&decoder, count)?, planes))
    } else {
        Samples::Words(interleave(read_samples(&decoder, count)?, planes))
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

fn read_header(
    decoder: &Decoder,
    bytes: &[u8],
) -> Result<(charls::charls_frame_info, charls::charls_interleave_mode)> {
    let mut info = charls::charls_frame_info {
        width: 0,
        height: 0,
        bits_per_sample: 0,
        component_count: 0,
    };
    let mut mode = charls::charls_interleave_mode_none;
    let source = bytes.as_ptr().cast();
    // SAFETY: `bytes` outlives the decoder, which is live; the results are written by the calls.
    unsafe {
        check(charls::charls_jpegls_decoder_set_source_buffer(
            decoder.0,
            source,
            bytes.len(),
        ))?;
        check(charls::charls_jpegls_decoder_read_header(decoder.0))?;
        check(charls::charls_jpegls_decoder_get_frame_info(
            decoder.0, &mut info,
        ))?;
        check(charls_jpegls_decoder_get_interleave_mode(
            decoder.0, &mut mode,
        ))?;
    }
    Ok((info, mode))
}

/// Decodes `count` samples; `T` is u8 up to 8 bits of precision, else u16.
fn read_samples<T: Clone + Default>(decoder: &Decoder, count: usize) -> Result<Vec<T>> {
    let size = count * size_of::<T>();
    let mut wanted = 0;
    // SAFETY: the header is read.
    check(unsafe {
        charls::charls_jpegls_decoder_get_destination_size(decoder.0, 0, &mut wanted)
    })?;
    if wanted != size {
        return Err(Error::malformed(format!(
            "JPEG-LS: {wanted} bytes instead of {size}"
        )));
    }
    let mut samples = vec![T::default(); count];
    let destination = samples.as_mut_ptr().cast();
    // SAFETY: `samples` has `size` bytes and the alignment of the library's samples.
    check(unsafe {
        charls::charls_jpegls_decoder_decode_to_buffer(decoder.0, destination, size, 0)
    })?;
    Ok(samples)
}

/// From sample by plane to sample by pixel.
fn interleave<T: Copy>(samples: Vec<T>, planes: usize) -> Vec<T> {
    if planes <= 1 {
        return samples;
    }
    let size = samples.len() / planes;
    let pixel = |at| (0..planes).map(move |plane| plane * size + at);
    (0..size)
        .flat_map(pixel)
        .map(|place| samples[place])
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
