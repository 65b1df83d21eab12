//! Single-byte sets and code extensions after ISO/IEC 2022 (PS3.5 §6.1.2.4, §6.1.2.5).
//!
//! Bytes below 128 are read in the code element G0, those above in G1. Escape sequences put
//! another set in one of the two; delimiters and control characters put back the initial ones.

use super::single_byte::{self, Upper};
use super::term::Term;
use super::{CharacterSet, Delimiters};
use encoding_rs::Encoding;
use std::collections::HashMap;
use std::sync::LazyLock;

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

/// Encodes text, or tells that it does not fit.
pub(super) fn encode(set: CharacterSet, text: &str, delimiters: Delimiters) -> Option<Vec<u8>> {
    let initial = State::initial(set);
    let mut encoder = Encoder {
        set,
        initial,
        state: initial,
        bytes: Vec::new(),
    };
    encoder.bytes.reserve(text.len());
    for char in text.chars() {
        let byte = u8::try_from(char).ok().filter(u8::is_ascii);
        match byte {
            Some(ESC) => return None,
            Some(byte) if byte.is_ascii_control() || delimiters.contains(byte) => {
                encoder.restore();
                encoder.bytes.push(byte);
            }
            _ => encoder.put(char)?,
        }
    }
    encoder.restore();
    Some(encoder.bytes)
}

struct Encoder {
    set: CharacterSet,
    initial: State,
    state: State,
    bytes: Vec<u8>,
}

impl Encoder {
    fn put(&mut self, char: char) -> Option<()> {
        let State { g0, g1 } = self.state;
        for (slot, graphic) in [(Slot::G0, Some(g0)), (Slot::G1, g1)] {
            if let Some(code) = graphic.and_then(|graphic| Code::of(graphic, char)) {
                code.write(slot, &mut self.bytes);
                return Some(());
            }
        }
        let (slot, graphic, code) = self.find(char)?;
        self.designate(slot, graphic)?;
        code.write(slot, &mut self.bytes);
        Some(())
    }

    /// The first declared set that has the character.
    fn find(&self, char: char) -> Option<(Slot, Graphic, Code)> {
        let initial = [
            (Slot::G0, Some(self.initial.g0)),
            (Slot::G1, self.initial.g1),
        ];
        let initial = initial
            .into_iter()
            .filter_map(|(slot, graphic)| Some((slot, graphic?)));
        let declared = Term::EXTENSIONS
            .into_iter()
            .filter(|term| self.set.declares(*term));
        let declared = declared.flat_map(elements).copied();
        initial
            .chain(declared)
            .find_map(|(slot, graphic)| Some((slot, graphic, Code::of(graphic, char)?)))
    }

    fn designate(&mut self, slot: Slot, graphic: Graphic) -> Option<()> {
        let (sequence, ..) = DESIGNATIONS
            .iter()
            .find(|(_, its_slot, its_graphic)| *its_slot == slot && *its_graphic == graphic)?;
        self.bytes.push(ESC);
        self.bytes.extend_from_slice(sequence);
        self.state.designate(slot, graphic);
        Some(())
    }

    /// Goes back to the initial sets, with escape sequences for readers that need them.
    ///
    /// Where value 1 has no G1 set, none can be put back: what follows then needs its sequence
    /// again, as in the example of PS3.5 annex I.
    fn restore(&mut self) {
        if self.state.g0 != self.initial.g0 {
            let _ = self.designate(Slot::G0, self.initial.g0);
        }
        if let Some(g1) = self.initial.g1
            && self.state.g1 != self.initial.g1
        {
            let _ = self.designate(Slot::G1, g1);
        }
        self.state = self.initial;
    }
}

/// The code elements a term brings.
fn elements(term: Term) -> &'static [(Slot, Graphic)] {
    macro_rules! upper {
        ($($term:ident),*) => {
            match term {
                Term::Ir6 => &[(Slot::G0, Graphic::Ascii)],
                Term::Ir13 => &[(Slot::G1, Graphic::Katakana), (Slot::G0, Graphic::Romaji)],
                Term::Ir87 => &[(Slot::G0, Graphic::Double(Double::Jis0208))],
                Term::Ir159 => &[(Slot::G0, Graphic::Double(Double::Jis0212))],
                Term::Ir149 => &[(Slot::G1, Graphic::Double(Double::Ksx1001))],
                Term::Ir58 => &[(Slot::G1, Graphic::Double(Double::Gb2312))],
                $(Term::$term => &[(Slot::G1, Graphic::Upper(Term::$term))],)*
                Term::Ir192 | Term::Gb18030 | Term::Gbk | Term::Foreign(_) => &[],
            }
        };
    }
    upper!(
        Ir100, Ir101, Ir109, Ir110, Ir144, Ir127, Ir126, Ir138, Ir148, Ir203, Ir166
    )
}

