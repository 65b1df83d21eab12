//! Writing of the model.

use super::number;
use crate::character_set::CharacterSet;
use crate::data_set::{DataSet, Element, Value};
use crate::element_path::ElementPath;
use crate::encoding::is_text;
use crate::model::values::{
    append_base64, append_number, hex_quad, is_empty_text, is_written, name_groups, readable_vr,
};
use crate::model::{Declaration, ModelOptions};
use crate::text::{self, Number};
use crate::{Tag, Vr, tags};

/// Integers up to here are exact in 64-bit floats.
const EXACT_MAX: u64 = 1 << 53;
/// The attribute that a data set gets whose text needs it.
const UTF_8: &[u8] = br#""00080005":{"vr":"CS","Value":["ISO_IR 192"]}"#;

/// Appends a data set as one DICOM JSON Model object (PS3.18 F.2.2).
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
    writer.top(data_set);
}

struct Writer<'a, 'o> {
    out: &'o mut Vec<u8>,
    options: &'a ModelOptions<'a>,
    items: Vec<(Tag, usize)>,
    has_non_ascii: bool,
}

impl Writer<'_, '_> {
    fn top(&mut self, data_set: &DataSet) {
        let set = CharacterSet::of(data_set);
        self.out.push(b'{');
        let start = self.out.len();
        let mut elements = data_set.elements().iter();
        let is_before = |element: &&Element| element.tag < tags::SPECIFIC_CHARACTER_SET;
        let before = elements.clone().take_while(is_before).count();
        self.elements(elements.by_ref().take(before), set);
        let place = self.out.len();
        self.elements(elements, set);
        if self.has_non_ascii
            && self.options.declaration == Declaration::Utf8
            && data_set.get(tags::SPECIFIC_CHARACTER_SET).is_none()
        {
            self.insert_declaration(start, place);
        }
        self.out.push(b'}');
    }

    /// Puts the declaration where it belongs in the order of tags. This is rare: text beyond ASCII
    /// that nothing declares.
    fn insert_declaration(&mut self, start: usize, place: usize) {
        let mut attribute = Vec::with_capacity(UTF_8.len() + 1);
        if place > start {
            attribute.push(b',');
        }
        attribute.extend_from_slice(UTF_8);
        let is_followed = self.out.len() > place;
        if is_followed && place == start {
            attribute.push(b',');
        }
        self.out.splice(place..place, attribute);
    }

    fn item(&mut self, item: &DataSet, parent: CharacterSet) {
        self.out.push(b'{');
        self.elements(item.elements().iter(), CharacterSet::for_item(parent, item));
        self.out.push(b'}');
    }

