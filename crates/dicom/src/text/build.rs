//! Typed ways to put values into a data set, and to change its character set.

use super::{PADDING, decimal_string};
use crate::character_set::{self, CharacterSet};
use crate::data_set::{DataSet, Element, Value};
use crate::encoding::padding;
use crate::{Tag, Vr, tags};
use bytes::Bytes;

/// Builders. Each replaces an element with the same tag, and pads the value to even length.
impl DataSet {
    /// Puts text, with backslashes between several values, in the data set's own character set.
    /// When it does not fit, the whole data set is turned into ISO_IR 192 first.
    pub fn put_text(&mut self, tag: Tag, vr: Vr, text: &str) {
        let value = match self.character_set().encode(text, vr) {
            Some(value) => value,
            None => {
                if let Some(recoded) = self.recoded(CharacterSet::DEFAULT, CharacterSet::UTF_8) {
                    *self = recoded;
                }
                text.as_bytes().to_vec()
            }
        };
        self.put_bytes(tag, vr, value);
    }

    /// Puts a value field; an odd one is padded with the VR's padding byte.
    pub fn put_bytes(&mut self, tag: Tag, vr: Vr, value: impl Into<Bytes>) {
        let value = padded(value.into(), vr);
        self.put(Element {
            tag,
            vr,
            value: Value::Bytes(value),
        });
    }

    /// Puts an element without a value.
    pub fn put_empty(&mut self, tag: Tag, vr: Vr) {
        let value = match vr {
            Vr::SQ => Value::Sequence(Vec::new()),
            _ => Value::Bytes(Bytes::new()),
        };
        self.put(Element { tag, vr, value });
    }

    /// Puts an identifier, VR UI.
    pub fn put_uid(&mut self, tag: Tag, uid: impl AsRef<str>) {
        self.put_bytes(tag, Vr::UI, uid.as_ref().as_bytes().to_vec());
    }

    /// Puts a number, VR US.
    pub fn put_u16(&mut self, tag: Tag, number: u16) {
        self.put_bytes(tag, Vr::US, number.to_le_bytes().to_vec());
    }

    /// Puts a number, VR UL.
    pub fn put_u32(&mut self, tag: Tag, number: u32) {
        self.put_bytes(tag, Vr::UL, number.to_le_bytes().to_vec());
    }

    /// Puts a number, VR FL.
    pub fn put_f32(&mut self, tag: Tag, number: f32) {
        self.put_bytes(tag, Vr::FL, number.to_le_bytes().to_vec());
    }

    /// Puts a number, VR FD.
    pub fn put_f64(&mut self, tag: Tag, number: f64) {
        self.put_bytes(tag, Vr::FD, number.to_le_bytes().to_vec());
    }

    /// Puts an integer string, VR IS.
    pub fn put_integer(&mut self, tag: Tag, number: i64) {
        self.put_bytes(tag, Vr::IS, number.to_string().into_bytes());
    }

    /// Puts a decimal string, VR DS; no value when the number is not finite.
    pub fn put_decimal(&mut self, tag: Tag, number: f64) {
        self.put_decimals(tag, &[number]);
    }

    /// Puts decimal strings, VR DS; those that are not finite are empty values.
    pub fn put_decimals(&mut self, tag: Tag, numbers: &[f64]) {
        let values: Vec<String> = numbers
            .iter()
            .map(|number| decimal_string(*number).unwrap_or_default())
            .collect();
        self.put_bytes(tag, Vr::DS, values.join("\\").into_bytes());
    }

    /// Puts tags, VR AT.
    pub fn put_tags(&mut self, tag: Tag, tags: &[Tag]) {
        let halves = tags
            .iter()
            .flat_map(|Tag(group, element)| [*group, *element]);
        let value: Vec<u8> = halves.flat_map(u16::to_le_bytes).collect();
        self.put_bytes(tag, Vr::AT, value);
    }

    /// Puts a sequence.
    pub fn put_sequence(&mut self, tag: Tag, items: Vec<DataSet>) {
        self.put(Element {
            tag,
            vr: Vr::SQ,
            value: Value::Sequence(items),
        });
    }

    /// The data set with all text in another character set, declared at the top and nowhere
    /// else. `inherited` is in force where neither the data set nor an item declares its own.
    /// `None` when a character does not fit.
    pub fn recoded(&self, inherited: CharacterSet, target: CharacterSet) -> Option<DataSet> {
        let mut data_set = self.recoded_item(inherited, target)?;
        let declaration = target.to_value()?;
        if !declaration.is_empty() {
            data_set.put_bytes(
                tags::SPECIFIC_CHARACTER_SET,
                Vr::CS,
                declaration.into_bytes(),
            );
        }
        Some(data_set)
    }

