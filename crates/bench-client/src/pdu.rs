//! PDUs of PS3.8 §9.3, as much as a requestor needs.

use anyhow::{Context, bail};
use std::io::{Read, Write};

pub(crate) const ASSOCIATE_AC: u8 = 0x02;
pub(crate) const DATA: u8 = 0x04;
pub(crate) const RELEASE_RQ: u8 = 0x05;

/// A presentation context to propose: abstract syntax, transfer syntaxes, and whether the
/// requestor offers to be SCP (PS3.7 D.3.3.4).
#[derive(Debug, Clone)]
pub(crate) struct Proposal {
    pub(crate) abstract_syntax: String,
    pub(crate) transfer_syntaxes: Vec<&'static str>,
    pub(crate) is_scp: bool,
}

/// What the acceptor said.
#[derive(Debug, Clone)]
pub(crate) struct Accepted {
    /// Longest P-DATA-TF the peer takes; never 0.
    pub(crate) max_length: usize,
    /// Operations the peer lets us have outstanding; 0 is unlimited.
    pub(crate) window: u16,
    /// Presentation context IDs that were accepted and their transfer syntaxes.
    pub(crate) contexts: Vec<(u8, String)>,
}

/// Longest PDU this side takes.
const OWN_MAX_LENGTH: u32 = 262_144;
/// Used when the peer sets no limit.
const UNLIMITED: usize = 262_144;

fn item(kind: u8, content: &[u8]) -> Vec<u8> {
    let mut item = vec![kind, 0];
    item.extend_from_slice(&(content.len() as u16).to_be_bytes());
    item.extend_from_slice(content);
    item
}

fn title(text: &str) -> Vec<u8> {
    format!("{text:<16}").into_bytes()
}

/// An A-ASSOCIATE-RQ; contexts get the IDs 1, 3, 5 …
pub(crate) fn associate_rq(
    called: &str,
    calling: &str,
    proposals: &[Proposal],
    window: u16,
) -> Vec<u8> {
    let mut body = vec![0, 1, 0, 0];
    body.extend(title(called));
    body.extend(title(calling));
    body.extend([0; 32]);
    body.extend(item(0x10, b"1.2.840.10008.3.1.1.1"));
    for (index, proposal) in proposals.iter().enumerate() {
        let mut context = vec![(index * 2 + 1) as u8, 0, 0, 0];
        context.extend(item(0x30, proposal.abstract_syntax.as_bytes()));
        for syntax in &proposal.transfer_syntaxes {
            context.extend(item(0x40, syntax.as_bytes()));
        }
        body.extend(item(0x20, &context));
    }
    body.extend(item(0x50, &user_information(proposals, window)));
    framed(0x01, &body)
}

fn user_information(proposals: &[Proposal], window: u16) -> Vec<u8> {
    let mut user = item(0x51, &OWN_MAX_LENGTH.to_be_bytes());
    user.extend(item(0x52, b"2.25.136207491825730461830726351824736105"));
    if window != 1 {
        user.extend(item(
            0x53,
            &[window.to_be_bytes(), 1_u16.to_be_bytes()].concat(),
        ));
    }
    for proposal in proposals.iter().filter(|proposal| proposal.is_scp) {
        let uid = proposal.abstract_syntax.as_bytes();
        let mut role = (uid.len() as u16).to_be_bytes().to_vec();
        role.extend_from_slice(uid);
        role.extend([1, 1]);
        user.extend(item(0x54, &role));
    }
    user.extend(item(0x55, b"GANTRY_BENCH"));
    user
}

fn framed(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut pdu = vec![kind, 0];
    pdu.extend_from_slice(&(body.len() as u32).to_be_bytes());
    pdu.extend_from_slice(body);
    pdu
}

pub(crate) fn release_rq() -> Vec<u8> {
    framed(RELEASE_RQ, &[0; 4])
}

/// Reads one PDU into `body` and says its kind.
pub(crate) fn read(from: &mut impl Read, body: &mut Vec<u8>) -> anyhow::Result<u8> {
    let mut header = [0; 6];
    from.read_exact(&mut header)
        .context("connection closed by the peer")?;
    let length = u32::from_be_bytes([header[2], header[3], header[4], header[5]]) as usize;
    if length > 16 * 1024 * 1024 {
        bail!("PDU of {length} bytes");
    }
    body.resize(length, 0);
    from.read_exact(body)?;
    Ok(header[0])
}

/// Takes an A-ASSOCIATE-AC apart.
pub(crate) fn parse_associate_ac(body: &[u8]) -> anyhow::Result<Accepted> {
    let mut accepted = Accepted {
        max_length: UNLIMITED,
        window: 1,
        contexts: Vec::new(),
    };
    for (kind, content) in items(body.get(68..).context("A-ASSOCIATE-AC is too short")?) {
        match (kind, content) {
            (0x21, [id, _, 0, _, rest @ ..]) => {
                let syntax = items(rest)
                    .find(|(kind, _)| *kind == 0x40)
                    .map_or(&b""[..], |(_, uid)| uid);
                let syntax = String::from_utf8_lossy(syntax)
                    .trim_end_matches('\0')
                    .to_owned();
                accepted.contexts.push((*id, syntax));
            }
            (0x50, user) => parse_user_information(user, &mut accepted),
            _ => {}
        }
    }
    Ok(accepted)
}

