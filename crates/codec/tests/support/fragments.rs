//! Which fragments make a frame (PS3.5 A.4, PS3.3 C.7.6.3.1.8).

use std::ops::Range;

type Result<T> = std::result::Result<T, String>;

/// What an encapsulated value is made of, as far as it has to be known to find its frames.
#[derive(Debug, Clone, Copy)]
pub struct Fragmented<'a> {
    /// Number of Frames.
    pub frames: u32,
    /// Length of each fragment's value, without the Basic Offset Table.
    pub lengths: &'a [u64],
    /// Value of the Basic Offset Table item; may be empty.
    pub basic_offsets: &'a [u8],
    /// Extended Offset Table (7FE0,0001).
    pub extended_offsets: Option<&'a [u8]>,
}

impl Fragmented<'_> {
    /// For each frame the fragments it consists of. `first_bytes` gives the beginning of a
    /// fragment, a dozen bytes of it; it is asked only when counts and tables do not tell.
    ///
    /// Tables are used only where each of their offsets is the start of a fragment: wrong ones
    /// are common, and one that merely begins right would cut the wrong bytes out.
    pub fn frames(
        &self,
        mut first_bytes: impl FnMut(usize) -> Option<Vec<u8>>,
    ) -> Result<Vec<Range<usize>>> {
        let (frames, fragments) = (self.frames as usize, self.lengths.len());
        if fragments == 0 || frames == 0 || fragments < frames {
            return Err(format!("{fragments} fragments for {frames} frames"));
        }
        if frames == 1 {
            return Ok(std::iter::once(0..fragments).collect());
        }
        if frames == fragments {
            return Ok((0..frames).map(|at| at..at + 1).collect());
        }
        let extended = self
            .extended_offsets
            .map(|table| offsets::<8>(table, u64::from_le_bytes));
        let basic = offsets::<4>(self.basic_offsets, |bytes| u32::from_le_bytes(bytes).into());
        for table in extended.into_iter().chain([basic]) {
            if let Some(starts) = self.starts(&table) {
                return Ok(ranges(&starts, fragments));
            }
        }
        let starts: Vec<usize> = (0..fragments)
            .filter(|at| first_bytes(*at).is_some_and(|bytes| begins_a_stream(&bytes)))
            .collect();
        if starts.len() == frames && starts.first() == Some(&0) {
            return Ok(ranges(&starts, fragments));
        }
        Err(format!(
            "{fragments} fragments for {frames} frames, and nothing tells them apart"
        ))
    }

    /// The fragments a table's offsets point at, when it is a good one.
    fn starts(&self, offsets: &[u64]) -> Option<Vec<usize>> {
        if offsets.len() != self.frames as usize || offsets.first() != Some(&0) {
            return None;
        }
        let mut starts = Vec::with_capacity(offsets.len());
        let mut wanted = offsets.iter().peekable();
        let mut place = 0u64;
        for (at, length) in self.lengths.iter().enumerate() {
            if wanted.next_if_eq(&&place).is_some() {
                starts.push(at);
            }
            // Each fragment has the tag and the length of its item before it.
            place = place.checked_add(8)?.checked_add(*length)?;
        }
        wanted.next().is_none().then_some(starts)
    }
}

fn offsets<const N: usize>(table: &[u8], number: impl Fn([u8; N]) -> u64) -> Vec<u64> {
    table
        .as_chunks::<N>()
        .0
        .iter()
        .map(|bytes| number(*bytes))
        .collect()
}

fn ranges(starts: &[usize], end: usize) -> Vec<Range<usize>> {
    let ends = starts.iter().skip(1).copied().chain([end]);
    starts
        .iter()
        .copied()
        .zip(ends)
        .map(|(start, end)| start..end)
        .collect()
}

/// Whether the bytes are the first ones of a JPEG, JPEG-LS, JPEG 2000 or JPEG XL stream.
fn begins_a_stream(bytes: &[u8]) -> bool {
    const STARTS: [&[u8]; 5] = [
        &[0xff, 0xd8, 0xff],
        &[0xff, 0x4f, 0xff, 0x51],
        &[0, 0, 0, 12, b'j', b'P', b' ', b' '],
        &[0xff, 0x0a],
        &[0, 0, 0, 12, b'J', b'X', b'L', b' '],
    ];
    STARTS.iter().any(|start| bytes.starts_with(start))
}
