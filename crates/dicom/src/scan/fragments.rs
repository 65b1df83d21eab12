//! The fragments of encapsulated pixel data (PS3.5 A.4).

/// Where the fragments lie. They follow one another, each behind the 8 bytes of its item tag
/// and length, so that the lengths tell all offsets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FragmentTable {
    /// Offset of the first fragment's item tag, which offset tables count from.
    base: u64,
    lengths: Vec<u32>,
}

impl FragmentTable {
    pub(super) fn set_base(&mut self, base: u64) {
        self.base = base;
    }

    pub(super) fn push(&mut self, length: u32) {
        self.lengths.push(length);
    }

    /// The table of fragments with these lengths, the first of which has its item tag at `base`.
    pub fn new(base: u64, lengths: Vec<u32>) -> Self {
        Self { base, lengths }
    }

    /// Offset of the first fragment's item tag.
    pub fn base(&self) -> u64 {
        self.base
    }

    /// The number of fragments.
    pub fn len(&self) -> usize {
        self.lengths.len()
    }

    /// Whether there is no fragment.
    pub fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// Offset and length of each fragment's bytes, without item tag and length.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u32)> {
        let mut next = self.base;
        self.lengths.iter().map(move |length| {
            let offset = next + 8;
            next = offset + u64::from(*length);
            (offset, *length)
        })
    }
}
