//! The keys of a data folder.

use crate::config::EncryptionConfig;
use crate::error::{KeyError, Result};
use crate::master::{Master, MasterId, Place, new_key};
use crate::wrapped::{Use, WrappedKey};
use crate::{atomic, random};
use gantry_core::secret::SecretKey;
use std::collections::HashMap;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// What a data key is called: random, and written where it was used.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(pub [u8; 16]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// A key of packs and large objects. Nothing is encrypted with it: keys are derived from it.
#[derive(Debug, Clone)]
pub struct DataKey {
    id: KeyId,
    key: SecretKey,
}

impl DataKey {
    /// What it is called.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The key for `purpose`, a constant that is used for nothing else, and for what `of` names.
    pub fn derive(&self, purpose: &'static str, of: &[u8]) -> SecretKey {
        derive(purpose, &self.key, of)
    }
}

/// `purpose` keeps uses apart, `of` what they are used for. The key comes first and is always of
/// one length, so that no two pairs are the same.
fn derive(purpose: &str, key: &SecretKey, of: &[u8]) -> SecretKey {
    let material = Zeroizing::new([&key.bytes()[..], of].concat());
    SecretKey::new(blake3::derive_key(purpose, &material))
}

/// The keys of a data folder, unwrapped.
#[derive(Debug)]
pub struct Keyring {
    root: SecretKey,
    data: HashMap<KeyId, DataKey>,
    newest: KeyId,
    is_enabled: bool,
}

/// What `gantry keys status` tells.
#[derive(Debug, Clone)]
pub struct Status {
    /// Where the master key is, in words.
    pub place: String,
    /// The master key in force; none when it is not there.
    pub master: Option<MasterId>,
    /// Data keys, the root key among them.
    pub keys: usize,
    /// Those that another master key wraps: a change of the master key was cut off.
    pub wrapped_by_others: usize,
    /// The data key that is used for what is new.
    pub newest: Option<KeyId>,
    /// Whether the master key lies in the data folder.
    pub is_master_beside_data: bool,
}

impl Keyring {
    /// Opens the keys of the data folder. Where there are none, and encryption is enabled, they
    /// are made: unless `find_encrypted` finds something that is encrypted already, whose keys
    /// must have been lost. None when there are no keys and encryption is not enabled.
    ///
    /// # Errors
    /// [`KeyError::MasterMissing`], [`KeyError::WrongMaster`], [`KeyError::Lost`]: nothing was
    /// changed, and all is well again when the right key is brought back.
    pub fn open(
        data: &Path,
        config: &EncryptionConfig,
        find_encrypted: impl FnOnce() -> Option<String>,
    ) -> Result<Option<Self>> {
        config.check()?;
        let folder = folder(data);
        if !root_path(&folder).exists() {
            if let Some(what) = find_encrypted() {
                return Err(KeyError::Lost { what, folder });
            }
            if !config.enabled {
                return Ok(None);
            }
            make(&folder, config)?;
        }
        let _lock = lock_shared(&folder)?;
        let place = Place::of(config, &folder)?;
        let masters = load_masters(&place)?;
        Self::read(&folder, config, &place, &masters).map(Some)
    }

    fn read(
        folder: &Path,
        config: &EncryptionConfig,
        place: &Place,
        masters: &[Master],
    ) -> Result<Self> {
        let mut root = None;
        let mut data = HashMap::new();
        let mut newest: Option<(u64, KeyId)> = None;
        for (path, wrapped) in list(folder)? {
            let key = wrapped.unwrap(&path, master_of(masters, &wrapped, place)?)?;
            match wrapped.for_use {
                Use::Root => root = Some(key),
                Use::Data => {
                    let id = wrapped.id;
                    newest = newest.max(Some((wrapped.generation, id)));
                    data.insert(id, DataKey { id, key });
                }
            }
        }
        let lost = || KeyError::Damaged {
            path: folder.display().to_string(),
            what: "keys are missing: bring them back from a backup",
        };
        Ok(Self {
            root: root.ok_or_else(lost)?,
            newest: newest.ok_or_else(lost)?.1,
            data,
            is_enabled: config.enabled,
        })
    }

    /// The key of a database, the same however often master keys change.
    pub fn derive(&self, purpose: &str) -> SecretKey {
        derive("gantry 2026 database key", &self.root, purpose.as_bytes())
    }

    /// The key for what is new; none when encryption is not enabled.
    pub fn newest(&self) -> Option<&DataKey> {
        self.data.get(&self.newest).filter(|_| self.is_enabled)
    }

    /// The key that something was encrypted with.
    ///
    /// # Errors
    /// [`KeyError::NoSuchKey`].
    pub fn find(&self, id: KeyId) -> Result<&DataKey> {
        self.data.get(&id).ok_or(KeyError::NoSuchKey(id))
    }

    /// Whether what is new is encrypted.
    pub fn is_enabled(&self) -> bool {
        self.is_enabled
    }

