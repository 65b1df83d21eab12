//! Times as text (RFC 3339), in UTC.

const DAY_SECONDS: i64 = 86_400;

/// Microseconds since 1970 as `2026-11-22T08:00:00.000000Z`.
pub fn rfc3339(micros: i64) -> String {
    let seconds = micros.div_euclid(1_000_000);
    let fraction = micros.rem_euclid(1_000_000);
    let (year, month, day) = date_of(seconds.div_euclid(DAY_SECONDS));
    let second = seconds.rem_euclid(DAY_SECONDS);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{fraction:06}Z",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

/// Microseconds since 1970 of `2026-11-22`, `2026-11-22T08:00` or `2026-11-22T08:00:00.5+01:00`;
/// without a zone in UTC.
pub fn rfc3339_parse(text: &str) -> Option<i64> {
    if !text.is_ascii() {
        return None;
    }
    let number = |text: Option<&str>, max: i64| -> Option<i64> {
        let text = text?;
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number
            .then(|| text.parse().ok())
            .flatten()
            .filter(|number| *number <= max)
    };
    let (date, time) = match text.split_once(['T', ' ']) {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let mut parts = date.split('-');
    let year = number(parts.next().filter(|it| it.len() == 4), 9999)?;
    let month = number(parts.next().filter(|it| it.len() == 2), 12)?;
    let day = number(parts.next().filter(|it| it.len() == 2), 31)?;
    if month == 0 || day == 0 || parts.next().is_some() {
        return None;
    }
    let days = days_of(year, month, day);
    if date_of(days) != (year, month, day) {
        return None;
    }
    let mut micros = days * DAY_SECONDS * 1_000_000;
    let Some(time) = time else {
        return Some(micros);
    };
    let (time, offset_minutes) = split_zone(time, number)?;
    let (time, fraction) = match time.split_once('.') {
        Some((time, fraction)) => (time, Some(fraction)),
        None => (time, None),
    };
    let mut parts = time.split(':');
    let hour = number(parts.next().filter(|it| it.len() == 2), 23)?;
    let minute = number(parts.next().filter(|it| it.len() == 2), 59)?;
    let second = match parts.next() {
        None => 0,
        second => number(second.filter(|it| it.len() == 2), 60)?,
    };
    if parts.next().is_some() {
        return None;
    }
    if let Some(fraction) = fraction {
        let six: String = format!("{fraction:0<6}").chars().take(6).collect();
        number(Some(fraction), i64::MAX)?;
        micros += number(Some(&six), 999_999)?;
    }
    let seconds = hour * 3600 + (minute - offset_minutes) * 60 + second;
    Some(micros + seconds * 1_000_000)
}

/// Takes the zone off a time; the zone in minutes east.
fn split_zone(
    time: &str,
    number: impl Fn(Option<&str>, i64) -> Option<i64>,
) -> Option<(&str, i64)> {
    if let Some(time) = time.strip_suffix(['Z', 'z']) {
        return Some((time, 0));
    }
    let Some(at) = time.rfind(['+', '-']) else {
        return Some((time, 0));
    };
    let (time, zone) = time.split_at(at);
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let minutes = number(Some(hours), 23)? * 60 + number(Some(minutes), 59)?;
    Some((time, sign * minutes))
}

/// Year, month and day of a number of days since 1970-01-01 in the Gregorian calendar, with years
/// that begin in March so that the leap day is the last.
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * month + 2) / 5 + day - 1;
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
    era * 146_097 + of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_are_written_and_read() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(rfc3339(951_782_400_000_001), "2000-02-29T00:00:00.000001Z");
        assert_eq!(rfc3339(-1), "1969-12-31T23:59:59.999999Z");
        assert_eq!(rfc3339_parse("2000-02-29"), Some(951_782_400_000_000));
        assert_eq!(
            rfc3339_parse("2000-02-29T01:00+01:00"),
            Some(951_782_400_000_000)
        );
        assert_eq!(
            rfc3339_parse("2000-02-29 00:00:00.5"),
            Some(951_782_400_500_000)
        );
        for wrong in [
            "",
            "2000",
            "2000-02-30",
            "2001-02-29",
            "2000-13-01",
            "2000-02-29T25:00",
            "2000-02-29T1:00",
            "2000-02-29T01:00+1",
            "x",
            "2000-02-29T01:00:00.x",
            "é000-01-01",
        ] {
            assert_eq!(rfc3339_parse(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(micros in 0i64..253_402_300_799_000_000) {
            prop_assert_eq!(rfc3339_parse(&rfc3339(micros)), Some(micros));
        }

        #[test]
        fn nothing_from_outside_breaks_it(text in "\\PC{0,40}") {
            let _ = rfc3339_parse(&text);
        }
    }
}
