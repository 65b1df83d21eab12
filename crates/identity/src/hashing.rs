//! Argon2id, a few at a time.

use crate::error::{IdentityError, Result};
use crate::random;
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use subtle::ConstantTimeEq as _;
use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

/// OWASP's first choice with 19 MiB: memory in KiB, passes, lanes.
const MEMORY: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const SALT: usize = 16;
const HASH: usize = 32;
/// Longest password in bytes; longer ones would only cost time.
pub(crate) const PASSWORD_BYTES_MAX: usize = 1024;
/// Checks that may wait for their turn.
const WAITING_MAX: usize = 64;
/// How long one may wait for its turn.
const WAIT_MAX: Duration = Duration::from_secs(15);

/// Hashes passwords, at most so many at once as were allowed.
#[derive(Debug)]
pub(crate) struct Hashing {
    at_once: usize,
    state: Mutex<State>,
    turn: Condvar,
    /// A hash that nobody's password has.
    nobody: String,
}

#[derive(Debug, Default)]
struct State {
    running: usize,
    waiting: usize,
}

/// A turn; the next one's comes when it is dropped.
struct Turn<'a>(&'a Hashing);

impl Hashing {
    pub fn new(at_once: usize) -> Result<Self> {
        let mut hashing = Self {
            at_once: at_once.max(1),
            state: Mutex::default(),
            turn: Condvar::new(),
            nobody: String::new(),
        };
        hashing.nobody = hashing.hash(&random::secret()?)?;
        Ok(hashing)
    }

    /// What is kept of a password.
    pub fn hash(&self, password: &str) -> Result<String> {
        let salt = random::bytes::<SALT>()?;
        let _turn = self.take_turn()?;
        let hash = argon2id(password, &salt, MEMORY, PASSES, LANES)?;
        let (salt, hash) = (BASE64.encode(salt), BASE64.encode(hash));
        Ok(format!(
            "$argon2id$v=19$m={MEMORY},t={PASSES},p={LANES}${salt}${hash}"
        ))
    }

    /// Whether a password is the one of `kept`. Without `kept` it takes as long and is false, so
    /// that nobody learns which accounts there are.
    pub fn verify(&self, password: &str, kept: Option<&str>) -> Result<bool> {
        let phc =
            Phc::parse(kept.unwrap_or(&self.nobody)).ok_or(IdentityError::Damaged("a password"))?;
        let _turn = self.take_turn()?;
        let hash = argon2id(password, &phc.salt, phc.memory, phc.passes, phc.lanes)?;
        let is_equal = bool::from(hash.as_slice().ct_eq(&phc.hash));
        Ok(is_equal && kept.is_some())
    }

    fn take_turn(&self) -> Result<Turn<'_>> {
        let mut state = self.lock();
        if state.waiting >= WAITING_MAX {
            return Err(IdentityError::Busy);
        }
        state.waiting += 1;
        let full = |state: &mut State| state.running >= self.at_once;
        let (mut state, waited) = self
            .turn
            .wait_timeout_while(state, WAIT_MAX, full)
            .unwrap_or_else(PoisonError::into_inner);
        state.waiting -= 1;
        if waited.timed_out() {
            return Err(IdentityError::Busy);
        }
        state.running += 1;
        Ok(Turn(self))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.lock().running -= 1;
        self.0.turn.notify_one();
    }
}

/// The parts of `$argon2id$v=19$m=…,t=…,p=…$salt$hash`.
struct Phc {
    memory: u32,
    passes: u32,
    lanes: u32,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

impl Phc {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix("$argon2id$v=19$")?.split('$');
        let mut numbers = parts.next()?.split(',');
        let mut number = |name| numbers.next()?.strip_prefix(name)?.parse().ok();
        let phc = Self {
            memory: number("m=")?,
            passes: number("t=")?,
            lanes: number("p=")?,
            salt: BASE64.decode(parts.next()?).ok()?,
            hash: BASE64.decode(parts.next()?).ok()?,
        };
        (parts.next().is_none() && phc.hash.len() == HASH).then_some(phc)
    }
}

fn argon2id(
    password: &str,
    salt: &[u8],
    memory: u32,
    passes: u32,
    lanes: u32,
) -> Result<Zeroizing<[u8; HASH]>> {
    if password.len() > PASSWORD_BYTES_MAX {
        return Err(IdentityError::invalid("the password is too long"));
    }
    // The same characters may be typed as different code points.
    let password = Zeroizing::new(password.nfkc().collect::<String>());
    let params = Params::new(memory, passes, lanes, Some(HASH))
        .map_err(|_| IdentityError::Damaged("a password"))?;
    let mut hash = Zeroizing::new([0; HASH]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(password.as_bytes(), salt, &mut *hash)
        .map_err(|_| IdentityError::Cryptography)?;
    Ok(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_the_one_that_was_hashed() {
        let hashing = Hashing::new(1).unwrap();
        let kept = hashing.hash("grün ist die Hoffnung").unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert_ne!(kept, hashing.hash("grün ist die Hoffnung").unwrap());
        assert!(
            hashing
                .verify("grün ist die Hoffnung", Some(&kept))
                .unwrap()
        );
        // u with a diaeresis of its own.
        assert!(
            hashing
                .verify("gru\u{308}n ist die Hoffnung", Some(&kept))
                .unwrap()
        );
        assert!(!hashing.verify("grün", Some(&kept)).unwrap());
        assert!(!hashing.verify("", None).unwrap());
        assert!(hashing.verify("x", Some("$argon2id$v=19$m=1")).is_err());
        assert!(hashing.hash(&"x".repeat(PASSWORD_BYTES_MAX + 1)).is_err());
    }

    #[test]
    fn more_than_may_wait_are_refused() {
        let hashing = Hashing::new(1).unwrap();
        let turn = hashing.take_turn().unwrap();
        hashing.lock().waiting = WAITING_MAX;
        assert!(matches!(hashing.hash("x"), Err(IdentityError::Busy)));
        hashing.lock().waiting = 0;
        drop(turn);
        hashing.hash("x").unwrap();
        assert_eq!(hashing.lock().running, 0);
    }
}
