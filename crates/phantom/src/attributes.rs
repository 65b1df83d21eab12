//! Putting a data set together.

use crate::repertoire::Repertoire;
use bytes::Bytes;
use gantry_dicom::data_set::{DataSet, Element, Fragments, Value};
use gantry_dicom::{Tag, Vr, tags};

/// A data set under construction and the character set of its text.
#[derive(Debug, Clone)]
pub(crate) struct Attributes {
    repertoire: Repertoire,
    data_set: DataSet,
}

impl Attributes {
    /// Starts with Specific Character Set (0008,0005).
    pub(crate) fn in_repertoire(repertoire: Repertoire) -> Self {
        let mut attributes = Self {
            repertoire,
            data_set: DataSet::new(),
        };
        if let Some(term) = repertoire.defined_term() {
            attributes.text(tags::SPECIFIC_CHARACTER_SET, Vr::CS, term);
        }
        attributes
    }

    /// A sequence item in the same character set.
    pub(crate) fn item(&self) -> Self {
        Self {
            repertoire: self.repertoire,
            data_set: DataSet::new(),
        }
    }

    pub(crate) fn into_data_set(self) -> DataSet {
        self.data_set
    }

    fn put(&mut self, tag: Tag, vr: Vr, value: Value) {
        self.data_set.put(Element { tag, vr, value });
    }

    /// Bytes as they are, padded to an even length with a zero.
    pub(crate) fn bytes(&mut self, tag: Tag, vr: Vr, mut bytes: Vec<u8>) {
        if bytes.len() % 2 == 1 {
            bytes.push(0);
        }
        self.put(tag, vr, Value::Bytes(Bytes::from(bytes)));
    }

    /// Text of any textual VR, in the data set's character set where the VR allows it.
    pub(crate) fn text(&mut self, tag: Tag, vr: Vr, text: &str) {
        let is_translated = matches!(
            vr,
            Vr::LO | Vr::LT | Vr::PN | Vr::SH | Vr::ST | Vr::UC | Vr::UT
        );
        let mut bytes = if is_translated {
            self.repertoire.encode(text)
        } else {
            text.as_bytes().to_vec()
        };
        if bytes.len() % 2 == 1 {
            bytes.push(if vr == Vr::UI { 0 } else { b' ' });
        }
        self.put(tag, vr, Value::Bytes(Bytes::from(bytes)));
    }

    pub(crate) fn empty(&mut self, tag: Tag, vr: Vr) {
        self.text(tag, vr, "");
    }

    pub(crate) fn uid(&mut self, tag: Tag, uid: &str) {
        self.text(tag, Vr::UI, uid);
    }

    pub(crate) fn code_string(&mut self, tag: Tag, text: &str) {
        self.text(tag, Vr::CS, text);
    }

    /// Decimal strings of at most 16 characters each.
    pub(crate) fn decimals(&mut self, tag: Tag, values: &[f64]) {
        let texts: Vec<String> = values.iter().map(|value| decimal(*value)).collect();
        self.text(tag, Vr::DS, &texts.join("\\"));
    }

    pub(crate) fn integers(&mut self, tag: Tag, values: &[i64]) {
        let texts: Vec<String> = values.iter().map(i64::to_string).collect();
        self.text(tag, Vr::IS, &texts.join("\\"));
    }

    /// Unsigned 16-bit numbers, VR US.
    pub(crate) fn shorts(&mut self, tag: Tag, values: &[u16]) {
        self.bytes(
            tag,
            Vr::US,
            values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect(),
        );
    }

    /// Unsigned 32-bit numbers, VR UL.
    pub(crate) fn longs(&mut self, tag: Tag, values: &[u32]) {
        self.bytes(
            tag,
            Vr::UL,
            values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect(),
        );
    }

    /// 64-bit floating point numbers, VR FD.
    pub(crate) fn doubles(&mut self, tag: Tag, values: &[f64]) {
        self.bytes(
            tag,
            Vr::FD,
            values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect(),
        );
    }

    pub(crate) fn items(&mut self, tag: Tag, items: Vec<Self>) {
        let items = items.into_iter().map(Self::into_data_set).collect();
        self.put(tag, Vr::SQ, Value::Sequence(items));
    }

