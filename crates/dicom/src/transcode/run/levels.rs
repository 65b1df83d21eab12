//! Going into sequences and items, and out of them.

use super::Run;
use crate::encoding::{DecodeError, Delimiter, ElementHeader, Encoding, Limits, UNDEFINED};
use crate::transcode::TranscodeError;
use crate::{Tag, Vr};
use std::io::{Read, Write};

/// A data set, an item, or the items of a sequence; see the scanner's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Level {
    pub(super) is_sequence: bool,
    pub(super) tag: Tag,
    pub(super) encoding: Encoding,
    pub(super) is_encoding_open: bool,
    pub(super) end: u64,
    pub(super) bound: u64,
    pub(super) pixels_are_signed: bool,
    pub(super) bits_allocated: u16,
    /// Whether it is left out.
    pub(super) is_muted: bool,
}

impl<R: Read, W: Write> Run<'_, R, W> {
    pub(super) fn open_sequence(
        &mut self,
        header: &ElementHeader,
        end: u64,
        is_muted: bool,
    ) -> Result<(), TranscodeError> {
        let depth_max = Limits::DEPTH_CEILING;
        let offset = self.source.position();
        if self.parents.len() / 2 >= depth_max {
            return Err(DecodeError::TooDeep { depth_max, offset }.into());
        }
        let is_unknown = header.vr == Vr::UN;
        if self.is_verbatim && !is_muted {
            self.write_raw(header.size)?;
        } else {
            self.source.consume(header.size);
            if !is_muted {
                self.header(header.tag, Vr::SQ, UNDEFINED)?;
            }
        }
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
            is_muted,
            ..self.level
        };
        self.parents.push(std::mem::replace(&mut self.level, level));
        Ok(())
    }

    pub(super) fn item(&mut self, header: &ElementHeader) -> Result<(), TranscodeError> {
        let offset = self.source.position();
        let start = offset + header.size as u64;
        match Delimiter::of(header.tag) {
            Some(Delimiter::Item) => {}
            Some(Delimiter::SequenceEnd) => {
                self.source.consume(header.size);
                return self.close();
            }
            _ => {
                let (tag, found) = (self.level.tag, header.tag);
                return Err(DecodeError::ItemExpected { tag, found, offset }.into());
            }
        }
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
        if self.level.is_muted {
            self.source.consume(header.size);
        } else if self.is_verbatim {
            self.write_raw(header.size)?;
        } else {
            self.source.consume(header.size);
            self.delimiter(0xE000, UNDEFINED)?;
        }
        let level = Level {
            is_sequence: false,
            end,
            bound: end.min(self.level.bound),
            ..self.level
        };
        self.parents.push(std::mem::replace(&mut self.level, level));
        Ok(())
    }

    pub(super) fn item_end(
        &mut self,
        delimiter: Delimiter,
        header: &ElementHeader,
    ) -> Result<(), TranscodeError> {
        if delimiter != Delimiter::ItemEnd || self.parents.is_empty() {
            let (tag, offset) = (header.tag, self.source.position());
            return Err(DecodeError::StrayDelimiter { tag, offset }.into());
        }
        self.source.consume(header.size);
        self.close()
    }

    pub(super) fn close_ended(&mut self) -> Result<(), TranscodeError> {
        while self.source.position() >= self.level.bound && !self.parents.is_empty() {
            if self.level.end != self.level.bound {
                let (tag, offset) = (self.level.tag, self.source.position());
                return Err(DecodeError::Unclosed { tag, offset }.into());
            }
            self.close()?;
        }
        Ok(())
    }

    pub(super) fn close(&mut self) -> Result<(), TranscodeError> {
        let Some(parent) = self.parents.pop() else {
            return Ok(());
        };
        let ended = std::mem::replace(&mut self.level, parent);
        if !ended.is_sequence {
            self.level.is_encoding_open = ended.is_encoding_open;
            self.level.encoding = ended.encoding;
        }
        // What kept its length needs no delimiter.
        if ended.is_muted || (self.is_verbatim && ended.end != u64::MAX) {
            return Ok(());
        }
        // Verbatim items of UN are in little endian whatever the rest is.
        let encoding = if self.is_verbatim {
            ended.encoding
        } else {
            self.to.encoding
        };
        let element = if ended.is_sequence { 0xE0DD } else { 0xE00D };
        self.delimiter_in(encoding, element, 0)
    }
}
