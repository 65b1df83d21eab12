//! Tables of the single-byte sets: what the bytes 128 to 255 mean.

use super::term::Term;
use encoding_rs::Encoding;
use std::sync::LazyLock;

/// The upper half of a single-byte set.
#[derive(Debug)]
pub(super) struct Upper([char; 128]);

impl Upper {
    fn read(encoding: &'static Encoding) -> Self {
        let mut chars = ['\u{FFFD}'; 128];
        for (byte, slot) in (0x80u8..=0xFF).zip(chars.iter_mut()) {
            let one = [byte];
            let (text, _) = encoding.decode_without_bom_handling(&one);
            *slot = text.chars().next().unwrap_or('\u{FFFD}');
        }
        Self(chars)
    }

    /// The character of a byte above 127.
    pub(super) fn decode(&self, byte: u8) -> char {
        self.0
            .get(usize::from(byte & 0x7F))
            .copied()
            .unwrap_or('\u{FFFD}')
    }

    /// The byte of a character; never one of the control range.
    pub(super) fn encode(&self, char: char) -> Option<u8> {
        if char == '\u{FFFD}' {
            return None;
        }
        let at = self.0.iter().skip(0x20).position(|other| *other == char)?;
        u8::try_from(0xA0 + at).ok()
    }
}

macro_rules! upper {
    ($($term:ident $table:ident $encoding:ident),*) => {
        $(static $table: LazyLock<Upper> =
            LazyLock::new(|| Upper::read(encoding_rs::$encoding));)*

        /// The table of a term that is a single-byte set of 96 characters.
        pub(super) fn table(term: Term) -> Option<&'static Upper> {
            match term {
                $(Term::$term => Some(&$table),)*
                _ => None,
            }
        }
    };
}

// The Windows supersets differ in 128 to 159 alone, which DICOM does not allow and which the field
// fills with Windows' characters.
upper!(
    Ir100 IR_100 WINDOWS_1252,
    Ir101 IR_101 ISO_8859_2,
    Ir109 IR_109 ISO_8859_3,
    Ir110 IR_110 ISO_8859_4,
    Ir144 IR_144 ISO_8859_5,
    Ir127 IR_127 ISO_8859_6,
    Ir126 IR_126 ISO_8859_7,
    Ir138 IR_138 ISO_8859_8,
    Ir148 IR_148 WINDOWS_1254,
    Ir203 IR_203 ISO_8859_15,
    Ir166 IR_166 WINDOWS_874
);
