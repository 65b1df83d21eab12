//! Fragments of encapsulated values.

use super::{Capture, Input, Machine, Step};
use crate::encoding::{DecodeError, Delimiter, ElementHeader, UNDEFINED};
use crate::frames::PixelDescription;
use crate::header::Header;
use crate::scan::{PixelDataLocation, ScanError};

impl Machine {
    /// The next fragment, or the end of the fragments.
    pub(super) fn fragment(&mut self, input: &mut Input<'_>) -> Result<Step, ScanError> {
        let offset = input.position();
        let Some(header) = ElementHeader::read(input.rest(), self.level.encoding, false) else {
            return Ok(Step::Needs(8.max(input.rest().len() + 1)));
        };
        let Some(fragments) = &mut self.fragments else {
            return Ok(Step::Made);
        };
        let tag = fragments.tag;
        match Delimiter::of(header.tag) {
            Some(Delimiter::Item) => {}
            Some(Delimiter::SequenceEnd) => {
                self.warn_of_length(&header);
                self.close_fragments(offset);
                input.at += header.size;
                input.copied = input.at;
                return Ok(Step::Made);
            }
            _ => {
                let found = header.tag;
                return Err(DecodeError::ItemExpected { tag, found, offset }.into());
            }
        }
        if header.length == UNDEFINED {
            let vr = fragments.vr;
            return Err(DecodeError::UndefinedLength {
                tag: header.tag,
                vr,
                offset,
            }
            .into());
        }
        if offset + header.size as u64 + u64::from(header.length) > self.level.bound {
            return Err(DecodeError::LongerThanParent { tag, offset }.into());
        }
        let is_offset_table = fragments.count == 0;
        fragments.count += 1;
        if fragments.is_pixel_data {
            if is_offset_table {
                fragments
                    .table
                    .set_base(offset + header.size as u64 + u64::from(header.length));
                self.captures = Some(Capture::OffsetTable);
            } else {
                fragments.table.push(header.length);
                self.hold(4)?;
            }
        }
        self.count()?;
        self.begin_value(tag, header.length, header.size, input);
        if self.skip == 0 {
            self.captures = None;
        }
        Ok(Step::Made)
    }

    pub(super) fn close_fragments(&mut self, end: u64) {
        let Some(open) = self.fragments.take() else {
            return;
        };
        let length = end - open.start;
        let at = open.deferral_at;
        if let Some(field) = self.header.get_mut(at + 20..at + 28) {
            field.copy_from_slice(&length.to_le_bytes());
        }
        if open.is_pixel_data {
            self.pixel_data = Some(PixelDataLocation {
                tag: open.tag,
                vr: open.vr,
                offset: open.start,
                length,
                fragments: Some(open.table),
                offset_table: std::mem::take(&mut self.offset_table).into(),
            });
        }
    }

    /// Whether the data end after the last fragment of the pixel data, so that nothing but the
    /// delimiter can be missing.
    pub(super) fn is_only_last_delimiter_missing(&self) -> bool {
        let Some(fragments) = self.fragments.as_ref().filter(|it| it.is_pixel_data) else {
            return false;
        };
        let header = Header(self.header.clone().into());
        let frames = PixelDescription::of_header(&header).map(|it| it.number_of_frames);
        let count = fragments.table.len();
        self.parents.is_empty() && count > 1 && frames.is_ok_and(|it| it as usize == count)
    }
}
