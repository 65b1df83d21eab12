//! Types of directory records (PS3.3 F.3.2.2, F.4) and which instances they stand for (F.5).

use gantry_dicom::uids;

/// Directory Record Type (0004,1430).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RecordType {
    /// PATIENT, F.5.1.
    Patient,
    /// STUDY, F.5.2.
    Study,
    /// SERIES, F.5.3.
    Series,
    /// IMAGE, F.5.4.
    Image,
    /// RT DOSE, F.5.19.
    RtDose,
    /// RT STRUCTURE SET, F.5.20.
    RtStructureSet,
    /// RT PLAN, F.5.21.
    RtPlan,
    /// RT TREAT RECORD, F.5.22.
    RtTreatRecord,
    /// PRESENTATION, F.5.23.
    Presentation,
    /// WAVEFORM, F.5.24.
    Waveform,
    /// SR DOCUMENT, F.5.25.
    SrDocument,
    /// KEY OBJECT DOC, F.5.26.
    KeyObjectDoc,
    /// SPECTROSCOPY, F.5.27.
    Spectroscopy,
    /// RAW DATA, F.5.28.
    RawData,
    /// REGISTRATION, F.5.29.
    Registration,
    /// FIDUCIAL, F.5.30.
    Fiducial,
    /// HANGING PROTOCOL, F.5.31; at the root.
    HangingProtocol,
    /// ENCAP DOC, F.5.32.
    EncapDoc,
    /// VALUE MAP, F.5.34.
    ValueMap,
    /// STEREOMETRIC, F.5.35.
    Stereometric,
    /// PALETTE, F.5.36; at the root.
    Palette,
    /// IMPLANT, F.5.37; at the root.
    Implant,
    /// IMPLANT ASSY, F.5.38; at the root.
    ImplantAssy,
    /// IMPLANT GROUP, F.5.39; at the root.
    ImplantGroup,
    /// PLAN, F.5.40.
    Plan,
    /// MEASUREMENT, F.5.41.
    Measurement,
    /// SURFACE, F.5.42.
    Surface,
    /// SURFACE SCAN, F.5.43.
    SurfaceScan,
    /// TRACT, F.5.44.
    Tract,
    /// ASSESSMENT, F.5.45.
    Assessment,
    /// RADIOTHERAPY, F.5.46.
    Radiotherapy,
    /// ANNOTATION, F.5.47.
    Annotation,
    /// INVENTORY, F.5.48; at the root.
    Inventory,
    /// PRIVATE, F.6.1.
    Private,
    /// A retired type, or one this software does not know.
    Other,
}

/// Type, value of (0004,1430), prefix of file names.
const NAMES: &[(RecordType, &str, &str)] = &[
    (RecordType::Patient, "PATIENT", "PT"),
    (RecordType::Study, "STUDY", "ST"),
    (RecordType::Series, "SERIES", "SE"),
    (RecordType::Image, "IMAGE", "IM"),
    (RecordType::RtDose, "RT DOSE", "RD"),
    (RecordType::RtStructureSet, "RT STRUCTURE SET", "RS"),
    (RecordType::RtPlan, "RT PLAN", "RP"),
    (RecordType::RtTreatRecord, "RT TREAT RECORD", "RX"),
    (RecordType::Presentation, "PRESENTATION", "PR"),
    (RecordType::Waveform, "WAVEFORM", "WV"),
    (RecordType::SrDocument, "SR DOCUMENT", "SR"),
    (RecordType::KeyObjectDoc, "KEY OBJECT DOC", "KO"),
    (RecordType::Spectroscopy, "SPECTROSCOPY", "SP"),
    (RecordType::RawData, "RAW DATA", "RW"),
    (RecordType::Registration, "REGISTRATION", "RG"),
    (RecordType::Fiducial, "FIDUCIAL", "FD"),
    (RecordType::HangingProtocol, "HANGING PROTOCOL", "HG"),
    (RecordType::EncapDoc, "ENCAP DOC", "ED"),
    (RecordType::ValueMap, "VALUE MAP", "VM"),
    (RecordType::Stereometric, "STEREOMETRIC", "SX"),
    (RecordType::Palette, "PALETTE", "PA"),
    (RecordType::Implant, "IMPLANT", "IP"),
    (RecordType::ImplantAssy, "IMPLANT ASSY", "IA"),
    (RecordType::ImplantGroup, "IMPLANT GROUP", "IG"),
    (RecordType::Plan, "PLAN", "PL"),
    (RecordType::Measurement, "MEASUREMENT", "MX"),
    (RecordType::Surface, "SURFACE", "SF"),
    (RecordType::SurfaceScan, "SURFACE SCAN", "SS"),
    (RecordType::Tract, "TRACT", "TR"),
    (RecordType::Assessment, "ASSESSMENT", "AS"),
    (RecordType::Radiotherapy, "RADIOTHERAPY", "RT"),
    (RecordType::Annotation, "ANNOTATION", "AN"),
    (RecordType::Inventory, "INVENTORY", "IV"),
    (RecordType::Private, "PRIVATE", "PV"),
];

