//! Reading with a look ahead.

use flate2::read::{DeflateDecoder, ZlibDecoder};
use std::io::{self, Chain, Cursor, Read};

pub(super) const BUFFER_BYTES: usize = 64 << 10;

/// A data set, inflated if need be.
pub(super) struct Source<R: Read> {
    reader: Reader<R>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    position: u64,
}

enum Reader<R: Read> {
    Plain(R),
    Deflate(DeflateDecoder<Chain<Cursor<Vec<u8>>, R>>),
    Zlib(ZlibDecoder<Chain<Cursor<Vec<u8>>, R>>),
}

/// Reads a deflated data set inflated: a bare deflate stream, or the zlib stream that some send
/// instead.
///
/// # Errors
/// When its first bytes cannot be read.
pub fn inflated(reader: impl Read) -> io::Result<impl Read> {
    Reader::inflating(reader)
}

impl<R: Read> Reader<R> {
    fn inflating(mut reader: R) -> io::Result<Self> {
        let mut first = Vec::new();
        (&mut reader).take(2).read_to_end(&mut first)?;
        let is_zlib = crate::scan::is_zlib(&first);
        let whole = Cursor::new(first).chain(reader);
        Ok(match is_zlib {
            true => Self::Zlib(ZlibDecoder::new(whole)),
            false => Self::Deflate(DeflateDecoder::new(whole)),
        })
    }
}

impl<R: Read> Read for Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(reader) => reader.read(buffer),
            Self::Deflate(reader) => reader.read(buffer),
            Self::Zlib(reader) => reader.read(buffer),
        }
    }
}

impl<R: Read> Source<R> {
    pub(super) fn new(reader: R, is_deflated: bool) -> io::Result<Self> {
        Ok(Self {
            reader: match is_deflated {
                true => Reader::inflating(reader)?,
                false => Reader::Plain(reader),
            },
            buffer: vec![0; BUFFER_BYTES],
            start: 0,
            end: 0,
            position: 0,
        })
    }

    /// How many bytes were consumed.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// The next bytes: `count` of them unless the data end before.
    pub(super) fn peek(&mut self, count: usize) -> io::Result<&[u8]> {
        while self.end - self.start < count && self.fill()? {}
        let end = self.end.min(self.start + count);
        Ok(self.buffer.get(self.start..end).unwrap_or_default())
    }

    /// Takes up to `length` of the next bytes; none only at the end.
    pub(super) fn take(&mut self, length: u64) -> io::Result<&[u8]> {
        if self.start == self.end {
            self.fill()?;
        }
        let length = usize::try_from(length)
            .unwrap_or(usize::MAX)
            .min(self.end - self.start);
        let start = self.start;
        self.consume(length);
        Ok(self.buffer.get(start..start + length).unwrap_or_default())
    }

    /// Passes over bytes that were peeked at.
    pub(super) fn consume(&mut self, count: usize) {
        let count = count.min(self.end - self.start);
        self.start += count;
        self.position += count as u64;
    }

    /// Reads more. Returns whether there was more.
    fn fill(&mut self) -> io::Result<bool> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let free = self.buffer.get_mut(self.end..).unwrap_or_default();
        let count = loop {
            match self.reader.read(free) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.end += count;
        Ok(count > 0)
    }
}
