//! The fragments of encapsulated pixel data (PS3.5 A.4).

/// Where the fragments lie. They follow one another, each behind the 8 bytes of its item tag
/// and length, so that the lengths tell all offsets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FragmentTable {
    /// Offset of the first fragment's item tag, which offset tables count from.
    base: u64,
    lengths: Vec<u32>,
    /// Offset of the item tag of every [`STRIDE`]th fragment, so that one is found without
    /// adding up all lengths before it.
    checkpoints: Vec<u64>,
    /// Offset of the item tag that the next fragment would have.
    end: u64,
}

const STRIDE: usize = 64;

impl FragmentTable {
    /// The table of fragments with these lengths, the first of which has its item tag at `base`.
    pub fn new(base: u64, lengths: impl IntoIterator<Item = u32>) -> Self {
        let mut table = Self::default();
        table.set_base(base);
        lengths.into_iter().for_each(|length| table.push(length));
        table
    }

    pub(super) fn set_base(&mut self, base: u64) {
        self.base = base;
        self.end = base;
    }

    pub(super) fn push(&mut self, length: u32) {
        if self.lengths.len().is_multiple_of(STRIDE) {
            self.checkpoints.push(self.end);
        }
        self.lengths.push(length);
        self.end = self.end.saturating_add(8 + u64::from(length));
    }

    /// Offset of the first fragment's item tag.
    pub fn base(&self) -> u64 {
        self.base
    }

    /// Lengths of the fragments.
    pub fn lengths(&self) -> &[u32] {
        &self.lengths
    }

    /// The number of fragments.
    pub fn len(&self) -> usize {
        self.lengths.len()
    }

    /// Whether there is no fragment.
    pub fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// Offset and length of one fragment's bytes, without item tag and length.
    pub fn get(&self, index: usize) -> Option<(u64, u32)> {
        let length = *self.lengths.get(index)?;
        let start = *self.checkpoints.get(index / STRIDE)?;
        let before = self.lengths.get(index / STRIDE * STRIDE..index)?;
        let before: u64 = before.iter().map(|length| 8 + u64::from(*length)).sum();
        Some((start.saturating_add(before + 8), length))
    }

    /// Offset and length of each fragment's bytes, without item tag and length.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u32)> {
        let mut next = self.base;
        self.lengths.iter().map(move |length| {
            let offset = next.saturating_add(8);
            next = offset.saturating_add(u64::from(*length));
            (offset, *length)
        })
    }
}