    /// A sequence of one code: value, scheme designator, meaning (PS3.3 Table 8.8-1).
    pub(crate) fn code(&mut self, tag: Tag, code: [&str; 3]) {
        let item = self.code_item(code);
        self.items(tag, vec![item]);
    }

    pub(crate) fn code_item(&self, [value, scheme, meaning]: [&str; 3]) -> Self {
        let mut item = self.item();
        item.text(tags::CODE_VALUE, Vr::SH, value);
        item.text(tags::CODING_SCHEME_DESIGNATOR, Vr::SH, scheme);
        item.text(tags::CODE_MEANING, Vr::LO, meaning);
        item
    }

    /// A reference to an instance in an item of its own (PS3.3 Table 10-11).
    pub(crate) fn reference(&self, sop_class_uid: &str, sop_instance_uid: &str) -> Self {
        let mut item = self.item();
        item.uid(tags::REFERENCED_SOP_CLASS_UID, sop_class_uid);
        item.uid(tags::REFERENCED_SOP_INSTANCE_UID, sop_instance_uid);
        item
    }

    /// Native pixel data of 16 bits a sample.
    pub(crate) fn words(&mut self, tag: Tag, values: &[u16]) {
        let mut bytes = Vec::with_capacity(values.len() * 2);
        for value in values {
            bytes.extend_from_slice(&value.to_le_bytes());
        }
        self.put(tag, Vr::OW, Value::Bytes(Bytes::from(bytes)));
    }

    /// Encapsulated pixel data with a Basic Offset Table (PS3.5 A.4), one fragment a frame.
    pub(crate) fn fragments(&mut self, fragments: Vec<Vec<u8>>) {
        let mut offset = 0_u32;
        let mut table = Vec::with_capacity(fragments.len() * 4);
        for fragment in &fragments {
            table.extend_from_slice(&offset.to_le_bytes());
            offset += fragment.len() as u32 + 8;
        }
        let fragments = Fragments {
            offset_table: Bytes::from(table),
            fragments: fragments.into_iter().map(Bytes::from).collect(),
        };
        self.put(tags::PIXEL_DATA, Vr::OB, Value::Fragments(fragments));
    }
}

/// A number as a decimal string (PS3.5 §6.2, VR DS): as short as it can be, at most 16 characters.
fn decimal(value: f64) -> String {
    let mut digits = 9;
    loop {
        let text = format!("{value:.digits$}");
        let text = if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.')
        } else {
            &text
        };
        if text.len() <= 16 || digits == 0 {
            return if text == "-0" {
                "0".into()
            } else {
                text.into()
            };
        }
        digits -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1.5, "1.5"),
            (-120.25, "-120.25"),
            (1.0 / 3.0, "0.333333333"),
            (100.0, "100"),
        ] {
            assert_eq!(decimal(value), text);
        }
        assert!(decimal(-123_456_789.123_456_79).len() <= 16);
    }

    #[test]
    fn text_is_padded_as_its_vr_asks() {
        let mut attributes = Attributes::in_repertoire(Repertoire::Latin1);
        attributes.uid(tags::SOP_INSTANCE_UID, "1.2.3");
        attributes.text(tags::PATIENT_ID, Vr::LO, "é");
        let data_set = attributes.into_data_set();
        assert_eq!(
            data_set.bytes(tags::SOP_INSTANCE_UID).unwrap().as_ref(),
            b"1.2.3\0"
        );
        assert_eq!(data_set.bytes(tags::PATIENT_ID).unwrap().as_ref(), b"\xE9 ");
        assert_eq!(
            data_set
                .bytes(tags::SPECIFIC_CHARACTER_SET)
                .unwrap()
                .as_ref(),
            b"ISO_IR 100"
        );
    }

    #[test]
    fn the_offset_table_counts_item_headers() {
        let mut attributes = Attributes::in_repertoire(Repertoire::Ascii);
        attributes.fragments(vec![vec![0; 10], vec![0; 4]]);
        let data_set = attributes.into_data_set();
        let Some(Element {
            value: Value::Fragments(fragments),
            ..
        }) = data_set.get(tags::PIXEL_DATA)
        else {
            panic!()
        };
        assert_eq!(fragments.offset_table.as_ref(), [0, 0, 0, 0, 18, 0, 0, 0]);
    }
}
