//! The part of an element before its value (PS3.5 7.1).

use super::{Encoding, vr};
use crate::{Tag, Vr, dictionary};

/// The length that says "until the delimiter" (PS3.5 7.1.3, 7.5).
pub(crate) const UNDEFINED: u32 = u32::MAX;

/// In a stored header, reserved field of a long form whose value is deferred.
pub(crate) const DEFERRED_NATIVE: u16 = 1;
/// In a stored header, reserved field of a long form whose fragments are deferred.
pub(crate) const DEFERRED_ENCAPSULATED: u16 = 2;
/// In a stored header, length field of a short form whose value is deferred.
pub(crate) const DEFERRED_SHORT: u16 = u16::MAX;

/// Tag, VR and length of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ElementHeader {
    pub(crate) tag: Tag,
    pub(crate) vr: Vr,
    /// The length, or [`UNDEFINED`].
    pub(crate) length: u32,
    /// Bytes that the header takes: 8 or 12.
    pub(crate) size: usize,
    /// Whether it is exactly what explicit VR little endian would have here, so that its bytes
    /// may be copied. Never in another encoding.
    pub(crate) is_plain: bool,
    /// Whether it is a valid header of its encoding; if not, it is a sender's mistake.
    pub(crate) is_regular: bool,
    /// The reserved field of a long form, the length field of a short form.
    pub(crate) mark: u16,
}

/// Tags of group FFFE, which have no VR in any encoding (PS3.5 7.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delimiter {
    /// (FFFE,E000).
    Item,
    /// (FFFE,E00D).
    ItemEnd,
    /// (FFFE,E0DD).
    SequenceEnd,
    /// Another tag of the group, which belongs nowhere.
    Other,
}

impl Delimiter {
    pub(crate) fn of(tag: Tag) -> Option<Self> {
        match tag {
            Tag(0xFFFE, 0xE000) => Some(Self::Item),
            Tag(0xFFFE, 0xE00D) => Some(Self::ItemEnd),
            Tag(0xFFFE, 0xE0DD) => Some(Self::SequenceEnd),
            Tag(0xFFFE, _) => Some(Self::Other),
            _ => None,
        }
    }
}

impl ElementHeader {
    /// Reads a header from the front. Nothing when more bytes are needed: 12 always do.
    #[inline]
    pub(crate) fn read(bytes: &[u8], encoding: Encoding, pixels_are_signed: bool) -> Option<Self> {
        let first = bytes.first_chunk::<8>()?;
        match encoding {
            Encoding::ExplicitLittle => Self::explicit_little(first, bytes, pixels_are_signed),
            Encoding::ImplicitLittle => Some(Self::implicit(first, encoding, pixels_are_signed)),
            Encoding::ExplicitBig => Self::explicit_big(first, bytes, pixels_are_signed),
        }
    }

    #[inline]
    fn explicit_little(first: &[u8; 8], bytes: &[u8], pixels_are_signed: bool) -> Option<Self> {
        let [g0, g1, e0, e1, v0, v1, l0, l1] = *first;
        let tag = Tag(u16::from_le_bytes([g0, g1]), u16::from_le_bytes([e0, e1]));
        let mark = u16::from_le_bytes([l0, l1]);
        let Some(vr) = vr::from_code([v0, v1]) else {
            return Self::irregular(tag, bytes, Encoding::ExplicitLittle, pixels_are_signed);
        };
        if tag.0 == 0xFFFE {
            return Some(Self::delimiter(tag, first, Encoding::ExplicitLittle));
        }
        if !vr::has_long_length(vr) {
            let length = u32::from(mark);
            return Some(Self {
                tag,
                vr,
                length,
                size: 8,
                is_plain: true,
                is_regular: true,
                mark,
            });
        }
        let long = bytes.first_chunk::<12>()?;
        let [.., l0, l1, l2, l3] = *long;
        let length = u32::from_le_bytes([l0, l1, l2, l3]);
        let is_plain = mark == 0;
        Some(Self {
            tag,
            vr,
            length,
            size: 12,
            is_plain,
            is_regular: true,
            mark,
        })
    }

