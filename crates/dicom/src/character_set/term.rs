//! The defined terms of Specific Character Set (PS3.3 C.12.1.1.2, tables C.12-2 to C.12-5).

use encoding_rs::Encoding;

/// A character set that (0008,0005) can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Term {
    Ir6,
    Ir100,
    Ir101,
    Ir109,
    Ir110,
    Ir144,
    Ir127,
    Ir126,
    Ir138,
    Ir148,
    Ir203,
    Ir13,
    Ir166,
    Ir87,
    Ir159,
    Ir149,
    Ir58,
    Ir192,
    Gb18030,
    Gbk,
    /// None of the standard's, but written by its usual name, such as `windows-1251`.
    Foreign(&'static Encoding),
}

impl Term {
    /// What value 2 and on can add, in the order in which an encoder tries them.
    pub(super) const EXTENSIONS: [Self; 17] = [
        Self::Ir6,
        Self::Ir100,
        Self::Ir101,
        Self::Ir109,
        Self::Ir110,
        Self::Ir144,
        Self::Ir127,
        Self::Ir126,
        Self::Ir138,
        Self::Ir148,
        Self::Ir203,
        Self::Ir13,
        Self::Ir166,
        Self::Ir87,
        Self::Ir159,
        Self::Ir149,
        Self::Ir58,
    ];

    /// This term in a set of extensions; nothing for what cannot extend.
    pub(super) fn bit(self) -> u32 {
        match Self::EXTENSIONS.iter().position(|term| *term == self) {
            Some(at) => 1 << at,
            None => 0,
        }
    }

    /// Whether the encoding has no escape sequences and stands alone.
    pub(super) fn is_whole_value(self) -> bool {
        matches!(
            self,
            Self::Ir192 | Self::Gb18030 | Self::Gbk | Self::Foreign(_)
        )
    }

    /// Whether text may start in it: multi-byte sets need an escape sequence first.
    pub(super) fn may_be_initial(self) -> bool {
        !matches!(self, Self::Ir87 | Self::Ir159 | Self::Ir149 | Self::Ir58)
    }

    /// The number in the International Register.
    fn number(self) -> Option<u16> {
        Some(match self {
            Self::Ir6 => 6,
            Self::Ir100 => 100,
            Self::Ir101 => 101,
            Self::Ir109 => 109,
            Self::Ir110 => 110,
            Self::Ir144 => 144,
            Self::Ir127 => 127,
            Self::Ir126 => 126,
            Self::Ir138 => 138,
            Self::Ir148 => 148,
            Self::Ir203 => 203,
            Self::Ir13 => 13,
            Self::Ir166 => 166,
            Self::Ir87 => 87,
            Self::Ir159 => 159,
            Self::Ir149 => 149,
            Self::Ir58 => 58,
            Self::Ir192 => 192,
            Self::Gb18030 | Self::Gbk | Self::Foreign(_) => return None,
        })
    }

    fn of_number(number: u16) -> Option<Self> {
        [Self::Ir192]
            .into_iter()
            .chain(Self::EXTENSIONS)
            .find(|term| term.number() == Some(number))
    }

    /// The defined term, without or with code extensions; empty for the default repertoire.
    pub(super) fn name(self, is_extended: bool) -> Option<String> {
        Some(match self {
            Self::Gb18030 => "GB18030".into(),
            Self::Gbk => "GBK".into(),
            Self::Foreign(_) => return None,
            Self::Ir6 if !is_extended => String::new(),
            _ if is_extended => format!("ISO 2022 IR {}", self.number()?),
            _ => format!("ISO_IR {}", self.number()?),
        })
    }
}

/// What a name means, and whether it is one of those with code extensions.
///
/// Spaces, underscores, hyphens and case are not looked at: `ISO-IR 100`, `ISO_IR_100` and
/// `iso ir100` are common mistakes. An unknown name is the default repertoire.
pub(super) fn recognise(name: &str) -> (Term, bool) {
    let folded: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_uppercase())
        .collect();
    let numbered = |prefix: &str| Term::of_number(folded.strip_prefix(prefix)?.parse().ok()?);
    if let Some(term) = numbered("ISO2022IR") {
        return (term, !term.is_whole_value());
    }
    let term = numbered("ISOIR")
        .or_else(|| numbered("IR"))
        .or_else(|| spelt_out(&folded));
    let term = term.or_else(|| foreign(name));
    (term.unwrap_or(Term::Ir6), false)
}

fn spelt_out(folded: &str) -> Option<Term> {
    Some(match folded {
        "UTF8" | "UNICODE" | "UNICODE11" | "UNICODEUTF8" | "ISO10646" | "UNICODE11UTF8" => {
            Term::Ir192
        }
        "GB18030" | "GB180302000" => Term::Gb18030,
        "GBK" | "GB2312" | "CP936" => Term::Gbk,
        "ASCII" | "USASCII" | "ISO646" => Term::Ir6,
        "ISO88591" | "LATIN1" => Term::Ir100,
        "ISO88592" | "LATIN2" => Term::Ir101,
        "ISO88593" | "LATIN3" => Term::Ir109,
        "ISO88594" | "LATIN4" => Term::Ir110,
        "ISO88595" => Term::Ir144,
        "ISO88596" => Term::Ir127,
        "ISO88597" => Term::Ir126,
        "ISO88598" => Term::Ir138,
        "ISO88599" | "LATIN5" => Term::Ir148,
        "ISO885915" | "LATIN9" => Term::Ir203,
        "ISO885911" | "TIS620" => Term::Ir166,
        _ => return None,
    })
}

fn foreign(name: &str) -> Option<Term> {
    let encoding = Encoding::for_label(name.trim_matches(['\0', ' ']).as_bytes())?;
    // UTF-16 cannot be told apart from other mistakes, and "replacement" yields nothing.
    let is_usable = encoding.is_ascii_compatible() && encoding != encoding_rs::REPLACEMENT;
    is_usable.then_some(Term::Foreign(encoding))
}
