//! The state machine over an inflated data set.

mod element;
mod fragment;
mod nesting;
mod notes;

use super::fragments::FragmentTable;
use super::{PixelDataLocation, ScanError, ScanLimits, Scanned, Warning};
use crate::encoding::{DecodeError, ElementHeader, Encoding, Limits};
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
        let carry = std::mem::take(&mut self.carry);
        self.feed(&carry)?;
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
