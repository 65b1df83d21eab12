//! Keys: which attribute a matcher is for.

use super::{DEPTH_MAX, MatchError, MatchOptions, Matcher};
use crate::character_set::CharacterSet;
use crate::data_set::{DataSet, Element};
use crate::date_time::{self, DtRange, Offset};
use crate::{Tag, Vr, dictionary, tags};

/// A condition on a data set or an item.
#[derive(Debug, Clone, PartialEq)]
pub enum Key {
    /// One attribute matches.
    Attribute {
        /// Its tag.
        tag: Tag,
        /// What it has to match.
        matcher: Matcher,
    },
    /// A date and its time together lie in a range (combined date-time matching).
    DateAndTime {
        /// The date, VR DA.
        date: Tag,
        /// The time, VR TM.
        time: Tag,
        /// The range.
        range: DtRange,
    },
}

/// A key that cannot be matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("attribute {tag}: {source}")]
pub struct KeyError {
    /// The attribute; for one in a sequence, the sequence at the top.
    pub tag: Tag,
    /// Why.
    pub source: MatchError,
}

/// What surrounds an attribute and says how to read it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scope {
    /// The character set of text.
    pub character_set: CharacterSet,
    /// The zone of dates and times that name none.
    pub timezone: Offset,
}

impl Scope {
    /// The scope of a whole data set: what it declares, and the zone `default` if it declares
    /// none.
    pub fn of(data_set: &DataSet, default: Offset) -> Self {
        Self {
            character_set: CharacterSet::DEFAULT,
            timezone: default,
        }
        .of_item(data_set)
    }

    /// The scope of an item in this scope.
    pub fn of_item(self, item: &DataSet) -> Self {
        let timezone = item
            .ascii(tags::TIMEZONE_OFFSET_FROM_UTC)
            .and_then(Offset::parse);
        Self {
            character_set: CharacterSet::for_item(self.character_set, item),
            timezone: timezone.unwrap_or(self.timezone),
        }
    }
}

impl From<CharacterSet> for Scope {
    fn from(character_set: CharacterSet) -> Self {
        Self {
            character_set,
            timezone: Offset::UTC,
        }
    }
}

impl From<&CharacterSet> for Scope {
    fn from(character_set: &CharacterSet) -> Self {
        (*character_set).into()
    }
}

/// Dates and the times that belong to them.
pub const DATE_TIME_PAIRS: &[(Tag, Tag)] = &[
    (tags::INSTANCE_CREATION_DATE, tags::INSTANCE_CREATION_TIME),
    (tags::STUDY_DATE, tags::STUDY_TIME),
    (tags::SERIES_DATE, tags::SERIES_TIME),
    (tags::ACQUISITION_DATE, tags::ACQUISITION_TIME),
    (tags::CONTENT_DATE, tags::CONTENT_TIME),
    (tags::PATIENT_BIRTH_DATE, tags::PATIENT_BIRTH_TIME),
    (
        tags::SCHEDULED_PROCEDURE_STEP_START_DATE,
        tags::SCHEDULED_PROCEDURE_STEP_START_TIME,
    ),
    (
        tags::SCHEDULED_PROCEDURE_STEP_END_DATE,
        tags::SCHEDULED_PROCEDURE_STEP_END_TIME,
    ),
    (
        tags::PERFORMED_PROCEDURE_STEP_START_DATE,
        tags::PERFORMED_PROCEDURE_STEP_START_TIME,
    ),
    (
        tags::PERFORMED_PROCEDURE_STEP_END_DATE,
        tags::PERFORMED_PROCEDURE_STEP_END_TIME,
    ),
    (
        tags::PRESENTATION_CREATION_DATE,
        tags::PRESENTATION_CREATION_TIME,
    ),
];

/// The keys of an identifier (PS3.4 C.4.1.1.3), universal ones too: they are what is to be
/// returned.
///
/// Attributes that rule the request and are no keys are left out: Specific Character Set,
/// Query/Retrieve Level and View, Timezone Offset From UTC, group lengths, private creators.
pub fn keys(identifier: &DataSet, options: &MatchOptions) -> Result<Vec<Key>, KeyError> {
    let scope = Scope::of(identifier, options.timezone);
    let options = MatchOptions {
        timezone: scope.timezone,
        ..*options
    };
    of_data_set(identifier, scope, &options, 0)
}

