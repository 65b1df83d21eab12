//! ZIP files: reading with bounds, from several threads at once, and writing.
//!
//! Names in a ZIP file are shown and compared; nothing is ever written to a path made of them.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// What a ZIP file may cost, whatever it says of itself.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most entries.
    pub entries_max: u64,
    /// Longest entry, inflated.
    pub entry_bytes_max: u64,
    /// Most bytes of all entries together, inflated.
    pub total_bytes_max: u64,
    /// From [`Limits::ratio_free_bytes`] on, inflated bytes for each byte of the ZIP file. Deflate
    /// alone reaches 1032, but no study does.
    pub ratio_max: u64,
    /// So many inflated bytes are free of the ratio: empty images pack well.
    pub ratio_free_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries_max: 1_000_000,
            entry_bytes_max: 64 << 30,
            total_bytes_max: 4 << 40,
            ratio_max: 200,
            ratio_free_bytes: 1 << 30,
        }
    }
}

/// Why a ZIP file is refused as a whole.
#[derive(Debug, thiserror::Error)]
pub enum ZipFileError {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// It is broken, or no ZIP file.
    #[error("not a sound ZIP file: {0}")]
    Broken(String),
    /// More entries than allowed.
    #[error("has {0} entries, more than allowed")]
    Entries(u64),
    /// Inflates to more than allowed.
    #[error("would inflate to {0} bytes, more than allowed")]
    Inflated(u64),
    /// Inflates to more than its length can explain.
    #[error("would inflate to {inflated} bytes from {length}: that is no ordinary content")]
    Ratio {
        /// Inflated bytes.
        inflated: u64,
        /// Bytes of the file.
        length: u64,
    },
}

/// A ZIP file that is read. Clones are cheap and read independently.
#[derive(Debug, Clone)]
pub struct ZipFile {
    archive: ZipArchive<SharedFile>,
    entry_bytes_max: u64,
}

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name as it is written, bytes that are no UTF-8 replaced.
    pub name: String,
    /// Its length, inflated, as the ZIP file says.
    pub length: u64,
}

impl Entry {
    /// Whether it stands for a folder: its name ends like one (APPNOTE 4.3.8).
    pub fn is_folder(&self) -> bool {
        self.name.ends_with('/') || (self.length == 0 && self.name.ends_with('\\'))
    }
}

/// Why an entry is not read.
#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    /// A folder or a symbolic link.
    #[error("not a regular file")]
    NotRegular,
    /// It needs a password.
    #[error("encrypted")]
    Encrypted,
    /// Longer than allowed.
    #[error("would inflate to {0} bytes, more than allowed")]
    TooLong(u64),
    /// Broken, or compressed in a way that is not supported.
    #[error("cannot be read: {0}")]
    Broken(String),
}

impl ZipFile {
    /// Opens a ZIP file and checks its directory against the limits.
    pub fn open(path: &Path, limits: &Limits) -> Result<Self, ZipFileError> {
        let file = SharedFile::open(path)?;
        let length = file.length;
        let claimed = claimed_entries(&file)?;
        if claimed > limits.entries_max {
            return Err(ZipFileError::Entries(claimed));
        }
        let archive = ZipArchive::new(file).map_err(broken)?;
        let count = archive.len() as u64;
        if count > limits.entries_max {
            return Err(ZipFileError::Entries(count));
        }
        let opened = Self {
            archive,
            entry_bytes_max: limits.entry_bytes_max,
        };
        let mut inflated = 0_u64;
        for index in 0..opened.len() {
            let entry = opened.archive.by_index_data(index).map_err(broken)?;
            inflated = inflated.saturating_add(entry.size());
        }
        if inflated > limits.total_bytes_max {
            return Err(ZipFileError::Inflated(inflated));
        }
        if inflated > limits.ratio_free_bytes && inflated / limits.ratio_max.max(1) > length {
            return Err(ZipFileError::Ratio { inflated, length });
        }
        Ok(opened)
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.archive.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.archive.is_empty()
    }

    /// Whether entries have the same name; only the last of them can be read.
    pub fn has_doubled_names(&self) -> bool {
        self.archive.has_duplicate_names()
    }

    /// Name and length of an entry, without reading it.
    pub fn entry(&self, index: usize) -> Option<Entry> {
        let entry = self.archive.by_index_data(index).ok()?;
        let name = match entry.name() {
            Ok(name) => name.into_owned(),
            Err(_) => String::from_utf8_lossy(entry.name_raw()).into_owned(),
        };
        Some(Entry {
            name,
            length: entry.size(),
        })
    }

    /// Reads an entry. The reader gives an error when the entry inflates to more than the ZIP
    /// file says of it.
    pub fn read(&mut self, index: usize) -> Result<impl Read + '_, EntryError> {
        let entry_bytes_max = self.entry_bytes_max;
        {
            let entry = self.archive.by_index_data(index).map_err(unreadable)?;
            if !entry.is_file() {
                return Err(EntryError::NotRegular);
            }
            if entry.encrypted() {
                return Err(EntryError::Encrypted);
            }
            if entry.size() > entry_bytes_max {
                return Err(EntryError::TooLong(entry.size()));
            }
        }
        let reader = self.archive.by_index(index).map_err(unreadable)?;
        let left = reader.size();
        Ok(Bounded { reader, left })
    }
}

