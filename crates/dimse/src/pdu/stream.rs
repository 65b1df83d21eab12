//! Cutting a stream of bytes into PDUs, without waiting for the end of a P-DATA-TF.

use super::error::PduError;
use super::p_data::FragmentKind;
use super::{HEADER_LENGTH, Pdu, PduKind};
use bytes::{Buf, Bytes, BytesMut};

/// Limits on what a peer may announce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PduLimits {
    /// Longest variable field of a P-DATA-TF: the maximum length that this end announced.
    pub p_data_length_max: u32,
    /// Longest variable field of any other PDU.
    pub associate_length_max: u32,
}

impl Default for PduLimits {
    fn default() -> Self {
        Self {
            p_data_length_max: 256 << 10,
            associate_length_max: 1 << 20,
        }
    }
}

/// What a stream of bytes turns out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PduEvent {
    /// A whole PDU other than P-DATA-TF.
    Pdu(Pdu),
    /// A piece of a PDV.
    Piece(Piece),
}

/// A piece of a presentation data value: the whole of it, or as much as has arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The presentation context ID.
    pub context_id: u8,
    /// Command or data set.
    pub kind: FragmentKind,
    /// Whether the command or the data set ends with this piece.
    pub is_last: bool,
    /// The bytes, not copied.
    pub bytes: Bytes,
}

/// Reads PDUs from a growing buffer. The result does not depend on how the bytes are cut, but
/// for the cuts between the pieces of one PDV.
#[derive(Debug)]
pub struct PduStream {
    limits: PduLimits,
    position: Position,
}

#[derive(Debug, Clone, Copy)]
enum Position {
    /// Between PDUs.
    Header,
    /// In the variable field of a PDU that is read as a whole.
    Body { kind: PduKind, length: usize },
    /// Between the PDVs of a P-DATA-TF.
    PDataTf { pdu_rest: u32 },
    /// In a PDV.
    Pdv {
        context_id: u8,
        kind: FragmentKind,
        is_last: bool,
        pdv_rest: u32,
        pdu_rest: u32,
    },
}

impl PduStream {
    /// A stream at its beginning.
    pub fn new(limits: PduLimits) -> Self {
        Self {
            limits,
            position: Position::Header,
        }
    }

    /// Whether a PDU has begun and is not complete.
    pub fn is_inside_pdu(&self) -> bool {
        !matches!(self.position, Position::Header)
    }

    /// How many bytes of the current PDU are known to be missing from a buffer that holds
    /// `buffered` bytes; a hint for the size of the next read.
    pub fn missing(&self, buffered: usize) -> usize {
        let needed = match self.position {
            Position::Header => HEADER_LENGTH,
            Position::Body { length, .. } => length,
            Position::PDataTf { pdu_rest } => pdu_rest as usize,
            Position::Pdv {
                pdv_rest, pdu_rest, ..
            } => pdv_rest as usize + pdu_rest as usize,
        };
        needed.saturating_sub(buffered)
    }

    /// Takes the next event off the front of `buffer`; `None` when more bytes are needed.
    pub fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<PduEvent>, PduError> {
        loop {
            match self.position {
                Position::Header => {
                    if !self.take_header(buffer)? {
                        return Ok(None);
                    }
                }
                Position::Body { kind, length } => {
                    if buffer.len() < length {
                        return Ok(None);
                    }
                    let body = buffer.split_to(length);
                    self.position = Position::Header;
                    return Ok(Some(PduEvent::Pdu(Pdu::decode(kind, &body)?)));
                }
                Position::PDataTf { pdu_rest: 0 } => self.position = Position::Header,
                Position::PDataTf { pdu_rest } => {
                    if !self.take_pdv_header(buffer, pdu_rest)? {
                        return Ok(None);
                    }
                }
                Position::Pdv {
                    context_id,
                    kind,
                    is_last,
                    pdv_rest,
                    pdu_rest,
                } => {
                    if buffer.is_empty() && pdv_rest > 0 {
                        return Ok(None);
                    }
                    let available = u32::try_from(buffer.len())
                        .unwrap_or(u32::MAX)
                        .min(pdv_rest);
                    let bytes = buffer.split_to(available as usize).freeze();
                    let pdv_rest = pdv_rest.saturating_sub(available);
                    let is_complete = pdv_rest == 0;
                    self.position = if is_complete {
                        Position::PDataTf { pdu_rest }
                    } else {
                        Position::Pdv {
                            context_id,
                            kind,
                            is_last,
                            pdv_rest,
                            pdu_rest,
                        }
                    };
                    if is_complete && pdu_rest == 0 {
                        self.position = Position::Header;
                    }
                    let is_last = is_last && is_complete;
                    return Ok(Some(PduEvent::Piece(Piece {
                        context_id,
                        kind,
                        is_last,
                        bytes,
                    })));
                }
            }
        }
    }