fn parse_user_information(user: &[u8], accepted: &mut Accepted) {
    for (kind, content) in items(user) {
        match (kind, content) {
            (0x51, &[a, b, c, d]) => {
                let length = u32::from_be_bytes([a, b, c, d]) as usize;
                accepted.max_length = if length == 0 {
                    UNLIMITED
                } else {
                    length.min(UNLIMITED)
                };
            }
            (0x53, &[a, b, ..]) => accepted.window = u16::from_be_bytes([a, b]),
            _ => {}
        }
    }
}

fn items(mut rest: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let [kind, _, high, low, tail @ ..] = rest else {
            return None;
        };
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(tail.len());
        let (content, after) = tail.split_at(length);
        rest = after;
        Some((*kind, content))
    })
}

/// A message as P-DATA-TF PDUs no longer than the peer takes: the command, then the data set.
pub(crate) fn message(context: u8, command: &[u8], data_set: &[u8], max_length: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(command.len() + data_set.len() + 4096);
    fragments(&mut out, context, 0x01, command, max_length);
    if !data_set.is_empty() {
        fragments(&mut out, context, 0x00, data_set, max_length);
    }
    out
}

fn fragments(out: &mut Vec<u8>, context: u8, kind: u8, bytes: &[u8], max_length: usize) {
    let room = max_length.max(128) - 6;
    let last = bytes.len().div_ceil(room) - 1;
    for (index, fragment) in bytes.chunks(room).enumerate() {
        out.extend([DATA, 0]);
        out.extend((fragment.len() as u32 + 6).to_be_bytes());
        out.extend((fragment.len() as u32 + 2).to_be_bytes());
        out.extend([context, kind | if index == last { 0x02 } else { 0 }]);
        out.extend_from_slice(fragment);
    }
}

/// One fragment of a P-DATA-TF.
#[derive(Debug)]
pub(crate) struct Pdv<'a> {
    pub(crate) context: u8,
    pub(crate) is_command: bool,
    pub(crate) is_last: bool,
    pub(crate) bytes: &'a [u8],
}

pub(crate) fn pdvs(mut body: &[u8]) -> impl Iterator<Item = Pdv<'_>> {
    std::iter::from_fn(move || {
        let [a, b, c, d, rest @ ..] = body else {
            return None;
        };
        let length = (u32::from_be_bytes([*a, *b, *c, *d]) as usize).min(rest.len());
        let (pdv, after) = rest.split_at(length);
        body = after;
        let [context, control, bytes @ ..] = pdv else {
            return None;
        };
        Some(Pdv {
            context: *context,
            is_command: control & 1 == 1,
            is_last: control & 2 == 2,
            bytes,
        })
    })
}

pub(crate) fn write_all(to: &mut impl Write, bytes: &[u8]) -> anyhow::Result<()> {
    to.write_all(bytes).context("sending")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_cut_at_the_peers_limit() {
        let bytes = message(3, &[1; 50], &[2; 1000], 256);
        let mut from = bytes.as_slice();
        let (mut body, mut command, mut data_set) = (Vec::new(), 0, 0);
        while !from.is_empty() {
            assert_eq!(read(&mut from, &mut body).unwrap(), DATA);
            assert!(body.len() <= 256);
            for pdv in pdvs(&body) {
                assert_eq!(pdv.context, 3);
                if pdv.is_command {
                    command += pdv.bytes.len()
                } else {
                    data_set += pdv.bytes.len()
                }
                assert_eq!(
                    pdv.is_last,
                    command == 50 && (pdv.is_command || data_set == 1000)
                );
            }
        }
        assert_eq!((command, data_set), (50, 1000));
    }

    #[test]
    fn an_acceptance_is_understood() {
        let mut body = vec![0; 68];
        body.extend(item(0x10, b"1.2.840.10008.3.1.1.1"));
        let syntax = item(0x40, b"1.2.840.10008.1.2.1");
        body.extend(item(0x21, &[&[1, 0, 0, 0], &syntax[..]].concat()));
        body.extend(item(0x21, &[&[3, 0, 4, 0], &syntax[..]].concat()));
        let user = [
            item(0x51, &16_384_u32.to_be_bytes()),
            item(0x53, &[0, 8, 0, 1]),
        ]
        .concat();
        body.extend(item(0x50, &user));
        let accepted = parse_associate_ac(&body).unwrap();
        assert_eq!((accepted.max_length, accepted.window), (16_384, 8));
        assert_eq!(accepted.contexts, [(1, "1.2.840.10008.1.2.1".to_owned())]);
    }
}
