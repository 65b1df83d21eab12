//! The frame index.

use super::{FrameLocation, PixelDescription, varint};
use crate::scan::{FragmentTable, PixelDataLocation, Scanned};
use crate::transfer_syntax::TransferSyntax;

/// Tells where each frame of an image lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FrameIndex {
    /// Native frames, all of the same size.
    Native {
        /// Where the pixel data start.
        offset: u64,
        /// Bits of a frame.
        frame_bits: u64,
        /// How many whole frames the pixel data have, at most as many as are declared.
        count: u32,
    },
    /// Each frame is one fragment.
    OnePerFragment(FragmentTable),
    /// Frames are one or more fragments.
    Grouped {
        /// The fragments.
        fragments: FragmentTable,
        /// The first fragment of each frame, ascending from 0.
        first: Vec<u32>,
    },
    /// Nothing tells which fragments make which frame. Look for the marks of the coding that
    /// start a frame (SOI, SOC) at the start of fragments, then use [`FrameIndex::grouped`].
    Undetermined {
        /// The fragments.
        fragments: FragmentTable,
        /// How many frames there should be.
        count: u32,
    },
}

impl FrameIndex {
    /// The index of a scanned data set; nothing if it has no pixel data.
    ///
    /// For encapsulated pixel data the first of these counts that fits what is there: Extended
    /// Offset Table, Basic Offset Table, as many fragments as frames, a single frame. A table
    /// that names another place than the start of a fragment, or another number of frames, is
    /// wrong as a whole. A video is one frame that has all fragments.
    pub fn of(
        scanned: &Scanned,
        description: &PixelDescription,
        syntax: &TransferSyntax,
    ) -> Option<Self> {
        let location = scanned.pixel_data.as_ref()?;
        let Some(fragments) = &location.fragments else {
            return Some(Self::native(location, description));
        };
        let count = if syntax.is_video() {
            1
        } else {
            description.number_of_frames
        };
        let by_tables = || {
            extended_offsets(scanned, fragments, count)
                .or_else(|| basic_offsets(&location.offset_table, fragments, count))
                .and_then(|first| Self::grouped(fragments.clone(), first))
        };
        let fragments = || fragments.clone();
        Some(
            match location.fragments.as_ref().map_or(0, FragmentTable::len) {
                length if count == 1 && length > 0 => Self::grouped(fragments(), vec![0])?,
                length if length == count as usize => {
                    by_tables().unwrap_or_else(|| Self::OnePerFragment(fragments()))
                }
                _ => by_tables().unwrap_or_else(|| Self::Undetermined {
                    fragments: fragments(),
                    count,
                }),
            },
        )
    }

    fn native(location: &PixelDataLocation, description: &PixelDescription) -> Self {
        let frame_bits = description.frame_bits();
        let there = location
            .length
            .saturating_mul(8)
            .checked_div(frame_bits)
            .unwrap_or(0);
        let count = u64::from(description.number_of_frames).min(there) as u32;
        Self::Native {
            offset: location.offset,
            frame_bits,
            count,
        }
    }

    /// The index of frames whose first fragments are known. Nothing unless these ascend from 0
    /// and are fragments.
    pub fn grouped(fragments: FragmentTable, first: Vec<u32>) -> Option<Self> {
        let ascends = first.is_sorted_by(|one, next| one < next);
        let ends_inside = (*first.last()? as usize) < fragments.len();
        if !ascends || !ends_inside || *first.first()? != 0 {
            return None;
        }
        if first.len() == fragments.len() {
            return Some(Self::OnePerFragment(fragments));
        }
        Some(Self::Grouped { fragments, first })
    }

    /// The fragments of encapsulated pixel data.
    pub fn fragments(&self) -> Option<&FragmentTable> {
        match self {
            Self::Native { .. } => None,
            Self::OnePerFragment(fragments)
            | Self::Grouped { fragments, .. }
            | Self::Undetermined { fragments, .. } => Some(fragments),
        }
    }

    /// The number of frames that can be located.
    pub fn count(&self) -> u32 {
        match self {
            Self::Native { count, .. } => *count,
            Self::OnePerFragment(fragments) => fragments.len() as u32,
            Self::Grouped { first, .. } => first.len() as u32,
            Self::Undetermined { .. } => 0,
        }
    }

    /// Where a frame lies; the first has the index 0.
    pub fn frame(&self, index: u32) -> Option<FrameLocation> {
        let at = index as usize;
        match self {
            Self::Native {
                offset,
                frame_bits,
                count,
            } if index < *count => {
                let start = frame_bits.checked_mul(u64::from(index))?;
                let end = start.checked_add(*frame_bits)?;
                let (first, last) = (start / 8, end.div_ceil(8));
                let range = (offset.checked_add(first)?, last - first);
                Some(FrameLocation {
                    ranges: vec![range],
                    bit_offset: (start % 8) as u8,
                })
            }
            Self::Native { .. } | Self::Undetermined { .. } => None,
            Self::OnePerFragment(fragments) => locate(fragments, at, at + 1),
            Self::Grouped { fragments, first } => {
                let start = *first.get(at)? as usize;
                let end = first
                    .get(at + 1)
                    .map_or(fragments.len(), |next| *next as usize);
                locate(fragments, start, end)
            }
        }
    }

