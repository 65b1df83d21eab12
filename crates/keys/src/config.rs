//! What a site may set about encryption.

use crate::error::KeyError;
use std::path::PathBuf;

/// `[encryption]`: whether what is stored is encrypted, and where the master key is.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct EncryptionConfig {
    /// Whether what is stored from now on is encrypted. What was stored before stays as it is
    /// and stays readable.
    pub enabled: bool,
    /// File of the master key, made on first start; empty: `keys/master.key` in the data folder.
    /// It should lie elsewhere: a key beside the data protects only what leaves without it, as
    /// discs, copies and backups of parts.
    pub master_key_file: PathBuf,
    /// Environment variable that holds the master key as 64 hexadecimal digits; instead of a
    /// file. While it is changed, the one before is in the variable of this name and `_PREVIOUS`.
    pub master_key_env: String,
    /// A program and its arguments, called with `wrap` or `unwrap` as the last one, that gets a
    /// key on standard input and answers on standard output: the way to a KMS or an HSM. The
    /// master key lies wrapped by it in the data folder; instead of a file.
    pub key_command: Vec<String>,
}

impl Default for EncryptionConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            master_key_file: PathBuf::new(),
            master_key_env: String::new(),
            key_command: Vec::new(),
        }
    }
}

impl EncryptionConfig {
    /// Whether not more than one place of the master key is named.
    ///
    /// # Errors
    /// [`KeyError::Ambiguous`].
    pub fn check(&self) -> Result<(), KeyError> {
        let named = [
            !self.master_key_file.as_os_str().is_empty(),
            !self.master_key_env.is_empty(),
            !self.key_command.is_empty(),
        ];
        if named.iter().filter(|named| **named).count() > 1 {
            return Err(KeyError::Ambiguous);
        }
        Ok(())
    }
}