    fn explicit_big(first: &[u8; 8], bytes: &[u8], pixels_are_signed: bool) -> Option<Self> {
        let [g0, g1, e0, e1, v0, v1, l0, l1] = *first;
        let tag = Tag(u16::from_be_bytes([g0, g1]), u16::from_be_bytes([e0, e1]));
        let mark = u16::from_be_bytes([l0, l1]);
        if tag.0 == 0xFFFE {
            return Some(Self::delimiter(tag, first, Encoding::ExplicitBig));
        }
        let Some(vr) = vr::from_code([v0, v1]) else {
            return Self::irregular(tag, bytes, Encoding::ExplicitBig, pixels_are_signed);
        };
        let plain = Self {
            tag,
            vr,
            length: u32::from(mark),
            size: 8,
            is_plain: false,
            is_regular: true,
            mark,
        };
        if !vr::has_long_length(vr) {
            return Some(plain);
        }
        let [.., l0, l1, l2, l3] = *bytes.first_chunk::<12>()?;
        Some(Self {
            length: u32::from_be_bytes([l0, l1, l2, l3]),
            size: 12,
            ..plain
        })
    }

    fn implicit(first: &[u8; 8], encoding: Encoding, pixels_are_signed: bool) -> Self {
        let header = Self::delimiter(implicit_tag(first, encoding), first, encoding);
        if header.tag.0 == 0xFFFE {
            return header;
        }
        Self {
            vr: dictionary::implicit_vr(header.tag, pixels_are_signed),
            ..header
        }
    }

    fn delimiter(tag: Tag, first: &[u8; 8], encoding: Encoding) -> Self {
        let [.., l0, l1, l2, l3] = *first;
        let length = [l0, l1, l2, l3];
        let length = if encoding.is_big_endian() {
            u32::from_be_bytes(length)
        } else {
            u32::from_le_bytes(length)
        };
        Self {
            tag,
            vr: Vr::UN,
            length,
            size: 8,
            is_plain: false,
            is_regular: true,
            mark: 0,
        }
    }

    /// An element whose VR field has no VR of the standard.
    #[cold]
    fn irregular(
        tag: Tag,
        bytes: &[u8],
        encoding: Encoding,
        pixels_are_signed: bool,
    ) -> Option<Self> {
        let first = bytes.first_chunk::<8>()?;
        if tag.0 == 0xFFFE {
            return Some(Self::delimiter(tag, first, encoding));
        }
        let [_, _, _, _, v0, v1, m0, m1] = *first;
        let mark = if encoding.is_big_endian() {
            u16::from_be_bytes([m0, m1])
        } else {
            u16::from_le_bytes([m0, m1])
        };
        let known = vr::from_code([v0.to_ascii_uppercase(), v1.to_ascii_uppercase()]);
        let is_printable = [v0, v1].iter().all(|byte| (b' '..=b'~').contains(byte));
        // A new VR has a 32-bit length (PS3.5 6.2, note), and then the reserved field is zero.
        let is_long = match known {
            Some(vr) => vr::has_long_length(vr),
            None => is_printable && mark == 0,
        };
        let short = Self {
            tag,
            vr: known.unwrap_or(Vr::UN),
            length: u32::from(mark),
            size: 8,
            is_plain: false,
            is_regular: false,
            mark,
        };
        if is_long {
            let [.., l0, l1, l2, l3] = *bytes.first_chunk::<12>()?;
            let length = [l0, l1, l2, l3];
            let length = if encoding.is_big_endian() {
                u32::from_be_bytes(length)
            } else {
                u32::from_le_bytes(length)
            };
            return Some(Self {
                length,
                size: 12,
                ..short
            });
        }
        if known.is_some() || is_printable || ([v0, v1] == [0, 0] && mark != 0) {
            return Some(short);
        }
        // Neither letters nor nothing: the low half of a 32-bit length, without a VR.
        Some(Self {
            is_regular: false,
            ..Self::implicit(first, encoding, pixels_are_signed)
        })
    }
}

fn implicit_tag(first: &[u8; 8], encoding: Encoding) -> Tag {
    let [g0, g1, e0, e1, ..] = *first;
    if encoding.is_big_endian() {
        Tag(u16::from_be_bytes([g0, g1]), u16::from_be_bytes([e0, e1]))
    } else {
        Tag(u16::from_le_bytes([g0, g1]), u16::from_le_bytes([e0, e1]))
    }
}

/// Whether the value that starts so is a sequence. In implicit VR only the dictionary says that an
/// element is one, and the sender may have had another VR in mind; four bytes tell.
pub(crate) fn looks_like_items(value: &[u8]) -> bool {
    value.is_empty()
        || value.starts_with(b"\xFE\xFF\0\xE0")
        || value.starts_with(b"\xFE\xFF\xDD\xE0")
}

