//! The upper layer: a stream of PDUs cut at will, put together to messages. However the bytes are
//! cut, the same comes of them, and what is read can be written and read again.
#![no_main]

use bytes::{Bytes, BytesMut};
use gantry_dimse::message::{MessageAssembler, Part};
use gantry_dimse::pdu::Pdu;
use gantry_dimse::pdu::stream::{PduEvent, PduLimits, PduStream};
use libfuzzer_sys::fuzz_target;

/// What the bytes mean, with data of one data set put together, and how they end.
#[derive(Debug, PartialEq)]
enum Meaning {
    Pdu(Pdu),
    Command(u8, Vec<u8>),
    Data(Vec<u8>, bool),
    Error(String),
}

fn read<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> Vec<Meaning> {
    let mut stream = PduStream::new(PduLimits::default());
    let mut assembler = MessageAssembler::default();
    let mut buffer = BytesMut::new();
    let mut meanings = Vec::new();
    for chunk in chunks {
        buffer.extend_from_slice(chunk);
        loop {
            let part = match stream.next(&mut buffer) {
                Ok(None) => break,
                Ok(Some(PduEvent::Pdu(pdu))) => {
                    meanings.push(Meaning::Pdu(pdu));
                    continue;
                }
                Ok(Some(PduEvent::Piece(piece))) => {
                    assembler.push(piece).map_err(|error| error.to_string())
                }
                Err(error) => Err(error.to_string()),
            };
            match part {
                Ok(None) => {}
                Ok(Some(Part::Message(message))) => {
                    meanings.push(Meaning::Command(message.context_id, message.command.encode()));
                }
                Ok(Some(Part::Data { bytes, is_last })) => match meanings.last_mut() {
                    Some(Meaning::Data(data, was_last)) if !*was_last => {
                        data.extend_from_slice(&bytes);
                        *was_last = is_last;
                    }
                    _ => meanings.push(Meaning::Data(bytes.to_vec(), is_last)),
                },
                Err(error) => {
                    meanings.push(Meaning::Error(error));
                    return meanings;
                }
            }
        }
    }
    meanings
}

fuzz_target!(|input: (u8, &[u8])| {
    let (chunk, data) = input;
    let whole = read(std::iter::once(data));
    assert_eq!(read(data.chunks(usize::from(chunk).max(1))), whole);
    for meaning in whole {
        let Meaning::Pdu(pdu) = meaning else { continue };
        let encoded = Bytes::from(pdu.encode().expect("what was read can be written"));
        assert_eq!(Pdu::decode(pdu.kind(), &encoded[6..]), Ok(pdu));
    }
});
