//! Colour management (PS3.3 C.11.15, PS3.18 8.3.5.1.5).

use super::picture::{Picture, Pixels};
use super::request::IccOutput;
use moxcms::{ColorProfile, Layout, Transform8BitExecutor, TransformOptions};
use std::cell::RefCell;
use std::sync::Arc;

type Transform = Arc<Transform8BitExecutor>;

/// Profiles larger than this are not looked at.
const MAX_PROFILE: usize = 16 << 20;

thread_local! {
    /// The transform used last: the tiles of a slide share their profile.
    static LAST: RefCell<Option<(Vec<u8>, IccOutput, Transform)>> = const { RefCell::new(None) };
}

/// Converts a colour picture to the space that is wanted, and gives the profile to go with it.
/// An object without a profile, or with one that cannot be used, is taken to be sRGB.
pub(super) fn convert(
    picture: &mut Picture,
    own: Option<&[u8]>,
    wanted: IccOutput,
) -> Option<Vec<u8>> {
    let Pixels::Rgb(pixels) = &mut picture.pixels else {
        return None;
    };
    let own = own.filter(|profile| profile.len() <= MAX_PROFILE);
    match wanted {
        IccOutput::No => None,
        IccOutput::Yes => own.map(<[u8]>::to_vec).or_else(|| encoded(IccOutput::Srgb)),
        _ => {
            if let Some(transform) = transform(own, wanted) {
                let source = pixels.clone();
                if transform.transform(&source, pixels).is_err() {
                    pixels.copy_from_slice(&source);
                }
            }
            encoded(wanted)
        }
    }
}

fn transform(own: Option<&[u8]>, wanted: IccOutput) -> Option<Transform> {
    let key = own.unwrap_or_default();
    let kept = LAST.with_borrow(|last| match last {
        Some((profile, output, transform)) if profile == key && *output == wanted => {
            Some(transform.clone())
        }
        _ => None,
    });
    if kept.is_some() {
        return kept;
    }
    let source = own.and_then(|profile| ColorProfile::new_from_slice(profile).ok());
    if source.is_none() && wanted == IccOutput::Srgb {
        return None;
    }
    let source = source.unwrap_or_else(ColorProfile::new_srgb);
    let target = profile(wanted)?;
    // Fixed point would be off by one for colours both spaces have.
    let options = TransformOptions {
        prefer_fixed_point: false,
        ..TransformOptions::default()
    };
    let transform = source
        .create_transform_8bit(Layout::Rgb, &target, Layout::Rgb, options)
        .ok()?;
    LAST.with_borrow_mut(|last| *last = Some((key.to_vec(), wanted, transform.clone())));
    Some(transform)
}

fn profile(wanted: IccOutput) -> Option<ColorProfile> {
    match wanted {
        IccOutput::Srgb => Some(ColorProfile::new_srgb()),
        IccOutput::AdobeRgb => Some(ColorProfile::new_adobe_rgb()),
        IccOutput::RommRgb => Some(ColorProfile::new_pro_photo_rgb()),
        IccOutput::DisplayP3 => Some(ColorProfile::new_display_p3()),
        IccOutput::No | IccOutput::Yes => None,
    }
}

fn encoded(wanted: IccOutput) -> Option<Vec<u8>> {
    profile(wanted)?.encode().ok()
}