/// Gives no more than it was told.
struct Bounded<R> {
    reader: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        match self.left.checked_sub(read as u64) {
            Some(left) => self.left = left,
            None => {
                return Err(io::Error::other(
                    "ZIP entry is longer than its directory says",
                ));
            }
        }
        Ok(read)
    }
}

fn broken(error: ZipError) -> ZipFileError {
    match error {
        ZipError::Io(error) => ZipFileError::Io(error),
        error => ZipFileError::Broken(error.to_string()),
    }
}

fn unreadable(error: ZipError) -> EntryError {
    EntryError::Broken(error.to_string())
}

/// A file that several readers share, each with its own position and buffer.
#[derive(Debug)]
struct SharedFile {
    file: Arc<File>,
    length: u64,
    at: u64,
    buffer: Vec<u8>,
    buffer_at: u64,
}

impl SharedFile {
    fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        Ok(Self {
            file: Arc::new(file),
            length,
            at: 0,
            buffer: Vec::new(),
            buffer_at: 0,
        })
    }

    /// What is buffered from the position on.
    fn buffered(&self) -> &[u8] {
        let skip = self
            .at
            .checked_sub(self.buffer_at)
            .and_then(|skip| usize::try_from(skip).ok());
        skip.and_then(|skip| self.buffer.get(skip..))
            .unwrap_or_default()
    }
}

impl Clone for SharedFile {
    /// With a buffer of its own, filled when it is read.
    fn clone(&self) -> Self {
        Self {
            file: Arc::clone(&self.file),
            length: self.length,
            at: self.at,
            buffer: Vec::new(),
            buffer_at: 0,
        }
    }
}

impl Read for SharedFile {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        const BUFFER: usize = 32 << 10;
        if self.buffered().is_empty() {
            if to.len() >= BUFFER {
                let read = self.file.read_at(to, self.at)?;
                self.at += read as u64;
                return Ok(read);
            }
            self.buffer.resize(BUFFER, 0);
            let read = self.file.read_at(&mut self.buffer, self.at)?;
            self.buffer.truncate(read);
            self.buffer_at = self.at;
        }
        let read = self.buffered().read(to)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for SharedFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.length.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = target.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}

/// How many entries the end of central directory record says there are (APPNOTE 4.3.14 to
/// 4.3.16), so that a ZIP file with too many is refused before their names fill the memory.
fn claimed_entries(file: &SharedFile) -> io::Result<u64> {
    /// The record without its comment, and the longest comment.
    const TAIL: u64 = 22 + 0xFFFF;
    let start = file.length.saturating_sub(TAIL);
    let mut tail = vec![0; (file.length - start) as usize];
    file.file.read_exact_at(&mut tail, start)?;
    let mut most = 0;
    for (at, window) in tail.windows(22).enumerate() {
        if !window.starts_with(b"PK\x05\x06") {
            continue;
        }
        let count = u64::from(little_endian::<2>(window, 10) as u16);
        most = most.max(count);
        if count == 0xFFFF {
            most = most.max(claimed_in_zip64(file, start + at as u64)?.unwrap_or(count));
        }
    }
    Ok(most)
}

/// The count of the ZIP64 record, found by the locator before the ordinary record.
fn claimed_in_zip64(file: &SharedFile, end_record: u64) -> io::Result<Option<u64>> {
    let mut locator = [0; 20];
    let Some(at) = end_record.checked_sub(20) else {
        return Ok(None);
    };
    file.file.read_exact_at(&mut locator, at)?;
    if !locator.starts_with(b"PK\x06\x07") {
        return Ok(None);
    }
    let record_at = little_endian::<8>(&locator, 8);
    let mut record = [0; 56];
    if record_at.saturating_add(56) > file.length {
        return Ok(None);
    }
    file.file.read_exact_at(&mut record, record_at)?;
    Ok(record
        .starts_with(b"PK\x06\x06")
        .then(|| little_endian::<8>(&record, 32)))
}

fn little_endian<const N: usize>(bytes: &[u8], at: usize) -> u64 {
    let field = bytes.get(at..at + N).unwrap_or_default();
    field
        .iter()
        .rev()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// A ZIP file that is written, entry after entry, to a file on disk.
pub struct ZipFileWriter {
    writer: ZipWriter<BufWriter<File>>,
}

/// Whether to deflate an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// As it is: for what is compressed already.
    Stored,
    /// Deflate, at a fast level.
    Deflated,
}

