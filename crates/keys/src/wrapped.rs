//! A data key in its file, wrapped by the master key.
//!
//! ```text
//!  0  magic "GNTRKEY1"        8      20  id of the key                 16
//!  8  use (1: root, 2: data)  1      36  id of the master that wraps   16
//!  9  reserved                3      52  nonce                         12
//! 12  generation              8      64  the key, AES-256-GCM          48
//!                                        (bytes 0..52 are authenticated too)
//! ```

use crate::atomic;
use crate::error::{KeyError, Result};
use crate::keyring::KeyId;
use crate::master::{Master, MasterId};
use gantry_core::secret::SecretKey;
use std::path::Path;

const MAGIC: [u8; 8] = *b"GNTRKEY1";
const CLEAR_LENGTH: usize = 52;
const LENGTH: usize = 112;

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// Other keys are derived from it.
    Root,
    /// Packs and large objects.
    Data,
}

/// A key file as it is read, before it is unwrapped.
#[derive(Debug, Clone)]
pub(crate) struct WrappedKey {
    pub for_use: Use,
    /// Later ones are higher: the highest is used for what is new.
    pub generation: u64,
    pub id: KeyId,
    pub master: MasterId,
    bytes: [u8; LENGTH],
}

impl WrappedKey {
    /// Wraps a key.
    pub fn wrap(
        for_use: Use,
        generation: u64,
        id: KeyId,
        key: &SecretKey,
        master: &Master,
    ) -> Result<Self> {
        let mut clear = Vec::with_capacity(LENGTH);
        clear.extend_from_slice(&MAGIC);
        let for_use_byte = match for_use {
            Use::Root => 1,
            Use::Data => 2,
        };
        clear.extend_from_slice(&[for_use_byte, 0, 0, 0]);
        clear.extend_from_slice(&generation.to_le_bytes());
        clear.extend_from_slice(&id.0);
        clear.extend_from_slice(&master.id().0);
        let sealed = master.seal(&clear, key)?;
        clear.extend_from_slice(&sealed);
        let bytes = clear.try_into().map_err(|_| KeyError::Random)?;
        Ok(Self {
            for_use,
            generation,
            id,
            master: master.id(),
            bytes,
        })
    }

    /// Reads a key file.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(KeyError::io("read", path))?;
        Self::parse(&bytes).ok_or_else(|| KeyError::damaged(path, "it is no key file"))
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes: [u8; LENGTH] = bytes.try_into().ok()?;
        let (magic, rest) = bytes.split_first_chunk::<8>()?;
        let ([for_use, ..], rest) = rest.split_first_chunk::<4>()?;
        let (generation, rest) = rest.split_first_chunk::<8>()?;
        let (id, rest) = rest.split_first_chunk::<16>()?;
        let (master, _) = rest.split_first_chunk::<16>()?;
        let for_use = match for_use {
            1 => Use::Root,
            2 => Use::Data,
            _ => return None,
        };
        (magic == &MAGIC).then_some(Self {
            for_use,
            generation: u64::from_le_bytes(*generation),
            id: KeyId(*id),
            master: MasterId(*master),
            bytes,
        })
    }

    /// The key, when `master` is the one that wraps it and nothing was changed.
    pub fn unwrap(&self, path: &Path, master: &Master) -> Result<SecretKey> {
        let (clear, sealed) = self.bytes.split_at(CLEAR_LENGTH);
        master
            .open(clear, sealed)
            .ok_or_else(|| KeyError::damaged(path, "the key in it was changed"))
    }

    /// Writes it into `path`, in place of what is there.
    pub fn write(&self, path: &Path) -> Result<()> {
        atomic::write(path, &self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_changed_byte_is_seen() {
        let master = Master::of(SecretKey::new([3; 32]));
        let key = SecretKey::new([5; 32]);
        let wrapped = WrappedKey::wrap(Use::Data, 7, KeyId([1; 16]), &key, &master).unwrap();
        let path = Path::new("x");
        assert_eq!(wrapped.unwrap(path, &master).unwrap().bytes(), key.bytes());
        for at in 0..LENGTH {
            let mut bytes = wrapped.bytes;
            bytes[at] ^= 4;
            let opened = WrappedKey::parse(&bytes).and_then(|read| read.unwrap(path, &master).ok());
            assert!(opened.is_none(), "byte {at}");
        }
        assert!(WrappedKey::parse(&wrapped.bytes[1..]).is_none());
        let other = Master::of(SecretKey::new([4; 32]));
        assert!(wrapped.unwrap(path, &other).is_err());
    }
}
