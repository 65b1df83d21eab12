//! Structured reports as HTML (PS3.18 8.7.4, PS3.3 C.17.3): the content tree as it is, for reading.

use crate::markup::escape;
use gantry_dicom::character_set::CharacterSet;
use gantry_dicom::data_set::DataSet;
use gantry_dicom::{Tag, tags};
use std::fmt::Write as _;

/// Deepest content that is shown; deeper trees are cut with a mark.
const DEPTH_MAX: usize = 32;
/// Most content items that are shown.
const ITEMS_MAX: usize = 20_000;

/// A page that shows the report of a header.
pub fn render(header: &DataSet) -> String {
    let set = header.character_set();
    let mut page = Page {
        html: String::new(),
        items: 0,
    };
    let title = concept(header, tags::CONCEPT_NAME_CODE_SEQUENCE, set);
    let title = if title.is_empty() {
        "Report".to_owned()
    } else {
        title
    };
    let _ = write!(
        page.html,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <title>{0}</title></head>\n<body>\n<h1>{0}</h1>\n<table>\n",
        escape(&title)
    );
    for (name, tag) in FACTS {
        if let Some(value) = header.string_in(*tag, set) {
            let value = value.replace('^', " ");
            let _ = writeln!(
                page.html,
                "<tr><th>{name}</th><td>{}</td></tr>",
                escape(&value)
            );
        }
    }
    page.html.push_str("</table>\n");
    page.children(header, set, 0);
    page.html.push_str("</body></html>\n");
    page.html
}

/// What stands above the content.
const FACTS: &[(&str, Tag)] = &[
    ("Patient", tags::PATIENT_NAME),
    ("Patient ID", tags::PATIENT_ID),
    ("Birth date", tags::PATIENT_BIRTH_DATE),
    ("Sex", tags::PATIENT_SEX),
    ("Study date", tags::STUDY_DATE),
    ("Study", tags::STUDY_DESCRIPTION),
    ("Accession number", tags::ACCESSION_NUMBER),
    ("Content date", tags::CONTENT_DATE),
    ("Completion", tags::COMPLETION_FLAG),
    ("Verification", tags::VERIFICATION_FLAG),
];

struct Page {
    html: String,
    items: usize,
}

impl Page {
    fn children(&mut self, parent: &DataSet, set: CharacterSet, depth: usize) {
        let items = parent.items(tags::CONTENT_SEQUENCE);
        if items.is_empty() {
            return;
        }
        self.html.push_str("<ul>\n");
        for item in items {
            self.items += 1;
            if self.items > ITEMS_MAX || depth >= DEPTH_MAX {
                self.html.push_str("<li>…</li>\n");
                break;
            }
            let set = CharacterSet::for_item(set, item);
            self.html.push_str("<li>");
            self.item(item, set);
            self.children(item, set, depth + 1);
            self.html.push_str("</li>\n");
        }
        self.html.push_str("</ul>\n");
    }

    fn item(&mut self, item: &DataSet, set: CharacterSet) {
        let name = concept(item, tags::CONCEPT_NAME_CODE_SEQUENCE, set);
        let value = value(item, set);
        if !name.is_empty() {
            let _ = write!(self.html, "<b>{}</b>", escape(&name));
            if !value.is_empty() {
                self.html.push_str(": ");
            }
        }
        self.html.push_str(&escape(&value).replace('\n', "<br>"));
    }
}

/// The value of a content item, by its value type (PS3.3 C.17.3.2.1).
fn value(item: &DataSet, set: CharacterSet) -> String {
    let text = |tag| item.string_in(tag, set).unwrap_or_default();
    match item.ascii(tags::VALUE_TYPE).unwrap_or_default() {
        "TEXT" => text(tags::TEXT_VALUE).replace("\r\n", "\n"),
        "CODE" => concept(item, tags::CONCEPT_CODE_SEQUENCE, set),
        "NUM" => number(item, set),
        "DATE" => text(tags::DATE),
        "TIME" => text(tags::TIME),
        "DATETIME" => text(tags::DATE_TIME),
        "UIDREF" => text(tags::UID),
        "PNAME" => text(tags::PERSON_NAME).replace('^', " ").trim().to_owned(),
        "IMAGE" | "COMPOSITE" | "WAVEFORM" => reference(item),
        "SCOORD" | "SCOORD3D" => text(tags::GRAPHIC_TYPE),
        "TCOORD" => text(tags::TEMPORAL_RANGE_TYPE),
        _ => String::new(),
    }
}

