//! Reading of JSON text (RFC 8259) piece by piece, with numbers as they are written.

use crate::model::ModelErrorKind;
use std::borrow::Cow;

/// A value that is no object and no array, as it is written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Scalar<'a> {
    Null,
    Bool,
    /// The number's text.
    Number(&'a str),
    String(Cow<'a, str>),
}

/// Where reading is.
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Bytes read so far.
    pub(super) fn offset(&self) -> usize {
        self.at
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// The next byte that is no white space, which stays.
    pub(super) fn peek(&mut self) -> Option<u8> {
        let rest = self.rest().as_bytes();
        let is_space = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        let spaces = rest.iter().take_while(is_space).count();
        self.at += spaces;
        rest.get(spaces).copied()
    }

    /// Takes a byte if it is the next one.
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    /// Takes a byte that has to be the next one.
    pub(super) fn expect(&mut self, byte: u8, name: &'static str) -> Result<(), ModelErrorKind> {
        if self.take(byte) {
            Ok(())
        } else {
            Err(self.unexpected(name))
        }
    }

    /// The error for another thing than what belongs here.
    pub(super) fn unexpected(&mut self, name: &'static str) -> ModelErrorKind {
        match self.peek() {
            Some(_) => ModelErrorKind::Expected(name),
            None => ModelErrorKind::Truncated,
        }
    }

    /// The next member of an object whose brace is open: its name, or nothing at its end.
    /// `is_first` is before the first member.
    pub(super) fn member(
        &mut self,
        is_first: bool,
    ) -> Result<Option<Cow<'a, str>>, ModelErrorKind> {
        if !self.next_in(b'}', is_first)? {
            return Ok(None);
        }
        let name = self.string()?;
        self.expect(b':', "a colon")?;
        Ok(Some(name))
    }

    /// Whether there is another element of an array whose bracket is open.
    pub(super) fn element(&mut self, is_first: bool) -> Result<bool, ModelErrorKind> {
        self.next_in(b']', is_first)
    }

    fn next_in(&mut self, end: u8, is_first: bool) -> Result<bool, ModelErrorKind> {
        if self.take(end) {
            return Ok(false);
        }
        if !is_first {
            self.expect(b',', "a comma")?;
        }
        Ok(true)
    }

    /// A string.
    pub(super) fn string(&mut self) -> Result<Cow<'a, str>, ModelErrorKind> {
        self.expect(b'"', "a string")?;
        let rest = self.rest();
        let plain = plain_length(rest);
        if rest.as_bytes().get(plain) == Some(&b'"') {
            self.at += plain + 1;
            return Ok(Cow::Borrowed(rest.get(..plain).unwrap_or_default()));
        }
        let mut text = String::new();
        loop {
            let rest = self.rest();
            let plain = plain_length(rest);
            text.push_str(rest.get(..plain).unwrap_or_default());
            self.at += plain + 1;
            match rest.as_bytes().get(plain) {
                Some(b'"') => return Ok(Cow::Owned(text)),
                Some(b'\\') => text.push(self.escaped()?),
                Some(_) => return Err(ModelErrorKind::Expected("no control character")),
                None => return Err(ModelErrorKind::Truncated),
            }
        }
    }

    /// The character of an escape sequence whose backslash was taken.
    fn escaped(&mut self) -> Result<char, ModelErrorKind> {
        let byte = *self
            .rest()
            .as_bytes()
            .first()
            .ok_or(ModelErrorKind::Truncated)?;
        let char = match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{C}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                self.at += 1;
                return self.escaped_code();
            }
            _ => return Err(ModelErrorKind::Expected("an escape sequence")),
        };
        self.at += 1;
        Ok(char)
    }

    /// One `\uXXXX` or a surrogate pair of them; half a pair is U+FFFD.
    fn escaped_code(&mut self) -> Result<char, ModelErrorKind> {
        let first = self.code_unit()?;
        if !(0xD800..0xDC00).contains(&first) {
            return Ok(char::from_u32(first).unwrap_or('\u{FFFD}'));
        }
        let before = self.at;
        if self.rest().starts_with("\\u") {
            self.at += 2;
            let second = self.code_unit()?;
            if (0xDC00..0xE000).contains(&second) {
                let code = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
                return Ok(char::from_u32(code).unwrap_or('\u{FFFD}'));
            }
            self.at = before;
        }
        Ok('\u{FFFD}')
    }

    fn code_unit(&mut self) -> Result<u32, ModelErrorKind> {
        let digits = self
            .rest()
            .get(..4)
            .ok_or(ModelErrorKind::Expected("four digits"))?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(ModelErrorKind::Expected("four digits"));
        }
        self.at += 4;
        u32::from_str_radix(digits, 16).map_err(|_| ModelErrorKind::Expected("four digits"))
    }

    /// A value that is no object and no array.
    pub(super) fn scalar(&mut self) -> Result<Scalar<'a>, ModelErrorKind> {
        match self.peek() {
            Some(b'"') => self.string().map(Scalar::String),
            Some(b'-' | b'0'..=b'9') => self.number().map(Scalar::Number),
            _ => {
                for (word, scalar) in [
                    ("null", Scalar::Null),
                    ("true", Scalar::Bool),
                    ("false", Scalar::Bool),
                ] {
                    if self.rest().starts_with(word) {
                        self.at += word.len();
                        return Ok(scalar);
                    }
                }
                Err(self.unexpected("a value"))
            }
        }
    }

    fn number(&mut self) -> Result<&'a str, ModelErrorKind> {
        let rest = self.rest();
        let is_part = |byte: u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
        let length = rest.bytes().take_while(|byte| is_part(*byte)).count();
        let number = rest.get(..length).unwrap_or_default();
        if !is_number(number.as_bytes()) {
            return Err(ModelErrorKind::Expected("a number"));
        }
        self.at += length;
        Ok(number)
    }

    /// Passes over a value of any kind.
    pub(super) fn skip(&mut self, depth: usize) -> Result<(), ModelErrorKind> {
        let is_object = match self.peek() {
            Some(b'{') => true,
            Some(b'[') => false,
            _ => return self.scalar().map(|_| ()),
        };
        let depth = depth.checked_sub(1).ok_or(ModelErrorKind::TooDeep)?;
        self.at += 1;
        let mut is_first = true;
        while if is_object {
            self.member(is_first)?.is_some()
        } else {
            self.element(is_first)?
        } {
            self.skip(depth)?;
            is_first = false;
        }
        Ok(())
    }
}

/// Bytes before a quotation mark, a backslash or a control character.
fn plain_length(text: &str) -> usize {
    let is_special = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    text.bytes().position(is_special).unwrap_or(text.len())
}

/// The grammar of RFC 8259 §6.
fn is_number(text: &[u8]) -> bool {
    fn digits(text: &[u8]) -> Option<&[u8]> {
        let length = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if length == 0 {
            None
        } else {
            text.get(length..)
        }
    }
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let rest = match text {
        [b'0', rest @ ..] => Some(rest),
        _ => digits(text),
    };
    let rest = rest.and_then(|rest| match rest.strip_prefix(b".") {
        Some(fraction) => digits(fraction),
        None => Some(rest),
    });
    let rest = rest.and_then(|rest| match rest {
        [b'e' | b'E', b'+' | b'-', exponent @ ..] | [b'e' | b'E', exponent @ ..] => {
            digits(exponent)
        }
        _ => Some(rest),
    });
    rest.is_some_and(<[u8]>::is_empty)
}
