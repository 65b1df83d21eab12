//! Header fields of a part (RFC 2046 §5.1, RFC 822 §3.1).

/// The header fields of a part; names in lower case, values without the space around them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PartHeader {
    fields: Vec<(String, String)>,
}

impl PartHeader {
    /// The first field of this name, which must be given in lower case.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Length of the header fields, and where the content begins.
pub(super) fn header_end(bytes: &[u8]) -> Option<(usize, usize)> {
    // A part without header fields begins with the empty line itself.
    for (empty, length) in [(b"\r\n".as_slice(), 2), (b"\n".as_slice(), 1)] {
        if bytes.starts_with(empty) {
            return Some((0, length));
        }
    }
    let mut from = 0;
    while let Some(at) = memchr::memchr(b'\n', bytes.get(from..)?) {
        let line_end = from + at + 1;
        match bytes.get(line_end..)? {
            [b'\r', b'\n', ..] => return Some((line_end, line_end + 2)),
            [b'\n', ..] => return Some((line_end, line_end + 1)),
            _ => from = line_end,
        }
    }
    None
}

/// Reads the fields; nothing when they are malformed.
pub(super) fn parse_fields(bytes: &[u8]) -> Option<PartHeader> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        if line.starts_with([' ', '\t']) {
            // A folded line continues the one before it (RFC 822 §3.1.1).
            let (_, value) = fields.last_mut()?;
            value.push(' ');
            value.push_str(line.trim());
        } else {
            let (name, value) = line.split_once(':')?;
            let name = name.trim();
            if name.is_empty() || name.contains(char::is_whitespace) {
                return None;
            }
            fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    Some(PartHeader { fields })
}
