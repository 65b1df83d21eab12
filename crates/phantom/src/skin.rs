//! Dermatological photographs (PS3.3 A.32.4).

use crate::image::write_colour;
use crate::photograph::{Size, picture};
use crate::plan::{InstancePlan, Scale};
use crate::study::Series;
use gantry_dicom::{Vr, tags};

/// A photograph of the lesion; the diameter is a fraction of the picture's height.
pub(crate) fn instance(series: &Series, number: usize, diameter: f32) -> InstancePlan {
    let of = series.clone();
    let size = match series.study.scale {
        Scale::Full => Size {
            columns: 1024,
            rows: 768,
        },
        Scale::Small => Size {
            columns: 256,
            rows: 192,
        },
    };
    series.instance(number, move |attributes| {
        attributes.code_string(tags::IMAGE_TYPE, "ORIGINAL\\PRIMARY");
        of.write_acquisition(attributes, number);
        let date_time = format!(
            "{}{}",
            of.study.date,
            crate::study::time(of.study.hour, number as u32)
        );
        attributes.text(tags::ACQUISITION_DATE_TIME, Vr::DT, &date_time);
        attributes.code_string(tags::LOSSY_IMAGE_COMPRESSION, "00");
        attributes.code_string(tags::BURNED_IN_ANNOTATION, "NO");
        attributes.code(
            tags::ANATOMIC_REGION_SEQUENCE,
            ["14975008", "SCT", "Forearm"],
        );
        attributes.items(tags::ACQUISITION_CONTEXT_SEQUENCE, Vec::new());
        attributes.code_string(tags::LATERALITY, "L");
        attributes.empty(tags::PATIENT_ORIENTATION, Vr::CS);
        write_colour(attributes, size.columns, size.rows);
        // The same lesion at every visit: the patient's, not the study's.
        attributes.bytes(
            tags::PIXEL_DATA,
            Vr::OB,
            picture(of.study.seed, "skin", size, diameter),
        );
    })
}
