//! From the values of a model to the value fields of a data set.

use super::{Metadata, ModelErrorKind};
use crate::character_set::CharacterSet;
use crate::data_set::{DataSet, Element, Value};
use crate::encoding::is_text;
use crate::{Tag, Vr, element_path, tags, text};
use bytes::Bytes;
use std::borrow::Cow;

/// One value of an element as a model writes it.
#[derive(Debug)]
pub(crate) enum Entry<'a> {
    /// No value between others.
    Null,
    /// A number, by its digits.
    Number(&'a str),
    /// Text; of a name all groups.
    Text(Cow<'a, str>),
    /// A person name taken apart: its groups with equals signs between them.
    Name(String),
    /// An item of a sequence.
    Item(DataSet),
    /// An object without members: an item or a name.
    EmptyObject,
}

/// The value of an element. Text is UTF-8 so far.
pub(crate) fn value(vr: Vr, entries: Vec<Entry<'_>>) -> Result<Value, ModelErrorKind> {
    if vr == Vr::SQ {
        return items(entries).map(Value::Sequence);
    }
    let mut bytes = Vec::new();
    if is_text(vr) {
        for (index, entry) in entries.into_iter().enumerate() {
            if index > 0 {
                bytes.push(b'\\');
            }
            append_text(vr, entry, &mut bytes)?;
        }
    } else {
        for entry in entries {
            append_number(vr, entry, &mut bytes)?;
        }
    }
    Ok(Value::Bytes(bytes.into()))
}

fn items(entries: Vec<Entry<'_>>) -> Result<Vec<DataSet>, ModelErrorKind> {
    let item = |entry| match entry {
        Entry::Item(item) => Ok(item),
        Entry::EmptyObject | Entry::Null => Ok(DataSet::new()),
        _ => Err(ModelErrorKind::Expected("items")),
    };
    entries.into_iter().map(item).collect()
}

fn append_text(vr: Vr, entry: Entry<'_>, bytes: &mut Vec<u8>) -> Result<(), ModelErrorKind> {
    match entry {
        Entry::Null => {}
        Entry::EmptyObject if vr == Vr::PN => {}
        Entry::Name(name) if vr == Vr::PN => bytes.extend_from_slice(name.as_bytes()),
        Entry::Text(text) => bytes.extend_from_slice(text.as_bytes()),
        Entry::Number(number) => match vr {
            // What is no integer stays as it is, as it would in a string.
            Vr::IS => match text::parse_integer(number).or_else(|| whole(number)) {
                Some(integer) => bytes.extend_from_slice(integer.to_string().as_bytes()),
                None => bytes.extend_from_slice(number.as_bytes()),
            },
            Vr::DS if number.len() > text::DECIMAL_STRING_LENGTH_MAX => {
                let decimal = text::parse_decimal(number).and_then(text::decimal_string);
                let decimal = decimal.ok_or(ModelErrorKind::OutOfRange)?;
                bytes.extend_from_slice(decimal.as_bytes());
            }
            _ => bytes.extend_from_slice(number.as_bytes()),
        },
        Entry::Name(_) | Entry::Item(_) | Entry::EmptyObject => {
            return Err(ModelErrorKind::Expected("text"));
        }
    }
    Ok(())
}

/// An integer that is written with an exponent: `1e3`.
fn whole(number: &str) -> Option<i64> {
    let decimal = text::parse_decimal(number)?;
    let is_exact = decimal.fract() == 0.0 && decimal.abs() <= 9e15;
    is_exact.then_some(decimal as i64)
}

fn append_number(vr: Vr, entry: Entry<'_>, bytes: &mut Vec<u8>) -> Result<(), ModelErrorKind> {
    let text = match &entry {
        Entry::Number(number) => *number,
        Entry::Text(text) => text.trim(),
        // A number cannot be missing between others.
        _ => return Err(ModelErrorKind::Expected("numbers")),
    };
    if vr == Vr::AT {
        let Tag(group, element) =
            element_path::parse_tag(text).ok_or(ModelErrorKind::Expected("tags"))?;
        bytes.extend(group.to_le_bytes());
        bytes.extend(element.to_le_bytes());
        return Ok(());
    }
    encode_number(vr, text, bytes)
}

fn encode_number(vr: Vr, text: &str, bytes: &mut Vec<u8>) -> Result<(), ModelErrorKind> {
    fn integer<T: TryFrom<i128>>(text: &str) -> Result<T, ModelErrorKind> {
        let number: Option<i128> = text.parse().ok().or_else(|| whole(text).map(i128::from));
        let number = number.or_else(|| text::parse_integer(text).map(i128::from));
        number
            .and_then(|number| T::try_from(number).ok())
            .ok_or(ModelErrorKind::OutOfRange)
    }
    match vr {
        Vr::US => bytes.extend(integer::<u16>(text)?.to_le_bytes()),
        Vr::SS => bytes.extend(integer::<i16>(text)?.to_le_bytes()),
        Vr::UL => bytes.extend(integer::<u32>(text)?.to_le_bytes()),
        Vr::SL => bytes.extend(integer::<i32>(text)?.to_le_bytes()),
        Vr::UV => bytes.extend(integer::<u64>(text)?.to_le_bytes()),
        Vr::SV => bytes.extend(integer::<i64>(text)?.to_le_bytes()),
        // Rust reads NaN, Infinity and inf too. A single must be read as one: two roundings can
        // differ from one.
        Vr::FL => {
            let number: f32 = text.parse().map_err(|_| ModelErrorKind::OutOfRange)?;
            bytes.extend(number.to_le_bytes());
        }
        Vr::FD => {
            let number: f64 = text.parse().map_err(|_| ModelErrorKind::OutOfRange)?;
            bytes.extend(number.to_le_bytes());
        }
        _ => return Err(ModelErrorKind::Expected("inline binary or bulk data")),
    }
    Ok(())
}

/// A data set of elements in any order.
pub(crate) fn data_set(mut elements: Vec<Element>) -> Result<DataSet, ModelErrorKind> {
    elements.sort_by_key(|element| element.tag);
    let is_twice = |pair: &[Element]| matches!(pair, [a, b] if a.tag == b.tag);
    if elements.windows(2).any(is_twice) {
        return Err(ModelErrorKind::Duplicate("an attribute"));
    }
    Ok(DataSet::from_elements(elements))
}

/// Takes the group 0002 apart and gives text its character set.
pub(crate) fn finish(data_set: DataSet, metadata: &mut Metadata) {
    let (file_meta, elements): (Vec<Element>, Vec<Element>) = data_set
        .into_iter()
        .filter(|element| element.tag.0 != 0)
        .partition(|element| element.tag.0 == 2);
    metadata.file_meta = DataSet::from_elements(file_meta);
    let mut data_set = DataSet::from_elements(elements);
    let declared = data_set.remove(tags::SPECIFIC_CHARACTER_SET);
    let declared = declared.and_then(|element| match element.value {
        Value::Bytes(bytes) => Some(CharacterSet::parse(&bytes)),
        _ => None,
    });
    let declared = declared.unwrap_or(CharacterSet::DEFAULT);
    metadata.data_set = data_set
        .recoded(CharacterSet::UTF_8, declared)
        .or_else(|| data_set.recoded(CharacterSet::UTF_8, CharacterSet::UTF_8))
        .unwrap_or(data_set);
}

/// An element, its value padded to even length.
pub(crate) fn element(tag: Tag, vr: Vr, value: Value) -> Element {
    let value = match value {
        Value::Bytes(bytes) => Value::Bytes(text::padded(bytes, vr)),
        other => other,
    };
    Element { tag, vr, value }
}

/// Binary that is written in base64, with or without padding.
pub(crate) fn inline_binary(text: &str) -> Result<Bytes, ModelErrorKind> {
    use base64::Engine;
    use base64::alphabet::STANDARD;
    use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
    let config =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let engine = GeneralPurpose::new(&STANDARD, config);
    let bytes = if text.bytes().any(|byte| byte.is_ascii_whitespace()) {
        let text: String = text.split_ascii_whitespace().collect();
        engine.decode(text)
    } else {
        engine.decode(text)
    };
    Ok(bytes
        .map_err(|_| ModelErrorKind::Expected("base64"))?
        .into())
}
