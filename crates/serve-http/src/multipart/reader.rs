//! Reads a multipart body as it arrives.
//!
//! The reader never waits and never keeps a part: bytes are pushed in, events come out, and at
//! most one delimiter's worth of content (or one part's header fields) is held back. Content is
//! handed on as slices of what was pushed.

use bytes::{Bytes, BytesMut};
use memchr::memmem::Finder;

/// Bounds on what a body may make the reader hold or count.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most bytes of one part's header fields.
    pub header_bytes_max: usize,
    /// Most parts.
    pub parts_max: usize,
    /// Most bytes before the first delimiter.
    pub preamble_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_bytes_max: 16 * 1024,
            parts_max: 1_000_000,
            preamble_bytes_max: 64 * 1024,
        }
    }
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A part begins.
    Start(PartHeader),
    /// More of the part's content; never empty.
    Data(Bytes),
    /// The part is complete.
    End,
}

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

/// Why a body cannot be read on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MultipartError {
    /// No boundary, or one that RFC 2046 does not allow.
    #[error("boundary is missing or not allowed")]
    Boundary,
    /// No delimiter where the first one must be.
    #[error("multipart body does not begin with its boundary")]
    Preamble,
    /// A part's header fields are not readable.
    #[error("part {0} has malformed header fields")]
    Header(usize),
    /// A part's header fields are too long.
    #[error("part {0} has header fields beyond the limit")]
    HeaderTooLong(usize),
    /// More parts than allowed.
    #[error("multipart body has more than {0} parts")]
    TooManyParts(usize),
    /// The body ended before the closing delimiter.
    #[error("multipart body ends before its closing boundary")]
    Truncated,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Preamble,
    Header,
    Content,
    Epilogue,
}

/// A reader of one body.
#[derive(Debug)]
pub struct Reader {
    /// Finds `--boundary`.
    dash_boundary: Finder<'static>,
    limits: Limits,
    /// Whether a delimiter is taken that does not begin a line.
    is_lenient: bool,
    state: State,
    pending: Bytes,
    /// Nothing has been taken from the body yet, so a delimiter may stand at its very start.
    is_start: bool,
    preamble_bytes: usize,
    parts: usize,
}

/// Boundaries of at least this length do not occur by chance, so one that some senders put
/// straight behind the content, without the line break that belongs to it, is still one.
const LENIENT_BOUNDARY_MIN: usize = 8;
/// Longest boundary (RFC 2046 §5.1.1 allows 70; some senders do not count).
const BOUNDARY_MAX: usize = 256;
/// Most spaces and tabs between a delimiter and its line break.
const PADDING_MAX: usize = 64;

impl Reader {
    /// A reader of a body with this boundary.
    ///
    /// # Errors
    /// [`MultipartError::Boundary`] when it is empty, too long or has control characters.
    pub fn new(boundary: &str, limits: Limits) -> Result<Self, MultipartError> {
        let is_allowed = boundary.bytes().all(|byte| (0x20..0x7F).contains(&byte));
        if boundary.is_empty() || boundary.len() > BOUNDARY_MAX || !is_allowed {
            return Err(MultipartError::Boundary);
        }
        let dash_boundary = format!("--{boundary}");
        Ok(Self {
            dash_boundary: Finder::new(dash_boundary.as_bytes()).into_owned(),
            limits,
            is_lenient: boundary.len() >= LENIENT_BOUNDARY_MIN,
            state: State::Preamble,
            pending: Bytes::new(),
            is_start: true,
            preamble_bytes: 0,
            parts: 0,
        })
    }

    /// Gives the reader more of the body. Take all events with [`Self::next`] before.
    pub fn push(&mut self, chunk: Bytes) {
        if self.pending.is_empty() {
            self.pending = chunk;
        } else if !chunk.is_empty() {
            let mut joined = BytesMut::with_capacity(self.pending.len() + chunk.len());
            joined.extend_from_slice(&self.pending);
            joined.extend_from_slice(&chunk);
            self.pending = joined.freeze();
        }
    }

