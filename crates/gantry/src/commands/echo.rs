//! `gantry echo`: Verification (PS3.4 A) as SCU.

use super::scu;
use crate::peer_address::PeerOptions;
use gantry_dicom::uids;
use std::process::ExitCode;
use std::time::Instant;

/// Ask a peer whether it answers (C-ECHO).
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gantry echo PACS@127.0.0.1:11112
  gantry echo PACS@pacs.example:104 --aet WORKSTATION --count 5
  gantry echo CT1 --config gantry.toml           a [[peer]] of the configuration
  gantry echo PACS@127.0.0.1:11112 --json

Exit code: 0 when every echo succeeded, 1 when not, 2 for a wrong call.")]
pub struct Echo {
    #[command(flatten)]
    peer: PeerOptions,
    /// How many echoes to send on the association.
    #[arg(long, default_value_t = 1, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Sends the echoes and tells how long each took.
pub fn run(echo: &Echo) -> anyhow::Result<ExitCode> {
    scu::block_on(ask(echo))
}

async fn ask(echo: &Echo) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    let contexts = vec![scu::plain_context(uids::VERIFICATION)?];
    let client = scu::connect(&echo.peer, contexts, |_| {}).await?;
    let associated = started.elapsed();
    let mut times_ms = Vec::new();
    let mut failures = 0;
    for _ in 0..echo.count {
        let started = Instant::now();
        let status = client.echo().await?;
        let time_ms = started.elapsed().as_secs_f64() * 1000.0;
        times_ms.push(time_ms);
        failures += u32::from(!status.is_done());
        if !echo.json {
            println!("{status}H in {time_ms:.1} ms");
        }
    }
    let negotiated = client.negotiated();
    let version = negotiated.peer_implementation_version_name.clone();
    if echo.json {
        let object = serde_json::json!({
            "peer": echo.peer.peer,
            "implementation_version_name": version,
            "implementation_class_uid":
                negotiated.peer_implementation_class_uid.as_ref().map(|uid| uid.as_str()),
            "association_ms": associated.as_secs_f64() * 1000.0,
            "echo_ms": times_ms,
            "failures": failures,
        });
        println!("{object}");
    } else {
        let name = version.unwrap_or_else(|| "unnamed implementation".into());
        println!(
            "{} answers ({name}); association made in {:.1} ms",
            echo.peer.peer,
            associated.as_secs_f64() * 1000.0
        );
    }
    client.release().await?;
    Ok(if failures == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
