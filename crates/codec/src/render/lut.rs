//! Lookup tables: their descriptor, their data, and looking things up (PS3.3 C.11.1.1, C.7.6.3.1.5
//! and C.7.9.2).

use super::presentation::Lut;

/// The most entries a table can have.
const MAX_ENTRIES: usize = 65_536;

impl Lut {
    /// The entry for a value; values beyond the ends get the entry there.
    pub(super) fn entry(&self, value: f64) -> u16 {
        let place = (value.round() - self.first as f64).max(0.0) as usize;
        self.entries
            .get(place)
            .or(self.entries.last())
            .copied()
            .unwrap_or(0)
    }

    /// The entry for a value, as a fraction of the greatest possible.
    pub(super) fn fraction(&self, value: f64) -> f64 {
        (f64::from(self.entry(value)) / f64::from((1u32 << self.bits) - 1)).min(1.0)
    }

    /// The entry for a value in eight bits.
    pub(super) fn byte(&self, value: f64) -> u8 {
        (self.entry(value) >> self.bits.saturating_sub(8)).min(255) as u8
    }

    /// From the three values of a descriptor, the first mapped value already signed, and the data.
    /// Nothing when there is no entry.
    pub(super) fn new(descriptor: [i64; 3], data: &[u8]) -> Option<Self> {
        let [count, first, bits] = descriptor;
        let count = entries(count);
        let mut bits = u32::try_from(bits)
            .ok()
            .filter(|bits| (1..=16).contains(bits))
            .unwrap_or(16);
        // Eight bits may be packed, or each in a word of its own.
        let entries: Vec<u16> = if bits <= 8 && data.len() < count * 2 {
            data.iter()
                .take(count)
                .map(|byte| u16::from(*byte))
                .collect()
        } else {
            words(data).take(count).collect()
        };
        let greatest = *entries.iter().max()?;
        if u32::from(greatest) >= 1 << bits {
            // Some writers say 8 and mean the upper byte of 16.
            bits = 16;
        }
        Some(Self {
            first,
            bits,
            entries,
        })
    }

    /// From segmented data (PS3.3 C.7.9.2).
    pub(super) fn segmented(descriptor: [i64; 3], data: &[u8]) -> Option<Self> {
        let [count, first, bits] = descriptor;
        let count = entries(count);
        let as_words: Vec<u16> = words(data).collect();
        let as_bytes: Vec<u16> = data.iter().map(|byte| u16::from(*byte)).collect();
        let (cells, bits) = if bits <= 8 {
            (as_bytes, 8)
        } else {
            (as_words.clone(), 16)
        };
        let mut entries = expand(&cells, bits == 8, count);
        if entries.len() < count && bits == 8 {
            entries = expand(&as_words, false, count);
        }
        entries.truncate(count);
        let greatest = *entries.iter().max()?;
        let bits = if greatest > 255 { 16 } else { bits };
        Some(Self {
            first,
            bits,
            entries,
        })
    }
}

/// The first value of a descriptor: 0 stands for 65536.
fn entries(count: i64) -> usize {
    match count {
        1..=65_535 => count as usize,
        // Signed descriptors make counts above 32767 negative.
        -32_768..=-1 => (count + 65_536) as usize,
        _ => MAX_ENTRIES,
    }
}

fn words(data: &[u8]) -> impl Iterator<Item = u16> + '_ {
    data.as_chunks::<2>()
        .0
        .iter()
        .map(|word| u16::from_le_bytes(*word))
}

/// Expands segments up to `count` entries; stops where they make no sense.
fn expand(cells: &[u16], in_bytes: bool, count: usize) -> Vec<u16> {
    let mut expansion = Expansion {
        cells,
        in_bytes,
        count,
        out: Vec::new(),
    };
    let mut at = 0;
    while at < cells.len() && expansion.out.len() < count {
        match expansion.segment(at, true) {
            Some(next) => at = next,
            None => break,
        }
    }
    expansion.out
}

struct Expansion<'a> {
    cells: &'a [u16],
    in_bytes: bool,
    count: usize,
    out: Vec<u16>,
}

