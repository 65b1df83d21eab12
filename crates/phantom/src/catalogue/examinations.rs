//! What is made at a visit: series, and how their instances are made.

use super::Examination;
use crate::anatomy::{self, HeadFinding};
use crate::document::{KeyImage, Report};
use crate::mr::Weighting;
use crate::plan::{InstancePlan, Scale};
use crate::quadric::View;
use crate::radiograph::Exposure;
use crate::random::Random;
use crate::study::{Machine, Series, Study};
use crate::volume::Extent;
use crate::{breast, cine, ct, document, mr, pet, radiograph, skin};
use gantry_dicom::uids;
use std::sync::Arc;

/// The instances of a visit.
pub(super) fn examine(study: &Study, examination: Examination) -> Vec<InstancePlan> {
    match examination {
        Examination::TrunkCt {
            slices,
            nodule_mm,
            is_reported,
        } => trunk_ct(study, slices, nodule_mm, is_reported),
        Examination::HeadCt { haematoma_mm } => head_ct(study, haematoma_mm),
        Examination::HeadMr { t1_slices, lesions } => head_mr(study, t1_slices, lesions),
        Examination::ChestDigital { nodule_mm } => chest_digital(study, nodule_mm),
        Examination::ChestComputed { nodule_mm } => chest_computed(study, nodule_mm),
        Examination::Hand => hand(study),
        Examination::Mammography { mass_mm } => mammography(study, mass_mm),
        Examination::Echocardiography => echocardiography(study),
        Examination::PetCt => pet_ct(study),
        Examination::Photographs { diameter } => photographs(study, diameter),
    }
}

const CT: Machine = Machine {
    manufacturer: "Gantry Phantom Works",
    model: "Spiral 128",
    station: "CT01",
};
const MR: Machine = Machine {
    manufacturer: "Gantry Phantom Works",
    model: "Larmor 3T",
    station: "MR02",
};
const DX: Machine = Machine {
    manufacturer: "Gantry Phantom Works",
    model: "Flat 4343",
    station: "DX01",
};
const CR: Machine = Machine {
    manufacturer: "Gantry Phantom Works",
    model: "Plate 25",
    station: "CR01",
};
const MG: Machine = Machine {
    manufacturer: "Gantry Phantom Works",
    model: "Selen 100",
    station: "MG01",
};
const US: Machine = Machine {
    manufacturer: "Gantry Phantom Works",
    model: "Echo 7",
    station: "US03",
};
const PT: Machine = Machine {
    manufacturer: "Gantry Phantom Works",
    model: "Ring 64",
    station: "PT01",
};
const CAMERA: Machine = Machine {
    manufacturer: "Gantry Phantom Works",
    model: "Dermal 12",
    station: "VL01",
};
const DESK: Machine = Machine {
    manufacturer: "Gantry Phantom Works",
    model: "Report Desk",
    station: "WS01",
};

/// A series of a study.
fn series(
    study: &Study,
    number: u32,
    (modality, sop_class_uid): (&'static str, &'static str),
    description: &'static str,
    body_part: &'static str,
    machine: Machine,
) -> Series {
    Series {
        study: study.clone(),
        number,
        modality,
        description,
        sop_class_uid,
        body_part,
        machine,
    }
}

const CT_IMAGE: (&str, &str) = ("CT", uids::CT_IMAGE_STORAGE);
const CHEST_WINDOWS: &[(f64, f64, &str)] = &[
    (50.0, 400.0, "SOFT TISSUE"),
    (-600.0, 1500.0, "LUNG"),
    (400.0, 1800.0, "BONE"),
];
const HEAD_WINDOWS: &[(f64, f64, &str)] = &[(38.0, 80.0, "BRAIN"), (600.0, 2800.0, "BONE")];

/// The trunk as the patient has it: vessels do not move between visits.
fn trunk_of(study: &Study, nodule_mm: f32) -> anatomy::Body {
    anatomy::trunk(&mut Random::named(study.seed, study.patient.id), nodule_mm)
}

fn trunk_ct(study: &Study, slices: usize, nodule_mm: f32, is_reported: bool) -> Vec<InstancePlan> {
    let body = trunk_of(study, nodule_mm);
    let axial = series(study, 2, CT_IMAGE, "Thorax/Abdomen 3.0 B30f", "CHEST", CT);
    let extent = Extent {
        view: View::Axial,
        matrix: study.scale.matrix(512),
        field_mm: 380.0,
        middle: [0.0, 15.0],
        depth: [182.0, -199.0],
        slices: study.scale.count(slices),
    };
    let scan = ct::Scan {
        extent,
        noise_hu: 11.0,
        kernel: "B30f",
        windows: CHEST_WINDOWS,
        contrast_agent: Some("Iomeprol 400, 90 ml iv"),
    };
    let mut instances = ct::instances(&axial, &body, scan);
    if is_reported {
        instances.extend(reports(study, &axial, instances.len()));
    }
    instances
}

