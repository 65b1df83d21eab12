//! Values that are encrypted once more inside the database, since whoever reads them can act as
//! the person: TOTP secrets.

use crate::error::{IdentityError, Result};
use crate::random;
use gantry_core::secret::SecretKey;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

/// What the key is derived for.
const CONTEXT: &str = "gantry identity 2026 sealed column";
/// First byte of a value without encryption, and of one with it.
const PLAIN: u8 = 0;
const SEALED: u8 = 1;

/// Seals and opens values.
pub(crate) struct Sealer(Option<LessSafeKey>);

impl Sealer {
    /// With a key derived from the database's. Without one, values are kept as they are.
    pub fn new(key: Option<&SecretKey>) -> Self {
        Self(key.and_then(|key| {
            let derived = Zeroizing::new(blake3::derive_key(CONTEXT, key.bytes()));
            UnboundKey::new(&AES_256_GCM, &*derived)
                .ok()
                .map(LessSafeKey::new)
        }))
    }

    /// Encrypts; `place` says where it belongs, so that a value cannot be moved to another row.
    pub fn seal(&self, value: &[u8], place: &str) -> Result<Vec<u8>> {
        let Some(key) = &self.0 else {
            return Ok([&[PLAIN], value].concat());
        };
        let nonce = random::bytes::<NONCE_LEN>()?;
        let mut sealed = value.to_vec();
        key.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(place.as_bytes()),
            &mut sealed,
        )
        .map_err(|_| IdentityError::Cryptography)?;
        Ok([&[SEALED], nonce.as_slice(), &sealed].concat())
    }

    /// Decrypts.
    pub fn open(&self, sealed: &[u8], place: &str) -> Result<Zeroizing<Vec<u8>>> {
        const DAMAGED: IdentityError = IdentityError::Damaged("a sealed value");
        match (sealed.split_first(), &self.0) {
            (Some((&PLAIN, value)), _) => Ok(Zeroizing::new(value.to_vec())),
            (Some((&SEALED, rest)), Some(key)) => {
                let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>().ok_or(DAMAGED)?;
                let mut bytes = Zeroizing::new(sealed.to_vec());
                let opened = key
                    .open_in_place(
                        Nonce::assume_unique_for_key(*nonce),
                        Aad::from(place.as_bytes()),
                        &mut bytes,
                    )
                    .map_err(|_| DAMAGED)?;
                Ok(Zeroizing::new(opened.to_vec()))
            }
            _ => Err(DAMAGED),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_value_opens_at_its_place_only() {
        let sealer = Sealer::new(Some(&SecretKey::new([7; 32])));
        let sealed = sealer.seal(b"secret", "totp 1").unwrap();
        assert!(!sealed.windows(6).any(|window| window == b"secret"));
        assert_ne!(sealed, sealer.seal(b"secret", "totp 1").unwrap());
        assert_eq!(&**sealer.open(&sealed, "totp 1").unwrap(), b"secret");
        assert!(sealer.open(&sealed, "totp 2").is_err());
        let other = Sealer::new(Some(&SecretKey::new([8; 32])));
        assert!(other.open(&sealed, "totp 1").is_err());
        assert!(Sealer::new(None).open(&sealed, "totp 1").is_err());
        assert!(sealer.open(&[], "totp 1").is_err());
    }

    #[test]
    fn without_a_key_values_are_kept_plain() {
        let plain = Sealer::new(None).seal(b"x", "p").unwrap();
        assert_eq!(&**Sealer::new(None).open(&plain, "p").unwrap(), b"x");
    }
}