    /// PDU type (1 byte), reserved (1), length (4). The type is judged as soon as it is there, so
    /// that garbage shorter than a header is answered too.
    fn take_header(&mut self, buffer: &mut BytesMut) -> Result<bool, PduError> {
        let Some(&code) = buffer.first() else {
            return Ok(false);
        };
        let kind = PduKind::from_code(code).ok_or(PduError::Unrecognized(code))?;
        if buffer.len() < HEADER_LENGTH {
            return Ok(false);
        }
        let mut header = buffer.split_to(HEADER_LENGTH);
        header.advance(2);
        let length = header.get_u32();
        let limit = match kind {
            PduKind::PDataTf => self.limits.p_data_length_max,
            PduKind::AssociateRq | PduKind::AssociateAc => self.limits.associate_length_max,
            PduKind::AssociateRj | PduKind::ReleaseRq | PduKind::ReleaseRp | PduKind::Abort => 4,
        };
        if length > limit {
            return Err(PduError::TooLong {
                kind,
                length,
                limit,
            });
        }
        self.position = match kind {
            PduKind::PDataTf if length == 0 => {
                return Err(PduError::Missing {
                    what: "presentation data value",
                });
            }
            PduKind::PDataTf => Position::PDataTf { pdu_rest: length },
            _ => Position::Body {
                kind,
                length: length as usize,
            },
        };
        Ok(true)
    }

    /// PDV length (4 bytes), presentation context ID (1), message control header (1); the length
    /// counts the last two.
    fn take_pdv_header(&mut self, buffer: &mut BytesMut, pdu_rest: u32) -> Result<bool, PduError> {
        const WHAT: &str = "presentation data value";
        let after_header = pdu_rest
            .checked_sub(6)
            .ok_or(PduError::Truncated { what: WHAT })?;
        if buffer.len() < 6 {
            return Ok(false);
        }
        let mut header = buffer.split_to(6);
        let length = header.get_u32();
        let context_id = header.get_u8();
        let control = header.get_u8();
        let pdv_rest = length
            .checked_sub(2)
            .ok_or(PduError::Invalid { what: WHAT })?;
        let pdu_rest = after_header
            .checked_sub(pdv_rest)
            .ok_or(PduError::Truncated { what: WHAT })?;
        let kind = if control & 1 == 1 {
            FragmentKind::Command
        } else {
            FragmentKind::DataSet
        };
        let is_last = control & 2 == 2;
        self.position = Position::Pdv {
            context_id,
            kind,
            is_last,
            pdv_rest,
            pdu_rest,
        };
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pdu::abort::Abort;
    use crate::pdu::p_data::header;
    use proptest::prelude::*;

    /// One (context, kind, is_last, bytes) for each PDV, pieces put together.
    fn read_all(chunks: &[&[u8]]) -> (Vec<PduEvent>, Option<PduError>) {
        let mut stream = PduStream::new(PduLimits::default());
        let mut buffer = BytesMut::new();
        let mut events: Vec<PduEvent> = Vec::new();
        let mut open: Option<Piece> = None;
        for chunk in chunks {
            buffer.extend_from_slice(chunk);
            loop {
                match stream.next(&mut buffer) {
                    Ok(None) => break,
                    Ok(Some(PduEvent::Piece(piece))) => {
                        let mut whole = open.take().unwrap_or(Piece {
                            bytes: Bytes::new(),
                            ..piece
                        });
                        whole.bytes = [whole.bytes, piece.bytes].concat().into();
                        whole.is_last = piece.is_last;
                        if matches!(stream.position, Position::Pdv { .. }) {
                            open = Some(whole);
                        } else {
                            events.push(PduEvent::Piece(whole));
                        }
                    }
                    Ok(Some(event)) => events.push(event),
                    Err(error) => return (events, Some(error)),
                }
            }
        }
        (events, None)
    }

    fn pdv(context_id: u8, control: u8, data: &[u8]) -> Vec<u8> {
        let mut out = (data.len() as u32 + 2).to_be_bytes().to_vec();
        out.extend_from_slice(&[context_id, control]);
        out.extend_from_slice(data);
        out
    }

    fn p_data(pdvs: &[Vec<u8>]) -> Vec<u8> {
        let body = pdvs.concat();
        let mut out = vec![4, 0];
        out.extend_from_slice(&(body.len() as u32).to_be_bytes());
        out.extend_from_slice(&body);
        out
    }

    fn stream_bytes() -> Vec<u8> {
        [
            p_data(&[pdv(1, 3, b"command"), pdv(1, 0, b"first"), pdv(1, 0, b"")]),
            p_data(&[pdv(1, 2, b"second")]),
            Pdu::ReleaseRq.encode().unwrap(),
            p_data(&[pdv(3, 2, b"")]),
            Pdu::Abort(Abort::SERVICE_USER).encode().unwrap(),
        ]
        .concat()
    }

    #[test]
    fn several_values_in_one_pdu_come_out_one_by_one() {
        let (events, error) = read_all(&[&stream_bytes()]);
        assert_eq!(error, None);
        let piece = |context_id, kind, is_last, bytes: &'static [u8]| {
            PduEvent::Piece(Piece {
                context_id,
                kind,
                is_last,
                bytes: Bytes::from_static(bytes),
            })
        };
        assert_eq!(
            events,
            [
                piece(1, FragmentKind::Command, true, b"command"),
                piece(1, FragmentKind::DataSet, false, b"first"),
                piece(1, FragmentKind::DataSet, false, b""),
                piece(1, FragmentKind::DataSet, true, b"second"),
                PduEvent::Pdu(Pdu::ReleaseRq),
                piece(3, FragmentKind::DataSet, true, b""),
                PduEvent::Pdu(Pdu::Abort(Abort::SERVICE_USER)),
            ]
        );
    }

