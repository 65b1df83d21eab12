//! Writing a data set.

use super::Encoding;
use super::big_endian::{swap_in_place, words};
use super::element_header::{DEFERRED_ENCAPSULATED, DEFERRED_NATIVE, DEFERRED_SHORT, UNDEFINED};
use super::vr::{self, has_long_length, padding};
use crate::data_set::{DataSet, Deferred, Element, Fragments, Value};
use crate::{Tag, Vr, tags};

/// Writes a data set.
///
/// Sequences and items have defined lengths, unless they are longer than such a length can say.
/// Values are padded to an even length. A value too long for the 16-bit length of its VR is
/// written as UN (PS3.5 6.2.2). Deferred values are not in memory and are left out, as are values
/// of 4 GiB and more, which no encoding can hold.
pub fn write(data_set: &DataSet, encoding: Encoding) -> Vec<u8> {
    let mut out = Vec::new();
    write_into(&mut out, data_set, encoding);
    out
}

/// As [`write()`], to the end of a buffer.
pub fn write_into(out: &mut Vec<u8>, data_set: &DataSet, encoding: Encoding) {
    Writer {
        out,
        encoding,
        has_deferrals: false,
    }
    .data_set(data_set, 0);
}

/// Writes one element, with `bits_allocated` of the data set that it is in.
pub(crate) fn write_element(
    out: &mut Vec<u8>,
    element: &Element,
    encoding: Encoding,
    bits_allocated: u16,
) {
    Writer {
        out,
        encoding,
        has_deferrals: false,
    }
    .element(element, bits_allocated);
}

/// Writes a stored header: explicit VR little endian with deferrals.
pub(crate) fn write_header(data_set: &DataSet) -> Vec<u8> {
    let mut out = Vec::new();
    let encoding = Encoding::ExplicitLittle;
    Writer {
        out: &mut out,
        encoding,
        has_deferrals: true,
    }
    .data_set(data_set, 0);
    out
}

/// Writes tag, VR and length of an element, and returns the VR: UN where the length is too long
/// for the other.
pub(crate) fn write_element_header(
    out: &mut Vec<u8>,
    encoding: Encoding,
    tag: Tag,
    vr: Vr,
    length: u32,
) -> Vr {
    Writer {
        out,
        encoding,
        has_deferrals: false,
    }
    .header(tag, vr, length)
}

/// Writes a deferral of a stored header.
pub(crate) fn write_deferral(
    out: &mut Vec<u8>,
    tag: Tag,
    vr: Vr,
    offset: u64,
    length: u64,
    is_encapsulated: bool,
) {
    let mut bytes = [0; 28];
    let [g0, g1] = tag.0.to_le_bytes();
    let [e0, e1] = tag.1.to_le_bytes();
    let [v0, v1] = vr::code(vr);
    let mark = match (has_long_length(vr), is_encapsulated) {
        (false, _) => DEFERRED_SHORT,
        (true, false) => DEFERRED_NATIVE,
        (true, true) => DEFERRED_ENCAPSULATED,
    };
    let [m0, m1] = mark.to_le_bytes();
    let head = [g0, g1, e0, e1, v0, v1, m0, m1, 16, 0, 0, 0];
    let values = offset.to_le_bytes().into_iter().chain(length.to_le_bytes());
    for (slot, byte) in bytes.iter_mut().zip(head.into_iter().chain(values)) {
        *slot = byte;
    }
    out.extend_from_slice(&bytes);
}

struct Writer<'a> {
    out: &'a mut Vec<u8>,
    encoding: Encoding,
    has_deferrals: bool,
}

