//! MR volumes (PS3.3 A.4).

use crate::anatomy::{Appearance, Body};
use crate::attributes::Attributes;
use crate::image::{Grey, write_windows};
use crate::plan::InstancePlan;
use crate::random::Random;
use crate::study::Series;
use crate::volume::{Extent, Stack};
use gantry_dicom::{Vr, tags};
use std::sync::Arc;

/// What a sequence shows bright.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weighting {
    T1,
    T2,
}

impl Weighting {
    fn signal(self, appearance: Appearance) -> f32 {
        match self {
            Self::T1 => appearance.t1,
            Self::T2 => appearance.t2,
        }
    }
}

/// All slices of one sequence.
pub(crate) fn instances(
    series: &Series,
    body: &Body,
    extent: Extent,
    weighting: Weighting,
) -> Vec<InstancePlan> {
    let name = series.study.named(&format!("mr {weighting:?}"));
    let mut random = Random::named(series.study.seed, &name);
    let stack = Arc::new(Stack::new(body, &extent, &mut random, 0));
    (0..stack.slices)
        .map(|slice| {
            let (stack, of) = (Arc::clone(&stack), series.clone());
            series.instance(slice + 1, move |attributes| {
                write_sequence(attributes, weighting, &extent);
                of.write_acquisition(attributes, slice);
                stack.write_plane(attributes, &of, slice);
                write_pixels(attributes, &stack, slice, weighting);
            })
        })
        .collect()
}

fn write_sequence(attributes: &mut Attributes, weighting: Weighting, extent: &Extent) {
    let (sequence, variant, dimension, name) = match weighting {
        Weighting::T1 => ("GR\\IR", "SP\\MP", "3D", "tfl3d1"),
        Weighting::T2 => ("SE", "SK", "2D", "tse2d1"),
    };
    let (repetition, echo, train, angle) = match weighting {
        Weighting::T1 => (2100.0, 2.9, 1, 9.0),
        Weighting::T2 => (5200.0, 96.0, 15, 150.0),
    };
    attributes.code_string(tags::IMAGE_TYPE, "ORIGINAL\\PRIMARY\\OTHER");
    attributes.code_string(tags::SCANNING_SEQUENCE, sequence);
    attributes.code_string(tags::SEQUENCE_VARIANT, variant);
    attributes.empty(tags::SCAN_OPTIONS, Vr::CS);
    attributes.code_string(tags::PATIENT_POSITION, "HFS");
    attributes.code_string(tags::MR_ACQUISITION_TYPE, dimension);
    attributes.text(tags::SEQUENCE_NAME, Vr::SH, name);
    attributes.decimals(tags::REPETITION_TIME, &[repetition]);
    attributes.decimals(tags::ECHO_TIME, &[echo]);
    attributes.integers(tags::ECHO_TRAIN_LENGTH, &[train]);
    attributes.decimals(tags::FLIP_ANGLE, &[angle]);
    if weighting == Weighting::T1 {
        attributes.decimals(tags::INVERSION_TIME, &[1100.0]);
    }
    attributes.decimals(tags::MAGNETIC_FIELD_STRENGTH, &[3.0]);
    attributes.decimals(tags::IMAGING_FREQUENCY, &[123.25]);
    attributes.text(tags::IMAGED_NUCLEUS, Vr::SH, "1H");
    attributes.integers(tags::ECHO_NUMBERS, &[1]);
    attributes.decimals(tags::NUMBER_OF_AVERAGES, &[1.0]);
    attributes.decimals(tags::PERCENT_SAMPLING, &[100.0]);
    attributes.decimals(tags::PERCENT_PHASE_FIELD_OF_VIEW, &[100.0]);
    attributes.shorts(
        tags::ACQUISITION_MATRIX,
        &[0, extent.matrix as u16, extent.matrix as u16, 0],
    );
    attributes.code_string(tags::IN_PLANE_PHASE_ENCODING_DIRECTION, "ROW");
    write_windows(attributes, &[(480.0, 1000.0, "BRAIN")]);
}

fn write_pixels(attributes: &mut Attributes, stack: &Stack, slice: usize, weighting: Weighting) {
    let mut picture = stack.cut(slice, 0.0, |tissue| weighting.signal(tissue.appearance()));
    let (columns, rows) = (stack.grid.columns, stack.grid.rows);
    for (row, line) in picture.chunks_exact_mut(columns).enumerate() {
        // The coil is more sensitive at the rim than in the middle.
        let down = row as f32 / rows as f32 - 0.5;
        for (column, pixel) in line.iter_mut().enumerate() {
            let across = column as f32 / columns as f32 - 0.5;
            *pixel *= 0.88 + 0.6 * (across * across + down * down);
        }
    }
    stack.add_grain(&mut picture, slice, 14.0);
    // Magnitude pictures have no negative signal: noise in air is a little above zero.
    let stored: Vec<u16> = picture
        .iter()
        .map(|signal| signal.abs().min(4095.0) as u16)
        .collect();
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
