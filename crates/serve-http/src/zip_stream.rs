//! Writes a ZIP file while its entries arrive (APPNOTE.TXT 6.3; PS3.18 8.6.1.3.1).
//!
//! Entries are "deflated" without compression: unlike the method "stored", that can be read front
//! to back by every unpacker although sizes and checksums stand behind the content. DICOM pixel
//! data hardly shrink for what deflating them costs.

use bytes::{BufMut, Bytes, BytesMut};

/// Largest block of deflate without compression (RFC 1951 §3.2.4).
const BLOCK_MAX: usize = 0xFFFF;
/// From here on sizes, offsets and counts need their 64-bit forms.
const ZIP64_FROM: u64 = 0xFFFF_FFFF;
/// Version needed to extract: 4.5, for the 64-bit forms.
const VERSION: u16 = 45;
/// Sizes and checksum follow the content; names are UTF-8.
const FLAGS: u16 = 0x0808;
const DEFLATED: u16 = 8;
/// 1980-01-01, because when an instance was sent is nobody's business and would change the bytes.
const DOS_DATE: u16 = 0x0021;

/// A ZIP file being written.
#[derive(Debug, Default)]
pub struct ZipStream {
    offset: u64,
    entries: Vec<Entry>,
    open: Option<Open>,
}

#[derive(Debug)]
struct Entry {
    name: String,
    offset: u64,
    crc: u32,
    size: u64,
    compressed: u64,
}

#[derive(Debug)]
struct Open {
    name: String,
    offset: u64,
    crc: crc32fast::Hasher,
    size: u64,
    compressed: u64,
}

impl ZipStream {
    /// Begins an entry; an open one must have been ended.
    pub fn begin(&mut self, name: &str) -> Bytes {
        let mut header = BytesMut::with_capacity(64 + name.len());
        header.put_u32_le(0x0403_4B50);
        header.put_u16_le(VERSION);
        header.put_u16_le(FLAGS);
        header.put_u16_le(DEFLATED);
        header.put_u16_le(0);
        header.put_u16_le(DOS_DATE);
        header.put_u32_le(0);
        // How long an entry gets is not known here: the 64-bit form, to be filled in behind it.
        header.put_u32_le(u32::MAX);
        header.put_u32_le(u32::MAX);
        header.put_u16_le(name_length(name));
        header.put_u16_le(20);
        header.put_slice(name.as_bytes());
        header.put_u16_le(0x0001);
        header.put_u16_le(16);
        header.put_u64_le(0);
        header.put_u64_le(0);
        self.open = Some(Open {
            name: name.to_owned(),
            offset: self.offset,
            crc: crc32fast::Hasher::new(),
            size: 0,
            compressed: 0,
        });
        self.wrote(header)
    }

    /// Content of the open entry. What is to be written is in several pieces, so that the content
    /// itself is not copied.
    pub fn content(&mut self, chunk: &Bytes) -> Vec<Bytes> {
        let mut pieces = Vec::with_capacity(2 * chunk.len().div_ceil(BLOCK_MAX));
        let Some(open) = &mut self.open else {
            return pieces;
        };
        open.crc.update(chunk);
        open.size += chunk.len() as u64;
        let mut rest = chunk.clone();
        while !rest.is_empty() {
            let block = rest.split_to(rest.len().min(BLOCK_MAX));
            let header = block_header(false, block.len());
            open.compressed += (header.len() + block.len()) as u64;
            self.offset += (header.len() + block.len()) as u64;
            pieces.push(header);
            pieces.push(block);
        }
        pieces
    }

    /// Ends the open entry.
    pub fn end(&mut self) -> Bytes {
        let Some(open) = self.open.take() else {
            return Bytes::new();
        };
        let last = block_header(true, 0);
        let entry = Entry {
            name: open.name,
            offset: open.offset,
            crc: open.crc.finalize(),
            size: open.size,
            compressed: open.compressed + last.len() as u64,
        };
        let mut tail = BytesMut::with_capacity(32);
        tail.put_slice(&last);
        tail.put_u32_le(0x0807_4B50);
        tail.put_u32_le(entry.crc);
        tail.put_u64_le(entry.compressed);
        tail.put_u64_le(entry.size);
        self.entries.push(entry);
        self.wrote(tail)
    }

    /// The central directory.
    pub fn finish(mut self) -> Bytes {
        let start = self.offset;
        let mut directory = BytesMut::new();
        for entry in &self.entries {
            put_directory_entry(&mut directory, entry);
        }
        let size = directory.len() as u64;
        let count = self.entries.len() as u64;
        directory.put_u32_le(0x0606_4B50);
        directory.put_u64_le(44);
        directory.put_u16_le(VERSION);
        directory.put_u16_le(VERSION);
        directory.put_u32_le(0);
        directory.put_u32_le(0);
        directory.put_u64_le(count);
        directory.put_u64_le(count);
        directory.put_u64_le(size);
        directory.put_u64_le(start);
        directory.put_u32_le(0x0706_4B50);
        directory.put_u32_le(0);
        directory.put_u64_le(start + size);
        directory.put_u32_le(1);
        directory.put_u32_le(0x0605_4B50);
        directory.put_u16_le(0);
        directory.put_u16_le(0);
        let count = u16::try_from(count).unwrap_or(u16::MAX);
        directory.put_u16_le(count);
        directory.put_u16_le(count);
        directory.put_u32_le(u32::try_from(size).unwrap_or(u32::MAX));
        directory.put_u32_le(u32::try_from(start).unwrap_or(u32::MAX));
        directory.put_u16_le(0);
        self.wrote(directory)
    }

