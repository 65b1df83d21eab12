//! Range matching (PS3.4 C.2.2.2.5).

use super::{
    DateTime, MICROS_PER_DAY, MICROS_PER_SECOND, Offset, moment, parse_da, parse_tm, start_of,
};

/// Why a text is no range of dates or times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// A bound is neither empty nor a value of the VR.
    #[error("a bound is no valid date or time")]
    Malformed,
    /// The first bound comes after the last; ranges do not cross midnight.
    #[error("the range ends before it begins")]
    Reversed,
}

/// Days from the first to the last, both as `yyyymmdd` and inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DaRange {
    /// The first day; 0 without a lower bound.
    pub first: u32,
    /// The last day; 99991231 without an upper bound.
    pub last: u32,
}

impl DaRange {
    /// All days.
    pub const ALL: Self = Self {
        first: 0,
        last: 99_991_231,
    };

    /// `<date>`, `<date>-<date>`, `-<date>` or `<date>-`; dates also as `yyyy.mm.dd`.
    pub fn parse(text: &str) -> Result<Self, RangeError> {
        let bounds = split(text)?;
        let bound = |text: &str| parse_da(text).ok_or(RangeError::Malformed);
        let (first, last) = match bounds {
            Bounds::One(value) => (bound(value)?, bound(value)?),
            Bounds::Two(first, last) => (
                if first.is_empty() {
                    Self::ALL.first
                } else {
                    bound(first)?
                },
                if last.is_empty() {
                    Self::ALL.last
                } else {
                    bound(last)?
                },
            ),
        };
        ordered(first, last).map(|(first, last)| Self { first, last })
    }

    /// Whether a date lies in it.
    pub fn contains(self, date: u32) -> bool {
        (self.first..=self.last).contains(&date)
    }
}

/// Times of a day from the first to the last, in microseconds after midnight, both inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TmRange {
    /// The first moment.
    pub first: u64,
    /// The last moment.
    pub last: u64,
}

impl TmRange {
    /// All day, with the leap second at its end.
    pub const ALL: Self = Self {
        first: 0,
        last: MICROS_PER_DAY + MICROS_PER_SECOND - 1,
    };

    /// `<time>`, `<time>-<time>`, `-<time>` or `<time>-`; each time with its own precision, so that
    /// `10-12` ends with the last moment before 13:00.
    pub fn parse(text: &str) -> Result<Self, RangeError> {
        let (first, last) = Self::bounds(text)?;
        ordered(first, last).map(|(first, last)| Self { first, last })
    }

    /// The bounds, which may be of different days.
    fn bounds(text: &str) -> Result<(u64, u64), RangeError> {
        let bound = |text: &str| parse_tm(text).ok_or(RangeError::Malformed);
        Ok(match split(text)? {
            Bounds::One(value) => (bound(value)?.first, bound(value)?.last),
            Bounds::Two(first, last) => (
                if first.is_empty() {
                    Self::ALL.first
                } else {
                    bound(first)?.first
                },
                if last.is_empty() {
                    Self::ALL.last
                } else {
                    bound(last)?.last
                },
            ),
        })
    }

    /// Whether a moment lies in it.
    pub fn contains(self, micros: u64) -> bool {
        (self.first..=self.last).contains(&micros)
    }
}

/// Moments from the first to the last, in microseconds since 1970-01-01 00:00 UTC, both inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DtRange {
    /// The first moment; `i64::MIN` without a lower bound.
    pub first: i64,
    /// The last moment; `i64::MAX` without an upper bound.
    pub last: i64,
}

impl DtRange {
    /// All time.
    pub const ALL: Self = Self {
        first: i64::MIN,
        last: i64::MAX,
    };

