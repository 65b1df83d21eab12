//! Mammography images for presentation (PS3.3 A.27), compressed as RLE Lossless.

use crate::attributes::Attributes;
use crate::image::{Grey, write_rescale, write_windows};
use crate::mammogram::{Exposure, Projection, Side, picture, spacing_mm};
use crate::plan::{InstancePlan, Scale};
use crate::rle;
use crate::study::Series;
use crate::volume::write_irradiation;
use gantry_dicom::{Vr, tags, uids};

/// The four standard views.
pub(crate) fn instances(series: &Series, mass_mm: f32) -> Vec<InstancePlan> {
    let views = [
        (Side::Right, Projection::CranioCaudal),
        (Side::Left, Projection::CranioCaudal),
        (Side::Right, Projection::MedioLateralOblique),
        (Side::Left, Projection::MedioLateralOblique),
    ];
    let (columns, rows) = match series.study.scale {
        Scale::Full => (1914, 2294),
        Scale::Small => (240, 288),
    };
    let plan = |(index, (side, projection))| {
        let of = series.clone();
        let exposure = Exposure {
            side,
            projection,
            columns,
            rows,
            mass_mm,
        };
        series.instance_in(uids::RLE_LOSSLESS, index + 1, move |attributes| {
            write_image(attributes, &of, &exposure);
            of.write_acquisition(attributes, index + 1);
            // The same breasts at every visit: the patient's, not the study's.
            let pixels = picture(of.study.seed, &exposure);
            Grey {
                columns,
                rows,
                bits_allocated: 16,
                bits_stored: 12,
                is_inverted: false,
            }
            .write(attributes);
            attributes.fragments(vec![rle::encode_words(&pixels, columns)]);
        })
    };
    views.into_iter().enumerate().map(plan).collect()
}

fn write_image(attributes: &mut Attributes, series: &Series, exposure: &Exposure) {
    write_irradiation(attributes, series);
    attributes.code_string(tags::IMAGE_TYPE, "ORIGINAL\\PRIMARY");
    attributes.code_string(tags::PRESENTATION_INTENT_TYPE, "FOR PRESENTATION");
    let laterality = if exposure.side == Side::Left {
        "L"
    } else {
        "R"
    };
    attributes.code_string(tags::IMAGE_LATERALITY, laterality);
    attributes.code_string(tags::ORGAN_EXPOSED, "BREAST");
    let (position, code, orientation, angle) = view(exposure);
    attributes.code_string(tags::VIEW_POSITION, position);
    attributes.code_string(tags::PATIENT_ORIENTATION, orientation);
    attributes.decimals(tags::POSITIONER_PRIMARY_ANGLE, &[angle]);
    attributes.code_string(tags::POSITIONER_TYPE, "MAMMOGRAPHIC");
    let mut view_code = attributes.code_item(code);
    view_code.items(tags::VIEW_MODIFIER_CODE_SEQUENCE, Vec::new());
    attributes.items(tags::VIEW_CODE_SEQUENCE, vec![view_code]);
    attributes.code(
        tags::ANATOMIC_REGION_SEQUENCE,
        ["76752008", "SCT", "Breast"],
    );
    attributes.decimals(tags::KVP, &[29.0]);
    attributes.integers(tags::EXPOSURE, &[86]);
    attributes.decimals(tags::BODY_PART_THICKNESS, &[52.0]);
    attributes.decimals(tags::COMPRESSION_FORCE, &[96.0]);
    attributes.code_string(tags::DETECTOR_TYPE, "DIRECT");
    attributes.code_string(tags::DETECTOR_CONFIGURATION, "AREA");
    attributes.text(tags::DETECTOR_ID, Vr::SH, "SE-0815");
    let spacing = (f64::from(spacing_mm(exposure.rows)) * 1e6).round() / 1e6;
    attributes.decimals(tags::IMAGER_PIXEL_SPACING, &[spacing, spacing]);
    attributes.code_string(tags::PIXEL_INTENSITY_RELATIONSHIP, "LOG");
    attributes.bytes(
        tags::PIXEL_INTENSITY_RELATIONSHIP_SIGN,
        Vr::SS,
        (-1_i16).to_le_bytes().to_vec(),
    );
    attributes.code_string(tags::PRESENTATION_LUT_SHAPE, "IDENTITY");
    attributes.code_string(tags::LOSSY_IMAGE_COMPRESSION, "00");
    attributes.code_string(tags::BURNED_IN_ANNOTATION, "NO");
    attributes.code_string(tags::BREAST_IMPLANT_PRESENT, "NO");
    attributes.code_string(tags::PARTIAL_VIEW, "NO");
    attributes.items(tags::ACQUISITION_CONTEXT_SEQUENCE, Vec::new());
    write_rescale(attributes, 0.0, 1.0, "US");
    write_windows(attributes, &[(1900.0, 3000.0, "STANDARD")]);
}

/// View Position, its code, Patient Orientation and the positioner's angle.
fn view(exposure: &Exposure) -> (&'static str, [&'static str; 3], &'static str, f64) {
    const CRANIO_CAUDAL: [&str; 3] = ["399162004", "SCT", "cranio-caudal"];
    const OBLIQUE: [&str; 3] = ["399368009", "SCT", "medio-lateral oblique"];
    match (exposure.projection, exposure.side) {
        (Projection::CranioCaudal, Side::Left) => ("CC", CRANIO_CAUDAL, "A\\R", 0.0),
        (Projection::CranioCaudal, Side::Right) => ("CC", CRANIO_CAUDAL, "P\\L", 0.0),
        (Projection::MedioLateralOblique, Side::Left) => ("MLO", OBLIQUE, "A\\FR", -45.0),
        (Projection::MedioLateralOblique, Side::Right) => ("MLO", OBLIQUE, "P\\FL", 45.0),
    }
}
