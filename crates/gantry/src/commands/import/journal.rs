//! What was imported before, so that an import that was cut off goes on where it stopped.
//!
//! The journal holds one line for each file that was stored: a digest of its path, length and time
//! of change. It names nobody.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::time::SystemTime;

/// The digest of one file's place, length and time of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key([u8; 16]);

impl Key {
    /// The key of a file, or of an entry of a ZIP file.
    pub fn of(path: &Path, entry: Option<&str>, length: u64, modified: SystemTime) -> Self {
        let since = modified
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let mut hasher = blake3::Hasher::new();
        let path = path.as_os_str().as_encoded_bytes();
        hasher.update(&(path.len() as u64).to_le_bytes());
        hasher.update(path);
        hasher.update(entry.unwrap_or_default().as_bytes());
        hasher.update(&length.to_le_bytes());
        hasher.update(&since.as_nanos().to_le_bytes());
        let mut key = [0; 16];
        hasher.finalize_xof().fill(&mut key);
        Self(key)
    }

    fn parse(line: &str) -> Option<Self> {
        let digits = u128::from_str_radix(line.trim(), 16).ok()?;
        (line.trim().len() == 32).then_some(Self(digits.to_be_bytes()))
    }

    fn to_line(self) -> String {
        format!("{:032x}\n", u128::from_be_bytes(self.0))
    }
}

/// The journal file of an import.
#[derive(Debug)]
pub struct Journal {
    before: HashSet<Key>,
    file: Option<File>,
}

impl Journal {
    /// A journal that remembers nothing.
    pub fn none() -> Self {
        Self {
            before: HashSet::new(),
            file: None,
        }
    }

    /// Reads what is there and goes on behind it. A line that was cut off counts as not written.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .create(true)
            .read(true)
            .append(true)
            .open(path)?;
        let mut before = HashSet::new();
        for line in BufReader::new(&file).lines() {
            before.extend(Key::parse(&line?));
        }
        // Ends a line that a crash left open.
        (&file).write_all(b"\n")?;
        Ok(Self {
            before,
            file: Some(file),
        })
    }

    /// A journal that is written on, but in which nothing counts as done.
    pub fn forgetting(mut self) -> Self {
        self.before.clear();
        self
    }

    /// Whether the file was stored by an earlier run.
    pub fn has(&self, key: Key) -> bool {
        self.before.contains(&key)
    }

    /// Notes that the file is stored.
    pub fn note(&self, key: Key) -> io::Result<()> {
        match &self.file {
            // One short line: appended whole, whoever else appends at the same time.
            Some(file) => {
                let mut file: &File = file;
                file.write_all(key.to_line().as_bytes())
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_was_noted_is_known_to_the_next_run() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(5);
        let one = Key::of(Path::new("/a"), None, 1, time);
        let two = Key::of(Path::new("/a"), Some("x"), 1, time);
        let journal = Journal::open(&path).unwrap();
        assert!(!journal.has(one));
        journal.note(one).unwrap();
        // A line cut off by a crash.
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(&two.to_line().as_bytes()[..20]).unwrap();
        let journal = Journal::open(&path).unwrap();
        assert!(journal.has(one) && !journal.has(two));
        journal.note(two).unwrap();
        drop(journal);
        assert!(Journal::open(&path).unwrap().has(two));
    }

    #[test]
    fn a_changed_file_is_another_one() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(5);
        let key = Key::of(Path::new("/a"), None, 1, time);
        assert_ne!(key, Key::of(Path::new("/a"), None, 2, time));
        assert_ne!(
            key,
            Key::of(Path::new("/a"), None, 1, time + Duration::from_nanos(1))
        );
        assert_ne!(key, Key::of(Path::new("/b"), None, 1, time));
    }
}
