//! Safe calls of the C door to libjpeg-turbo (native/jpeg.c).
#![allow(unsafe_code)]

use crate::error::{Error, Result};
use std::ffi::{CStr, c_char, c_int, c_void};

// Only for linking: the symbols are those of the libjpeg API in the same library.
use turbojpeg_sys as _;

const TEXT: usize = 256;

#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct RawHeader {
    width: u32,
    height: u32,
    components: u32,
    precision: u32,
    lossless: u32,
    colour: u32,
    subsampled: u32,
    jfif: u32,
    adobe: u32,
}

#[repr(C)]
struct RawOptions {
    width: u32,
    height: u32,
    components: u32,
    precision: u32,
    lossless: u32,
    quality: u32,
    input: u32,
    stored: u32,
    horizontal: u32,
    vertical: u32,
    density_x: u32,
    density_y: u32,
    icc: *const u8,
    icc_length: usize,
}

unsafe extern "C" {
    fn gantry_jpeg_header(
        data: *const u8,
        length: usize,
        header: *mut RawHeader,
        text: *mut c_char,
    ) -> c_int;
    fn gantry_jpeg_decode(
        data: *const u8,
        length: usize,
        expected: *const RawHeader,
        out: *mut c_void,
        text: *mut c_char,
    ) -> c_int;
    fn gantry_jpeg_encode(
        samples: *const c_void,
        options: *const RawOptions,
        out: *mut *mut u8,
        out_length: *mut usize,
        text: *mut c_char,
    ) -> c_int;
    fn gantry_jpeg_free(buffer: *mut u8);
}

/// What a stream says of itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Header {
    raw: RawHeader,
    pub width: u32,
    pub height: u32,
    pub components: u32,
    /// Bits of a sample, 2 to 16.
    pub precision: u32,
    pub is_lossless: bool,
    pub is_subsampled: bool,
    /// The colour space as libjpeg guesses it from markers and component identifiers.
    pub colour: Colour,
    /// The transform code of an Adobe marker.
    pub adobe_transform: Option<u32>,
}

/// A colour space in libjpeg's terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colour {
    Other = 0,
    Grey = 1,
    Rgb = 2,
    Ybr = 3,
}

/// Samples by pixel, in bytes up to 8 bits of precision.
pub(crate) enum Samples {
    Bytes(Vec<u8>),
    Words(Vec<u16>),
}

/// Reads the headers up to the first scan.
pub(crate) fn read_header(bytes: &[u8]) -> Result<Header> {
    let mut raw = RawHeader::default();
    let mut text = [0 as c_char; TEXT];
    // SAFETY: pointers and lengths are those of live slices; `text` holds JMSG_LENGTH_MAX (200).
    let status =
        unsafe { gantry_jpeg_header(bytes.as_ptr(), bytes.len(), &mut raw, text.as_mut_ptr()) };
    if status != 0 {
        return Err(failure(&text));
    }
    Ok(Header {
        raw,
        width: raw.width,
        height: raw.height,
        components: raw.components,
        precision: raw.precision,
        is_lossless: raw.lossless != 0,
        is_subsampled: raw.subsampled != 0,
        colour: match raw.colour {
            1 => Colour::Grey,
            2 => Colour::Rgb,
            3 => Colour::Ybr,
            _ => Colour::Other,
        },
        adobe_transform: raw.adobe.checked_sub(1),
    })
}

/// Decodes a frame of which the header was read and found acceptable.
pub(crate) fn decode(bytes: &[u8], header: &Header) -> Result<Samples> {
    let count = header.width as usize * header.height as usize * header.components as usize;
    let mut text = [0 as c_char; TEXT];
    let mut run = |out: *mut c_void| {
        // SAFETY: `out` has room for width * height * components samples of the header's
        // precision, and the C side fails if the stream's own header says otherwise.
        let status = unsafe {
            gantry_jpeg_decode(
                bytes.as_ptr(),
                bytes.len(),
                &header.raw,
                out,
                text.as_mut_ptr(),
            )
        };
        if status == 0 {
            Ok(())
        } else {
            Err(failure(&text))
        }
    };
    if header.precision <= 8 {
        let mut samples = reserve::<u8>(count)?;
        run(samples.as_mut_ptr().cast())?;
        Ok(Samples::Bytes(samples))
    } else {
        let mut samples = reserve::<u16>(count)?;
        run(samples.as_mut_ptr().cast())?;
        Ok(Samples::Words(samples))
    }
}

