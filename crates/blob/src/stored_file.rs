//! Files of the store, open for reading, with what decrypts them.
//!
//! A large blob that is encrypted is a file of this form; its name ends in `.enc` instead of
//! `.dcm`:
//!
//! ```text
//!  0  magic "GNTRLARG"   8      16  id of the data key   16
//!  8  format version     2      32  chunks (see [`crate::cipher`])
//! 10  reserved           6
//! ```

use crate::blobs::Folders;
use crate::cipher::{DataCipher, FRONT_LENGTH, ObjectCipher, Salt, sealed_length};
use crate::error::{BlobError, Result};
use crate::location::{BlobLocation, LargeId};
use crate::pack::{self, PackHeader, read_front_at};
use crate::pack_keys::find_cipher;
use crate::record::Fields;
use gantry_keys::{KeyId, Keyring};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const MAGIC: [u8; 8] = *b"GNTRLARG";
const VERSION: u16 = 1;
/// Where the chunks of a large blob begin.
pub(crate) const LARGE_HEADER_LENGTH: usize = 32;

/// Whether a reading may wait for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    Wait,
    AtOnce,
}

/// Why a reading ended before its end.
pub(crate) enum Stop {
    WouldWait,
    Changed,
    Disk(io::Error),
}

/// An open file of the store.
#[derive(Debug)]
pub(crate) struct StoredFile {
    pub file: File,
    /// None when it is plain.
    pub cipher: Option<Arc<DataCipher>>,
}

/// What encrypted bytes are read with.
#[derive(Debug)]
pub(crate) struct Object {
    pub cipher: ObjectCipher,
    /// Where the chunks begin.
    pub start: u64,
}

impl StoredFile {
    /// The file in which a blob lies; none when it is not there.
    pub fn open(
        folders: &Folders,
        location: &BlobLocation,
        keyring: Option<&Keyring>,
    ) -> Result<Option<Self>> {
        match *location {
            BlobLocation::Pack { pack, .. } => {
                let path = pack::path(&folders.packs, pack);
                let Some(file) = open(&path)? else {
                    return Ok(None);
                };
                let header = PackHeader::read(&file, &path, pack)?;
                let key = header.and_then(|header| header.key);
                let cipher = key
                    .map(|key| find_cipher(key, keyring, &path))
                    .transpose()?;
                Ok(Some(Self { file, cipher }))
            }
            BlobLocation::Large { id, .. } => {
                for path in folders.large(id).paths {
                    let Some(file) = open(&path)? else { continue };
                    let key = read_large_header(&file, &path)?;
                    let cipher = key
                        .map(|key| find_cipher(key, keyring, &path))
                        .transpose()?;
                    return Ok(Some(Self { file, cipher }));
                }
                Ok(None)
            }
        }
    }

    /// Fills `to` with a blob's bytes from `offset` on.
    pub fn fill(
        &self,
        location: &BlobLocation,
        offset: u64,
        to: &mut [u8],
        patience: Patience,
    ) -> Result<(), Stop> {
        match self.object(location, patience)? {
            None => {
                let start = match *location {
                    BlobLocation::Pack { offset, .. } => offset,
                    BlobLocation::Large { .. } => 0,
                };
                self.read(start.saturating_add(offset), to, patience)
            }
            Some(object) => self.fill_from(&object, offset, to, patience),
        }
    }

    /// As [`Self::fill`], of an encrypted blob.
    pub fn fill_from(
        &self,
        object: &Object,
        offset: u64,
        to: &mut [u8],
        patience: Patience,
    ) -> Result<(), Stop> {
        let read = |at, to: &mut [u8]| self.read(object.start.saturating_add(at), to, patience);
        object
            .cipher
            .read(offset, to, read)
            .map_err(|stop| match stop {
                Stop::Disk(error) if error.kind() == io::ErrorKind::UnexpectedEof => Stop::Changed,
                stop => stop,
            })?
            .map_err(|_| Stop::Changed)
    }

    /// What a blob is decrypted with; none when it is plain.
    pub fn object(
        &self,
        location: &BlobLocation,
        patience: Patience,
    ) -> Result<Option<Object>, Stop> {
        let Some(cipher) = &self.cipher else {
            return Ok(None);
        };
        let (cipher, start) = match *location {
            BlobLocation::Large { id, length } => {
                (cipher.large(id, length), LARGE_HEADER_LENGTH as u64)
            }
            BlobLocation::Pack {
                pack,
                offset,
                length,
            } => {
                let mut front = [0; FRONT_LENGTH];
                self.read(offset, &mut front, patience)?;
                let salt: Salt = Fields(&front).take().unwrap_or_default();
                if cipher.front(&salt, pack, offset, length) != front {
                    return Err(Stop::Changed);
                }
                let start = offset.saturating_add(FRONT_LENGTH as u64);
                (cipher.object(&salt, length), start)
            }
        };
        let cipher = cipher.map_err(|_| Stop::Changed)?;
        Ok(Some(Object { cipher, start }))
    }

