//! STOW-RS from several connections at once.

use crate::http::Connection;
use crate::measure;
use crate::sample::{Kind, Samples, part10};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Barrier;
use std::time::{Duration, Instant};

/// Options of `stow`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// HOST:PORT.
    #[arg(long)]
    server: String,
    /// Path of the studies resource.
    #[arg(long, default_value = "/dicom-web/studies")]
    path: String,
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
    #[arg(long, default_value = "2.25.77002")]
    root: String,
    /// Connections at once.
    #[arg(long, default_value_t = 1)]
    connections: usize,
    /// Instances a request.
    #[arg(long, default_value_t = 1)]
    batch: usize,
}

const BOUNDARY: &str = "gantry-bench-boundary";

pub(crate) fn run(options: &Options) -> anyhow::Result<Value> {
    let barrier = Barrier::new(options.connections + 1);
    let (outcomes, elapsed) = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..options.connections)
            .map(|index| {
                let barrier = &barrier;
                scope.spawn(move || connection(options, index, barrier))
            })
            .collect();
        barrier.wait();
        let started = Instant::now();
        let outcomes: anyhow::Result<Vec<_>> = threads
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .map_err(|_| anyhow::anyhow!("a sender panicked"))?
            })
            .collect();
        outcomes.map(|outcomes| (outcomes, started.elapsed()))
    })?;
    let mut statuses: BTreeMap<String, usize> = BTreeMap::new();
    let (mut bytes, mut latencies) = (0, Vec::new());
    for (status, length, latency) in outcomes.into_iter().flatten() {
        *statuses.entry(status.to_string()).or_default() += 1;
        bytes += length;
        latencies.push(latency);
    }
    let mut value = measure::summary(elapsed, bytes, latencies);
    value["instances_per_second"] = json!(options.count as f64 / elapsed.as_secs_f64());
    value["statuses"] = json!(statuses);
    Ok(value)
}

fn connection(
    options: &Options,
    index: usize,
    barrier: &Barrier,
) -> anyhow::Result<Vec<(u16, u64, Duration)>> {
    let samples = Samples {
        kind: options.kind,
        studies: options.studies,
        root: options.root.clone(),
    };
    let numbers: Vec<usize> = (index..options.count)
        .step_by(options.connections)
        .collect();
    let bodies: Vec<Vec<u8>> = numbers
        .chunks(options.batch.max(1))
        .map(|batch| multipart(&samples, batch, options.count))
        .collect();
    let headers = [
        format!("Content-Type: multipart/related; type=\"application/dicom\"; boundary={BOUNDARY}"),
        "Accept: application/dicom+json".to_owned(),
    ];
    let opened = Connection::open(&options.server);
    barrier.wait();
    let mut connection = opened?;
    let mut outcomes = Vec::with_capacity(bodies.len());
    for body in &bodies {
        let started = Instant::now();
        let answer = connection.request("POST", &options.path, &headers, body)?;
        outcomes.push((answer.status, body.len() as u64, started.elapsed()));
    }
    Ok(outcomes)
}

fn multipart(samples: &Samples, numbers: &[usize], of: usize) -> Vec<u8> {
    let mut body = Vec::new();
    for number in numbers {
        body.extend(
            format!("--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n").into_bytes(),
        );
        body.extend(part10(&samples.make(*number, of, true)));
        body.extend(b"\r\n");
    }
    body.extend(format!("--{BOUNDARY}--\r\n").into_bytes());
    body
}
