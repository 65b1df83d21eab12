//! Telling the encoding of a data set by its first element.

use super::{ElementHeader, Encoding, looks_explicit};
use crate::{Tag, dictionary};

/// The longest length that still makes sense in the first element of a data set in implicit VR.
const FIRST_LENGTH_MAX: u32 = 1 << 16;

/// The encoding that a data set is in, told by its first element; nothing when it does not look
/// like a data set. In practice the first group is 0002 to 0010, and the first value is short. Eight
/// bytes tell as much as more do.
pub fn guess_encoding(bytes: &[u8]) -> Option<Encoding> {
    let [low, high, ..] = *bytes.first_chunk::<8>()?;
    let is_group = |low: u8, high: u8| high == 0 && (2..=0x10).contains(&low);
    let encoding = match looks_explicit(bytes)? {
        true if is_group(low, high) => Encoding::ExplicitLittle,
        true if is_group(high, low) => Encoding::ExplicitBig,
        false if is_group(low, high) => Encoding::ImplicitLittle,
        _ => return None,
    };
    if encoding.is_explicit() {
        return Some(encoding);
    }
    let header = ElementHeader::read(bytes, encoding, false)?;
    (is_plausible(header.tag) && header.length < FIRST_LENGTH_MAX).then_some(encoding)
}

/// The encoding that a data set is in, if it is plainly not the declared one.
pub(crate) fn actual_encoding(bytes: &[u8], declared: Encoding) -> Encoding {
    guess_encoding(bytes).unwrap_or(declared)
}

fn is_plausible(tag: Tag) -> bool {
    dictionary::by_tag(tag).is_some() || tag.1 == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_element_tells() {
        let check = |bytes: &[u8], expected| assert_eq!(guess_encoding(bytes), expected);
        check(
            b"\x08\0\x05\0CS\x0A\0ISO_IR 100",
            Some(Encoding::ExplicitLittle),
        );
        check(
            b"\x08\0\x05\0\x0A\0\0\0ISO_IR 100",
            Some(Encoding::ImplicitLittle),
        );
        check(
            b"\0\x08\0\x05CS\0\x0AISO_IR 100",
            Some(Encoding::ExplicitBig),
        );
        check(
            b"\x08\0\0\0\x04\0\0\0\x10\0\0\0",
            Some(Encoding::ImplicitLittle),
        );
        check(
            b"\x02\0\0\0UL\x04\0\x10\0\0\0",
            Some(Encoding::ExplicitLittle),
        );
        for other in [
            &b"PK\x03\x04CS\0\0"[..],
            b"\x1F\x8B\x08\0\0\0\0\0",
            b"Hello, world",
            b"",
            &[0; 16],
        ] {
            check(other, None);
        }
    }
}
