//! Media types and their parameters (RFC 9110 §8.3.1, PS3.18 8.7).
//!
//! Senders in the field leave values unquoted that the grammar wants quoted
//! (`type=application/dicom`), so a value ends only where the next parameter or entry begins.

use std::fmt;

/// Longest header value or query parameter that is read, in bytes.
const LENGTH_MAX: usize = 16 * 1024;
/// Most entries of one list.
const ENTRIES_MAX: usize = 128;
/// Most parameters of one media type.
const PARAMETERS_MAX: usize = 16;

/// A media type with its parameters. Type, subtype and parameter names are kept in lower case;
/// parameter values as they came, without quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaType {
    essence: String,
    slash: usize,
    parameters: Vec<(String, String)>,
}

/// Why a text is no media type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MediaTypeError {
    /// No `type/subtype`.
    #[error("media type is not of the form type/subtype")]
    Essence,
    /// A parameter without a name or without a value.
    #[error("media type has a malformed parameter")]
    Parameter,
    /// A quoted value that never ends.
    #[error("media type has an unterminated quoted value")]
    Quote,
    /// Longer, or with more entries or parameters, than is read.
    #[error("media type is too long")]
    TooLong,
}

impl MediaType {
    /// Reads one media type, as in Content-Type.
    ///
    /// # Errors
    /// When the text is no media type.
    pub fn parse(text: &str) -> Result<Self, MediaTypeError> {
        if text.len() > LENGTH_MAX {
            return Err(MediaTypeError::TooLong);
        }
        let mut pieces = split(text, ';')?.into_iter();
        let essence = pieces
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        let slash = essence.find('/').ok_or(MediaTypeError::Essence)?;
        let (kind, subtype) = essence.split_at(slash);
        if !is_token(kind) || !is_token(subtype.trim_start_matches('/')) || subtype.len() < 2 {
            return Err(MediaTypeError::Essence);
        }
        let mut parameters = Vec::new();
        for piece in pieces {
            let piece = piece.trim();
            if piece.is_empty() {
                continue;
            }
            if parameters.len() >= PARAMETERS_MAX {
                return Err(MediaTypeError::TooLong);
            }
            parameters.push(parameter(piece)?);
        }
        Ok(Self {
            essence,
            slash,
            parameters,
        })
    }

    /// `type/subtype` in lower case.
    pub fn essence(&self) -> &str {
        &self.essence
    }

    /// The part before the slash.
    pub fn kind(&self) -> &str {
        self.essence.get(..self.slash).unwrap_or_default()
    }

    /// The part after the slash.
    pub fn subtype(&self) -> &str {
        self.essence.get(self.slash + 1..).unwrap_or_default()
    }

    /// The first parameter of this name, which must be given in lower case.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.essence)?;
        for (name, value) in &self.parameters {
            if is_token(value) {
                write!(f, "; {name}={value}")?;
            } else {
                write!(
                    f,
                    "; {name}=\"{}\"",
                    value.replace('\\', "\\\\").replace('"', "\\\"")
                )?;
            }
        }
        Ok(())
    }
}

/// Reads a comma-separated list of media types. Entries that are none are left out, because one
/// slip of a client should not hide what else it can take; the count of them is returned.
///
/// # Errors
/// When the list as a whole cannot be cut into entries.
pub fn parse_list(text: &str) -> Result<(Vec<MediaType>, usize), MediaTypeError> {
    if text.len() > LENGTH_MAX {
        return Err(MediaTypeError::TooLong);
    }
    let entries = split(text, ',')?;
    if entries.len() > ENTRIES_MAX {
        return Err(MediaTypeError::TooLong);
    }
    let mut media_types = Vec::new();
    let mut malformed = 0;
    for entry in entries.into_iter().filter(|entry| !entry.trim().is_empty()) {
        match MediaType::parse(entry) {
            Ok(media_type) => media_types.push(media_type),
            Err(_) => malformed += 1,
        }
    }
    Ok((media_types, malformed))
}

