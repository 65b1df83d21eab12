//! Pixel data: fragments that are passed on, and values that are put in.

use super::Run;
use crate::encoding::{DecodeError, Delimiter, ElementHeader, UNDEFINED, has_long_length, words};
use crate::transcode::swap::Swapper;
use crate::transcode::{NewPixelData, Parts, TranscodeError};
use crate::{Vr, tags};
use std::io::{Read, Write};

impl<R: Read, W: Write> Run<'_, R, W> {
    pub(super) fn fragments(
        &mut self,
        header: &ElementHeader,
        is_muted: bool,
    ) -> Result<(), TranscodeError> {
        let ElementHeader { tag, vr, size, .. } = *header;
        if self.is_verbatim && !is_muted {
            self.write_raw(size)?;
        } else {
            self.source.consume(size);
            if !is_muted {
                let vr = if has_long_length(vr) && vr != Vr::UN {
                    vr
                } else {
                    Vr::OB
                };
                self.header(tag, vr, UNDEFINED)?;
            }
        }
        let mut count = 0usize;
        loop {
            let offset = self.source.position();
            let head = self.source.peek(8).map_err(TranscodeError::Read)?;
            // A lost last delimiter; see the scanner.
            if head.is_empty() && self.parents.is_empty() && count > 1 {
                break;
            }
            let Some(item) = ElementHeader::read(head, self.level.encoding, false) else {
                return Err(DecodeError::Unclosed { tag, offset }.into());
            };
            self.source.consume(item.size);
            match Delimiter::of(item.tag) {
                Some(Delimiter::SequenceEnd) => break,
                Some(Delimiter::Item) if item.length != UNDEFINED => {}
                _ => {
                    let found = item.tag;
                    return Err(DecodeError::ItemExpected { tag, found, offset }.into());
                }
            }
            count += 1;
            if is_muted {
                self.pass(tag, u64::from(item.length), |_| Ok(()))?;
                continue;
            }
            let is_odd = !self.is_verbatim && !item.length.is_multiple_of(2);
            self.delimiter(0xE000, item.length + u32::from(is_odd))?;
            self.copy(tag, item.length)?;
            if is_odd {
                self.sink.write(&[0]).map_err(TranscodeError::Write)?;
            }
        }
        if is_muted {
            Ok(())
        } else {
            self.delimiter(0xE0DD, 0)
        }
    }

    pub(super) fn new_pixel_data(&mut self) -> Result<(), TranscodeError> {
        match self.pixel_data.take() {
            None => Ok(()),
            Some(NewPixelData::Native { vr, length, parts }) => self.new_native(vr, length, parts),
            Some(NewPixelData::Encapsulated {
                offset_table,
                parts,
            }) => {
                self.header(tags::PIXEL_DATA, Vr::OB, UNDEFINED)?;
                for part in std::iter::once(Ok(offset_table)).chain(parts) {
                    self.new_fragment(&part.map_err(TranscodeError::PixelData)?)?;
                }
                self.delimiter(0xE0DD, 0)
            }
        }
    }

    fn new_native(
        &mut self,
        vr: Vr,
        announced: u32,
        parts: Parts<'_>,
    ) -> Result<(), TranscodeError> {
        let is_odd = !announced.is_multiple_of(2);
        self.header(
            tags::PIXEL_DATA,
            vr,
            announced.saturating_add(u32::from(is_odd)),
        )?;
        let bits_allocated = self.put_bits_allocated.unwrap_or(self.level.bits_allocated);
        let words = words(tags::PIXEL_DATA, vr, bits_allocated);
        let mut swapper = Swapper::new(if self.to.has_big_endian_pixels {
            words
        } else {
            1
        });
        let mut length = 0u64;
        for part in parts {
            let part = part.map_err(TranscodeError::PixelData)?;
            length += part.len() as u64;
            if length > u64::from(announced) {
                return Err(TranscodeError::PixelDataLength { length, announced });
            }
            self.sink
                .write(swapper.swap(&part))
                .map_err(TranscodeError::Write)?;
        }
        if length != u64::from(announced) {
            return Err(TranscodeError::PixelDataLength { length, announced });
        }
        self.sink
            .write(swapper.rest())
            .map_err(TranscodeError::Write)?;
        if is_odd {
            self.sink.write(&[0]).map_err(TranscodeError::Write)?;
        }
        Ok(())
    }

    fn new_fragment(&mut self, fragment: &[u8]) -> Result<(), TranscodeError> {
        let length = fragment.len();
        let is_odd = !length.is_multiple_of(2);
        let even = u32::try_from(length + usize::from(is_odd)).ok();
        let even = even.filter(|even| *even != UNDEFINED);
        let even = even.ok_or(TranscodeError::FragmentTooLong { length })?;
        self.delimiter(0xE000, even)?;
        self.sink.write(fragment).map_err(TranscodeError::Write)?;
        if is_odd {
            self.sink.write(&[0]).map_err(TranscodeError::Write)?;
        }
        Ok(())
    }
}