    proptest! {
        #[test]
        fn any_cut_of_the_bytes_gives_the_same_events(mut cuts in prop::collection::vec(0usize..120, 0..20)) {
            let bytes = stream_bytes();
            cuts.retain(|&cut| cut < bytes.len());
            cuts.push(0);
            cuts.push(bytes.len());
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(read_all(&chunks), read_all(&[&bytes]));
        }

        #[test]
        fn hostile_bytes_end_in_events_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let whole = read_all(&[&bytes]);
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            prop_assert_eq!(read_all(&single), whole);
        }

        #[test]
        fn a_spoilt_stream_ends_the_same_way_however_it_is_cut(at in 0usize..120, value in any::<u8>()) {
            let mut bytes = stream_bytes();
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            prop_assert_eq!(read_all(&single), read_all(&[&bytes]));
        }
    }

    #[test]
    fn lengths_that_do_not_add_up_are_errors() {
        let check = |bytes: &[u8], expected: PduError| {
            assert_eq!(read_all(&[bytes]).1, Some(expected));
        };
        let what = "presentation data value";
        check(&[0x08], PduError::Unrecognized(8));
        check(b"GET / HTTP/1.1\r\n", PduError::Unrecognized(b'G'));
        check(&[4, 0, 0, 0, 0, 0], PduError::Missing { what });
        check(
            &[4, 0, 0, 0, 0, 5, 0, 0, 0, 1, 1],
            PduError::Truncated { what },
        );
        // A value longer than its PDU.
        check(
            &[4, 0, 0, 0, 0, 8, 0, 0, 0, 5, 1, 0, 0, 0],
            PduError::Truncated { what },
        );
        // A value too short for its own header.
        check(
            &[4, 0, 0, 0, 0, 8, 0, 0, 0, 1, 1, 0, 0, 0],
            PduError::Invalid { what },
        );
        // Four gigabytes, announced before a single byte of them is taken.
        let limit = PduLimits::default().p_data_length_max;
        check(
            &[4, 0, 0xFF, 0xFF, 0xFF, 0xFF],
            PduError::TooLong {
                kind: PduKind::PDataTf,
                length: u32::MAX,
                limit,
            },
        );
        let kind = PduKind::ReleaseRq;
        check(
            &[5, 0, 0, 0, 0, 5],
            PduError::TooLong {
                kind,
                length: 5,
                limit: 4,
            },
        );
    }

    #[test]
    fn a_large_value_is_handed_out_while_it_arrives() {
        let mut stream = PduStream::new(PduLimits::default());
        let mut buffer = BytesMut::new();
        buffer.extend_from_slice(&header(1, FragmentKind::DataSet, true, 200_000));
        buffer.extend_from_slice(&[7; 1000]);
        let Some(PduEvent::Piece(piece)) = stream.next(&mut buffer).unwrap() else {
            panic!("no piece");
        };
        assert_eq!((piece.bytes.len(), piece.is_last), (1000, false));
        assert_eq!(stream.next(&mut buffer), Ok(None));
        assert_eq!(stream.missing(buffer.len()), 199_000);
        assert!(stream.is_inside_pdu());
    }
}