fn parameter(piece: &str) -> Result<(String, String), MediaTypeError> {
    let (name, value) = piece.split_once('=').ok_or(MediaTypeError::Parameter)?;
    let name = name.trim();
    if !is_token(name) {
        return Err(MediaTypeError::Parameter);
    }
    let value = value.trim();
    let value = match value.strip_prefix('"') {
        Some(rest) => unquote(rest)?,
        None if value.is_empty() || value.contains('"') => return Err(MediaTypeError::Parameter),
        None => value.to_owned(),
    };
    Ok((name.to_ascii_lowercase(), value))
}

/// The text of a quoted string after its opening quote; nothing may follow the closing one.
fn unquote(rest: &str) -> Result<String, MediaTypeError> {
    let mut value = String::with_capacity(rest.len());
    let mut characters = rest.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' if characters.as_str().trim().is_empty() => return Ok(value),
            '"' => return Err(MediaTypeError::Parameter),
            '\\' => value.push(characters.next().ok_or(MediaTypeError::Quote)?),
            other => value.push(other),
        }
    }
    Err(MediaTypeError::Quote)
}

/// Cuts at each `separator` that is not inside a quoted string.
fn split(text: &str, separator: char) -> Result<Vec<&str>, MediaTypeError> {
    let mut pieces = Vec::new();
    let (mut start, mut is_quoted, mut is_escaped) = (0, false, false);
    for (at, character) in text.char_indices() {
        if is_escaped {
            is_escaped = false;
        } else if is_quoted && character == '\\' {
            is_escaped = true;
        } else if character == '"' {
            is_quoted = !is_quoted;
        } else if character == separator && !is_quoted {
            pieces.push(text.get(start..at).unwrap_or_default());
            start = at + separator.len_utf8();
        }
    }
    if is_quoted {
        return Err(MediaTypeError::Quote);
    }
    pieces.push(text.get(start..).unwrap_or_default());
    Ok(pieces)
}

/// RFC 9110 §5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quoted_and_unquoted_values_are_the_same() {
        for text in [
            "multipart/related; type=\"application/dicom\"; boundary=\"a b\"",
            "Multipart/Related;Type=\"application/dicom\" ;BOUNDARY=\"a \\b\"",
        ] {
            let media_type = MediaType::parse(text).unwrap();
            assert_eq!(media_type.essence(), "multipart/related");
            assert_eq!(media_type.parameter("type"), Some("application/dicom"));
            assert_eq!(media_type.parameter("boundary"), Some("a b"));
        }
        let unquoted = MediaType::parse("multipart/related; type=application/dicom").unwrap();
        assert_eq!(unquoted.parameter("type"), Some("application/dicom"));
    }

    #[test]
    fn what_is_no_media_type_is_refused() {
        for (text, error) in [
            ("", MediaTypeError::Essence),
            ("text", MediaTypeError::Essence),
            ("text/", MediaTypeError::Essence),
            ("/html", MediaTypeError::Essence),
            ("a b/c", MediaTypeError::Essence),
            ("a/b/c", MediaTypeError::Essence),
            ("text/html; charset", MediaTypeError::Parameter),
            ("text/html; charset=", MediaTypeError::Parameter),
            ("text/html; charset=\"x", MediaTypeError::Quote),
            ("text/html; charset=\"x\"y", MediaTypeError::Parameter),
        ] {
            assert_eq!(MediaType::parse(text), Err(error), "{text:?}");
        }
        let many = format!("a/b{}", ";c=d".repeat(PARAMETERS_MAX + 1));
        assert_eq!(MediaType::parse(&many), Err(MediaTypeError::TooLong));
    }

    #[test]
    fn commas_inside_quotes_do_not_end_an_entry() {
        let (list, malformed) = parse_list("a/b; c=\"d,e\", , nonsense, f/g").unwrap();
        assert_eq!(malformed, 1);
        assert_eq!(list.len(), 2);
        assert_eq!(list[0].parameter("c"), Some("d,e"));
        assert_eq!(list[1].subtype(), "g");
        assert_eq!(list[1].kind(), "f");
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in ".{0,200}") {
            let _ = MediaType::parse(&text);
            let _ = parse_list(&text);
        }

        #[test]
        fn what_is_written_is_read_back(value in "[ -~]{1,30}") {
            let media_type = MediaType {
                essence: "a/b".into(), slash: 1, parameters: vec![("c".into(), value)],
            };
            prop_assert_eq!(MediaType::parse(&media_type.to_string()), Ok(media_type));
        }
    }
}
