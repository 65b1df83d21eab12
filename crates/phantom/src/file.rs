//! Writing an instance as a file: PS3.10 meta information and Explicit VR Little Endian.
//!
//! Deliberately apart from the archive's own writer: what the archive reads here was not written
//! by itself.

use crate::plan::InstancePlan;
use gantry_dicom::data_set::{DataSet, Element, Value};
use gantry_dicom::{Tag, Vr};

const IMPLEMENTATION_CLASS_UID: &str = "2.25.205432816391327459021187340213485610943";
const UNDEFINED_LENGTH: u32 = 0xFFFF_FFFF;
const ITEM: Tag = Tag(0xFFFE, 0xE000);
const SEQUENCE_DELIMITATION: Tag = Tag(0xFFFE, 0xE0DD);

/// Preamble, file meta information (PS3.10 §7.1) and data set.
pub(crate) fn encode(instance: &InstancePlan, data_set: DataSet) -> Vec<u8> {
    let mut meta = Vec::new();
    write_short(&mut meta, Tag(0x0002, 0x0001), b"OB", &[0, 1]);
    write_uid(&mut meta, Tag(0x0002, 0x0002), instance.sop_class_uid);
    write_uid(
        &mut meta,
        Tag(0x0002, 0x0003),
        instance.sop_instance_uid.as_str(),
    );
    write_uid(&mut meta, Tag(0x0002, 0x0010), instance.transfer_syntax_uid);
    write_uid(&mut meta, Tag(0x0002, 0x0012), IMPLEMENTATION_CLASS_UID);
    write_short(&mut meta, Tag(0x0002, 0x0013), b"SH", b"GANTRY PHANTOM  ");
    let mut file =
        Vec::with_capacity(512 + meta.len() + data_set.elements().iter().map(size).sum::<usize>());
    file.resize(128, 0);
    file.extend_from_slice(b"DICM");
    write_short(
        &mut file,
        Tag(0x0002, 0x0000),
        b"UL",
        &(meta.len() as u32).to_le_bytes(),
    );
    file.extend_from_slice(&meta);
    write_data_set(&mut file, &data_set);
    file
}

/// About how many bytes an element takes.
fn size(element: &Element) -> usize {
    12 + match &element.value {
        Value::Bytes(bytes) => bytes.len(),
        Value::Sequence(items) => items.iter().flat_map(DataSet::elements).map(size).sum(),
        Value::Fragments(fragments) => fragments
            .fragments
            .iter()
            .map(|fragment| fragment.len() + 8)
            .sum(),
        Value::Deferred(_) => 0,
    }
}

fn write_uid(out: &mut Vec<u8>, tag: Tag, uid: &str) {
    let mut value = uid.as_bytes().to_vec();
    value.resize(value.len().next_multiple_of(2), 0);
    write_short(out, tag, b"UI", &value);
}

/// An element whatever the length of its length field (PS3.5 Tables 7.1-1 and 7.1-2).
fn write_short(out: &mut Vec<u8>, tag: Tag, vr: &[u8; 2], value: &[u8]) {
    write_tag(out, tag);
    out.extend_from_slice(vr);
    if vr == b"OB" {
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(&(value.len() as u32).to_le_bytes());
    } else {
        out.extend_from_slice(&(value.len() as u16).to_le_bytes());
    }
    out.extend_from_slice(value);
}

fn write_tag(out: &mut Vec<u8>, tag: Tag) {
    out.extend_from_slice(&tag.0.to_le_bytes());
    out.extend_from_slice(&tag.1.to_le_bytes());
}

fn write_data_set(out: &mut Vec<u8>, data_set: &DataSet) {
    for element in data_set.elements() {
        write_tag(out, element.tag);
        out.extend_from_slice(element.vr.to_bytes().as_slice());
        match &element.value {
            Value::Bytes(bytes) => write_value(out, element.vr, bytes),
            Value::Sequence(items) => write_items(out, items),
            Value::Fragments(fragments) => {
                write_long_length(out, UNDEFINED_LENGTH);
                let table = std::iter::once(&fragments.offset_table);
                for fragment in table.chain(&fragments.fragments) {
                    write_tag(out, ITEM);
                    out.extend_from_slice(&(fragment.len() as u32).to_le_bytes());
                    out.extend_from_slice(fragment);
                }
                write_tag(out, SEQUENCE_DELIMITATION);
                out.extend_from_slice(&[0; 4]);
            }
            Value::Deferred(_) => write_value(out, element.vr, &[]),
        }
    }
}

fn write_value(out: &mut Vec<u8>, vr: Vr, value: &[u8]) {
    let is_long = matches!(
        vr,
        Vr::OB
            | Vr::OD
            | Vr::OF
            | Vr::OL
            | Vr::OV
            | Vr::OW
            | Vr::SV
            | Vr::UC
            | Vr::UN
            | Vr::UR
            | Vr::UT
            | Vr::UV
    );
    if is_long {
        write_long_length(out, value.len() as u32);
    } else {
        out.extend_from_slice(&(value.len() as u16).to_le_bytes());
    }
    out.extend_from_slice(value);
}

fn write_long_length(out: &mut Vec<u8>, length: u32) {
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(&length.to_le_bytes());
}

/// Sequences and items of defined length (PS3.5 Table 7.5-1).
fn write_items(out: &mut Vec<u8>, items: &[DataSet]) {
    let mut content = Vec::new();
    for item in items {
        write_tag(&mut content, ITEM);
        let mut inner = Vec::new();
        write_data_set(&mut inner, item);
        content.extend_from_slice(&(inner.len() as u32).to_le_bytes());
        content.extend_from_slice(&inner);
    }
    write_long_length(out, content.len() as u32);
    out.extend_from_slice(&content);
}
