//! Radiographs of trunk and hand (PS3.3 A.2, A.26).

use crate::anatomy::{Body, Tissue};
use crate::attributes::Attributes;
use crate::image::{Grey, write_rescale, write_windows};
use crate::noise::NoiseTile;
use crate::plan::InstancePlan;
use crate::quadric::{Grid, Quadric, View};
use crate::random::Random;
use crate::study::Series;
use crate::volume::write_irradiation;
use gantry_dicom::{Vr, tags, uids};
use std::sync::Arc;

/// One exposure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Exposure {
    pub(crate) view: View,
    pub(crate) columns: usize,
    pub(crate) rows: usize,
    /// Distance of two pixels on the detector.
    pub(crate) spacing_mm: f32,
    /// u and v of the middle of the detector.
    pub(crate) middle: [f32; 2],
    /// View Position (0018,5101).
    pub(crate) view_position: &'static str,
    /// Patient Orientation (0020,0020).
    pub(crate) orientation: &'static str,
    /// Millimetres of water that come out white.
    pub(crate) white_mm: f32,
    /// Image Laterality (0020,0062).
    pub(crate) laterality: &'static str,
}

/// One exposure as CR or DX, whichever the series says.
pub(crate) fn instance(
    series: &Series,
    number: usize,
    body: &Arc<Body>,
    exposure: Exposure,
) -> InstancePlan {
    let (body, of) = (Arc::clone(body), series.clone());
    series.instance(number, move |attributes| {
        let is_digital = of.sop_class_uid == uids::DIGITAL_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION;
        write_exposure(attributes, &of, &exposure);
        of.write_acquisition(attributes, number);
        if is_digital {
            write_digital(attributes, &exposure);
        } else {
            write_computed(attributes);
        }
        let mut random = Random::named(of.study.seed, &of.study.named(&format!("x-ray {number}")));
        let stored = shadow(&body, &exposure, &mut random, !is_digital);
        let (columns, rows) = (exposure.columns, exposure.rows);
        Grey {
            columns,
            rows,
            bits_allocated: 16,
            bits_stored: 12,
            is_inverted: !is_digital,
        }
        .write(attributes);
        attributes.words(tags::PIXEL_DATA, &stored);
    })
}

fn write_exposure(attributes: &mut Attributes, series: &Series, exposure: &Exposure) {
    write_irradiation(attributes, series);
    attributes.code_string(tags::VIEW_POSITION, exposure.view_position);
    attributes.text(tags::PATIENT_ORIENTATION, Vr::CS, exposure.orientation);
    attributes.decimals(
        tags::KVP,
        &[if exposure.white_mm > 100.0 {
            125.0
        } else {
            55.0
        }],
    );
    attributes.integers(tags::EXPOSURE, &[4]);
    let spacing = f64::from(exposure.spacing_mm);
    attributes.decimals(tags::IMAGER_PIXEL_SPACING, &[spacing, spacing]);
    write_windows(
        attributes,
        &[(2048.0, 4096.0, "STANDARD"), (1700.0, 2400.0, "HARD")],
    );
}

/// CR Series and CR Image modules (PS3.3 C.8.1).
fn write_computed(attributes: &mut Attributes) {
    attributes.code_string(tags::IMAGE_TYPE, "ORIGINAL\\PRIMARY");
    attributes.text(tags::PLATE_TYPE, Vr::SH, "ST-VI");
}

/// DX Series, Anatomy, Image, Detector modules (PS3.3 C.8.11).
fn write_digital(attributes: &mut Attributes, exposure: &Exposure) {
    let is_chest = exposure.white_mm > 100.0;
    attributes.code_string(tags::IMAGE_TYPE, "ORIGINAL\\PRIMARY");
    attributes.code_string(tags::PRESENTATION_INTENT_TYPE, "FOR PRESENTATION");
    attributes.code_string(tags::IMAGE_LATERALITY, exposure.laterality);
    let region = if is_chest {
        ["51185008", "SCT", "Chest"]
    } else {
        ["85562004", "SCT", "Hand"]
    };
    attributes.code(tags::ANATOMIC_REGION_SEQUENCE, region);
    let view = match exposure.view_position {
        "PA" => ["272479007", "SCT", "postero-anterior"],
        _ => ["399198007", "SCT", "right lateral"],
    };
    let mut view_code = attributes.code_item(view);
    view_code.items(tags::VIEW_MODIFIER_CODE_SEQUENCE, Vec::new());
    attributes.items(tags::VIEW_CODE_SEQUENCE, vec![view_code]);
    attributes.code_string(tags::POSITIONER_TYPE, "NONE");
    attributes.code_string(tags::DETECTOR_TYPE, "SCINTILLATOR");
    attributes.code_string(tags::DETECTOR_CONFIGURATION, "AREA");
    attributes.text(tags::DETECTOR_ID, Vr::SH, "FD-4343");
    attributes.code_string(tags::PIXEL_INTENSITY_RELATIONSHIP, "LOG");
    attributes.bytes(
        tags::PIXEL_INTENSITY_RELATIONSHIP_SIGN,
        Vr::SS,
        (-1_i16).to_le_bytes().to_vec(),
    );
    attributes.code_string(tags::PRESENTATION_LUT_SHAPE, "IDENTITY");
    attributes.code_string(tags::LOSSY_IMAGE_COMPRESSION, "00");
    attributes.code_string(tags::BURNED_IN_ANNOTATION, "NO");
    attributes.items(tags::ACQUISITION_CONTEXT_SEQUENCE, Vec::new());
    write_rescale(attributes, 0.0, 1.0, "US");
}

