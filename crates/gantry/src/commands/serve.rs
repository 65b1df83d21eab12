//! `gantry serve`: the server.

use super::audit_trail;
use super::identity_trail;
use super::usage::usage;
use crate::configuration::{Configuration, Listen, Overrides};
use crate::doors::{Addresses, Doors};
use crate::place::Place;
use crate::{logging, open_files};
use anyhow::Context;
use gantry_archive::Archive;
use gantry_archive::config::UnknownPeers;
use gantry_identity::Identity;
use gantry_serve_dimse::EchoScu;
use gantry_serve_http::EchoPeer;
use std::io::Write;
use std::net::Ipv4Addr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// Start the server: DICOM associations, DICOMweb and the pages.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gantry serve
  gantry serve --data /srv/pacs --ae-title PACS --dicom 0.0.0.0:104 --http 127.0.0.1:8104
  gantry serve --config /etc/gantry.toml
  gantry serve --demo                                (no logins; reachable from this machine only)
  gantry serve --http off --dicom off                (with certificates of gantry cert: TLS alone)
  gantry serve --http 127.0.0.1:0 --dicom 127.0.0.1:0    (ports are picked and printed)

SIGTERM and Ctrl-C stop it after the work in hand is done.")]
pub struct Serve {
    #[command(flatten)]
    overrides: Overrides,
    /// Nobody has to log in, and everybody may do everything. Listens on this machine only.
    #[arg(long)]
    demo: bool,
}

/// How long open work may go on after the signal to stop.
const DRAIN: Duration = Duration::from_secs(20);
/// How often the configuration file is looked at for changed peers.
const PEERS_REREAD: Duration = Duration::from_secs(2);
/// How often it is looked whether commands have changed people.
const ATTEND: Duration = Duration::from_secs(2);
/// How often ended sessions are removed.
const TIDY: Duration = Duration::from_secs(15 * 60);

/// Runs until a signal asks to stop.
pub fn run(serve: Serve) -> anyhow::Result<ExitCode> {
    let mut configuration = Configuration::load(&serve.overrides)?;
    if serve.demo {
        confine(&mut configuration)?;
    }
    logging::start(configuration.log.format, &configuration.log.level);
    open_files::raise_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let file = serve.overrides.config;
    runtime.block_on(serve_until_signal(configuration, file, serve.demo))?;
    runtime.shutdown_timeout(Duration::from_secs(2));
    Ok(ExitCode::SUCCESS)
}

/// How the HTTP door has peers asked whether they answer.
fn echo_peer(
    archive: &Arc<Archive>,
    dicom: &gantry_serve_dimse::Listeners,
    configuration: &Configuration,
) -> EchoPeer {
    let connector = dicom.connector.clone();
    let scu = EchoScu::new(Arc::clone(archive), connector, &configuration.dicom);
    EchoPeer::by(move |title| {
        let scu = scu.clone();
        async move { scu.echo(&title).await }
    })
}

async fn serve_until_signal(
    configuration: Configuration,
    file: Option<PathBuf>,
    is_demo: bool,
) -> anyhow::Result<()> {
    // Before anyone is told that the server is there, and may ask it to stop.
    let mut stop_signals = StopSignals::catch()?;
    let doors = Doors::open(&configuration).await?;
    let archive = Archive::open(configuration.archive.clone(), configuration.peer.clone())
        .await
        .map_err(|error| anyhow::anyhow!("{}", error.chain()))?;
    let identity = if is_demo {
        None
    } else {
        Some(open_identity(&configuration, &archive).await?)
    };
    let collectors = audit_trail::begin(&archive).await?;
    announce(&archive, identity.as_deref(), doors.addresses)?;

    let (stop, stopped) = watch::channel(false);
    let until_stopped = || {
        let mut stopped = stopped.clone();
        async move {
            // An error means the sender is gone: the server is stopping as well.
            let _ = stopped.wait_for(|stop| *stop).await;
        }
    };
    let http_config = doors.http_config(&configuration);
    let (mut http, dicom) = doors.take();
    http.echo = Some(echo_peer(&archive, &dicom, &configuration));
    let doors = async {
        tokio::join!(
            gantry_serve_http::serve(
                http,
                Arc::clone(&archive),
                identity.clone(),
                http_config,
                until_stopped()
            ),
            gantry_serve_dimse::serve(
                dicom,
                Arc::clone(&archive),
                identity.clone(),
                configuration.dicom.clone(),
                until_stopped()
            ),
        )
    };
    tokio::pin!(doors);
    if let Some(identity) = &identity {
        tokio::spawn(attend(Arc::clone(identity)));
    }
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
    audit_trail::end(&archive, collectors).await;
    archive.close().await;
    tracing::info!("stopped");
    Ok(())
}

