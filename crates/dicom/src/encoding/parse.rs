//! Reading a whole data set that is in memory.

use super::big_endian::{swapped, words};
use super::element_header::{
    DEFERRED_ENCAPSULATED, DEFERRED_NATIVE, DEFERRED_SHORT, Delimiter, ElementHeader, UNDEFINED,
    looks_explicit_for_certain, looks_like_items,
};
use super::vr::{has_long_length, value_size};
use super::{DecodeError, Encoding, Limits};
use crate::data_set::{DataSet, Deferred, Element, Fragments, Value};
use crate::dictionary::{self, DictionaryVr};
use crate::{Tag, Vr, tags};
use bytes::Bytes;

/// Reads a data set. Values are slices of the input, except numbers in big endian, which are
/// copied. See the module on what is tolerated.
pub fn parse(input: Bytes, encoding: Encoding, limits: &Limits) -> Result<DataSet, DecodeError> {
    match parse_prefix(input, encoding, limits) {
        (data_set, None) => Ok(data_set),
        (_, Some(error)) => Err(error),
    }
}

/// Reads as much of a data set as can be read: all top-level elements before the one in which
/// the returned error is.
pub fn parse_prefix(
    input: Bytes,
    encoding: Encoding,
    limits: &Limits,
) -> (DataSet, Option<DecodeError>) {
    Parser::new(&input, limits).root(encoding)
}

/// Reads a stored header: explicit VR little endian with deferrals.
pub(crate) fn parse_header(input: Bytes, limits: &Limits) -> Result<DataSet, DecodeError> {
    let mut parser = Parser::new(&input, limits);
    parser.has_deferrals = true;
    match parser.root(Encoding::ExplicitLittle) {
        (data_set, None) => Ok(data_set),
        (_, Some(error)) => Err(error),
    }
}

/// The VR that an element of VR UN has by the dictionary, when its value can be of that VR
/// (PS3.5 6.2.2 note 2). Sequences are not told: their value may be no sequence.
pub(crate) fn resolve_unknown(tag: Tag, length: usize, pixels_are_signed: bool) -> Vr {
    let vr = match dictionary::by_tag(tag).map(|entry| entry.vr) {
        Some(DictionaryVr::Exact(vr)) => vr,
        Some(vr) => vr.implicit(pixels_are_signed),
        None if dictionary::is_private_creator(tag) => Vr::LO,
        None => Vr::UN,
    };
    if vr == Vr::SQ || !length.is_multiple_of(value_size(vr)) {
        Vr::UN
    } else {
        vr
    }
}

struct Parser<'a> {
    input: &'a Bytes,
    limits: &'a Limits,
    elements_left: usize,
    has_deferrals: bool,
}

/// What the elements of a data set or item need to know of where they are.
#[derive(Clone, Copy)]
struct Level {
    encoding: Encoding,
    /// Where the level ends by its length, or else the enclosing one.
    end: usize,
    /// Whether a delimiter ends it.
    is_undefined: bool,
    depth: usize,
    /// The sequence element; (0000,0000) at the top.
    sequence: Tag,
    pixels_are_signed: bool,
    bits_allocated: u16,
}

impl<'a> Parser<'a> {
    fn new(input: &'a Bytes, limits: &'a Limits) -> Self {
        Self {
            input,
            limits,
            elements_left: limits.elements_max,
            has_deferrals: false,
        }
    }

    fn root(&mut self, encoding: Encoding) -> (DataSet, Option<DecodeError>) {
        let level = Level {
            encoding,
            end: self.input.len(),
            is_undefined: false,
            depth: 0,
            sequence: Tag(0, 0),
            pixels_are_signed: false,
            bits_allocated: 0,
        };
        // An element takes at least 8 bytes, mostly about 20.
        let mut elements = Vec::with_capacity((self.input.len() / 20).min(256));
        let error = self.data_set(&mut elements, 0, level).err();
        (DataSet::from_elements(elements), error)
    }

    /// Reads the elements of a data set or an item and returns where it ends.
    fn data_set(
        &mut self,
        elements: &mut Vec<Element>,
        mut at: usize,
        mut level: Level,
    ) -> Result<usize, DecodeError> {
        loop {
            let rest = self.slice(at, level.end);
            if rest.is_empty() {
                return if level.is_undefined {
                    Err(self.unclosed(level))
                } else {
                    Ok(at)
                };
            }
            let Some(header) = ElementHeader::read(rest, level.encoding, level.pixels_are_signed)
            else {
                return self.tail(rest, at, level);
            };
            if let Some(delimiter) = Delimiter::of(header.tag) {
                return self.item_end(delimiter, header, at, level);
            }
            if level.depth == 0 && header.tag == Tag(0, 0) && is_zero(rest.get(..8).unwrap_or(rest))
            {
                return match rest.iter().position(|byte| *byte != 0) {
                    None => Ok(self.input.len()),
                    Some(garbage) => Err(DecodeError::Garbage {
                        offset: (at + garbage) as u64,
                    }),
                };
            }
            self.count()?;
            let (element, next) = self.element(header, at, level)?;
            at = next;
            if let Some(element) = element {
                level.learn(&element);
                elements.push(element);
            }
        }
    }

