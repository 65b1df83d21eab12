//! One run of re-encoding.

use super::sink::Sink;
use super::source::Source;
use super::swap::Swapper;
use super::{Edits, Form, NewPixelData, TranscodeError, is_of_pixel_data};
use crate::data_set::{DataSet, Element};
use crate::encoding::{
    DecodeError, Delimiter, ElementHeader, Encoding, Limits, UNDEFINED, UndefinedForm,
    has_long_length, is_dropped, looks_explicit_for_certain, looks_like_items, padding, words,
    write_element, write_element_header,
};
use crate::{Tag, Vr, tags};
use std::io::{Read, Write};
use std::iter::Peekable;

pub(super) struct Run<'a, R: Read, W: Write> {
    source: Source<R>,
    sink: Sink<W>,
    from: Form,
    to: Form,
    /// Whether what is not edited keeps its bytes.
    is_verbatim: bool,
    put: Peekable<std::vec::IntoIter<Element>>,
    put_tags: Vec<Tag>,
    removed: std::collections::BTreeSet<Tag>,
    pixel_data: Option<NewPixelData<'a>>,
    has_new_pixel_data: bool,
    level: Level,
    parents: Vec<Level>,
    put_bits_allocated: Option<u16>,
    scratch: Vec<u8>,
}

/// A data set, an item, or the items of a sequence; see the scanner's.
#[derive(Debug, Clone, Copy)]
struct Level {
    is_sequence: bool,
    tag: Tag,
    encoding: Encoding,
    is_encoding_open: bool,
    end: u64,
    bound: u64,
    pixels_are_signed: bool,
    bits_allocated: u16,
    /// Whether it is left out.
    is_muted: bool,
}

impl<'a, R: Read, W: Write> Run<'a, R, W> {
    pub(super) fn new(
        source: Source<R>,
        from: Form,
        sink: Sink<W>,
        to: Form,
        edits: Edits<'a>,
    ) -> Self {
        let put_tags = edits
            .put
            .elements()
            .iter()
            .map(|element| element.tag)
            .collect();
        let put_bits_allocated = bits_allocated(&edits.put);
        Self {
            source,
            sink,
            from,
            to,
            is_verbatim: from.encoding == to.encoding
                && from.has_big_endian_pixels == to.has_big_endian_pixels,
            put: edits.put.into_iter().peekable(),
            put_tags,
            removed: edits.remove,
            has_new_pixel_data: edits.pixel_data.is_some(),
            pixel_data: edits.pixel_data,
            level: Level {
                is_sequence: false,
                tag: Tag(0, 0),
                encoding: from.encoding,
                is_encoding_open: false,
                end: u64::MAX,
                bound: u64::MAX,
                pixels_are_signed: false,
                bits_allocated: 0,
                is_muted: false,
            },
            parents: Vec::new(),
            put_bits_allocated,
            scratch: Vec::new(),
        }
    }

    pub(super) fn run(mut self) -> Result<u64, TranscodeError> {
        loop {
            self.close_ended()?;
            let head = self.source.peek(12).map_err(TranscodeError::Read)?;
            if head.is_empty() {
                break;
            }
            let Some(head) = self.read_header()? else {
                break;
            };
            if self.level.is_sequence {
                self.item(&head)?;
            } else {
                self.element(&head)?;
            }
        }
        if !self.parents.is_empty() {
            let (tag, offset) = (self.level.tag, self.source.position());
            return Err(DecodeError::Unclosed { tag, offset }.into());
        }
        self.insert_before(None)?;
        self.sink.finish().map_err(TranscodeError::Write)
    }

    /// The next header. Nothing at zeros that end the data set.
    fn read_header(&mut self) -> Result<Option<ElementHeader>, TranscodeError> {
        let level = &mut self.level;
        let head = self.source.peek(12).map_err(TranscodeError::Read)?;
        if level.is_encoding_open && !level.is_sequence {
            match looks_explicit_for_certain(head) {
                None => {}
                Some(true) => {
                    level.encoding = Encoding::ExplicitLittle;
                    level.is_encoding_open = false;
                }
                Some(false) => level.is_encoding_open = false,
            }
        }
        let is_top = self.parents.is_empty();
        if is_top && head.iter().take(8).all(|byte| *byte == 0) {
            return Ok(None);
        }
        let tag = level.tag;
        let mut header = ElementHeader::read(head, level.encoding, level.pixels_are_signed);
        // As the scanner does, see there.
        if let Some(header) = &mut header
            && (header.vr, level.encoding) == (Vr::SQ, Encoding::ImplicitLittle)
            && header.length != UNDEFINED
            && !looks_like_items(head.get(header.size..).unwrap_or_default())
            && header.length > 0
        {
            header.vr = Vr::UN;
        }
        header.map(Some).ok_or_else(|| self.cut(tag, 1))
    }