impl Writer<'_> {
    fn data_set(&mut self, data_set: &DataSet, bits_allocated: u16) {
        let own = data_set
            .bytes(tags::BITS_ALLOCATED)
            .and_then(|bytes| bytes.first_chunk());
        let bits_allocated = own.map_or(bits_allocated, |bytes| u16::from_le_bytes(*bytes));
        for element in data_set.elements() {
            self.element(element, bits_allocated);
        }
    }

    fn element(&mut self, element: &Element, bits_allocated: u16) {
        match &element.value {
            Value::Bytes(bytes) => self.value(element.tag, element.vr, bytes, bits_allocated),
            Value::Sequence(items) => self.sequence(element.tag, items, bits_allocated),
            Value::Fragments(fragments) => self.fragments(element.tag, element.vr, fragments),
            Value::Deferred(deferred) if self.has_deferrals => {
                let Deferred {
                    offset,
                    length,
                    is_encapsulated,
                } = *deferred;
                write_deferral(
                    self.out,
                    element.tag,
                    element.vr,
                    offset,
                    length,
                    is_encapsulated,
                );
            }
            Value::Deferred(_) => {}
        }
    }

    fn value(&mut self, tag: Tag, vr: Vr, bytes: &[u8], bits_allocated: u16) {
        let is_odd = !bytes.len().is_multiple_of(2);
        let length = bytes.len() + usize::from(is_odd);
        let Some(length) = u32::try_from(length)
            .ok()
            .filter(|length| *length != UNDEFINED)
        else {
            return;
        };
        let written_vr = self.header(tag, vr, length);
        let start = self.out.len();
        self.out.extend_from_slice(bytes);
        if is_odd {
            self.out.push(padding(vr));
        }
        // UN is never swapped, and what is too long for its VR is UN.
        if self.encoding.is_big_endian() && written_vr != Vr::UN {
            let words = words(tag, vr, bits_allocated);
            swap_in_place(self.out.get_mut(start..).unwrap_or_default(), words);
        }
    }

    /// Writes tag, VR and length, and returns the VR.
    fn header(&mut self, tag: Tag, vr: Vr, length: u32) -> Vr {
        self.tag(tag);
        if self.encoding == Encoding::ImplicitLittle {
            self.long(length);
            return vr;
        }
        // 0xFFFF would not be even, and marks deferrals.
        let short = u16::try_from(length)
            .ok()
            .filter(|length| *length != DEFERRED_SHORT);
        match short {
            Some(length) if !has_long_length(vr) => {
                self.out.extend_from_slice(&vr::code(vr));
                self.short(length);
                vr
            }
            _ => {
                let vr = if has_long_length(vr) { vr } else { Vr::UN };
                self.out.extend_from_slice(&vr::code(vr));
                self.short(0);
                self.long(length);
                vr
            }
        }
    }

    fn sequence(&mut self, tag: Tag, items: &[DataSet], bits_allocated: u16) {
        self.header(tag, Vr::SQ, UNDEFINED);
        let start = self.out.len();
        for item in items {
            self.delimiter(0xE000, UNDEFINED);
            let start = self.out.len();
            self.data_set(item, bits_allocated);
            if !self.define_length(start) {
                self.delimiter(0xE00D, 0);
            }
        }
        if !self.define_length(start) {
            self.delimiter(0xE0DD, 0);
        }
    }

    /// Sets the length in front of what was written since `start`, if it has one.
    fn define_length(&mut self, start: usize) -> bool {
        let length = u32::try_from(self.out.len() - start)
            .ok()
            .filter(|it| *it != UNDEFINED);
        let (Some(length), Some(field)) = (length, self.out.get_mut(start - 4..start)) else {
            return false;
        };
        field.copy_from_slice(&if self.encoding.is_big_endian() {
            length.to_be_bytes()
        } else {
            length.to_le_bytes()
        });
        true
    }

    fn fragments(&mut self, tag: Tag, vr: Vr, fragments: &Fragments) {
        self.header(
            tag,
            if has_long_length(vr) { vr } else { Vr::OB },
            UNDEFINED,
        );
        for fragment in std::iter::once(&fragments.offset_table).chain(&fragments.fragments) {
            let is_odd = !fragment.len().is_multiple_of(2);
            let Ok(length) = u32::try_from(fragment.len() + usize::from(is_odd)) else {
                continue;
            };
            self.delimiter(0xE000, length);
            self.out.extend_from_slice(fragment);
            if is_odd {
                self.out.push(0);
            }
        }
        self.delimiter(0xE0DD, 0);
    }

    fn delimiter(&mut self, element: u16, length: u32) {
        self.tag(Tag(0xFFFE, element));
        self.long(length);
    }

    fn tag(&mut self, tag: Tag) {
        self.short(tag.0);
        self.short(tag.1);
    }

    fn short(&mut self, number: u16) {
        self.out
            .extend_from_slice(&if self.encoding.is_big_endian() {
                number.to_be_bytes()
            } else {
                number.to_le_bytes()
            });
    }

    fn long(&mut self, number: u32) {
        self.out
            .extend_from_slice(&if self.encoding.is_big_endian() {
                number.to_be_bytes()
            } else {
                number.to_le_bytes()
            });
    }
}
