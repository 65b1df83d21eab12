//! Writing of the model.

use crate::character_set::CharacterSet;
use crate::data_set::{DataSet, Element, Value};
use crate::element_path::ElementPath;
use crate::encoding::is_text;
use crate::model::values::{
    append_base64, append_number, hex_quad, is_empty_text, is_written, name_groups, readable_vr,
};
use crate::model::{Declaration, ModelOptions};
use crate::text::{self, Number};
use crate::{Tag, Vr, dictionary, tags};

const START: &[u8] = br#"<?xml version="1.0" encoding="UTF-8"?>
<NativeDicomModel xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM" xml:space="preserve">"#;
const END: &[u8] = b"</NativeDicomModel>";
/// The attribute that a data set gets whose text needs it.
const UTF_8: &[u8] = br#"<DicomAttribute tag="00080005" vr="CS" keyword="SpecificCharacterSet"><Value number="1">ISO_IR 192</Value></DicomAttribute>"#;

/// Appends a data set as one XML document.
///
/// Text is decoded with the data set's own character sets. Group lengths and the file meta
/// information are left out.
pub fn write(data_set: &DataSet, out: &mut Vec<u8>, options: &ModelOptions<'_>) {
    let mut writer = Writer {
        out,
        options,
        items: Vec::new(),
        has_non_ascii: false,
    };
    writer.out.extend_from_slice(START);
    let set = CharacterSet::of(data_set);
    let is_before = |element: &&Element| element.tag < tags::SPECIFIC_CHARACTER_SET;
    let before = data_set.elements().iter().take_while(is_before).count();
    writer.elements(data_set, data_set.elements().iter().take(before), set);
    let place = writer.out.len();
    writer.elements(data_set, data_set.elements().iter().skip(before), set);
    if writer.has_non_ascii
        && options.declaration == Declaration::Utf8
        && data_set.get(tags::SPECIFIC_CHARACTER_SET).is_none()
    {
        writer.out.splice(place..place, UTF_8.iter().copied());
    }
    out.extend_from_slice(END);
}

struct Writer<'a, 'o> {
    out: &'o mut Vec<u8>,
    options: &'a ModelOptions<'a>,
    items: Vec<(Tag, usize)>,
    has_non_ascii: bool,
}

