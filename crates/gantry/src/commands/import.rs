//! `gantry import`: bringing files, folders, ZIP files and media in.

pub mod destination;
pub mod journal;
pub mod pipeline;

use super::dicomweb::client::DicomWeb;
use super::reach::{DataOptions, Reached};
use super::report::Report;
use super::send::{self, SendOptions};
use super::source::Search;
use super::usage::usage;
use crate::peer_address::{PeerAddress, PeerOptions, Security};
use anyhow::Context;
use destination::Destination;
use gantry_core::ae_title::AeTitle;
use gantry_media::zip_file::Limits;
use journal::Journal;
use pipeline::Pipeline;
use std::path::PathBuf;
use std::process::ExitCode;

/// Bring files, folders, ZIP files and DICOM media into an archive.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gantry import /media/cdrom                       a medium with a DICOMDIR
  gantry import ~/old-archive study.zip --data /srv/pacs
  gantry import study/ --to http://pacs.example:8104
  gantry import study/ --to PACS@pacs.example:104
  gantry import big/ --report imported.csv

Files are told by their content, not by their names. Folders are searched to the bottom. Without
--to the files go into the data folder: through the server that has it open, else directly.
An import that was cut off can be called again: what was stored is passed over (see --again).

Exit code: 0 when every instance that was found is stored, 1 when not, 2 for a wrong call.")]
pub struct Import {
    /// Files, folders, ZIP files, media.
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    data: DataOptions,
    /// A server instead of the data folder: http://HOST:PORT (STOW-RS) or AE@HOST:PORT (C-STORE).
    #[arg(long, value_name = "URL|PEER")]
    to: Option<String>,
    /// Our AE title towards a PEER [default: the configuration's, GANTRY].
    #[arg(long, value_name = "AE")]
    aet: Option<AeTitle>,
    /// Instances to bring in at once.
    #[arg(long, default_value_t = 8, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=64))]
    parallel: u16,
    /// Where to note what is stored [default: import-journal in the data folder; none with --to].
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// Also bring in what the journal says was imported before.
    #[arg(long)]
    again: bool,
    /// List each file's outcome in a CSV file.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Print the counts as a JSON object.
    #[arg(long)]
    json: bool,
}

/// Imports, with a progress bar, and reports.
pub fn run(import: Import) -> anyhow::Result<ExitCode> {
    if let Some(missing) = import.paths.iter().find(|path| !path.exists()) {
        return Err(usage(format!("{} does not exist", missing.display())));
    }
    match &import.to {
        Some(to) if !to.contains("://") => import_to_peer(&import, to),
        _ => import_to_archive(&import),
    }
}

fn import_to_peer(import: &Import, peer: &str) -> anyhow::Result<ExitCode> {
    if import.journal.is_some() || import.again {
        return Err(usage("there is no journal when importing to a peer"));
    }
    let configuration = import.data.configuration()?;
    PeerAddress::resolve(peer, &configuration).map_err(usage)?;
    let options = SendOptions {
        peer: PeerOptions {
            peer: peer.to_owned(),
            aet: import.aet.clone(),
            config: import.data.config.clone(),
            timeout: 60,
            security: Security::default(),
        },
        associations: import.parallel.min(4),
        window: 16,
    };
    let search = search(import, None);
    send::send_all(
        options,
        search,
        Report::new(import.report.as_deref())?,
        import.json,
    )
}

fn import_to_archive(import: &Import) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let reached = runtime.block_on(async {
        match &import.to {
            Some(address) => Ok(Reached::Server(
                DicomWeb::of_environment(address).map_err(usage)?,
            )),
            None => import.data.reach_or_make().await,
        }
    })?;
    let folder = match import.to {
        Some(_) => None,
        None => Some(import.data.configuration()?.archive.data),
    };
    let journal_path = import
        .journal
        .clone()
        .or_else(|| folder.as_ref().map(|folder| folder.join("import-journal")));
    let journal = match journal_path {
        Some(path) => Journal::open(&path)
            .with_context(|| format!("the journal {} cannot be used", path.display()))?,
        None => Journal::none(),
    };
    let search = search(import, folder);
    let pipeline = Pipeline {
        origin: &search,
        destination: Destination::new(reached.clone()),
        journal: if import.again {
            journal.forgetting()
        } else {
            journal
        },
        parallel: import.parallel,
        verb: "importing",
    };
    let outcome = pipeline.run(&runtime, Report::new(import.report.as_deref())?);
    runtime.block_on(reached.close());
    outcome?.conclude(import.json)
}

fn search(import: &Import, without: Option<PathBuf>) -> Search {
    Search {
        paths: import.paths.clone(),
        without,
        zip_limits: Limits::default(),
    }
}
