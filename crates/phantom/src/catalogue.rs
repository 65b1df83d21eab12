//! Who came when, and what was made of them.

mod examinations;

use crate::patient::{self, Patient};
use crate::plan::{Scale, StudyPlan};
use crate::study::Study;
use examinations::examine;

/// What is done at one visit.
#[derive(Debug, Clone, Copy)]
enum Examination {
    /// Slices and the nodule's diameter; with a report or without.
    TrunkCt {
        slices: usize,
        nodule_mm: f32,
        is_reported: bool,
    },
    HeadCt {
        haematoma_mm: u8,
    },
    HeadMr {
        t1_slices: usize,
        lesions: u8,
    },
    ChestDigital {
        nodule_mm: f32,
    },
    ChestComputed {
        nodule_mm: f32,
    },
    Hand,
    Mammography {
        mass_mm: f32,
    },
    Echocardiography,
    PetCt,
    Photographs {
        diameter: f32,
    },
}

/// One visit: patient, day, hour, Accession Number, Study Description, examination.
type Visit = (
    &'static Patient,
    &'static str,
    u32,
    &'static str,
    &'static str,
    Examination,
);

const VISITS: &[Visit] = &[
    (
        &patient::MUELLER,
        "20260914",
        9,
        "GDA26091401",
        "CT Thorax/Abdomen mit KM",
        Examination::TrunkCt {
            slices: 128,
            nodule_mm: 14.0,
            is_reported: true,
        },
    ),
    (
        &patient::MUELLER,
        "20240220",
        14,
        "GDA24022007",
        "CT Thorax",
        Examination::TrunkCt {
            slices: 60,
            nodule_mm: 6.0,
            is_reported: false,
        },
    ),
    (
        &patient::MUELLER,
        "20211103",
        11,
        "GDA21110322",
        "Röntgen Thorax",
        Examination::ChestComputed { nodule_mm: 0.0 },
    ),
    (
        &patient::IVANOVA,
        "20260702",
        10,
        "GDA26070203",
        "МРТ головного мозга",
        Examination::HeadMr {
            t1_slices: 144,
            lesions: 14,
        },
    ),
    (
        &patient::IVANOVA,
        "20230518",
        16,
        "GDA23051811",
        "МРТ головного мозга",
        Examination::HeadMr {
            t1_slices: 24,
            lesions: 6,
        },
    ),
    (
        &patient::PAPADOPOULOS,
        "20260920",
        3,
        "GDA26092002",
        "CT εγκεφάλου",
        Examination::HeadCt { haematoma_mm: 34 },
    ),
    (
        &patient::PAPADOPOULOS,
        "20260927",
        8,
        "GDA26092715",
        "CT εγκεφάλου, επανέλεγχος",
        Examination::HeadCt { haematoma_mm: 22 },
    ),
    (
        &patient::YAMADA,
        "20260810",
        9,
        "GDA26081004",
        "胸部X線",
        Examination::ChestDigital { nodule_mm: 22.0 },
    ),
    (
        &patient::YAMADA,
        "20230809",
        9,
        "GDA23080919",
        "胸部X線",
        Examination::ChestComputed { nodule_mm: 0.0 },
    ),
    (
        &patient::HONG,
        "20260605",
        13,
        "GDA26060508",
        "유방촬영술",
        Examination::Mammography { mass_mm: 15.0 },
    ),
    (
        &patient::HONG,
        "20240603",
        13,
        "GDA24060306",
        "유방촬영술",
        Examination::Mammography { mass_mm: 0.0 },
    ),
    (
        &patient::WANG,
        "20260731",
        15,
        "GDA26073112",
        "超声心动图",
        Examination::Echocardiography,
    ),
    (
        &patient::QABBANI,
        "20260518",
        10,
        "GDA26051801",
        "PET/CT",
        Examination::PetCt,
    ),
    (
        &patient::NGUYEN,
        "20260903",
        17,
        "GDA26090309",
        "Soi da cẳng tay",
        Examination::Photographs { diameter: 0.42 },
    ),
    (
        &patient::NGUYEN,
        "20250827",
        16,
        "GDA25082705",
        "Soi da cẳng tay",
        Examination::Photographs { diameter: 0.26 },
    ),
    (
        &patient::LEVI,
        "20260415",
        18,
        "GDA26041517",
        "צילום כף יד",
        Examination::Hand,
    ),
    (
        &patient::YILDIZ,
        "20260422",
        12,
        "GDA26042210",
        "Sol el grafisi, kemik yaşı",
        Examination::Hand,
    ),
    (
        &patient::DVORAK,
        "20251219",
        8,
        "GDA25121902",
        "RTG levé ruky",
        Examination::Hand,
    ),
    (
        &patient::UNKNOWN,
        "20260101",
        1,
        "GDA26010101",
        "LEFT HAND",
        Examination::Hand,
    ),
];

