//! Reading single attributes, leniently: a header that says a number in an odd way is still read.

use bytes::Bytes;
use gantry_dicom::data_set::{DataSet, Element, Value};
use gantry_dicom::{Tag, Vr};

/// The value field in memory.
pub(crate) fn field(data_set: &DataSet, tag: Tag) -> Option<&Bytes> {
    data_set.bytes(tag)
}

/// The first value as text without padding. For values of code, decimal or integer string only:
/// other characters than ASCII are replaced.
pub(crate) fn text(data_set: &DataSet, tag: Tag) -> Option<String> {
    texts(data_set, tag).into_iter().next()
}

/// All values as text without padding.
pub(crate) fn texts(data_set: &DataSet, tag: Tag) -> Vec<String> {
    let Some(field) = field(data_set, tag) else {
        return Vec::new();
    };
    let text = String::from_utf8_lossy(field);
    text.split('\\')
        .map(|value| value.trim_matches([' ', '\0', '\t', '\r', '\n']).to_owned())
        .collect()
}

/// The first value as a number that is not negative.
pub(crate) fn unsigned(data_set: &DataSet, tag: Tag) -> Option<u32> {
    u32::try_from(integer(data_set, tag)?).ok()
}

/// The first value as an integer.
pub(crate) fn integer(data_set: &DataSet, tag: Tag) -> Option<i64> {
    integers(data_set, tag).into_iter().next()
}

/// All values as integers; those that are none are left out.
pub(crate) fn integers(data_set: &DataSet, tag: Tag) -> Vec<i64> {
    let Some(element) = data_set.get(tag) else {
        return Vec::new();
    };
    numbers(element)
        .into_iter()
        .filter(|value| value.fract() == 0.0)
        .map(|value| value as i64)
        .collect()
}

/// All values as decimals.
pub(crate) fn decimals(data_set: &DataSet, tag: Tag) -> Vec<f64> {
    data_set.get(tag).map(numbers).unwrap_or_default()
}

/// The first value as a decimal.
pub(crate) fn decimal(data_set: &DataSet, tag: Tag) -> Option<f64> {
    decimals(data_set, tag).into_iter().next()
}

fn numbers(element: &Element) -> Vec<f64> {
    let Value::Bytes(field) = &element.value else {
        return Vec::new();
    };
    match element.vr {
        // UN: the only attributes read here that could be so encoded are 16-bit ones.
        Vr::US | Vr::OW | Vr::OB | Vr::UN => {
            each(field, |b: [u8; 2]| f64::from(u16::from_le_bytes(b)))
        }
        Vr::SS => each(field, |b: [u8; 2]| f64::from(i16::from_le_bytes(b))),
        Vr::UL | Vr::OL => each(field, |b: [u8; 4]| f64::from(u32::from_le_bytes(b))),
        Vr::SL => each(field, |b: [u8; 4]| f64::from(i32::from_le_bytes(b))),
        Vr::FL | Vr::OF => each(field, |b: [u8; 4]| f64::from(f32::from_le_bytes(b))),
        Vr::FD | Vr::OD => each(field, f64::from_le_bytes),
        Vr::UV | Vr::OV => each(field, |b: [u8; 8]| u64::from_le_bytes(b) as f64),
        Vr::SV => each(field, |b: [u8; 8]| i64::from_le_bytes(b) as f64),
        _ => decimal_strings(field),
    }
}

fn each<const N: usize>(field: &[u8], number: impl Fn([u8; N]) -> f64) -> Vec<f64> {
    field
        .as_chunks::<N>()
        .0
        .iter()
        .map(|bytes| number(*bytes))
        .collect()
}

/// Values of DS and IS. A comma instead of the point is read as one: devices send it.
fn decimal_strings(field: &[u8]) -> Vec<f64> {
    String::from_utf8_lossy(field)
        .split('\\')
        .filter_map(|value| {
            let value = value.trim_matches([' ', '\0', '\t', '\r', '\n']);
            let number = value
                .parse()
                .or_else(|_| value.replace(',', ".").parse::<f64>())
                .ok()?;
            f64::is_finite(number).then_some(number)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gantry_dicom::tags;

    fn with(vr: Vr, bytes: &'static [u8]) -> DataSet {
        let value = Value::Bytes(Bytes::from_static(bytes));
        [Element {
            tag: tags::WINDOW_CENTER,
            vr,
            value,
        }]
        .into_iter()
        .collect()
    }

    #[test]
    fn decimal_strings_are_read() {
        let data_set = with(Vr::DS, b"40.5\\ -1e3 \\x\\1,5 ");
        assert_eq!(
            decimals(&data_set, tags::WINDOW_CENTER),
            [40.5, -1000.0, 1.5]
        );
        assert!(decimals(&with(Vr::DS, b"nan\\inf"), tags::WINDOW_CENTER).is_empty());
    }

    #[test]
    fn binary_numbers_are_read() {
        assert_eq!(
            integers(&with(Vr::US, &[1, 0, 0xff, 0xff]), tags::WINDOW_CENTER),
            [1, 65_535]
        );
        assert_eq!(
            integer(&with(Vr::SS, &[0xff, 0xff]), tags::WINDOW_CENTER),
            Some(-1)
        );
        assert_eq!(
            unsigned(&with(Vr::SS, &[0xff, 0xff]), tags::WINDOW_CENTER),
            None
        );
        assert_eq!(
            decimal(
                &with(Vr::FD, &1.25f64.to_le_bytes().leak()[..]),
                tags::WINDOW_CENTER
            ),
            Some(1.25)
        );
    }

    #[test]
    fn text_loses_its_padding() {
        assert_eq!(
            text(&with(Vr::CS, b"RGB \\X\0"), tags::WINDOW_CENTER).as_deref(),
            Some("RGB")
        );
        assert_eq!(
            texts(&with(Vr::CS, b"RGB \\X\0"), tags::WINDOW_CENTER),
            ["RGB", "X"]
        );
    }
}
