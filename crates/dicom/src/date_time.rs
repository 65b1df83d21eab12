//! Dates and times (PS3.5 §6.2, VRs DA, TM, DT) and the ranges that queries make of them
//! (PS3.4 C.2.2.2.5), as closed intervals of integers.
//!
//! A value may leave out its last components. It then stands for the interval of all moments that
//! begin with what it says: `10` as a time is 10:00:00 to 10:59:59.999999.

mod range;

pub use range::{DaRange, DtRange, RangeError, TmRange, instant};

const MICROS_PER_SECOND: u64 = 1_000_000;
const MICROS_PER_MINUTE: u64 = 60 * MICROS_PER_SECOND;
const MICROS_PER_HOUR: u64 = 60 * MICROS_PER_MINUTE;
/// Microseconds of a day.
pub const MICROS_PER_DAY: u64 = 24 * MICROS_PER_HOUR;

/// A date as the decimal number `yyyymmdd`: dates in order are numbers in order.
///
/// Also takes the form `yyyy.mm.dd` of ACR-NEMA. `None` for anything that is no day of the
/// Gregorian calendar.
pub fn parse_da(text: &str) -> Option<u32> {
    let digits: [u8; 8] = match text.trim_matches([' ', '\0']).as_bytes() {
        [y0, y1, y2, y3, b'.', m0, m1, b'.', d0, d1] => [*y0, *y1, *y2, *y3, *m0, *m1, *d0, *d1],
        other => other.try_into().ok()?,
    };
    let [y0, y1, y2, y3, m0, m1, d0, d1] = digits;
    let (year, month, day) = (
        number(&[y0, y1, y2, y3])?,
        number(&[m0, m1])?,
        number(&[d0, d1])?,
    );
    is_day(year, month, day).then_some(year * 10_000 + month * 100 + day)
}

/// The moments of a day that a time stands for, in microseconds after midnight, both inclusive.
///
/// Also takes the form `hh:mm:ss` of ACR-NEMA. A leap second lies after the 59th second of its
/// minute, so that 23:59:60 is more than [`MICROS_PER_DAY`].
pub fn parse_tm(text: &str) -> Option<TmRange> {
    let text = text.trim_matches([' ', '\0']);
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (text, None),
    };
    let buffer: [u8; 6];
    let digits = match whole.as_bytes() {
        [h0, h1, b':', m0, m1] => {
            buffer = [*h0, *h1, *m0, *m1, b'0', b'0'];
            buffer.get(..4)?
        }
        [h0, h1, b':', m0, m1, b':', s0, s1] => {
            buffer = [*h0, *h1, *m0, *m1, *s0, *s1];
            &buffer
        }
        other => other,
    };
    let (hour, minute, second) = match digits {
        [h0, h1] => (number(&[*h0, *h1])?, None, None),
        [h0, h1, m0, m1] => (number(&[*h0, *h1])?, Some(number(&[*m0, *m1])?), None),
        [h0, h1, m0, m1, s0, s1] => (
            number(&[*h0, *h1])?,
            Some(number(&[*m0, *m1])?),
            Some(number(&[*s0, *s1])?),
        ),
        _ => return None,
    };
    if hour > 23 || minute.is_some_and(|minute| minute > 59) || second.is_some_and(|s| s > 60) {
        return None;
    }
    let mut first = u64::from(hour) * MICROS_PER_HOUR;
    let mut length = MICROS_PER_HOUR;
    if let Some(minute) = minute {
        first += u64::from(minute) * MICROS_PER_MINUTE;
        length = MICROS_PER_MINUTE;
    }
    if let Some(second) = second {
        first += u64::from(second) * MICROS_PER_SECOND;
        length = MICROS_PER_SECOND;
    }
    if let Some(fraction) = fraction {
        second?;
        let (micros, unit) = parse_fraction(fraction)?;
        first += micros;
        length = unit;
    }
    Some(TmRange {
        first,
        last: first + length - 1,
    })
}

/// One to six digits after the point: microseconds, and what one of the last digit is worth.
fn parse_fraction(digits: &str) -> Option<(u64, u64)> {
    // Some senders give more digits than the standard's six.
    let digits = digits.as_bytes();
    let used = digits.get(..digits.len().min(6))?;
    if used.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let unit = 10u64.pow(6 - u32::try_from(used.len()).ok()?);
    Some((u64::from(number(used)?) * unit, unit))
}

/// The moments a date-time stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DateTime {
    /// First moment, in microseconds from 1970-01-01 00:00 of the value's own zone.
    pub first: i64,
    /// Last moment, likewise.
    pub last: i64,
    /// What the value says about its zone.
    pub offset: Option<Offset>,
}

