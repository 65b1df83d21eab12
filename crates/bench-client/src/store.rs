//! C-STORE from several associations at once.

use crate::association::{Association, CommandSet, EXPLICIT_LITTLE, IMPLICIT_LITTLE, receive};
use crate::pdu::{Proposal, message, write_all};
use crate::sample::{Kind, SOP_CLASS_UID, Samples};
use crate::{Peer, measure};
use anyhow::{Context, bail};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Barrier;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

/// Options of `store`.
#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    peer: Peer,
    /// Size of the instances.
    #[arg(long, value_enum, default_value = "ct")]
    kind: Kind,
    /// How many instances in all.
    #[arg(long, default_value_t = 200)]
    count: usize,
    /// Over how many studies they are spread.
    #[arg(long, default_value_t = 1)]
    studies: usize,
    /// Root of the UIDs.
    #[arg(long, default_value = "2.25.77001")]
    root: String,
    /// Associations at once.
    #[arg(long, default_value_t = 1)]
    associations: usize,
    /// Operations outstanding on each association, if the peer agrees.
    #[arg(long, default_value_t = 1)]
    window: u16,
    /// Seconds to send for at most; 0 sends everything.
    #[arg(long, default_value_t = 0)]
    seconds: u64,
}

struct Outcome {
    latencies: Vec<Duration>,
    bytes: u64,
    statuses: BTreeMap<u16, usize>,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<Value> {
    let barrier = Barrier::new(options.associations + 1);
    let (outcomes, elapsed, window) = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..options.associations)
            .map(|index| {
                let barrier = &barrier;
                scope.spawn(move || association(options, index, barrier))
            })
            .collect();
        barrier.wait();
        let started = Instant::now();
        let outcomes: Result<Vec<_>, _> = threads
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .map_err(|_| anyhow::anyhow!("a sender panicked"))?
            })
            .collect();
        outcomes.map(|outcomes: Vec<(Outcome, u16)>| {
            let window = outcomes
                .iter()
                .map(|(_, window)| *window)
                .min()
                .unwrap_or(1);
            (outcomes, started.elapsed(), window)
        })
    })?;
    let mut statuses: BTreeMap<String, usize> = BTreeMap::new();
    for (status, count) in outcomes.iter().flat_map(|(outcome, _)| &outcome.statuses) {
        *statuses.entry(format!("{status:04X}")).or_default() += count;
    }
    let bytes = outcomes.iter().map(|(outcome, _)| outcome.bytes).sum();
    let latencies = outcomes
        .into_iter()
        .flat_map(|(outcome, _)| outcome.latencies)
        .collect();
    let mut value = measure::summary(elapsed, bytes, latencies);
    value["statuses"] = json!(statuses);
    value["window"] = json!(window);
    Ok(value)
}

/// Encodes this association's share, waits for the others, sends it.
fn association(
    options: &Options,
    index: usize,
    barrier: &Barrier,
) -> anyhow::Result<(Outcome, u16)> {
    let prepared = prepare(options, index);
    barrier.wait();
    let (association, messages) = prepared?;
    let window = granted(options.window, association.accepted.window);
    let outcome = send(association, &messages, window, options.seconds)?;
    Ok((outcome, window))
}

/// What both sides agree to; 0 is unlimited on either side.
fn granted(wanted: u16, allowed: u16) -> u16 {
    if wanted == 1 || allowed == 1 {
        1
    } else if allowed == 0 {
        wanted
    } else {
        wanted.min(allowed)
    }
}

fn prepare(options: &Options, index: usize) -> anyhow::Result<(Association, Vec<Vec<u8>>)> {
    let proposal = Proposal {
        abstract_syntax: SOP_CLASS_UID.to_owned(),
        transfer_syntaxes: vec![EXPLICIT_LITTLE, IMPLICIT_LITTLE],
        is_scp: false,
    };
    let association = Association::open(&options.peer, &[proposal], options.window)?;
    let (context, syntax) = association.context()?;
    let samples = Samples {
        kind: options.kind,
        studies: options.studies,
        root: options.root.clone(),
    };
    let max_length = association.accepted.max_length;
    let messages = (index..options.count)
        .step_by(options.associations)
        .enumerate()
        .map(|(at, number)| {
            let sample = samples.make(number, options.count, syntax == EXPLICIT_LITTLE);
            let command = c_store_rq(at as u16, sample.sop_instance_uid.as_bytes());
            message(context, &command, &sample.data_set, max_length)
        })
        .collect();
    Ok((association, messages))
}

/// C-STORE-RQ (PS3.7 Table 9.3-1).
pub(crate) fn c_store_rq(message_id: u16, sop_instance_uid: &[u8]) -> Vec<u8> {
    CommandSet::default()
        .uid(0x0002, SOP_CLASS_UID.as_bytes())
        .short(0x0100, 0x0001)
        .short(0x0110, message_id)
        .short(0x0700, 0)
        .short(0x0800, 0)
        .uid(0x1000, sop_instance_uid)
        .finish()
}

/// One thread writes, this one reads; the channel's depth is the window.
fn send(
    association: Association,
    messages: &[Vec<u8>],
    window: u16,
    seconds: u64,
) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome {
        latencies: Vec::new(),
        bytes: 0,
        statuses: BTreeMap::new(),
    };
    let deadline = (seconds > 0).then(|| Instant::now() + Duration::from_secs(seconds));
    let is_over = || deadline.is_some_and(|deadline| Instant::now() >= deadline);
    let Association {
        mut reader,
        mut writer,
        ..
    } = association;
    let mut body = Vec::new();
    if window == 1 {
        for message in messages {
            if is_over() {
                break;
            }
            let started = Instant::now();
            write_all(&mut writer, message)?;
            let response = receive(&mut reader, &mut body)?;
            outcome.add(response.status, message, started);
        }
        return Ok(outcome);
    }
    // A token is taken before a message is written and given back by its response.
    let (give, take) = sync_channel::<()>(usize::from(window));
    let (sent, started) = std::sync::mpsc::channel::<(usize, Instant)>();
    for _ in 0..window {
        give.send(()).context("window")?;
    }
    std::thread::scope(|scope| {
        let sender = scope.spawn(move || -> anyhow::Result<()> {
            for (at, message) in messages.iter().enumerate() {
                if take.recv().is_err() || is_over() {
                    break;
                }
                sent.send((at, Instant::now())).context("reader is gone")?;
                write_all(&mut writer, message)?;
            }
            Ok(())
        });
        let mut outstanding: BTreeMap<u16, (usize, Instant)> = BTreeMap::new();
        loop {
            if outstanding.is_empty() {
                let Ok((at, when)) = started.recv() else {
                    break;
                };
                outstanding.insert(at as u16, (at, when));
            }
            let response = receive(&mut reader, &mut body)?;
            outstanding.extend(started.try_iter().map(|(at, when)| (at as u16, (at, when))));
            let Some((at, when)) = outstanding.remove(&response.message_id) else {
                bail!(
                    "response to message {} that is not outstanding",
                    response.message_id
                );
            };
            outcome.add(response.status, &messages[at], when);
            let _ = give.send(());
        }
        sender
            .join()
            .map_err(|_| anyhow::anyhow!("the writer panicked"))??;
        Ok(outcome)
    })
}

impl Outcome {
    fn add(&mut self, status: u16, message: &[u8], started: Instant) {
        self.latencies.push(started.elapsed());
        self.bytes += message.len() as u64;
        *self.statuses.entry(status).or_default() += 1;
    }
}
