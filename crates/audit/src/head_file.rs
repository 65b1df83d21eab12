//! The end of the chain, kept beside it: who cuts events off the end of the database has to
//! change this file too, which nobody can who has not the key.
//!
//! Two slots are written in turn, so that a write that is torn leaves the other. The file is
//! written before an event is acknowledged, but flushed only now and then: it survives a killed
//! process, and after a power failure it may name an earlier event, which is as good.

use crate::chain::{Hash, Hasher, Head};
use crate::error::{AuditError, Result};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A slot has a sector of its own.
const SLOT_BYTES: u64 = 4096;
const SLOTS: u64 = 2;

/// The open file.
#[derive(Debug)]
pub(crate) struct HeadFile {
    file: File,
    path: PathBuf,
    hasher: Hasher,
    next_slot: u64,
    newest: Option<Head>,
    is_flushed: bool,
}

/// What the file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Noted {
    /// There is no file, or it is empty.
    Nothing,
    /// There is one, but nothing in it was written with this key.
    Unproven,
    /// The newest head.
    Head(Head),
}

impl HeadFile {
    /// Opens it for writing; makes it if need be.
    pub fn open(path: &Path, hasher: &Hasher) -> Result<(Self, Noted)> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(AuditError::io(path))?;
        let slots = read_slots(&file, hasher).map_err(AuditError::io(path))?;
        let noted = newest(&slots);
        let newest = match noted {
            Noted::Head(head) => Some(head),
            Noted::Nothing | Noted::Unproven => None,
        };
        let newest_slot = slots
            .iter()
            .position(|slot| newest.is_some() && slot.head() == newest);
        let next_slot = newest_slot.map_or(0, |slot| (slot as u64 + 1) % SLOTS);
        let open = Self {
            file,
            path: path.to_owned(),
            hasher: hasher.clone(),
            next_slot,
            newest,
            is_flushed: true,
        };
        Ok((open, noted))
    }

    /// What the file at `path` says.
    pub fn read(path: &Path, hasher: &Hasher) -> Result<Noted> {
        match File::open(path) {
            Ok(file) => {
                let slots = read_slots(&file, hasher).map_err(AuditError::io(path))?;
                Ok(newest(&slots))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Noted::Nothing),
            Err(error) => Err(AuditError::io(path)(error)),
        }
    }

    /// Notes a new end.
    pub fn write(&mut self, head: Head) -> Result<()> {
        if self.newest == Some(head) {
            return Ok(());
        }
        let mut text = format!("{head} {}\n", self.hasher.proof(&head)).into_bytes();
        text.resize(256, b'\n');
        self.file
            .write_all_at(&text, self.next_slot * SLOT_BYTES)
            .map_err(AuditError::io(&self.path))?;
        self.next_slot = (self.next_slot + 1) % SLOTS;
        self.newest = Some(head);
        self.is_flushed = false;
        Ok(())
    }

    /// Puts on disk what was written.
    pub fn flush(&mut self) -> Result<()> {
        if !self.is_flushed {
            self.file.sync_data().map_err(AuditError::io(&self.path))?;
            self.is_flushed = true;
        }
        Ok(())
    }
}

/// A slot's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    Empty,
    Unproven,
    Head(Head),
}

impl Slot {
    fn head(self) -> Option<Head> {
        match self {
            Self::Head(head) => Some(head),
            Self::Empty | Self::Unproven => None,
        }
    }
}

fn read_slots(file: &File, hasher: &Hasher) -> std::io::Result<[Slot; SLOTS as usize]> {
    let mut slots = [Slot::Empty; SLOTS as usize];
    for (number, slot) in (0..).zip(&mut slots) {
        let mut bytes = [0; 256];
        let mut length = 0;
        while let Some(rest) = bytes.get_mut(length..).filter(|rest| !rest.is_empty()) {
            match file.read_at(rest, number * SLOT_BYTES + length as u64)? {
                0 => break,
                read => length += read,
            }
        }
        *slot = parse_slot(bytes.get(..length).unwrap_or_default(), hasher);
    }
    Ok(slots)
}

fn parse_slot(bytes: &[u8], hasher: &Hasher) -> Slot {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    let text = text.trim_matches(['\n', '\0']);
    if text.is_empty() && bytes.iter().all(|byte| matches!(byte, 0 | b'\n')) {
        return Slot::Empty;
    }
    let parsed = text
        .split_once(' ')
        .and_then(|(head, proof)| Some((head.parse::<Head>().ok()?, Hash::parse(proof)?)));
    match parsed {
        Some((head, proof)) if hasher.proof(&head) == proof => Slot::Head(head),
        _ => Slot::Unproven,
    }
}

fn newest(slots: &[Slot]) -> Noted {
    let heads = slots.iter().filter_map(|slot| slot.head());
    match heads.max_by_key(|head| head.sequence) {
        Some(head) => Noted::Head(head),
        None if slots.contains(&Slot::Unproven) => Noted::Unproven,
        None => Noted::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gantry_core::secret::SecretKey;
    use std::os::unix::fs::PermissionsExt;

    fn head(sequence: u64) -> Head {
        Head {
            sequence,
            hash: Hash([sequence as u8; 32]),
        }
    }

    #[test]
    fn the_newest_head_is_found_again_and_a_torn_write_leaves_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.head");
        let hasher = Hasher::new(Some(&SecretKey::new([7; 32])));
        assert_eq!(HeadFile::read(&path, &hasher).unwrap(), Noted::Nothing);
        let (mut file, noted) = HeadFile::open(&path, &hasher).unwrap();
        assert_eq!(noted, Noted::Nothing);
        for sequence in [1, 2, 9, 123_456_789] {
            file.write(head(sequence)).unwrap();
            file.flush().unwrap();
            let found = HeadFile::read(&path, &hasher).unwrap();
            assert_eq!(found, Noted::Head(head(sequence)));
        }
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        // The last one went into the second slot.
        let bytes = std::fs::read(&path).unwrap();
        let mut torn = bytes.clone();
        torn[SLOT_BYTES as usize] ^= 1;
        std::fs::write(&path, &torn).unwrap();
        assert_eq!(
            HeadFile::read(&path, &hasher).unwrap(),
            Noted::Head(head(9))
        );
        let other = Hasher::new(None);
        assert_eq!(HeadFile::read(&path, &other).unwrap(), Noted::Unproven);
        // After being opened again, the older slot is the one that is written.
        std::fs::write(&path, &bytes).unwrap();
        let (mut file, _) = HeadFile::open(&path, &hasher).unwrap();
        file.write(head(123_456_790)).unwrap();
        assert!(std::fs::read(&path).unwrap().starts_with(b"123456790:"));
    }
}