    /// How the keys of a data folder are kept.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn status(data: &Path, config: &EncryptionConfig) -> Result<Status> {
        let folder = folder(data);
        let place = Place::of(config, &folder)?;
        let master = place.load()?.map(|master| master.id());
        let keys = list(&folder)?;
        let is_other = |key: &&(PathBuf, WrappedKey)| Some(key.1.master) != master;
        let data_keys = keys.iter().filter(|(_, key)| key.for_use == Use::Data);
        let is_master_beside_data = match &place {
            Place::File(path) => {
                let real = |path: &Path| std::fs::canonicalize(path).ok();
                real(path)
                    .zip(real(data))
                    .is_some_and(|(path, data)| path.starts_with(data))
            }
            Place::Variable(_) | Place::Command { .. } => false,
        };
        Ok(Status {
            place: place.to_string(),
            master,
            keys: keys.len(),
            wrapped_by_others: keys.iter().filter(is_other).count(),
            newest: data_keys
                .max_by_key(|(_, key)| key.generation)
                .map(|(_, key)| key.id),
            is_master_beside_data,
        })
    }
}

/// Makes the first keys. Cut off, it is done again from where it was: the root key comes last.
fn make(folder: &Path, config: &EncryptionConfig) -> Result<()> {
    atomic::create_folder(folder)?;
    let _lock = lock_exclusive(folder)?;
    if root_path(folder).exists() {
        return Ok(());
    }
    let place = Place::of(config, folder)?;
    let master = match place.load()? {
        Some(master) => master,
        None => place.make()?,
    };
    let keys = list(folder)?;
    for (path, key) in &keys {
        key.unwrap(path, master_of(std::slice::from_ref(&master), key, &place)?)?;
    }
    if keys.is_empty() {
        add_data_key(folder, 1, &master)?;
    }
    let root = WrappedKey::wrap(Use::Root, 0, new_id()?, &new_key()?, &master)?;
    root.write(&root_path(folder))?;
    tracing::info!(place = %place, "the keys of this archive were made: keep a copy of the master key");
    Ok(())
}

/// Adds a data key, to be used for what is new.
pub(crate) fn add_data_key(folder: &Path, generation: u64, master: &Master) -> Result<()> {
    let id = new_id()?;
    let wrapped = WrappedKey::wrap(Use::Data, generation, id, &new_key()?, master)?;
    wrapped.write(&folder.join(format!("{id}.key")))
}

fn new_id() -> Result<KeyId> {
    let mut id = [0; 16];
    random(&mut id)?;
    Ok(KeyId(id))
}

/// The folder of the keys.
pub(crate) fn folder(data: &Path) -> PathBuf {
    data.join("keys")
}

fn root_path(folder: &Path) -> PathBuf {
    folder.join("root.key")
}

/// The master keys that are there, the one in force first.
pub(crate) fn load_masters(place: &Place) -> Result<Vec<Master>> {
    let masters: Vec<_> = [place.load()?, place.load_other()?]
        .into_iter()
        .flatten()
        .collect();
    if masters.is_empty() {
        return Err(KeyError::MasterMissing {
            place: place.to_string(),
        });
    }
    Ok(masters)
}

/// The one of `masters` that wraps `key`.
pub(crate) fn master_of<'a>(
    masters: &'a [Master],
    key: &WrappedKey,
    place: &Place,
) -> Result<&'a Master> {
    masters
        .iter()
        .find(|master| master.id() == key.master)
        .ok_or_else(|| {
            let found: Vec<_> = masters
                .iter()
                .map(|master| master.id().to_string())
                .collect();
            KeyError::WrongMaster {
                place: place.to_string(),
                found: found.join(" and "),
                wanted: key.master,
            }
        })
}

/// The wrapped keys of the folder.
pub(crate) fn list(folder: &Path) -> Result<Vec<(PathBuf, WrappedKey)>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(KeyError::io("list", folder)(error)),
    };
    let mut keys = Vec::new();
    for entry in entries {
        let path = entry.map_err(KeyError::io("list", folder))?.path();
        let is_key = path.extension().is_some_and(|ending| ending == "key")
            && path.file_stem().is_some_and(|stem| stem != "master");
        if is_key && !atomic::is_unfinished(&path) {
            let key = WrappedKey::read(&path)?;
            keys.push((path, key));
        }
    }
    keys.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(keys)
}

/// Held while keys are read, so that nobody changes the master key meanwhile.
fn lock_shared(folder: &Path) -> Result<Option<File>> {
    let path = folder.join("lock");
    // On a medium that cannot be written nobody changes keys.
    let Ok(file) = open_lock(&path) else {
        return Ok(None);
    };
    file.lock_shared().map_err(KeyError::io("lock", &path))?;
    Ok(Some(file))
}

/// Held while keys are made or the master key is changed.
pub(crate) fn lock_exclusive(folder: &Path) -> Result<File> {
    let path = folder.join("lock");
    let file = open_lock(&path).map_err(KeyError::io("open", &path))?;
    file.lock().map_err(KeyError::io("lock", &path))?;
    Ok(file)
}

fn open_lock(path: &Path) -> std::io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}
