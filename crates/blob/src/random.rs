//! Random bits for identifiers.

use crate::error::{BlobError, Result};

/// 128 bits nobody can guess.
pub(crate) fn bits() -> Result<[u8; 16]> {
    let mut bits = [0; 16];
    let mut filled = 0;
    while let Some(rest) = bits.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        let flags = rustix::rand::GetRandomFlags::empty();
        filled += rustix::rand::getrandom(rest, flags)
            .map_err(|error| BlobError::io("read", "the random generator", error))?;
    }
    Ok(bits)
}
