//! Single-byte sets and code extensions after ISO/IEC 2022 (PS3.5 §6.1.2.4, §6.1.2.5).
//!
//! Bytes below 128 are read in the code element G0, those above in G1. Escape sequences put
//! another set in one of the two; delimiters and control characters put back the initial ones.

mod encode;

pub(super) use encode::encode;

use super::single_byte;
use super::term::Term;
use super::{CharacterSet, Delimiters};
use encoding_rs::Encoding;

/// Begins an escape sequence.
pub(super) const ESC: u8 = 0x1B;

const REPLACEMENT: char = '\u{FFFD}';
/// U+FF61, the first half-width katakana, is 0x21 in ISO-IR 13.
const KANA_FIRST: u32 = 0xFF61;

/// A set of graphic characters that a code element can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Graphic {
    Ascii,
    /// ISO-IR 14, JIS X 0201 romaji.
    Romaji,
    /// ISO-IR 13, JIS X 0201 katakana.
    Katakana,
    /// The right half of an ISO 8859 part or TIS 620.
    Upper(Term),
    Double(Double),
}

/// A set of 94 × 94 characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Double {
    Jis0208,
    Jis0212,
    Ksx1001,
    Gb2312,
}

impl Double {
    /// The encoding that holds the set in its upper half, and the byte that goes before a pair.
    fn carrier(self) -> (&'static Encoding, Option<u8>) {
        match self {
            Self::Jis0208 => (encoding_rs::EUC_JP, None),
            Self::Jis0212 => (encoding_rs::EUC_JP, Some(0x8F)),
            Self::Ksx1001 => (encoding_rs::EUC_KR, None),
            Self::Gb2312 => (encoding_rs::GBK, None),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    G0,
    G1,
}

/// What the two code elements hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    g0: Graphic,
    g1: Option<Graphic>,
}

/// Escape sequences without the escape character: PS3.3 tables C.12-3 and C.12-4, then others
/// that name the same sets and that senders mix up with them.
const DESIGNATIONS: &[(&[u8], Slot, Graphic)] = &[
    (b"(B", Slot::G0, Graphic::Ascii),
    (b"(J", Slot::G0, Graphic::Romaji),
    (b")I", Slot::G1, Graphic::Katakana),
    (b"-A", Slot::G1, Graphic::Upper(Term::Ir100)),
    (b"-B", Slot::G1, Graphic::Upper(Term::Ir101)),
    (b"-C", Slot::G1, Graphic::Upper(Term::Ir109)),
    (b"-D", Slot::G1, Graphic::Upper(Term::Ir110)),
    (b"-L", Slot::G1, Graphic::Upper(Term::Ir144)),
    (b"-G", Slot::G1, Graphic::Upper(Term::Ir127)),
    (b"-F", Slot::G1, Graphic::Upper(Term::Ir126)),
    (b"-H", Slot::G1, Graphic::Upper(Term::Ir138)),
    (b"-M", Slot::G1, Graphic::Upper(Term::Ir148)),
    (b"-b", Slot::G1, Graphic::Upper(Term::Ir203)),
    (b"-T", Slot::G1, Graphic::Upper(Term::Ir166)),
    (b"$B", Slot::G0, Graphic::Double(Double::Jis0208)),
    (b"$(D", Slot::G0, Graphic::Double(Double::Jis0212)),
    (b"$)C", Slot::G1, Graphic::Double(Double::Ksx1001)),
    (b"$)A", Slot::G1, Graphic::Double(Double::Gb2312)),
    (b"$@", Slot::G0, Graphic::Double(Double::Jis0208)),
    (b"$(B", Slot::G0, Graphic::Double(Double::Jis0208)),
    (b"$)B", Slot::G1, Graphic::Double(Double::Jis0208)),
    (b"$)D", Slot::G1, Graphic::Double(Double::Jis0212)),
    (b"$(C", Slot::G0, Graphic::Double(Double::Ksx1001)),
    (b"$(A", Slot::G0, Graphic::Double(Double::Gb2312)),
    (b"$A", Slot::G0, Graphic::Double(Double::Gb2312)),
    (b"(I", Slot::G0, Graphic::Katakana),
    (b")B", Slot::G1, Graphic::Ascii),
    (b")J", Slot::G1, Graphic::Romaji),
];

impl State {
    fn initial(set: CharacterSet) -> Self {
        let (g0, g1) = match set.initial {
            Term::Ir13 => (Graphic::Romaji, Some(Graphic::Katakana)),
            Term::Ir6 => (Graphic::Ascii, None),
            other => (Graphic::Ascii, Some(Graphic::Upper(other))),
        };
        Self { g0, g1 }
    }