/// A character's code in the lower half: one byte or two.
#[derive(Debug, Clone, Copy)]
enum Code {
    One(u8),
    Two(u8, u8),
}

impl Code {
    fn of(graphic: Graphic, char: char) -> Option<Self> {
        let ascii = || u8::try_from(char).ok().filter(u8::is_ascii);
        match graphic {
            Graphic::Ascii => ascii().map(Self::One),
            Graphic::Romaji => match char {
                '¥' => Some(Self::One(b'\\')),
                '\u{203E}' => Some(Self::One(b'~')),
                '\\' | '~' => None,
                _ => ascii().map(Self::One),
            },
            Graphic::Katakana => {
                let at = u32::from(char).checked_sub(KANA_FIRST)?;
                (at < 0x3F).then_some(Self::One(0x21 + u8::try_from(at).ok()?))
            }
            Graphic::Upper(term) => {
                let byte = single_byte::table(term).and_then(|table: &Upper| table.encode(char))?;
                Some(Self::One(byte & 0x7F))
            }
            Graphic::Double(double) => Self::of_double(double, char),
        }
    }

    fn of_double(double: Double, char: char) -> Option<Self> {
        if double == Double::Jis0212 {
            return JIS_0212
                .get(&char)
                .map(|&(first, second)| Self::Two(first, second));
        }
        let (encoding, _) = double.carrier();
        let mut buffer = [0; 4];
        let char = unified(double, char);
        let (bytes, _, has_unmappable) = encoding.encode(char.encode_utf8(&mut buffer));
        if has_unmappable {
            return None;
        }
        match &*bytes {
            &[first @ 0xA1..=0xFE, second @ 0xA1..=0xFE] if is_standard(double, first) => {
                Some(Self::Two(first & 0x7F, second & 0x7F))
            }
            _ => None,
        }
    }

    fn write(self, slot: Slot, bytes: &mut Vec<u8>) {
        let high = if slot == Slot::G1 { 0x80 } else { 0 };
        match self {
            Self::One(byte) => bytes.push(byte | high),
            Self::Two(first, second) => bytes.extend([first | high, second | high]),
        }
    }
}

/// Codes of JIS X 0212, which its carrier decodes but does not encode.
static JIS_0212: LazyLock<HashMap<char, (u8, u8)>> = LazyLock::new(|| {
    let mut codes = HashMap::new();
    for first in 0x21..=0x7E {
        for second in 0x21..=0x7E {
            let mut text = String::new();
            run(Double::Jis0212, &[first, second], &mut text);
            if let Some(char) = text.chars().next().filter(|char| *char != REPLACEMENT) {
                codes.insert(char, (first, second));
            }
        }
    }
    codes
});

/// Rows that the standard's set has, of those its carrier has.
fn is_standard(double: Double, first: u8) -> bool {
    match double {
        // JIS X 0208 ends at row 84; row 13 holds a vendor's characters.
        Double::Jis0208 => first <= 0xF4 && first != 0xAD,
        Double::Jis0212 | Double::Ksx1001 => true,
        // GB 2312 has rows 1 to 9 and 16 to 87.
        Double::Gb2312 => matches!(first, 0xA1..=0xA9 | 0xB0..=0xF7),
    }
}

/// Characters that JIS X 0208 has at a code for which the carrier has another Unicode character.
fn unified(double: Double, char: char) -> char {
    match (double, char) {
        (Double::Jis0208, '\u{301C}') => '\u{FF5E}',
        (Double::Jis0208, '\u{2016}') => '\u{2225}',
        (Double::Jis0208, '\u{2212}') => '\u{FF0D}',
        (Double::Jis0208, '\u{00A2}') => '\u{FFE0}',
        (Double::Jis0208, '\u{00A3}') => '\u{FFE1}',
        (Double::Jis0208, '\u{00AC}') => '\u{FFE2}',
        _ => char,
    }
}
