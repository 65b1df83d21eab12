//! Specific Character Set (0008,0005): from bytes to text and back (PS3.3 C.12.1.1.2, PS3.5 §6.1).
//!
//! Decoding never fails. Escape sequences are obeyed whether or not they were declared, a term
//! that is misspelt is taken for the one that was meant, and bytes that mean nothing become
//! U+FFFD. Bytes above 127 where no character set, or an unknown one, was declared are read as
//! UTF-8 when they are valid UTF-8 and as Latin-1 otherwise.
//!
//! Encoding is strict: it yields what the declared character sets can carry, or nothing.

mod iso2022;
mod single_byte;
mod term;

use crate::data_set::DataSet;
use crate::{Vr, tags};
use std::borrow::Cow;
use term::Term;

/// The character set in force for the text of a data set or an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CharacterSet {
    /// Value 1, or the default repertoire.
    initial: Term,
    /// Value 2 and on, as bits of [`Term::bit`].
    extensions: u32,
    /// Whether escape sequences may be written.
    is_extended: bool,
}

/// Where the initial character set comes back into force by itself (PS3.5 §6.1.2.5.3), and what
/// the byte 05/12 is, by VR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Delimiters {
    /// LT, ST, UT: control characters only; the value is one.
    Controls,
    /// LO, SH, UC: also between values.
    Values,
    /// PN: also between components and component groups.
    PersonName,
}

impl Delimiters {
    fn of(vr: Vr) -> Self {
        match vr {
            Vr::PN => Self::PersonName,
            vr if is_single_valued(vr) => Self::Controls,
            _ => Self::Values,
        }
    }

    fn contains(self, byte: u8) -> bool {
        match byte {
            b'\\' => self != Self::Controls,
            b'^' | b'=' => self == Self::PersonName,
            _ => false,
        }
    }
}

/// Whether a backslash is part of the text and no delimiter (PS3.5 §6.4).
pub fn is_single_valued(vr: Vr) -> bool {
    matches!(vr, Vr::LT | Vr::ST | Vr::UT | Vr::UR)
}

/// Whether Specific Character Set rules the VR (PS3.5 §6.1.2.3); others are ASCII.
pub fn is_affected(vr: Vr) -> bool {
    matches!(
        vr,
        Vr::LO | Vr::LT | Vr::PN | Vr::SH | Vr::ST | Vr::UC | Vr::UT
    )
}

impl Default for CharacterSet {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl CharacterSet {
    /// The default repertoire, ISO-IR 6: in force where nothing was declared.
    pub const DEFAULT: Self = Self {
        initial: Term::Ir6,
        extensions: 0,
        is_extended: false,
    };
    /// ISO_IR 192, Unicode in UTF-8.
    pub const UTF_8: Self = Self {
        initial: Term::Ir192,
        extensions: 0,
        is_extended: false,
    };

    /// Reads the value of (0008,0005), with or without padding.
    pub fn parse(value: &[u8]) -> Self {
        let mut set = Self::DEFAULT;
        // More values than there are terms repeat themselves.
        for (index, name) in value.split(|&byte| byte == b'\\').take(32).enumerate() {
            let name = String::from_utf8_lossy(name);
            let (term, is_iso2022) = term::recognise(&name);
            set.is_extended |= is_iso2022 || index > 0;
            if term.is_whole_value() {
                // These may not be combined (PS3.3 C.12.1.1.2); whoever does has written UTF-8
                // or GB18030 nevertheless.
                return Self {
                    initial: term,
                    extensions: 0,
                    is_extended: false,
                };
            }
            match index {
                0 if term.may_be_initial() => set.initial = term,
                _ => set.extensions |= term.bit(),
            }
        }
        set
    }

    /// The character set a data set declares, or the default repertoire.
    pub fn of(data_set: &DataSet) -> Self {
        Self::for_item(Self::DEFAULT, data_set)
    }

    /// The character set of an item: its own, or that of what it lies in (PS3.5 §7.5.3).
    pub fn for_item(parent: Self, item: &DataSet) -> Self {
        match item.bytes(tags::SPECIFIC_CHARACTER_SET) {
            Some(value) if !value.trim_ascii().is_empty() => Self::parse(value),
            _ => parent,
        }
    }