    #[cfg(target_os = "linux")]
    fn read(&self, offset: u64, to: &mut [u8], patience: Patience) -> Result<(), Stop> {
        use rustix::io::{Errno, ReadWriteFlags};
        if patience == Patience::Wait {
            return self.file.read_exact_at(to, offset).map_err(Stop::Disk);
        }
        let length = to.len();
        let slices = &mut [io::IoSliceMut::new(to)];
        match rustix::io::preadv2(&self.file, slices, offset, ReadWriteFlags::NOWAIT) {
            Ok(read) if read == length => Ok(()),
            // Whatever is the matter, reading in the ordinary way will tell.
            Ok(_) | Err(Errno::AGAIN | Errno::INTR | Errno::NOTSUP | Errno::NOSYS) => {
                Err(Stop::WouldWait)
            }
            Err(error) => Err(Stop::Disk(error.into())),
        }
    }

    /// Elsewhere the system cannot say that it would have to wait.
    #[cfg(not(target_os = "linux"))]
    fn read(&self, offset: u64, to: &mut [u8], patience: Patience) -> Result<(), Stop> {
        match patience {
            Patience::Wait => self.file.read_exact_at(to, offset).map_err(Stop::Disk),
            Patience::AtOnce => Err(Stop::WouldWait),
        }
    }
}

/// Length of the file of a large blob.
pub(crate) fn large_file_length(length: u64, is_encrypted: bool) -> u64 {
    if is_encrypted {
        sealed_length(length).saturating_add(LARGE_HEADER_LENGTH as u64)
    } else {
        length
    }
}

/// The header of an encrypted large blob.
pub(crate) fn large_header(key: KeyId) -> [u8; LARGE_HEADER_LENGTH] {
    let mut header = [0; LARGE_HEADER_LENGTH];
    let bytes = MAGIC
        .into_iter()
        .chain(VERSION.to_le_bytes())
        .chain([0; 6])
        .chain(key.0);
    for (to, from) in header.iter_mut().zip(bytes) {
        *to = from;
    }
    header
}

/// The key of a large blob's file; none when it is plain.
fn read_large_header(file: &File, path: &Path) -> Result<Option<KeyId>> {
    let is_encrypted = path.extension().is_some_and(|ending| ending == "enc");
    if !is_encrypted {
        return Ok(None);
    }
    let mut header = [0; LARGE_HEADER_LENGTH];
    let length =
        read_front_at(file, &mut header, 0).map_err(|error| BlobError::io("read", path, error))?;
    let mut fields = Fields(header.split_at(length).0);
    let unreadable = || BlobError::Inconsistent {
        path: path.to_owned(),
        what: "the header of an encrypted file is unreadable",
    };
    if fields.take() != Some(MAGIC) {
        return Err(unreadable());
    }
    let version = u16::from_le_bytes(fields.take().ok_or_else(unreadable)?);
    if version != VERSION {
        return Err(BlobError::NewerFormat {
            path: path.to_owned(),
            found: version,
            known: VERSION,
        });
    }
    fields.take::<6>();
    fields
        .take()
        .map(|id| Some(KeyId(id)))
        .ok_or_else(unreadable)
}

fn open(path: &Path) -> Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(BlobError::io("open", path, error)),
    }
}

/// Paths of a large blob's file.
#[derive(Debug)]
pub(crate) struct LargePaths {
    pub folder: PathBuf,
    /// Encrypted, and plain.
    pub paths: [PathBuf; 2],
}

impl LargePaths {
    pub fn of(large: &Path, id: LargeId) -> Self {
        let name = id.to_string();
        let folder = large.join(name.get(..2).unwrap_or_default());
        let path = |ending| folder.join(format!("{name}.{ending}"));
        let paths = [path("enc"), path("dcm")];
        Self { folder, paths }
    }
}

/// A file of the data folder `root` that is encrypted, if there is one: so there must be keys.
/// What cannot be read is taken for one.
pub fn find_encrypted(root: &Path) -> Option<PathBuf> {
    let folders = Folders::of(root);
    let packs = match folders.packs.is_dir() {
        true => pack::numbers(&folders.packs),
        false => Ok(Vec::new()),
    };
    for number in packs.unwrap_or_default() {
        let path = pack::path(&folders.packs, number);
        let header = File::open(&path)
            .map_err(|error| BlobError::io("open", &path, error))
            .and_then(|file| PackHeader::read(&file, &path, number));
        if !matches!(header, Ok(None | Some(PackHeader { key: None, .. }))) {
            return Some(path);
        }
    }
    let entries = |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries(&folders.large)
        .flat_map(|folder| entries(&folder.path()))
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|ending| ending == "enc"))
}

/// How many packs are encrypted, and how many are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackCount {
    /// Encrypted ones.
    pub encrypted: usize,
    /// Plain ones.
    pub plain: usize,
}

/// Counts the packs of the data folder `root` that are in use.
///
/// # Errors
/// When they cannot be read.
pub fn count_packs(root: &Path) -> Result<PackCount> {
    let packs = Folders::of(root).packs;
    let numbers = match packs.is_dir() {
        true => pack::numbers(&packs)?,
        false => Vec::new(),
    };
    let chain = pack::chain(&packs, &numbers)?;
    let encrypted = chain
        .iter()
        .filter(|link| link.header.key.is_some())
        .count();
    Ok(PackCount {
        encrypted,
        plain: chain.len() - encrypted,
    })
}