    /// The next event, or nothing when more of the body is needed.
    ///
    /// # Errors
    /// When the body is malformed or beyond a limit.
    #[expect(
        clippy::should_implement_trait,
        reason = "`None` means more input, not the end"
    )]
    pub fn next(&mut self) -> Result<Option<Event>, MultipartError> {
        loop {
            match self.state {
                State::Preamble => {
                    if !self.skip_preamble()? {
                        return Ok(None);
                    }
                }
                State::Header => return self.read_header(),
                State::Content => return Ok(self.read_content()),
                State::Epilogue => {
                    self.pending = Bytes::new();
                    return Ok(None);
                }
            }
        }
    }

    /// Says that the body has ended.
    ///
    /// # Errors
    /// [`MultipartError::Truncated`] when the closing delimiter has not come.
    pub fn finish(&self) -> Result<(), MultipartError> {
        match self.state {
            State::Epilogue => Ok(()),
            State::Preamble if self.is_start => Err(MultipartError::Preamble),
            State::Preamble | State::Header | State::Content => Err(MultipartError::Truncated),
        }
    }

    /// The number of parts begun so far.
    pub fn parts(&self) -> usize {
        self.parts
    }

    /// Whether the first delimiter was reached.
    fn skip_preamble(&mut self) -> Result<bool, MultipartError> {
        match self.find_delimiter() {
            Found::Delimiter {
                end, is_closing, ..
            } => {
                self.take(end);
                self.state = if is_closing {
                    State::Epilogue
                } else {
                    State::Header
                };
                Ok(true)
            }
            Found::Nothing { safe } => {
                self.preamble_bytes += safe;
                if self.preamble_bytes > self.limits.preamble_bytes_max {
                    return Err(MultipartError::Preamble);
                }
                self.take(safe);
                Ok(false)
            }
        }
    }

    fn read_header(&mut self) -> Result<Option<Event>, MultipartError> {
        let part = self.parts + 1;
        let Some((length, end)) = header_end(&self.pending) else {
            return if self.pending.len() > self.limits.header_bytes_max {
                Err(MultipartError::HeaderTooLong(part))
            } else {
                Ok(None)
            };
        };
        if length > self.limits.header_bytes_max {
            return Err(MultipartError::HeaderTooLong(part));
        }
        if self.parts >= self.limits.parts_max {
            return Err(MultipartError::TooManyParts(self.limits.parts_max));
        }
        let text = self.pending.get(..length).unwrap_or_default();
        let header = parse_fields(text).ok_or(MultipartError::Header(part))?;
        self.take(end);
        self.parts = part;
        self.state = State::Content;
        // An empty part's delimiter may follow at once; its line break was the header's.
        self.is_start = true;
        Ok(Some(Event::Start(header)))
    }

    fn read_content(&mut self) -> Option<Event> {
        match self.find_delimiter() {
            Found::Delimiter {
                start: 0,
                end,
                is_closing,
            } => {
                self.take(end);
                self.state = if is_closing {
                    State::Epilogue
                } else {
                    State::Header
                };
                Some(Event::End)
            }
            Found::Delimiter { start, .. } => Some(Event::Data(self.take(start))),
            Found::Nothing { safe: 0 } => None,
            Found::Nothing { safe } => Some(Event::Data(self.take(safe))),
        }
    }

    fn take(&mut self, length: usize) -> Bytes {
        if length > 0 {
            self.is_start = false;
        }
        self.pending.split_to(length.min(self.pending.len()))
    }

    fn find_delimiter(&self) -> Found {
        let bytes = self.pending.as_ref();
        let mut from = 0;
        while let Some(at) = bytes
            .get(from..)
            .and_then(|rest| self.dash_boundary.find(rest))
        {
            let at = from + at;
            let start = self.line_start(bytes, at);
            let after = at + self.dash_boundary.needle().len();
            match (start, delimiter_end(bytes.get(after..).unwrap_or_default())) {
                (Some(start), Ending::Complete { length, is_closing }) => {
                    return Found::Delimiter {
                        start,
                        end: after + length,
                        is_closing,
                    };
                }
                (Some(start), Ending::Incomplete) => return Found::Nothing { safe: start },
                (None, _) | (_, Ending::Other) => from = at + 1,
            }
        }
        Found::Nothing {
            safe: bytes.len() - self.held_back(bytes),
        }
    }

    /// Where the delimiter begins whose `--` is at `at`: the line break before belongs to it.
    fn line_start(&self, bytes: &[u8], at: usize) -> Option<usize> {
        let before = bytes.get(..at)?;
        if before.ends_with(b"\r\n") {
            Some(at - 2)
        } else if before.ends_with(b"\n") {
            Some(at - 1)
        } else if (at == 0 && self.is_start) || self.is_lenient {
            Some(at)
        } else {
            None
        }
    }

    /// How many bytes at the end may be the beginning of a delimiter.
    fn held_back(&self, bytes: &[u8]) -> usize {
        let needle = self.dash_boundary.needle();
        let longest = (needle.len() + 1).min(bytes.len());
        (1..=longest)
            .rev()
            .find(|&length| {
                let tail = bytes.get(bytes.len() - length..).unwrap_or_default();
                let line = tail.strip_prefix(b"\r").unwrap_or(tail);
                let line = line.strip_prefix(b"\n").unwrap_or(line);
                needle.starts_with(line)
            })
            .unwrap_or(0)
    }
}