    /// Less than a header is left. Zeros after the last element are padding.
    fn tail(&self, rest: &[u8], at: usize, level: Level) -> Result<usize, DecodeError> {
        if level.depth == 0 && is_zero(rest) {
            return Ok(self.input.len());
        }
        if level.end < self.input.len() {
            return Err(DecodeError::LongerThanParent {
                tag: level.sequence,
                offset: at as u64,
            });
        }
        let missing = 8usize.saturating_sub(rest.len()).max(1) as u64;
        Err(DecodeError::Truncated {
            tag: level.sequence,
            offset: at as u64,
            missing,
        })
    }

    fn item_end(
        &self,
        delimiter: Delimiter,
        header: ElementHeader,
        at: usize,
        level: Level,
    ) -> Result<usize, DecodeError> {
        let next = at + header.size;
        let is_end = delimiter == Delimiter::ItemEnd
            && level.depth > 0
            && (level.is_undefined || next == level.end);
        if is_end {
            return Ok(next);
        }
        Err(DecodeError::StrayDelimiter {
            tag: header.tag,
            offset: at as u64,
        })
    }

    /// Reads one element and returns where the next one starts. Nothing for what is dropped.
    fn element(
        &mut self,
        header: ElementHeader,
        at: usize,
        level: Level,
    ) -> Result<(Option<Element>, usize), DecodeError> {
        let ElementHeader {
            tag, vr, length, ..
        } = header;
        let start = at + header.size;
        if self.has_deferrals
            && let Some(is_encapsulated) = deferral(&header)
        {
            return self.deferred(header, at, is_encapsulated);
        }
        if length == UNDEFINED {
            return self.undefined(header, at, level);
        }
        let length = length as usize;
        if length > level.end.saturating_sub(start) {
            return Err(self.too_long(tag, at, start, length, level));
        }
        let next = start + length;
        let is_sequence = level.encoding.is_explicit() || looks_like_items(self.slice(start, next));
        let vr = if vr == Vr::SQ && !is_sequence {
            Vr::UN
        } else {
            vr
        };
        if vr == Vr::SQ {
            let (items, next) = self.sequence(tag, start, Level { end: next, ..level }, false)?;
            return Ok((
                Some(Element {
                    tag,
                    vr,
                    value: Value::Sequence(items),
                }),
                next,
            ));
        }
        if length as u64 > self.limits.value_bytes_max {
            return Err(DecodeError::ValueTooLong {
                tag,
                length: length as u64,
                value_bytes_max: self.limits.value_bytes_max,
            });
        }
        if is_dropped(tag) {
            return Ok((None, next));
        }
        if vr == Vr::UN {
            return Ok((Some(self.unknown(tag, start, next, level)), next));
        }
        let mut value = self.input.slice(start..next);
        if level.encoding.is_big_endian() {
            value = swapped(value, words(tag, vr, level.bits_allocated));
        }
        Ok((
            Some(Element {
                tag,
                vr,
                value: Value::Bytes(value),
            }),
            next,
        ))
    }

    /// A value of VR UN is in little endian and, if a sequence, in implicit VR.
    fn unknown(&mut self, tag: Tag, start: usize, end: usize, level: Level) -> Element {
        let known = dictionary::by_tag(tag).map(|entry| entry.vr);
        if known == Some(DictionaryVr::Exact(Vr::SQ)) {
            let elements_left = self.elements_left;
            let inner = Level {
                encoding: Encoding::ImplicitLittle,
                end,
                ..level
            };
            if let Ok((items, _)) = self.sequence(tag, start, inner, false) {
                return Element {
                    tag,
                    vr: Vr::SQ,
                    value: Value::Sequence(items),
                };
            }
            self.elements_left = elements_left;
        }
        let vr = resolve_unknown(tag, end - start, level.pixels_are_signed);
        Element {
            tag,
            vr,
            value: Value::Bytes(self.input.slice(start..end)),
        }
    }