pub(super) fn of_data_set(
    data_set: &DataSet,
    scope: Scope,
    options: &MatchOptions,
    depth: usize,
) -> Result<Vec<Key>, KeyError> {
    let mut keys = Vec::with_capacity(data_set.elements().len());
    let mut combined_times = Vec::new();
    for element in data_set
        .elements()
        .iter()
        .filter(|element| is_key(element.tag))
    {
        let tag = element.tag;
        if combined_times.contains(&tag) {
            continue;
        }
        let failed = |source| KeyError { tag, source };
        if options.combined_date_time
            && let Some((time, range)) = combined(data_set, element, options).map_err(failed)?
        {
            combined_times.push(time);
            keys.push(Key::DateAndTime {
                date: tag,
                time,
                range,
            });
            continue;
        }
        let matcher = Matcher::of_element_at(element, scope, options, depth).map_err(failed)?;
        keys.push(Key::Attribute { tag, matcher });
    }
    Ok(keys)
}

fn is_key(tag: Tag) -> bool {
    let rules_request = matches!(
        tag,
        tags::SPECIFIC_CHARACTER_SET
            | tags::QUERY_RETRIEVE_LEVEL
            | tags::QUERY_RETRIEVE_VIEW
            | tags::TIMEZONE_OFFSET_FROM_UTC
    );
    !rules_request && tag.1 != 0 && !dictionary::is_private_creator(tag)
}

/// The time and the range of both, when a date and its time are keys with values.
fn combined(
    data_set: &DataSet,
    date: &Element,
    options: &MatchOptions,
) -> Result<Option<(Tag, DtRange)>, MatchError> {
    let Some(&(_, time)) = DATE_TIME_PAIRS.iter().find(|(tag, _)| *tag == date.tag) else {
        return Ok(None);
    };
    let (Some(dates), Some(times)) = (data_set.ascii(date.tag), data_set.ascii(time)) else {
        return Ok(None);
    };
    if options.empty_value && (dates == "\"\"" || times == "\"\"") {
        return Ok(None);
    }
    let range = DtRange::parse_combined(dates, times, options.timezone)
        .map_err(|source| MatchError::Range { vr: Vr::DA, source })?;
    Ok(Some((time, range)))
}

/// Adds a key for an attribute inside sequences: `path` ends with the attribute's own tag. Keys
/// that share a sequence ask for one item that matches them all.
pub fn insert_at(keys: &mut Vec<Key>, path: &[Tag], matcher: Matcher) -> Result<(), MatchError> {
    insert_below(keys, path, matcher, 0)
}

fn insert_below(
    keys: &mut Vec<Key>,
    path: &[Tag],
    matcher: Matcher,
    depth: usize,
) -> Result<(), MatchError> {
    let (tag, rest) = match path {
        [] => return Ok(()),
        [tag] => {
            keys.push(Key::Attribute { tag: *tag, matcher });
            return Ok(());
        }
        [tag, rest @ ..] => (*tag, rest),
    };
    if depth == DEPTH_MAX {
        return Err(MatchError::TooDeep);
    }
    for key in keys.iter_mut() {
        if let Key::Attribute {
            tag: other,
            matcher: Matcher::Sequence(item),
        } = key
            && *other == tag
        {
            return insert_below(item, rest, matcher, depth + 1);
        }
    }
    let mut item = Vec::new();
    insert_below(&mut item, rest, matcher, depth + 1)?;
    keys.push(Key::Attribute {
        tag,
        matcher: Matcher::sequence(item),
    });
    Ok(())
}

impl Key {
    /// Whether every data set matches.
    pub fn is_universal(&self) -> bool {
        match self {
            Self::Attribute { matcher, .. } => matcher.is_universal(),
            Self::DateAndTime { .. } => false,
        }
    }

    /// Whether a stored data set or item matches.
    pub fn matches(&self, data_set: &DataSet, scope: Scope) -> bool {
        match self {
            Self::Attribute { tag, matcher } => matcher.matches(data_set.get(*tag), scope),
            Self::DateAndTime { date, time, range } => {
                let date = data_set.ascii(*date).and_then(date_time::parse_da);
                // Without a time, the day begins.
                let micros = match data_set.ascii(*time) {
                    Some(time) => date_time::parse_tm(time).map(|range| range.first),
                    None => Some(0),
                };
                match (date, micros) {
                    (Some(date), Some(micros)) => date_time::instant(date, micros, scope.timezone)
                        .is_some_and(|moment| range.contains(moment)),
                    _ => false,
                }
            }
        }
    }

    /// Whether a stored data set or item matches all keys.
    pub fn match_all(keys: &[Self], data_set: &DataSet, scope: Scope) -> bool {
        keys.iter().all(|key| key.matches(data_set, scope))
    }
}
