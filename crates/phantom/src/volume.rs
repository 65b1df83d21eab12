//! Stacks of cuts through a body.

use crate::anatomy::{Body, Tissue};
use crate::attributes::Attributes;
use crate::noise::NoiseTile;
use crate::plan::uid;
use crate::quadric::{Grid, View};
use crate::random::Random;
use crate::study::Series;
use gantry_dicom::{Vr, tags};

/// A stack: the same grid at evenly spaced depths.
#[derive(Debug, Clone)]
pub(crate) struct Stack {
    body: Body,
    view: View,
    pub(crate) grid: Grid,
    first_w: f32,
    step_mm: f32,
    pub(crate) slices: usize,
    grain: NoiseTile,
}

/// Where a stack lies, in the axes of its view.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    pub(crate) view: View,
    pub(crate) matrix: usize,
    pub(crate) field_mm: f32,
    /// u and v of the middle.
    pub(crate) middle: [f32; 2],
    /// w of the first and the last slice.
    pub(crate) depth: [f32; 2],
    pub(crate) slices: usize,
}

impl Stack {
    /// `smoothness` is the grain's: 0 sharp, 2 soft.
    pub(crate) fn new(
        body: &Body,
        extent: &Extent,
        random: &mut Random,
        smoothness: usize,
    ) -> Self {
        let spacing = extent.field_mm / extent.matrix as f32;
        let steps = (extent.slices.max(2) - 1) as f32;
        Self {
            body: body.seen(extent.view),
            view: extent.view,
            grid: Grid::centred(extent.matrix, extent.matrix, spacing, extent.middle),
            first_w: extent.depth[0],
            step_mm: (extent.depth[1] - extent.depth[0]) / steps,
            slices: extent.slices,
            grain: NoiseTile::smoothed(random, smoothness),
        }
    }

    pub(crate) fn pixel_count(&self) -> usize {
        self.grid.columns * self.grid.rows
    }

    /// A cut without grain.
    pub(crate) fn cut(
        &self,
        slice: usize,
        background: f32,
        value: impl Fn(Tissue) -> f32,
    ) -> Vec<f32> {
        let mut picture = vec![background; self.pixel_count()];
        self.body
            .paint(&mut picture, &self.grid, self.view, self.w(slice), value);
        picture
    }

    /// Adds the grain of a slice.
    pub(crate) fn add_grain(&self, picture: &mut [f32], slice: usize, deviation: f32) {
        let shift = (slice.wrapping_mul(97), slice.wrapping_mul(57));
        self.grain
            .add_to(picture, self.grid.columns, shift, deviation);
    }

    fn w(&self, slice: usize) -> f32 {
        self.first_w + self.step_mm * slice as f32
    }

    /// Frame of Reference and Image Plane modules (PS3.3 C.7.4.1, C.7.6.2).
    pub(crate) fn write_plane(&self, attributes: &mut Attributes, series: &Series, slice: usize) {
        let (u, v, w) = (
            f64::from(self.grid.first[0]),
            f64::from(self.grid.first[1]),
            f64::from(self.w(slice)),
        );
        let (position, orientation) = match self.view {
            View::Axial => ([u, v, w], [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]),
            View::Coronal => ([u, w, -v], [1.0, 0.0, 0.0, 0.0, 0.0, -1.0]),
            View::Sagittal => ([w, u, -v], [0.0, 1.0, 0.0, 0.0, 0.0, -1.0]),
        };
        let rounded = position.map(|value| (value * 1e4).round() / 1e4);
        let spacing = (f64::from(self.grid.spacing_mm) * 1e6).round() / 1e6;
        let step = (f64::from(self.step_mm.abs()) * 1e4).round() / 1e4;
        attributes.uid(
            tags::FRAME_OF_REFERENCE_UID,
            series.frame_of_reference().as_str(),
        );
        attributes.empty(tags::POSITION_REFERENCE_INDICATOR, Vr::LO);
        attributes.decimals(tags::IMAGE_POSITION_PATIENT, &rounded);
        attributes.decimals(tags::IMAGE_ORIENTATION_PATIENT, &orientation);
        attributes.decimals(tags::SLICE_LOCATION, &[(w * 1e4).round() / 1e4]);
        attributes.decimals(tags::PIXEL_SPACING, &[spacing, spacing]);
        attributes.decimals(tags::SLICE_THICKNESS, &[step]);
        attributes.decimals(tags::SPACING_BETWEEN_SLICES, &[step]);
    }
}

/// Irradiation Event UID (0008,3010): one for each series of a study.
pub(crate) fn write_irradiation(attributes: &mut Attributes, series: &Series) {
    let event = uid(
        series.study.seed,
        &series
            .study
            .named(&format!("irradiation {}", series.number)),
    );
    attributes.uid(tags::IRRADIATION_EVENT_UID, event.as_str());
}
