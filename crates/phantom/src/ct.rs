//! CT volumes (PS3.3 A.3).

use crate::anatomy::Body;
use crate::attributes::Attributes;
use crate::image::{Grey, write_rescale, write_windows};
use crate::plan::InstancePlan;
use crate::random::Random;
use crate::study::Series;
use crate::volume::{Extent, Stack, write_irradiation};
use gantry_dicom::{Tag, Vr, tags};
use std::sync::Arc;

/// How a scan is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scan {
    pub(crate) extent: Extent,
    /// Standard deviation of the grain in HU.
    pub(crate) noise_hu: f32,
    pub(crate) kernel: &'static str,
    pub(crate) windows: &'static [(f64, f64, &'static str)],
    pub(crate) contrast_agent: Option<&'static str>,
}

const LOWEST_HU: f32 = -1024.0;

/// All slices of one scan.
pub(crate) fn instances(series: &Series, body: &Body, scan: Scan) -> Vec<InstancePlan> {
    let mut random = Random::named(series.study.seed, &series.study.named("ct"));
    let stack = Arc::new(Stack::new(body, &scan.extent, &mut random, 1));
    (0..stack.slices)
        .map(|slice| {
            let (stack, of) = (Arc::clone(&stack), series.clone());
            series.instance(slice + 1, move |attributes| {
                write_scan(attributes, &of, &scan);
                of.write_acquisition(attributes, slice);
                stack.write_plane(attributes, &of, slice);
                write_pixels(attributes, &stack, slice, scan.noise_hu);
            })
        })
        .collect()
}

fn write_scan(attributes: &mut Attributes, series: &Series, scan: &Scan) {
    attributes.code_string(tags::IMAGE_TYPE, "ORIGINAL\\PRIMARY\\AXIAL");
    write_irradiation(attributes, series);
    attributes.code_string(tags::PATIENT_POSITION, "HFS");
    attributes.text(tags::SCAN_OPTIONS, Vr::CS, "HELICAL MODE");
    for (tag, value) in [
        (tags::KVP, 120.0),
        (tags::DATA_COLLECTION_DIAMETER, 500.0),
        (tags::GANTRY_DETECTOR_TILT, 0.0),
        (tags::TABLE_HEIGHT, 152.0),
    ] {
        attributes.decimals(tag, &[value]);
    }
    attributes.decimals(
        tags::RECONSTRUCTION_DIAMETER,
        &[f64::from(scan.extent.field_mm)],
    );
    let integers: [(Tag, i64); 3] = [
        (tags::EXPOSURE_TIME, 500),
        (tags::X_RAY_TUBE_CURRENT, 260),
        (tags::EXPOSURE, 130),
    ];
    for (tag, value) in integers {
        attributes.integers(tag, &[value]);
    }
    attributes.text(tags::CONVOLUTION_KERNEL, Vr::SH, scan.kernel);
    attributes.code_string(tags::ROTATION_DIRECTION, "CW");
    if let Some(agent) = scan.contrast_agent {
        attributes.text(tags::CONTRAST_BOLUS_AGENT, Vr::LO, agent);
    }
    write_windows(attributes, scan.windows);
    write_rescale(attributes, f64::from(LOWEST_HU), 1.0, "HU");
}

fn write_pixels(attributes: &mut Attributes, stack: &Stack, slice: usize, noise_hu: f32) {
    let mut picture = stack.cut(slice, -1000.0, |tissue| tissue.appearance().hounsfield);
    stack.add_grain(&mut picture, slice, noise_hu);
    let stored: Vec<u16> = picture
        .iter()
        .map(|hu| (hu - LOWEST_HU + 0.5).clamp(0.0, 4095.0) as u16)
        .collect();
    let (columns, rows) = (stack.grid.columns, stack.grid.rows);
    Grey {
        columns,
        rows,
        bits_allocated: 16,
        bits_stored: 12,
        is_inverted: false,
    }
    .write(attributes);
    attributes.words(tags::PIXEL_DATA, &stored);
}
