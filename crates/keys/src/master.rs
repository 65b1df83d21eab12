//! The master key: where it is, and what it wraps.

use crate::atomic;
use crate::config::EncryptionConfig;
use crate::error::{KeyError, Result};
use crate::{hook, random};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use gantry_core::secret::SecretKey;
use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// What a master key is called: a digest of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct MasterId(pub(crate) [u8; 16]);

impl fmt::Display for MasterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for MasterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterId({self})")
    }
}

/// A master key.
#[derive(Debug, Clone)]
pub(crate) struct Master {
    key: SecretKey,
    id: MasterId,
}

impl Master {
    pub fn of(key: SecretKey) -> Self {
        let mut id = [0; 16];
        let digest = Zeroizing::new(blake3::derive_key("gantry 2026 master key id", key.bytes()));
        id.copy_from_slice(digest.split_at(16).0);
        Self {
            key,
            id: MasterId(id),
        }
    }

    /// A new one.
    pub fn make() -> Result<Self> {
        new_key().map(Self::of)
    }

    pub fn id(&self) -> MasterId {
        self.id
    }

    /// Wraps `key`: nonce, then what it became. `clear` is authenticated with it.
    pub fn seal(&self, clear: &[u8], key: &SecretKey) -> Result<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        random(&mut nonce)?;
        let mut sealed = Zeroizing::new(key.bytes().to_vec());
        self.cipher()?
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(clear),
                &mut *sealed,
            )
            .map_err(|_| KeyError::Random)?;
        Ok([&nonce[..], &sealed].concat())
    }

    /// Undoes [`Self::seal`]; nothing when something is not as it was.
    pub fn open(&self, clear: &[u8], sealed: &[u8]) -> Option<SecretKey> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut bytes = Zeroizing::new(sealed.to_vec());
        let key = self
            .cipher()
            .ok()?
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(clear),
                &mut bytes,
            )
            .ok()?;
        Some(SecretKey::new(<[u8; 32]>::try_from(&*key).ok()?))
    }

    fn cipher(&self) -> Result<LessSafeKey> {
        UnboundKey::new(&AES_256_GCM, self.key.bytes())
            .map(LessSafeKey::new)
            .map_err(|_| KeyError::Random)
    }
}

/// A key that was not there before.
pub(crate) fn new_key() -> Result<SecretKey> {
    let mut bytes = Zeroizing::new([0; 32]);
    random(&mut *bytes)?;
    Ok(SecretKey::new(*bytes))
}

/// Where the master key is.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    File(PathBuf),
    Variable(String),
    /// In a file, wrapped by a program.
    Command {
        command: Vec<String>,
        file: PathBuf,
    },
}

impl Place {
    /// What is configured.
    pub fn of(config: &EncryptionConfig, keys: &Path) -> Result<Self> {
        config.check()?;
        Ok(if !config.key_command.is_empty() {
            Self::Command {
                command: config.key_command.clone(),
                file: keys.join("master.wrapped"),
            }
        } else if !config.master_key_env.is_empty() {
            Self::Variable(config.master_key_env.clone())
        } else if config.master_key_file.as_os_str().is_empty() {
            Self::File(keys.join("master.key"))
        } else {
            Self::File(config.master_key_file.clone())
        })
    }

    /// The key in force; none when there is none.
    pub fn load(&self) -> Result<Option<Master>> {
        match self {
            Self::File(path) | Self::Command { file: path, .. } => self.read(path),
            Self::Variable(name) => read_variable(name),
        }
    }

    /// The other key that is there while the one in force is changed: the next one when it is in
    /// a file, the one before when it is in a variable.
    pub fn load_other(&self) -> Result<Option<Master>> {
        match self {
            Self::File(path) | Self::Command { file: path, .. } => self.read(&next(path)),
            Self::Variable(name) => read_variable(&format!("{name}_PREVIOUS")),
        }
    }

    /// Makes the key, where there is none.
    pub fn make(&self) -> Result<Master> {
        match self {
            Self::File(path) | Self::Command { file: path, .. } => self.make_at(path),
            Self::Variable(name) => Err(KeyError::MasterMissing {
                place: format!(
                    "the environment variable {name} is not set (set it to 64 random hexadecimal digits)"
                ),
            }),
        }
    }

    /// Makes the key that will be in force. None where Gantry cannot put one.
    pub fn make_next(&self) -> Result<Option<Master>> {
        match self {
            Self::File(path) | Self::Command { file: path, .. } => {
                self.make_at(&next(path)).map(Some)
            }
            Self::Variable(_) => Ok(None),
        }
    }

