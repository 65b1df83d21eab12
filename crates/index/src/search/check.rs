//! Leaving out by its columns what cannot match, before its header is read.

use gantry_dicom::date_time::Offset;
use gantry_dicom::matching::{Key, Matcher, NamePattern, Wildcard};
use gantry_dicom::{Vr, tags};

/// What is at hand of a study.
pub(super) struct StudyFacts<'a> {
    pub study_date: Option<u32>,
    pub birth_date: Option<u32>,
    pub study_description: Option<&'a str>,
    pub modalities: &'a str,
    /// A line each.
    pub keys: &'a str,
}

impl StudyFacts<'_> {
    /// False only when the study cannot match.
    pub fn may_match(&self, key: &Key) -> bool {
        let Key::Attribute { tag, matcher } = key else {
            return true;
        };
        match *tag {
            tags::STUDY_DATE => date_may_match(self.study_date, matcher),
            tags::PATIENT_BIRTH_DATE => date_may_match(self.birth_date, matcher),
            tags::STUDY_DESCRIPTION => matcher.matches_text(
                self.study_description.unwrap_or_default(),
                Vr::LO,
                Offset::UTC,
            ),
            // Kept nowhere else: this is the match itself.
            tags::MODALITIES_IN_STUDY => matcher.matches_text(self.modalities, Vr::CS, Offset::UTC),
            tags::PATIENT_ID => self.text_may_match('P', matcher),
            tags::ACCESSION_NUMBER => self.text_may_match('A', matcher),
            tags::STUDY_ID => self.text_may_match('I', matcher),
            tags::PATIENT_NAME => self.name_may_match(matcher),
            _ => true,
        }
    }

    fn text_may_match(&self, case: char, matcher: &Matcher) -> bool {
        let mut values = self
            .keys
            .split('\n')
            .filter_map(|key| key.strip_prefix(case));
        match matcher {
            Matcher::AnyOf(matchers) => matchers
                .iter()
                .any(|matcher| self.text_may_match(case, matcher)),
            Matcher::AllOf(matchers) => matchers
                .iter()
                .all(|matcher| self.text_may_match(case, matcher)),
            Matcher::Single(text) => values.any(|value| value == text),
            Matcher::Wildcard(wildcard) => values.any(|value| wildcard.matches(value)),
            _ => true,
        }
    }

    fn name_may_match(&self, matcher: &Matcher) -> bool {
        let mut groups = self
            .keys
            .split('\n')
            .filter_map(|key| key.strip_prefix('='));
        let words = self
            .keys
            .split('\n')
            .filter_map(|key| key.strip_prefix(':'));
        match matcher {
            Matcher::AnyOf(matchers) => matchers.iter().any(|matcher| self.name_may_match(matcher)),
            Matcher::AllOf(matchers) => matchers.iter().all(|matcher| self.name_may_match(matcher)),
            Matcher::PersonName(NamePattern::AnyGroup(pattern)) => {
                let literal = literal(pattern);
                groups.any(|group| group.contains(literal))
            }
            Matcher::PersonName(NamePattern::Groups(patterns)) => {
                let mut literals = patterns.iter().flatten().map(literal);
                literals.all(|literal| {
                    literal.is_empty() || groups.clone().any(|group| group.contains(literal))
                })
            }
            Matcher::PersonName(NamePattern::Words(begins)) => begins.iter().all(|begin| {
                let mut beginnings = words.clone().chain(groups.clone());
                beginnings.any(|beginning| beginning.starts_with(begin.as_str()))
            }),
            _ => true,
        }
    }
}

/// The longest text that whatever matches contains. Delimiters at its ends may be missing there.
fn literal(pattern: &Wildcard) -> &str {
    let pieces = pattern
        .pattern()
        .split(['*', '?'])
        .map(|piece| piece.trim_matches('^'));
    pieces.max_by_key(|piece| piece.len()).unwrap_or_default()
}

fn date_may_match(date: Option<u32>, matcher: &Matcher) -> bool {
    match matcher {
        Matcher::AnyOf(matchers) => matchers.iter().any(|matcher| date_may_match(date, matcher)),
        Matcher::AllOf(matchers) => matchers.iter().all(|matcher| date_may_match(date, matcher)),
        Matcher::DateRange(range) => date.is_some_and(|date| range.contains(date)),
        _ => true,
    }
}
