//! Writing headers and delimiters, and passing bytes on.

use super::Run;
use crate::encoding::{DecodeError, Encoding, write_element_header};
use crate::transcode::TranscodeError;
use crate::transcode::source::Source;
use crate::{Tag, Vr};
use std::io::{Read, Write};

impl<R: Read, W: Write> Run<'_, R, W> {
    /// Writes an element's header and returns the VR that it got.
    pub(super) fn header(&mut self, tag: Tag, vr: Vr, length: u32) -> Result<Vr, TranscodeError> {
        self.scratch.clear();
        let vr = write_element_header(&mut self.scratch, self.to.encoding, tag, vr, length);
        self.sink
            .write(&self.scratch)
            .map_err(TranscodeError::Write)?;
        Ok(vr)
    }

    pub(super) fn delimiter(&mut self, element: u16, length: u32) -> Result<(), TranscodeError> {
        // Verbatim fragments and items of UN are in the encoding they are in.
        let encoding = if self.is_verbatim {
            self.level.encoding
        } else {
            self.to.encoding
        };
        self.delimiter_in(encoding, element, length)
    }

    pub(super) fn delimiter_in(
        &mut self,
        encoding: Encoding,
        element: u16,
        length: u32,
    ) -> Result<(), TranscodeError> {
        let tag = Tag(0xFFFE, element);
        let encoding = match encoding {
            Encoding::ExplicitBig => [tag.0.to_be_bytes(), tag.1.to_be_bytes()].concat(),
            _ => [tag.0.to_le_bytes(), tag.1.to_le_bytes()].concat(),
        }
        .into_iter()
        .chain(match encoding {
            Encoding::ExplicitBig => length.to_be_bytes(),
            _ => length.to_le_bytes(),
        });
        self.scratch.clear();
        self.scratch.extend(encoding);
        self.sink
            .write(&self.scratch)
            .map_err(TranscodeError::Write)
    }

    /// Copies a header that was peeked at.
    pub(super) fn write_raw(&mut self, size: usize) -> Result<(), TranscodeError> {
        let head = self.source.peek(size).map_err(TranscodeError::Read)?;
        self.sink.write(head).map_err(TranscodeError::Write)?;
        self.source.consume(size);
        Ok(())
    }

    pub(super) fn copy(&mut self, tag: Tag, length: u32) -> Result<(), TranscodeError> {
        let sink = &mut self.sink;
        pass(&mut self.source, tag, u64::from(length), |bytes| {
            sink.write(bytes).map_err(TranscodeError::Write)
        })
    }

    pub(super) fn pass(
        &mut self,
        tag: Tag,
        length: u64,
        each: impl FnMut(&[u8]) -> Result<(), TranscodeError>,
    ) -> Result<(), TranscodeError> {
        pass(&mut self.source, tag, length, each)
    }
}

/// Hands on the next `length` bytes in pieces.
pub(super) fn pass<R: Read>(
    source: &mut Source<R>,
    tag: Tag,
    mut length: u64,
    mut each: impl FnMut(&[u8]) -> Result<(), TranscodeError>,
) -> Result<(), TranscodeError> {
    while length > 0 {
        let offset = source.position();
        let bytes = source.take(length).map_err(TranscodeError::Read)?;
        if bytes.is_empty() {
            return Err(DecodeError::Truncated {
                tag,
                offset,
                missing: length,
            }
            .into());
        }
        length -= bytes.len() as u64;
        each(bytes)?;
    }
    Ok(())
}