impl ZipFileWriter {
    /// Makes a new file; one that exists is not touched but is an error.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = File::create_new(path)?;
        Ok(Self {
            writer: ZipWriter::new(BufWriter::with_capacity(1 << 18, file)),
        })
    }

    /// Starts the next entry; [`Write`] gives its bytes.
    pub fn start(&mut self, name: &str, compression: Compression) -> io::Result<()> {
        let options = SimpleFileOptions::default().large_file(true);
        let options = match compression {
            Compression::Stored => options.compression_method(CompressionMethod::Stored),
            Compression::Deflated => options
                .compression_method(CompressionMethod::Deflated)
                .compression_level(Some(1)),
        };
        self.writer
            .start_file(name, options)
            .map_err(io::Error::from)
    }

    /// Takes the entry that was started last out again.
    pub fn abort(&mut self) -> io::Result<()> {
        self.writer.abort_file().map_err(io::Error::from)
    }

    /// Writes the directory and makes the file durable.
    pub fn finish(self) -> io::Result<()> {
        let buffer = self.writer.finish().map_err(io::Error::from)?;
        let file = buffer
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        file.sync_all()
    }
}

impl Write for ZipFileWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(entries: &[(&str, &[u8])]) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.zip");
        let mut writer = ZipFileWriter::create(&path).unwrap();
        for (index, (name, bytes)) in entries.iter().enumerate() {
            let compression = if index % 2 == 0 {
                Compression::Deflated
            } else {
                Compression::Stored
            };
            writer.start(name, compression).unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.finish().unwrap();
        (folder, path)
    }

    fn read(zip: &mut ZipFile, index: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        zip.read(index).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn what_is_written_reads_back_from_several_threads() {
        let big: Vec<u8> = (0..3_000_000_u32).map(|i| (i / 7) as u8).collect();
        let (_folder, path) = written(&[("a/1", b"one"), ("b", &big), ("c", &big)]);
        let zip = ZipFile::open(&path, &Limits::default()).unwrap();
        assert_eq!(
            zip.entry(0),
            Some(Entry {
                name: "a/1".into(),
                length: 3
            })
        );
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let mut zip = zip.clone();
                let big = &big;
                scope.spawn(move || {
                    assert_eq!(read(&mut zip, 0), b"one");
                    assert_eq!(&read(&mut zip, 1), big);
                    assert_eq!(&read(&mut zip, 2), big);
                });
            }
        });
    }

    #[test]
    fn limits_are_held() {
        let zeros = vec![0; 1 << 20];
        let (_folder, path) = written(&[("a", &zeros), ("b", &zeros), ("c", b"")]);
        let open = |limits: Limits| ZipFile::open(&path, &limits);
        let default = Limits::default();
        assert!(matches!(
            open(Limits {
                entries_max: 2,
                ..default
            }),
            Err(ZipFileError::Entries(3))
        ));
        assert!(matches!(
            open(Limits {
                total_bytes_max: 1 << 20,
                ..default
            }),
            Err(ZipFileError::Inflated(_))
        ));
        let mut small = open(Limits {
            entry_bytes_max: 1000,
            ..default
        })
        .unwrap();
        assert!(matches!(small.read(0), Err(EntryError::TooLong(1_048_576))));
        assert!(small.read(2).is_ok());
        // Stored zeros in "b" keep the ratio of this file at 2.
        assert!(matches!(
            open(Limits {
                ratio_max: 1,
                ratio_free_bytes: 0,
                ..default
            }),
            Err(ZipFileError::Ratio { .. })
        ));
        assert!(
            open(Limits {
                ratio_max: 1,
                ..default
            })
            .is_ok()
        );
    }

    #[test]
    fn an_entry_that_is_longer_than_it_says_is_cut_off() {
        let mut reader = Bounded {
            reader: &b"abcdef"[..],
            left: 4,
        };
        let mut buffer = Vec::new();
        assert!(reader.read_to_end(&mut buffer).is_err());
    }

    #[test]
    fn a_doctored_length_is_noticed() {
        let (_folder, path) = written(&[("a", &[7; 100_000])]);
        let mut bytes = std::fs::read(&path).unwrap();
        let central = bytes
            .windows(4)
            .rposition(|window| window == b"PK\x01\x02")
            .unwrap();
        // Uncompressed size in the central directory, or in its ZIP64 field.
        let honest = 100_000_u32.to_le_bytes();
        let field = bytes[central..]
            .windows(4)
            .position(|window| window == honest)
            .unwrap();
        bytes[central + field..central + field + 4].copy_from_slice(&10_u32.to_le_bytes());
        std::fs::write(&path, bytes).unwrap();
        let mut zip = ZipFile::open(&path, &Limits::default()).unwrap();
        let mut buffer = Vec::new();
        assert!(zip.read(0).unwrap().read_to_end(&mut buffer).is_err());
        assert!(buffer.len() <= 10, "{}", buffer.len());
    }

    #[test]
    fn garbage_is_no_zip_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.zip");
        for bytes in [&b""[..], b"PK\x03\x04", b"PK\x05\x06", &[0x50; 70_000]] {
            std::fs::write(&path, bytes).unwrap();
            assert!(ZipFile::open(&path, &Limits::default()).is_err());
        }
    }
}
