//! Numbers in binary values and in strings.

use super::PADDING;
use crate::{Tag, Vr};

/// Longest decimal string, in bytes (PS3.5 §6.2, VR DS).
pub const DECIMAL_STRING_LENGTH_MAX: usize = 16;

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
    pub(super) fn to_integer(self) -> Option<i64> {
        match self {
            Self::Signed(number) => Some(number),
            Self::Unsigned(number) => i64::try_from(number).ok(),
            Self::Single(_) | Self::Double(_) | Self::Tag(_) => None,
        }
    }

    pub(super) fn to_decimal(self) -> f64 {
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
    }
}
