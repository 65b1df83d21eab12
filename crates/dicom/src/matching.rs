//! Attribute matching (PS3.4 C.2.2.2): keys of a C-FIND identifier or of a QIDO-RS request against
//! stored attributes.
//!
//! What the standard leaves open is settled here:
//! - case matters for every VR but PN; names compare as [`crate::person_name::fold`] makes them;
//! - spaces at both ends are not significant, for LT, ST, UT, UC and UR those at the end;
//! - `*` and `?` are wild cards for AE, CS, LO, LT, PN, SH, ST, UC, UR and UT alone, and nothing
//!   escapes them; in a UID they are characters that match nothing, in dates, times and numbers
//!   they are errors;
//! - several values in a key other than a UID match if one of them does, unless Multiple Value
//!   Matching was negotiated, when all must;
//! - a name with one component group matches any of the stored groups, one with several matches
//!   group by group;
//! - a time or date-time of partial precision stands for all moments it can mean, a stored one for
//!   the first of them;
//! - a sequence with an item whose keys are all universal is universal, so that return keys do not
//!   select.
//!
//! The variants of [`Matcher`] are public so that an index can turn them into its own language;
//! [`Matcher::matches`] is the meaning that it has to keep.

mod key;
mod name;
mod wildcard;

#[cfg(test)]
mod tests;

pub use key::{DATE_TIME_PAIRS, Key, KeyError, Scope, insert_at, keys};
pub use name::NamePattern;
pub use wildcard::Wildcard;

use crate::data_set::{DataSet, Element, Value};
use crate::date_time::{self, DaRange, DateTime, DtRange, Offset, RangeError, TmRange};
use crate::encoding::is_text;
use crate::{Vr, text};

/// Longest key with wild cards, in bytes: matching takes time in proportion to it.
pub const WILDCARD_LENGTH_MAX: usize = 1024;
/// Deepest nesting of sequences in a key.
pub const DEPTH_MAX: usize = 8;

/// What was negotiated or asked for besides the basic kinds of matching.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MatchOptions {
    /// Fuzzy semantic matching of person names: each word of the key begins a word of the name.
    pub fuzzy: bool,
    /// Empty Value Matching: a key of two quotation marks matches what has no value.
    pub empty_value: bool,
    /// Multiple Value Matching: all values of a key must match.
    pub multiple_value: bool,
    /// Combined date-time matching: a date and its time are one moment.
    pub combined_date_time: bool,
    /// The zone of dates and times that name none: Timezone Offset From UTC (0008,0201) of the
    /// request, or the archive's own.
    pub timezone: Offset,
}

/// What a key asks of one attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum Matcher {
    /// Universal matching: everything, also what is not there (C.2.2.2.3).
    Universal,
    /// Empty value matching: absent, of length zero, or only padding (C.2.2.2.7).
    EmptyValue,
    /// Single value matching: one of the stored values, trimmed, is this text (C.2.2.2.1).
    Single(String),
    /// List of UID matching: one of the stored values is in the list (C.2.2.2.2). Never empty.
    UidList(Vec<String>),
    /// Wild card matching of text other than names (C.2.2.2.4).
    Wildcard(Wildcard),
    /// Matching of person names, with or without wild cards.
    PersonName(NamePattern),
    /// Single value or range matching of dates (C.2.2.2.5).
    DateRange(DaRange),
    /// Single value or range matching of times of the day.
    TimeRange(TmRange),
    /// Single value or range matching of moments.
    DateTimeRange(DtRange),
    /// A stored value is this number, however it is written.
    Integer(i64),
    /// A stored value is this number, however it is written.
    Decimal(f64),
    /// Several values in a key: at least one of them matches. Never empty.
    AnyOf(Vec<Matcher>),
    /// Multiple value matching: each of them matches a stored value (C.2.2.2.8). Never empty.
    AllOf(Vec<Matcher>),
    /// Sequence matching: there is an item that matches every key (C.2.2.2.6). At least one of the
    /// keys is not universal.
    Sequence(Vec<Key>),
}

