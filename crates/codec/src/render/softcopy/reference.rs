//! Which images and frames a presentation state, or a part of it, is for (PS3.3 C.11.11, table
//! 10-3).

use gantry_dicom::data_set::DataSet;
use gantry_dicom::tags;

/// The most references that are looked at.
const MAX_REFERENCES: usize = 100_000;

/// An image that a presentation state refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageReference {
    /// Referenced SOP Instance UID (0008,1155).
    pub sop_instance_uid: String,
    /// Referenced Frame Number (0008,1160); none when all frames are meant.
    pub frames: Vec<u32>,
}

/// The images that a presentation state refers to, in its order: Referenced Series Sequence
/// (0008,1115).
pub fn references(state: &DataSet) -> Vec<ImageReference> {
    let series = state.items(tags::REFERENCED_SERIES_SEQUENCE).iter();
    let images = series.flat_map(|series| series.items(tags::REFERENCED_IMAGE_SEQUENCE));
    images
        .take(MAX_REFERENCES)
        .filter_map(|image| {
            Some(ImageReference {
                sop_instance_uid: image.ascii(tags::REFERENCED_SOP_INSTANCE_UID)?.to_owned(),
                frames: frames(image),
            })
        })
        .collect()
}

fn frames(reference: &DataSet) -> Vec<u32> {
    let numbers = reference
        .integers(tags::REFERENCED_FRAME_NUMBER)
        .into_iter();
    numbers
        .filter_map(|number| u32::try_from(number).ok())
        .filter(|number| *number > 0)
        .collect()
}

/// Whether an item is for a frame, counted from 0, of an image: it is for all unless it has a
/// Referenced Image Sequence (0008,1140).
pub(super) fn applies(item: &DataSet, sop_instance_uid: &str, frame: u32) -> bool {
    let images = item.items(tags::REFERENCED_IMAGE_SEQUENCE);
    images.is_empty()
        || images.iter().any(|image| {
            let frames = frames(image);
            image.ascii(tags::REFERENCED_SOP_INSTANCE_UID) == Some(sop_instance_uid)
                && (frames.is_empty() || frames.contains(&(frame + 1)))
        })
}
