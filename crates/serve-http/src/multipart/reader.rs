//! Reads a multipart body as it arrives.
//!
//! The reader never waits and never keeps a part: bytes are pushed in, events come out, and at
//! most one delimiter's worth of content (or one part's header fields) is held back. Content is
//! handed on as slices of what was pushed.

use super::delimiter::{Ending, delimiter_end};
pub use super::part_header::PartHeader;
use super::part_header::{header_end, parse_fields};
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
                start,
                end,
                is_closing,
            } => {
                // Whether it is too long must not depend on how the body is cut.
                if self.preamble_bytes + start > self.limits.preamble_bytes_max {
                    return Err(MultipartError::Preamble);
                }
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
            // The first byte of the line break that ends the fields may be here already.
            return if self.pending.len() > self.limits.header_bytes_max + 1 {
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

#[cfg(test)]
mod tests;
