//! The chain: each event's hash goes over the hash of the event before it.

use crate::error::Result;
use gantry_core::secret::SecretKey;
use std::fmt;

/// What the keys are derived for; another purpose gives another key.
const CHAIN_CONTEXT: &str = "gantry audit trail 2026 chain of events";
const HEAD_CONTEXT: &str = "gantry audit trail 2026 head of the chain";

/// The hash of an event and of all before it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// The hash of 64 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        blake3::Hash::from_hex(text)
            .ok()
            .map(|hash| Self(*hash.as_bytes()))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// The end of the chain at some time: whoever has noted it can tell later whether anything up to
/// there was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Number of the last event.
    pub sequence: u64,
    /// Its hash.
    pub hash: Hash,
}

impl fmt::Display for Head {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.sequence, self.hash)
    }
}

impl std::str::FromStr for Head {
    type Err = HeadError;

    fn from_str(text: &str) -> Result<Self, HeadError> {
        let (sequence, hash) = text.split_once(':').ok_or(HeadError)?;
        Ok(Self {
            sequence: sequence.parse().map_err(|_| HeadError)?,
            hash: Hash::parse(hash).ok_or(HeadError)?,
        })
    }
}

/// A text is no head of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a head is the number of an event, a colon and 64 hexadecimal digits")]
pub struct HeadError;

/// Makes the hashes. With a key nobody can who has not the key.
#[derive(Clone)]
pub(crate) struct Hasher {
    chain: [u8; 32],
    head: [u8; 32],
}

impl fmt::Debug for Hasher {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Hasher(…)")
    }
}

impl Hasher {
    pub fn new(key: Option<&SecretKey>) -> Self {
        let material: &[u8] = key.map_or(&[], |key| key.bytes());
        Self {
            chain: blake3::derive_key(CHAIN_CONTEXT, material),
            head: blake3::derive_key(HEAD_CONTEXT, material),
        }
    }

    /// The hash of an event. The first two parts have a fixed length, so that no two events give
    /// the same bytes.
    pub fn event(&self, previous: &Hash, recorded: i64, event: &str) -> Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.chain);
        hasher.update(&previous.0);
        hasher.update(&recorded.to_le_bytes());
        hasher.update(event.as_bytes());
        Hash(*hasher.finalize().as_bytes())
    }

    /// What proves that a head was written by who has the key.
    pub fn proof(&self, head: &Head) -> Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.head);
        hasher.update(&head.sequence.to_le_bytes());
        hasher.update(&head.hash.0);
        Hash(*hasher.finalize().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_goes_into_the_hash() {
        let key = SecretKey::new([1; 32]);
        let hasher = Hasher::new(Some(&key));
        let zero = Hash([0; 32]);
        let all = [
            hasher.event(&zero, 1, "a"),
            hasher.event(&Hash([1; 32]), 1, "a"),
            hasher.event(&zero, 2, "a"),
            hasher.event(&zero, 1, "b"),
            Hasher::new(None).event(&zero, 1, "a"),
            Hasher::new(Some(&SecretKey::new([2; 32]))).event(&zero, 1, "a"),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(!all[at + 1..].contains(one), "{at}");
        }
        assert_eq!(all[0], Hasher::new(Some(&key)).event(&zero, 1, "a"));
    }

    #[test]
    fn a_head_reads_back() {
        let head = Head {
            sequence: 7,
            hash: Hash([0xAB; 32]),
        };
        assert_eq!(head.to_string().parse(), Ok(head));
        for wrong in ["", "7", "7:ab", "x:", ":"] {
            assert_eq!(wrong.parse::<Head>(), Err(HeadError), "{wrong}");
        }
    }
}
