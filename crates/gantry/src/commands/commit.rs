//! `gantry commit`: Storage Commitment, push model (PS3.4 J) as SCU.

mod exchange;
mod listener;

use super::report::{Outcome, shown};
use super::scu;
use super::send::outgoing::Outgoing;
use super::source::{Event, Origin, Search};
use super::usage::usage;
use crate::peer_address::PeerOptions;
use exchange::Promised;
use gantry_media::zip_file::Limits;
use indicatif::HumanCount;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

/// Ask a peer to promise that it keeps instances (storage commitment).
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gantry commit PACS@127.0.0.1:11112 study/
  gantry commit PACS@pacs.example:104 study/ --aet MODALITY --listen 0.0.0.0:11113
  gantry send PACS@127.0.0.1:11112 study/ --commit

The files say what is asked for; they are not sent. The result is awaited on the same association
and, with --listen, also on one that the peer opens to the address that it knows for our AE title.

Exit code: 0 when the peer promises to keep every instance, 1 when not or when no result comes, 2
for a wrong call.")]
pub struct Commit {
    #[command(flatten)]
    peer: PeerOptions,
    /// Files, folders, ZIP files, media.
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    wait: WaitOptions,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Where and how long to wait for results.
#[derive(Debug, Clone, clap::Args)]
pub struct WaitOptions {
    /// Address on which the peer may open an association to tell the result.
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<SocketAddr>,
    /// Seconds to wait for the result.
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..))]
    pub wait: u64,
}

/// What to ask for: SOP Instance UIDs with their SOP Class UIDs.
pub type References = BTreeMap<String, String>;

/// Asks and waits.
pub fn run(commit: &Commit) -> anyhow::Result<ExitCode> {
    ask(&commit.peer, &commit.paths, &commit.wait, commit.json)
}

/// Asks for the commitment of what is in files, waits for the result and prints it.
pub fn ask(
    peer: &PeerOptions,
    paths: &[PathBuf],
    wait: &WaitOptions,
    is_json: bool,
) -> anyhow::Result<ExitCode> {
    if let Some(missing) = paths.iter().find(|path| !path.exists()) {
        return Err(usage(format!("{} does not exist", missing.display())));
    }
    // A wrong address is told before anything is searched.
    peer.resolve()?;
    let references = find_references(paths);
    anyhow::ensure!(!references.is_empty(), "no instance was found");
    scu::block_on(async {
        let promised = exchange::request(peer, &references, wait).await?;
        print(&promised, is_json);
        Ok(match promised.failed.is_empty() {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        })
    })
}

fn find_references(paths: &[PathBuf]) -> References {
    let search = Search {
        paths: paths.to_vec(),
        without: None,
        zip_limits: Limits::default(),
    };
    let mut references = References::new();
    let unreadable = |name: &str, reason: &str| eprintln!("gantry: {}: {reason}", shown(name));
    search.run(&mut |event| {
        match event {
            Event::Candidate(candidate) => match Outgoing::of(candidate) {
                Ok(found) => {
                    let instance = found.sop_instance_uid.as_str().to_owned();
                    references.insert(instance, found.sop_class_uid.as_str().to_owned());
                }
                Err((candidate, Outcome::Failed(reason))) => unreadable(&candidate.name, &reason),
                Err(_) => {}
            },
            Event::Passed {
                name,
                reason,
                is_failure: true,
            } => unreadable(&name, &reason),
            Event::Passed { .. } => {}
        }
        true
    });
    references
}

fn print(promised: &Promised, is_json: bool) {
    if is_json {
        let failed: Vec<_> = promised
            .failed
            .iter()
            .map(|(uid, reason)| serde_json::json!({ "sop_instance_uid": uid, "reason": reason }))
            .collect();
        let object = serde_json::json!({ "committed": promised.committed, "failed": failed });
        println!("{object}");
        return;
    }
    for (uid, reason) in &promised.failed {
        eprintln!("gantry: instance {}: {reason}", shown(uid));
    }
    println!(
        "{} committed, {} not",
        HumanCount(promised.committed),
        HumanCount(promised.failed.len() as u64)
    );
}