    /// A deferral of the stored header: offset and length of the value, 64 bits each.
    fn deferred(
        &self,
        header: ElementHeader,
        at: usize,
        is_encapsulated: bool,
    ) -> Result<(Option<Element>, usize), DecodeError> {
        // Long form: the length, 16, is part of the header. Short form: it follows the mark.
        let rest = self.slice(at + 12, self.input.len());
        let Some(
            [
                o0,
                o1,
                o2,
                o3,
                o4,
                o5,
                o6,
                o7,
                l0,
                l1,
                l2,
                l3,
                l4,
                l5,
                l6,
                l7,
            ],
        ) = rest.first_chunk::<16>().copied()
        else {
            let (tag, offset) = (header.tag, at as u64);
            return Err(DecodeError::Truncated {
                tag,
                offset,
                missing: 16,
            });
        };
        let value = Value::Deferred(Deferred {
            offset: u64::from_le_bytes([o0, o1, o2, o3, o4, o5, o6, o7]),
            length: u64::from_le_bytes([l0, l1, l2, l3, l4, l5, l6, l7]),
            is_encapsulated,
        });
        Ok((
            Some(Element {
                tag: header.tag,
                vr: header.vr,
                value,
            }),
            at + 12 + 16,
        ))
    }

    fn undefined(
        &mut self,
        header: ElementHeader,
        at: usize,
        level: Level,
    ) -> Result<(Option<Element>, usize), DecodeError> {
        let ElementHeader { tag, vr, .. } = header;
        let start = at + header.size;
        let Some(form) = UndefinedForm::of(tag, vr) else {
            return Err(DecodeError::UndefinedLength {
                tag,
                vr,
                offset: at as u64,
            });
        };
        if form == UndefinedForm::Fragments {
            let vr = if vr == Vr::UN { Vr::OB } else { vr };
            let (fragments, next) = self.fragments(tag, start, level)?;
            return Ok((
                Some(Element {
                    tag,
                    vr,
                    value: Value::Fragments(fragments),
                }),
                next,
            ));
        }
        let mut inner = level;
        if vr == Vr::UN {
            inner.encoding = unknown_sequence_encoding(self.slice(start, level.end));
        }
        let (items, next) = self.sequence(tag, start, inner, true)?;
        Ok((
            Some(Element {
                tag,
                vr: Vr::SQ,
                value: Value::Sequence(items),
            }),
            next,
        ))
    }

    /// Reads the items of a sequence; `level.end` is its end if it has a length.
    fn sequence(
        &mut self,
        tag: Tag,
        mut at: usize,
        level: Level,
        is_undefined: bool,
    ) -> Result<(Vec<DataSet>, usize), DecodeError> {
        let depth_max = self.limits.depth_max.min(Limits::DEPTH_CEILING);
        let depth = level.depth + 1;
        if depth > depth_max {
            return Err(DecodeError::TooDeep {
                depth_max,
                offset: at as u64,
            });
        }
        let level = Level {
            depth,
            sequence: tag,
            is_undefined,
            ..level
        };
        let mut items = Vec::new();
        loop {
            let rest = self.slice(at, level.end);
            if rest.is_empty() && !is_undefined {
                return Ok((items, at));
            }
            let Some(header) = ElementHeader::read(rest, level.encoding, false) else {
                return Err(self.unclosed(level));
            };
            let start = at + header.size;
            match Delimiter::of(header.tag) {
                Some(Delimiter::Item) => {}
                Some(Delimiter::SequenceEnd) if is_undefined || start == level.end => {
                    return Ok((items, start));
                }
                Some(_) => {
                    return Err(DecodeError::StrayDelimiter {
                        tag: header.tag,
                        offset: at as u64,
                    });
                }
                None => {
                    let (found, offset) = (header.tag, at as u64);
                    return Err(DecodeError::ItemExpected { tag, found, offset });
                }
            }
            self.count()?;
            let mut inner = Level {
                is_undefined: header.length == UNDEFINED,
                ..level
            };
            if header.length != UNDEFINED {
                let length = header.length as usize;
                if length > level.end.saturating_sub(start) {
                    return Err(self.too_long(header.tag, at, start, length, level));
                }
                inner.end = start + length;
            }
            let mut elements = Vec::new();
            at = self.data_set(&mut elements, start, inner)?;
            items.push(DataSet::from_elements(elements));
        }
    }

