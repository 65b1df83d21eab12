//! JPEG-LS (ISO/IEC 14495-1), through CharLS.
#![allow(unsafe_code)]

use super::{Coded, CodedSamples};
use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::image::Photometric;
use crate::transcode::Loss;
use charls_sys as charls;
use std::ffi::c_void;

struct Encoder(*mut charls::charls_jpegls_encoder);

impl Drop for Encoder {
    fn drop(&mut self) {
        // SAFETY: created by the library, destroyed once.
        unsafe { charls::charls_jpegls_encoder_destroy(self.0) };
    }
}

/// Encodes with colour interleaved by sample, which every decoder knows.
pub(super) fn encode(frame: &Frame, lossy: bool, loss: &Loss) -> Result<Vec<u8>> {
    let image = &frame.image;
    let coded = Coded::of(frame)?;
    let near = match (lossy, image.photometric) {
        (false, _) => 0,
        (true, Photometric::PaletteColor) => {
            return Err(Error::unsupported("palette indices in a lossy coding"));
        }
        (true, _) => {
            let greatest = ((1u32 << coded.precision) - 1) / 2;
            u32::from(loss.near.unwrap_or(2).max(1)).min(greatest)
        }
    };
    let info = charls::charls_frame_info {
        width: image.columns,
        height: image.rows,
        bits_per_sample: coded.precision as i32,
        component_count: image.samples_per_pixel as i32,
    };
    let mode = match image.samples_per_pixel {
        1 => charls::charls_interleave_mode_none,
        _ => charls::charls_interleave_mode_sample,
    };
    let (source, size): (*const c_void, usize) = match &coded.samples {
        CodedSamples::Bytes(samples) => (samples.as_ptr().cast(), samples.len()),
        CodedSamples::Words(samples) => (samples.as_ptr().cast(), samples.len() * 2),
    };
    // SAFETY: takes nothing.
    let encoder = Encoder(unsafe { charls::charls_jpegls_encoder_create() });
    if encoder.0.is_null() {
        return Err(Error::TooLarge("no memory for a JPEG-LS encoder".into()));
    }
    let mut room = 0;
    // SAFETY: the encoder is live; `info` and `room` are only used during the calls.
    unsafe {
        check(charls::charls_jpegls_encoder_set_frame_info(
            encoder.0, &info,
        ))?;
        check(charls::charls_jpegls_encoder_set_near_lossless(
            encoder.0,
            near as i32,
        ))?;
        check(charls::charls_jpegls_encoder_set_interleave_mode(
            encoder.0, mode,
        ))?;
        check(charls::charls_jpegls_encoder_get_estimated_destination_size(encoder.0, &mut room))?;
    }
    // The estimate is too small for noise, which grows under JPEG-LS.
    let room = room.max(size + size / 4) + 4096;
    let mut encoded = vec![0u8; room];
    let mut written = 0;
    // SAFETY: source and destination are live and as long as said.
    unsafe {
        check(charls::charls_jpegls_encoder_set_destination_buffer(
            encoder.0,
            encoded.as_mut_ptr().cast(),
            room,
        ))?;
        check(charls::charls_jpegls_encoder_encode_from_buffer(
            encoder.0, source, size, 0,
        ))?;
        check(charls::charls_jpegls_encoder_get_bytes_written(
            encoder.0,
            &mut written,
        ))?;
    }
    encoded.truncate(written);
    Ok(encoded)
}

fn check(code: charls::charls_jpegls_errc) -> Result<()> {
    if code == 0 {
        Ok(())
    } else {
        Err(Error::unsupported(format!("JPEG-LS encoder: error {code}")))
    }
}
