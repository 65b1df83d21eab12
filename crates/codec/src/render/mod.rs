//! From stored values to a picture: the grey-scale and colour pipelines (PS3.4 N.2) and the
//! parameters of a rendered resource (PS3.18 8.3.5).
//!
//! The steps in their order: modality LUT, VOI, presentation LUT or palette or colour conversion;
//! overlays; region and size; colour management; annotation; encoding. A presentation state has
//! steps of its own after the first ([`softcopy`]).

mod annotation;
mod colour;
mod encode;
mod grey;
mod header;
mod icc;
mod lut;
mod overlay;
mod picture;
pub mod presentation;
pub mod request;
pub mod softcopy;
mod viewport;

pub use encode::Animation;
pub use presentation::{ModalityLut, Presentation, VoiFunction, Window};
pub use request::{Format, IccOutput, RenderRequest, Rendered, Viewport};

use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::image::Photometric;
use picture::Picture;

/// Renders a decoded frame.
pub fn render(frame: &Frame, request: &RenderRequest) -> Result<Rendered> {
    let (picture, profile) = compose(frame, request)?;
    encode::encode(&picture, request, profile.as_deref())
}

/// Everything but encoding: the picture and the colour profile that belongs into it.
fn compose(frame: &Frame, request: &RenderRequest) -> Result<(Picture, Option<Vec<u8>>)> {
    let presentation = &*request.presentation;
    let mut picture = develop(frame, request)?;
    if let Some(softcopy) = &presentation.softcopy {
        return softcopy::compose(frame, picture, softcopy, request);
    }
    if request.overlays {
        overlay::burn(frame, &presentation.overlays, &mut picture);
    }
    let mut picture = viewport::apply(picture, presentation, request)?;
    let profile = icc::convert(
        &mut picture,
        presentation.icc_profile.as_deref(),
        request.icc,
    );
    annotation::burn(&request.annotation, &mut picture);
    Ok((picture, profile))
}

/// From samples to eight bits of grey or colour.
fn develop(frame: &Frame, request: &RenderRequest) -> Result<Picture> {
    let image = &frame.image;
    match (image.samples_per_pixel, image.photometric) {
        (1, Photometric::PaletteColor) => match &request.presentation.palette {
            Some(palette) => colour::of_palette(frame, palette),
            None => Err(Error::unsupported("palette colour without a palette")),
        },
        (1, _) if has_pseudo_colour(request) => grey::develop_in_colour(frame, request),
        (1, _) => grey::develop(frame, request),
        (3, _) => colour::of_samples(frame),
        (other, _) => Err(Error::unsupported(format!(
            "rendering {other} samples a pixel"
        ))),
    }
}

fn has_pseudo_colour(request: &RenderRequest) -> bool {
    let softcopy = request.presentation.softcopy.as_ref();
    softcopy.is_some_and(|softcopy| softcopy.pseudo_colour)
}
