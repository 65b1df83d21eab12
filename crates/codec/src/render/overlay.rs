//! Overlay planes (PS3.3 C.9.2).

use super::picture::Picture;
use super::presentation::{Overlay, OverlayBits};
use crate::frame::Frame;

/// Burns the overlays into a picture of the frame's own size, in white.
pub(super) fn burn(frame: &Frame, overlays: &[Overlay], picture: &mut Picture) {
    for overlay in overlays {
        // Only what lies on the image is looked at: an overlay may claim any size.
        let rows = visible(overlay.top, overlay.rows, picture.height);
        for y in rows {
            for x in visible(overlay.left, overlay.columns, picture.width) {
                if is_set(frame, overlay, x, y) {
                    picture.put(x, y, 255);
                }
            }
        }
    }
}

/// Whether an overlay has a bit set there.
pub(super) fn covers(frame: &Frame, overlay: &Overlay, x: i64, y: i64) -> bool {
    let within = |start: i32, extent: u32, place: i64| {
        let start = i64::from(start);
        (start..start + i64::from(extent)).contains(&place)
    };
    within(overlay.top, overlay.rows, y)
        && within(overlay.left, overlay.columns, x)
        && is_set(frame, overlay, x, y)
}

/// The part of an overlay's extent that is on the image, in the image's coordinates.
fn visible(start: i32, extent: u32, limit: u32) -> std::ops::Range<i64> {
    let start = i64::from(start);
    start.max(0)..(start + i64::from(extent)).min(i64::from(limit))
}

fn is_set(frame: &Frame, overlay: &Overlay, x: i64, y: i64) -> bool {
    let (row, column) = (y - i64::from(overlay.top), x - i64::from(overlay.left));
    match &overlay.bits {
        OverlayBits::Data { bytes, first_bit } => {
            let bit = first_bit + (row * i64::from(overlay.columns) + column) as u64;
            let byte = usize::try_from(bit / 8)
                .ok()
                .and_then(|place| bytes.get(place));
            byte.is_some_and(|byte| byte >> (bit % 8) & 1 == 1)
        }
        OverlayBits::InPixel(bit) => {
            let width = frame.image.bits_allocated as usize / 8;
            let pixel = (y * i64::from(frame.image.columns) + x) as usize * width;
            let byte = frame
                .bytes
                .get(pixel + *bit as usize / 8)
                .filter(|_| (*bit as usize) < width * 8);
            byte.is_some_and(|byte| byte >> (bit % 8) & 1 == 1)
        }
    }
}