    /// What bytes above 127 mean before any escape sequence when value 1 has no such bytes:
    /// Korean and Chinese devices leave the sequence out.
    fn assumed(set: CharacterSet) -> Option<Graphic> {
        match (set.declares(Term::Ir149), set.declares(Term::Ir58)) {
            (true, false) => Some(Graphic::Double(Double::Ksx1001)),
            (false, true) => Some(Graphic::Double(Double::Gb2312)),
            _ => None,
        }
    }

    fn designate(&mut self, slot: Slot, graphic: Graphic) {
        match slot {
            Slot::G0 => self.g0 = graphic,
            Slot::G1 => self.g1 = Some(graphic),
        }
    }
}

/// Decodes a value field.
pub(super) fn decode(set: CharacterSet, bytes: &[u8], delimiters: Delimiters) -> String {
    let initial = State::initial(set);
    let assumed = State::assumed(set);
    let mut state = initial;
    let mut text = String::with_capacity(bytes.len() + bytes.len() / 2);
    let mut rest = bytes;
    while let Some((&byte, after)) = rest.split_first() {
        rest = match byte {
            ESC => escape(&mut state, after, &mut text),
            0..=0x1F => {
                state = initial;
                text.push(char::from(byte));
                after
            }
            0x20 | 0x7F => {
                text.push(char::from(byte));
                after
            }
            0x21..=0x7E => {
                if is_delimiter(state.g0, byte, delimiters) {
                    state = initial;
                    text.push(char::from(byte));
                    after
                } else {
                    graphic(state.g0, rest, &mut text)
                }
            }
            _ => match state.g1.or(assumed) {
                Some(g1) => graphic(g1, rest, &mut text),
                None => replace(after, &mut text),
            },
        };
    }
    text
}

/// In a double-byte set the bytes of the delimiters are halves of characters.
fn is_delimiter(g0: Graphic, byte: u8, delimiters: Delimiters) -> bool {
    matches!(g0, Graphic::Ascii | Graphic::Romaji) && delimiters.contains(byte)
}

fn replace<'a>(rest: &'a [u8], text: &mut String) -> &'a [u8] {
    text.push(REPLACEMENT);
    rest
}

fn escape<'a>(state: &mut State, rest: &'a [u8], text: &mut String) -> &'a [u8] {
    for (sequence, slot, graphic) in DESIGNATIONS {
        if let Some(rest) = rest.strip_prefix(*sequence) {
            state.designate(*slot, *graphic);
            return rest;
        }
    }
    replace(rest, text)
}

/// Decodes one character, or a run of double-byte ones, and returns what follows.
fn graphic<'a>(graphic: Graphic, bytes: &'a [u8], text: &mut String) -> &'a [u8] {
    let Some((&byte, rest)) = bytes.split_first() else {
        return bytes;
    };
    let low = byte & 0x7F;
    match graphic {
        Graphic::Ascii => text.push(char::from(low)),
        Graphic::Romaji => text.push(romaji(low)),
        Graphic::Katakana => text.push(katakana(low)),
        Graphic::Upper(term) => {
            text.push(single_byte::table(term).map_or(REPLACEMENT, |table| table.decode(byte)));
        }
        Graphic::Double(double) => return run(double, bytes, text),
    }
    rest
}

fn romaji(byte: u8) -> char {
    match byte {
        b'\\' => '¥',
        b'~' => '\u{203E}',
        _ => char::from(byte),
    }
}

fn katakana(byte: u8) -> char {
    match byte {
        0x21..=0x5F => char::from_u32(KANA_FIRST + u32::from(byte) - 0x21).unwrap_or(REPLACEMENT),
        _ => REPLACEMENT,
    }
}

/// Decodes pairs of bytes up to the first that is none.
fn run<'a>(double: Double, bytes: &'a [u8], text: &mut String) -> &'a [u8] {
    let (encoding, prefix) = double.carrier();
    let mut carried = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    // Both bytes of a pair come from the half that the first one is from.
    let high = bytes.first().map_or(0, |byte| byte & 0x80);
    let is_half = |byte: u8| byte & 0x80 == high && (0x21..=0x7E).contains(&(byte & 0x7F));
    while let [first, second, after @ ..] = rest {
        if !is_half(*first) || !is_half(*second) {
            break;
        }
        carried.extend(prefix);
        carried.extend([first | 0x80, second | 0x80]);
        rest = after;
    }
    if carried.is_empty() {
        return replace(rest.get(1..).unwrap_or_default(), text);
    }
    text.push_str(&encoding.decode_without_bom_handling(&carried).0);
    rest
}
