//! From the value fields of a data set to the values of a model.

use crate::data_set::Element;
use crate::text::Number;
use crate::{Tag, Vr, encoding};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Whether an element is part of the models: neither a group length nor, at the top, the file meta
/// information or a command set.
pub(crate) fn is_written(tag: Tag, is_top: bool) -> bool {
    tag.1 != 0 && !(is_top && matches!(tag.0, 0 | 2))
}

/// Whether decoded text of a value field has no value: it is padding, or names without a name.
pub(crate) fn is_empty_text(text: &str, vr: Vr) -> bool {
    let is_nothing = |byte: u8| match byte {
        b' ' | 0 => true,
        b'^' | b'=' | b'\\' => vr == Vr::PN,
        _ => false,
    };
    text.bytes().all(is_nothing)
}

/// The component groups of a name that have a character other than delimiters, by index.
pub(crate) fn name_groups(value: &str) -> impl Iterator<Item = (usize, &str)> {
    let groups = value
        .split('=')
        .take(3)
        .map(|group| group.trim_matches(' '))
        .enumerate();
    groups.filter(|(_, group)| !group.bytes().all(|byte| matches!(byte, b'^' | b' ')))
}

/// The VR that a value is written with: that of the dictionary for UN, if the value can be one.
pub(crate) fn readable_vr(element: &Element, bytes: &[u8]) -> Vr {
    match element.known_vr() {
        // Parsing has found out already that it is none.
        Vr::SQ => Vr::UN,
        vr => {
            let size = if vr == Vr::AT {
                4
            } else {
                encoding::word_size(vr)
            };
            let is_whole = size == 1 || bytes.len().is_multiple_of(size);
            if element.vr == Vr::UN && !is_whole {
                Vr::UN
            } else {
                vr
            }
        }
    }
}

/// Appends a number as both models write it; NaN and the infinities as words, tags not at all.
pub(crate) fn append_number(number: Number, out: &mut Vec<u8>) {
    match number {
        Number::Signed(number) => {
            out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        }
        Number::Unsigned(number) => {
            out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        }
        Number::Single(number) if number.is_finite() => {
            out.extend_from_slice(zmij::Buffer::new().format_finite(number).as_bytes());
        }
        Number::Double(number) if number.is_finite() => {
            out.extend_from_slice(zmij::Buffer::new().format_finite(number).as_bytes());
        }
        Number::Single(number) => out.extend_from_slice(not_finite(number.into())),
        Number::Double(number) => out.extend_from_slice(not_finite(number)),
        Number::Tag(_) => {}
    }
}

fn not_finite(number: f64) -> &'static [u8] {
    if number.is_nan() {
        b"NaN"
    } else if number > 0.0 {
        b"Infinity"
    } else {
        b"-Infinity"
    }
}

/// Appends binary in base64.
pub(crate) fn append_base64(bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    // Four characters for three bytes, the last ones padded.
    out.resize(start + bytes.len().div_ceil(3) * 4, b'=');
    if let Some(place) = out.get_mut(start..) {
        let written = STANDARD.encode_slice(bytes, place).unwrap_or_default();
        out.truncate(start + written);
    }
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Four hexadecimal digits.
pub(crate) fn hex_quad(number: u16) -> [u8; 4] {
    let digit = |shift: u16| {
        HEX.get(usize::from(number >> shift & 0xF))
            .copied()
            .unwrap_or(b'0')
    };
    [digit(12), digit(8), digit(4), digit(0)]
}
