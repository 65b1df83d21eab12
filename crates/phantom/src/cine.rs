//! Ultrasound multi-frame images with calibrated regions (PS3.3 A.7).

use crate::attributes::Attributes;
use crate::image::{Grey, write_colour};
use crate::plan::InstancePlan;
use crate::random::Random;
use crate::rle;
use crate::study::Series;
use crate::ultrasound::{COLOUR_BOX, COLUMNS, Heart, ROWS, SECTOR, SPACING_CM};
use gantry_dicom::{Vr, tags, uids};

const FRAME_TIME_MS: f64 = 40.0;

/// A loop in grey, uncompressed.
pub(crate) fn grey(series: &Series, number: usize, frames: usize) -> InstancePlan {
    let of = series.clone();
    series.instance(number, move |attributes| {
        write_loop(attributes, &of, number, frames);
        attributes.items(
            tags::SEQUENCE_OF_ULTRASOUND_REGIONS,
            vec![tissue_region(attributes)],
        );
        Grey {
            columns: COLUMNS,
            rows: ROWS,
            bits_allocated: 8,
            bits_stored: 8,
            is_inverted: false,
        }
        .write(attributes);
        let heart = Heart::new(
            &mut Random::named(of.study.seed, &of.study.named("heart")),
            frames,
        );
        let pixels = (0..frames).flat_map(|frame| heart.grey(frame)).collect();
        attributes.bytes(tags::PIXEL_DATA, Vr::OB, pixels);
    })
}

/// A loop with coloured flow, compressed as RLE Lossless, one frame a fragment.
pub(crate) fn colour(series: &Series, number: usize, frames: usize) -> InstancePlan {
    let of = series.clone();
    series.instance_in(uids::RLE_LOSSLESS, number, move |attributes| {
        write_loop(attributes, &of, number, frames);
        let regions = vec![tissue_region(attributes), flow_region(attributes)];
        attributes.items(tags::SEQUENCE_OF_ULTRASOUND_REGIONS, regions);
        attributes.shorts(tags::ULTRASOUND_COLOR_DATA_PRESENT, &[1]);
        write_colour(attributes, COLUMNS, ROWS);
        let heart = Heart::new(
            &mut Random::named(of.study.seed, &of.study.named("heart")),
            frames,
        );
        attributes.fragments(
            (0..frames)
                .map(|frame| rle::encode_colour(&heart.colour(frame), COLUMNS))
                .collect(),
        );
    })
}

/// US Image, Cine and Multi-frame modules (PS3.3 C.8.5.6, C.7.6.5, C.7.6.6).
fn write_loop(attributes: &mut Attributes, series: &Series, number: usize, frames: usize) {
    attributes.code_string(tags::IMAGE_TYPE, "ORIGINAL\\PRIMARY\\\\0011");
    attributes.empty(tags::PATIENT_ORIENTATION, Vr::CS);
    series.write_acquisition(attributes, number);
    attributes.code_string(tags::LOSSY_IMAGE_COMPRESSION, "00");
    attributes.integers(tags::NUMBER_OF_FRAMES, &[frames as i64]);
    attributes.decimals(tags::FRAME_TIME, &[FRAME_TIME_MS]);
    attributes.text(tags::FRAME_INCREMENT_POINTER, Vr::AT, "");
    attributes.bytes(
        tags::FRAME_INCREMENT_POINTER,
        Vr::AT,
        vec![0x18, 0x00, 0x63, 0x10],
    );
    attributes.integers(tags::CINE_RATE, &[25]);
    attributes.integers(tags::RECOMMENDED_DISPLAY_FRAME_RATE, &[25]);
    attributes.integers(tags::HEART_RATE, &[68]);
    attributes.text(tags::TRANSDUCER_DATA, Vr::LO, "P4-2");
    attributes.code_string(tags::TRANSDUCER_TYPE, "SECTOR_PHASED");
}

fn tissue_region(attributes: &Attributes) -> Attributes {
    let mut region = region(attributes, SECTOR, 1);
    region.bytes(
        tags::REFERENCE_PIXEL_X0,
        Vr::SL,
        230_i32.to_le_bytes().to_vec(),
    );
    region.bytes(
        tags::REFERENCE_PIXEL_Y0,
        Vr::SL,
        0_i32.to_le_bytes().to_vec(),
    );
    region
}

fn flow_region(attributes: &Attributes) -> Attributes {
    region(attributes, COLOUR_BOX, 2)
}

/// US Region Calibration (PS3.3 C.8.5.5): 2D, in centimetres; data type 1 is tissue, 2 flow.
fn region(
    attributes: &Attributes,
    [left, top, right, bottom]: [u32; 4],
    data_type: u16,
) -> Attributes {
    let mut region = attributes.item();
    region.shorts(tags::REGION_SPATIAL_FORMAT, &[1]);
    region.shorts(tags::REGION_DATA_TYPE, &[data_type]);
    region.longs(tags::REGION_FLAGS, &[0]);
    region.longs(tags::REGION_LOCATION_MIN_X0, &[left]);
    region.longs(tags::REGION_LOCATION_MIN_Y0, &[top]);
    region.longs(tags::REGION_LOCATION_MAX_X1, &[right]);
    region.longs(tags::REGION_LOCATION_MAX_Y1, &[bottom]);
    region.shorts(tags::PHYSICAL_UNITS_X_DIRECTION, &[3]);
    region.shorts(tags::PHYSICAL_UNITS_Y_DIRECTION, &[3]);
    region.doubles(tags::PHYSICAL_DELTA_X, &[SPACING_CM]);
    region.doubles(tags::PHYSICAL_DELTA_Y, &[SPACING_CM]);
    region
}
