//! The state machine over an inflated data set.

use super::fragments::FragmentTable;
use super::{PixelDataLocation, ScanError, ScanLimits, Scanned, Warning};
use crate::encoding::{
    DecodeError, Delimiter, ElementHeader, Encoding, Limits, UNDEFINED, UndefinedForm,
    actual_encoding, has_long_length, is_dropped, looks_explicit_for_certain, resolve_unknown,
    swap_in_place, word_size, write_deferral, write_element_header,
};
use crate::header::Header;
use crate::transfer_syntax::{PixelForm, TransferSyntax};
use crate::{Tag, Vr, tags};
use bytes::Bytes;

/// Longer values can't stay in the header: the mark of a deferral must be no length.
const INLINE_BYTES_CEILING: usize = 32 << 10;

const HEADER_ENCODING: Encoding = Encoding::ExplicitLittle;

pub(super) struct Machine {
    limits: ScanLimits,
    declared: Encoding,
    pixel_form: PixelForm,
    /// Offset of the next byte.
    position: u64,
    /// The part of an element that came at the end of a chunk.
    carry: Vec<u8>,
    /// How many bytes `carry` must have to go on.
    carry_needs: usize,
    /// How many bytes of a value are to be passed over.
    skip: u64,
    skipped: (Tag, u64),
    captures: Option<Capture>,
    level: Level,
    parents: Vec<Level>,
    fragments: Option<OpenFragments>,
    is_in_padding: bool,
    elements: usize,
    header: Vec<u8>,
    /// Bytes in memory beside the header.
    held: usize,
    is_out_of_order: bool,
    pixel_data: Option<PixelDataLocation>,
    offset_table: Vec<u8>,
    extended_offsets: Option<Vec<u8>>,
    extended_lengths: Option<Vec<u8>>,
    warnings: Vec<Warning>,
}

/// A value that is kept, though it is passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Capture {
    OffsetTable,
    ExtendedOffsets,
    ExtendedLengths,
}

/// A data set, an item, or the items of a sequence.
#[derive(Debug, Clone, Copy)]
struct Level {
    is_sequence: bool,
    /// The sequence element; (0000,0000) at the top.
    tag: Tag,
    encoding: Encoding,
    /// Whether the encoding is only assumed until the first element is seen.
    is_encoding_open: bool,
    /// Where it ends by its own length; the maximum if that is not defined.
    end: u64,
    /// Where it must have ended: its end, or that of the next level up that has one.
    bound: u64,
    /// Where the header has its length.
    length_at: usize,
    last_tag: Tag,
    pixels_are_signed: bool,
}

/// Fragments that are being read.
struct OpenFragments {
    tag: Tag,
    vr: Vr,
    /// Offset of the first item.
    start: u64,
    /// Where the header has the deferral.
    deferral_at: usize,
    /// Whether these are the pixel data, whose fragments are noted.
    is_pixel_data: bool,
    /// Items so far; the first is the offset table.
    count: usize,
    table: FragmentTable,
}

/// The bytes at hand.
struct Input<'a> {
    bytes: &'a [u8],
    /// Offset of the first byte.
    base: u64,
    at: usize,
    /// Up to where the bytes are in the header or left out of it.
    copied: usize,
}

/// Whether a step could be made.
enum Step {
    Made,
    /// So many bytes are needed from the current position on.
    Needs(usize),
}

impl<'a> Input<'a> {
    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn position(&self) -> u64 {
        self.base + self.at as u64
    }
}

impl Machine {
    pub(super) fn new(syntax: &TransferSyntax, limits: ScanLimits) -> Self {
        let limits = ScanLimits {
            depth_max: limits.depth_max.min(Limits::DEPTH_CEILING),
            inline_bytes_max: limits.inline_bytes_max.min(INLINE_BYTES_CEILING),
            ..limits
        };
        Self {
            limits,
            declared: syntax.encoding,
            pixel_form: syntax.pixels,
            position: 0,
            carry: Vec::new(),
            carry_needs: 0,
            skip: 0,
            skipped: (Tag(0, 0), 0),
            captures: None,
            level: Level {
                is_sequence: false,
                tag: Tag(0, 0),
                encoding: syntax.encoding,
                is_encoding_open: true,
                end: u64::MAX,
                bound: u64::MAX,
                length_at: 0,
                last_tag: Tag(0, 0),
                pixels_are_signed: false,
            },
            parents: Vec::new(),
            fragments: None,
            is_in_padding: false,
            elements: 0,
            header: Vec::new(),
            held: 0,
            is_out_of_order: false,
            pixel_data: None,
            offset_table: Vec::new(),
            extended_offsets: None,
            extended_lengths: None,
            warnings: Vec::new(),
        }
    }

