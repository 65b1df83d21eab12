//! The header of an instance as rows of a table, with names that browsers do not know.

use crate::context::{Asked, Context, Resource};
use crate::dicomweb::frames::single;
use crate::problem::{Problem, Purpose};
use axum::Json;
use axum::extract::State;
use gantry_core::access::Right;
use gantry_dicom::character_set::CharacterSet;
use gantry_dicom::data_set::{DataSet, Element, Value};
use gantry_dicom::dictionary;
use serde::Serialize;

/// Most rows that are given.
const ROWS_MAX: usize = 20_000;
/// Deepest item whose elements are given.
const DEPTH_MAX: usize = 32;
/// Longest value that is given, in characters.
const VALUE_MAX: usize = 1024;

/// A header.
#[derive(Debug, Serialize)]
pub struct Header {
    transfer_syntax_uid: String,
    transfer_syntax: String,
    /// The elements, those of items behind their sequence.
    elements: Vec<Row>,
    /// Whether there are more than are given.
    is_cut: bool,
}

/// An element.
#[derive(Debug, Serialize, PartialEq)]
pub struct Row {
    /// How many sequences it is in.
    depth: usize,
    /// `(gggg,eeee)`.
    tag: String,
    keyword: &'static str,
    vr: String,
    value: String,
}

/// `GET /api/studies/{study}/series/{series}/instances/{instance}/header`.
pub async fn header(
    State(context): State<Context>,
    resource: Resource,
    asked: Asked,
) -> Result<Json<Header>, Problem> {
    let instance = single(
        resource
            .instances(&context, &asked.principal, Right::View)
            .await?,
    )?;
    let header = context
        .archive
        .header(&instance)
        .await
        .map_err(|error| Problem::from_archive(&error, Purpose::Retrieve))?;
    let mut elements = Vec::new();
    let is_cut = !rows(&header, header.character_set(), 0, &mut elements);
    let uid = &*instance.transfer_syntax_uid;
    let name = gantry_dicom::transfer_syntax::lookup(uid).map_or("unknown", |syntax| &syntax.name);
    Ok(Json(Header {
        transfer_syntax_uid: uid.to_owned(),
        transfer_syntax: name.to_owned(),
        elements,
        is_cut,
    }))
}

/// Adds the rows of a data set; tells whether all are there.
fn rows(data_set: &DataSet, set: CharacterSet, depth: usize, rows_out: &mut Vec<Row>) -> bool {
    for element in data_set.elements() {
        if rows_out.len() >= ROWS_MAX {
            return false;
        }
        rows_out.push(row(element, set, depth));
        if let Value::Sequence(items) = &element.value {
            for (at, item) in items.iter().enumerate() {
                rows_out.push(item_row(at, depth + 1));
                let set = CharacterSet::for_item(set, item);
                if depth >= DEPTH_MAX || !rows(item, set, depth + 2, rows_out) {
                    return false;
                }
            }
        }
    }
    true
}

fn item_row(at: usize, depth: usize) -> Row {
    Row {
        depth,
        tag: String::new(),
        keyword: "",
        vr: String::new(),
        value: format!("item {}", at + 1),
    }
}

fn row(element: &Element, set: CharacterSet, depth: usize) -> Row {
    let gantry_dicom::Tag(group, number) = element.tag;
    Row {
        depth,
        tag: format!("({group:04X},{number:04X})"),
        keyword: dictionary::keyword(element.tag).unwrap_or(""),
        vr: element.known_vr().to_string().to_owned(),
        value: value(element, set),
    }
}

fn value(element: &Element, set: CharacterSet) -> String {
    match &element.value {
        Value::Sequence(items) => match items.len() {
            1 => "1 item".into(),
            count => format!("{count} items"),
        },
        Value::Deferred(deferred) => format!("{} bytes", deferred.length),
        Value::Fragments(fragments) => format!("{} fragments", fragments.fragments.len()),
        Value::Bytes(bytes) => match element.text(set) {
            Some(text) => shorten(text.trim_matches([' ', '\0'])),
            None if bytes.is_empty() => String::new(),
            None => shorten(&readable(element, bytes)),
        },
    }
}

/// Numbers as numbers, anything else as hexadecimal digits.
fn readable(element: &Element, bytes: &[u8]) -> String {
    let values = element.strings(CharacterSet::DEFAULT);
    if !values.is_empty() {
        return values.join("\\");
    }
    let hex: Vec<String> = bytes
        .iter()
        .take(64)
        .map(|byte| format!("{byte:02X}"))
        .collect();
    let more = if bytes.len() > 64 { " …" } else { "" };
    format!("{}{more}", hex.join(" "))
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(VALUE_MAX) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gantry_dicom::{Vr, tags};

    fn flatten(data_set: &DataSet) -> Vec<(usize, String, String)> {
        let mut found = Vec::new();
        assert!(rows(data_set, CharacterSet::DEFAULT, 0, &mut found));
        found
            .into_iter()
            .map(|row| (row.depth, row.keyword.to_owned(), row.value))
            .collect()
    }

    #[test]
    fn elements_and_items_become_rows() {
        let mut item = DataSet::new();
        item.put_text(tags::CODE_MEANING, Vr::LO, "Head");
        let mut data_set = DataSet::new();
        data_set.put_text(tags::MODALITY, Vr::CS, "CT");
        data_set.put_sequence(tags::ANATOMIC_REGION_SEQUENCE, vec![item]);
        data_set.put_u16(tags::ROWS, 512);
        let row = |depth, keyword: &str, value: &str| (depth, keyword.to_owned(), value.to_owned());
        assert_eq!(
            flatten(&data_set),
            [
                row(0, "Modality", "CT"),
                row(0, "AnatomicRegionSequence", "1 item"),
                row(1, "", "item 1"),
                row(2, "CodeMeaning", "Head"),
                row(0, "Rows", "512"),
            ]
        );
    }

    #[test]
    fn long_values_and_bytes_are_shortened() {
        let mut data_set = DataSet::new();
        data_set.put_text(tags::TEXT_VALUE, Vr::UT, &"ä".repeat(5000));
        let mut found = Vec::new();
        rows(
            &data_set,
            CharacterSet::for_item(CharacterSet::DEFAULT, &data_set),
            0,
            &mut found,
        );
        assert!(found[0].value.chars().count() <= VALUE_MAX + 1);
        let mut data_set = DataSet::new();
        data_set.put_bytes(tags::ICC_PROFILE, Vr::OB, vec![0xAB; 100]);
        assert!(flatten(&data_set)[0].2.ends_with("AB …"));
    }
}
