//! `gantry serve`: the server.

use crate::configuration::{Configuration, Overrides};
use crate::doors::{Addresses, Doors};
use crate::{logging, open_files};
use anyhow::Context;
use gantry_archive::Archive;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// Start the server: DICOM associations, DICOMweb and the pages.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gantry serve
  gantry serve --data /srv/pacs --ae-title PACS --dicom 0.0.0.0:104 --http 127.0.0.1:8104
  gantry serve --config /etc/gantry.toml
  gantry serve --http off --dicom off                (with certificates of gantry cert: TLS alone)
  gantry serve --http 127.0.0.1:0 --dicom 127.0.0.1:0    (ports are picked and printed)

SIGTERM and Ctrl-C stop it after the work in hand is done.")]
pub struct Serve {
    #[command(flatten)]
    overrides: Overrides,
}

/// How long open work may go on after the signal to stop.
const DRAIN: Duration = Duration::from_secs(20);
/// How often the configuration file is looked at for changed peers.
const PEERS_REREAD: Duration = Duration::from_secs(2);

/// Runs until a signal asks to stop.
pub fn run(serve: Serve) -> anyhow::Result<ExitCode> {
    let configuration = Configuration::load(&serve.overrides)?;
    logging::start(configuration.log.format, &configuration.log.level);
    open_files::raise_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve_until_signal(configuration, serve.overrides.config))?;
    runtime.shutdown_timeout(Duration::from_secs(2));
    Ok(ExitCode::SUCCESS)
}

async fn serve_until_signal(
    configuration: Configuration,
    file: Option<PathBuf>,
) -> anyhow::Result<()> {
    // Before anyone is told that the server is there, and may ask it to stop.
    let mut stop_signals = StopSignals::catch()?;
    let doors = Doors::open(&configuration).await?;
    let archive = Archive::open(configuration.archive.clone(), configuration.peer.clone())
        .await
        .map_err(|error| anyhow::anyhow!("{}", error.chain()))?;
    announce(&archive, doors.addresses)?;

    let (stop, stopped) = watch::channel(false);
    let until_stopped = || {
        let mut stopped = stopped.clone();
        async move {
            // An error means the sender is gone: the server is stopping as well.
            let _ = stopped.wait_for(|stop| *stop).await;
        }
    };
    let http_config = doors.http_config(&configuration);
    let (http, dicom) = doors.take();
    let doors = async {
        tokio::join!(
            gantry_serve_http::serve(http, Arc::clone(&archive), http_config, until_stopped()),
            gantry_serve_dimse::serve(
                dicom,
                Arc::clone(&archive),
                configuration.dicom.clone(),
                until_stopped()
            ),
        )
    };
    tokio::pin!(doors);
    if let Some(file) = file {
        tokio::spawn(follow_peers(file, Arc::clone(&archive)));
    }
    tokio::select! {
        (http, dicom) = &mut doors => {
            http.context("the HTTP door stopped")?;
            dicom.context("the DICOM door stopped")?;
        }
        () = stop_signals.wait() => {
            tracing::info!("stopping: finishing the work in hand");
            let _ = stop.send(true);
            if tokio::time::timeout(DRAIN, doors).await.is_err() {
                tracing::warn!("some work was still open and is cut off");
            }
        }
    }
    archive.close().await;
    tracing::info!("stopped");
    Ok(())
}

/// Tells people and programs where the server listens. `server.json` in the data folder lets
/// other commands on this machine find it.
fn announce(archive: &Archive, addresses: Addresses) -> anyhow::Result<()> {
    let ae_title = &archive.config().ae_title;
    let file = archive.config().data.join("server.json");
    let address = serde_json::json!({
        "http": addresses.http.map(|http| format!("http://{http}")),
        "https": addresses.https.map(|https| format!("https://{https}")),
        "dicom": addresses.dicom.map(|dicom| dicom.to_string()),
        "dicom_tls": addresses.dicom_tls.map(|dicom| dicom.to_string()),
        "ae_title": ae_title.as_str(),
        "process": std::process::id(),
    });
    std::fs::write(&file, address.to_string())
        .with_context(|| format!("cannot write {}", file.display()))?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", addresses.ready_line(ae_title.as_str()))?;
    for web in addresses.web() {
        writeln!(out, "  browser    {web}/")?;
        writeln!(out, "  DICOMweb   {web}/dicom-web")?;
    }
    for modality in addresses.modalities() {
        writeln!(out, "  modality   AE title {ae_title}, {modality}")?;
    }
    out.flush()?;
    Ok(())
}

/// The signals that ask to stop. They are caught from the moment this exists.
struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    fn catch() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Puts changed `[[peer]]` entries in force without a restart. A file that became wrong is
/// reported and changes nothing.
async fn follow_peers(file: PathBuf, archive: Arc<Archive>) {
    let mut last = modified(&file);
    loop {
        tokio::time::sleep(PEERS_REREAD).await;
        let now = modified(&file);
        if now == last {
            continue;
        }
        last = now;
        match Configuration::read(&file) {
            Ok(configuration) => {
                tracing::info!(peers = configuration.peer.len(), "peers re-read");
                archive.peers().replace(configuration.peer);
            }
            Err(error) => tracing::error!("peers stay as they were: {error:#}"),
        }
    }
}

fn modified(file: &std::path::Path) -> Option<SystemTime> {
    std::fs::metadata(file)
        .and_then(|metadata| metadata.modified())
        .ok()
}
