//! Documents: a structured report and a PDF (PS3.3 A.35.1, A.45.1).

use crate::attributes::Attributes;
use crate::plan::InstancePlan;
use crate::study::{Series, Study};
use gantry_dicom::{Vr, tags};

/// What a report says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Report {
    pub(crate) findings: &'static str,
    pub(crate) impression: &'static str,
}

/// An image a report points at: SOP Class, Series and SOP Instance UID.
#[derive(Debug, Clone)]
pub(crate) struct KeyImage {
    pub(crate) sop_class_uid: &'static str,
    pub(crate) series_instance_uid: String,
    pub(crate) sop_instance_uid: String,
}

const ENGLISH: [&str; 3] = ["en", "RFC5646", "English"];

/// A Basic Text SR with language, findings, key image and impression.
pub(crate) fn structured(series: &Series, report: Report, key_image: KeyImage) -> InstancePlan {
    let of = series.clone();
    series.instance(1, move |attributes| {
        write_series_of_report(attributes);
        attributes.code_string(tags::COMPLETION_FLAG, "COMPLETE");
        attributes.code_string(tags::VERIFICATION_FLAG, "UNVERIFIED");
        write_evidence(attributes, &of.study, &key_image);
        attributes.code_string(tags::VALUE_TYPE, "CONTAINER");
        attributes.code_string(tags::CONTINUITY_OF_CONTENT, "SEPARATE");
        attributes.code(
            tags::CONCEPT_NAME_CODE_SEQUENCE,
            ["18748-4", "LN", "Diagnostic imaging report"],
        );
        let content = content(attributes, report, &key_image);
        attributes.items(tags::CONTENT_SEQUENCE, content);
    })
}

fn write_series_of_report(attributes: &mut Attributes) {
    attributes.items(
        tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE,
        Vec::new(),
    );
    attributes.items(tags::PERFORMED_PROCEDURE_CODE_SEQUENCE, Vec::new());
}

fn write_evidence(attributes: &mut Attributes, study: &Study, key_image: &KeyImage) {
    let mut series = attributes.item();
    series.uid(tags::SERIES_INSTANCE_UID, &key_image.series_instance_uid);
    let image = attributes.reference(key_image.sop_class_uid, &key_image.sop_instance_uid);
    series.items(tags::REFERENCED_SOP_SEQUENCE, vec![image]);
    let mut evidence = attributes.item();
    evidence.uid(tags::STUDY_INSTANCE_UID, study.uid().as_str());
    evidence.items(tags::REFERENCED_SERIES_SEQUENCE, vec![series]);
    attributes.items(
        tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE,
        vec![evidence],
    );
}

fn content(attributes: &Attributes, report: Report, key_image: &KeyImage) -> Vec<Attributes> {
    let mut language = content_item(
        attributes,
        "HAS CONCEPT MOD",
        "CODE",
        ["121049", "DCM", "Language of Content Item and Descendants"],
    );
    language.code(tags::CONCEPT_CODE_SEQUENCE, ENGLISH);
    let mut findings = content_item(
        attributes,
        "CONTAINS",
        "CONTAINER",
        ["121070", "DCM", "Findings"],
    );
    findings.code_string(tags::CONTINUITY_OF_CONTENT, "SEPARATE");
    let mut finding = content_item(attributes, "CONTAINS", "TEXT", ["121071", "DCM", "Finding"]);
    finding.text(tags::TEXT_VALUE, Vr::UT, report.findings);
    let mut image = content_item(
        attributes,
        "CONTAINS",
        "IMAGE",
        ["121080", "DCM", "Best illustration of finding"],
    );
    let reference = attributes.reference(key_image.sop_class_uid, &key_image.sop_instance_uid);
    image.items(tags::REFERENCED_SOP_SEQUENCE, vec![reference]);
    findings.items(tags::CONTENT_SEQUENCE, vec![finding, image]);
    let mut impression = content_item(
        attributes,
        "CONTAINS",
        "TEXT",
        ["121073", "DCM", "Impression"],
    );
    impression.text(tags::TEXT_VALUE, Vr::UT, report.impression);
    vec![language, findings, impression]
}

