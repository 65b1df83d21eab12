//! Secrets that nobody can guess, and how they are written.

use crate::error::{IdentityError, Result};
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

/// RFC 4648 base 32 in lower case: what can be read out, typed, and stands in every URL.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// What tokens begin with, so that people and scanners recognise them.
pub(crate) const TOKEN_PREFIX: &str = "gantry_";
/// Characters of a token's checksum.
const CHECKSUM: usize = 7;

/// Random bytes.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| IdentityError::Cryptography)?;
    Ok(bytes)
}

/// A secret of 256 bits.
pub(crate) fn secret() -> Result<Zeroizing<String>> {
    Ok(Zeroizing::new(base32(&*Zeroizing::new(bytes::<32>()?))))
}

/// An API token: a prefix, a secret of 256 bits and a checksum.
pub(crate) fn token() -> Result<Zeroizing<String>> {
    let secret = secret()?;
    let checksum = checksum(&secret);
    Ok(Zeroizing::new(format!(
        "{TOKEN_PREFIX}{}{checksum}",
        secret.as_str()
    )))
}

/// Whether a text is written as tokens are: saves asking the database about typing mistakes.
pub(crate) fn is_token(text: &str) -> bool {
    let Some(rest) = text.strip_prefix(TOKEN_PREFIX) else {
        return false;
    };
    rest.len()
        .checked_sub(CHECKSUM)
        .and_then(|at| rest.split_at_checked(at))
        .is_some_and(|(secret, sum)| secret.len() == 52 && checksum(secret) == sum)
}

/// What is kept of a secret of 256 bits. Such a secret cannot be guessed, so a fast hash serves.
pub(crate) fn hash(secret: &str) -> [u8; 32] {
    *blake3::hash(secret.as_bytes()).as_bytes()
}

fn checksum(secret: &str) -> String {
    base32(&crc32fast::hash(secret.as_bytes()).to_be_bytes())
}

/// Base 32 without padding.
pub(crate) fn base32(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    let (mut buffer, mut bits) = (0u32, 0);
    let mut push = |five: u32| {
        let at = (five & 31) as usize;
        text.push(char::from(ALPHABET.get(at).copied().unwrap_or(b'a')));
    };
    for byte in bytes {
        buffer = (buffer << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            push(buffer >> bits);
        }
        buffer &= (1 << bits) - 1;
    }
    if bits > 0 {
        push(buffer << (5 - bits));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4648 section 10.
    #[test]
    fn base32_is_that_of_the_rfc() {
        for (bytes, text) in [
            ("", ""),
            ("f", "my"),
            ("fo", "mzxq"),
            ("foo", "mzxw6"),
            ("foob", "mzxw6yq"),
            ("fooba", "mzxw6ytb"),
            ("foobar", "mzxw6ytboi"),
        ] {
            assert_eq!(base32(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn a_token_with_a_typing_mistake_is_none() {
        let token = token().unwrap();
        assert!(is_token(&token));
        assert_ne!(*token, *super::token().unwrap());
        let wrong = token.replacen('a', "b", 1);
        if wrong != *token {
            assert!(!is_token(&wrong));
        }
        for none in [
            "",
            "gantry_",
            "gantry_ä",
            "secret",
            &token[..token.len() - 1],
        ] {
            assert!(!is_token(none), "{none}");
        }
    }
}