impl DateTime {
    /// `YYYYMMDDHHMMSS.FFFFFF&ZZXX`, of which all but the year may be left out from the right, and
    /// the offset (PS3.5 §6.2, VR DT).
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim_matches([' ', '\0']);
        let (text, offset) = match text.find(['+', '-']) {
            Some(at) => {
                let (text, offset) = text.split_at_checked(at)?;
                (text, Some(Offset::parse(offset)?))
            }
            None => (text, None),
        };
        let digits = text.as_bytes();
        let part = |from: usize, to: usize| match digits.get(from..to) {
            Some(part) => number(part).map(Some),
            None if digits.len() <= from => Some(None),
            None => None,
        };
        let year = part(0, 4)??;
        let month = part(4, 6)?;
        let day = part(6, 8)?;
        if !is_day(year, month.unwrap_or(1), day.unwrap_or(1)) {
            return None;
        }
        let days = days_from_1970(year, month.unwrap_or(1), day.unwrap_or(1));
        let (start, end) = match (month, day) {
            (Some(_), Some(_)) => (days, days),
            (Some(12), None) => (days, days_from_1970(year, 12, 31)),
            (Some(month), None) => (days, days_from_1970(year, month + 1, 1) - 1),
            (None, _) => (days, days_from_1970(year, 12, 31)),
        };
        let time = text
            .get(8..)
            .filter(|time| !time.is_empty() && !time.contains(':'));
        let time = match time {
            Some(time) => parse_tm(time)?,
            None if digits.len() <= 8 => TmRange {
                first: 0,
                last: MICROS_PER_DAY - 1,
            },
            None => return None,
        };
        Some(Self {
            first: moment(start, time.first)?,
            last: moment(end, time.last)?,
            offset,
        })
    }

    /// The moments in UTC, with the zone of values that name none.
    pub fn in_utc(self, default: Offset) -> DtRange {
        let shift = self.offset.unwrap_or(default).micros();
        DtRange {
            first: self.first - shift,
            last: self.last - shift,
        }
    }
}

/// Microseconds since 1970 of a time on a day.
fn moment(days: i64, micros: u64) -> Option<i64> {
    let day = i64::try_from(MICROS_PER_DAY).ok()?;
    days.checked_mul(day)?
        .checked_add(i64::try_from(micros).ok()?)
}

/// How far local time is ahead of UTC: Timezone Offset From UTC (0008,0201) and the end of a DT.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Offset {
    /// Minutes; negative west of Greenwich.
    minutes: i16,
}

impl Offset {
    /// Coordinated Universal Time itself.
    pub const UTC: Self = Self { minutes: 0 };

    /// `&ZZXX`: a sign, hours and minutes, from -1200 to +1400 (PS3.5 §6.2, VR DT).
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim_matches([' ', '\0']);
        let (sign, digits) = match text.split_at_checked(1)? {
            ("+", digits) => (1, digits),
            ("-", digits) => (-1, digits),
            _ => return None,
        };
        let [h0, h1, m0, m1] = digits.as_bytes().try_into().ok()?;
        let (hours, minutes) = (number(&[h0, h1])?, number(&[m0, m1])?);
        if minutes > 59 {
            return None;
        }
        Self::from_minutes(sign * i16::try_from(hours * 60 + minutes).ok()?)
    }

    /// An offset in minutes, from -12 to +14 hours.
    pub fn from_minutes(minutes: i16) -> Option<Self> {
        (-12 * 60..=14 * 60)
            .contains(&minutes)
            .then_some(Self { minutes })
    }

    /// Minutes ahead of UTC.
    pub fn minutes(self) -> i16 {
        self.minutes
    }

    fn micros(self) -> i64 {
        i64::from(self.minutes) * 60_000_000
    }
}

impl std::fmt::Display for Offset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = if self.minutes < 0 { '-' } else { '+' };
        let minutes = self.minutes.unsigned_abs();
        write!(f, "{sign}{:02}{:02}", minutes / 60, minutes % 60)
    }
}

/// The number that ASCII digits write.
fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0u32, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| u32::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

fn is_day(year: u32, month: u32, day: u32) -> bool {
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        1..=12 => 31,
        _ => 0,
    };
    (1..=days).contains(&day)
}

fn is_leap(year: u32) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

/// Days from 1970-01-01 in the Gregorian calendar, continued to before its time.
fn days_from_1970(year: u32, month: u32, day: u32) -> i64 {
    // Years that begin in March have the leap day at their end.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year.wrapping_sub(1), month + 9)
    };
    let year = i64::from(year.cast_signed());
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let day_of_year = i64::from((153 * month + 2) / 5 + day - 1);
    year * 365 + leap_days + day_of_year - 719_468
}

