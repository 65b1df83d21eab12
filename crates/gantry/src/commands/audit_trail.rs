//! What the server itself tells the audit trail.

use gantry_archive::Archive;
use gantry_archive::peers::Peer;
use gantry_audit::export::{Collectors, Source};
use gantry_audit::{Event, Kind};
use gantry_core::principal::Principal;

/// Records that the server started, and begins to send events to the collectors.
pub async fn begin(archive: &Archive) -> anyhow::Result<Collectors> {
    let log = archive.audit();
    let version = concat!("Gantry ", env!("CARGO_PKG_VERSION"));
    let started = Event::new(Kind::ApplicationStarted, &Principal::system()).text(version);
    log.record(started).await?;
    let source = Source::new(log.settings(), archive.config().ae_title.as_str());
    Ok(Collectors::start(log, &source))
}

/// Records that the server stops, and lets the collectors have that too.
pub async fn end(archive: &Archive, collectors: Collectors) {
    let stopped = Event::new(Kind::ApplicationStopped, &Principal::system());
    if let Err(error) = archive.audit().record(stopped).await {
        tracing::error!(%error, "the stop is not in the audit trail");
    }
    collectors.stop().await;
}

/// Records that other peers are in force.
pub async fn peers_changed(archive: &Archive, peers: &[Peer]) {
    let after = serde_json::to_value(peers).ok();
    let changed = Event::new(Kind::PeerChanged, &Principal::system())
        .subject("setting", "peer")
        .change(None, after);
    if let Err(error) = archive.audit().record(changed).await {
        tracing::error!(%error, "changed peers are not in the audit trail");
    }
}
