//! Encoding with code extensions.

use super::{DESIGNATIONS, Double, ESC, Graphic, KANA_FIRST, REPLACEMENT, Slot, State, run};
use crate::character_set::single_byte::{self, Upper};
use crate::character_set::term::Term;
use crate::character_set::{CharacterSet, Delimiters};
use std::collections::HashMap;
use std::sync::LazyLock;

/// Encodes text, or tells that it does not fit.
pub(in crate::character_set) fn encode(
    set: CharacterSet,
    text: &str,
    delimiters: Delimiters,
) -> Option<Vec<u8>> {
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