    /// `<datetime>`, `<datetime>-<datetime>`, `-<datetime>` or `<datetime>-`. `default` is the zone
    /// of bounds that name none.
    ///
    /// A hyphen before four digits is read as an offset where that makes sense (PS3.5 §6.2, VR DT): `2023-1200` is one year in a zone, `2023-2024` is two years.
    pub fn parse(text: &str, default: Offset) -> Result<Self, RangeError> {
        let text = text.trim_matches([' ', '\0']);
        if let Some(value) = DateTime::parse(text) {
            return Ok(value.in_utc(default));
        }
        let bound = |text: &str| match text.trim_matches(' ') {
            "" => Some(None),
            text => DateTime::parse(text).map(|value| Some(value.in_utc(default))),
        };
        for (at, _) in text.match_indices('-') {
            let (Some(first), Some(last)) = (text.get(..at), text.get(at + 1..)) else {
                continue;
            };
            if let (Some(first), Some(last)) = (bound(first), bound(last)) {
                if first.is_none() && last.is_none() {
                    return Err(RangeError::Malformed);
                }
                let first = first.map_or(Self::ALL.first, |range| range.first);
                let last = last.map_or(Self::ALL.last, |range| range.last);
                return ordered(first, last).map(|(first, last)| Self { first, last });
            }
        }
        Err(RangeError::Malformed)
    }

    /// Combined date-time matching (PS3.4 C.2.2.2.5): from the first time on the first day to the
    /// last time on the last day, all in one zone. The times may be in any order when the days are
    /// not the same.
    pub fn parse_combined(dates: &str, times: &str, zone: Offset) -> Result<Self, RangeError> {
        let dates = DaRange::parse(dates)?;
        let (first_time, last_time) = TmRange::bounds(times)?;
        let day_end = MICROS_PER_DAY - 1;
        let first = match dates.first {
            0 => Self::ALL.first,
            date => start_of(date)
                .saturating_add_unsigned(first_time.min(day_end))
                .saturating_sub(zone.micros()),
        };
        let last = match dates.last {
            99_991_231 => Self::ALL.last,
            date => start_of(date)
                .saturating_add_unsigned(last_time.min(day_end))
                .saturating_sub(zone.micros()),
        };
        ordered(first, last).map(|(first, last)| Self { first, last })
    }

    /// Whether a moment lies in it.
    pub fn contains(self, micros: i64) -> bool {
        (self.first..=self.last).contains(&micros)
    }
}

/// The moment of a date and a time in a zone, in microseconds since 1970 UTC.
pub fn instant(date: u32, micros: u64, zone: Offset) -> Option<i64> {
    start_of(date)
        .checked_add(moment(0, micros)?)?
        .checked_sub(zone.micros())
}

enum Bounds<'a> {
    One(&'a str),
    Two(&'a str, &'a str),
}

/// Cuts at the hyphen. A hyphen alone is no range.
fn split(text: &str) -> Result<Bounds<'_>, RangeError> {
    let text = text.trim_matches([' ', '\0']);
    match text.split_once('-') {
        None => Ok(Bounds::One(text)),
        Some((first, last)) => match (first.trim(), last.trim()) {
            ("", "") => Err(RangeError::Malformed),
            (first, last) => Ok(Bounds::Two(first, last)),
        },
    }
}

