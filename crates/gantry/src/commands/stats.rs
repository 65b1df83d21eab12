//! `gantry stats`: what an archive holds, in numbers.

use super::dicomweb::client::{DicomWeb, problem_text};
use super::reach::{DataOptions, Reached};
use super::usage::usage;
use gantry_core::principal::Principal;
use indicatif::{HumanBytes, HumanCount};
use serde_json::Value;
use std::process::ExitCode;

/// Count what an archive holds.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gantry stats
  gantry stats --data /srv/pacs --json
  gantry stats --from http://pacs.example:8104")]
pub struct Stats {
    #[command(flatten)]
    data: DataOptions,
    /// A server instead of the data folder: http://HOST:PORT.
    #[arg(long, value_name = "URL")]
    from: Option<String>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Counts and prints.
pub fn run(stats: &Stats) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let counts = runtime.block_on(async {
        let reached = match &stats.from {
            Some(address) => Reached::Server(DicomWeb::of_environment(address).map_err(usage)?),
            None => stats.data.reach().await?,
        };
        let counts = counts(&reached).await;
        reached.close().await;
        counts
    })?;
    if stats.json {
        println!("{counts}");
        return Ok(ExitCode::SUCCESS);
    }
    for (name, label, is_bytes) in [
        ("patients", "patients", false),
        ("studies", "studies", false),
        ("series", "series", false),
        ("instances", "instances", false),
        ("bytes", "stored", true),
        (
            "deleted_instances",
            "deleted instances that can be restored",
            false,
        ),
        ("deleted_bytes", "stored of them", true),
    ] {
        let Some(count) = counts.get(name).and_then(Value::as_u64) else {
            continue;
        };
        let count = match is_bytes {
            true => HumanBytes(count).to_string(),
            false => HumanCount(count).to_string(),
        };
        println!("{count:>14}  {label}");
    }
    Ok(ExitCode::SUCCESS)
}

async fn counts(reached: &Reached) -> anyhow::Result<Value> {
    match reached {
        Reached::Archive(archive) => {
            let counts = archive.statistics(&Principal::command()).await;
            let counts = counts.map_err(|error| anyhow::anyhow!("{}", error.chain()))?;
            Ok(serde_json::to_value(counts)?)
        }
        Reached::Server(server) => {
            let answer = server.get_beside("/api/statistics").await?;
            anyhow::ensure!(answer.status.is_success(), "{}", problem_text(&answer));
            Ok(serde_json::from_slice(&answer.body)?)
        }
    }
}