fn reports(study: &Study, axial: &Series, slices: usize) -> [InstancePlan; 2] {
    let report = Report {
        findings: "Solid nodule of 14 mm in the left upper lobe, 6 mm in the prior of 2024. No enlarged lymph nodes. Simple hepatic cyst of 18 mm.",
        impression: "Growing solid pulmonary nodule, Lung-RADS 4B. Tissue sampling or PET/CT recommended.",
    };
    // The nodule lies about a third of the way down.
    let nodule = axial.instance_uid(slices * 63 / 200 + 1);
    let key_image = KeyImage {
        sop_class_uid: uids::CT_IMAGE_STORAGE,
        series_instance_uid: axial.uid().as_str().to_owned(),
        sop_instance_uid: nodule.as_str().to_owned(),
    };
    let structured = series(
        study,
        601,
        ("SR", uids::BASIC_TEXT_SR_STORAGE),
        "Radiology report",
        "",
        DESK,
    );
    let page = series(
        study,
        602,
        ("DOC", uids::ENCAPSULATED_PDF_STORAGE),
        "Radiology report, printable",
        "",
        DESK,
    );
    [
        document::structured(&structured, report, key_image),
        document::encapsulated(&page, report),
    ]
}

fn head_of(study: &Study, finding: HeadFinding) -> anatomy::Body {
    anatomy::head(&mut Random::named(study.seed, study.patient.id), finding)
}

fn head_ct(study: &Study, haematoma_mm: u8) -> Vec<InstancePlan> {
    let body = head_of(study, HeadFinding::Haematoma(haematoma_mm));
    let axial = series(study, 2, CT_IMAGE, "Head 5.0 H31s", "HEAD", CT);
    let extent = Extent {
        view: View::Axial,
        matrix: study.scale.matrix(512),
        field_mm: 230.0,
        middle: [0.0, 0.0],
        depth: [-68.0, 84.0],
        slices: study.scale.count(30),
    };
    let scan = ct::Scan {
        extent,
        noise_hu: 3.5,
        kernel: "H31s",
        windows: HEAD_WINDOWS,
        contrast_agent: None,
    };
    ct::instances(&axial, &body, scan)
}

fn head_mr(study: &Study, t1_slices: usize, lesions: u8) -> Vec<InstancePlan> {
    const MR_IMAGE: (&str, &str) = ("MR", uids::MR_IMAGE_STORAGE);
    let body = head_of(study, HeadFinding::WhiteMatterLesions(lesions));
    let t1 = series(study, 2, MR_IMAGE, "t1_mprage_sag_p2_iso", "BRAIN", MR);
    let t2 = series(study, 3, MR_IMAGE, "t2_tse_tra_p2", "BRAIN", MR);
    let sagittal = Extent {
        view: View::Sagittal,
        matrix: study.scale.matrix(256),
        field_mm: 256.0,
        middle: [0.0, 20.0],
        depth: [-79.0, 79.0],
        slices: study.scale.count(t1_slices),
    };
    let axial = Extent {
        view: View::Axial,
        matrix: study.scale.matrix(384),
        field_mm: 230.0,
        middle: [0.0, 0.0],
        depth: [-60.0, 80.0],
        slices: study.scale.count(36),
    };
    let mut instances = mr::instances(&t1, &body, sagittal, Weighting::T1);
    instances.extend(mr::instances(&t2, &body, axial, Weighting::T2));
    instances
}

/// A frontal or lateral chest on a detector of 43 by 43 centimetres.
fn chest(view: View, spacing_mm: f32, columns: usize, rows: usize, is_lateral: bool) -> Exposure {
    Exposure {
        view,
        columns,
        rows,
        spacing_mm,
        middle: [if is_lateral { 10.0 } else { 0.0 }, -30.0],
        view_position: if is_lateral { "LL" } else { "PA" },
        orientation: if is_lateral { "P\\F" } else { "L\\F" },
        white_mm: if is_lateral { 330.0 } else { 260.0 },
        laterality: "U",
    }
}

