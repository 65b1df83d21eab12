//! Protocol data units of the upper layer (PS3.8 §9.3).

pub mod abort;
pub mod associate;
mod cursor;
pub mod error;
pub mod p_data;
pub mod presentation_context;
pub mod reject;
pub mod stream;
pub mod user_information;

use abort::Abort;
use associate::{AssociateAc, AssociateRq};
use cursor::Cursor;
use error::PduError;
use reject::Reject;

/// Bytes before the variable field of every PDU: type, a reserved byte, the length.
pub const HEADER_LENGTH: usize = 6;

/// The types of PDU (PS3.8 §9.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PduKind {
    /// A-ASSOCIATE-RQ, 01H.
    AssociateRq,
    /// A-ASSOCIATE-AC, 02H.
    AssociateAc,
    /// A-ASSOCIATE-RJ, 03H.
    AssociateRj,
    /// P-DATA-TF, 04H.
    PDataTf,
    /// A-RELEASE-RQ, 05H.
    ReleaseRq,
    /// A-RELEASE-RP, 06H.
    ReleaseRp,
    /// A-ABORT, 07H.
    Abort,
}

impl PduKind {
    /// All types, in the order of their codes.
    pub const ALL: [Self; 7] = [
        Self::AssociateRq,
        Self::AssociateAc,
        Self::AssociateRj,
        Self::PDataTf,
        Self::ReleaseRq,
        Self::ReleaseRp,
        Self::Abort,
    ];

    /// The first byte of the PDU.
    pub fn code(self) -> u8 {
        match self {
            Self::AssociateRq => 0x01,
            Self::AssociateAc => 0x02,
            Self::AssociateRj => 0x03,
            Self::PDataTf => 0x04,
            Self::ReleaseRq => 0x05,
            Self::ReleaseRp => 0x06,
            Self::Abort => 0x07,
        }
    }

    /// The type with this first byte.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

impl std::fmt::Display for PduKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::AssociateRq => "A-ASSOCIATE-RQ",
            Self::AssociateAc => "A-ASSOCIATE-AC",
            Self::AssociateRj => "A-ASSOCIATE-RJ",
            Self::PDataTf => "P-DATA-TF",
            Self::ReleaseRq => "A-RELEASE-RQ",
            Self::ReleaseRp => "A-RELEASE-RP",
            Self::Abort => "A-ABORT",
        })
    }
}

/// Every PDU but P-DATA-TF, which [`stream::PduStream`] hands out in pieces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pdu {
    /// A-ASSOCIATE-RQ (PS3.8 §9.3.2).
    AssociateRq(Box<AssociateRq>),
    /// A-ASSOCIATE-AC (PS3.8 §9.3.3).
    AssociateAc(Box<AssociateAc>),
    /// A-ASSOCIATE-RJ (PS3.8 §9.3.4).
    AssociateRj(Reject),
    /// A-RELEASE-RQ (PS3.8 §9.3.6).
    ReleaseRq,
    /// A-RELEASE-RP (PS3.8 §9.3.7).
    ReleaseRp,
    /// A-ABORT (PS3.8 §9.3.8).
    Abort(Abort),
}

impl Pdu {
    /// Which type it is.
    pub fn kind(&self) -> PduKind {
        match self {
            Self::AssociateRq(_) => PduKind::AssociateRq,
            Self::AssociateAc(_) => PduKind::AssociateAc,
            Self::AssociateRj(_) => PduKind::AssociateRj,
            Self::ReleaseRq => PduKind::ReleaseRq,
            Self::ReleaseRp => PduKind::ReleaseRp,
            Self::Abort(_) => PduKind::Abort,
        }
    }

    /// Reads the variable field (what follows the six bytes of the header) of a PDU.
    pub fn decode(kind: PduKind, body: &[u8]) -> Result<Self, PduError> {
        match kind {
            PduKind::AssociateRq => Ok(Self::AssociateRq(Box::new(AssociateRq::decode(body)?))),
            PduKind::AssociateAc => Ok(Self::AssociateAc(Box::new(AssociateAc::decode(body)?))),
            PduKind::AssociateRj => Ok(Self::AssociateRj(Reject::decode(body)?)),
            PduKind::ReleaseRq => decode_reserved(body).map(|()| Self::ReleaseRq),
            PduKind::ReleaseRp => decode_reserved(body).map(|()| Self::ReleaseRp),
            PduKind::Abort => Ok(Self::Abort(Abort::decode(body)?)),
            PduKind::PDataTf => Err(PduError::Invalid {
                what: "P-DATA-TF PDU",
            }),
        }
    }

    /// The whole PDU with its header.
    pub fn encode(&self) -> Result<Vec<u8>, PduError> {
        let mut out = vec![self.kind().code(), 0, 0, 0, 0, 0];
        match self {
            Self::AssociateRq(rq) => rq.encode(&mut out)?,
            Self::AssociateAc(ac) => ac.encode(&mut out)?,
            Self::AssociateRj(reject) => reject.encode(&mut out),
            Self::ReleaseRq | Self::ReleaseRp => out.extend_from_slice(&[0; 4]),
            Self::Abort(abort) => abort.encode(&mut out),
        }
        let length = u32::try_from(out.len().saturating_sub(HEADER_LENGTH))
            .map_err(|_| PduError::Unencodable { what: "PDU" })?;
        if let Some(field) = out.get_mut(2..HEADER_LENGTH) {
            field.copy_from_slice(&length.to_be_bytes());
        }
        Ok(out)
    }
}

/// The four reserved bytes of the release PDUs.
fn decode_reserved(body: &[u8]) -> Result<(), PduError> {
    let mut cursor = Cursor::new(body, "A-RELEASE PDU");
    cursor.take(4)?;
    cursor.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn release_pdus_are_ten_bytes() {
        assert_eq!(
            Pdu::ReleaseRq.encode().unwrap(),
            [5, 0, 0, 0, 0, 4, 0, 0, 0, 0]
        );
        assert_eq!(
            Pdu::ReleaseRp.encode().unwrap(),
            [6, 0, 0, 0, 0, 4, 0, 0, 0, 0]
        );
        assert_eq!(Pdu::decode(PduKind::ReleaseRq, &[0; 4]), Ok(Pdu::ReleaseRq));
        assert!(Pdu::decode(PduKind::ReleaseRq, &[0; 3]).is_err());
        assert!(Pdu::decode(PduKind::ReleaseRp, &[0; 5]).is_err());
    }

    #[test]
    fn codes_are_those_of_the_standard() {
        for (kind, code) in PduKind::ALL.into_iter().zip(1..) {
            assert_eq!(kind.code(), code);
            assert_eq!(PduKind::from_code(code), Some(kind));
        }
        assert_eq!(PduKind::from_code(0), None);
        assert_eq!(PduKind::from_code(8), None);
    }
}
