//! A fast client for comparing servers: everything it sends is encoded before the clock starts,
//! so that what is measured is the server.
//!
//! It speaks just enough of PS3.8 and HTTP/1.1 over blocking sockets, and shares no code with the
//! archive it measures. Each command prints one line of JSON.
#![expect(clippy::print_stdout, reason = "the line of JSON is the result")]

mod association;
mod find;
mod get;
mod http;
mod huge;
mod measure;
mod pdu;
mod sample;
mod store;
mod stow;

use clap::{Args, Parser, Subcommand};

/// Measures a DICOM or DICOMweb server.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// C-STORE generated instances.
    Store(store::Options),
    /// C-GET a study again and again.
    Get(get::Options),
    /// C-FIND a query again and again.
    Find(find::Options),
    /// C-STORE instances too big for memory.
    Huge(huge::Options),
    /// STOW-RS generated instances.
    Stow(stow::Options),
    /// GET addresses, one after the other.
    Http(http::Options),
    /// Write one of the instances as a file.
    Sample(sample::Options),
}

/// The DICOM server.
#[derive(Args, Clone)]
struct Peer {
    /// HOST:PORT.
    #[arg(long)]
    peer: String,
    /// Called AE title.
    #[arg(long, default_value = "ANY-SCP")]
    called: String,
    /// Calling AE title.
    #[arg(long, default_value = "BENCH")]
    calling: String,
}

fn main() -> anyhow::Result<()> {
    let result = match Cli::parse().command {
        Command::Store(options) => store::run(&options),
        Command::Get(options) => get::run(&options),
        Command::Find(options) => find::run(&options),
        Command::Huge(options) => huge::run(&options),
        Command::Stow(options) => stow::run(&options),
        Command::Http(options) => http::run(&options),
        Command::Sample(options) => sample::run(&options),
    }?;
    println!("{result}");
    Ok(())
}
