//! One run of re-encoding.

mod levels;
mod output;
mod pixel_data;

use super::sink::Sink;
use super::source::Source;
use super::swap::Swapper;
use super::{Edits, Form, NewPixelData, TranscodeError, is_of_pixel_data};
use crate::data_set::{DataSet, Element};
use crate::encoding::{
    DecodeError, Delimiter, ElementHeader, Encoding, UNDEFINED, UndefinedForm, is_dropped,
    looks_explicit_for_certain, looks_like_items, padding, words, write_element,
};
use crate::{Tag, Vr, tags};
use levels::Level;
use output::pass;
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

    fn cut(&self, tag: Tag, missing: u64) -> TranscodeError {
        DecodeError::Truncated {
            tag,
            offset: self.source.position(),
            missing,
        }
        .into()
    }
}

fn bits_allocated(data_set: &DataSet) -> Option<u16> {
    data_set
        .bytes(tags::BITS_ALLOCATED)?
        .first_chunk()
        .copied()
        .map(u16::from_le_bytes)
}