fn chest_digital(study: &Study, nodule_mm: f32) -> Vec<InstancePlan> {
    let body = Arc::new(trunk_of(study, nodule_mm));
    let class = ("DX", uids::DIGITAL_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION);
    let pixels = study.scale.matrix(2048);
    let spacing_mm = 429.0 / pixels as f32;
    let frontal = series(study, 1, class, "Chest PA", "CHEST", DX);
    let lateral = series(study, 2, class, "Chest LAT", "CHEST", DX);
    vec![
        radiograph::instance(
            &frontal,
            1,
            &body,
            chest(View::Coronal, spacing_mm, pixels, pixels, false),
        ),
        radiograph::instance(
            &lateral,
            1,
            &body,
            chest(View::Sagittal, spacing_mm, pixels, pixels, true),
        ),
    ]
}

fn chest_computed(study: &Study, nodule_mm: f32) -> Vec<InstancePlan> {
    let body = Arc::new(trunk_of(study, nodule_mm));
    let frontal = series(
        study,
        1,
        ("CR", uids::COMPUTED_RADIOGRAPHY_IMAGE_STORAGE),
        "Chest PA",
        "CHEST",
        CR,
    );
    let columns = study.scale.matrix(1760);
    let exposure = chest(
        View::Coronal,
        352.0 / columns as f32,
        columns,
        study.scale.matrix(2140),
        false,
    );
    vec![radiograph::instance(&frontal, 1, &body, exposure)]
}

fn hand(study: &Study) -> Vec<InstancePlan> {
    let body = Arc::new(radiograph::hand(&mut Random::named(
        study.seed,
        study.patient.id,
    )));
    let class = ("DX", uids::DIGITAL_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION);
    let palm = series(study, 1, class, "Hand PA left", "HAND", DX);
    let columns = study.scale.matrix(1000);
    let exposure = Exposure {
        view: View::Coronal,
        columns,
        rows: study.scale.matrix(1240),
        spacing_mm: 200.0 / columns as f32,
        middle: [0.0, 8.0],
        view_position: "PA",
        orientation: "R\\F",
        white_mm: 74.0,
        laterality: "L",
    };
    vec![radiograph::instance(&palm, 1, &body, exposure)]
}

fn mammography(study: &Study, mass_mm: f32) -> Vec<InstancePlan> {
    let class = (
        "MG",
        uids::DIGITAL_MAMMOGRAPHY_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION,
    );
    breast::instances(
        &series(study, 1, class, "Screening CC/MLO", "BREAST", MG),
        mass_mm,
    )
}

fn echocardiography(study: &Study) -> Vec<InstancePlan> {
    let class = ("US", uids::ULTRASOUND_MULTI_FRAME_IMAGE_STORAGE);
    let (grey_frames, colour_frames) = match study.scale {
        Scale::Full => (40, 30),
        Scale::Small => (3, 2),
    };
    let views = series(study, 1, class, "Apical four chamber", "HEART", US);
    vec![
        cine::grey(&views, 1, grey_frames),
        cine::colour(&views, 2, colour_frames),
    ]
}

fn pet_ct(study: &Study) -> Vec<InstancePlan> {
    let body = trunk_of(study, 16.0);
    let slices = study.scale.count(90);
    let extent = |matrix: usize, field_mm: f32| Extent {
        view: View::Axial,
        matrix: study.scale.matrix(matrix),
        field_mm,
        middle: [0.0, 15.0],
        depth: [182.0, -199.0],
        slices,
    };
    let low_dose = series(
        study,
        2,
        CT_IMAGE,
        "CT WB 5.0 attenuation correction",
        "CHEST",
        CT,
    );
    let emission = series(
        study,
        3,
        ("PT", uids::POSITRON_EMISSION_TOMOGRAPHY_IMAGE_STORAGE),
        "PET WB",
        "CHEST",
        PT,
    );
    let scan = ct::Scan {
        extent: extent(256, 500.0),
        noise_hu: 22.0,
        kernel: "B19f",
        windows: CHEST_WINDOWS,
        contrast_agent: None,
    };
    let mut instances = ct::instances(&low_dose, &body, scan);
    instances.extend(pet::instances(&emission, &body, extent(168, 672.0)));
    instances
}

fn photographs(study: &Study, diameter: f32) -> Vec<InstancePlan> {
    let lesion = series(
        study,
        1,
        ("XC", uids::VL_PHOTOGRAPHIC_IMAGE_STORAGE),
        "Left forearm",
        "FOREARM",
        CAMERA,
    );
    vec![
        skin::instance(&lesion, 1, diameter * 0.5),
        skin::instance(&lesion, 2, diameter),
    ]
}
