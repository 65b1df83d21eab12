//! C-GET of a whole study.

use crate::association::{Association, CommandSet, EXPLICIT_LITTLE, IMPLICIT_LITTLE};
use crate::pdu::{Proposal, message};
use crate::{Peer, find, measure, sample};
use anyhow::bail;
use serde_json::{Value, json};
use std::time::Instant;

const STUDY_ROOT_GET: &str = "1.2.840.10008.5.1.4.1.2.2.3";

/// Options of `get`.
#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    peer: Peer,
    /// Study Instance UID.
    #[arg(long)]
    study: String,
    /// How often.
    #[arg(long, default_value_t = 1)]
    repeat: usize,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<Value> {
    let proposals = [
        Proposal {
            abstract_syntax: STUDY_ROOT_GET.into(),
            transfer_syntaxes: vec![IMPLICIT_LITTLE],
            is_scp: false,
        },
        Proposal {
            abstract_syntax: sample::SOP_CLASS_UID.into(),
            transfer_syntaxes: vec![EXPLICIT_LITTLE, IMPLICIT_LITTLE],
            is_scp: true,
        },
    ];
    let mut association = Association::open(&options.peer, &proposals, 1)?;
    let identifier = find::identifier("STUDY", &[(0x0020, 0x000D, options.study.as_str())]);
    let (mut bytes, mut latencies, mut instances) = (0, Vec::new(), 0);
    let started = Instant::now();
    for number in 0..options.repeat {
        let one = Instant::now();
        let command = find::request(0x0010, STUDY_ROOT_GET, number as u16 + 1);
        association.send(&message(
            1,
            &command,
            &identifier,
            association.accepted.max_length,
        ))?;
        loop {
            let response = association.receive()?;
            match (response.command_field, response.status) {
                (0x0001, _) => {
                    bytes += response.data_set;
                    instances += 1;
                    let answer = CommandSet::default()
                        .uid(0x0002, &response.sop_class_uid)
                        .short(0x0100, 0x8001)
                        .short(0x0120, response.message_id)
                        .short(0x0800, 0x0101)
                        .short(0x0900, 0)
                        .uid(0x1000, &response.sop_instance_uid)
                        .finish();
                    association.send(&message(
                        response.context,
                        &answer,
                        &[],
                        association.accepted.max_length,
                    ))?;
                }
                (0x8010, 0xFF00) => {}
                (0x8010, 0x0000) => break,
                (command, status) => bail!("command {command:04X} with status {status:04X}"),
            }
        }
        latencies.push(one.elapsed());
    }
    let mut value = measure::summary_with_first(started.elapsed(), bytes, latencies);
    value["instances"] = json!(instances);
    association.release()?;
    Ok(value)
}