    /// A compact form to keep.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Native {
                offset,
                frame_bits,
                count,
            } => {
                out.push(0);
                varint::put(&mut out, *offset);
                varint::put(&mut out, *frame_bits);
                varint::put(&mut out, u64::from(*count));
            }
            Self::OnePerFragment(fragments) => {
                out.push(1);
                put_fragments(&mut out, fragments);
            }
            Self::Grouped { fragments, first } => {
                out.push(2);
                put_fragments(&mut out, fragments);
                varint::put(&mut out, first.len() as u64);
                let mut last = 0;
                for fragment in first {
                    varint::put(&mut out, u64::from(fragment - last));
                    last = *fragment;
                }
            }
            Self::Undetermined { fragments, count } => {
                out.push(3);
                put_fragments(&mut out, fragments);
                varint::put(&mut out, u64::from(*count));
            }
        }
        out
    }

    /// Reads the compact form. Nothing if it is none.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (kind, mut rest) = bytes.split_first()?;
        let rest = &mut rest;
        let index = match kind {
            0 => Self::Native {
                offset: varint::take(rest)?,
                frame_bits: varint::take(rest)?,
                count: varint::take(rest)?.try_into().ok()?,
            },
            1 => Self::OnePerFragment(take_fragments(rest)?),
            2 => {
                let fragments = take_fragments(rest)?;
                let mut last = 0u32;
                let steps = take_list(rest)?;
                let first = steps.into_iter().map(|step| {
                    last = last.checked_add(step)?;
                    Some(last)
                });
                let first: Option<Vec<u32>> = first.collect();
                Self::grouped(fragments, first?)?
            }
            3 => Self::Undetermined {
                fragments: take_fragments(rest)?,
                count: varint::take(rest)?.try_into().ok()?,
            },
            _ => return None,
        };
        rest.is_empty().then_some(index)
    }
}

fn locate(fragments: &FragmentTable, start: usize, end: usize) -> Option<FrameLocation> {
    let range = |at| {
        fragments
            .get(at)
            .map(|(offset, length)| (offset, u64::from(length)))
    };
    let ranges: Option<Vec<_>> = (start..end).map(range).collect();
    Some(FrameLocation {
        ranges: ranges?,
        bit_offset: 0,
    })
}

/// First fragments by the Extended Offset Table (PS3.3 C.7.6.3.1.8): 64-bit offsets that count
/// from the first fragment's item tag, a frame each.
fn extended_offsets(scanned: &Scanned, fragments: &FragmentTable, count: u32) -> Option<Vec<u32>> {
    let table = scanned.extended_offset_table.as_deref()?;
    if table.len() != (count as usize).checked_mul(8)? {
        return None;
    }
    first_fragments(
        table
            .as_chunks::<8>()
            .0
            .iter()
            .map(|it| u64::from_le_bytes(*it)),
        fragments,
    )
}

/// First fragments by the Basic Offset Table (PS3.5 A.4): 32-bit offsets.
fn basic_offsets(table: &[u8], fragments: &FragmentTable, count: u32) -> Option<Vec<u32>> {
    if table.len() != (count as usize).checked_mul(4)? {
        return None;
    }
    let offsets = table
        .as_chunks::<4>()
        .0
        .iter()
        .map(|it| u64::from(u32::from_le_bytes(*it)));
    first_fragments(offsets, fragments)
}

/// The fragments whose item tags are at these offsets, which must ascend.
fn first_fragments(
    offsets: impl Iterator<Item = u64>,
    fragments: &FragmentTable,
) -> Option<Vec<u32>> {
    let starts = fragments
        .iter()
        .map(|(offset, _)| offset - 8 - fragments.base());
    let mut starts = (0u32..).zip(starts);
    offsets
        .map(|offset| {
            starts
                .find(|(_, start)| *start >= offset)
                .filter(|it| it.1 == offset)
        })
        .map(|found| found.map(|(fragment, _)| fragment))
        .collect()
}

fn put_fragments(out: &mut Vec<u8>, fragments: &FragmentTable) {
    varint::put(out, fragments.base());
    varint::put(out, fragments.len() as u64);
    for length in fragments.lengths() {
        varint::put(out, u64::from(*length));
    }
}

fn take_fragments(bytes: &mut &[u8]) -> Option<FragmentTable> {
    let base = varint::take(bytes)?;
    Some(FragmentTable::new(base, take_list(bytes)?))
}

fn take_list(bytes: &mut &[u8]) -> Option<Vec<u32>> {
    let count = usize::try_from(varint::take(bytes)?).ok()?;
    // Each takes a byte at least, which bounds what is reserved.
    if count > bytes.len() {
        return None;
    }
    (0..count)
        .map(|_| varint::take(bytes)?.try_into().ok())
        .collect()
}
