//! C-STORE of instances too big for memory, all at once.

use crate::association::{Association, EXPLICIT_LITTLE, receive};
use crate::pdu::{DATA, Proposal, message, write_all};
use crate::sample::{Huge, SOP_CLASS_UID};
use crate::store::c_store_rq;
use crate::{Peer, measure};
use anyhow::bail;
use serde_json::Value;
use std::time::{Duration, Instant};

/// Options of `huge`.
#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    peer: Peer,
    /// Megabytes of pixel data of each instance.
    #[arg(long, default_value_t = 2048)]
    megabytes: u32,
    /// Associations at once, one instance each.
    #[arg(long, default_value_t = 16)]
    associations: usize,
    /// Root of the UIDs; instance N is alone in study ROOT.N.
    #[arg(long, default_value = "2.25.77004")]
    root: String,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<Value> {
    let started = Instant::now();
    let outcomes: anyhow::Result<Vec<(Duration, u64)>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..options.associations)
            .map(|index| scope.spawn(move || association(options, index)))
            .collect();
        threads
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .map_err(|_| anyhow::anyhow!("a sender panicked"))?
            })
            .collect()
    });
    let (latencies, lengths): (Vec<_>, Vec<_>) = outcomes?.into_iter().unzip();
    Ok(measure::summary(
        started.elapsed(),
        lengths.into_iter().sum(),
        latencies,
    ))
}

fn association(options: &Options, index: usize) -> anyhow::Result<(Duration, u64)> {
    let proposal = Proposal {
        abstract_syntax: SOP_CLASS_UID.to_owned(),
        transfer_syntaxes: vec![EXPLICIT_LITTLE],
        is_scp: false,
    };
    let mut association = Association::open(&options.peer, &[proposal], 1)?;
    let (context, _) = association.context()?;
    let huge = Huge::new(&options.root, index, options.megabytes);
    let max_length = association.accepted.max_length;
    let started = Instant::now();
    association.send(&message(
        context,
        &c_store_rq(1, huge.sop_instance_uid.as_bytes()),
        &[],
        max_length,
    ))?;
    association.send(&fragment(context, &huge.header, false))?;
    let chunk = vec![index as u8; (max_length - 6).min(1 << 18) & !1];
    let whole = fragment(context, &chunk, false);
    let mut rest = huge.pixel_bytes;
    while rest > chunk.len() as u64 {
        write_all(&mut association.writer, &whole)?;
        rest -= chunk.len() as u64;
    }
    association.send(&fragment(context, &chunk[..rest as usize], true))?;
    let response = receive(&mut association.reader, &mut Vec::new())?;
    if response.status != 0 {
        bail!("status {:04X}", response.status);
    }
    let elapsed = started.elapsed();
    association.release()?;
    Ok((elapsed, huge.pixel_bytes))
}

/// A P-DATA-TF with one fragment of a data set.
fn fragment(context: u8, bytes: &[u8], is_last: bool) -> Vec<u8> {
    let mut pdu = vec![DATA, 0];
    pdu.extend((bytes.len() as u32 + 6).to_be_bytes());
    pdu.extend((bytes.len() as u32 + 2).to_be_bytes());
    pdu.extend([context, if is_last { 0x02 } else { 0x00 }]);
    pdu.extend_from_slice(bytes);
    pdu
}