/// The sample studies, one at a time; their instances are made when they are asked for.
pub fn studies(seed: u64, scale: Scale) -> impl Iterator<Item = StudyPlan> {
    VISITS.iter().map(
        move |&(patient, date, hour, accession_number, description, examination)| {
            let study = Study {
                seed,
                scale,
                patient,
                date,
                hour,
                accession_number,
                description,
            };
            StudyPlan {
                study_instance_uid: study.uid(),
                patient_id: patient.id.to_owned(),
                description: description.to_owned(),
                instances: examine(&study, examination),
            }
        },
    )
}

/// How many instances [`studies`] will make.
pub fn instance_count(seed: u64, scale: Scale) -> usize {
    studies(seed, scale)
        .map(|study| study.instances.len())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_instance_has_its_own_uid_and_patients_have_priors() {
        let studies: Vec<StudyPlan> = studies(1, Scale::Full).collect();
        let uids: HashSet<_> = studies
            .iter()
            .flat_map(|study| &study.instances)
            .map(|instance| instance.sop_instance_uid.clone())
            .collect();
        assert_eq!(uids.len(), instance_count(1, Scale::Full));
        let patients: HashSet<_> = studies.iter().map(|study| &study.patient_id).collect();
        assert!(patients.len() >= 12 && studies.len() >= patients.len() + 6);
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_and_another_other_uids() {
        let first = |seed: u64| {
            studies(seed, Scale::Small)
                .nth(3)
                .unwrap()
                .instances
                .remove(0)
                .to_part10()
        };
        assert!(first(1) == first(1));
        assert!(first(1) != first(2));
    }

    #[test]
    fn a_file_begins_as_part_10_asks_and_is_as_long_as_its_pixels_need() {
        let study = studies(1, Scale::Small).next().unwrap();
        let file = study.instances[0].to_part10();
        assert_eq!(&file[128..132], b"DICM");
        assert!(
            (128 * 128 * 2..128 * 128 * 2 + 4096).contains(&file.len()),
            "{}",
            file.len()
        );
    }

    #[test]
    fn tissue_has_its_ct_number() {
        let study = Study {
            seed: 1,
            scale: Scale::Full,
            patient: &patient::MUELLER,
            date: "20260914",
            hour: 9,
            accession_number: "GDA1",
            description: "",
        };
        let examination = Examination::TrunkCt {
            slices: 128,
            nodule_mm: 14.0,
            is_reported: false,
        };
        let slices = examine(&study, examination);
        let file = slices[103].to_part10();
        let pixels = &file[file.len() - 512 * 512 * 2..];
        let mean = |column: usize, row: usize| {
            let around = (row - 3..=row + 3).flat_map(|row| {
                (column - 3..=column + 3).map(move |column| (row * 512 + column) * 2)
            });
            let values = around
                .map(|at| f32::from(u16::from_le_bytes([pixels[at], pixels[at + 1]])) - 1024.0);
            values.sum::<f32>() / 49.0
        };
        assert!((mean(4, 4) + 1000.0).abs() < 25.0, "air {}", mean(4, 4));
        let liver = mean(150, 230);
        assert!((liver - 108.0).abs() < 40.0, "liver {liver}");
    }
}