/// Whether the element at the front names its VR, for data whose declared encoding is in doubt.
/// Delimiters tell nothing.
pub(crate) fn looks_explicit(bytes: &[u8]) -> Option<bool> {
    let first = bytes.first_chunk::<8>()?;
    let [_, _, _, _, v0, v1, ..] = *first;
    if matches!(first, [0xFE, 0xFF, ..] | [0xFF, 0xFE, ..]) {
        return None;
    }
    Some(vr::from_code([v0, v1]).is_some())
}

/// As [`looks_explicit`], for an item that should be in implicit VR little endian: there the
/// length of a value may look like a VR without a length, but not if the dictionary disagrees.
pub(crate) fn looks_explicit_for_certain(bytes: &[u8]) -> Option<bool> {
    let [g0, g1, e0, e1, v0, v1, l0, l1] = *bytes.first_chunk::<8>()?;
    let is_explicit = looks_explicit(bytes)?;
    let vr = vr::from_code([v0, v1]);
    if [l0, l1] != [0, 0] || vr.is_some_and(vr::has_long_length) {
        return Some(is_explicit);
    }
    let tag = Tag(u16::from_le_bytes([g0, g1]), u16::from_le_bytes([e0, e1]));
    Some(is_explicit && Some(dictionary::implicit_vr(tag, false)) == vr)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn little(bytes: &[u8]) -> ElementHeader {
        ElementHeader::read(bytes, Encoding::ExplicitLittle, false).unwrap()
    }

    #[test]
    fn short_and_long_forms() {
        let short = little(b"\x10\0\x20\0LO\x04\0");
        assert_eq!((short.tag, short.vr), (Tag(0x10, 0x20), Vr::LO));
        assert_eq!((short.length, short.size, short.is_plain), (4, 8, true));
        let long = little(b"\xE0\x7F\x10\0OW\0\0\x04\x03\x02\x01");
        assert_eq!((long.vr, long.length, long.size), (Vr::OW, 0x0102_0304, 12));
        assert!(
            ElementHeader::read(b"\xE0\x7F\x10\0OW\0\0\x04", Encoding::ExplicitLittle, false)
                .is_none()
        );
        let big = b"\x7F\xE0\0\x10OW\0\0\x01\x02\x03\x04";
        let big = ElementHeader::read(big, Encoding::ExplicitBig, false).unwrap();
        assert_eq!(
            (big.tag, big.length, big.is_plain),
            (long.tag, long.length, false)
        );
        let implicit = b"\x10\0\x20\0\x04\0\0\0";
        let implicit = ElementHeader::read(implicit, Encoding::ImplicitLittle, false).unwrap();
        assert_eq!(
            (implicit.vr, implicit.length, implicit.size),
            (Vr::LO, 4, 8)
        );
    }

    #[test]
    fn vrs_that_the_standard_does_not_have() {
        let lower = little(b"\x10\0\x20\0lo\x04\0");
        assert_eq!((lower.vr, lower.length, lower.size), (Vr::LO, 4, 8));
        let short = little(b"\x09\0\x01\x10ZZ\x02\0");
        assert_eq!((short.vr, short.length, short.size), (Vr::UN, 2, 8));
        let long = little(b"\x09\0\x01\x10ZZ\0\0\x02\0\0\0");
        assert_eq!((long.vr, long.length, long.size), (Vr::UN, 2, 12));
        let blank = little(b"\x09\0\x01\x10  \x02\0");
        assert_eq!((blank.vr, blank.length, blank.size), (Vr::UN, 2, 8));
        let nothing = little(b"\x09\0\x01\x10\0\0\x02\0");
        assert_eq!((nothing.vr, nothing.length, nothing.size), (Vr::UN, 2, 8));
        let implicit = little(b"\x10\0\x20\0\x06\0\0\0");
        assert_eq!(
            (implicit.vr, implicit.length, implicit.size),
            (Vr::LO, 6, 8)
        );
        for header in [lower, short, long, nothing, implicit] {
            assert!(!header.is_plain && !header.is_regular);
        }
    }

    #[test]
    fn delimiters_have_no_vr() {
        let item = little(b"\xFE\xFF\0\xE0LO\0\0");
        assert_eq!(Delimiter::of(item.tag), Some(Delimiter::Item));
        assert_eq!((item.length, item.size), (0x4F4C, 8));
    }
}