/// Why a key cannot be matched. No text of the key is in it: that can be a patient's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MatchError {
    /// No date, time or range of them.
    #[error("key with VR {} is no value and no range: {source}", .vr.to_string())]
    Range {
        /// The key's VR.
        vr: Vr,
        /// What is wrong with it.
        source: RangeError,
    },
    /// No number, or one too large.
    #[error("key with VR {} is no number", .0.to_string())]
    Number(Vr),
    /// Longer than [`WILDCARD_LENGTH_MAX`].
    #[error("key with wild cards is longer than {WILDCARD_LENGTH_MAX} bytes")]
    TooLong,
    /// The VR has no kind of matching.
    #[error("attributes with VR {} can not be matched", .0.to_string())]
    Unmatchable(Vr),
    /// A sequence in a key has other than one item.
    #[error("sequence in a key has {0} items instead of one")]
    Items(usize),
    /// Deeper than [`DEPTH_MAX`].
    #[error("sequences in a key are nested deeper than {DEPTH_MAX}")]
    TooDeep,
}

impl Matcher {
    /// Makes a matcher of a decoded key, with its padding; several values have backslashes between
    /// them, UIDs also commas (PS3.18 §8.3.4.1). For SQ see [`Matcher::of_element`].
    pub fn parse(vr: Vr, text: &str, options: &MatchOptions) -> Result<Self, MatchError> {
        if vr == Vr::UI {
            return Ok(Self::uid_list(text));
        }
        let values = text::split(text, vr).filter(|value| !value.is_empty());
        let matchers: Result<Vec<Self>, MatchError> = values
            .map(|value| Self::of_value(vr, value, options))
            .collect();
        let mut matchers = matchers?;
        Ok(match matchers.len() {
            0 => Self::Universal,
            1 => matchers.swap_remove(0),
            _ if options.multiple_value && has_multiple_value_matching(vr) => Self::AllOf(matchers),
            _ if matchers.contains(&Self::Universal) => Self::Universal,
            _ => Self::AnyOf(matchers),
        })
    }

    fn uid_list(text: &str) -> Self {
        let uids: Vec<String> = text
            .split(['\\', ','])
            .map(|uid| text::trim(uid, Vr::UI).to_owned())
            .filter(|uid| !uid.is_empty())
            .collect();
        if uids.is_empty() {
            Self::Universal
        } else {
            Self::UidList(uids)
        }
    }

    fn of_value(vr: Vr, value: &str, options: &MatchOptions) -> Result<Self, MatchError> {
        if options.empty_value && value == "\"\"" {
            return Ok(Self::EmptyValue);
        }
        let range = |source| MatchError::Range { vr, source };
        Ok(match vr {
            Vr::DA => Self::DateRange(DaRange::parse(value).map_err(range)?),
            Vr::TM => Self::TimeRange(TmRange::parse(value).map_err(range)?),
            Vr::DT => Self::DateTimeRange(DtRange::parse(value, options.timezone).map_err(range)?),
            Vr::IS | Vr::US | Vr::SS | Vr::UL | Vr::SL | Vr::UV | Vr::SV => {
                Self::Integer(text::parse_integer(value).ok_or(MatchError::Number(vr))?)
            }
            Vr::DS | Vr::FL | Vr::FD => {
                Self::Decimal(text::parse_decimal(value).ok_or(MatchError::Number(vr))?)
            }
            Vr::AT => Self::Single(value.to_ascii_uppercase()),
            Vr::AS => Self::Single(value.to_owned()),
            Vr::PN => name::parse(value, options)?,
            _ if is_text(vr) => wildcard::parse(value)?,
            _ => return Err(MatchError::Unmatchable(vr)),
        })
    }

    /// Makes a matcher of an element of a request whose text is in the character set `scope`
    /// names.
    pub fn of_element(
        element: &Element,
        scope: Scope,
        options: &MatchOptions,
    ) -> Result<Self, MatchError> {
        Self::of_element_at(element, scope, options, 0)
    }

    fn of_element_at(
        element: &Element,
        scope: Scope,
        options: &MatchOptions,
        depth: usize,
    ) -> Result<Self, MatchError> {
        match &element.value {
            Value::Sequence(items) => Self::of_items(items, scope, options, depth),
            _ if element.is_empty() => Ok(Self::Universal),
            _ => {
                let vr = element.known_vr();
                let text = element
                    .text(scope.character_set)
                    .ok_or(MatchError::Unmatchable(vr))?;
                Self::parse(vr, &text, options)
            }
        }
    }