/// The stored pixels: bone white, or black when inverted.
fn shadow(body: &Body, exposure: &Exposure, random: &mut Random, is_inverted: bool) -> Vec<u16> {
    let (columns, rows) = (exposure.columns, exposure.rows);
    // Shadows are soft: half the detector's resolution is enough, the grain is finer.
    let coarse = Grid::centred(
        columns.div_ceil(2) + 1,
        rows.div_ceil(2) + 1,
        exposure.spacing_mm * 2.0,
        exposure.middle,
    );
    let mut water = vec![0.0; coarse.columns * coarse.rows];
    body.seen(exposure.view)
        .project(&mut water, &coarse, exposure.view);
    let grain = NoiseTile::smoothed(random, 0);
    let mut stored = Vec::with_capacity(columns * rows);
    for row in 0..rows {
        let upper = row / 2 * coarse.columns;
        let lower = upper + row % 2 * coarse.columns;
        for column in 0..columns {
            let (left, right) = (column / 2, column / 2 + column % 2);
            let mean = (water[upper + left]
                + water[upper + right]
                + water[lower + left]
                + water[lower + right])
                / 4.0;
            let level = (mean / exposure.white_mm).max(0.0).powf(0.8) * 3600.0 + 180.0;
            let value = (level + 22.0 * grain.at(column, row)).clamp(0.0, 4095.0) as u16;
            stored.push(if is_inverted { 4095 - value } else { value });
        }
    }
    stored
}

/// A left hand, palm down, fingers up; the coronal plane is the table's.
pub(crate) fn hand(random: &mut Random) -> Body {
    let mut body = Body::default();
    palm(&mut body);
    // Across, tip, turn, length and width of each finger.
    let fingers = [
        (-62.0, 34.0, 38.0, 0.72),
        (-28.0, 92.0, 7.0, 0.95),
        (-4.0, 104.0, 0.0, 1.06),
        (18.0, 94.0, -5.0, 0.98),
        (39.0, 70.0, -11.0, 0.78),
    ];
    for (number, (across, tip, turn, scale)) in fingers.into_iter().enumerate() {
        finger(
            &mut body,
            [across, tip],
            turn,
            scale,
            if number == 0 { 3 } else { 4 },
        );
    }
    for _ in 0..8 {
        let centre = [
            random.between(-26.0, 28.0),
            0.0,
            random.between(-46.0, -24.0),
        ];
        bone(&mut body, Quadric::ellipsoid(centre, [7.5, 8.0, 8.5]));
    }
    body
}

fn palm(body: &mut Body) {
    body.surround(Quadric::ellipsoid([2.0, 0.0, -2.0], [46.0, 14.0, 56.0]));
    body.surround(Quadric::ellipsoid([2.0, 0.0, -150.0], [31.0, 20.0, 130.0]));
    body.surround(Quadric::ellipsoid([-36.0, 0.0, -14.0], [20.0, 13.0, 44.0]).turned(1, 28.0));
    bone(
        body,
        Quadric::cylinder([-11.0, 0.0, -100.0], [11.0, 9.0], 48.0),
    );
    bone(
        body,
        Quadric::cylinder([15.0, 0.0, -104.0], [8.0, 7.0], 46.0),
    );
}

/// Phalanges from the tip downwards, then the metacarpal.
fn finger(body: &mut Body, tip: [f32; 2], turn: f32, scale: f32, bones: usize) {
    let (sin, cos) = turn.to_radians().sin_cos();
    let along = |distance: f32| [tip[0] + sin * distance, 0.0, tip[1] - cos * distance];
    body.surround(
        Quadric::ellipsoid(along(48.0 * scale), [9.5, 8.5, 60.0 * scale]).turned(1, -turn),
    );
    let mut from = 4.0;
    for length in [17.0, 24.0, 40.0, 62.0].into_iter().take(bones) {
        let (half, wide) = (length * scale / 2.0, 3.2 + length * 0.035);
        let shaft = Quadric::ellipsoid(along(from + half), [wide, wide * 0.9, half * 1.04])
            .turned(1, -turn);
        bone(body, shaft);
        for end in [from + 2.5, from + 2.0 * half - 2.5] {
            bone(
                body,
                Quadric::ellipsoid(along(end), [wide * 1.25, wide, 3.4]).turned(1, -turn),
            );
        }
        from += 2.0 * half + 1.5;
    }
}

fn bone(body: &mut Body, solid: Quadric) {
    body.add(Tissue::Marrow, Tissue::Air, solid);
}
