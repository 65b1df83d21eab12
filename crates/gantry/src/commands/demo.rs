//! `gantry demo`: filling an archive with sample studies.

use super::dicomweb::client::DicomWeb;
use super::import::destination::Destination;
use super::import::journal::Journal;
use super::import::pipeline::Pipeline;
use super::reach::{DataOptions, Reached};
use super::report::Report;
use super::source::{Candidate, Event, Origin, Search};
use super::usage::usage;
use gantry_media::zip_file::Limits;
use gantry_phantom::{Scale, StudyPlan};
use std::path::PathBuf;
use std::process::ExitCode;

/// Fill an archive with sample studies that are made up, so that there is something to look at.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gantry demo                                    into ./gantry-data, or the server running on it
  gantry demo --data /srv/pacs --scale small
  gantry demo --to http://127.0.0.1:8104
  gantry demo .venv/lib/python3.11/site-packages/pydicom/data    these files as well

The same seed makes the same studies: calling it twice stores nothing twice.")]
pub struct Demo {
    /// Files and folders to bring in as well, e.g. those of the pydicom package.
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// As PATH.
    #[arg(long, value_name = "DIR", hide = true)]
    pydicom: Option<PathBuf>,
    #[command(flatten)]
    data: DataOptions,
    /// A server instead of the data folder: http://HOST:PORT (STOW-RS).
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    /// How much to make.
    #[arg(long, value_enum, default_value_t = Size::Full)]
    scale: Size,
    /// Another seed makes other studies with other UIDs.
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    seed: u64,
}

/// How much to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Size {
    /// As machines make them, about 300 MB.
    Full,
    /// Few and small pictures, about 12 MB.
    Small,
}

/// Makes and stores, with a progress bar.
pub fn run(demo: Demo) -> anyhow::Result<ExitCode> {
    let paths: Vec<PathBuf> = demo.paths.iter().chain(&demo.pydicom).cloned().collect();
    if let Some(missing) = paths.iter().find(|path| !path.exists()) {
        return Err(usage(format!("{} does not exist", missing.display())));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let reached = runtime.block_on(async {
        match &demo.to {
            Some(address) => Ok(Reached::Server(
                DicomWeb::of_environment(address).map_err(usage)?,
            )),
            None => demo.data.reach_or_make().await,
        }
    })?;
    let scale = match demo.scale {
        Size::Full => Scale::Full,
        Size::Small => Scale::Small,
    };
    let studies = Studies {
        seed: demo.seed,
        scale,
        files: Search {
            paths,
            without: None,
            zip_limits: Limits::default(),
        },
    };
    let pipeline = Pipeline {
        origin: &studies,
        destination: Destination::new(reached.clone()),
        journal: Journal::none(),
        parallel: 4,
        verb: "filling",
    };
    let outcome = pipeline.run(&runtime, Report::new(None)?);
    runtime.block_on(reached.close());
    // Some files of others are broken on purpose: what they brought is in the report.
    outcome?.conclude_leniently()
}

/// The sample studies, and files of others.
struct Studies {
    seed: u64,
    scale: Scale,
    files: Search,
}

impl Studies {
    fn plans(&self) -> impl Iterator<Item = StudyPlan> {
        gantry_phantom::studies(self.seed, self.scale)
    }
}

impl Origin for Studies {
    fn count(&self, found: &mut dyn FnMut(u64, u64) -> bool) {
        // The share of one instance, so that the time left is about right from the start.
        let each = match self.scale {
            Scale::Full => 300 << 10,
            Scale::Small => 30 << 10,
        };
        for plan in self.plans() {
            let count = plan.instances.len() as u64;
            if !found(count, count * each) {
                return;
            }
        }
        self.files.count(found);
    }

    fn run(&self, give: &mut dyn FnMut(Event) -> bool) {
        for plan in self.plans() {
            for instance in plan.instances {
                let name = format!("{} {}", plan.description, instance.sop_instance_uid);
                let candidate = Candidate::made(name, move || instance.to_part10());
                if !give(Event::Candidate(candidate)) {
                    return;
                }
            }
        }
        self.files.run(give);
    }
}
