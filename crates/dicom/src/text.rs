//! Typed access to the values of a data set, and typed ways to put them there (PS3.5 §6.2).
//!
//! Reading is lenient and never fails: what cannot be understood is absent. Text is decoded with
//! the character set in force, cut at backslashes where the VR has several values, and freed of
//! the padding that the VR calls not significant. An element with VR UN is read with the VR that
//! the dictionary has for its tag.

mod build;
mod number;

pub use number::{DECIMAL_STRING_LENGTH_MAX, decimal_string, parse_decimal, parse_integer};

pub(crate) use build::padded;
pub(crate) use number::{Number, numbers};

use crate::character_set::{self, CharacterSet};
use crate::data_set::{DataSet, Element, Value};
use crate::encoding::is_text;
use crate::{Tag, Vr, dictionary};
use gantry_core::uid::Uid;
use std::borrow::Cow;
use std::fmt::Write;

/// What pads values: the space, and the NUL that belongs to UI alone but is found elsewhere.
const PADDING: [char; 2] = [' ', '\0'];

/// One value without the spaces that its VR calls not significant (PS3.5 table 6.2-1): those at
/// both ends, or those at the end where leading ones belong to the text.
pub fn trim(value: &str, vr: Vr) -> &str {
    match vr {
        Vr::LT | Vr::ST | Vr::UT | Vr::UC | Vr::UR => value.trim_end_matches(PADDING),
        _ => value.trim_matches(PADDING),
    }
}

/// The values of decoded text, each trimmed.
pub fn split(text: &str, vr: Vr) -> impl Iterator<Item = &str> {
    let delimiter = if character_set::is_single_valued(vr) {
        None
    } else {
        Some('\\')
    };
    text.split(move |char| Some(char) == delimiter)
        .map(move |value| trim(value, vr))
}

impl Element {
    /// The VR, or that of the dictionary where the stream had UN (PS3.5 §6.2.2 note 2).
    pub fn known_vr(&self) -> Vr {
        if self.vr != Vr::UN {
            return self.vr;
        }
        dictionary::implicit_vr(self.tag, false)
    }

    /// Whether there is no value: a length of zero, nothing but padding, or no items.
    pub fn is_empty(&self) -> bool {
        match &self.value {
            Value::Bytes(bytes) if is_text(self.known_vr()) => {
                bytes.iter().all(|byte| matches!(byte, b' ' | 0))
            }
            Value::Bytes(bytes) => bytes.is_empty(),
            Value::Sequence(items) => items.is_empty(),
            Value::Fragments(fragments) => fragments.fragments.is_empty(),
            Value::Deferred(deferred) => deferred.length == 0,
        }
    }