    /// Puts the next key in force; the one before is gone.
    pub fn promote_next(&self) -> Result<()> {
        match self {
            Self::File(path) | Self::Command { file: path, .. } => {
                atomic::replace(&next(path), path)
            }
            Self::Variable(_) => Ok(()),
        }
    }

    fn make_at(&self, path: &Path) -> Result<Master> {
        if let Some(folder) = path.parent().filter(|path| !path.as_os_str().is_empty()) {
            atomic::create_folder(folder)?;
        }
        let master = Master::make()?;
        match self {
            Self::Command { command, .. } => {
                let wrapped = hook::run(command, "wrap", master.key.bytes())?;
                // Before it is relied upon.
                let again = hook::run(command, "unwrap", &wrapped)?;
                if again.as_slice() != master.key.bytes() {
                    return Err(KeyError::Command {
                        program: command.first().cloned().unwrap_or_default(),
                        action: "unwrap",
                        what: "it does not give back what it wrapped".into(),
                    });
                }
                atomic::create(path, &wrapped)?;
            }
            Self::File(_) | Self::Variable(_) => {
                let mut text = master.key.to_hex();
                text.push('\n');
                atomic::create(path, text.as_bytes())?;
            }
        }
        Ok(master)
    }

    fn read(&self, path: &Path) -> Result<Option<Master>> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => Zeroizing::new(bytes),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(KeyError::io("read", path)(error)),
        };
        if let Self::Command { command, .. } = self {
            let key = hook::run(command, "unwrap", &bytes)?;
            let key = <[u8; 32]>::try_from(key.as_slice()).map_err(|_| KeyError::Command {
                program: command.first().cloned().unwrap_or_default(),
                action: "unwrap",
                what: format!("it answered {} bytes instead of 32", key.len()),
            })?;
            return Ok(Some(Master::of(SecretKey::new(key))));
        }
        warn_if_others_may_read(path);
        parse(&bytes)
            .map(|key| Some(Master::of(key)))
            .ok_or_else(|| KeyError::damaged(path, "it does not hold 64 hexadecimal digits"))
    }
}

/// In words.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "the file {}", path.display()),
            Self::Variable(name) => write!(f, "the environment variable {name}"),
            Self::Command { command, file } => {
                let program = command.first().map_or("", String::as_str);
                write!(f, "the file {}, wrapped by {program}", file.display())
            }
        }
    }
}

fn next(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".next");
    name.into()
}

fn read_variable(name: &str) -> Result<Option<Master>> {
    let Some(text) = std::env::var_os(name) else {
        return Ok(None);
    };
    let text = Zeroizing::new(text.into_encoded_bytes());
    if text.is_empty() {
        return Ok(None);
    }
    let key = parse(&text).ok_or_else(|| KeyError::Damaged {
        path: format!("the environment variable {name}"),
        what: "it does not hold 64 hexadecimal digits",
    })?;
    Ok(Some(Master::of(key)))
}

/// 64 hexadecimal digits, with white space around them.
fn parse(text: &[u8]) -> Option<SecretKey> {
    let text = text.trim_ascii();
    if text.len() != 64 {
        return None;
    }
    let mut bytes = Zeroizing::new([0; 32]);
    for (byte, digits) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        let [high, low] = <[u8; 2]>::try_from(digits).ok()?;
        let digit = |digit: u8| char::from(digit).to_digit(16);
        *byte = u8::try_from(digit(high)? * 16 + digit(low)?).ok()?;
    }
    Some(SecretKey::new(*bytes))
}

fn warn_if_others_may_read(path: &Path) {
    let mode = std::fs::metadata(path).map(|metadata| metadata.permissions().mode());
    if mode.is_ok_and(|mode| mode & 0o077 != 0) {
        tracing::warn!(path = %path.display(), "others than its owner may read the master key");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_64_digits() {
        let key = parse(format!(" {}\n", "aB".repeat(32)).as_bytes()).unwrap();
        assert_eq!(key.bytes(), &[0xAB; 32]);
        for text in [
            "",
            "ab",
            &"ag".repeat(32),
            &"ab".repeat(33),
            &"+1".repeat(32),
        ] {
            assert!(parse(text.as_bytes()).is_none(), "{text}");
        }
    }

    #[test]
    fn an_id_tells_keys_apart_and_not_what_they_are() {
        let one = Master::of(SecretKey::new([1; 32]));
        assert_eq!(one.id(), Master::of(SecretKey::new([1; 32])).id());
        assert_ne!(one.id(), Master::of(SecretKey::new([2; 32])).id());
        assert_ne!(one.id().0, [1; 16]);
    }
}
