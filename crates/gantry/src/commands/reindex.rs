//! `gantry reindex`: building the index again from what is stored.

use super::reach::DataOptions;
use crate::progress::{Progress, Unit};
use gantry_archive::maintenance;
use std::process::ExitCode;

/// Build the index again from the stored objects.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gantry reindex
  gantry reindex --data /srv/pacs

No server may have the data folder open. Cut off, it goes on when the archive is opened again.

Exit code: 0 when everything is in the index, 1 when something could not be read.")]
pub struct Reindex {
    #[command(flatten)]
    data: DataOptions,
}

/// Rebuilds, with a progress bar.
pub fn run(reindex: &Reindex) -> anyhow::Result<ExitCode> {
    let configuration = reindex.data.configuration()?;
    let progress = Progress::start("indexing", "records", Unit::Count);
    let mut last = 0;
    let mut expected = 0;
    let applied = maintenance::reindex(&configuration.archive, &mut |applied| {
        progress.expect(applied.records_total.saturating_sub(expected), 0);
        expected = applied.records_total;
        progress.advance(applied.records.saturating_sub(last), 0);
        last = applied.records;
    });
    let summary = progress.finish();
    let applied = applied.map_err(|error| anyhow::anyhow!("{}", error.chain()))?;
    println!(
        "{summary}: {} instances, {} damaged records",
        applied.instances, applied.damaged
    );
    Ok(if applied.damaged == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