fn reserve<T: Clone + Default>(count: usize) -> Result<Vec<T>> {
    let mut samples = Vec::new();
    samples
        .try_reserve_exact(count)
        .map_err(|_| Error::TooLarge(format!("{count} samples")))?;
    samples.resize(count, T::default());
    Ok(samples)
}

/// How to encode.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options<'a> {
    pub width: u32,
    pub height: u32,
    /// Bits of a sample: 8 for the DCT, also 12; 2 to 16 when lossless.
    pub precision: u32,
    /// Process 14, selection value 1, instead of the DCT.
    pub lossless: bool,
    pub quality: u8,
    /// Colour space of the samples.
    pub input: Colour,
    /// Colour space to store; RGB may become YBR on the way.
    pub stored: Colour,
    /// Luminance samples for each chrominance sample, horizontally and vertically.
    pub subsampling: (u32, u32),
    /// Pixel aspect for the JFIF marker.
    pub density: Option<(u32, u32)>,
    pub icc: Option<&'a [u8]>,
}

/// Encodes samples of up to 8 bits.
pub(crate) fn encode_bytes(samples: &[u8], options: &Options<'_>) -> Result<Vec<u8>> {
    if options.precision > 8 {
        return Err(Error::request("bytes of more than 8 bits"));
    }
    encode(samples.as_ptr().cast(), samples.len(), options)
}

/// Encodes samples of more than 8 bits.
pub(crate) fn encode_words(samples: &[u16], options: &Options<'_>) -> Result<Vec<u8>> {
    if options.precision <= 8 {
        return Err(Error::request("words of no more than 8 bits"));
    }
    encode(samples.as_ptr().cast(), samples.len(), options)
}

fn encode(samples: *const c_void, count: usize, options: &Options<'_>) -> Result<Vec<u8>> {
    let components = if options.input == Colour::Grey { 1 } else { 3 };
    let wanted = options.width as usize * options.height as usize * components;
    let precisions = if options.lossless { 2..=16 } else { 8..=12 };
    if count != wanted || !precisions.contains(&options.precision) || options.input == Colour::Other
    {
        return Err(Error::request("samples that no JPEG can hold"));
    }
    let raw = RawOptions {
        width: options.width,
        height: options.height,
        components: components as u32,
        precision: options.precision,
        lossless: options.lossless.into(),
        quality: options.quality.clamp(1, 100).into(),
        input: options.input as u32,
        stored: options.stored as u32,
        horizontal: options.subsampling.0,
        vertical: options.subsampling.1,
        density_x: options.density.map_or(0, |(x, _)| x),
        density_y: options.density.map_or(0, |(_, y)| y),
        icc: options.icc.map_or(std::ptr::null(), <[u8]>::as_ptr),
        icc_length: options.icc.map_or(0, <[u8]>::len),
    };
    let mut text = [0 as c_char; TEXT];
    let (mut out, mut length) = (std::ptr::null_mut(), 0);
    // SAFETY: `samples` holds width * height * components samples of the precision's width, as
    // was checked; `out` and `length` are written on success only.
    let status =
        unsafe { gantry_jpeg_encode(samples, &raw, &mut out, &mut length, text.as_mut_ptr()) };
    if status != 0 || out.is_null() {
        return Err(failure(&text));
    }
    // SAFETY: on success `out` points to `length` bytes that are ours until they are freed.
    let encoded = unsafe { std::slice::from_raw_parts(out, length) }.to_vec();
    // SAFETY: allocated by the C side, freed once, not used again.
    unsafe { gantry_jpeg_free(out) };
    Ok(encoded)
}

fn failure(text: &[c_char; TEXT]) -> Error {
    // SAFETY: the C side ends its text with NUL, and the array was zeroed before.
    let text = unsafe { CStr::from_ptr(text.as_ptr()) };
    Error::malformed(format!("JPEG: {}", text.to_string_lossy()))
}