    fn element(&mut self, header: &ElementHeader) -> Result<(), TranscodeError> {
        let ElementHeader {
            tag,
            vr,
            length,
            size,
            ..
        } = *header;
        if let Some(delimiter) = Delimiter::of(tag) {
            return self.item_end(delimiter, header);
        }
        let is_muted = self.level.is_muted || !self.is_kept(tag)?;
        if length == UNDEFINED {
            return match UndefinedForm::of(tag, vr) {
                None => {
                    let offset = self.source.position();
                    Err(DecodeError::UndefinedLength { tag, vr, offset }.into())
                }
                Some(UndefinedForm::Sequence) => self.open_sequence(header, u64::MAX, is_muted),
                Some(UndefinedForm::Fragments) => self.fragments(header, is_muted),
            };
        }
        let end = self.source.position() + size as u64 + u64::from(length);
        if end > self.level.bound {
            let offset = self.source.position();
            return Err(DecodeError::LongerThanParent { tag, offset }.into());
        }
        if is_muted {
            self.source.consume(size);
            return self.pass(tag, u64::from(length), |_| Ok(()));
        }
        if self.is_verbatim {
            self.write_raw(size)?;
            self.learn(header)?;
            return self.copy(tag, length);
        }
        if vr == Vr::SQ {
            return self.open_sequence(header, end, false);
        }
        self.source.consume(size);
        self.value(header)
    }

    /// Whether an element stays. Writes the new ones that come before it.
    fn is_kept(&mut self, tag: Tag) -> Result<bool, TranscodeError> {
        if !self.parents.is_empty() {
            return Ok(self.is_verbatim || !is_dropped(tag));
        }
        self.insert_before(Some(tag))?;
        let is_replaced = self.put_tags.binary_search(&tag).is_ok()
            || self.removed.contains(&tag)
            || (self.has_new_pixel_data && is_of_pixel_data(tag));
        Ok(!is_replaced && !is_dropped(tag))
    }

    /// Writes the new elements up to and with this tag, all of them at the end.
    fn insert_before(&mut self, tag: Option<Tag>) -> Result<(), TranscodeError> {
        let is_due = |other: Tag| tag.is_none_or(|tag| other <= tag);
        while let Some(element) = self.put.next_if(|element| is_due(element.tag)) {
            if self.has_new_pixel_data && element.tag >= tags::PIXEL_DATA {
                self.new_pixel_data()?;
            }
            if self.has_new_pixel_data && element.tag == tags::PIXEL_DATA {
                continue;
            }
            self.scratch.clear();
            write_element(&mut self.scratch, &element, self.to.encoding, 0);
            self.sink
                .write(&self.scratch)
                .map_err(TranscodeError::Write)?;
        }
        if self.has_new_pixel_data && is_due(tags::PIXEL_DATA) {
            self.new_pixel_data()?;
        }
        Ok(())
    }

    /// A value that is neither a sequence nor fragments.
    fn value(&mut self, header: &ElementHeader) -> Result<(), TranscodeError> {
        let ElementHeader {
            tag, vr, length, ..
        } = *header;
        self.learn(header)?;
        let is_odd = !length.is_multiple_of(2);
        let even = length + u32::from(is_odd);
        let vr = self.header(tag, vr, even)?;
        let is_swapped = match tag {
            tags::PIXEL_DATA if self.parents.is_empty() => {
                self.from.has_big_endian_pixels != self.to.has_big_endian_pixels
            }
            _ => self.level.encoding.is_big_endian() != self.to.encoding.is_big_endian(),
        };
        // UN is in no byte order, and what is too long for its VR becomes UN.
        let is_swapped = is_swapped && header.vr != Vr::UN && vr != Vr::UN;
        let words = words(tag, header.vr, self.level.bits_allocated);
        let mut swapper = Swapper::new(if is_swapped { words } else { 1 });
        let (source, sink) = (&mut self.source, &mut self.sink);
        pass(source, tag, u64::from(length), |bytes| {
            sink.write(swapper.swap(bytes))
                .map_err(TranscodeError::Write)
        })?;
        sink.write(swapper.rest()).map_err(TranscodeError::Write)?;
        if is_odd {
            sink.write(&[padding(vr)]).map_err(TranscodeError::Write)?;
        }
        Ok(())
    }

