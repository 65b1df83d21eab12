//! `gantry send`: Storage (C-STORE, PS3.4 B) as SCU.

pub mod outgoing;
mod sender;

use super::commit::{self, WaitOptions};
use super::report::Report;
use super::scu;
use super::source::{Origin, Search};
use super::usage::usage;
use crate::peer_address::PeerOptions;
use crate::progress::{Progress, Unit};
use gantry_media::zip_file::Limits;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

/// Send files to a peer (C-STORE).
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gantry send PACS@127.0.0.1:11112 image.dcm
  gantry send PACS@127.0.0.1:11112 study/ more.zip /media/cdrom
  gantry send PACS@127.0.0.1:11112 archive/ --associations 4 --window 16
  gantry send PACS@127.0.0.1:11112 study/ --report sent.csv --json
  gantry send PACS@127.0.0.1:11112 study/ --commit    ask the peer to promise to keep them

Folders are searched; what is no DICOM file is passed over. Presentation contexts are proposed
from what the files are. Data sets are sent as they are; native ones in another native transfer
syntax to a peer that does not take theirs.

Exit code: 0 when all instances were taken (with --commit: and committed), 1 when some or all were
not, 2 for a wrong call.")]
pub struct Send {
    #[command(flatten)]
    peer: PeerOptions,
    /// Files, folders, ZIP files, media.
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// Associations to use at once.
    #[arg(long, default_value_t = 1, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=64))]
    associations: u16,
    /// Operations to have open at once on each association (PS3.7 D.3.3.3); 1 proposes nothing.
    #[arg(long, default_value_t = 1, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=64))]
    window: u16,
    /// Ask for storage commitment afterwards, as `gantry commit` does.
    #[arg(long)]
    commit: bool,
    #[command(flatten)]
    wait: WaitOptions,
    /// List each file's outcome in a CSV file.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Print the counts as a JSON object.
    #[arg(long)]
    json: bool,
}

/// How to send.
#[derive(Debug, Clone)]
pub struct SendOptions {
    /// To whom, as whom.
    pub peer: PeerOptions,
    /// Associations to use at once.
    pub associations: u16,
    /// Operations to have open at once on each association.
    pub window: u16,
}

/// Sends, with a progress bar, and reports.
pub fn run(send: Send) -> anyhow::Result<ExitCode> {
    if let Some(missing) = send.paths.iter().find(|path| !path.exists()) {
        return Err(usage(format!("{} does not exist", missing.display())));
    }
    if send.wait.listen.is_some() && !send.commit {
        return Err(usage("--listen goes with --commit"));
    }
    let search = Search {
        paths: send.paths,
        without: None,
        zip_limits: Limits::default(),
    };
    let options = SendOptions {
        peer: send.peer,
        associations: send.associations,
        window: send.window,
    };
    let report = Report::new(send.report.as_deref())?;
    let (peer, paths) = (options.peer.clone(), search.paths.clone());
    let sent = send_all(options, search, report, send.json)?;
    if !send.commit {
        return Ok(sent);
    }
    // Also when not all were taken: the result tells about the others.
    let committed = commit::ask(&peer, &paths, &send.wait, send.json)?;
    Ok(match sent == ExitCode::SUCCESS {
        true => committed,
        false => sent,
    })
}

/// Sends everything that `search` finds, and prints the report.
pub fn send_all(
    options: SendOptions,
    search: Search,
    report: Report,
    is_json: bool,
) -> anyhow::Result<ExitCode> {
    // A wrong address is told before anything is searched.
    options.peer.resolve()?;
    let progress = Arc::new(Progress::start("sending", "files", Unit::Bytes));
    let counting = {
        let (search, progress) = (search.clone(), Arc::clone(&progress));
        std::thread::spawn(move || count(&search, &progress))
    };
    let report = Arc::new(Mutex::new(report));
    let outcome = scu::block_on(sender::send_found(
        options,
        search,
        Arc::clone(&report),
        Arc::clone(&progress),
    ));
    // It only counts; its end is of no interest when sending is done.
    drop(counting);
    let summary = progress.finish();
    let report = std::mem::take(&mut *report.lock().unwrap_or_else(PoisonError::into_inner));
    let has_failed = report.failed() > 0;
    if is_json {
        println!("{}", report.counts());
        report.finish()?;
    } else {
        println!("{summary}\n{}", report.finish()?.trim_end());
    }
    outcome?;
    Ok(if has_failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Counts what there is while sending goes on.
fn count(search: &Search, progress: &Progress) {
    search.count(&mut |items, bytes| {
        progress.expect(items, bytes);
        true
    });
}