impl Writer<'_, '_> {
    fn elements<'e>(
        &mut self,
        data_set: &DataSet,
        elements: impl Iterator<Item = &'e Element>,
        set: CharacterSet,
    ) {
        let is_top = self.items.is_empty();
        for element in elements.filter(|element| is_written(element.tag, is_top)) {
            self.element(data_set, element, set);
        }
    }

    fn element(&mut self, data_set: &DataSet, element: &Element, set: CharacterSet) {
        let tag = element.tag;
        if tag == tags::SPECIFIC_CHARACTER_SET && self.options.declaration == Declaration::Utf8 {
            self.out.extend_from_slice(UTF_8);
            return;
        }
        let vr = match &element.value {
            Value::Bytes(bytes) => readable_vr(element, bytes),
            _ => element.vr,
        };
        self.head(data_set, tag, vr);
        let content = self.out.len();
        match &element.value {
            Value::Bytes(bytes) => self.bytes(tag, bytes, vr, set),
            Value::Sequence(items) => self.sequence(tag, items, set),
            Value::Fragments(_) => self.bulk_data(tag),
            Value::Deferred(deferred) if deferred.length > 0 => self.bulk_data(tag),
            Value::Deferred(_) => {}
        }
        if self.out.len() == content {
            self.out.pop();
            self.out.extend_from_slice(b"/>");
        } else {
            self.out.extend_from_slice(b"</DicomAttribute>");
        }
    }

    fn head(&mut self, data_set: &DataSet, tag: Tag, vr: Vr) {
        let creator = private_creator(data_set, tag);
        let number = if creator.is_some() {
            tag.1 & 0xFF
        } else {
            tag.1
        };
        self.out.extend_from_slice(b"<DicomAttribute tag=\"");
        self.out.extend_from_slice(&hex_quad(tag.0));
        self.out.extend_from_slice(&hex_quad(number));
        self.attribute(" vr", vr.to_string());
        if let Some(creator) = creator {
            self.attribute(" privateCreator", creator);
        } else if let Some(keyword) = dictionary::keyword(tag) {
            self.attribute(" keyword", keyword);
        }
        self.out.extend_from_slice(b"\">");
    }

    /// Closes the attribute before, and opens one without its closing quotation mark.
    fn attribute(&mut self, name: &str, value: impl AsRef<str>) {
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"=\"");
        self.escaped(value.as_ref());
    }

    fn bytes(&mut self, tag: Tag, bytes: &[u8], vr: Vr, set: CharacterSet) {
        if bytes.is_empty() {
            return;
        }
        if is_text(vr) {
            self.text(bytes, vr, set);
        } else if let Some(numbers) = text::numbers(bytes, vr) {
            for (index, number) in numbers.enumerate() {
                self.open("Value", index);
                self.number(number);
                self.out.extend_from_slice(b"</Value>");
            }
        } else if bytes.len() > self.options.inline_max && self.options.bulk_data_uri.is_some() {
            self.bulk_data(tag);
        } else {
            self.out.extend_from_slice(b"<InlineBinary>");
            append_base64(bytes, self.out);
            self.out.extend_from_slice(b"</InlineBinary>");
        }
    }

    /// `<name number="1">`
    fn open(&mut self, name: &str, index: usize) {
        self.out.push(b'<');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b" number=\"");
        self.out
            .extend_from_slice(itoa::Buffer::new().format(index + 1).as_bytes());
        self.out.extend_from_slice(b"\">");
    }

    fn text(&mut self, bytes: &[u8], vr: Vr, set: CharacterSet) {
        let text = set.decode(bytes, vr);
        self.has_non_ascii |= !text.is_ascii();
        if is_empty_text(&text, vr) {
            return;
        }
        for (index, value) in text::split(&text, vr).enumerate() {
            if vr == Vr::PN {
                self.open("PersonName", index);
                self.person_name(value);
                self.out.extend_from_slice(b"</PersonName>");
            } else {
                self.open("Value", index);
                self.escaped(value);
                self.out.extend_from_slice(b"</Value>");
            }
        }
    }

    fn person_name(&mut self, value: &str) {
        for (index, group) in name_groups(value) {
            let name = super::parse::GROUPS.get(index).copied().unwrap_or_default();
            self.tag(b"<", name);
            // What a wrong name has beyond five components stays in the last one.
            let components = group.splitn(super::parse::COMPONENTS.len(), '^');
            for (name, component) in super::parse::COMPONENTS.into_iter().zip(components) {
                if !component.is_empty() {
                    self.tag(b"<", name);
                    self.escaped(component);
                    self.tag(b"</", name);
                }
            }
            self.tag(b"</", name);
        }
    }

    fn tag(&mut self, start: &[u8], name: &str) {
        self.out.extend_from_slice(start);
        self.out.extend_from_slice(name.as_bytes());
        self.out.push(b'>');
    }

    fn number(&mut self, number: Number) {
        if let Number::Tag(Tag(group, element)) = number {
            self.out.extend_from_slice(&hex_quad(group));
            self.out.extend_from_slice(&hex_quad(element));
        } else {
            append_number(number, self.out);
        }
    }

    fn sequence(&mut self, tag: Tag, items: &[DataSet], set: CharacterSet) {
        for (index, item) in items.iter().enumerate() {
            self.open("Item", index);
            self.items.push((tag, index));
            self.elements(
                item,
                item.elements().iter(),
                CharacterSet::for_item(set, item),
            );
            self.items.pop();
            self.out.extend_from_slice(b"</Item>");
        }
    }

    fn bulk_data(&mut self, tag: Tag) {
        if let Some(uri) = self.options.bulk_data_uri {
            let uri = uri(&ElementPath {
                items: self.items.clone(),
                tag,
            });
            self.out.extend_from_slice(b"<BulkData uri=\"");
            self.escaped(&uri);
            self.out.extend_from_slice(b"\"/>");
        }
    }

    fn escaped(&mut self, text: &str) {
        for char in text.chars() {
            match char {
                '<' => self.out.extend_from_slice(b"&lt;"),
                '>' => self.out.extend_from_slice(b"&gt;"),
                '&' => self.out.extend_from_slice(b"&amp;"),
                '"' => self.out.extend_from_slice(b"&quot;"),
                // Readers turn carriage returns into line feeds, and both into spaces in
                // attributes, unless they are written so.
                '\r' => self.out.extend_from_slice(b"&#13;"),
                '\n' => self.out.extend_from_slice(b"&#10;"),
                '\t' => self.out.extend_from_slice(b"&#9;"),
                '\0'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}' => {
                    self.has_non_ascii = true;
                    self.out.extend_from_slice("\u{FFFD}".as_bytes());
                }
                _ => self
                    .out
                    .extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
    }
}

/// The creator of the block that a private element is in, unless the creator has another block
/// before it in the same group: then the block number says more than the creator.
fn private_creator(data_set: &DataSet, tag: Tag) -> Option<&str> {
    let Tag(group, element) = tag;
    if group & 1 == 0 || element < 0x1000 {
        return None;
    }
    let own = Tag(group, element >> 8);
    let creator = data_set.ascii(own)?;
    let elements = data_set.elements();
    let first = elements.partition_point(|element| element.tag < Tag(group, 0x10));
    let before = elements
        .iter()
        .skip(first)
        .take_while(|element| element.tag < own);
    let is_first = before
        .flat_map(|element| element.ascii_values().next())
        .all(|other| other != creator);
    is_first.then_some(creator)
}