fn number(item: &DataSet, set: CharacterSet) -> String {
    let Some(measured) = item.items(tags::MEASURED_VALUE_SEQUENCE).first() else {
        return concept(item, tags::NUMERIC_VALUE_QUALIFIER_CODE_SEQUENCE, set);
    };
    let value = measured
        .string_in(tags::NUMERIC_VALUE, set)
        .unwrap_or_default();
    let unit = measured
        .items(tags::MEASUREMENT_UNITS_CODE_SEQUENCE)
        .first();
    let unit = unit
        .and_then(|unit| unit.string_in(tags::CODE_VALUE, set))
        .unwrap_or_default();
    // "1" is the unit of what has none.
    if unit == "1" {
        value
    } else {
        format!("{value} {unit}").trim().to_owned()
    }
}

fn reference(item: &DataSet) -> String {
    let Some(referenced) = item.items(tags::REFERENCED_SOP_SEQUENCE).first() else {
        return String::new();
    };
    let class = referenced
        .ascii(tags::REFERENCED_SOP_CLASS_UID)
        .unwrap_or_default();
    let class = gantry_dicom::sop_class::name(class).unwrap_or(class);
    let instance = referenced
        .ascii(tags::REFERENCED_SOP_INSTANCE_UID)
        .unwrap_or_default();
    format!("{class} {instance}")
}

/// The meaning of a coded concept.
fn concept(item: &DataSet, sequence: Tag, set: CharacterSet) -> String {
    let Some(code) = item.items(sequence).first() else {
        return String::new();
    };
    let set = CharacterSet::for_item(set, code);
    code.string_in(tags::CODE_MEANING, set)
        .or_else(|| code.string_in(tags::CODE_VALUE, set))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gantry_dicom::Vr;

    fn code(meaning: &str) -> Vec<DataSet> {
        let mut code = DataSet::new();
        code.put_text(tags::CODE_MEANING, Vr::LO, meaning);
        vec![code]
    }

    fn item(kind: &str, name: &str) -> DataSet {
        let mut item = DataSet::new();
        item.put_text(tags::VALUE_TYPE, Vr::CS, kind);
        item.put_sequence(tags::CONCEPT_NAME_CODE_SEQUENCE, code(name));
        item
    }

    #[test]
    fn the_content_tree_is_shown() {
        let mut text = item("TEXT", "Finding");
        text.put_text(tags::TEXT_VALUE, Vr::UT, "a <b>\r\nc");
        let mut measured = DataSet::new();
        measured.put_text(tags::NUMERIC_VALUE, Vr::DS, "7.5");
        let mut unit = DataSet::new();
        unit.put_text(tags::CODE_VALUE, Vr::SH, "mm");
        measured.put_sequence(tags::MEASUREMENT_UNITS_CODE_SEQUENCE, vec![unit]);
        let mut number = item("NUM", "Length");
        number.put_sequence(tags::MEASURED_VALUE_SEQUENCE, vec![measured]);
        let mut container = item("CONTAINER", "Findings");
        container.put_sequence(tags::CONTENT_SEQUENCE, vec![text, number]);
        let mut report = item("CONTAINER", "Chest Report");
        report.put_text(tags::PATIENT_NAME, Vr::PN, "Doe^Jane");
        report.put_sequence(tags::CONTENT_SEQUENCE, vec![container]);
        let html = render(&report);
        for expect in [
            "<title>Chest Report</title>",
            "<td>Doe Jane</td>",
            "<b>Findings</b><ul>",
            "<b>Finding</b>: a &lt;b&gt;<br>c",
            "<b>Length</b>: 7.5 mm",
        ] {
            assert!(html.contains(expect), "{expect} in {html}");
        }
        assert_eq!(html.matches("<ul>").count(), html.matches("</ul>").count());
    }

    #[test]
    fn deep_trees_are_cut() {
        let mut tree = item("CONTAINER", "end");
        for _ in 0..100 {
            let mut parent = item("CONTAINER", "level");
            parent.put_sequence(tags::CONTENT_SEQUENCE, vec![tree]);
            tree = parent;
        }
        let html = render(&tree);
        assert!(html.contains('…') && !html.contains("end"));
    }
}