    fn elements<'e>(&mut self, elements: impl Iterator<Item = &'e Element>, set: CharacterSet) {
        let is_top = self.items.is_empty();
        for element in elements.filter(|element| is_written(element.tag, is_top)) {
            if self.out.last() != Some(&b'{') {
                self.out.push(b',');
            }
            self.element(element, set);
        }
    }

    fn element(&mut self, element: &Element, set: CharacterSet) {
        let tag = element.tag;
        if tag == tags::SPECIFIC_CHARACTER_SET && self.options.declaration == Declaration::Utf8 {
            self.out.extend_from_slice(UTF_8);
            return;
        }
        match &element.value {
            Value::Bytes(bytes) => self.bytes(element, bytes, set),
            Value::Sequence(items) => {
                self.head(tag, Vr::SQ);
                self.sequence(tag, items, set);
            }
            Value::Fragments(_) => {
                self.head(tag, element.vr);
                self.bulk_data_uri(tag);
            }
            Value::Deferred(deferred) => {
                self.head(tag, element.vr);
                if deferred.length > 0 {
                    self.bulk_data_uri(tag);
                }
            }
        }
        self.out.push(b'}');
    }

    /// `"GGGGEEEE":{"vr":"XX"`
    fn head(&mut self, tag: Tag, vr: Vr) {
        let [a, b, c, d] = hex_quad(tag.0);
        let [e, f, g, h] = hex_quad(tag.1);
        let [v, r] = vr.to_bytes();
        self.out.extend_from_slice(&[
            b'"', a, b, c, d, e, f, g, h, b'"', b':', b'{', b'"', b'v', b'r', b'"', b':', b'"', v,
            r, b'"',
        ]);
    }

    fn bytes(&mut self, element: &Element, bytes: &[u8], set: CharacterSet) {
        let (tag, vr) = (element.tag, readable_vr(element, bytes));
        self.head(tag, vr);
        if bytes.is_empty() {
            return;
        }
        if is_text(vr) {
            self.text(bytes, vr, set);
        } else if let Some(numbers) = text::numbers(bytes, vr) {
            self.numbers(numbers);
        } else if bytes.len() > self.options.inline_max && self.options.bulk_data_uri.is_some() {
            self.bulk_data_uri(tag);
        } else {
            self.out.extend_from_slice(b",\"InlineBinary\":\"");
            append_base64(bytes, self.out);
            self.out.push(b'"');
        }
    }

    fn numbers(&mut self, numbers: impl Iterator<Item = Number>) {
        let mut numbers = numbers.peekable();
        // A value field can be too short for one number.
        if numbers.peek().is_none() {
            return;
        }
        self.out.extend_from_slice(b",\"Value\":[");
        for number in numbers {
            self.number(number);
            self.out.push(b',');
        }
        self.close_array();
    }

    /// Replaces the comma after the last value.
    fn close_array(&mut self) {
        if let Some(last) = self.out.last_mut() {
            *last = b']';
        }
    }

    fn text(&mut self, bytes: &[u8], vr: Vr, set: CharacterSet) {
        let text = set.decode(bytes, vr);
        self.has_non_ascii |= !text.is_ascii();
        if is_empty_text(&text, vr) {
            return;
        }
        self.out.extend_from_slice(b",\"Value\":[");
        for value in text::split(&text, vr) {
            match vr {
                _ if value.is_empty() => self.out.extend_from_slice(b"null"),
                Vr::PN => self.person_name(value),
                // Too long a text would be cut when a number becomes text again.
                Vr::DS
                    if value.len() <= text::DECIMAL_STRING_LENGTH_MAX
                        && number::append(value.as_bytes(), self.out) => {}
                // Some senders put decimals there: text says so without a surprise.
                Vr::IS
                    if text::parse_integer(value).is_some()
                        && number::append(value.as_bytes(), self.out) => {}
                _ => self.string(value),
            }
            self.out.push(b',');
        }
        self.close_array();
    }

    fn person_name(&mut self, value: &str) {
        const GROUPS: [&[u8]; 3] = [b"\"Alphabetic\":", b"\"Ideographic\":", b"\"Phonetic\":"];
        let start = self.out.len();
        self.out.push(b'{');
        for (index, group) in name_groups(value) {
            self.out
                .extend_from_slice(GROUPS.get(index).copied().unwrap_or_default());
            self.string(group);
            self.out.push(b',');
        }
        if self.out.len() == start + 1 {
            self.out.truncate(start);
            self.out.extend_from_slice(b"null");
        } else if let Some(last) = self.out.last_mut() {
            *last = b'}';
        }
    }

    fn string(&mut self, text: &str) {
        append_string(text.as_bytes(), self.out);
    }

    fn number(&mut self, number: Number) {
        let is_text = match number {
            Number::Signed(number) => number.unsigned_abs() > EXACT_MAX,
            Number::Unsigned(number) => number > EXACT_MAX,
            Number::Single(number) => !number.is_finite(),
            Number::Double(number) => !number.is_finite(),
            Number::Tag(Tag(group, element)) => {
                self.out.push(b'"');
                self.out.extend_from_slice(&hex_quad(group));
                self.out.extend_from_slice(&hex_quad(element));
                self.out.push(b'"');
                return;
            }
        };
        if is_text {
            self.out.push(b'"');
            append_number(number, self.out);
            self.out.push(b'"');
        } else {
            append_number(number, self.out);
        }
    }

    fn sequence(&mut self, tag: Tag, items: &[DataSet], set: CharacterSet) {
        if items.is_empty() {
            return;
        }
        self.out.extend_from_slice(b",\"Value\":[");
        for (index, item) in items.iter().enumerate() {
            self.items.push((tag, index));
            self.item(item, set);
            self.items.pop();
            self.out.push(b',');
        }
        self.close_array();
    }

    fn bulk_data_uri(&mut self, tag: Tag) {
        if let Some(uri) = self.options.bulk_data_uri {
            let uri = uri(&ElementPath {
                items: self.items.clone(),
                tag,
            });
            self.out.extend_from_slice(b",\"BulkDataURI\":");
            self.string(&uri);
        }
    }
}

/// Whether each byte stands for itself in a JSON string.
const IS_PLAIN: [bool; 256] = {
    let mut plain = [true; 256];
    let mut byte = 0;
    while byte < 0x20 {
        #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
        {
            plain[byte] = false;
        }
        byte += 1;
    }
    #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
    {
        plain[b'"' as usize] = false;
        plain[b'\\' as usize] = false;
    }
    plain
};

fn is_plain(byte: u8) -> bool {
    IS_PLAIN.get(usize::from(byte)).copied().unwrap_or(false)
}

/// Appends UTF-8 as a JSON string.
fn append_string(text: &[u8], out: &mut Vec<u8>) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| !is_plain(*byte)) {
        let (plain, special) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        out.extend_from_slice(plain);
        let Some((byte, after)) = special.split_first() else {
            break;
        };
        append_escaped(*byte, out);
        rest = after;
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

fn append_escaped(byte: u8, out: &mut Vec<u8>) {
    match byte {
        b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        0x0C => out.extend_from_slice(b"\\f"),
        0x08 => out.extend_from_slice(b"\\b"),
        _ => {
            out.extend_from_slice(b"\\u");
            out.extend_from_slice(&hex_quad(byte.into()));
        }
    }
}
