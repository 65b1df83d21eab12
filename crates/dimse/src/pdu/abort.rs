//! A-ABORT (PS3.8 §9.3.8).

use super::cursor::Cursor;
use super::error::PduError;

/// The content of an A-ABORT PDU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Abort {
    /// Who gave up.
    pub source: AbortSource,
    /// Why; says something only when the source is the service-provider.
    pub reason: AbortReason,
}

/// Who initiated an abort.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AbortSource {
    /// The application, 0.
    ServiceUser,
    /// The upper layer, 2.
    ServiceProvider,
    /// A code that the standard reserves.
    Other(u8),
}

/// Why the service-provider aborts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AbortReason {
    /// 0.
    NotSpecified,
    /// 1.
    UnrecognizedPdu,
    /// 2.
    UnexpectedPdu,
    /// 4.
    UnrecognizedPduParameter,
    /// 5.
    UnexpectedPduParameter,
    /// 6.
    InvalidPduParameterValue,
    /// A code that the standard reserves.
    Other(u8),
}

impl Abort {
    /// An abort by the application.
    pub const SERVICE_USER: Self = Self {
        source: AbortSource::ServiceUser,
        reason: AbortReason::NotSpecified,
    };

    /// An abort by the upper layer.
    pub const fn provider(reason: AbortReason) -> Self {
        Self {
            source: AbortSource::ServiceProvider,
            reason,
        }
    }

    pub(super) fn decode(body: &[u8]) -> Result<Self, PduError> {
        let mut cursor = Cursor::new(body, "A-ABORT PDU");
        cursor.take(2)?;
        let source = AbortSource::from_code(cursor.u8()?);
        let reason = AbortReason::from_code(cursor.u8()?);
        cursor.finish()?;
        Ok(Self { source, reason })
    }

    pub(super) fn encode(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[0, 0, self.source.code(), self.reason.code()]);
    }

    /// The whole PDU.
    pub fn to_pdu(self) -> [u8; 10] {
        [
            0x07,
            0,
            0,
            0,
            0,
            4,
            0,
            0,
            self.source.code(),
            self.reason.code(),
        ]
    }
}

impl std::fmt::Display for Abort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.source {
            AbortSource::ServiceUser => f.write_str("service-user"),
            AbortSource::ServiceProvider => write!(f, "service-provider, {}", self.reason),
            AbortSource::Other(code) => write!(f, "source {code}, {}", self.reason),
        }
    }
}

impl AbortSource {
    /// The code on the wire.
    pub fn code(self) -> u8 {
        match self {
            Self::ServiceUser => 0,
            Self::ServiceProvider => 2,
            Self::Other(code) => code,
        }
    }

    /// The source with this code.
    pub fn from_code(code: u8) -> Self {
        match code {
            0 => Self::ServiceUser,
            2 => Self::ServiceProvider,
            other => Self::Other(other),
        }
    }
}

impl AbortReason {
    /// The code on the wire.
    pub fn code(self) -> u8 {
        match self {
            Self::NotSpecified => 0,
            Self::UnrecognizedPdu => 1,
            Self::UnexpectedPdu => 2,
            Self::UnrecognizedPduParameter => 4,
            Self::UnexpectedPduParameter => 5,
            Self::InvalidPduParameterValue => 6,
            Self::Other(code) => code,
        }
    }

    /// The reason with this code.
    pub fn from_code(code: u8) -> Self {
        match code {
            0 => Self::NotSpecified,
            1 => Self::UnrecognizedPdu,
            2 => Self::UnexpectedPdu,
            4 => Self::UnrecognizedPduParameter,
            5 => Self::UnexpectedPduParameter,
            6 => Self::InvalidPduParameterValue,
            other => Self::Other(other),
        }
    }
}

impl std::fmt::Display for AbortReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotSpecified => f.write_str("reason not specified"),
            Self::UnrecognizedPdu => f.write_str("unrecognized PDU"),
            Self::UnexpectedPdu => f.write_str("unexpected PDU"),
            Self::UnrecognizedPduParameter => f.write_str("unrecognized PDU parameter"),
            Self::UnexpectedPduParameter => f.write_str("unexpected PDU parameter"),
            Self::InvalidPduParameterValue => f.write_str("invalid PDU parameter value"),
            Self::Other(code) => write!(f, "reason {code}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pdu::{Pdu, PduKind};

    #[test]
    fn every_code_survives_a_round_trip() {
        for source in 0..=255 {
            for reason in 0..=255 {
                let abort = Abort {
                    source: AbortSource::from_code(source),
                    reason: AbortReason::from_code(reason),
                };
                let bytes = Pdu::Abort(abort).encode().unwrap();
                assert_eq!(bytes, abort.to_pdu());
                assert_eq!(&bytes[8..], [source, reason]);
                assert_eq!(
                    Pdu::decode(PduKind::Abort, &bytes[6..]),
                    Ok(Pdu::Abort(abort))
                );
            }
        }
    }
}
