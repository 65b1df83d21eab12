//! The AEs this archive knows: where C-MOVE may send to and who may call.

use gantry_core::access::{Access, Grant, Right, Rights, Scope};
use gantry_core::ae_title::AeTitle;
use gantry_core::certificate::CertificateRule;
use std::collections::HashMap;
use std::net::IpAddr;
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
    /// What it may do: `view` (query), `download` (retrieve), `store`, `export` (send to others),
    /// `delete`.
    #[serde(default = "usual_rights")]
    pub rights: Rights,
    /// The studies over which it has these rights; without any condition all.
    #[serde(default = "Scope::everything")]
    pub scope: Scope,
    /// The addresses from which it calls; empty: any.
    #[serde(default)]
    pub calls_from: Vec<IpAddr>,
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

impl Peer {
    /// What a peer may do of which nothing else is said.
    pub const USUAL_RIGHTS: Rights =
        Rights::of(&[Right::View, Right::Download, Right::Store, Right::Export]);

    /// What it may do.
    pub fn access(&self) -> Arc<Access> {
        Arc::new(Access {
            grants: vec![Grant {
                rights: self.rights,
                scope: self.scope.clone(),
                until: None,
                source: format!("peer {}", self.ae_title),
            }],
            roles: Vec::new(),
        })
    }
}

fn usual_rights() -> Rights {
    Peer::USUAL_RIGHTS
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
