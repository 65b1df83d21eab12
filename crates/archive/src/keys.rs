//! The keys of an archive, and the databases they are for.

use crate::config::ArchiveConfig;
use crate::error::{Error, Result};
use gantry_core::failure::Kind;
use gantry_core::secret::SecretKey;
use gantry_keys::Keyring;
use gantry_sqlite::Pages;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The databases of a data folder, by name.
const DATABASES: [&str; 3] = ["index", "identity", "audit"];

/// The keys of a data folder, if it has any.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    data: PathBuf,
    keyring: Option<Arc<Keyring>>,
}

impl Keys {
    /// Opens the keys, or makes them for a new archive. The caller holds the folder's lock.
    pub fn open(config: &ArchiveConfig) -> Result<Self> {
        let data = &config.data;
        let keyring = Keyring::open(data, &config.encryption, || find_encrypted(data));
        let failed = |error| Error::caused(Kind::Internal, "the keys cannot be opened", error);
        Ok(Self {
            data: data.clone(),
            keyring: keyring.map_err(failed)?.map(Arc::new),
        })
    }

    pub fn keyring(&self) -> Option<Arc<Keyring>> {
        self.keyring.clone()
    }

    /// The key of a database that somebody may have open, as it is now.
    pub fn of_open_database(&self, name: &str) -> Option<SecretKey> {
        let keyring = self.keyring.as_ref()?;
        keyring.is_enabled().then(|| keyring.derive(name))
    }

    /// The key of a database of the data folder; none when it is plain. The database, if it is
    /// there, is brought into that form first, so nobody has it open yet.
    pub fn of_database(&self, name: &str) -> Result<Option<SecretKey>> {
        let key = self.keyring.as_ref().map(|keyring| keyring.derive(name));
        let is_enabled = self
            .keyring
            .as_ref()
            .is_some_and(|keyring| keyring.is_enabled());
        let wanted = key.clone().filter(|_| is_enabled);
        let path = database(&self.data, name);
        let pages = match name {
            "index" => gantry_index::PAGES,
            _ => Pages::Authenticated,
        };
        let what = "a database cannot be brought into its form";
        gantry_sqlite::convert_to(&path, wanted.as_ref(), key.as_ref(), pages)
            .map_err(|error| Error::caused(Kind::Internal, what, error))?;
        Ok(wanted)
    }
}

fn database(data: &Path, name: &str) -> PathBuf {
    data.join(format!("{name}.sqlite"))
}

/// What of the folder is encrypted, in words: so there must have been keys.
fn find_encrypted(data: &Path) -> Option<String> {
    // What cannot be read is taken for encrypted: no key is made over it.
    let is_encrypted = |path: &PathBuf| gantry_sqlite::is_encrypted(path).unwrap_or(true);
    DATABASES
        .iter()
        .map(|name| database(data, name))
        .find(is_encrypted)
        .or_else(|| gantry_blob::find_encrypted(data))
        .map(|path| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_is_made_where_something_is_encrypted() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = ArchiveConfig {
            data: folder.path().to_owned(),
            ..ArchiveConfig::default()
        };
        let keys = Keys::open(&config).unwrap();
        assert!(keys.of_database("index").unwrap().is_some());
        let kept = tempfile::tempdir().unwrap();
        std::fs::rename(folder.path().join("keys"), kept.path().join("keys")).unwrap();
        // Nothing is encrypted yet.
        Keys::open(&config).unwrap();
        std::fs::remove_dir_all(folder.path().join("keys")).unwrap();
        std::fs::write(folder.path().join("index.sqlite"), [7; 100]).unwrap();
        for enabled in [true, false] {
            config.encryption.enabled = enabled;
            let refused = Keys::open(&config).unwrap_err();
            assert!(
                refused.chain().contains("index.sqlite is encrypted"),
                "{}",
                refused.chain()
            );
            assert!(!folder.path().join("keys").exists());
        }
        std::fs::rename(kept.path().join("keys"), folder.path().join("keys")).unwrap();
        Keys::open(&config).unwrap();
    }
}
