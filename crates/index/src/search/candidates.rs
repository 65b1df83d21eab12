//! The studies (or patients) that a query looks at, and their order.

use super::probe::Probe;
use crate::error::Result;
use crate::query::{Cursor, Order, Query};
use gantry_core::level::Level;
use gantry_dicom::date_time::DaRange;
use gantry_dicom::matching::{Key, Matcher};
use gantry_dicom::tags;
use rusqlite::{Connection, OptionalExtension};

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
    pub fn find(connection: &Connection, query: &Query, keys: &[Key]) -> Result<Self> {
        let level = query.level.min(Level::Study);
        let dates = date_range(query);
        let after = query.after.as_ref().map(place_of);
        if let Some(ids) = collect(connection, keys, level)? {
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
            (Order::NewestFirst, _) => Self::ByIdDescending {
                before: after.map(|(_, id)| id),
            },
            (Order::Standard, Some(range)) => Self::ByDate { range, after },
            (Order::Standard, None) => {
                let after = after.map(|(_, id)| id);
                Self::ById {
                    modality: modality(keys),
                    after,
                }
            }
        })
    }
}

/// The place from which to go on: that of the cursor's study, which may have more matches below.
fn place_of(cursor: &Cursor) -> Place {
    (cursor.date, cursor.study)
}

/// The study dates asked for, when the order is by them.
pub(super) fn date_range(query: &Query) -> Option<DaRange> {
    if query.order != Order::Standard || query.level == Level::Patient {
        return None;
    }
    query.keys.iter().find_map(|key| match key {
        Key::Attribute {
            tag: tags::STUDY_DATE,
            matcher: Matcher::DateRange(range),
        } => Some(*range),
        _ => None,
    })
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
fn collect(connection: &Connection, keys: &[Key], level: Level) -> Result<Option<Vec<i64>>> {
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
                break;
            }
        }
    }
    Ok(best)
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
