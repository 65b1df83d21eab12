//! An association on a blocking socket, and command sets (PS3.7 §6.3.1).

use crate::Peer;
use crate::pdu::{self, Accepted, Proposal};
use anyhow::{Context, bail};
use std::io::BufReader;
use std::net::TcpStream;
use std::time::Duration;

pub(crate) const EXPLICIT_LITTLE: &str = "1.2.840.10008.1.2.1";
pub(crate) const IMPLICIT_LITTLE: &str = "1.2.840.10008.1.2";

/// An open association.
pub(crate) struct Association {
    pub(crate) reader: BufReader<TcpStream>,
    pub(crate) writer: TcpStream,
    pub(crate) accepted: Accepted,
    body: Vec<u8>,
}

/// A response without its data set.
#[derive(Debug, Clone, Default)]
pub(crate) struct Response {
    pub(crate) context: u8,
    pub(crate) command_field: u16,
    pub(crate) message_id: u16,
    pub(crate) status: u16,
    pub(crate) sop_class_uid: Vec<u8>,
    pub(crate) sop_instance_uid: Vec<u8>,
    /// Bytes of the data set that came with it.
    pub(crate) data_set: u64,
}

impl Association {
    pub(crate) fn open(peer: &Peer, proposals: &[Proposal], window: u16) -> anyhow::Result<Self> {
        let mut writer = TcpStream::connect(&peer.peer).with_context(|| peer.peer.clone())?;
        writer.set_nodelay(true)?;
        writer.set_read_timeout(Some(Duration::from_secs(300)))?;
        pdu::write_all(
            &mut writer,
            &pdu::associate_rq(&peer.called, &peer.calling, proposals, window),
        )?;
        let mut reader = BufReader::with_capacity(1 << 18, writer.try_clone()?);
        let mut body = Vec::new();
        let kind = pdu::read(&mut reader, &mut body)?;
        if kind != pdu::ASSOCIATE_AC {
            bail!("association refused: PDU {kind:#04x} {body:?}");
        }
        let accepted = pdu::parse_associate_ac(&body)?;
        Ok(Self {
            reader,
            writer,
            accepted,
            body,
        })
    }

    /// The first context that was accepted.
    pub(crate) fn context(&self) -> anyhow::Result<(u8, String)> {
        self.accepted
            .contexts
            .first()
            .cloned()
            .context("no presentation context was accepted")
    }

    /// Reads one whole message.
    pub(crate) fn receive(&mut self) -> anyhow::Result<Response> {
        receive(&mut self.reader, &mut self.body)
    }

    pub(crate) fn send(&mut self, message: &[u8]) -> anyhow::Result<()> {
        pdu::write_all(&mut self.writer, message)
    }

    pub(crate) fn release(mut self) -> anyhow::Result<()> {
        self.send(&pdu::release_rq())?;
        let _ = pdu::read(&mut self.reader, &mut self.body);
        Ok(())
    }
}

/// Reads one whole message: the command, and how long its data set is.
pub(crate) fn receive(
    reader: &mut BufReader<TcpStream>,
    body: &mut Vec<u8>,
) -> anyhow::Result<Response> {
    let mut command = Vec::new();
    let mut response: Option<(Response, bool)> = None;
    let mut data_set = 0;
    loop {
        let kind = pdu::read(reader, body)?;
        if kind != pdu::DATA {
            bail!("PDU {kind:#04x} instead of data");
        }
        for pdv in pdu::pdvs(body) {
            if pdv.is_command {
                command.extend_from_slice(pdv.bytes);
                if pdv.is_last {
                    response = Some(parse_command(&command, pdv.context));
                }
            } else {
                data_set += pdv.bytes.len() as u64;
            }
            if let Some((response, has_data_set)) = &response
                && pdv.is_last
                && pdv.is_command != *has_data_set
            {
                return Ok(Response {
                    data_set,
                    ..response.clone()
                });
            }
        }
    }
}

/// The elements that matter, and whether a data set follows.
fn parse_command(command: &[u8], context: u8) -> (Response, bool) {
    let mut response = Response {
        context,
        ..Response::default()
    };
    let mut has_data_set = false;
    let mut rest = command;
    while let [_, _, low, high, a, b, c, d, tail @ ..] = rest {
        let element = u16::from_le_bytes([*low, *high]);
        let length = (u32::from_le_bytes([*a, *b, *c, *d]) as usize).min(tail.len());
        let (value, after) = tail.split_at(length);
        let number = || {
            value
                .first_chunk::<2>()
                .map_or(0, |bytes| u16::from_le_bytes(*bytes))
        };
        match element {
            0x0002 => response.sop_class_uid = value.to_vec(),
            0x0100 => response.command_field = number(),
            0x0110 | 0x0120 => response.message_id = number(),
            0x0800 => has_data_set = number() != 0x0101,
            0x0900 => response.status = number(),
            0x1000 => response.sop_instance_uid = value.to_vec(),
            _ => {}
        }
        rest = after;
    }
    (response, has_data_set)
}

/// A command set under construction, Implicit VR Little Endian.
#[derive(Default)]
pub(crate) struct CommandSet(Vec<u8>);

impl CommandSet {
    pub(crate) fn short(self, element: u16, value: u16) -> Self {
        self.bytes(element, &value.to_le_bytes())
    }

    pub(crate) fn uid(self, element: u16, uid: &[u8]) -> Self {
        let mut value = uid.to_vec();
        value.resize(value.len().next_multiple_of(2), 0);
        self.bytes(element, &value)
    }

    fn bytes(mut self, element: u16, value: &[u8]) -> Self {
        self.0.extend([0, 0]);
        self.0.extend(element.to_le_bytes());
        self.0.extend((value.len() as u32).to_le_bytes());
        self.0.extend_from_slice(value);
        self
    }

    /// The command with its group length.
    pub(crate) fn finish(self) -> Vec<u8> {
        let mut command = Self::default()
            .bytes(0x0000, &(self.0.len() as u32).to_le_bytes())
            .0;
        command.extend(self.0);
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_comes_back() {
        let command = CommandSet::default()
            .uid(0x0002, b"1.2.3")
            .short(0x0100, 0x8001)
            .short(0x0120, 7)
            .short(0x0800, 0x0101)
            .short(0x0900, 0xA700)
            .finish();
        let (response, has_data_set) = parse_command(&command, 5);
        assert_eq!(
            (response.command_field, response.message_id, response.status),
            (0x8001, 7, 0xA700)
        );
        assert_eq!(response.sop_class_uid, b"1.2.3\0");
        assert!(!has_data_set);
        assert_eq!(
            command.len(),
            u32::from_le_bytes([command[8], command[9], command[10], command[11]]) as usize + 12
        );
    }
}
