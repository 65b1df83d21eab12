//! What can be wrong with a PDU.

use super::PduKind;
use super::abort::AbortReason;

/// Why bytes are no PDU that this end can take; [`PduError::reason`] is what the peer is told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PduError {
    /// The first byte is no PDU type.
    #[error("PDU type {0:#04x} is not known")]
    Unrecognized(u8),
    /// The PDU announces more than this end takes.
    #[error("{kind} PDU announces {length} bytes where {limit} are allowed")]
    TooLong {
        /// The PDU's type.
        kind: PduKind,
        /// Its announced length.
        length: u32,
        /// The limit.
        limit: u32,
    },
    /// A field or an item runs over the end of what contains it.
    #[error("{what} is cut short")]
    Truncated {
        /// What was being read.
        what: &'static str,
    },
    /// Bytes are left over, an identifier is out of range, a value is not allowed.
    #[error("{what} is not valid")]
    Invalid {
        /// What was being read.
        what: &'static str,
    },
    /// A mandatory item is absent.
    #[error("{what} is missing")]
    Missing {
        /// The item.
        what: &'static str,
    },
    /// Something that this end wanted to say does not fit the encoding.
    #[error("{what} is too long to be encoded")]
    Unencodable {
        /// What was being written.
        what: &'static str,
    },
}

impl PduError {
    /// The reason of the A-ABORT that answers the error (PS3.8 §9.3.8).
    pub fn reason(&self) -> AbortReason {
        match self {
            Self::Unrecognized(_) => AbortReason::UnrecognizedPdu,
            Self::TooLong { .. }
            | Self::Truncated { .. }
            | Self::Invalid { .. }
            | Self::Missing { .. } => AbortReason::InvalidPduParameterValue,
            Self::Unencodable { .. } => AbortReason::NotSpecified,
        }
    }
}