    fn of_items(
        items: &[DataSet],
        scope: Scope,
        options: &MatchOptions,
        depth: usize,
    ) -> Result<Self, MatchError> {
        if depth == DEPTH_MAX {
            return Err(MatchError::TooDeep);
        }
        match items {
            [] => Ok(Self::Universal),
            [item] => {
                let keys = key::of_data_set(item, scope.of_item(item), options, depth + 1);
                Ok(Self::sequence(keys.map_err(|error| error.source)?))
            }
            _ => Err(MatchError::Items(items.len())),
        }
    }

    /// Sequence matching with these keys on one item; universal when they all are.
    pub fn sequence(keys: Vec<Key>) -> Self {
        if keys.iter().all(Key::is_universal) {
            Self::Universal
        } else {
            Self::Sequence(keys)
        }
    }

    /// Whether every attribute matches, also an absent one.
    pub fn is_universal(&self) -> bool {
        *self == Self::Universal
    }

    /// Whether a stored element matches. A value that is not in memory does not, unless the
    /// matching is universal.
    pub fn matches(&self, element: Option<&Element>, scope: impl Into<Scope>) -> bool {
        let scope = scope.into();
        match (self, element) {
            (Self::Universal, _) => true,
            (Self::EmptyValue, None) => true,
            (Self::AnyOf(matchers), element) => matchers
                .iter()
                .any(|matcher| matcher.matches(element, scope)),
            (Self::AllOf(matchers), element) => matchers
                .iter()
                .all(|matcher| matcher.matches(element, scope)),
            (_, None) => false,
            (Self::EmptyValue, Some(element)) => element.is_empty(),
            (
                Self::Sequence(keys),
                Some(Element {
                    value: Value::Sequence(items),
                    ..
                }),
            ) => items
                .iter()
                .any(|item| Key::match_all(keys, item, scope.of_item(item))),
            (_, Some(element)) => match element.text(scope.character_set) {
                Some(text) => self.matches_text(&text, element.known_vr(), scope.timezone),
                None => false,
            },
        }
    }

    /// Whether decoded text of a stored element matches, with backslashes between its values:
    /// [`Matcher::matches`] for who keeps values as text. `timezone` is that of the stored data
    /// set. Sequence matching never does.
    pub fn matches_text(&self, text: &str, vr: Vr, timezone: Offset) -> bool {
        match self {
            Self::Universal => true,
            Self::EmptyValue => text::trim(text, Vr::LO).is_empty(),
            Self::AnyOf(matchers) => matchers
                .iter()
                .any(|matcher| matcher.matches_text(text, vr, timezone)),
            Self::AllOf(matchers) => matchers
                .iter()
                .all(|matcher| matcher.matches_text(text, vr, timezone)),
            _ => text::split(text, vr).any(|value| self.matches_value(value, timezone)),
        }
    }

    fn matches_value(&self, value: &str, timezone: Offset) -> bool {
        match self {
            Self::Single(text) => value == text,
            Self::UidList(uids) => uids.iter().any(|uid| uid == value),
            Self::Wildcard(wildcard) => wildcard.matches(value),
            Self::PersonName(pattern) => pattern.matches(value),
            Self::DateRange(range) => {
                date_time::parse_da(value).is_some_and(|date| range.contains(date))
            }
            Self::TimeRange(range) => {
                date_time::parse_tm(value).is_some_and(|time| range.contains(time.first))
            }
            Self::DateTimeRange(range) => DateTime::parse(value)
                .is_some_and(|moment| range.contains(moment.in_utc(timezone).first)),
            Self::Integer(number) => text::parse_integer(value) == Some(*number),
            Self::Decimal(number) => text::parse_decimal(value) == Some(*number),
            Self::Universal
            | Self::EmptyValue
            | Self::AnyOf(_)
            | Self::AllOf(_)
            | Self::Sequence(_) => false,
        }
    }
}

/// The VRs of PS3.4 C.2.2.2.8.
fn has_multiple_value_matching(vr: Vr) -> bool {
    matches!(
        vr,
        Vr::AE | Vr::AS | Vr::AT | Vr::CS | Vr::LO | Vr::PN | Vr::SH | Vr::UC
    )
}