    pub(super) fn feed(&mut self, mut bytes: &[u8]) -> Result<(), ScanError> {
        if self.header.capacity() == 0 {
            self.header.reserve(bytes.len().min(8 << 10));
        }
        loop {
            bytes = self.pass_over(bytes)?;
            if bytes.is_empty() {
                return Ok(());
            }
            if self.carry.is_empty() {
                let (consumed, needs) = self.run(bytes)?;
                bytes = bytes.get(consumed..).unwrap_or_default();
                if needs > 0 {
                    self.carry.extend_from_slice(bytes);
                    self.carry_needs = needs;
                    return Ok(());
                }
            } else {
                bytes = self.complete_carry(bytes)?;
            }
        }
    }

    /// Adds to the carried part of an element what it needs, and goes on with it if it has it.
    fn complete_carry<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], ScanError> {
        let missing = self.carry_needs.saturating_sub(self.carry.len());
        let (head, rest) = bytes.split_at(missing.min(bytes.len()));
        self.carry.extend_from_slice(head);
        if self.carry.len() < self.carry_needs {
            return Ok(rest);
        }
        let mut carry = std::mem::take(&mut self.carry);
        let (consumed, needs) = self.run(&carry)?;
        carry.drain(..consumed);
        self.carry = carry;
        self.carry_needs = needs;
        Ok(rest)
    }

    /// Passes over the rest of a value.
    fn pass_over<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], ScanError> {
        if self.skip == 0 {
            return Ok(bytes);
        }
        let length = usize::try_from(self.skip)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        let (value, rest) = bytes.split_at(length);
        if let Some(capture) = self.captures {
            self.hold(length)?;
            let sink = match capture {
                Capture::OffsetTable => &mut self.offset_table,
                Capture::ExtendedOffsets => self.extended_offsets.get_or_insert_default(),
                Capture::ExtendedLengths => self.extended_lengths.get_or_insert_default(),
            };
            sink.extend_from_slice(value);
        }
        self.position += length as u64;
        self.skip -= length as u64;
        if self.skip == 0 {
            self.captures = None;
        }
        Ok(rest)
    }

    /// Goes as far as the bytes reach or up to a value that is passed over. Returns how many
    /// bytes were used, and how many are needed from there if it stopped for want of them.
    fn run(&mut self, bytes: &[u8]) -> Result<(usize, usize), ScanError> {
        let mut input = Input {
            bytes,
            base: self.position,
            at: 0,
            copied: 0,
        };
        let mut needs = 0;
        while self.skip == 0 && input.at < bytes.len() {
            if input.position() >= self.level.bound {
                self.close_ended(&mut input)?;
            }
            let step = if self.fragments.is_some() {
                self.fragment(&mut input)?
            } else if self.is_in_padding {
                padding(&mut input)?
            } else if self.level.is_sequence {
                self.item(&mut input)?
            } else {
                self.element(&mut input)?
            };
            if let Step::Needs(count) = step {
                needs = count;
                break;
            }
        }
        self.copy(&mut input)?;
        self.position = input.position();
        Ok((input.at, needs))
    }

    /// The next element of a data set or item, or the end of the item.
    #[inline]
    fn element(&mut self, input: &mut Input<'_>) -> Result<Step, ScanError> {
        let rest = input.rest();
        if self.level.is_encoding_open && rest.len() >= 8 {
            self.settle_encoding(rest, input.position());
        }
        let level = &self.level;
        let Some(header) = ElementHeader::read(rest, level.encoding, level.pixels_are_signed)
        else {
            return Ok(Step::Needs(if rest.len() < 8 { 8 } else { 12 }));
        };
        let ElementHeader {
            tag,
            vr,
            length,
            size,
            ..
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
        if vr == Vr::SQ {
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
    fn resolved_vr(&self, header: &ElementHeader) -> Vr {
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
    fn keep(
        &mut self,
        header: &ElementHeader,
        value: &[u8],
        input: &mut Input<'_>,
    ) -> Result<(), ScanError> {
        let tag = header.tag;
        let is_little = !self.level.encoding.is_big_endian();
        if tag == tags::PIXEL_REPRESENTATION && value.len() == 2 {
            let low = if is_little {
                value.first()
            } else {
                value.last()
            };
            self.level.pixels_are_signed = low == Some(&1);
        }
        if tag.0 == tags::PIXEL_DATA.0 && self.parents.is_empty() {
            match tag {
                tags::EXTENDED_OFFSET_TABLE => self.extended_offsets = Some(value.to_vec()),
                tags::EXTENDED_OFFSET_TABLE_LENGTHS => self.extended_lengths = Some(value.to_vec()),
                _ => {}
            }
        }
        let vr = self.resolved_vr(header);
        if header.is_plain && vr == header.vr {
            input.at += header.size + value.len();
            return Ok(());
        }
        self.copy(input)?;
        self.reserve(12 + value.len(), input)?;
        write_element_header(&mut self.header, HEADER_ENCODING, tag, vr, header.length);
        let start = self.header.len();
        self.header.extend_from_slice(value);
        // UN is in no byte order.
        if !is_little && header.vr != Vr::UN {
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
    fn defer(&mut self, header: &ElementHeader, input: &mut Input<'_>) -> Result<(), ScanError> {
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
    fn begin_value(&mut self, tag: Tag, length: u32, size: usize, input: &mut Input<'_>) {
        self.skipped = (tag, input.position());
        self.skip = u64::from(length);
        input.at += size;
        input.copied = input.at;
    }

    fn open_undefined(
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

    fn open_sequence(
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
    fn item(&mut self, input: &mut Input<'_>) -> Result<Step, ScanError> {
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

    fn item_end(
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
    fn close_ended(&mut self, input: &mut Input<'_>) -> Result<(), ScanError> {
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
    fn close(&mut self, input: &mut Input<'_>) -> Result<(), ScanError> {
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

    /// The next fragment, or the end of the fragments.
    fn fragment(&mut self, input: &mut Input<'_>) -> Result<Step, ScanError> {
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

    fn close_fragments(&mut self, end: u64) {
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

    /// Looks at the first element of a data set whose encoding is in doubt.
    #[cold]
    fn settle_encoding(&mut self, bytes: &[u8], offset: u64) {
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

    /// Brings what was read and stays as it is into the header.
    #[inline]
    fn copy(&mut self, input: &mut Input<'_>) -> Result<(), ScanError> {
        let run = input.bytes.get(input.copied..input.at).unwrap_or_default();
        if !run.is_empty() {
            self.reserve(run.len(), input)?;
            self.header.extend_from_slice(run);
        }
        input.copied = input.at;
        Ok(())
    }

    fn reserve(&self, count: usize, input: &Input<'_>) -> Result<(), ScanError> {
        if self.header.len() + self.held + count > self.limits.header_bytes_max {
            return Err(self.too_large(input));
        }
        Ok(())
    }

    fn hold(&mut self, count: usize) -> Result<(), ScanError> {
        self.held += count;
        if self.header.len() + self.held > self.limits.header_bytes_max {
            let header_bytes_max = self.limits.header_bytes_max;
            return Err(ScanError::HeaderTooLarge {
                header_bytes_max,
                offset: self.position,
            });
        }
        Ok(())
    }

    #[cold]
    fn too_large(&self, input: &Input<'_>) -> ScanError {
        let header_bytes_max = self.limits.header_bytes_max;
        ScanError::HeaderTooLarge {
            header_bytes_max,
            offset: input.position(),
        }
    }

    #[inline]
    fn count(&mut self) -> Result<(), DecodeError> {
        self.elements += 1;
        if self.elements > self.limits.elements_max {
            return Err(DecodeError::TooManyElements {
                elements_max: self.limits.elements_max,
            });
        }
        Ok(())
    }

    /// Notes what is wrong with an element.
    #[inline]
    fn note(&mut self, header: &ElementHeader) {
        let tag = header.tag;
        if tag <= self.level.last_tag {
            self.note_order(tag);
        } else {
            self.level.last_tag = tag;
        }
        if !header.is_regular || header.length & 1 == 1 || tag.0 <= 2 {
            self.note_mistake(header);
        }
    }

    #[cold]
    fn note_order(&mut self, tag: Tag) {
        // (0000,0000) is not above the tag that every level starts with.
        if tag == Tag(0, 0) {
            return;
        }
        self.is_out_of_order |= self.parents.is_empty();
        if tag != self.level.last_tag {
            self.warn(Warning::OutOfOrder { tag });
        }
    }

    #[cold]
    fn note_mistake(&mut self, header: &ElementHeader) {
        let tag = header.tag;
        if !header.is_regular {
            self.warn(Warning::IrregularVr { tag });
        }
        if header.length & 1 == 1 && header.length != UNDEFINED {
            self.warn(Warning::OddLength { tag });
        }
        if tag.0 == 0 || tag.0 == 2 {
            self.warn(Warning::ForeignGroup { tag });
        }
    }

    fn warn_of_length(&mut self, delimiter: &ElementHeader) {
        if delimiter.length != 0 {
            self.warn(Warning::DelimiterLength { tag: delimiter.tag });
        }
    }

    #[cold]
    pub(super) fn warn(&mut self, warning: Warning) {
        let kind = std::mem::discriminant(&warning);
        if !self
            .warnings
            .iter()
            .any(|other| std::mem::discriminant(other) == kind)
        {
            self.warnings.push(warning);
        }
    }

    /// Whether the data set may end here.
    pub(super) fn check_whole(&mut self) -> Result<(), ScanError> {
        let offset = self.position;
        if self.skip > 0 {
            let (tag, offset) = self.skipped;
            return Err(DecodeError::Truncated {
                tag,
                offset,
                missing: self.skip,
            }
            .into());
        }
        if !self.carry.is_empty() {
            let is_zero = self.carry.iter().all(|byte| *byte == 0);
            if is_zero && self.parents.is_empty() && self.fragments.is_none() {
                self.warn(Warning::TrailingZeros);
                return Ok(());
            }
            let header = ElementHeader::read(&self.carry, self.level.encoding, false);
            let tag = header.map_or(self.level.tag, |header| header.tag);
            let missing = self.carry_needs.saturating_sub(self.carry.len()) as u64;
            return Err(DecodeError::Truncated {
                tag,
                offset,
                missing,
            }
            .into());
        }
        if self.is_only_last_delimiter_missing() {
            self.warn(Warning::PixelDataUnclosed);
            self.close_fragments(offset);
        }
        let mut end = Input {
            bytes: &[],
            base: offset,
            at: 0,
            copied: 0,
        };
        self.close_ended(&mut end)?;
        let open = self.fragments.as_ref().map(|fragments| fragments.tag);
        let open = open.or((!self.parents.is_empty()).then_some(self.level.tag));
        open.map_or(Ok(()), |tag| {
            Err(DecodeError::Unclosed { tag, offset }.into())
        })
    }

    /// Whether the data end between two fragments of the pixel data, or after the last one. Of
    /// an object that came whole only the delimiter can be missing; who can't be sure that it did
    /// must count the frames.
    fn is_only_last_delimiter_missing(&self) -> bool {
        let fragments = self.fragments.as_ref();
        self.parents.is_empty() && fragments.is_some_and(|it| it.count > 1)
    }

    pub(super) fn finish(mut self, received: u64) -> Result<Scanned, ScanError> {
        self.check_whole()?;
        let mut header = Header(self.header.into());
        if self.is_out_of_order {
            let (ordered, duplicate) = header.in_order()?;
            header = ordered;
            self.warnings
                .extend(duplicate.map(|tag| Warning::Duplicate { tag }));
        }
        Ok(Scanned {
            header,
            data_set_length: received,
            inflated_length: self.position + self.carry.len() as u64,
            encoding: self.level.encoding,
            pixel_data: self.pixel_data,
            extended_offset_table: self.extended_offsets.map(Bytes::from),
            extended_offset_table_lengths: self.extended_lengths.map(Bytes::from),
            warnings: self.warnings,
        })
    }
}

/// Zeros up to the end of the data set.
fn padding(input: &mut Input<'_>) -> Result<Step, DecodeError> {
    if let Some(at) = input.rest().iter().position(|byte| *byte != 0) {
        return Err(DecodeError::Garbage {
            offset: input.position() + at as u64,
        });
    }
    input.at = input.bytes.len();
    input.copied = input.at;
    Ok(Step::Made)
}

/// Values that are never kept in the header, however short.
fn is_pixel_data(tag: Tag) -> bool {
    matches!(
        tag,
        tags::PIXEL_DATA | tags::FLOAT_PIXEL_DATA | tags::DOUBLE_FLOAT_PIXEL_DATA
    )
}
