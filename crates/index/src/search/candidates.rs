//! The studies (or patients) that a query looks at, and their order.

use super::probe::Probe;
use crate::error::Result;
use crate::permit::Filter;
use crate::query::{Cursor, Order, Query};
use gantry_core::level::Level;
use gantry_dicom::date_time::{DaRange, DtRange, MICROS_PER_DAY};
use gantry_dicom::matching::{Key, Matcher};
use gantry_dicom::tags;
use rusqlite::{Connection, OptionalExtension, params};

/// Most candidates that are collected; where an index finds more, reading along is as good.
const COLLECTED_MAX: usize = 10_000;
/// So few candidates that no other index is asked.
const FEW: usize = 200;

/// What is looked at, in order.
#[derive(Debug)]
pub(super) enum Candidates {
    /// These.
    Collected(std::vec::IntoIter<Place>),
    /// All in the order of arrival, or those of a modality, behind the place.
    ById {
        modality: Option<String>,
        after: Option<i64>,
    },
    /// Those with an access key, in the order of arrival, behind the place.
    ByAccess { key: String, after: Option<i64> },
    /// Those with an access key, in the reverse order of arrival, before the place.
    ByAccessDescending { key: String, before: Option<i64> },
    /// All in the reverse order of arrival, before the place.
    ByIdDescending { before: Option<i64> },
    /// Those with a study date in the range, by date, behind the place.
    ByDate {
        range: DaRange,
        after: Option<Place>,
    },
}

/// A study's place in the order: its date where the order is by date, and its id.
pub(super) type Place = (u32, i64);

impl Candidates {
    /// Finds the best way to what can match.
    pub fn find(
        connection: &Connection,
        query: &Query,
        keys: &[Key],
        filter: &Filter<'_>,
    ) -> Result<Self> {
        let level = query.level.min(Level::Study);
        let dates = date_range(query);
        let after = query.after.as_ref().map(place_of);
        let collected = collect(connection, keys, level, filter)?;
        let collected = match (collected, dates) {
            // Reading along the dates is better where they are fewer.
            (Some(ids), Some(range)) if !are_more(connection, range, ids.len())? => None,
            (collected, _) => collected,
        };
        if let Some(ids) = collected {
            let places = in_order(connection, ids, query.order, dates.is_some())?;
            let is_ahead = |place: &Place| match (after, query.order) {
                (None, _) => true,
                (Some(after), Order::Standard) => *place >= after,
                (Some(after), Order::NewestFirst) => *place <= after,
            };
            let ahead: Vec<Place> = places.into_iter().filter(is_ahead).collect();
            return Ok(Self::Collected(ahead.into_iter()));
        }
        Ok(match (query.order, dates) {
            (Order::NewestFirst, _) => {
                let before = after.map(|(_, id)| id);
                match access_key(filter, level) {
                    Some(key) => Self::ByAccessDescending { key, before },
                    None => Self::ByIdDescending { before },
                }
            }
            (Order::Standard, Some(range)) => Self::ByDate { range, after },
            (Order::Standard, None) => {
                let after = after.map(|(_, id)| id);
                match (modality(keys), access_key(filter, level)) {
                    (None, Some(key)) => Self::ByAccess { key, after },
                    (modality, _) => Self::ById { modality, after },
                }
            }
        })
    }
}

/// The place from which to go on: that of the cursor's study, which may have more matches below.
fn place_of(cursor: &Cursor) -> Place {
    (cursor.date, cursor.study)
}

/// The study dates that can match, when the order is by them.
pub(super) fn date_range(query: &Query) -> Option<DaRange> {
    if query.order != Order::Standard || query.level == Level::Patient {
        return None;
    }
    query.keys.iter().find_map(|key| match key {
        Key::Attribute {
            tag: tags::STUDY_DATE,
            matcher: Matcher::DateRange(range),
        } => Some(*range),
        Key::DateAndTime {
            date: tags::STUDY_DATE,
            range,
            ..
        } => Some(dates_around(*range)),
        _ => None,
    })
}

/// The dates on which a moment of the range can be, whatever the zone.
fn dates_around(range: DtRange) -> DaRange {
    let date = |micros: i64, days: i64| {
        let day = i64::try_from(MICROS_PER_DAY).unwrap_or(i64::MAX);
        date_of(micros.div_euclid(day).saturating_add(days))
    };
    DaRange {
        first: date(range.first, -1),
        last: date(range.last, 1),
    }
}

