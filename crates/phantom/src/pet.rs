//! PET volumes in becquerels per millilitre (PS3.3 A.21).

use crate::anatomy::Body;
use crate::attributes::Attributes;
use crate::image::{Grey, write_windows};
use crate::plan::InstancePlan;
use crate::random::Random;
use crate::study::{Series, time};
use crate::volume::{Extent, Stack};
use gantry_dicom::{Vr, tags};
use std::sync::Arc;

const DOSE_BQ: f64 = 370e6;
const HALF_LIFE_S: f64 = 6586.2;
const WEIGHT_KG: f64 = 74.0;
/// An hour of rest between injection and scan.
const UPTAKE_S: f64 = 3600.0;

/// All slices of one bed range.
pub(crate) fn instances(series: &Series, body: &Body, extent: Extent) -> Vec<InstancePlan> {
    let mut random = Random::named(series.study.seed, &series.study.named("pet"));
    let stack = Arc::new(Stack::new(body, &extent, &mut random, 2));
    (0..stack.slices)
        .map(|slice| {
            let (stack, of) = (Arc::clone(&stack), series.clone());
            series.instance(slice + 1, move |attributes| {
                write_scan(attributes, &of, &stack);
                of.write_acquisition(attributes, slice);
                attributes.shorts(tags::IMAGE_INDEX, &[slice as u16 + 1]);
                stack.write_plane(attributes, &of, slice);
                write_pixels(attributes, &stack, slice);
            })
        })
        .collect()
}

/// PET Series, Isotope and Image modules (PS3.3 C.8.9.1, C.8.9.2, C.8.9.4).
fn write_scan(attributes: &mut Attributes, series: &Series, stack: &Stack) {
    attributes.code_string(tags::IMAGE_TYPE, "ORIGINAL\\PRIMARY");
    attributes.decimals(tags::PATIENT_WEIGHT, &[WEIGHT_KG]);
    attributes.decimals(tags::PATIENT_SIZE, &[1.76]);
    attributes.code_string(tags::UNITS, "BQML");
    attributes.code_string(tags::COUNTS_SOURCE, "EMISSION");
    attributes.code_string(tags::SERIES_TYPE, "WHOLE BODY\\IMAGE");
    attributes.shorts(tags::NUMBER_OF_SLICES, &[stack.slices as u16]);
    attributes.code_string(tags::CORRECTED_IMAGE, "DECY\\ATTN\\SCAT\\DTIM\\RAN\\NORM");
    attributes.code_string(tags::DECAY_CORRECTION, "START");
    attributes.code_string(tags::COLLIMATOR_TYPE, "NONE");
    attributes.code_string(tags::RANDOMS_CORRECTION_METHOD, "DLYD");
    attributes.text(tags::ATTENUATION_CORRECTION_METHOD, Vr::LO, "CT");
    attributes.text(tags::RECONSTRUCTION_METHOD, Vr::LO, "OSEM 3i21s");
    attributes.integers(tags::ACTUAL_FRAME_DURATION, &[120_000]);
    attributes.decimals(tags::FRAME_REFERENCE_TIME, &[60_000.0]);
    attributes.decimals(tags::DECAY_FACTOR, &[1.0]);
    attributes.decimals(tags::SCATTER_FRACTION_FACTOR, &[0.32]);
    let pharmaceutical = pharmaceutical(attributes, series);
    attributes.items(
        tags::RADIOPHARMACEUTICAL_INFORMATION_SEQUENCE,
        vec![pharmaceutical],
    );
    for tag in [
        tags::PATIENT_ORIENTATION_CODE_SEQUENCE,
        tags::PATIENT_GANTRY_RELATIONSHIP_CODE_SEQUENCE,
    ] {
        let code = if tag == tags::PATIENT_ORIENTATION_CODE_SEQUENCE {
            ["102538003", "SCT", "recumbent"]
        } else {
            ["102540008", "SCT", "headfirst"]
        };
        let mut item = attributes.code_item(code);
        if tag == tags::PATIENT_ORIENTATION_CODE_SEQUENCE {
            item.code(
                tags::PATIENT_ORIENTATION_MODIFIER_CODE_SEQUENCE,
                ["40199007", "SCT", "supine"],
            );
        }
        attributes.items(tag, vec![item]);
    }
}

fn pharmaceutical(attributes: &Attributes, series: &Series) -> Attributes {
    let mut item = attributes.item();
    item.text(
        tags::RADIOPHARMACEUTICAL,
        Vr::LO,
        "Fluorodeoxyglucose F^18^",
    );
    let injected = time(series.study.hour - 1, 60 * series.number);
    item.text(tags::RADIOPHARMACEUTICAL_START_TIME, Vr::TM, &injected);
    let date_time = format!("{}{injected}", series.study.date);
    item.text(
        tags::RADIOPHARMACEUTICAL_START_DATE_TIME,
        Vr::DT,
        &date_time,
    );
    item.decimals(tags::RADIONUCLIDE_TOTAL_DOSE, &[DOSE_BQ]);
    item.decimals(tags::RADIONUCLIDE_HALF_LIFE, &[HALF_LIFE_S]);
    item.decimals(tags::RADIONUCLIDE_POSITRON_FRACTION, &[0.967]);
    item.code(
        tags::RADIONUCLIDE_CODE_SEQUENCE,
        ["77004003", "SCT", "^18^Fluorine"],
    );
    item.code(
        tags::RADIOPHARMACEUTICAL_CODE_SEQUENCE,
        ["35321007", "SCT", "Fluorodeoxyglucose F^18^"],
    );
    item
}

fn write_pixels(attributes: &mut Attributes, stack: &Stack, slice: usize) {
    let mut picture = stack.cut(slice, 0.0, |tissue| tissue.appearance().suv);
    let columns = stack.grid.columns;
    for _ in 0..2 {
        picture = blurred(&picture, columns);
    }
    stack.add_grain(&mut picture, slice, 0.12);
    // Slope follows the brightest pixel of each slice, as scanners do.
    let decayed = DOSE_BQ * (-UPTAKE_S * std::f64::consts::LN_2 / HALF_LIFE_S).exp();
    let activity = decayed / (WEIGHT_KG * 1000.0);
    let brightest = picture.iter().fold(0.1_f32, |max, suv| max.max(*suv));
    let slope = (f64::from(brightest) * activity / 32_767.0 * 1e6).ceil() / 1e6;
    let factor = (activity / slope) as f32;
    let stored: Vec<u16> = picture
        .iter()
        .map(|suv| (suv.max(0.0) * factor).min(32_767.0) as u16)
        .collect();
    let rows = stack.grid.rows;
    Grey {
        columns,
        rows,
        bits_allocated: 16,
        bits_stored: 16,
        is_inverted: false,
    }
    .write(attributes);
    attributes.decimals(tags::RESCALE_INTERCEPT, &[0.0]);
    attributes.decimals(tags::RESCALE_SLOPE, &[slope]);
    write_windows(attributes, &[(activity * 3.5, activity * 7.0, "SUV 0-7")]);
    attributes.words(tags::PIXEL_DATA, &stored);
}

/// A 3×3 mean; the picture's rim stays.
fn blurred(picture: &[f32], columns: usize) -> Vec<f32> {
    let mut out = picture.to_vec();
    for row in 1..picture.len() / columns - 1 {
        for column in 1..columns - 1 {
            let line = |y: usize| {
                picture[y * columns + column - 1..=y * columns + column + 1]
                    .iter()
                    .sum::<f32>()
            };
            out[row * columns + column] = (line(row - 1) + line(row) + line(row + 1)) / 9.0;
        }
    }
    out
}
