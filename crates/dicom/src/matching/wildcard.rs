//! Wild card matching (PS3.4 C.2.2.2.4).

use super::{MatchError, Matcher, WILDCARD_LENGTH_MAX};

/// A pattern in which `*` stands for any characters or none, and `?` for one.
///
/// No character escapes these two, and no other has a meaning: `%`, `_` and `\` are themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wildcard {
    pattern: String,
    literal_length: usize,
}

impl Wildcard {
    /// Any text is a pattern.
    pub fn new(pattern: String) -> Self {
        let literal_length = pattern.find(['*', '?']).unwrap_or(pattern.len());
        Self {
            pattern,
            literal_length,
        }
    }

    /// The pattern itself.
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// What all texts that match begin with: the pattern up to its first wild card.
    pub fn literal_prefix(&self) -> &str {
        self.pattern.get(..self.literal_length).unwrap_or_default()
    }

    /// Whether there is no wild card: only the pattern itself matches.
    pub fn is_literal(&self) -> bool {
        self.literal_length == self.pattern.len()
    }

    /// Whether the pattern is its prefix and one `*`: all texts with the prefix match.
    pub fn is_prefix(&self) -> bool {
        self.pattern.get(self.literal_length..) == Some("*")
    }

    /// Whether all of the text matches.
    pub fn matches(&self, text: &str) -> bool {
        matches(&self.pattern, text)
    }
}

/// Whether all of the text matches the pattern.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let (mut pattern, mut rest) = (pattern.chars(), text.chars());
    // Where to go on when what follows the last star does not fit: one more character is its.
    let mut retry = None;
    loop {
        let (mut next_pattern, mut next_rest) = (pattern.clone(), rest.clone());
        match (next_pattern.next(), next_rest.next()) {
            (Some('*'), _) => {
                retry = Some((next_pattern.clone(), rest.clone()));
                pattern = next_pattern;
            }
            (Some(wanted), Some(found)) if wanted == '?' || wanted == found => {
                (pattern, rest) = (next_pattern, next_rest);
            }
            (None, None) => return true,
            _ => {
                let Some((after_star, from)) = &mut retry else {
                    return false;
                };
                if from.next().is_none() {
                    return false;
                }
                (pattern, rest) = (after_star.clone(), from.clone());
            }
        }
    }
}

/// The matcher for text with or without wild cards.
pub(super) fn parse(value: &str) -> Result<Matcher, MatchError> {
    if !value.contains(['*', '?']) {
        return Ok(Matcher::Single(value.to_owned()));
    }
    if value.len() > WILDCARD_LENGTH_MAX {
        return Err(MatchError::TooLong);
    }
    if value.chars().all(|char| char == '*') {
        return Ok(Matcher::Universal);
    }
    Ok(Matcher::Wildcard(Wildcard::new(value.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, letter by letter.
    fn naive(pattern: &[char], text: &[char]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            (['*', rest @ ..], _) => (0..=text.len()).any(|at| naive(rest, &text[at..])),
            (['?', pattern @ ..], [_, text @ ..]) => naive(pattern, text),
            ([wanted, pattern @ ..], [found, text @ ..]) => wanted == found && naive(pattern, text),
            _ => false,
        }
    }

    #[test]
    fn prefixes_are_told() {
        let parts = |pattern: &str| {
            let wildcard = Wildcard::new(pattern.into());
            (
                wildcard.literal_prefix().to_owned(),
                wildcard.is_literal(),
                wildcard.is_prefix(),
            )
        };
        assert_eq!(parts("Doe*"), ("Doe".into(), false, true));
        assert_eq!(parts("Doe"), ("Doe".into(), true, false));
        assert_eq!(parts("D?e*"), ("D".into(), false, false));
        assert_eq!(parts("*x"), ("".into(), false, false));
        assert_eq!(parts("ü*"), ("ü".into(), false, true));
    }

    #[test]
    fn only_two_characters_have_a_meaning() {
        for (pattern, text, is_match) in [
            ("100%", "100%", true),
            ("100%", "1000", false),
            ("a_c", "abc", false),
            ("a\\*", "a\\b", true),
            ("a\\*", "ab", false),
            ("[ab]*", "a", false),
            ("?", "ü", true),
            ("?", "", false),
            ("*", "", true),
            ("A*", "a", false),
            ("*CT*", "PCTX", true),
        ] {
            assert_eq!(
                Wildcard::new(pattern.into()).matches(text),
                is_match,
                "{pattern} {text}"
            );
        }
    }

    #[test]
    fn hostile_patterns_end_in_time() {
        let pattern = "*a".repeat(WILDCARD_LENGTH_MAX / 2) + "b";
        assert!(!Wildcard::new(pattern).matches(&"a".repeat(65_536)));
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in "[ab%*?ü]{0,8}", text in "[ab%*?ü]{0,8}") {
            let wildcard = Wildcard::new(pattern.clone());
            let (pattern_chars, text_chars): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
            let is_match = wildcard.matches(&text);
            prop_assert_eq!(is_match, naive(&pattern_chars, &text_chars));
            if is_match {
                prop_assert!(text.starts_with(wildcard.literal_prefix()));
            }
            if wildcard.is_prefix() {
                prop_assert_eq!(is_match, text.starts_with(wildcard.literal_prefix()));
            }
        }
    }
}
