//! Verification as SCU (PS3.4 A): whether a known peer answers, for those who look after peers.

use crate::config::DimseConfig;
use crate::destination;
use gantry_archive::Archive;
use gantry_core::ae_title::AeTitle;
use gantry_core::uid::Uid;
use gantry_dicom::uids;
use gantry_dimse::association::requestor::Proposal;
use gantry_dimse::association::settings::Settings;
use gantry_tls::Connector;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest time for association and echo together.
const TIME_MAX: Duration = Duration::from_secs(15);

/// Sends a C-ECHO to peers.
#[derive(Debug, Clone)]
pub struct EchoScu {
    archive: Arc<Archive>,
    connector: Option<Connector>,
    settings: Settings,
}

impl EchoScu {
    /// For the peers of an archive; those that are reached over TLS by `connector`.
    pub fn new(archive: Arc<Archive>, connector: Option<Connector>, config: &DimseConfig) -> Self {
        Self {
            archive,
            connector,
            settings: config.settings(),
        }
    }

    /// Asks a peer; gives the time it took, the association included.
    ///
    /// # Errors
    /// In words, when it is not known, cannot be reached, or does not answer with success.
    pub async fn echo(&self, ae_title: &AeTitle) -> Result<Duration, String> {
        let started = Instant::now();
        let asked = tokio::time::timeout(TIME_MAX, self.ask(ae_title)).await;
        asked.map_err(|_| format!("no answer in {} seconds", TIME_MAX.as_secs()))??;
        Ok(started.elapsed())
    }

    async fn ask(&self, ae_title: &AeTitle) -> Result<(), String> {
        let words = |error: &dyn std::fmt::Display| error.to_string();
        let peer = self.archive.peers().by_ae_title(ae_title);
        let peer = peer.ok_or("the peer is not known")?;
        let mut proposal = Proposal::new(
            peer.ae_title.clone(),
            self.archive.config().ae_title.clone(),
        );
        let uid = |text| Uid::parse(text).map_err(|error| words(&error));
        proposal.contexts = vec![(
            uid(uids::VERIFICATION)?,
            vec![uid(uids::IMPLICIT_VR_LITTLE_ENDIAN)?],
        )];
        let connector = self.connector.as_ref();
        let client = destination::open(&peer, &proposal, connector, &self.settings)
            .await
            .map_err(|error| words(&error))?;
        let status = client.echo().await.map_err(|error| words(&error))?;
        // The answer is there; how the association ends changes nothing of it.
        let _ = client.release().await;
        if status.is_done() {
            Ok(())
        } else {
            Err(format!("the peer answered with status {status}H"))
        }
    }
}