    /// Whether text is UTF-8.
    pub fn is_utf8(self) -> bool {
        self.initial == Term::Ir192
    }

    /// Whether text can be ASCII only.
    pub fn is_default(self) -> bool {
        self.initial == Term::Ir6 && self.extensions & !Term::Ir6.bit() == 0
    }

    /// The value of (0008,0005) that declares this character set, in the standard's spelling;
    /// empty for the default repertoire.
    ///
    /// `None` for a character set that was understood but is none of the standard's.
    pub fn to_value(self) -> Option<String> {
        if !self.is_extended {
            return self.initial.name(false);
        }
        let mut value = self.initial.name(true)?;
        for term in Term::EXTENSIONS
            .into_iter()
            .filter(|term| self.declares(*term))
        {
            value.push('\\');
            value.push_str(&term.name(true)?);
        }
        Some(value)
    }

    fn declares(self, term: Term) -> bool {
        self.extensions & term.bit() != 0
    }

    /// Text of a value field, with its padding; a multi-valued one with backslashes between the
    /// values, and no other backslash in it.
    pub fn decode(self, bytes: &[u8], vr: Vr) -> Cow<'_, str> {
        if let Some(text) = self.plain(bytes, vr) {
            return Cow::Borrowed(text);
        }
        match self.initial {
            Term::Ir192 => String::from_utf8_lossy(bytes),
            Term::Gb18030 => encoding_rs::GB18030.decode_without_bom_handling(bytes).0,
            Term::Gbk => encoding_rs::GBK.decode_without_bom_handling(bytes).0,
            Term::Foreign(encoding) => encoding.decode_without_bom_handling(bytes).0,
            Term::Ir6 if self.extensions == 0 && !bytes.contains(&iso2022::ESC) => guess(bytes),
            _ => Cow::Owned(iso2022::decode(self, bytes, Delimiters::of(vr))),
        }
    }

    /// The bytes as text when they are ASCII and mean ASCII: nearly always.
    fn plain(self, bytes: &[u8], vr: Vr) -> Option<&str> {
        if !bytes.is_ascii() || bytes.contains(&iso2022::ESC) {
            return None;
        }
        // ISO-IR 14 has a yen sign for the backslash and an overline for the tilde.
        let differs = |byte: &u8| matches!(byte, b'\\' | b'~');
        if self.initial == Term::Ir13 && is_affected(vr) && bytes.iter().any(differs) {
            return None;
        }
        std::str::from_utf8(bytes).ok()
    }

    /// Text as a value field without padding; the values of a multi-valued one have backslashes
    /// between them. `None` when a character is not in the declared character sets.
    pub fn encode(self, text: &str, vr: Vr) -> Option<Vec<u8>> {
        let is_same = !(self.initial == Term::Ir13 && is_affected(vr));
        if is_same && text.is_ascii() && !text.as_bytes().contains(&iso2022::ESC) {
            return Some(text.as_bytes().to_vec());
        }
        if self.is_utf8() {
            return Some(text.as_bytes().to_vec());
        }
        if !is_affected(vr) {
            return None;
        }
        match self.initial {
            Term::Gb18030 => whole_value(encoding_rs::GB18030, text),
            // The one byte that the web's GBK has for the euro sign is no GBK.
            Term::Gbk if text.contains('€') => None,
            Term::Gbk => whole_value(encoding_rs::GBK, text),
            Term::Foreign(_) => None,
            _ => iso2022::encode(self, text, Delimiters::of(vr)),
        }
    }
}

fn whole_value(encoding: &'static encoding_rs::Encoding, text: &str) -> Option<Vec<u8>> {
    let (bytes, _, has_unmappable) = encoding.encode(text);
    (!has_unmappable).then(|| bytes.into_owned())
}

/// What undeclared bytes above 127 most likely are.
fn guess(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => {
            encoding_rs::WINDOWS_1252
                .decode_without_bom_handling(bytes)
                .0
        }
    }
}

#[cfg(test)]
mod tests;
