//! Byte ranges (RFC 9110 §14; PS3.18 8.4.1 leaves them to HTTP).

/// A range of bytes that lies within the representation; never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteRange {
    /// Offset of the first byte.
    pub first: u64,
    /// Offset of the last byte.
    pub last: u64,
}

impl ByteRange {
    /// Number of bytes.
    pub fn length(self) -> u64 {
        self.last - self.first + 1
    }

    /// The value of Content-Range.
    pub fn content_range(self, length: u64) -> String {
        format!("bytes {}-{}/{length}", self.first, self.last)
    }
}

/// What a Range header field asks of a representation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// Everything: no range, or one that is to be ignored.
    Whole,
    /// 206: these, in the order asked for.
    Ranges(Vec<ByteRange>),
    /// 416: nothing of what was asked is there.
    Unsatisfiable,
}

/// Most ranges that are answered apart; a request for more gets the whole.
const RANGES_MAX: usize = 32;

/// Reads a Range header field for a representation of `length` bytes. What is malformed, in other
/// units, or asks for more bytes than there are is ignored, as RFC 9110 §14.2 allows, so that a
/// small request cannot make a large answer larger.
pub fn select(range: Option<&str>, length: u64) -> Selection {
    let Some(text) = range else {
        return Selection::Whole;
    };
    let Some((unit, specs)) = text.split_once('=') else {
        return Selection::Whole;
    };
    if !unit.trim().eq_ignore_ascii_case("bytes") || specs.split(',').count() > RANGES_MAX {
        return Selection::Whole;
    }
    let mut ranges = Vec::new();
    for spec in specs
        .split(',')
        .map(str::trim)
        .filter(|spec| !spec.is_empty())
    {
        match one(spec, length) {
            Some(Some(range)) => ranges.push(range),
            Some(None) => {}
            None => return Selection::Whole,
        }
    }
    if ranges.is_empty() {
        return Selection::Unsatisfiable;
    }
    let total = ranges
        .iter()
        .try_fold(0u64, |total, range| total.checked_add(range.length()));
    match total {
        Some(total) if total <= length => Selection::Ranges(ranges),
        _ => Selection::Whole,
    }
}

/// Outer `None`: malformed. Inner `None`: not satisfiable.
fn one(spec: &str, length: u64) -> Option<Option<ByteRange>> {
    let (first, last) = spec.split_once('-')?;
    let (first, last) = (first.trim(), last.trim());
    if first.is_empty() {
        let suffix = number(last)?;
        let is_satisfiable = suffix > 0 && length > 0;
        return Some(is_satisfiable.then(|| ByteRange {
            first: length.saturating_sub(suffix),
            last: length.saturating_sub(1),
        }));
    }
    let first = number(first)?;
    let last = if last.is_empty() {
        u64::MAX
    } else {
        number(last)?
    };
    if last < first {
        return None;
    }
    Some((first < length).then(|| ByteRange {
        first,
        last: last.min(length.saturating_sub(1)),
    }))
}

/// Digits only; more than fits counts as the largest number.
fn number(text: &str) -> Option<u64> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ranges(of: &[(u64, u64)]) -> Selection {
        Selection::Ranges(
            of.iter()
                .map(|&(first, last)| ByteRange { first, last })
                .collect(),
        )
    }

    #[test]
    fn more_than_the_whole_is_the_whole() {
        assert_eq!(select(Some("bytes=0-9,5-9"), 10), Selection::Whole);
        let all = "bytes=-18446744073709551615,0-9";
        assert_eq!(select(Some(all), u64::MAX), Selection::Whole);
    }

    #[test]
    fn ranges_are_read() {
        for (text, expect) in [
            ("bytes=0-9", ranges(&[(0, 9)])),
            ("Bytes = 0-0", ranges(&[(0, 0)])),
            ("bytes=90-", ranges(&[(90, 99)])),
            ("bytes=-10", ranges(&[(90, 99)])),
            ("bytes=-1000", ranges(&[(0, 99)])),
            ("bytes=95-200", ranges(&[(95, 99)])),
            ("bytes=0-1, 5-6,-1", ranges(&[(0, 1), (5, 6), (99, 99)])),
            ("bytes=0-1,100-", ranges(&[(0, 1)])),
            ("bytes=0-99999999999999999999999", ranges(&[(0, 99)])),
            ("bytes=100-", Selection::Unsatisfiable),
            ("bytes=-0", Selection::Unsatisfiable),
            ("bytes=", Selection::Unsatisfiable),
            ("bytes=5-4", Selection::Whole),
            ("bytes=a-b", Selection::Whole),
            ("bytes=5", Selection::Whole),
            ("lines=1-2", Selection::Whole),
            ("nonsense", Selection::Whole),
            ("bytes=0-99,0-99", Selection::Whole),
        ] {
            assert_eq!(select(Some(text), 100), expect, "{text}");
        }
        assert_eq!(select(None, 100), Selection::Whole);
        assert_eq!(select(Some("bytes=0-"), 0), Selection::Unsatisfiable);
        assert_eq!(
            select(Some(&format!("bytes={}", "0-0,".repeat(40))), 100),
            Selection::Whole
        );
        assert_eq!(
            ByteRange { first: 2, last: 4 }.content_range(9),
            "bytes 2-4/9"
        );
    }

    proptest! {
        #[test]
        fn what_is_selected_lies_within(text in "bytes=[0-9, -]{0,30}", length in 0u64..50) {
            if let Selection::Ranges(ranges) = select(Some(&text), length) {
                prop_assert!(!ranges.is_empty());
                prop_assert!(ranges.iter().all(|range| range.first <= range.last && range.last < length));
                prop_assert!(ranges.iter().map(|range| range.length()).sum::<u64>() <= length);
            }
        }
    }
}
