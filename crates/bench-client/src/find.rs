//! C-FIND at study level.

use crate::association::{Association, CommandSet, IMPLICIT_LITTLE};
use crate::pdu::{Proposal, message};
use crate::{Peer, measure};
use anyhow::{Context, bail};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Instant;

const STUDY_ROOT_FIND: &str = "1.2.840.10008.5.1.4.1.2.2.1";

/// Options of `find`.
#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    peer: Peer,
    /// Matching keys as GGGGEEEE=VALUE; `{}` in a value becomes the number of the query.
    #[arg(long = "key")]
    keys: Vec<String>,
    /// How many queries.
    #[arg(long, default_value_t = 100)]
    repeat: usize,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<Value> {
    let proposal = Proposal {
        abstract_syntax: STUDY_ROOT_FIND.into(),
        transfer_syntaxes: vec![IMPLICIT_LITTLE],
        is_scp: false,
    };
    let mut association = Association::open(&options.peer, &[proposal], 1)?;
    let (mut bytes, mut latencies, mut matches) = (0, Vec::new(), 0);
    let started = Instant::now();
    for number in 0..options.repeat {
        let identifier = study_identifier(&options.keys, number)?;
        let command = request(0x0020, STUDY_ROOT_FIND, number as u16 + 1);
        let request = message(1, &command, &identifier, association.accepted.max_length);
        let one = Instant::now();
        association.send(&request)?;
        loop {
            let response = association.receive()?;
            bytes += response.data_set;
            match response.status {
                0xFF00 | 0xFF01 => matches += 1,
                0x0000 => break,
                status => bail!("status {status:04X}"),
            }
        }
        latencies.push(one.elapsed());
    }
    let mut value = measure::summary_with_first(started.elapsed(), bytes, latencies);
    value["matches"] = json!(matches);
    association.release()?;
    Ok(value)
}

/// The usual return keys of a study list, some of them with values to match.
fn study_identifier(keys: &[String], number: usize) -> anyhow::Result<Vec<u8>> {
    let usual = [
        0x0008_0020,
        0x0008_0030,
        0x0008_0050,
        0x0008_0061,
        0x0008_0090,
        0x0008_1030,
        0x0010_0010,
        0x0010_0020,
        0x0010_0030,
        0x0010_0040,
        0x0020_000D,
        0x0020_0010,
        0x0020_1206,
        0x0020_1208,
    ];
    let mut values: BTreeMap<u32, String> =
        usual.into_iter().map(|tag| (tag, String::new())).collect();
    for key in keys {
        let (tag, value) = key.split_once('=').context("a key is GGGGEEEE=VALUE")?;
        values.insert(
            u32::from_str_radix(tag, 16)?,
            value.replace("{}", &format!("{:07}", number % 500)),
        );
    }
    let keys: Vec<(u16, u16, &str)> = values
        .iter()
        .map(|(tag, value)| ((tag >> 16) as u16, *tag as u16, value.as_str()))
        .collect();
    Ok(identifier("STUDY", &keys))
}

/// A C-FIND-RQ or C-GET-RQ (PS3.7 Tables 9.3-3, 9.3-6).
pub(crate) fn request(command_field: u16, sop_class_uid: &str, message_id: u16) -> Vec<u8> {
    CommandSet::default()
        .uid(0x0002, sop_class_uid.as_bytes())
        .short(0x0100, command_field)
        .short(0x0110, message_id)
        .short(0x0700, 0)
        .short(0x0800, 0)
        .finish()
}

/// An identifier in Implicit VR Little Endian; keys in ascending order.
pub(crate) fn identifier(level: &str, keys: &[(u16, u16, &str)]) -> Vec<u8> {
    let mut elements: Vec<(u16, u16, &str)> = keys.to_vec();
    elements.push((0x0008, 0x0052, level));
    elements.sort_unstable_by_key(|(group, element, _)| (*group, *element));
    let mut bytes = Vec::new();
    for (group, element, value) in elements {
        let mut value = value.as_bytes().to_vec();
        if value.len() % 2 == 1 {
            value.push(if (group, element) == (0x0020, 0x000D) {
                0
            } else {
                b' '
            });
        }
        bytes.extend(group.to_le_bytes());
        bytes.extend(element.to_le_bytes());
        bytes.extend((value.len() as u32).to_le_bytes());
        bytes.extend(value);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_is_sorted_and_even() {
        let bytes = identifier("STUDY", &[(0x0020, 0x000D, "1.2.3"), (0x0008, 0x0020, "")]);
        assert_eq!(&bytes[..8], [8, 0, 0x20, 0, 0, 0, 0, 0]);
        assert_eq!(&bytes[8..16], [8, 0, 0x52, 0, 6, 0, 0, 0]);
        assert_eq!(bytes.last(), Some(&0));
    }

    #[test]
    fn a_placeholder_becomes_the_querys_number() {
        let bytes = study_identifier(&["00100020=BENCH{}".into()], 3).unwrap();
        assert!(bytes.windows(12).any(|window| window == b"BENCH0000003"));
    }
}
