//! Matching of person names (PS3.4 C.2.2.2.1 and C.2.2.2.4 on VR PN).

use super::{MatchError, MatchOptions, Matcher, WILDCARD_LENGTH_MAX, Wildcard, wildcard};
use crate::person_name::{self, PersonName};

/// What a key asks of a person name. Patterns are folded, and match folded component groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamePattern {
    /// One of the component groups matches.
    AnyGroup(Wildcard),
    /// The groups match one by one; those without a pattern do.
    Groups([Option<Wildcard>; 3]),
    /// Each of these folded words begins a word of the name. Never empty.
    Words(Vec<String>),
}

/// The matcher for one value of a key.
pub(super) fn parse(value: &str, options: &MatchOptions) -> Result<Matcher, MatchError> {
    if value.len() > WILDCARD_LENGTH_MAX {
        return Err(MatchError::TooLong);
    }
    if options.fuzzy && !has_inner_wildcard(value) {
        let words = person_name::words(value);
        return Ok(if words.is_empty() {
            Matcher::Universal
        } else {
            Matcher::PersonName(NamePattern::Words(words))
        });
    }
    let name = PersonName::parse(value);
    let mut groups = name.groups().map(pattern);
    Ok(match groups {
        [None, None, None] => Matcher::Universal,
        [Some(_), None, None] if !value.contains('=') => groups
            .first_mut()
            .and_then(Option::take)
            .map_or(Matcher::Universal, |pattern| {
                Matcher::PersonName(NamePattern::AnyGroup(pattern))
            }),
        _ => Matcher::PersonName(NamePattern::Groups(groups)),
    })
}

/// Nothing for a group that is empty or only stars.
fn pattern(group: &str) -> Option<Wildcard> {
    let folded = person_name::fold(group);
    let is_universal = folded.chars().all(|char| matches!(char, '*'));
    (!is_universal).then(|| Wildcard::new(folded))
}

/// Whether there are wild cards other than a star that ends a word: then the words of the key are
/// not beginnings of words.
fn has_inner_wildcard(value: &str) -> bool {
    value.contains('?')
        || value
            .split(['^', '=', ' ', ','])
            .any(|word| word.trim_end_matches('*').contains('*'))
}

impl NamePattern {
    /// Whether a stored name matches, as it is in the data set.
    pub fn matches(&self, name: &str) -> bool {
        let name = PersonName::parse(name);
        match self {
            Self::AnyGroup(pattern) => {
                let mut groups = name.groups().into_iter().filter(|group| !group.is_empty());
                groups.any(|group| group_matches(pattern, &person_name::fold(group)))
            }
            Self::Groups(patterns) => {
                patterns
                    .iter()
                    .zip(name.groups())
                    .all(|(pattern, group)| match pattern {
                        Some(pattern) => group_matches(pattern, &person_name::fold(group)),
                        None => true,
                    })
            }
            Self::Words(words) => person_name::fuzzy_matches(words, &name.words()),
        }
    }

    /// What a folded group that matches the pattern begins with.
    ///
    /// Less than [`Wildcard::literal_prefix`] where that ends in delimiters: `doe^*` also matches
    /// `doe`.
    pub fn literal_prefix(pattern: &Wildcard) -> &str {
        pattern.literal_prefix().trim_end_matches('^')
    }
}

/// Whether a folded group matches, also where it lacks components that the pattern leaves open:
/// `doe^*` matches `doe`.
pub(super) fn group_matches(pattern: &Wildcard, folded: &str) -> bool {
    let mut pattern = pattern.pattern();
    loop {
        if wildcard::matches(pattern, folded) {
            return true;
        }
        match pattern.strip_suffix("^*") {
            Some(shorter) => pattern = shorter.trim_end_matches('^'),
            None => return false,
        }
    }
}