enum Found {
    /// From `start` to `end` in the pending bytes, the line break on either side included.
    Delimiter {
        start: usize,
        end: usize,
        is_closing: bool,
    },
    /// No delimiter in the first `safe` bytes; what follows may become one.
    Nothing { safe: usize },
}

enum Ending {
    Complete { length: usize, is_closing: bool },
    Incomplete,
    Other,
}

/// What follows the boundary in a delimiter: `--`, or optional padding and a line break.
fn delimiter_end(after: &[u8]) -> Ending {
    if after.starts_with(b"--") {
        return Ending::Complete {
            length: 2,
            is_closing: true,
        };
    }
    if matches!(after, [] | [b'-']) {
        return Ending::Incomplete;
    }
    let padding = after
        .iter()
        .take(PADDING_MAX)
        .take_while(|&&byte| byte == b' ' || byte == b'\t');
    let padding = padding.count();
    match after.get(padding..).unwrap_or_default() {
        [b'\r', b'\n', ..] => Ending::Complete {
            length: padding + 2,
            is_closing: false,
        },
        [b'\n', ..] => Ending::Complete {
            length: padding + 1,
            is_closing: false,
        },
        [] | [b'\r'] => Ending::Incomplete,
        _ => Ending::Other,
    }
}

/// Length of the header fields, and where the content begins.
fn header_end(bytes: &[u8]) -> Option<(usize, usize)> {
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

fn parse_fields(bytes: &[u8]) -> Option<PartHeader> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Parts = Vec<(PartHeader, Vec<u8>)>;

    /// Reads a body cut into chunks of `chunk` bytes.
    fn read(
        boundary: &str,
        body: &[u8],
        chunk: usize,
        limits: Limits,
    ) -> Result<Parts, MultipartError> {
        let mut reader = Reader::new(boundary, limits)?;
        let mut parts: Parts = Vec::new();
        let mut is_open = false;
        for piece in body.chunks(chunk.max(1)) {
            reader.push(Bytes::copy_from_slice(piece));
            while let Some(event) = reader.next()? {
                match event {
                    Event::Start(header) => {
                        assert!(!is_open);
                        is_open = true;
                        parts.push((header, Vec::new()));
                    }
                    Event::Data(bytes) => {
                        assert!(is_open && !bytes.is_empty());
                        parts.last_mut().unwrap().1.extend_from_slice(&bytes);
                    }
                    Event::End => {
                        assert!(is_open);
                        is_open = false;
                    }
                }
            }
        }
        reader.finish()?;
        Ok(parts)
    }

    #[track_caller]
    fn check(boundary: &str, body: &[u8], expect: &[(&str, &[u8])]) {
        for chunk in 1..=body.len() {
            let parts = read(boundary, body, chunk, Limits::default()).unwrap();
            let found: Vec<(&str, &[u8])> = parts
                .iter()
                .map(|(header, data)| (header.field("content-type").unwrap_or(""), data.as_slice()))
                .collect();
            assert_eq!(found, expect, "in chunks of {chunk}");
        }
    }

    #[test]
    fn parts_are_read_whatever_the_chunks() {
        check(
            "b",
            b"preamble\r\n--b\r\nContent-Type: a/b\r\n\r\none\r\n--b\r\ncontent-type:c/d\r\n\r\ntwo\r\n--b--\r\nepilogue",
            &[("a/b", b"one"), ("c/d", b"two")],
        );
    }

    #[test]
    fn closing_delimiter_needs_no_line_break_and_parts_no_header() {
        check("b", b"--b\r\n\r\none\r\n--b--", &[("", b"one")]);
        check("b", b"--b  \r\n\r\n\r\n--b--", &[("", b"")]);
    }

    #[test]
    fn an_empty_part_whose_delimiter_follows_its_header_is_empty() {
        check(
            "b",
            b"--b\r\nContent-Type: a/b\r\n\r\n--b--",
            &[("a/b", b"")],
        );
    }

    #[test]
    fn content_that_looks_like_a_delimiter_is_content() {
        check(
            "b",
            b"--b\r\n\r\nx--b\r\n\r\n--bc\r\n--\r\n\r\r\n--b--",
            &[("", b"x--b\r\n\r\n--bc\r\n--\r\n\r")],
        );
    }

    #[test]
    fn a_long_boundary_is_found_behind_content_without_line_break() {
        check(
            "0123456789",
            b"--0123456789\r\n\r\nDICM--0123456789--",
            &[("", b"DICM")],
        );
    }

    #[test]
    fn bare_line_feeds_are_tolerated() {
        check(
            "b",
            b"--b\nContent-Type: a/b\n\none\n--b--\n",
            &[("a/b", b"one")],
        );
    }

    #[test]
    fn folded_fields_are_joined() {
        check(
            "b",
            b"--b\r\nContent-Type: a/b;\r\n c=d\r\n\r\n\r\n--b--",
            &[("a/b; c=d", b"")],
        );
    }

    #[test]
    fn a_cut_body_is_an_error() {
        let body = b"--b\r\n\r\none\r\n--b--";
        for length in 0..body.len() {
            let error = read("b", &body[..length], 4, Limits::default()).unwrap_err();
            assert!(
                matches!(error, MultipartError::Truncated | MultipartError::Preamble),
                "{length}: {error}"
            );
        }
    }

    #[test]
    fn limits_are_kept() {
        let limits = Limits {
            header_bytes_max: 20,
            parts_max: 1,
            preamble_bytes_max: 30,
        };
        let check = |body: &[u8], expect: MultipartError| {
            for chunk in [1, 7, 1000] {
                assert_eq!(read("b", body, chunk, limits).unwrap_err(), expect);
            }
        };
        check(&[b'x'; 100], MultipartError::Preamble);
        check(
            b"--b\r\nA: 12345678901234567890\r\n\r\n\r\n--b--",
            MultipartError::HeaderTooLong(1),
        );
        check(
            b"--b\r\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            MultipartError::HeaderTooLong(1),
        );
        check(
            b"--b\r\n\r\n\r\n--b\r\n\r\n\r\n--b--",
            MultipartError::TooManyParts(1),
        );
        check(
            b"--b\r\nno colon\r\n\r\n\r\n--b--",
            MultipartError::Header(1),
        );
    }

    #[test]
    fn impossible_boundaries_are_refused() {
        for boundary in ["", "a\r\nb", "ä", &"x".repeat(300)] {
            assert_eq!(
                Reader::new(boundary, Limits::default()).unwrap_err(),
                MultipartError::Boundary
            );
        }
    }

    #[test]
    fn content_is_not_held_back_beyond_a_delimiter() {
        let mut reader = Reader::new("boundary", Limits::default()).unwrap();
        reader.push(Bytes::from_static(b"--boundary\r\n\r\n"));
        assert!(matches!(reader.next(), Ok(Some(Event::Start(_)))));
        for _ in 0..100 {
            reader.push(Bytes::from(vec![b'-'; 1000]));
            while reader.next().unwrap().is_some() {}
            assert!(reader.pending.len() < 16);
        }
    }

    proptest! {
        #[test]
        fn any_content_survives_any_chunking(
            contents in prop::collection::vec(prop::collection::vec(prop_oneof![
                Just(b'-'), Just(b'\r'), Just(b'\n'), Just(b'b'), any::<u8>()
            ], 0..60), 1..4),
            chunk in 1usize..50,
        ) {
            // With a delimiter inside, the content could not have been sent with this boundary.
            prop_assume!(contents.iter().all(|content| {
                let line = [b"\n", content.as_slice()].concat();
                memchr::memmem::find(&line, b"\n--b").is_none()
            }));
            let mut body = Vec::new();
            for content in &contents {
                body.extend_from_slice(b"--b\r\nContent-Type: a/b\r\n\r\n");
                body.extend_from_slice(content);
                body.extend_from_slice(b"\r\n");
            }
            body.extend_from_slice(b"--b--");
            let parts = read("b", &body, chunk, Limits::default()).unwrap();
            let found: Vec<_> = parts.into_iter().map(|(_, data)| data).collect();
            prop_assert_eq!(found, contents);
        }

        #[test]
        fn any_bytes_give_the_same_whatever_the_chunks(
            tail in prop::collection::vec(prop_oneof![
                Just(b'-'), Just(b'\r'), Just(b'\n'), Just(b'b'), Just(b':'), Just(b' '), any::<u8>()
            ], 0..80),
            chunk in 1usize..20,
        ) {
            let body = [b"--b\r\n".as_slice(), &tail].concat();
            let limits = Limits { header_bytes_max: 40, parts_max: 3, preamble_bytes_max: 40 };
            prop_assert_eq!(read("b", &body, chunk, limits), read("b", &body, 1000, limits));
        }
    }
}