impl RecordType {
    /// Reads a value of Directory Record Type (0004,1430).
    pub fn parse(value: &str) -> Self {
        let value = value.trim_matches([' ', '\0']);
        NAMES
            .iter()
            .find(|(_, name, _)| *name == value)
            .map_or(Self::Other, |(kind, ..)| *kind)
    }

    /// The value of Directory Record Type (0004,1430).
    pub fn as_str(self) -> &'static str {
        NAMES
            .iter()
            .find(|(kind, ..)| *kind == self)
            .map_or("", |(_, name, _)| name)
    }

    /// Two letters with which names of files and folders of this type start.
    pub fn prefix(self) -> &'static str {
        NAMES
            .iter()
            .find(|(kind, ..)| *kind == self)
            .map_or("XX", |(.., prefix)| prefix)
    }

    /// Whether such records stand in the root directory entity, not below a series
    /// (Table F.4-1).
    pub fn is_at_root(self) -> bool {
        matches!(
            self,
            Self::Patient
                | Self::HangingProtocol
                | Self::Palette
                | Self::Implant
                | Self::ImplantAssy
                | Self::ImplantGroup
                | Self::Inventory
        )
    }

    /// The record type for instances of a SOP Class (F.5). `has_pixels` decides for SOP Classes
    /// of others: with pixels they are images, without they are PRIVATE.
    pub fn of_sop_class(sop_class_uid: &str, has_pixels: bool) -> Self {
        if let Some((_, kind)) = SOP_CLASSES.iter().find(|(uid, _)| *uid == sop_class_uid) {
            return *kind;
        }
        let family = SOP_CLASS_FAMILIES
            .iter()
            .find(|(root, _)| sop_class_uid.starts_with(root));
        match family {
            Some((_, kind)) => *kind,
            None if has_pixels || sop_class_uid.starts_with(STANDARD_STORAGE) => Self::Image,
            None => Self::Private,
        }
    }
}

/// The root of the standard's composite storage SOP Classes: images, where no table says else.
const STANDARD_STORAGE: &str = "1.2.840.10008.5.1.4.1.1.";

const SOP_CLASSES: &[(&str, RecordType)] = &[
    (uids::RT_DOSE_STORAGE, RecordType::RtDose),
    (uids::RT_STRUCTURE_SET_STORAGE, RecordType::RtStructureSet),
    (uids::RT_PLAN_STORAGE, RecordType::RtPlan),
    (uids::RT_ION_PLAN_STORAGE, RecordType::RtPlan),
    (
        uids::RT_BEAMS_TREATMENT_RECORD_STORAGE,
        RecordType::RtTreatRecord,
    ),
    (
        uids::RT_BRACHY_TREATMENT_RECORD_STORAGE,
        RecordType::RtTreatRecord,
    ),
    (
        uids::RT_TREATMENT_SUMMARY_RECORD_STORAGE,
        RecordType::RtTreatRecord,
    ),
    (
        uids::RT_ION_BEAMS_TREATMENT_RECORD_STORAGE,
        RecordType::RtTreatRecord,
    ),
    (uids::RT_IMAGE_STORAGE, RecordType::Image),
    (uids::ENHANCED_RT_IMAGE_STORAGE, RecordType::Image),
    (
        uids::ENHANCED_CONTINUOUS_RT_IMAGE_STORAGE,
        RecordType::Image,
    ),
    (
        uids::BASIC_STRUCTURED_DISPLAY_STORAGE,
        RecordType::Presentation,
    ),
    (
        uids::WAVEFORM_PRESENTATION_STATE_STORAGE,
        RecordType::Presentation,
    ),
    (
        uids::WAVEFORM_ACQUISITION_PRESENTATION_STATE_STORAGE,
        RecordType::Presentation,
    ),
    (
        uids::KEY_OBJECT_SELECTION_DOCUMENT_STORAGE,
        RecordType::KeyObjectDoc,
    ),
    (
        uids::SPECTACLE_PRESCRIPTION_REPORT_STORAGE,
        RecordType::SrDocument,
    ),
    (
        uids::MACULAR_GRID_THICKNESS_AND_VOLUME_REPORT_STORAGE,
        RecordType::SrDocument,
    ),
    (uids::MR_SPECTROSCOPY_STORAGE, RecordType::Spectroscopy),
    (uids::RAW_DATA_STORAGE, RecordType::RawData),
    (uids::SPATIAL_REGISTRATION_STORAGE, RecordType::Registration),
    (
        uids::DEFORMABLE_SPATIAL_REGISTRATION_STORAGE,
        RecordType::Registration,
    ),
    (uids::SPATIAL_FIDUCIALS_STORAGE, RecordType::Fiducial),
    (uids::SURFACE_SEGMENTATION_STORAGE, RecordType::Surface),
    (uids::TRACTOGRAPHY_RESULTS_STORAGE, RecordType::Tract),
    (uids::REAL_WORLD_VALUE_MAPPING_STORAGE, RecordType::ValueMap),
    (
        uids::STEREOMETRIC_RELATIONSHIP_STORAGE,
        RecordType::Stereometric,
    ),
    (
        uids::INTRAOCULAR_LENS_CALCULATIONS_STORAGE,
        RecordType::Measurement,
    ),
    (
        uids::OPHTHALMIC_VISUAL_FIELD_STATIC_PERIMETRY_MEASUREMENTS_STORAGE,
        RecordType::Measurement,
    ),
    (
        uids::CONTENT_ASSESSMENT_RESULTS_STORAGE,
        RecordType::Assessment,
    ),
    (
        uids::MICROSCOPY_BULK_SIMPLE_ANNOTATIONS_STORAGE,
        RecordType::Annotation,
    ),
    (uids::INVENTORY_STORAGE, RecordType::Inventory),
    (
        uids::RT_BEAMS_DELIVERY_INSTRUCTION_STORAGE,
        RecordType::Plan,
    ),
    (
        uids::RT_BRACHY_APPLICATION_SETUP_DELIVERY_INSTRUCTION_STORAGE,
        RecordType::Plan,
    ),
    (uids::HANGING_PROTOCOL_STORAGE, RecordType::HangingProtocol),
    (uids::COLOR_PALETTE_STORAGE, RecordType::Palette),
    (uids::GENERIC_IMPLANT_TEMPLATE_STORAGE, RecordType::Implant),
    (
        uids::IMPLANT_ASSEMBLY_TEMPLATE_STORAGE,
        RecordType::ImplantAssy,
    ),
    (
        uids::IMPLANT_TEMPLATE_GROUP_STORAGE,
        RecordType::ImplantGroup,
    ),
];

