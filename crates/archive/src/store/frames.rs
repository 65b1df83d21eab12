//! Where the frames of encapsulated pixel data lie: found out when an instance arrives, so that
//! a frame can be read without looking at the instance.

use crate::error::{Error, Result};
use bytes::Bytes;
use gantry_core::failure::Kind;
use gantry_dicom::data_set::DataSet;
use gantry_dicom::frames::{FrameIndex, PixelDescription};
use gantry_dicom::scan::Scanned;
use gantry_dicom::transfer_syntax::TransferSyntax;

/// The frame index in the form that is kept; nothing for native pixel data, whose frames are
/// computed.
pub(crate) fn index(
    attributes: &DataSet,
    scanned: &Scanned,
    syntax: &TransferSyntax,
) -> Option<Bytes> {
    scanned.pixel_data.as_ref()?.fragments.as_ref()?;
    let index = FrameIndex::of(scanned, &PixelDescription::of(attributes), syntax)?;
    Some(index.to_bytes().into())
}

/// Reads the kept form.
pub(crate) fn read(bytes: &[u8]) -> Result<FrameIndex> {
    FrameIndex::from_bytes(bytes)
        .ok_or_else(|| Error::new(Kind::Internal, "a stored frame index is not readable"))
}
