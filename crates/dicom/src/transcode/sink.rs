//! Writing, deflated if need be.

use flate2::Compression;
use flate2::write::DeflateEncoder;
use std::io::{self, BufWriter, Write};

pub(super) struct Sink<W: Write> {
    writer: Writer<W>,
}

enum Writer<W: Write> {
    Plain(BufWriter<Counted<W>>),
    Deflate(DeflateEncoder<BufWriter<Counted<W>>>),
}

struct Counted<W> {
    target: W,
    count: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.target.write(bytes)?;
        self.count += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.target.flush()
    }
}

impl<W: Write> Sink<W> {
    pub(super) fn new(target: W, is_deflated: bool) -> Self {
        let buffered = BufWriter::with_capacity(16 << 10, Counted { target, count: 0 });
        let writer = match is_deflated {
            true => Writer::Deflate(DeflateEncoder::new(buffered, Compression::default())),
            false => Writer::Plain(buffered),
        };
        Self { writer }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.writer {
            Writer::Plain(writer) => writer.write_all(bytes),
            Writer::Deflate(writer) => writer.write_all(bytes),
        }
    }

    /// Ends the data set and returns its length, deflated if it is.
    pub(super) fn finish(self) -> io::Result<u64> {
        let (mut writer, is_deflated) = match self.writer {
            Writer::Plain(writer) => (writer, false),
            Writer::Deflate(writer) => (writer.finish()?, true),
        };
        writer.flush()?;
        // A deflated data set is padded to an even length (PS3.5 A.5).
        if is_deflated && !writer.get_ref().count.is_multiple_of(2) {
            writer.write_all(&[0])?;
            writer.flush()?;
        }
        Ok(writer.get_ref().count)
    }
}
