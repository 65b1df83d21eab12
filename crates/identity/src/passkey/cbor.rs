//! As much of CBOR (RFC 8949) as WebAuthn needs: definite lengths, and maps of few entries.

use crate::error::{IdentityError, Result};

/// How deep values may be nested.
const DEPTH_MAX: usize = 8;
/// Entries of a map or array.
const ENTRIES_MAX: u64 = 256;

/// A value, as far as anything here looks at it.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    Integer(i64),
    Bytes(&'a [u8]),
    Text(&'a str),
    Map(Vec<(Self, Self)>),
    /// Anything else.
    Other,
}

impl<'a> Value<'a> {
    /// Reads one value; returns what follows it as well.
    pub fn read(bytes: &'a [u8]) -> Result<(Self, &'a [u8])> {
        let mut reader = Reader(bytes);
        let value = reader.value(0)?;
        Ok((value, reader.0))
    }

    /// The value of a text key.
    pub fn named(&self, key: &str) -> Option<&Self> {
        self.find(|found| matches!(found, Value::Text(text) if *text == key))
    }

    /// The value of a number key.
    pub fn numbered(&self, key: i64) -> Option<&Self> {
        self.find(|found| *found == Value::Integer(key))
    }

    fn find(&self, is_key: impl Fn(&Self) -> bool) -> Option<&Self> {
        let Self::Map(entries) = self else {
            return None;
        };
        let mut entries = entries.iter();
        entries.find(|(key, _)| is_key(key)).map(|(_, value)| value)
    }

    /// As bytes.
    pub fn bytes(&self) -> Option<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or_else(malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    /// The major type and the argument.
    fn head(&mut self) -> Result<(u8, u64)> {
        let first = self.take(1)?.first().copied().unwrap_or(0);
        let length = match first & 31 {
            small @ 0..=23 => return Ok((first >> 5, u64::from(small))),
            24 => 1,
            25 => 2,
            26 => 4,
            27 => 8,
            _ => return Err(malformed()),
        };
        let argument = self
            .take(length)?
            .iter()
            .fold(0u64, |number, byte| (number << 8) | u64::from(*byte));
        Ok((first >> 5, argument))
    }

    fn value(&mut self, depth: usize) -> Result<Value<'a>> {
        if depth > DEPTH_MAX {
            return Err(malformed());
        }
        let (major, argument) = self.head()?;
        let length = || usize::try_from(argument).map_err(|_| malformed());
        let number = || i64::try_from(argument).map_err(|_| malformed());
        Ok(match major {
            0 => Value::Integer(number()?),
            1 => Value::Integer(-1 - number()?),
            2 => Value::Bytes(self.take(length()?)?),
            3 => {
                let text = self.take(length()?)?;
                Value::Text(std::str::from_utf8(text).map_err(|_| malformed())?)
            }
            4 | 5 if argument > ENTRIES_MAX => return Err(malformed()),
            4 => {
                for _ in 0..argument {
                    self.value(depth + 1)?;
                }
                Value::Other
            }
            5 => {
                let mut entries = Vec::new();
                for _ in 0..argument {
                    let key = self.value(depth + 1)?;
                    entries.push((key, self.value(depth + 1)?));
                }
                Value::Map(entries)
            }
            6 => self.value(depth + 1)?,
            _ => Value::Other,
        })
    }
}

fn malformed() -> IdentityError {
    IdentityError::invalid("the passkey's answer cannot be read")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_are_read() {
        // {"a": -7, 1: h'0102', 3: [1, true]} and one byte more.
        let bytes = [
            0xA3, 0x61, b'a', 0x26, 0x01, 0x42, 1, 2, 0x03, 0x82, 0x01, 0xF5, 9,
        ];
        let (value, rest) = Value::read(&bytes).unwrap();
        assert_eq!(value.named("a"), Some(&Value::Integer(-7)));
        assert_eq!(value.numbered(1).and_then(Value::bytes), Some(&[1, 2][..]));
        assert_eq!(value.numbered(3), Some(&Value::Other));
        assert_eq!(rest, [9]);
        assert!(Value::read(&[0x5B, 255, 255, 255, 255, 255, 255, 255, 255]).is_err());
        assert!(Value::read(&[0x81; 100]).is_err());
        assert!(Value::read(&[]).is_err());
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes: Vec<u8>) {
            let _ = Value::read(&bytes);
        }
    }
}