    fn wrote(&mut self, bytes: BytesMut) -> Bytes {
        self.offset += bytes.len() as u64;
        bytes.freeze()
    }
}

fn put_directory_entry(directory: &mut BytesMut, entry: &Entry) {
    let needs_64 = entry.size.max(entry.compressed).max(entry.offset) >= ZIP64_FROM;
    let narrow = |value: u64| {
        if needs_64 {
            u32::MAX
        } else {
            u32::try_from(value).unwrap_or(u32::MAX)
        }
    };
    directory.put_u32_le(0x0201_4B50);
    directory.put_u16_le(VERSION);
    directory.put_u16_le(VERSION);
    directory.put_u16_le(FLAGS);
    directory.put_u16_le(DEFLATED);
    directory.put_u16_le(0);
    directory.put_u16_le(DOS_DATE);
    directory.put_u32_le(entry.crc);
    directory.put_u32_le(narrow(entry.compressed));
    directory.put_u32_le(narrow(entry.size));
    directory.put_u16_le(name_length(&entry.name));
    directory.put_u16_le(if needs_64 { 28 } else { 0 });
    directory.put_u16_le(0);
    directory.put_u16_le(0);
    directory.put_u16_le(0);
    directory.put_u32_le(0);
    directory.put_u32_le(narrow(entry.offset));
    directory.put_slice(entry.name.as_bytes());
    if needs_64 {
        directory.put_u16_le(0x0001);
        directory.put_u16_le(24);
        directory.put_u64_le(entry.size);
        directory.put_u64_le(entry.compressed);
        directory.put_u64_le(entry.offset);
    }
}

/// Names are made of UIDs here, far below the limit.
fn name_length(name: &str) -> u16 {
    u16::try_from(name.len()).unwrap_or(u16::MAX)
}

fn block_header(is_last: bool, length: usize) -> Bytes {
    let length = u16::try_from(length).unwrap_or(u16::MAX);
    let mut header = BytesMut::with_capacity(5);
    header.put_u8(u8::from(is_last));
    header.put_u16_le(length);
    header.put_u16_le(!length);
    header.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::process::Command;

    fn write(entries: &[(&str, &[u8])], chunk: usize) -> Vec<u8> {
        let mut zip = ZipStream::default();
        let mut file = Vec::new();
        for (name, content) in entries {
            file.extend_from_slice(&zip.begin(name));
            for piece in content.chunks(chunk) {
                for bytes in zip.content(&Bytes::copy_from_slice(piece)) {
                    file.extend_from_slice(&bytes);
                }
            }
            file.extend_from_slice(&zip.end());
        }
        file.extend_from_slice(&zip.finish());
        file
    }

    /// Python's zipfile is a reader that we did not write and that every test machine has.
    #[test]
    fn another_program_reads_it() {
        let big: Vec<u8> = (0..200_000u32).map(|n| (n % 251) as u8).collect();
        let file = write(
            &[("a/1.dcm", b"one"), ("a/empty.dcm", b""), ("b.dcm", &big)],
            70_000,
        );
        let mut temporary = tempfile::NamedTempFile::new().unwrap();
        temporary.write_all(&file).unwrap();
        let script = "import sys, zipfile\n\
                      z = zipfile.ZipFile(sys.argv[1])\n\
                      assert z.testzip() is None\n\
                      print([(i.filename, i.file_size) for i in z.infolist()])\n\
                      assert z.read('b.dcm') == bytes(n % 251 for n in range(200000))\n";
        let output = Command::new("python3")
            .args(["-c", script])
            .arg(temporary.path())
            .output()
            .expect("python3 runs");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert_eq!(
            String::from_utf8_lossy(&output.stdout).trim(),
            "[('a/1.dcm', 3), ('a/empty.dcm', 0), ('b.dcm', 200000)]"
        );
    }

    #[test]
    fn offsets_beyond_32_bits_are_written_in_64() {
        let mut directory = BytesMut::new();
        let entry = Entry {
            name: "x".into(),
            offset: 1 << 33,
            crc: 0,
            size: 5,
            compressed: 10,
        };
        put_directory_entry(&mut directory, &entry);
        assert_eq!(directory.len(), 46 + 1 + 28);
        assert!(directory.ends_with(&(1u64 << 33).to_le_bytes()));
    }

    #[test]
    fn the_same_entries_make_the_same_bytes() {
        assert_eq!(write(&[("a", b"x")], 1), write(&[("a", b"x")], 1));
    }
}
