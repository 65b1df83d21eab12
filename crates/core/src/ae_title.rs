//! Application Entity titles (PS3.5 §6.2, VR AE; PS3.8 §9.3.2).

use std::fmt;

/// An Application Entity title: 1 to 16 characters of the default repertoire, without backslash
/// and control characters; leading and trailing spaces are not significant and are not kept.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AeTitle(Box<str>);

/// Why a text is no Application Entity title.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AeTitleError {
    /// Nothing but spaces.
    #[error("AE title is blank")]
    Blank,
    /// More than 16 characters after the spaces around it were taken off.
    #[error("AE title {0:?} is longer than 16 characters")]
    TooLong(String),
    /// A backslash, a control character or a character outside ASCII.
    #[error("AE title {0:?} has a character that is not allowed")]
    Character(String),
}

impl AeTitle {
    /// Longest title, in characters.
    pub const LENGTH_MAX: usize = 16;

    /// Takes the spaces (and NUL padding) around `text` away and checks what is left.
    pub fn parse(text: &str) -> Result<Self, AeTitleError> {
        let text = text.trim_matches([' ', '\0']);
        if text.is_empty() {
            return Err(AeTitleError::Blank);
        }
        if !text
            .bytes()
            .all(|byte| (0x20..0x7F).contains(&byte) && byte != b'\\')
        {
            return Err(AeTitleError::Character(text.chars().take(32).collect()));
        }
        if text.len() > Self::LENGTH_MAX {
            return Err(AeTitleError::TooLong(text.chars().take(32).collect()));
        }
        Ok(Self(text.into()))
    }

    /// The title without padding.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The 16 bytes of the association PDUs, padded with spaces.
    pub fn to_padded(&self) -> [u8; 16] {
        let mut padded = [b' '; 16];
        for (to, from) in padded.iter_mut().zip(self.0.bytes()) {
            *to = from;
        }
        padded
    }
}

impl fmt::Display for AeTitle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for AeTitle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AeTitle({:?})", &self.0)
    }
}

impl TryFrom<String> for AeTitle {
    type Error = AeTitleError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<AeTitle> for String {
    fn from(title: AeTitle) -> Self {
        title.0.into()
    }
}

impl std::str::FromStr for AeTitle {
    type Err = AeTitleError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_around_a_title_are_not_significant() {
        assert_eq!(AeTitle::parse("  CT 1  ").unwrap().as_str(), "CT 1");
        assert_eq!(
            &AeTitle::parse("CT").unwrap().to_padded(),
            b"CT              "
        );
    }

    #[test]
    fn blank_long_and_foreign_titles_are_refused() {
        assert_eq!(AeTitle::parse("   "), Err(AeTitleError::Blank));
        assert!(matches!(
            AeTitle::parse("ABCDEFGHIJKLMNOPQ"),
            Err(AeTitleError::TooLong(_))
        ));
        for text in ["A\\B", "A\nB", "Ä"] {
            assert!(
                matches!(AeTitle::parse(text), Err(AeTitleError::Character(_))),
                "{text:?}"
            );
        }
    }
}
