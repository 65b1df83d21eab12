//! What a data set may cost (its sender decides its lengths, depths and counts).

/// Bounds on a data set that is read into memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Deepest nesting of sequences.
    pub depth_max: usize,
    /// Most elements and items, over all levels. In memory each costs about 80 bytes.
    pub elements_max: usize,
    /// Longest single value.
    pub value_bytes_max: u64,
}

impl Limits {
    /// Deepest nesting that any part of this crate accepts: recursion is bounded by it.
    pub const DEPTH_CEILING: usize = 128;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            depth_max: 64,
            elements_max: 1 << 20,
            value_bytes_max: u32::MAX as u64,
        }
    }
}
