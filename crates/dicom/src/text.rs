//! Typed access to the values of a data set, and typed ways to put them there (PS3.5 §6.2).
//!
//! Reading is lenient and never fails: what cannot be understood is absent. Text is decoded with
//! the character set in force, cut at backslashes where the VR has several values, and freed of
//! the padding that the VR calls not significant. An element with VR UN is read with the VR that
//! the dictionary has for its tag.

use crate::character_set::{self, CharacterSet};
use crate::data_set::{DataSet, Element, Value};
use crate::encoding::{is_text, padding};
use crate::{Tag, Vr, dictionary, tags};
use bytes::Bytes;
use gantry_core::uid::Uid;
use std::borrow::Cow;
use std::fmt::Write;

/// Longest decimal string, in bytes (PS3.5 §6.2, VR DS).
pub const DECIMAL_STRING_LENGTH_MAX: usize = 16;

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

/// A value of a binary VR.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Number {
    Signed(i64),
    Unsigned(u64),
    Single(f32),
    Double(f64),
    Tag(Tag),
}

impl Number {
    fn to_integer(self) -> Option<i64> {
        match self {
            Self::Signed(number) => Some(number),
            Self::Unsigned(number) => i64::try_from(number).ok(),
            Self::Single(_) | Self::Double(_) | Self::Tag(_) => None,
        }
    }

    fn to_decimal(self) -> f64 {
        match self {
            Self::Signed(number) => number as f64,
            Self::Unsigned(number) => number as f64,
            Self::Single(number) => f64::from(number),
            Self::Double(number) => number,
            Self::Tag(_) => f64::NAN,
        }
    }
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Signed(number) => number.fmt(f),
            Self::Unsigned(number) => number.fmt(f),
            Self::Single(number) => number.fmt(f),
            Self::Double(number) => number.fmt(f),
            Self::Tag(Tag(group, element)) => write!(f, "{group:04X}{element:04X}"),
        }
    }
}

/// The values of a value field of a binary VR; what is left over at its end is not looked at.
/// `None` for VRs that are no numbers.
pub(crate) fn numbers(bytes: &[u8], vr: Vr) -> Option<impl Iterator<Item = Number> + '_> {
    let size = match vr {
        Vr::US | Vr::SS => 2,
        Vr::UL | Vr::SL | Vr::FL | Vr::AT => 4,
        Vr::UV | Vr::SV | Vr::FD => 8,
        _ => return None,
    };
    Some(
        bytes
            .chunks_exact(size)
            .filter_map(move |value| number(value, vr)),
    )
}

fn number(value: &[u8], vr: Vr) -> Option<Number> {
    Some(match vr {
        Vr::US => Number::Unsigned(u16::from_le_bytes(value.try_into().ok()?).into()),
        Vr::SS => Number::Signed(i16::from_le_bytes(value.try_into().ok()?).into()),
        Vr::UL => Number::Unsigned(u32::from_le_bytes(value.try_into().ok()?).into()),
        Vr::SL => Number::Signed(i32::from_le_bytes(value.try_into().ok()?).into()),
        Vr::UV => Number::Unsigned(u64::from_le_bytes(value.try_into().ok()?)),
        Vr::SV => Number::Signed(i64::from_le_bytes(value.try_into().ok()?)),
        Vr::FL => Number::Single(f32::from_le_bytes(value.try_into().ok()?)),
        Vr::FD => Number::Double(f64::from_le_bytes(value.try_into().ok()?)),
        Vr::AT => {
            let [a, b, c, d] = value.try_into().ok()?;
            Number::Tag(Tag(u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d])))
        }
        _ => return None,
    })
}

/// An integer string; senders write `12.0` too.
pub fn parse_integer(text: &str) -> Option<i64> {
    let text = text.trim_matches(PADDING);
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    if let Ok(number) = unsigned.parse() {
        return Some(number);
    }
    let (whole, fraction) = text.split_once('.')?;
    let is_zero = fraction.bytes().all(|byte| byte == b'0');
    if is_zero { whole.parse().ok() } else { None }
}

/// A decimal string.
pub fn parse_decimal(text: &str) -> Option<f64> {
    let text = text.trim_matches(PADDING);
    // Rust would also take "inf" and "nan".
    let is_decimal = |byte: u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
    if !text.bytes().all(is_decimal) {
        return None;
    }
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// The closest decimal string of at most 16 bytes; `None` for what is no finite number.
pub fn decimal_string(number: f64) -> Option<String> {
    if !number.is_finite() {
        return None;
    }
    let fits = |text: &String| text.len() <= DECIMAL_STRING_LENGTH_MAX;
    let exact = [format!("{number}"), format!("{number:e}")]
        .into_iter()
        .find(fits);
    exact.or_else(|| {
        let rounded = (0..DECIMAL_STRING_LENGTH_MAX)
            .rev()
            .flat_map(|digits| [format!("{number:.digits$}"), format!("{number:.digits$e}")]);
        let error =
            |text: &String| parse_decimal(text).map_or(f64::INFINITY, |near| (near - number).abs());
        rounded.filter(fits).min_by(|a, b| {
            error(a)
                .total_cmp(&error(b))
                .then_with(|| a.len().cmp(&b.len()))
        })
    })
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

    #[test]
    fn decimal_strings_are_short_enough_and_near() {
        for (number, text) in [
            (0.0, "0"),
            (-1.5, "-1.5"),
            (1e300, "1e300"),
            (1.0 / 3.0, "0.33333333333333"),
        ] {
            assert_eq!(decimal_string(number).as_deref(), Some(text));
        }
        let near = decimal_string(-std::f64::consts::PI * 1e-9).unwrap();
        assert_eq!(near, "-3.1415926536e-9");
        assert_eq!(decimal_string(f64::NAN), None);
    }

    proptest! {
        #[test]
        fn decimal_strings_keep_ten_digits(number in prop::num::f64::NORMAL) {
            let text = decimal_string(number).unwrap();
            prop_assert!(text.len() <= DECIMAL_STRING_LENGTH_MAX);
            let back = parse_decimal(&text).unwrap();
            prop_assert!(((back - number) / number).abs() < 1e-8, "{number} {text}");
        }

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
