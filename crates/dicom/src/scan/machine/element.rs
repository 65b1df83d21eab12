//! Elements of a data set or item.

use super::{Capture, HEADER_ENCODING, Input, Machine, Step, is_pixel_data};
use crate::encoding::{
    DecodeError, Delimiter, ElementHeader, Encoding, UNDEFINED, actual_encoding, is_dropped,
    looks_explicit_for_certain, looks_like_items, resolve_unknown, swap_in_place, word_size,
    write_deferral, write_element_header,
};
use crate::scan::{PixelDataLocation, ScanError, Warning};
use crate::transfer_syntax::PixelForm;
use crate::{Tag, Vr, tags};
use bytes::Bytes;

impl Machine {
    /// The next element of a data set or item, or the end of the item.
    #[inline]
    pub(super) fn element(&mut self, input: &mut Input<'_>) -> Result<Step, ScanError> {
        let rest = input.rest();
        if self.level.is_encoding_open && rest.len() >= 8 {
            self.settle_encoding(rest, input.position());
        }
        let level = &self.level;
        let Some(mut header) = ElementHeader::read(rest, level.encoding, level.pixels_are_signed)
        else {
            return Ok(Step::Needs(if rest.len() < 8 { 8 } else { 12 }));
        };
        let ElementHeader {
            tag, length, size, ..
        } = header;
        if let Some(delimiter) = Delimiter::of(tag) {
            return self.item_end(delimiter, &header, input);
        }
        if tag == Tag(0, 0) && self.parents.is_empty() && rest.iter().take(8).all(|it| *it == 0) {
            self.is_in_padding = true;
            self.copy(input)?;
            self.warn(Warning::TrailingZeros);
            return Ok(Step::Made);
        }
        if length == UNDEFINED {
            self.count()?;
            self.note(&header);
            return self.open_undefined(&header, input);
        }
        let offset = input.position();
        let end = offset + size as u64 + u64::from(length);
        if end > self.level.bound {
            return Err(DecodeError::LongerThanParent { tag, offset }.into());
        }
        let is_deferred = length as usize > self.limits.inline_bytes_max;
        if header.vr == Vr::SQ && !self.level.encoding.is_explicit() {
            let start = size..size + length.min(4) as usize;
            let Some(value) = rest.get(start.clone()) else {
                return Ok(Step::Needs(start.end));
            };
            if !looks_like_items(value) {
                header.vr = Vr::UN;
            }
        }
        if header.vr == Vr::SQ {
            self.count()?;
            self.note(&header);
            self.open_sequence(&header, end, input)?;
        } else if is_dropped(tag) {
            self.count()?;
            self.copy(input)?;
            self.begin_value(tag, length, size, input);
        } else if is_deferred || (self.parents.is_empty() && is_pixel_data(tag)) {
            self.count()?;
            self.note(&header);
            self.defer(&header, input)?;
        } else {
            let total = size + length as usize;
            let Some(value) = rest.get(size..total) else {
                return Ok(Step::Needs(total));
            };
            self.count()?;
            self.note(&header);
            self.keep(&header, value, input)?;
        }
        Ok(Step::Made)
    }

    /// The VR for the header: that of the dictionary where the sender had none (PS3.5 6.2.2).
    #[inline]
    pub(super) fn resolved_vr(&self, header: &ElementHeader) -> Vr {
        if header.vr != Vr::UN {
            return header.vr;
        }
        resolve_unknown(
            header.tag,
            header.length as usize,
            self.level.pixels_are_signed,
        )
    }

    /// A value that stays in the header.
    #[inline]
    pub(super) fn keep(
        &mut self,
        header: &ElementHeader,
        value: &[u8],
        input: &mut Input<'_>,
    ) -> Result<(), ScanError> {
        let tag = header.tag;
        let vr = self.resolved_vr(header);
        // UN is in no byte order.
        let is_swapped = self.level.encoding.is_big_endian() && header.vr != Vr::UN;
        if tag == tags::PIXEL_REPRESENTATION && matches!(vr, Vr::US | Vr::SS) {
            let one: &[u8] = if is_swapped { &[0, 1] } else { &[1, 0] };
            if value.len() == 2 {
                self.level.pixels_are_signed = value == one;
            }
        }
        if tag.0 == tags::PIXEL_DATA.0 && self.parents.is_empty() {
            match tag {
                tags::EXTENDED_OFFSET_TABLE => self.extended_offsets = Some(value.to_vec()),
                tags::EXTENDED_OFFSET_TABLE_LENGTHS => self.extended_lengths = Some(value.to_vec()),
                _ => {}
            }
        }
        if header.is_plain && vr == header.vr {
            input.at += header.size + value.len();
            return Ok(());
        }
        self.copy(input)?;
        self.reserve(12 + value.len(), input)?;
        write_element_header(&mut self.header, HEADER_ENCODING, tag, vr, header.length);
        let start = self.header.len();
        self.header.extend_from_slice(value);
        if is_swapped {
            swap_in_place(
                self.header.get_mut(start..).unwrap_or_default(),
                word_size(vr),
            );
        }
        input.at += header.size + value.len();
        input.copied = input.at;
        Ok(())
    }

    /// A value of which the header only says where it is.
    pub(super) fn defer(
        &mut self,
        header: &ElementHeader,
        input: &mut Input<'_>,
    ) -> Result<(), ScanError> {
        let ElementHeader {
            tag, length, size, ..
        } = *header;
        let vr = self.resolved_vr(header);
        self.copy(input)?;
        self.reserve(28, input)?;
        let offset = input.position() + size as u64;
        let is_top = self.parents.is_empty();
        write_deferral(&mut self.header, tag, vr, offset, u64::from(length), false);
        if is_top && is_pixel_data(tag) && self.pixel_data.is_none() {
            if self.pixel_form == PixelForm::Encapsulated {
                self.warn(Warning::OtherPixelForm);
            }
            self.pixel_data = Some(PixelDataLocation {
                tag,
                vr,
                offset,
                length: u64::from(length),
                fragments: None,
                offset_table: Bytes::new(),
            });
        }
        self.begin_value(tag, length, size, input);
        self.captures = match tag {
            tags::EXTENDED_OFFSET_TABLE if is_top && self.extended_offsets.is_none() => {
                Some(Capture::ExtendedOffsets)
            }
            tags::EXTENDED_OFFSET_TABLE_LENGTHS if is_top && self.extended_lengths.is_none() => {
                Some(Capture::ExtendedLengths)
            }
            _ => None,
        };
        Ok(())
    }

    /// Steps over a header that is not copied, and then over its value.
    pub(super) fn begin_value(
        &mut self,
        tag: Tag,
        length: u32,
        size: usize,
        input: &mut Input<'_>,
    ) {
        self.skipped = (tag, input.position());
        self.skip = u64::from(length);
        input.at += size;
        input.copied = input.at;
    }

    /// Looks at the first element of a data set whose encoding is in doubt.
    #[cold]
    pub(super) fn settle_encoding(&mut self, bytes: &[u8], offset: u64) {
        if !self.parents.is_empty() {
            match looks_explicit_for_certain(bytes) {
                None => return,
                Some(true) => self.level.encoding = Encoding::ExplicitLittle,
                Some(false) => {}
            }
            self.level.is_encoding_open = false;
            return;
        }
        self.level.is_encoding_open = false;
        let actual = actual_encoding(bytes, self.declared);
        if offset == 0 && actual != self.declared {
            self.warn(Warning::OtherEncoding {
                declared: self.declared,
                actual,
            });
            self.level.encoding = actual;
        }
    }
}