    fn recoded_item(&self, inherited: CharacterSet, target: CharacterSet) -> Option<DataSet> {
        let source = CharacterSet::for_item(inherited, self);
        let elements = self
            .elements()
            .iter()
            .filter(|element| element.tag != tags::SPECIFIC_CHARACTER_SET);
        elements
            .map(|element| recoded_element(element, source, target))
            .collect()
    }
}

fn recoded_element(
    element: &Element,
    source: CharacterSet,
    target: CharacterSet,
) -> Option<Element> {
    let Element { tag, vr, ref value } = *element;
    let value = match value {
        Value::Sequence(items) => {
            let items = items.iter().map(|item| item.recoded_item(source, target));
            Value::Sequence(items.collect::<Option<_>>()?)
        }
        Value::Bytes(bytes) if character_set::is_affected(vr) => {
            if source == target {
                Value::Bytes(bytes.clone())
            } else {
                let text = source.decode(bytes, vr);
                let encoded = target.encode(text.trim_end_matches(PADDING), vr)?;
                Value::Bytes(padded(encoded.into(), vr))
            }
        }
        other => other.clone(),
    };
    Some(Element { tag, vr, value })
}

/// A value field of even length.
pub(crate) fn padded(value: Bytes, vr: Vr) -> Bytes {
    if value.len().is_multiple_of(2) {
        return value;
    }
    let mut value = Vec::from(value);
    value.push(padding(vr));
    value.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_does_not_fit_turns_the_data_set_into_unicode() {
        let mut item = DataSet::new();
        item.put_bytes(tags::CODE_MEANING, Vr::LO, &b"\xFC\xFC"[..]);
        let mut own = DataSet::new();
        own.put_text(tags::SPECIFIC_CHARACTER_SET, Vr::CS, "ISO_IR 144");
        own.put_bytes(tags::CODE_MEANING, Vr::LO, &b"\xB3\xE0"[..]);
        let mut data_set = DataSet::new();
        data_set.put_text(tags::SPECIFIC_CHARACTER_SET, Vr::CS, "ISO_IR 100");
        data_set.put_text(tags::INSTITUTION_NAME, Vr::LO, "Köln");
        assert_eq!(
            data_set.bytes(tags::INSTITUTION_NAME).unwrap().as_ref(),
            b"K\xF6ln"
        );
        data_set.put_sequence(tags::PROCEDURE_CODE_SEQUENCE, vec![item, own]);
        data_set.put_text(tags::PATIENT_NAME, Vr::PN, "山田^太郎");
        assert!(data_set.character_set().is_utf8());
        assert_eq!(
            data_set.string(tags::PATIENT_NAME).as_deref(),
            Some("山田^太郎")
        );
        assert_eq!(
            data_set.string(tags::INSTITUTION_NAME).as_deref(),
            Some("Köln")
        );
        let items = data_set.items(tags::PROCEDURE_CODE_SEQUENCE);
        let meaning = |item: &DataSet| item.string_in(tags::CODE_MEANING, data_set.character_set());
        assert_eq!(meaning(&items[0]).as_deref(), Some("üü"));
        assert_eq!(meaning(&items[1]).as_deref(), Some("Гр"));
        assert!(items[1].get(tags::SPECIFIC_CHARACTER_SET).is_none());
    }

    #[test]
    fn recoding_tells_when_text_does_not_fit() {
        let mut data_set = DataSet::new();
        data_set.put_text(tags::PATIENT_NAME, Vr::PN, "Müller");
        let latin = CharacterSet::parse(b"ISO_IR 100");
        let recoded = data_set.recoded(CharacterSet::DEFAULT, latin).unwrap();
        assert_eq!(
            recoded.bytes(tags::PATIENT_NAME).unwrap().as_ref(),
            b"M\xFCller"
        );
        assert_eq!(
            recoded.ascii(tags::SPECIFIC_CHARACTER_SET),
            Some("ISO_IR 100")
        );
        let greek = CharacterSet::parse(b"ISO_IR 126");
        assert_eq!(data_set.recoded(CharacterSet::DEFAULT, greek), None);
    }

    #[test]
    fn values_are_padded_to_even_length() {
        let mut data_set = DataSet::new();
        data_set.put_uid(tags::SOP_INSTANCE_UID, "1.2");
        data_set.put_text(tags::MODALITY, Vr::CS, "XYZ");
        data_set.put_bytes(tags::PIXEL_DATA, Vr::OB, vec![7]);
        assert_eq!(
            data_set.bytes(tags::SOP_INSTANCE_UID).unwrap().as_ref(),
            b"1.2\0"
        );
        assert_eq!(data_set.bytes(tags::MODALITY).unwrap().as_ref(), b"XYZ ");
        assert_eq!(data_set.bytes(tags::PIXEL_DATA).unwrap().as_ref(), [7, 0]);
        assert_eq!(
            data_set.uid(tags::SOP_INSTANCE_UID).unwrap().as_str(),
            "1.2"
        );
    }
}