/// Midnight that begins a date `yyyymmdd`, in microseconds since 1970.
fn start_of(date: u32) -> i64 {
    let days = days_from_1970(date / 10_000, date / 100 % 100, date % 100);
    moment(days, 0).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn dates_are_days_of_the_calendar() {
        assert_eq!(parse_da("20260101"), Some(20_260_101));
        assert_eq!(parse_da("2026.01.31 "), Some(20_260_131));
        assert_eq!(parse_da("20240229"), Some(20_240_229));
        assert_eq!(parse_da("20000229"), Some(20_000_229));
        for text in [
            "",
            "2026",
            "20260132",
            "20261301",
            "20260229",
            "19000229",
            "2026-01-01",
            "2026010x",
            "00000000",
            "202601010",
            "２０２６",
        ] {
            assert_eq!(parse_da(text), None, "{text}");
        }
    }

    #[test]
    fn times_stand_for_all_they_leave_open() {
        let hour = MICROS_PER_HOUR;
        assert_eq!(
            parse_tm("10"),
            Some(TmRange {
                first: 10 * hour,
                last: 11 * hour - 1
            })
        );
        let minute = parse_tm("1030").unwrap();
        assert_eq!((minute.last - minute.first + 1), MICROS_PER_MINUTE);
        let second = parse_tm("103015").unwrap();
        assert_eq!(
            second.first,
            10 * hour + 30 * MICROS_PER_MINUTE + 15 * MICROS_PER_SECOND
        );
        assert_eq!(second.last, second.first + 999_999);
        assert_eq!(parse_tm("103015.1").unwrap().last, second.first + 199_999);
        let exact = parse_tm("103015.000001").unwrap();
        assert_eq!(
            (exact.first, exact.last),
            (second.first + 1, second.first + 1)
        );
        assert_eq!(parse_tm("10:30:15 "), Some(second));
        assert_eq!(parse_tm("10:30"), Some(minute));
        assert!(parse_tm("235960").is_some());
        for text in [
            "", "1", "24", "1060", "103061", "10.5", "103015.", "1030151", "10301５", "ab",
        ] {
            assert_eq!(parse_tm(text), None, "{text}");
        }
    }

    fn utc(text: &str) -> Option<(i64, i64)> {
        DateTime::parse(text)
            .map(|value| value.in_utc(Offset::UTC))
            .map(|range| (range.first, range.last))
    }

    #[test]
    fn date_times_honour_their_offset() {
        let day = MICROS_PER_DAY.cast_signed();
        assert_eq!(utc("19700101"), Some((0, day - 1)));
        assert_eq!(utc("1970"), Some((0, 365 * day - 1)));
        assert_eq!(utc("197001"), Some((0, 31 * day - 1)));
        assert_eq!(utc("196912"), Some((-31 * day, -1)));
        assert_eq!(utc("19700101000000.000000"), Some((0, 0)));
        assert_eq!(utc("19700101010000.000000+0100"), Some((0, 0)));
        assert_eq!(utc("19691231190000.000000-0500"), Some((0, 0)));
        assert_eq!(
            utc("20000301000000.000000"),
            Some((951_868_800_000_000, 951_868_800_000_000))
        );
        let local = DateTime::parse("19700101020000.000000").unwrap();
        assert_eq!(local.in_utc(Offset::from_minutes(120).unwrap()).first, 0);
        for text in [
            "",
            "197",
            "19701",
            "19701301",
            "1970010",
            "19700101+1",
            "19700101+2000",
            "1970010100:00",
            "19700230",
        ] {
            assert_eq!(utc(text), None, "{text}");
        }
    }

    #[test]
    fn offsets_are_bounded() {
        assert_eq!(Offset::parse("+0530 ").map(Offset::minutes), Some(330));
        assert_eq!(Offset::parse("-1200").unwrap().to_string(), "-1200");
        for text in ["0530", "+530", "+1401", "-1201", "+0060", "", "+05:30"] {
            assert_eq!(Offset::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn days_follow_each_other(days in 0i64..80_000) {
            // Counting up day by day from 1900 must agree with the formula.
            let (mut year, mut left) = (1900u32, days);
            loop {
                let length = if is_leap(year) { 366 } else { 365 };
                if left < length { break; }
                left -= length;
                year += 1;
            }
            let mut month = 1;
            loop {
                let length = (28..=31).rev().find(|day| is_day(year, month, *day)).unwrap();
                if left < i64::from(length) { break; }
                left -= i64::from(length);
                month += 1;
            }
            let day = u32::try_from(left).unwrap() + 1;
            prop_assert_eq!(days_from_1970(year, month, day), days - 25_567);
        }

        #[test]
        fn any_text_is_taken(text in "[0-9.:+\\- ]{0,30}|\\PC{0,12}") {
            parse_da(&text);
            if let Some(range) = parse_tm(&text) {
                prop_assert!(range.first <= range.last);
            }
            if let Some(value) = DateTime::parse(&text) {
                prop_assert!(value.first <= value.last);
            }
            let _ = Offset::parse(&text);
        }
    }
}