    /// The whole value as text with its padding and with backslashes between values; numbers in
    /// decimal, tags as eight hexadecimal digits. `None` when the value is not in memory, and for
    /// the VRs that are no text (OB and its like, SQ, UN).
    pub fn text(&self, set: CharacterSet) -> Option<Cow<'_, str>> {
        let Value::Bytes(bytes) = &self.value else {
            return None;
        };
        let vr = self.known_vr();
        if is_text(vr) {
            return Some(set.decode(bytes, vr));
        }
        let mut text = String::new();
        for number in numbers(bytes, vr)? {
            if !text.is_empty() {
                text.push('\\');
            }
            // Writing to a string does not fail.
            let _ = write!(text, "{number}");
        }
        Some(Cow::Owned(text))
    }

    /// Each value as text, trimmed.
    pub fn strings(&self, set: CharacterSet) -> Vec<String> {
        match self.text(set) {
            Some(text) if !self.is_empty() => {
                split(&text, self.known_vr()).map(str::to_owned).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The values of an element whose VR is ASCII, trimmed, without a copy. None for other
    /// elements and for values with other bytes.
    pub fn ascii_values(&self) -> impl Iterator<Item = &str> {
        let bytes = match &self.value {
            Value::Bytes(bytes) if is_text(self.known_vr()) => bytes.as_ref(),
            _ => &[],
        };
        let text = std::str::from_utf8(bytes)
            .ok()
            .filter(|text| text.is_ascii());
        let text = text.filter(|text| !text.trim_matches(PADDING).is_empty());
        let vr = self.known_vr();
        text.into_iter().flat_map(move |text| split(text, vr))
    }

    /// Each value as an integer (IS, US, SS, UL, SL, UV, SV); nothing at all when one of them is
    /// none, so that positions hold.
    pub fn integers(&self) -> Vec<i64> {
        self.all(Number::to_integer, parse_integer)
    }

    /// Each value as a decimal (DS, FL, FD and the integers); nothing at all when one is none.
    pub fn decimals(&self) -> Vec<f64> {
        self.all(|number| Some(number.to_decimal()), parse_decimal)
    }

    fn all<T>(&self, of_number: fn(Number) -> Option<T>, of_text: fn(&str) -> Option<T>) -> Vec<T> {
        let vr = self.known_vr();
        let values: Option<Vec<T>> = match &self.value {
            Value::Bytes(_) if is_text(vr) => self.ascii_values().map(of_text).collect(),
            Value::Bytes(bytes) => numbers(bytes, vr).and_then(|mut numbers| {
                numbers.try_fold(Vec::new(), |mut values, number| {
                    values.push(of_number(number)?);
                    Some(values)
                })
            }),
            _ => None,
        };
        values.unwrap_or_default()
    }

    /// Each value of an element with VR AT.
    pub fn tags(&self) -> Vec<Tag> {
        match &self.value {
            Value::Bytes(bytes) if self.known_vr() == Vr::AT => numbers(bytes, Vr::AT)
                .into_iter()
                .flatten()
                .filter_map(|number| match number {
                    Number::Tag(tag) => Some(tag),
                    _ => None,
                })
                .collect(),
            _ => Vec::new(),
        }
    }
}

impl DataSet {
    /// The character set declared in (0008,0005), or the default repertoire.
    pub fn character_set(&self) -> CharacterSet {
        CharacterSet::of(self)
    }

    /// The first value as text, decoded with the data set's own character set; `None` when there
    /// is no value or an empty one. For text VRs with one value (LT, ST, UT, UR): all of it.
    pub fn string(&self, tag: Tag) -> Option<String> {
        self.string_in(tag, self.character_set())
    }

    /// As [`DataSet::string`], with the character set that is in force: for items, which inherit
    /// it.
    pub fn string_in(&self, tag: Tag, set: CharacterSet) -> Option<String> {
        let element = self.get(tag)?;
        let text = element.text(set)?;
        let first = split(&text, element.known_vr()).next()?;
        (!first.is_empty()).then(|| first.to_owned())
    }

    /// All values as text; none when the element is absent or empty.
    pub fn strings(&self, tag: Tag) -> Vec<String> {
        self.strings_in(tag, self.character_set())
    }

    /// As [`DataSet::strings`], with the character set that is in force.
    pub fn strings_in(&self, tag: Tag, set: CharacterSet) -> Vec<String> {
        self.get(tag)
            .map(|element| element.strings(set))
            .unwrap_or_default()
    }

    /// The first value of an element whose VR is ASCII (AE, CS, DA, UI …), without a copy.
    pub fn ascii(&self, tag: Tag) -> Option<&str> {
        self.get(tag)?
            .ascii_values()
            .next()
            .filter(|value| !value.is_empty())
    }

    /// The values of an element whose VR is ASCII.
    pub fn ascii_values(&self, tag: Tag) -> impl Iterator<Item = &str> {
        self.get(tag).into_iter().flat_map(Element::ascii_values)
    }

    /// The first value as an identifier, as lenient as [`Uid::parse_lenient`].
    pub fn uid(&self, tag: Tag) -> Option<Uid> {
        Uid::parse_lenient(self.ascii(tag)?).ok()
    }

    /// The first value as an integer.
    pub fn integer(&self, tag: Tag) -> Option<i64> {
        let element = self.get(tag)?;
        match &element.value {
            Value::Bytes(bytes) => match numbers(bytes, element.known_vr()) {
                Some(mut numbers) => numbers.next()?.to_integer(),
                None => parse_integer(element.ascii_values().next()?),
            },
            _ => None,
        }
    }

    /// All values as integers; none when one of them is no integer.
    pub fn integers(&self, tag: Tag) -> Vec<i64> {
        self.get(tag).map(Element::integers).unwrap_or_default()
    }

    /// The first value as a decimal.
    pub fn decimal(&self, tag: Tag) -> Option<f64> {
        let element = self.get(tag)?;
        match &element.value {
            Value::Bytes(bytes) => match numbers(bytes, element.known_vr()) {
                Some(mut numbers) => Some(numbers.next()?.to_decimal()),
                None => parse_decimal(element.ascii_values().next()?),
            },
            _ => None,
        }
    }

    /// All values as decimals; none when one of them is no number.
    pub fn decimals(&self, tag: Tag) -> Vec<f64> {
        self.get(tag).map(Element::decimals).unwrap_or_default()
    }

    /// All values of an element with VR AT.
    pub fn tags(&self, tag: Tag) -> Vec<Tag> {
        self.get(tag).map(Element::tags).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tags;
    use bytes::Bytes;
    use proptest::prelude::*;

    fn element(vr: Vr, value: &[u8]) -> Element {
        Element {
            tag: Tag(0x0009, 0x1001),
            vr,
            value: Value::Bytes(Bytes::copy_from_slice(value)),
        }
    }

    fn strings(vr: Vr, value: &[u8]) -> Vec<String> {
        element(vr, value).strings(CharacterSet::DEFAULT)
    }

    #[test]
    fn padding_is_trimmed_by_the_rules_of_the_vr() {
        assert_eq!(strings(Vr::LO, b" a b \\ c "), ["a b", "c"]);
        assert_eq!(strings(Vr::UC, b" a \\ b "), [" a", " b"]);
        assert_eq!(strings(Vr::LT, b" a\\b "), [" a\\b"]);
        assert_eq!(strings(Vr::UI, b"1.2\0"), ["1.2"]);
        assert_eq!(strings(Vr::UI, b"1.2\\1.3 "), ["1.2", "1.3"]);
        assert_eq!(strings(Vr::CS, b"A\\\\B "), ["A", "", "B"]);
        assert!(strings(Vr::CS, b"  ").is_empty());
        assert!(strings(Vr::OB, b"ab").is_empty());
    }

    #[test]
    fn binary_values_read_as_text() {
        assert_eq!(strings(Vr::US, &[1, 0, 255, 255]), ["1", "65535"]);
        assert_eq!(strings(Vr::SS, &[255, 255]), ["-1"]);
        assert_eq!(strings(Vr::FD, &1.5f64.to_le_bytes()), ["1.5"]);
        assert_eq!(strings(Vr::AT, &[0x08, 0, 0x18, 0]), ["00080018"]);
    }

    #[test]
    fn numbers_read_from_text_and_from_binary() {
        assert_eq!(
            element(Vr::IS, b"1\\ -2 \\+3\\4.0").integers(),
            [1, -2, 3, 4]
        );
        assert!(element(Vr::IS, b"1\\x\\3").integers().is_empty());
        assert_eq!(
            element(Vr::DS, b"1e1 \\-.5\\ 3. ").decimals(),
            [10.0, -0.5, 3.0]
        );
        for text in ["nan", "inf", "1,5", "", "1e999", "0x10"] {
            assert_eq!(parse_decimal(text), None, "{text}");
        }
        assert_eq!(element(Vr::UL, &[1, 0, 0, 0, 2]).integers(), [1]);
        assert_eq!(element(Vr::SV, &(-7i64).to_le_bytes()).integers(), [-7]);
        assert!(
            element(Vr::UV, &u64::MAX.to_le_bytes())
                .integers()
                .is_empty()
        );
        assert_eq!(element(Vr::FL, &0.5f32.to_le_bytes()).decimals(), [0.5]);
    }

    #[test]
    fn first_values_stand_alone() {
        let mut data_set = DataSet::new();
        data_set.put_bytes(tags::IMAGE_TYPE, Vr::CS, &b"ORIGINAL\\PRIMARY"[..]);
        data_set.put_bytes(tags::WINDOW_CENTER, Vr::DS, &b"40\\bad"[..]);
        data_set.put_empty(tags::STUDY_DATE, Vr::DA);
        assert_eq!(data_set.ascii(tags::IMAGE_TYPE), Some("ORIGINAL"));
        assert_eq!(
            data_set.string(tags::IMAGE_TYPE).as_deref(),
            Some("ORIGINAL")
        );
        assert_eq!(data_set.ascii_values(tags::IMAGE_TYPE).count(), 2);
        assert_eq!(data_set.decimal(tags::WINDOW_CENTER), Some(40.0));
        assert!(data_set.decimals(tags::WINDOW_CENTER).is_empty());
        assert_eq!(data_set.string(tags::STUDY_DATE), None);
        assert_eq!(data_set.ascii(tags::STUDY_DATE), None);
        assert_eq!(data_set.uid(tags::STUDY_INSTANCE_UID), None);
    }

    #[test]
    fn unknown_vr_is_looked_up() {
        let mut data_set = DataSet::new();
        data_set.put_bytes(tags::PATIENT_NAME, Vr::UN, &b"Doe^John"[..]);
        data_set.put_bytes(tags::ROWS, Vr::UN, &[0, 2][..]);
        assert_eq!(
            data_set.string(tags::PATIENT_NAME).as_deref(),
            Some("Doe^John")
        );
        assert_eq!(data_set.integer(tags::ROWS), Some(512));
    }

    proptest! {
        #[test]
        fn reading_takes_any_bytes(bytes: Vec<u8>, vr in prop::sample::select(vec![
            Vr::PN, Vr::LT, Vr::CS, Vr::UI, Vr::IS, Vr::DS, Vr::US, Vr::SV, Vr::FD, Vr::AT, Vr::UN, Vr::OB,
        ])) {
            let mut data_set = DataSet::new();
            data_set.put_bytes(tags::PATIENT_NAME, vr, bytes);
            data_set.strings(tags::PATIENT_NAME);
            data_set.integers(tags::PATIENT_NAME);
            data_set.decimals(tags::PATIENT_NAME);
            data_set.tags(tags::PATIENT_NAME);
            data_set.uid(tags::PATIENT_NAME);
        }
    }
}
