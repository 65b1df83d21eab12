//! Unique identifiers (PS3.5 §9 and §6.2, VR UI).

use std::fmt;

/// A unique identifier as it was received, without its padding.
///
/// [`Uid::parse`] accepts what PS3.5 §9.1 allows. [`Uid::parse_lenient`] also accepts what the
/// field sends (leading zeros in a component, other printable characters) as long as it can be
/// kept and compared unchanged; [`Uid::is_conformant`] tells the two apart.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Uid(Box<str>);

/// Why a text is no unique identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UidError {
    /// No characters.
    #[error("UID is empty")]
    Empty,
    /// More than 64 characters.
    #[error("UID is longer than 64 characters")]
    TooLong,
    /// Something else than dot-separated numbers without leading zeros.
    #[error("UID {0:?} is not made of dot-separated numbers")]
    Malformed(String),
}

impl Uid {
    /// Longest identifier, in characters.
    pub const LENGTH_MAX: usize = 64;

    /// Checks the rules of PS3.5 §9.1 after the padding (NUL, and the space that some senders
    /// use instead) was taken off the end.
    pub fn parse(text: &str) -> Result<Self, UidError> {
        let uid = Self::parse_lenient(text)?;
        if uid.is_conformant() {
            Ok(uid)
        } else {
            Err(UidError::Malformed(uid.0.into()))
        }
    }

    /// Accepts up to 64 printable ASCII characters without space, backslash, slash and quote, so
    /// that a sender's mistake survives unchanged.
    pub fn parse_lenient(text: &str) -> Result<Self, UidError> {
        let text = text.trim_end_matches(['\0', ' ']).trim_start_matches(' ');
        if text.is_empty() {
            return Err(UidError::Empty);
        }
        if text.len() > Self::LENGTH_MAX {
            return Err(UidError::TooLong);
        }
        let plain = |byte: u8| {
            byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'/' | b'"' | b'*' | b'?')
        };
        if !text.bytes().all(plain) || text.bytes().all(|byte| byte == b'.') {
            return Err(UidError::Malformed(text.chars().take(64).collect()));
        }
        Ok(Self(text.into()))
    }

    /// Whether the identifier obeys PS3.5 §9.1.
    pub fn is_conformant(&self) -> bool {
        self.0.split('.').all(|component| {
            !component.is_empty()
                && component.bytes().all(|byte| byte.is_ascii_digit())
                && (component.len() == 1 || !component.starts_with('0'))
        })
    }

    /// The identifier without padding.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A new identifier under 2.25 from 128 random bits (PS3.5 B.2).
    pub fn from_random(bits: u128) -> Self {
        Self(format!("2.25.{bits}").into())
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Uid({})", &self.0)
    }
}

impl AsRef<str> for Uid {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Uid {
    type Error = UidError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse_lenient(&text)
    }
}

impl From<Uid> for String {
    fn from(uid: Uid) -> Self {
        uid.0.into()
    }
}

impl std::str::FromStr for Uid {
    type Err = UidError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse_lenient(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_taken_off() {
        assert_eq!(Uid::parse("1.2.840\0").unwrap().as_str(), "1.2.840");
        assert_eq!(Uid::parse("1.2.840 ").unwrap().as_str(), "1.2.840");
    }

    #[test]
    fn mistakes_of_senders_are_kept_but_told_apart() {
        for text in ["1.02.3", "1..2", "1.2.", "1.2.x-3"] {
            assert!(Uid::parse(text).is_err(), "{text}");
            let lenient = Uid::parse_lenient(text).unwrap();
            assert_eq!(lenient.as_str(), text);
            assert!(!lenient.is_conformant());
        }
    }

    #[test]
    fn what_cannot_be_kept_is_refused() {
        assert_eq!(Uid::parse_lenient("  "), Err(UidError::Empty));
        assert_eq!(Uid::parse_lenient(&"1".repeat(65)), Err(UidError::TooLong));
        for text in ["1.2\\3", "../x", "1.2\u{1}", "..", "1.*"] {
            assert!(Uid::parse_lenient(text).is_err(), "{text:?}");
        }
    }
}
