//! The keys of one pack.

use crate::cipher::DataCipher;
use crate::error::{BlobError, Result};
use crate::pack::PackHeader;
use crate::record::{CheckKey, RecordKey};
use gantry_keys::{KeyId, Keyring};
use std::path::Path;
use std::sync::Arc;

/// What the records and blobs of a pack are read and written with.
#[derive(Debug, Clone)]
pub(crate) struct PackKeys {
    pub records: RecordKey,
    /// None when the pack is plain.
    pub content: Option<Arc<DataCipher>>,
}

impl PackKeys {
    /// Those of a pack with this header; `content` is the cipher that it names.
    pub fn of(header: &PackHeader, content: Option<Arc<DataCipher>>) -> Result<Self> {
        let records = match &content {
            None => RecordKey::Check(CheckKey::derive(&header.archive, header.number)),
            Some(cipher) => {
                RecordKey::Cipher(Arc::new(cipher.records(&header.archive, header.number)?))
            }
        };
        Ok(Self { records, content })
    }

    /// Those of a pack that is there.
    pub fn find(header: &PackHeader, keyring: Option<&Keyring>, path: &Path) -> Result<Self> {
        let content = match header.key {
            None => None,
            Some(id) => Some(find_cipher(id, keyring, path)?),
        };
        Self::of(header, content)
    }

    /// The data key; none when the pack is plain.
    pub fn id(&self) -> Option<KeyId> {
        self.content.as_ref().map(|cipher| cipher.id())
    }
}

/// The cipher of a data key that the file `path` names.
pub(crate) fn find_cipher(
    id: KeyId,
    keyring: Option<&Keyring>,
    path: &Path,
) -> Result<Arc<DataCipher>> {
    let missing = |source| BlobError::NoKey {
        path: path.to_owned(),
        source,
    };
    let keyring = keyring.ok_or_else(|| missing(None))?;
    let key = keyring.find(id).map_err(|error| missing(Some(error)))?;
    Ok(Arc::new(DataCipher::new(key)))
}
