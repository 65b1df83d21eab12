//! `gantry codec-worker`: the process in which pixels are decoded. The server starts it.

use std::process::ExitCode;

/// Decode pixels for a server, which talks to this process over standard input and output.
#[derive(Debug, clap::Args)]
pub struct CodecWorker {}

/// Works until standard input ends.
pub fn run() -> anyhow::Result<ExitCode> {
    gantry_codec::worker::run_stdio()?;
    Ok(ExitCode::SUCCESS)
}