fn ordered<T: PartialOrd>(first: T, last: T) -> Result<(T, T), RangeError> {
    if first <= last {
        Ok((first, last))
    } else {
        Err(RangeError::Reversed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn da(text: &str) -> Result<(u32, u32), RangeError> {
        DaRange::parse(text).map(|range| (range.first, range.last))
    }

    #[test]
    fn date_ranges_are_closed_or_open_on_one_side() {
        assert_eq!(da("20260101"), Ok((20_260_101, 20_260_101)));
        assert_eq!(da("20260101-20260228"), Ok((20_260_101, 20_260_228)));
        assert_eq!(da("20260101 - 2026.02.28 "), Ok((20_260_101, 20_260_228)));
        assert_eq!(da("20260101-"), Ok((20_260_101, 99_991_231)));
        assert_eq!(da("-20260101"), Ok((0, 20_260_101)));
        assert_eq!(da("20260102-20260101"), Err(RangeError::Reversed));
        for text in [
            "-",
            "",
            "2026",
            "2026*",
            "20260101-20260102-20260103",
            "20260101\\20260102",
        ] {
            assert_eq!(da(text), Err(RangeError::Malformed), "{text}");
        }
    }

    #[test]
    fn time_ranges_end_with_the_precision_of_their_bound() {
        let hour = 3_600_000_000;
        let range = TmRange::parse("10-12").unwrap();
        assert_eq!((range.first, range.last), (10 * hour, 13 * hour - 1));
        assert!(range.contains(parse_tm("125959.999999").unwrap().first));
        assert!(!range.contains(parse_tm("130000").unwrap().first));
        assert_eq!(TmRange::parse("-1000").unwrap().first, 0);
        assert!(TmRange::parse("1000-").unwrap().contains(24 * hour));
        assert_eq!(TmRange::parse("22-02"), Err(RangeError::Reversed));
        assert_eq!(TmRange::parse("-"), Err(RangeError::Malformed));
    }

    fn dt(text: &str) -> Result<DtRange, RangeError> {
        DtRange::parse(text, Offset::UTC)
    }

    #[test]
    fn hyphens_of_date_times_are_offsets_or_ranges() {
        let year = |year: u32| start_of(year * 10_000 + 101);
        let between = |first, last| Ok(DtRange { first, last });
        assert_eq!(dt("2023-2024"), between(year(2023), year(2025) - 1));
        assert_eq!(dt("2023-"), between(year(2023), i64::MAX));
        assert_eq!(dt("-2023"), between(i64::MIN, year(2024) - 1));
        let hour = 3_600_000_000;
        assert_eq!(
            dt("2023-0500"),
            between(year(2023) + 5 * hour, year(2024) - 1 + 5 * hour)
        );
        assert_eq!(
            dt("2023-0500-2024-0500"),
            between(year(2023) + 5 * hour, year(2025) - 1 + 5 * hour)
        );
        assert_eq!(
            dt("2023+0100-2024"),
            between(year(2023) - hour, year(2025) - 1)
        );
        assert_eq!(dt("2023-0500-"), between(year(2023) + 5 * hour, i64::MAX));
        assert_eq!(dt("2024-2023"), Err(RangeError::Reversed));
        for text in ["", "-", "--", "2023-2024-2025", "x-2024", "2023*"] {
            assert_eq!(dt(text), Err(RangeError::Malformed), "{text}");
        }
        let zone = Offset::from_minutes(60).unwrap();
        assert_eq!(
            DtRange::parse("2023", zone).unwrap().first,
            year(2023) - hour
        );
    }

    #[test]
    fn combined_ranges_run_through_the_days_between() {
        let combined = |dates, times| DtRange::parse_combined(dates, times, Offset::UTC);
        let range = combined("20260101-20260103", "1000-1200").unwrap();
        let at = |date: &str, time: &str| {
            instant(
                parse_da(date).unwrap(),
                parse_tm(time).unwrap().first,
                Offset::UTC,
            )
            .unwrap()
        };
        assert!(range.contains(at("20260102", "2300")));
        assert!(!range.contains(at("20260101", "0959")));
        assert!(range.contains(at("20260103", "120059")));
        assert!(!range.contains(at("20260103", "1201")));
        let night = combined("20260101-20260102", "2200-0600").unwrap();
        assert!(night.contains(at("20260102", "0300")));
        assert!(!night.contains(at("20260102", "0700")));
        assert_eq!(combined("20260101", "2200-0600"), Err(RangeError::Reversed));
        assert_eq!(combined("20260101-", "10-").unwrap().last, i64::MAX);
        let zone = Offset::parse("+0100").unwrap();
        let east = DtRange::parse_combined("20260101", "10", zone).unwrap();
        assert_eq!(east.first, at("20260101", "09"));
    }

    proptest! {
        #[test]
        fn any_text_is_taken(text in "[0-9.:+\\- ]{0,40}|\\PC{0,12}") {
            if let Ok(range) = DaRange::parse(&text) {
                prop_assert!(range.first <= range.last);
            }
            if let Ok(range) = TmRange::parse(&text) {
                prop_assert!(range.first <= range.last);
            }
            if let Ok(range) = dt(&text) {
                prop_assert!(range.first <= range.last);
            }
        }
    }
}