/// The date `yyyymmdd` of a number of days since 1970-01-01; those outside of the years that a
/// date can have become the first or the last.
fn date_of(days: i64) -> u32 {
    // Civil calendar from days, with years that begin in March (the inverse of what
    // gantry_dicom::date_time does).
    let Some(days) = days.checked_add(719_468).filter(|days| *days >= 0) else {
        return DaRange::ALL.first;
    };
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, next_year) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    let year = era * 400 + year_of_era + next_year;
    let date = year
        .saturating_mul(10_000)
        .saturating_add(month * 100 + day);
    u32::try_from(date)
        .unwrap_or(DaRange::ALL.last)
        .min(DaRange::ALL.last)
}

/// Whether there are more studies than `count` in a range of dates.
fn are_more(connection: &Connection, range: DaRange, count: usize) -> Result<bool> {
    let mut statement = connection.prepare_cached(
        "SELECT 1 FROM study WHERE study_date BETWEEN ?1 AND ?2 LIMIT 1 OFFSET ?3",
    )?;
    Ok(statement.exists(params![
        range.first,
        range.last,
        i64::try_from(count).unwrap_or(0)
    ])?)
}

fn modality(keys: &[Key]) -> Option<String> {
    keys.iter().find_map(|key| match key {
        Key::Attribute {
            tag: tags::MODALITIES_IN_STUDY | tags::MODALITY,
            matcher: Matcher::Single(modality),
        } => Some(modality.clone()),
        _ => None,
    })
}

/// The fewest candidates that an index finds; none when all find too many.
fn collect(
    connection: &Connection,
    keys: &[Key],
    level: Level,
    filter: &Filter<'_>,
) -> Result<Option<Vec<i64>>> {
    let mut probes: Vec<Probe> = keys
        .iter()
        .filter_map(|key| Probe::of(key, level))
        .collect();
    probes.sort_by_key(|probe| !probe.is_narrow);
    let mut best: Option<Vec<i64>> = None;
    for probe in probes {
        let max = best.as_ref().map_or(COLLECTED_MAX, Vec::len);
        if let Some(ids) = probe.ids(connection, max)? {
            let is_enough = ids.len() <= FEW;
            best = Some(ids);
            if is_enough {
                return Ok(best);
            }
        }
    }
    let max = best.as_ref().map_or(COLLECTED_MAX, Vec::len);
    match filter.candidates(connection, max)? {
        Some(studies) if level == Level::Patient => Ok(Some(patients_of(connection, &studies)?)),
        found => Ok(found.or(best)),
    }
}

fn patients_of(connection: &Connection, studies: &[i64]) -> Result<Vec<i64>> {
    let mut statement = connection.prepare_cached("SELECT patient FROM study WHERE id = ?1")?;
    let mut patients = Vec::with_capacity(studies.len());
    for study in studies {
        patients.extend(
            statement
                .query_row([study], |row| row.get::<_, i64>(0))
                .optional()?,
        );
    }
    patients.sort_unstable();
    patients.dedup();
    Ok(patients)
}

/// The key along which the studies that are admitted can be read.
fn access_key(filter: &Filter<'_>, level: Level) -> Option<String> {
    let key = filter.single_key().filter(|_| level != Level::Patient)?;
    Some(key.to_owned())
}

fn in_order(
    connection: &Connection,
    ids: Vec<i64>,
    order: Order,
    is_by_date: bool,
) -> Result<Vec<Place>> {
    let mut places: Vec<Place> = ids.into_iter().map(|id| (0, id)).collect();
    if is_by_date {
        let mut statement =
            connection.prepare_cached("SELECT study_date FROM study WHERE id = ?1")?;
        for (date, id) in &mut places {
            let found: Option<Option<u32>> =
                statement.query_row([*id], |row| row.get(0)).optional()?;
            *date = found.flatten().unwrap_or(0);
        }
        places.sort_unstable();
    }
    if order == Order::NewestFirst {
        places.reverse();
    }
    Ok(places)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gantry_dicom::date_time::{Offset, instant};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_moment_is_on_one_of_the_dates_around_it(
            year in 1_u32..9999, month in 1_u32..13, day in 1_u32..29,
            micros in 0..MICROS_PER_DAY, zone in -720_i16..841,
        ) {
            let date = year * 10_000 + month * 100 + day;
            let zone = Offset::from_minutes(zone).unwrap();
            let moment = instant(date, micros, zone).unwrap();
            let dates = dates_around(DtRange { first: moment, last: moment });
            prop_assert!(dates.contains(date), "{date} {dates:?}");
            prop_assert!(dates.last - dates.first < 20_000);
        }
    }

    #[test]
    fn all_time_is_all_dates() {
        let all = dates_around(DtRange::ALL);
        assert_eq!(
            (all.first, all.last),
            (DaRange::ALL.first, DaRange::ALL.last)
        );
        assert_eq!(date_of(0), 19_700_101);
        assert_eq!(date_of(-1), 19_691_231);
        assert_eq!(date_of(20_454), 20_260_101);
        assert_eq!(date_of(11_016), 20_000_229);
    }
}
