//! The AEs this archive knows: where C-MOVE may send to and who may call.

use gantry_core::ae_title::AeTitle;
use gantry_core::certificate::CertificateRule;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// A remote AE.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct Peer {
    /// Its AE title, as it calls and as it is called.
    pub ae_title: AeTitle,
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Most associations it may hold open at once; 0 means no limit of its own.
    #[serde(default)]
    pub associations_max: usize,
    /// Whether C-MOVE may send to it and commitment results may be delivered to it.
    #[serde(default = "yes")]
    pub may_receive: bool,
    /// Transfer syntaxes to offer first when sending to it; empty: as stored.
    #[serde(default)]
    pub transfer_syntaxes: Vec<String>,
    /// Operations to propose to have open at once when sending to it (PS3.7 D.3.3.3); 0: as many
    /// as `[dicom]` allows, 1: nothing is proposed, for peers that fail at the mere sight of it.
    #[serde(default)]
    pub operations_max: u16,
    /// Whether it is reached over TLS.
    #[serde(default)]
    pub tls: bool,
    /// The certificate that it has to show, `sha256:…`, a subject or a name: who calls by its
    /// title without that is rejected, and who answers without it is not sent anything.
    #[serde(default)]
    pub certificate: Option<CertificateRule>,
}

fn yes() -> bool {
    true
}

/// The configured peers; can be replaced while the archive runs.
#[derive(Debug, Default)]
pub struct Peers {
    by_ae_title: RwLock<Arc<HashMap<AeTitle, Arc<Peer>>>>,
}

impl Peers {
    /// The table of these peers; of two with one title the later counts.
    pub fn new(peers: Vec<Peer>) -> Self {
        let table = Self::default();
        table.replace(peers);
        table
    }

    /// Replaces all peers; associations that are open keep what they looked up.
    pub fn replace(&self, peers: Vec<Peer>) {
        let table = peers
            .into_iter()
            .map(|peer| (peer.ae_title.clone(), Arc::new(peer)))
            .collect();
        *self
            .by_ae_title
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(table);
    }

    /// The peer of this title.
    pub fn by_ae_title(&self, ae_title: &AeTitle) -> Option<Arc<Peer>> {
        self.table().get(ae_title).cloned()
    }

    /// All peers by title.
    pub fn list(&self) -> Vec<Arc<Peer>> {
        let mut peers: Vec<_> = self.table().values().cloned().collect();
        peers.sort_by(|a, b| a.ae_title.cmp(&b.ae_title));
        peers
    }

    fn table(&self) -> Arc<HashMap<AeTitle, Arc<Peer>>> {
        self.by_ae_title
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(title: &str, port: u16) -> Peer {
        let text = format!("ae_title = \"{title}\"\nhost = \"localhost\"\nport = {port}");
        toml::from_str(&text).unwrap()
    }

    #[test]
    fn replacing_peers_takes_effect_at_once() {
        let peers = Peers::new(vec![peer("A", 104)]);
        let title = AeTitle::parse("A").unwrap();
        assert_eq!(peers.by_ae_title(&title).unwrap().port, 104);
        peers.replace(vec![peer("B", 105)]);
        assert!(peers.by_ae_title(&title).is_none());
        assert_eq!(peers.list().len(), 1);
    }
}
