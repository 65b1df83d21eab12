//! A-ASSOCIATE-RJ (PS3.8 §9.3.4).

use super::cursor::Cursor;
use super::error::PduError;

/// The content of an A-ASSOCIATE-RJ PDU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Reject {
    /// 1 permanent, 2 transient.
    pub result: u8,
    /// 1 service-user, 2 service-provider (ACSE), 3 service-provider (presentation).
    pub source: u8,
    /// The reason or diagnostic; its meaning depends on the source.
    pub reason: u8,
}

impl Reject {
    /// Permanent, service-user, no reason given.
    pub const NO_REASON: Self = Self::new(1, 1, 1);
    /// Permanent, service-user, application context name not supported.
    pub const APPLICATION_CONTEXT: Self = Self::new(1, 1, 2);
    /// Permanent, service-user, calling AE title not recognized.
    pub const CALLING_AE_TITLE: Self = Self::new(1, 1, 3);
    /// Permanent, service-user, called AE title not recognized.
    pub const CALLED_AE_TITLE: Self = Self::new(1, 1, 7);
    /// Permanent, service-provider (ACSE), no reason given.
    pub const ACSE_NO_REASON: Self = Self::new(1, 2, 1);
    /// Permanent, service-provider (ACSE), protocol version not supported.
    pub const PROTOCOL_VERSION: Self = Self::new(1, 2, 2);
    /// Transient, service-provider (presentation), temporary congestion.
    pub const TEMPORARY_CONGESTION: Self = Self::new(2, 3, 1);
    /// Transient, service-provider (presentation), local limit exceeded.
    pub const LOCAL_LIMIT_EXCEEDED: Self = Self::new(2, 3, 2);

    const fn new(result: u8, source: u8, reason: u8) -> Self {
        Self {
            result,
            source,
            reason,
        }
    }

    /// Whether the same request may be accepted later.
    pub fn is_transient(self) -> bool {
        self.result == 2
    }

    pub(super) fn decode(body: &[u8]) -> Result<Self, PduError> {
        let mut cursor = Cursor::new(body, "A-ASSOCIATE-RJ PDU");
        cursor.take(1)?;
        let reject = Self {
            result: cursor.u8()?,
            source: cursor.u8()?,
            reason: cursor.u8()?,
        };
        cursor.finish()?;
        Ok(reject)
    }

    pub(super) fn encode(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[0, self.result, self.source, self.reason]);
    }

    fn reason_text(self) -> &'static str {
        match (self.source, self.reason) {
            (1 | 2, 1) => "no reason given",
            (1, 2) => "application context name not supported",
            (1, 3) => "calling AE title not recognized",
            (1, 7) => "called AE title not recognized",
            (2, 2) => "protocol version not supported",
            (3, 1) => "temporary congestion",
            (3, 2) => "local limit exceeded",
            _ => "reserved reason",
        }
    }
}

impl std::fmt::Display for Reject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let result = match self.result {
            1 => "permanent",
            2 => "transient",
            _ => "reserved result",
        };
        let source = match self.source {
            1 => "service-user",
            2 => "service-provider (ACSE)",
            3 => "service-provider (presentation)",
            _ => "reserved source",
        };
        let Self {
            result: a,
            source: b,
            reason: c,
        } = self;
        write!(
            f,
            "{result}, {source}, {} ({a}/{b}/{c})",
            self.reason_text()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pdu::{Pdu, PduKind};

    #[test]
    fn result_source_and_reason_follow_a_reserved_byte() {
        let bytes = Pdu::AssociateRj(Reject::LOCAL_LIMIT_EXCEEDED)
            .encode()
            .unwrap();
        assert_eq!(bytes, [3, 0, 0, 0, 0, 4, 0, 2, 3, 2]);
        assert_eq!(
            Pdu::decode(PduKind::AssociateRj, &bytes[6..]),
            Ok(Pdu::AssociateRj(Reject::LOCAL_LIMIT_EXCEEDED))
        );
        assert!(Reject::LOCAL_LIMIT_EXCEEDED.is_transient());
        assert!(!Reject::CALLED_AE_TITLE.is_transient());
        assert_eq!(
            Reject::CALLED_AE_TITLE.to_string(),
            "permanent, service-user, called AE title not recognized (1/1/7)"
        );
    }
}
