//! The processes of ISO/IEC 10918-1, through libjpeg-turbo.

use super::{Coded, CodedSamples, Encoded};
use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::image::Photometric;
use crate::jpeg::{self, Colour, Options};
use crate::syntax::JpegProcess;
use crate::transcode::Loss;

pub(super) fn encode(frame: &Frame, process: JpegProcess, loss: &Loss) -> Result<Encoded> {
    match process {
        JpegProcess::Lossless | JpegProcess::LosslessSv1 => lossless(frame),
        JpegProcess::Baseline => lossy(frame, 8, loss),
        JpegProcess::Extended => lossy(frame, 12, loss),
        JpegProcess::RetiredLossy | JpegProcess::RetiredLossless => {
            Err(Error::unsupported("encoding a retired JPEG process"))
        }
    }
}

/// Process 14 with selection value 1. Samples are stored in the colour space they are in.
fn lossless(frame: &Frame) -> Result<Encoded> {
    let coded = Coded::of(frame)?;
    let colour = match frame.image.samples_per_pixel {
        1 => Colour::Grey,
        3 => Colour::Rgb,
        other => {
            return Err(Error::unsupported(format!(
                "{other} samples a pixel in JPEG"
            )));
        }
    };
    let options = Options {
        lossless: true,
        precision: coded.precision,
        input: colour,
        stored: colour,
        ..options(frame, &Loss::default())
    };
    Ok(Encoded {
        bytes: run(&coded, &options)?,
        photometric: frame.image.photometric,
    })
}

/// The DCT. Colour becomes YBR with chrominance halved horizontally, which is what the label
/// YBR_FULL_422 says.
fn lossy(frame: &Frame, greatest: u32, loss: &Loss) -> Result<Encoded> {
    let image = &frame.image;
    if image.signed || image.photometric == Photometric::PaletteColor {
        return Err(Error::unsupported(
            "signed samples or palette indices in lossy JPEG",
        ));
    }
    let coded = Coded::of(frame)?;
    if coded.precision > greatest {
        return Err(Error::unsupported(format!(
            "samples of {} bits in lossy JPEG",
            coded.precision
        )));
    }
    let precision = if coded.precision <= 8 { 8 } else { 12 };
    let base = Options {
        precision,
        ..options(frame, loss)
    };
    let (options, photometric) = match (image.samples_per_pixel, image.photometric) {
        (1, label) => (
            Options {
                input: Colour::Grey,
                stored: Colour::Grey,
                ..base
            },
            label,
        ),
        (3, Photometric::Rgb) => (
            Options {
                input: Colour::Rgb,
                stored: Colour::Ybr,
                subsampling: (2, 1),
                ..base
            },
            Photometric::YbrFull422,
        ),
        (3, Photometric::YbrFull | Photometric::YbrFull422) => (
            Options {
                input: Colour::Ybr,
                stored: Colour::Ybr,
                subsampling: (2, 1),
                ..base
            },
            Photometric::YbrFull422,
        ),
        _ => return Err(Error::unsupported("this colour space in lossy JPEG")),
    };
    Ok(Encoded {
        bytes: run(&coded, &options)?,
        photometric,
    })
}

fn options(frame: &Frame, loss: &Loss) -> Options<'static> {
    Options {
        width: frame.image.columns,
        height: frame.image.rows,
        precision: 8,
        lossless: false,
        quality: loss.quality.unwrap_or(90),
        input: Colour::Grey,
        stored: Colour::Grey,
        subsampling: (1, 1),
        density: None,
        icc: None,
    }
}

fn run(coded: &Coded, options: &Options<'_>) -> Result<Vec<u8>> {
    match &coded.samples {
        CodedSamples::Bytes(samples) => jpeg::encode_bytes(samples, options),
        CodedSamples::Words(samples) => jpeg::encode_words(samples, options),
    }
}