/// Without logins nobody but this machine may come in.
fn confine(configuration: &mut Configuration) -> anyhow::Result<()> {
    let Listen {
        http,
        dicom,
        https,
        dicom_tls,
    } = &mut configuration.listen;
    // Nobody asked for the other addresses: they are the default.
    if *dicom == Listen::default().dicom
        && let Place::At(address) = dicom
    {
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    for (what, place) in [
        ("HTTP", http),
        ("DICOM", dicom),
        ("HTTPS", https),
        ("DICOM over TLS", dicom_tls),
    ] {
        match place {
            Place::At(address) if !address.ip().is_loopback() => {
                return Err(usage(format!(
                    "--demo has no logins: it listens on this machine only, not on {address} \
                     for {what}"
                )));
            }
            Place::At(_) | Place::Off => {}
            Place::Auto => *place = Place::Off,
        }
    }
    configuration.archive.unknown_peers = UnknownPeers::Accept;
    Ok(())
}

/// People and their rights. What happens to them goes to the log.
async fn open_identity(
    configuration: &Configuration,
    archive: &Archive,
) -> anyhow::Result<Arc<Identity>> {
    let (data, settings) = (
        archive.config().data.clone(),
        configuration.identity.clone(),
    );
    let key = archive
        .database_key("identity")
        .map_err(|error| anyhow::anyhow!("{}", error.chain()))?;
    let opened = tokio::task::spawn_blocking(move || Identity::open(&data, key, settings)).await?;
    let identity = Arc::new(opened.context("the people of the archive cannot be read")?);
    let (telling, trail) = (Arc::clone(&identity), Arc::clone(archive.audit()));
    tokio::task::spawn_blocking(move || {
        telling.set_event_sink(Arc::new(move |event| identity_trail::record(&trail, event)))
    })
    .await??;
    Ok(identity)
}

/// Looks after the identity database while the server runs: tells of what commands did, and
/// removes ended sessions and forgotten failures.
async fn attend(identity: Arc<Identity>) {
    let mut tidied = Instant::now();
    loop {
        tokio::time::sleep(ATTEND).await;
        let identity = Arc::clone(&identity);
        let is_time = tidied.elapsed() >= TIDY;
        if is_time {
            tidied = Instant::now();
        }
        let done = tokio::task::spawn_blocking(move || {
            identity.look_around()?;
            if is_time { identity.tidy() } else { Ok(()) }
        });
        if let Ok(Err(error)) = done.await {
            tracing::warn!(%error, "the identity database was not looked after");
        }
    }
}

/// Tells people and programs where the server listens. `server.json` in the data folder lets
/// other commands on this machine find it, and holds what lets them in: nobody but the folder's
/// owner may read it.
fn announce(
    archive: &Archive,
    identity: Option<&Identity>,
    addresses: Addresses,
) -> anyhow::Result<()> {
    let ae_title = &archive.config().ae_title;
    let file = archive.config().data.join("server.json");
    let address = serde_json::json!({
        "http": addresses.http.map(|http| format!("http://{http}")),
        "https": addresses.https.map(|https| format!("https://{https}")),
        "dicom": addresses.dicom.map(|dicom| dicom.to_string()),
        "dicom_tls": addresses.dicom_tls.map(|dicom| dicom.to_string()),
        "ae_title": ae_title.as_str(),
        "process": std::process::id(),
        "token": identity.map(Identity::command_secret),
    });
    write_privately(&file, &address.to_string())
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
    match identity {
        None => writeln!(
            out,
            "  demo       nobody has to log in; reachable from this machine only"
        )?,
        Some(identity) => {
            if let Some(secret) = identity.set_up_secret()?
                && let Some(web) = addresses.web().first()
            {
                let secret = secret.as_str();
                writeln!(out, "  set up     {web}/#/set-up/{secret}")?;
                writeln!(
                    out,
                    "             makes the first administrator; works once"
                )?;
            }
        }
    }
    out.flush()?;
    Ok(())
}

/// Writes a file that nobody but its owner may read.
fn write_privately(file: &Path, text: &str) -> std::io::Result<()> {
    // One of an earlier start may be readable.
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)?
        .write_all(text.as_bytes())
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
                audit_trail::peers_changed(&archive, &configuration.peer).await;
                archive.peers().replace(configuration.peer);
            }
            Err(error) => tracing::error!("peers stay as they were: {error:#}"),
        }
    }
}

fn modified(file: &Path) -> Option<SystemTime> {
    std::fs::metadata(file)
        .and_then(|metadata| metadata.modified())
        .ok()
}
