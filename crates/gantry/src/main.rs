//! The Gantry server and its commands: the one place where crates are put together.
#![expect(clippy::print_stdout, reason = "commands answer on standard output")]

mod commands;
mod configuration;
mod doors;
mod logging;
mod open_files;
mod peer_address;
mod place;
mod progress;

use clap::Parser;
use std::process::ExitCode;

/// An open-source PACS: receives, keeps, finds and gives back DICOM.
#[derive(Debug, Parser)]
#[command(name = "gantry", version, about, max_term_width = 100, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: commands::Command,
}

const EXAMPLES: &str = "Examples:
  gantry serve                                  start on the defaults, data in ./gantry-data
  gantry serve --data /srv/pacs --ae-title PACS --dicom 0.0.0.0:104
  gantry import /media/cdrom ~/old-archive      bring files, folders, ZIPs and DICOM media in
  gantry echo PACS@127.0.0.1:11112              does the peer answer?
  gantry send PACS@127.0.0.1:11112 study/       send files
  gantry find PACS@127.0.0.1:11112 -k PatientName='DOE*'";

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match commands::run(arguments.command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("gantry: {error:#}");
            ExitCode::FAILURE
        }
    }
}
