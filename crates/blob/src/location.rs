//! Where a blob lies, and how far a reader of the ledger has come.

use std::fmt;

/// Where a blob lies. The forms as bytes and as text are stable: the index keeps them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BlobLocation {
    /// Inside a pack.
    Pack {
        /// The pack's number.
        pack: u32,
        /// The blob's first byte in the pack file.
        offset: u64,
        /// Length in bytes.
        length: u64,
    },
    /// A file of its own.
    Large {
        /// The file's name.
        id: LargeId,
        /// Length in bytes.
        length: u64,
    },
}

/// The name of a large blob's file: random, and never used twice.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LargeId(pub(crate) [u8; 16]);

/// A place between two records of the ledger: where a reader goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Position {
    /// Number of the record that comes next; records count from 0 over all packs.
    pub sequence: u64,
    /// The pack in which it was expected. When that pack ends here, it is in a later one.
    pub pack: u32,
    /// The byte of the pack file at which it was expected; 0 stands for the pack's first record.
    pub offset: u64,
}

impl BlobLocation {
    /// Longest form as bytes.
    pub const BYTES_MAX: usize = 25;

    /// Length in bytes.
    pub fn length(&self) -> u64 {
        match *self {
            Self::Pack { length, .. } | Self::Large { length, .. } => length,
        }
    }

    /// The stable form as bytes: byte 0 tells the case (1: pack, 2: large); then little endian
    /// pack (4), offset (8), length (8), or id (16), length (8).
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::BYTES_MAX);
        match self {
            Self::Pack {
                pack,
                offset,
                length,
            } => {
                bytes.push(1);
                bytes.extend_from_slice(&pack.to_le_bytes());
                bytes.extend_from_slice(&offset.to_le_bytes());
                bytes.extend_from_slice(&length.to_le_bytes());
            }
            Self::Large { id, length } => {
                bytes.push(2);
                bytes.extend_from_slice(&id.0);
                bytes.extend_from_slice(&length.to_le_bytes());
            }
        }
        bytes
    }

    /// Reads the form that [`Self::to_bytes`] writes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (case, rest) = bytes.split_first()?;
        match (case, rest.len()) {
            (1, 20) => {
                let (pack, rest) = rest.split_first_chunk::<4>()?;
                let (offset, rest) = rest.split_first_chunk::<8>()?;
                let length = rest.first_chunk::<8>()?;
                Some(Self::Pack {
                    pack: u32::from_le_bytes(*pack),
                    offset: u64::from_le_bytes(*offset),
                    length: u64::from_le_bytes(*length),
                })
            }
            (2, 24) => {
                let (id, rest) = rest.split_first_chunk::<16>()?;
                let length = rest.first_chunk::<8>()?;
                Some(Self::Large {
                    id: LargeId(*id),
                    length: u64::from_le_bytes(*length),
                })
            }
            _ => None,
        }
    }
}

impl BlobLocation {
    /// Reads what [`Display`](fmt::Display) writes.
    pub fn parse(text: &str) -> Option<Self> {
        let (place, length) = text.rsplit_once('+')?;
        let length = length.parse().ok()?;
        if let Some(id) = place.strip_prefix("large:") {
            return Some(Self::Large {
                id: LargeId::parse(id)?,
                length,
            });
        }
        let (pack, offset) = place.strip_prefix("pack:")?.split_once(':')?;
        Some(Self::Pack {
            pack: pack.parse().ok()?,
            offset: offset.parse().ok()?,
            length,
        })
    }
}

/// `pack:1:4096+525000` or `large:<32 hex digits>+525000`.
impl fmt::Display for BlobLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pack {
                pack,
                offset,
                length,
            } => write!(f, "pack:{pack}:{offset}+{length}"),
            Self::Large { id, length } => write!(f, "large:{id}+{length}"),
        }
    }
}

impl LargeId {
    /// Reads 32 lower-case hex digits.
    pub fn parse(text: &str) -> Option<Self> {
        let plain = |digit: u8| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit);
        if text.len() != 32 || !text.bytes().all(plain) {
            return None;
        }
        u128::from_str_radix(text, 16)
            .ok()
            .map(|bits| Self(bits.to_be_bytes()))
    }
}

impl fmt::Display for LargeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for LargeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LargeId({self})")
    }
}

impl Position {
    /// Before the first record of an archive.
    pub const START: Self = Self {
        sequence: 0,
        pack: 0,
        offset: 0,
    };

    /// The stable form as bytes: little endian sequence (8), pack (4), offset (8).
    pub fn to_bytes(&self) -> [u8; 20] {
        let mut bytes = [0; 20];
        let fields = self
            .sequence
            .to_le_bytes()
            .into_iter()
            .chain(self.pack.to_le_bytes())
            .chain(self.offset.to_le_bytes());
        for (to, from) in bytes.iter_mut().zip(fields) {
            *to = from;
        }
        bytes
    }

    /// Reads the form that [`Self::to_bytes`] writes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (sequence, rest) = bytes.split_first_chunk::<8>()?;
        let (pack, rest) = rest.split_first_chunk::<4>()?;
        let (offset, rest) = rest.split_first_chunk::<8>()?;
        rest.is_empty().then(|| Self {
            sequence: u64::from_le_bytes(*sequence),
            pack: u32::from_le_bytes(*pack),
            offset: u64::from_le_bytes(*offset),
        })
    }
}

/// `sequence@pack:offset`
impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}:{}", self.sequence, self.pack, self.offset)
    }
}

/// Positions are ordered by the record that comes next.
impl PartialOrd for Position {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Position {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.sequence, self.pack, self.offset).cmp(&(other.sequence, other.pack, other.offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn location() -> impl Strategy<Value = BlobLocation> {
        prop_oneof![
            (any::<u32>(), any::<u64>(), any::<u64>()).prop_map(|(pack, offset, length)| {
                BlobLocation::Pack {
                    pack,
                    offset,
                    length,
                }
            }),
            (any::<[u8; 16]>(), any::<u64>()).prop_map(|(id, length)| BlobLocation::Large {
                id: LargeId(id),
                length
            }),
        ]
    }

    proptest! {
        #[test]
        fn a_location_survives_its_bytes(location in location()) {
            prop_assert_eq!(BlobLocation::from_bytes(&location.to_bytes()), Some(location));
        }

        #[test]
        fn other_bytes_are_no_location(bytes in proptest::collection::vec(any::<u8>(), 0..30)) {
            if let Some(location) = BlobLocation::from_bytes(&bytes) {
                prop_assert_eq!(location.to_bytes(), bytes);
            }
        }

        #[test]
        fn a_large_id_survives_its_text(id in any::<[u8; 16]>()) {
            let id = LargeId(id);
            prop_assert_eq!(LargeId::parse(&id.to_string()), Some(id));
        }
    }

    #[test]
    fn a_position_survives_its_bytes() {
        let position = Position {
            sequence: 7,
            pack: 3,
            offset: 4096,
        };
        assert_eq!(Position::from_bytes(&position.to_bytes()), Some(position));
        assert_eq!(Position::from_bytes(&[0; 21]), None);
    }

    #[test]
    fn a_large_id_is_no_path() {
        for text in [
            "../../etc/passwd",
            "+0000000000000000000000000000000",
            "",
            "ABCDEF",
        ] {
            assert_eq!(LargeId::parse(text), None, "{text}");
        }
    }
}