fn content_item(
    attributes: &Attributes,
    relationship: &str,
    value_type: &str,
    name: [&str; 3],
) -> Attributes {
    let mut item = attributes.item();
    item.code_string(tags::RELATIONSHIP_TYPE, relationship);
    item.code_string(tags::VALUE_TYPE, value_type);
    item.code(tags::CONCEPT_NAME_CODE_SEQUENCE, name);
    item
}

/// The same report as a page to print.
pub(crate) fn encapsulated(series: &Series, report: Report) -> InstancePlan {
    let of = series.clone();
    series.instance(1, move |attributes| {
        let document = pdf(&of.study, report);
        attributes.code_string(tags::CONVERSION_TYPE, "WSD");
        attributes.empty(tags::ACQUISITION_DATE_TIME, Vr::DT);
        attributes.code_string(tags::BURNED_IN_ANNOTATION, "YES");
        attributes.text(tags::DOCUMENT_TITLE, Vr::ST, "Diagnostic imaging report");
        attributes.code(
            tags::CONCEPT_NAME_CODE_SEQUENCE,
            ["18748-4", "LN", "Diagnostic imaging report"],
        );
        attributes.text(
            tags::MIME_TYPE_OF_ENCAPSULATED_DOCUMENT,
            Vr::LO,
            "application/pdf",
        );
        attributes.longs(tags::ENCAPSULATED_DOCUMENT_LENGTH, &[document.len() as u32]);
        attributes.bytes(tags::ENCAPSULATED_DOCUMENT, Vr::OB, document);
    })
}

/// A PDF 1.4 file of one page (ISO 32000-1 §7.5).
fn pdf(study: &Study, report: Report) -> Vec<u8> {
    let mut text = String::from(
        "BT /F1 16 Tf 60 780 Td (Diagnostic imaging report) Tj /F1 11 Tf 16 TL T* T*\n",
    );
    let facts = [
        format!("Patient ID: {}", study.patient.id),
        format!("Accession Number: {}", study.accession_number),
        format!("Study: {} ({})", study.description, study.date),
        String::new(),
    ];
    for line in facts
        .iter()
        .map(String::as_str)
        .chain(lines(report.findings))
        .chain([""])
        .chain(lines(report.impression))
    {
        let escaped = line
            .replace('\\', "\\\\")
            .replace('(', "\\(")
            .replace(')', "\\)");
        text.push_str(&format!("({escaped}) Tj T*\n"));
    }
    text.push_str("ET");
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>".to_owned(),
        format!("<< /Length {} >>\nstream\n{text}\nendstream", text.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_owned(),
    ];
    let mut file = b"%PDF-1.4\n".to_vec();
    let mut offsets = Vec::new();
    for (index, object) in objects.iter().enumerate() {
        offsets.push(file.len());
        file.extend(format!("{} 0 obj\n{object}\nendobj\n", index + 1).into_bytes());
    }
    let table = file.len();
    file.extend(format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1).into_bytes());
    for offset in offsets {
        file.extend(format!("{offset:010} 00000 n \n").into_bytes());
    }
    file.extend(
        format!(
            "trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n",
            objects.len() + 1
        )
        .into_bytes(),
    );
    file
}

/// Sentences, one a line.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive(". ").map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Scale;

    #[test]
    fn the_cross_reference_table_points_at_the_objects() {
        let study = Study {
            seed: 1,
            scale: Scale::Small,
            patient: &crate::patient::MUELLER,
            date: "20260914",
            hour: 9,
            accession_number: "GDA1",
            description: "CT (chest)",
        };
        let file = pdf(
            &study,
            Report {
                findings: "One. Two.",
                impression: "Three.",
            },
        );
        let text = String::from_utf8(file).unwrap();
        let table = text[text.find("xref\n").unwrap()..].lines().skip(3).take(5);
        for (index, line) in table.enumerate() {
            let offset: usize = line[..10].parse().unwrap();
            assert!(
                text[offset..].starts_with(&format!("{} 0 obj", index + 1)),
                "{line}"
            );
        }
        assert!(text.contains("CT \\(chest\\)"));
    }
}