/// Families of SOP Classes that share the root of their UIDs and their record type.
const SOP_CLASS_FAMILIES: &[(&str, RecordType)] = &[
    ("1.2.840.10008.5.1.4.1.1.11.", RecordType::Presentation),
    ("1.2.840.10008.5.1.4.1.1.9.", RecordType::Waveform),
    ("1.2.840.10008.5.1.4.1.1.88.", RecordType::SrDocument),
    ("1.2.840.10008.5.1.4.1.1.104.", RecordType::EncapDoc),
    ("1.2.840.10008.5.1.4.1.1.78.", RecordType::Measurement),
    ("1.2.840.10008.5.1.4.1.1.68.", RecordType::SurfaceScan),
    // The RT second generation SOP Classes; the images and the first generation are listed above.
    ("1.2.840.10008.5.1.4.1.1.481.", RecordType::Radiotherapy),
    // Procedure protocols have no record type of their own.
    ("1.2.840.10008.5.1.4.1.1.200.", RecordType::RawData),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_reads_back_and_has_its_own_prefix() {
        let mut prefixes = std::collections::HashSet::new();
        for (kind, name, prefix) in NAMES {
            assert_eq!(RecordType::parse(name), *kind);
            assert_eq!(kind.as_str(), *name);
            assert!(prefixes.insert(prefix), "{prefix} is used twice");
        }
        assert_eq!(RecordType::parse("MRDR"), RecordType::Other);
    }

    #[test]
    fn sop_classes_give_the_type_of_annex_f() {
        for (uid, kind) in [
            (uids::CT_IMAGE_STORAGE, RecordType::Image),
            (uids::SEGMENTATION_STORAGE, RecordType::Image),
            (uids::PARAMETRIC_MAP_STORAGE, RecordType::Image),
            (
                uids::VL_WHOLE_SLIDE_MICROSCOPY_IMAGE_STORAGE,
                RecordType::Image,
            ),
            (
                uids::GRAYSCALE_SOFTCOPY_PRESENTATION_STATE_STORAGE,
                RecordType::Presentation,
            ),
            (uids::COMPREHENSIVE_SR_STORAGE, RecordType::SrDocument),
            (
                uids::KEY_OBJECT_SELECTION_DOCUMENT_STORAGE,
                RecordType::KeyObjectDoc,
            ),
            (uids::ENCAPSULATED_PDF_STORAGE, RecordType::EncapDoc),
            (uids::ENCAPSULATED_CDA_STORAGE, RecordType::EncapDoc),
            ("1.2.840.10008.5.1.4.1.1.9.1.1", RecordType::Waveform),
            ("1.2.840.10008.5.1.4.1.1.78.6", RecordType::SrDocument),
            ("1.2.840.10008.5.1.4.1.1.78.1", RecordType::Measurement),
            ("1.2.840.10008.5.1.4.1.1.481.10", RecordType::Radiotherapy),
            (uids::RT_IMAGE_STORAGE, RecordType::Image),
        ] {
            assert_eq!(RecordType::of_sop_class(uid, false), kind, "{uid}");
        }
        assert_eq!(
            RecordType::of_sop_class("1.3.12.2.1107.5.9.1", false),
            RecordType::Private
        );
        assert_eq!(RecordType::of_sop_class("1.2.3.4", true), RecordType::Image);
    }
}