    fn fragments(
        &mut self,
        tag: Tag,
        mut at: usize,
        level: Level,
    ) -> Result<(Fragments, usize), DecodeError> {
        let mut offset_table = None;
        let mut fragments = Vec::new();
        loop {
            let rest = self.slice(at, level.end);
            // The very last delimiter is lost now and then, and nothing else with it.
            let may_end = level.depth == 0 && !self.has_deferrals && !fragments.is_empty();
            if rest.is_empty() && may_end {
                break;
            }
            let Some(header) = ElementHeader::read(rest, level.encoding, false) else {
                return Err(self.unclosed(Level {
                    sequence: tag,
                    ..level
                }));
            };
            let start = at + header.size;
            match Delimiter::of(header.tag) {
                Some(Delimiter::Item) => {}
                Some(Delimiter::SequenceEnd) => {
                    at = start;
                    break;
                }
                _ => {
                    let (found, offset) = (header.tag, at as u64);
                    return Err(DecodeError::ItemExpected { tag, found, offset });
                }
            }
            self.count()?;
            if header.length == UNDEFINED {
                let offset = at as u64;
                return Err(DecodeError::UndefinedLength {
                    tag: header.tag,
                    vr: Vr::OB,
                    offset,
                });
            }
            let length = header.length as usize;
            if length > level.end.saturating_sub(start) {
                return Err(self.too_long(tag, at, start, length, level));
            }
            at = start + length;
            let value = self.input.slice(start..at);
            match offset_table {
                None => offset_table = Some(value),
                Some(_) => fragments.push(value),
            }
        }
        Ok((
            Fragments {
                offset_table: offset_table.unwrap_or_default(),
                fragments,
            },
            at,
        ))
    }

    fn slice(&self, start: usize, end: usize) -> &'a [u8] {
        self.input.get(start..end).unwrap_or_default()
    }

    fn count(&mut self) -> Result<(), DecodeError> {
        match self.elements_left.checked_sub(1) {
            Some(left) => {
                self.elements_left = left;
                Ok(())
            }
            None => Err(DecodeError::TooManyElements {
                elements_max: self.limits.elements_max,
            }),
        }
    }

    #[cold]
    fn too_long(
        &self,
        tag: Tag,
        at: usize,
        start: usize,
        length: usize,
        level: Level,
    ) -> DecodeError {
        let offset = at as u64;
        let end = self.input.len();
        if level.end < end {
            return DecodeError::LongerThanParent { tag, offset };
        }
        let missing = (length - end.saturating_sub(start)) as u64;
        DecodeError::Truncated {
            tag,
            offset,
            missing,
        }
    }

    #[cold]
    fn unclosed(&self, level: Level) -> DecodeError {
        DecodeError::Unclosed {
            tag: level.sequence,
            offset: level.end as u64,
        }
    }
}

impl Level {
    /// Notes what later elements are read by (PS3.5 A.1, 7.3).
    #[inline]
    fn learn(&mut self, element: &Element) {
        if element.tag.0 != 0x0028 || !matches!(element.vr, Vr::US | Vr::SS) {
            return;
        }
        let Value::Bytes(bytes) = &element.value else {
            return;
        };
        let Ok(number) = bytes.as_ref().try_into().map(u16::from_le_bytes) else {
            return;
        };
        match element.tag {
            tags::PIXEL_REPRESENTATION => self.pixels_are_signed = number == 1,
            tags::BITS_ALLOCATED => self.bits_allocated = number,
            _ => {}
        }
    }
}

/// What a value of undefined length is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UndefinedForm {
    Sequence,
    Fragments,
}

impl UndefinedForm {
    /// Nothing when the VR may not have an undefined length.
    pub(crate) fn of(tag: Tag, vr: Vr) -> Option<Self> {
        match vr {
            Vr::SQ => Some(Self::Sequence),
            Vr::UN if tag != tags::PIXEL_DATA => Some(Self::Sequence),
            Vr::UN | Vr::OB | Vr::OW | Vr::OD | Vr::OF | Vr::OL | Vr::OV => Some(Self::Fragments),
            _ => None,
        }
    }
}

/// Items of an element of unknown VR are in implicit VR little endian, in every encoding, but some
/// writers leave them in explicit VR: the first element tells.
fn unknown_sequence_encoding(items: &[u8]) -> Encoding {
    let elements = items
        .chunks(8)
        .enumerate()
        .find(|(_, head)| !head.starts_with(b"\xFE\xFF"));
    let first = elements.and_then(|(count, _)| items.get(count * 8..));
    match first.and_then(looks_explicit_for_certain) {
        Some(true) => Encoding::ExplicitLittle,
        _ => Encoding::ImplicitLittle,
    }
}

/// Whether an element of the stored header is a deferral, and then whether of fragments.
pub(crate) fn deferral(header: &ElementHeader) -> Option<bool> {
    if !has_long_length(header.vr) {
        return (header.mark == DEFERRED_SHORT).then_some(false);
    }
    match header.mark {
        DEFERRED_NATIVE => Some(false),
        DEFERRED_ENCAPSULATED => Some(true),
        _ => None,
    }
}

/// Group lengths are retired and wrong as soon as anything changes; trailing padding is no
/// content.
pub(crate) fn is_dropped(tag: Tag) -> bool {
    (tag.1 == 0 && tag.0 > 0x0002) || tag == tags::DATA_SET_TRAILING_PADDING
}

pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}