impl Expansion<'_> {
    /// Expands the segment at `at`; where the next one is.
    fn segment(&mut self, at: usize, may_refer: bool) -> Option<usize> {
        let opcode = *self.cells.get(at)?;
        let length = usize::from(*self.cells.get(at + 1)?);
        let body = at + 2;
        match opcode {
            0 => {
                let values = self.cells.get(body..body + length)?;
                let room = self.count.saturating_sub(self.out.len());
                self.out.extend(values.iter().take(room));
                Some(body + length)
            }
            1 => {
                let end = f64::from(*self.cells.get(body)?);
                let start = f64::from(*self.out.last()?);
                for step in 1..=length.min(self.count.saturating_sub(self.out.len())) {
                    let value = start + (end - start) * step as f64 / length as f64;
                    self.out.push(value.round() as u16);
                }
                Some(body + 1)
            }
            // The segments from an offset on, again. They may not refer further.
            2 if may_refer => {
                let width = if self.in_bytes { 4 } else { 2 };
                let unit = if self.in_bytes { 8 } else { 16 };
                let parts = self.cells.get(body..body + width)?;
                let offset = parts
                    .iter()
                    .rev()
                    .fold(0u64, |all, part| all << unit | u64::from(*part));
                // The offset counts bytes.
                let mut from = usize::try_from(offset).ok()? / if self.in_bytes { 1 } else { 2 };
                for _ in 0..length {
                    from = self.segment(from, false)?;
                }
                Some(body + width)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_beyond_the_ends_get_the_entry_there() {
        let lut = Lut::new([3, -1, 16], &[1, 0, 2, 0, 0xff, 0xff]).unwrap();
        let found = [-5.0, -1.0, 0.0, 0.4, 1.0, 99.0].map(|value| lut.entry(value));
        assert_eq!(found, [1, 1, 2, 2, 65_535, 65_535]);
        assert_eq!(lut.fraction(9.0), 1.0);
        assert_eq!(lut.byte(9.0), 255);
    }

    #[test]
    fn entries_of_eight_bits_come_packed_or_not() {
        let packed = Lut::new([4, 0, 8], &[1, 2, 3, 255]).unwrap();
        let apart = Lut::new([4, 0, 8], &[1, 0, 2, 0, 3, 0, 255, 0]).unwrap();
        assert_eq!(packed, apart);
        let upper = Lut::new([2, 0, 8], &[0, 1, 0, 255]).unwrap();
        assert_eq!(upper.byte(1.0), 255);
        assert_eq!(Lut::new([0, 0, 16], &[]), None);
    }

    #[test]
    fn a_count_of_zero_means_all() {
        let data = vec![7; 2 * MAX_ENTRIES];
        assert_eq!(
            Lut::new([0, 0, 16], &data).unwrap().entries.len(),
            MAX_ENTRIES
        );
        assert_eq!(entries(-1), 65_535);
    }

    #[test]
    fn segments_expand() {
        // Discrete 10, 20; linear over 4 to 60; the first segment again.
        let cells: [u16; 12] = [0, 2, 10, 20, 1, 4, 60, 2, 1, 0, 0, 0];
        let data: Vec<u8> = cells.iter().flat_map(|cell| cell.to_le_bytes()).collect();
        let lut = Lut::segmented([8, 0, 16], &data).unwrap();
        assert_eq!(lut.entries, [10, 20, 30, 40, 50, 60, 10, 20]);
        let bytes = [0, 2, 10, 20, 1, 2, 60, 2, 1, 0, 0, 0, 0];
        let lut = Lut::segmented([6, 0, 8], &bytes).unwrap();
        assert_eq!(lut.entries, [10, 20, 40, 60, 10, 20]);
    }

    #[test]
    fn segments_that_refer_to_themselves_end() {
        let cells: [u16; 8] = [0, 1, 5, 2, 60_000, 6, 0, 0];
        let data: Vec<u8> = cells.iter().flat_map(|cell| cell.to_le_bytes()).collect();
        let lut = Lut::segmented([100, 0, 16], &data).unwrap();
        assert_eq!(lut.entries, [5]);
    }
}