    /// Notes of a value that comes next what later elements are read by.
    fn learn(&mut self, header: &ElementHeader) -> Result<(), TranscodeError> {
        let ElementHeader {
            tag, vr, length, ..
        } = *header;
        let is_number = length == 2 && matches!(vr, Vr::US | Vr::SS | Vr::UN);
        if !is_number || (tag != tags::PIXEL_REPRESENTATION && tag != tags::BITS_ALLOCATED) {
            return Ok(());
        }
        let value = self.source.peek(2).map_err(TranscodeError::Read)?;
        let Some(value) = value.first_chunk().copied() else {
            return Ok(());
        };
        let number = match self.level.encoding.is_big_endian() && vr != Vr::UN {
            true => u16::from_be_bytes(value),
            false => u16::from_le_bytes(value),
        };
        match tag {
            tags::BITS_ALLOCATED => self.level.bits_allocated = number,
            _ => self.level.pixels_are_signed = number == 1,
        }
        Ok(())
    }

    fn fragments(&mut self, header: &ElementHeader, is_muted: bool) -> Result<(), TranscodeError> {
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

    fn open_sequence(
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

    fn item(&mut self, header: &ElementHeader) -> Result<(), TranscodeError> {
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

    fn item_end(
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

    fn close_ended(&mut self) -> Result<(), TranscodeError> {
        while self.source.position() >= self.level.bound && !self.parents.is_empty() {
            if self.level.end != self.level.bound {
                let (tag, offset) = (self.level.tag, self.source.position());
                return Err(DecodeError::Unclosed { tag, offset }.into());
            }
            self.close()?;
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), TranscodeError> {
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

    fn new_pixel_data(&mut self) -> Result<(), TranscodeError> {
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
        parts: super::Parts<'_>,
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

    /// Writes an element's header and returns the VR that it got.
    fn header(&mut self, tag: Tag, vr: Vr, length: u32) -> Result<Vr, TranscodeError> {
        self.scratch.clear();
        let vr = write_element_header(&mut self.scratch, self.to.encoding, tag, vr, length);
        self.sink
            .write(&self.scratch)
            .map_err(TranscodeError::Write)?;
        Ok(vr)
    }

    fn delimiter(&mut self, element: u16, length: u32) -> Result<(), TranscodeError> {
        // Verbatim fragments and items of UN are in the encoding they are in.
        let encoding = if self.is_verbatim {
            self.level.encoding
        } else {
            self.to.encoding
        };
        self.delimiter_in(encoding, element, length)
    }

    fn delimiter_in(
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
    fn write_raw(&mut self, size: usize) -> Result<(), TranscodeError> {
        let head = self.source.peek(size).map_err(TranscodeError::Read)?;
        self.sink.write(head).map_err(TranscodeError::Write)?;
        self.source.consume(size);
        Ok(())
    }

    fn copy(&mut self, tag: Tag, length: u32) -> Result<(), TranscodeError> {
        let sink = &mut self.sink;
        pass(&mut self.source, tag, u64::from(length), |bytes| {
            sink.write(bytes).map_err(TranscodeError::Write)
        })
    }

    fn pass(
        &mut self,
        tag: Tag,
        length: u64,
        each: impl FnMut(&[u8]) -> Result<(), TranscodeError>,
    ) -> Result<(), TranscodeError> {
        pass(&mut self.source, tag, length, each)
    }

    fn cut(&self, tag: Tag, missing: u64) -> TranscodeError {
        DecodeError::Truncated {
            tag,
            offset: self.source.position(),
            missing,
        }
        .into()
    }
}

/// Hands on the next `length` bytes in pieces.
fn pass<R: Read>(
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

fn bits_allocated(data_set: &DataSet) -> Option<u16> {
    data_set
        .bytes(tags::BITS_ALLOCATED)?
        .first_chunk()
        .copied()
        .map(u16::from_le_bytes)
}
