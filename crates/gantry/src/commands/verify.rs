//! `gantry verify`: looking whether what is stored is what came.

use super::reach::DataOptions;
use super::report::shown;
use crate::progress::{Progress, Unit};
use gantry_archive::maintenance;
use std::process::ExitCode;

/// Compare every stored object with its digest, and the index with the stored objects.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gantry verify
  gantry verify --data /srv/pacs
  gantry verify --json

Files of large objects that nothing refers to any more are removed. No server may have the data
folder open.

Exit code: 0 when everything is as it should be, 1 when something is wrong; it is listed.")]
pub struct Verify {
    #[command(flatten)]
    data: DataOptions,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Verifies, with a progress bar.
pub fn run(verify: &Verify) -> anyhow::Result<ExitCode> {
    let configuration = verify.data.configuration()?;
    let progress = Progress::start("verifying", "instances", Unit::Bytes);
    let mut last = (0, 0);
    let mut told = 0;
    let mut expected = (0, 0);
    let found = maintenance::verify(&configuration.archive, &mut |found| {
        let (instances, bytes) = (found.instances_total, found.bytes_total);
        progress.expect(instances - expected.0, bytes - expected.1);
        expected = (instances, bytes);
        progress.advance(found.instances - last.0, found.bytes - last.1);
        last = (found.instances, found.bytes);
        for problem in found.problems.iter().skip(told) {
            progress.say(&shown(problem));
        }
        told = found.problems.len();
    });
    let summary = progress.finish();
    let found = found.map_err(|error| anyhow::anyhow!("{}", error.chain()))?;
    if verify.json {
        let object = serde_json::json!({
            "instances": found.instances,
            "bytes": found.bytes,
            "orphans_removed": found.orphans,
            "problems": found.problems,
        });
        println!("{object}");
    } else {
        for problem in found.problems.iter().skip(told) {
            eprintln!("{}", shown(problem));
        }
        println!(
            "{summary}: {} problems, {} orphaned files removed",
            found.problems.len(),
            found.orphans
        );
    }
    Ok(if found.problems.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
