//! Writing text in the character sets of PS3.3 C.12.1.1.2.
//!
//! Deliberately apart from the archive's own character set code: what that code reads here was
//! not written by itself.

use encoding_rs::Encoding;

/// A value of Specific Character Set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repertoire {
    /// No Specific Character Set: ISO 646.
    Ascii,
    Latin1,
    Latin2,
    Cyrillic,
    Arabic,
    Greek,
    Hebrew,
    Turkish,
    /// ISO 2022 with JIS X 0208 in G0 (PS3.5 H.3).
    Japanese,
    /// ISO 2022 with KS X 1001 in G1 (PS3.5 I.2).
    Korean,
    Chinese,
    Utf8,
}

const TO_ASCII: &[u8] = b"\x1B(B";
const TO_JIS_X_0208: &[u8] = b"\x1B$B";
const TO_KS_X_1001: &[u8] = b"\x1B$)C";

impl Repertoire {
    /// The defined term, or nothing when the attribute is to be absent.
    pub(crate) fn defined_term(self) -> Option<&'static str> {
        match self {
            Self::Ascii => None,
            Self::Latin1 => Some("ISO_IR 100"),
            Self::Latin2 => Some("ISO_IR 101"),
            Self::Cyrillic => Some("ISO_IR 144"),
            Self::Arabic => Some("ISO_IR 127"),
            Self::Greek => Some("ISO_IR 126"),
            Self::Hebrew => Some("ISO_IR 138"),
            Self::Turkish => Some("ISO_IR 148"),
            Self::Japanese => Some("\\ISO 2022 IR 87"),
            Self::Korean => Some("\\ISO 2022 IR 149"),
            Self::Chinese => Some("GB18030"),
            Self::Utf8 => Some("ISO_IR 192"),
        }
    }

    /// The text as bytes of a data element.
    pub(crate) fn encode(self, text: &str) -> Vec<u8> {
        match self {
            Self::Ascii | Self::Utf8 => text.as_bytes().to_vec(),
            Self::Japanese => japanese(text),
            Self::Korean => korean(text),
            Self::Latin1 => legacy(encoding_rs::WINDOWS_1252, text),
            Self::Latin2 => legacy(encoding_rs::ISO_8859_2, text),
            Self::Cyrillic => legacy(encoding_rs::ISO_8859_5, text),
            Self::Arabic => legacy(encoding_rs::ISO_8859_6, text),
            Self::Greek => legacy(encoding_rs::ISO_8859_7, text),
            Self::Hebrew => legacy(encoding_rs::ISO_8859_8, text),
            Self::Turkish => legacy(encoding_rs::WINDOWS_1254, text),
            Self::Chinese => legacy(encoding_rs::GB18030, text),
        }
    }
}

fn legacy(encoding: &'static Encoding, text: &str) -> Vec<u8> {
    let (bytes, _, has_unmappable) = encoding.encode(text);
    debug_assert!(!has_unmappable, "{text:?} does not fit {}", encoding.name());
    bytes.into_owned()
}

/// Switches to JIS X 0208 for each run of Japanese and back before anything in ASCII, so that
/// every delimiter and every end is reached in the initial state.
fn japanese(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut is_shifted = false;
    for character in text.chars() {
        if character.is_ascii() == is_shifted {
            bytes.extend_from_slice(if is_shifted { TO_ASCII } else { TO_JIS_X_0208 });
            is_shifted = !is_shifted;
        }
        let euc = legacy(encoding_rs::EUC_JP, character.encode_utf8(&mut [0; 4]));
        bytes.extend(euc.iter().map(|byte| byte & 0x7F));
    }
    if is_shifted {
        bytes.extend_from_slice(TO_ASCII);
    }
    bytes
}

/// Announces KS X 1001 at the start and again after each delimiter, where the designation is
/// forgotten (PS3.5 6.1.2.5.3).
fn korean(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in text.split_inclusive(['^', '=', '\\', '\n']) {
        if !part.is_ascii() {
            bytes.extend_from_slice(TO_KS_X_1001);
        }
        bytes.extend(legacy(encoding_rs::EUC_KR, part));
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn japanese_is_written_as_in_ps3_5_h_3_1() {
        let bytes = Repertoire::Japanese.encode("Yamada^Tarou=山田^太郎=やまだ^たろう");
        let expected =
            b"Yamada^Tarou=\x1B$B;3ED\x1B(B^\x1B$BB@O:\x1B(B=\x1B$B$d$^$@\x1B(B^\x1B$B$?$m$&\x1B(B";
        assert_eq!(bytes, expected);
    }

    #[test]
    fn korean_is_written_as_in_ps3_5_i_2() {
        let bytes = Repertoire::Korean.encode("Hong^Gildong=洪^吉洞=홍^길동");
        let expected: &[u8] = b"Hong^Gildong=\x1B$)C\xFB\xF3^\x1B$)C\xD1\xCE\xD4\xD7=\x1B$)C\xC8\xAB^\x1B$)C\xB1\xE6\xB5\xBF";
        assert_eq!(bytes, expected);
    }

    #[test]
    fn single_byte_sets_use_the_upper_half() {
        assert_eq!(Repertoire::Cyrillic.encode("Люк"), b"\xBB\xEE\xDA");
        assert_eq!(Repertoire::Greek.encode("Δ"), b"\xC4");
        assert_eq!(Repertoire::Latin1.encode("ü"), b"\xFC");
    }
}
