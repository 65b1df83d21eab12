//! Sequences and items.

use super::{HEADER_ENCODING, Input, Level, Machine, OpenFragments, Step, is_pixel_data};
use crate::encoding::{
    DecodeError, Delimiter, ElementHeader, Encoding, UNDEFINED, UndefinedForm, has_long_length,
    write_deferral, write_element_header,
};
use crate::scan::{FragmentTable, ScanError, Warning};
use crate::transfer_syntax::PixelForm;
use crate::{Tag, Vr};

impl Machine {
    pub(super) fn open_undefined(
        &mut self,
        header: &ElementHeader,
        input: &mut Input<'_>,
    ) -> Result<Step, ScanError> {
        let ElementHeader { tag, vr, size, .. } = *header;
        match UndefinedForm::of(tag, vr) {
            None => {
                let offset = input.position();
                Err(DecodeError::UndefinedLength { tag, vr, offset }.into())
            }
            Some(UndefinedForm::Sequence) => {
                self.open_sequence(header, u64::MAX, input)?;
                Ok(Step::Made)
            }
            Some(UndefinedForm::Fragments) => {
                let vr = if has_long_length(vr) && vr != Vr::UN {
                    vr
                } else {
                    Vr::OB
                };
                self.copy(input)?;
                self.reserve(28, input)?;
                let deferral_at = self.header.len();
                let is_top = self.parents.is_empty() && is_pixel_data(tag);
                let start = input.position() + size as u64;
                write_deferral(&mut self.header, tag, vr, start, 0, true);
                if is_top && self.pixel_form == PixelForm::Native {
                    self.warn(Warning::OtherPixelForm);
                }
                self.fragments = Some(OpenFragments {
                    tag,
                    vr,
                    start,
                    deferral_at,
                    is_pixel_data: is_top && self.pixel_data.is_none(),
                    count: 0,
                    table: FragmentTable::default(),
                });
                input.at += size;
                input.copied = input.at;
                Ok(Step::Made)
            }
        }
    }

    pub(super) fn open_sequence(
        &mut self,
        header: &ElementHeader,
        end: u64,
        input: &mut Input<'_>,
    ) -> Result<(), ScanError> {
        let depth_max = self.limits.depth_max;
        if self.parents.len() / 2 >= depth_max {
            let offset = input.position();
            return Err(DecodeError::TooDeep { depth_max, offset }.into());
        }
        self.copy(input)?;
        self.reserve(12, input)?;
        write_element_header(&mut self.header, HEADER_ENCODING, header.tag, Vr::SQ, 0);
        // UN of undefined length is in implicit VR little endian (PS3.5 6.2.2), or should be.
        let is_unknown = header.vr == Vr::UN;
        let encoding = if is_unknown {
            Encoding::ImplicitLittle
        } else {
            self.level.encoding
        };
        let level = Level {
            is_sequence: true,
            tag: header.tag,
            encoding,
            is_encoding_open: is_unknown,
            end,
            bound: end.min(self.level.bound),
            length_at: self.header.len() - 4,
            last_tag: Tag(0, 0),
            pixels_are_signed: self.level.pixels_are_signed,
        };
        self.parents.push(std::mem::replace(&mut self.level, level));
        input.at += header.size;
        input.copied = input.at;
        Ok(())
    }

    /// The next item of a sequence, or its end.
    pub(super) fn item(&mut self, input: &mut Input<'_>) -> Result<Step, ScanError> {
        let Some(header) = ElementHeader::read(input.rest(), self.level.encoding, false) else {
            return Ok(Step::Needs(8.max(input.rest().len() + 1)));
        };
        let offset = input.position();
        let start = offset + header.size as u64;
        let is_end = self.level.end == u64::MAX || start == self.level.end;
        match Delimiter::of(header.tag) {
            Some(Delimiter::Item) => {}
            Some(Delimiter::SequenceEnd) if is_end => {
                self.warn_of_length(&header);
                input.at += header.size;
                input.copied = input.at;
                self.close(input)?;
                return Ok(Step::Made);
            }
            Some(_) => {
                return Err(DecodeError::StrayDelimiter {
                    tag: header.tag,
                    offset,
                }
                .into());
            }
            None => {
                let (tag, found) = (self.level.tag, header.tag);
                return Err(DecodeError::ItemExpected { tag, found, offset }.into());
            }
        }
        self.count()?;
        let end = match header.length {
            UNDEFINED => u64::MAX,
            length => start + u64::from(length),
        };
        if end != u64::MAX && end > self.level.bound {
            return Err(DecodeError::LongerThanParent {
                tag: header.tag,
                offset,
            }
            .into());
        }
        self.reserve(8, input)?;
        self.header.extend_from_slice(b"\xFE\xFF\0\xE0\0\0\0\0");
        let level = Level {
            is_sequence: false,
            end,
            bound: end.min(self.level.bound),
            length_at: self.header.len() - 4,
            ..self.level
        };
        self.parents.push(std::mem::replace(&mut self.level, level));
        input.at += header.size;
        input.copied = input.at;
        Ok(Step::Made)
    }

    pub(super) fn item_end(
        &mut self,
        delimiter: Delimiter,
        header: &ElementHeader,
        input: &mut Input<'_>,
    ) -> Result<Step, ScanError> {
        let offset = input.position();
        let next = offset + header.size as u64;
        let is_end = delimiter == Delimiter::ItemEnd
            && !self.parents.is_empty()
            && (self.level.end == u64::MAX || next == self.level.end)
            && next <= self.level.bound;
        if !is_end {
            return Err(DecodeError::StrayDelimiter {
                tag: header.tag,
                offset,
            }
            .into());
        }
        self.warn_of_length(header);
        self.copy(input)?;
        input.at += header.size;
        input.copied = input.at;
        self.close(input)?;
        Ok(Step::Made)
    }

    /// Closes the levels that end here by their length.
    pub(super) fn close_ended(&mut self, input: &mut Input<'_>) -> Result<(), ScanError> {
        while input.position() >= self.level.bound && !self.parents.is_empty() {
            if self.level.end != self.level.bound || self.fragments.is_some() {
                let (tag, offset) = (self.level.tag, input.position());
                return Err(DecodeError::Unclosed { tag, offset }.into());
            }
            self.copy(input)?;
            self.close(input)?;
        }
        Ok(())
    }

    /// Goes up a level, after all of it is in the header.
    pub(super) fn close(&mut self, input: &mut Input<'_>) -> Result<(), ScanError> {
        let at = self.level.length_at;
        let length = self.header.len().saturating_sub(at + 4);
        let length = u32::try_from(length).map_err(|_| self.too_large(input))?;
        if let Some(field) = self.header.get_mut(at..at + 4) {
            field.copy_from_slice(&length.to_le_bytes());
        }
        let is_encoding_open = self.level.is_encoding_open;
        let encoding = self.level.encoding;
        if let Some(parent) = self.parents.pop() {
            let ended = std::mem::replace(&mut self.level, parent);
            // What the first element of an item told holds for its sequence.
            if !ended.is_sequence {
                self.level.is_encoding_open = is_encoding_open;
                self.level.encoding = encoding;
            }
        }
        Ok(())
    }
}
