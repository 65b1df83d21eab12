//! Peers that have called: known ones, and others that somebody may want to make known.

use crate::Archive;
use crate::error::Result;
use crate::statistics::now_micros;
use gantry_core::access::{Right, Scope};
use gantry_core::ae_title::AeTitle;
use gantry_core::principal::Principal;
use gantry_index::Change;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often it is written down that the same peer has called.
const NOTE_EVERY: Duration = Duration::from_secs(60);
/// Callers remembered, at most.
const CALLERS_MAX: usize = 4096;

/// Who has called lately.
#[derive(Debug, Default)]
pub(crate) struct Callers(Mutex<HashMap<(AeTitle, IpAddr), Instant>>);

impl Callers {
    /// Whether it is to be written down that this one has called.
    fn is_due(&self, caller: (AeTitle, IpAddr), now: Instant) -> bool {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = seen.get(&caller)
            && now.saturating_duration_since(*last) < NOTE_EVERY
        {
            return false;
        }
        if seen.len() >= CALLERS_MAX {
            seen.clear();
        }
        seen.insert(caller, now);
        true
    }
}

/// A peer, known or not.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct PeerState {
    /// Its AE title.
    pub ae_title: String,
    /// What the configuration says of it; nothing when it is not known.
    pub known: Option<KnownPeer>,
    /// From where it called, the latest first.
    pub calls: Vec<Calls>,
}

/// What the configuration says of a peer.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct KnownPeer {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Whether it is reached over TLS.
    pub tls: bool,
    /// Whether it has to show a certificate.
    pub is_bound_to_certificate: bool,
    /// What it may do.
    pub rights: Vec<Right>,
    /// The studies over which it may.
    pub scope: Scope,
    /// Whether C-MOVE may send to it.
    pub may_receive: bool,
}

/// Calls of a title from one address.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Calls {
    /// The address.
    pub address: String,
    /// When it called first, in microseconds since 1970.
    pub first_at: i64,
    /// When it called last, to the minute.
    pub last_at: i64,
    /// How many minutes it called in.
    pub minutes: u64,
}

impl Archive {
    /// Notes that an association was accepted. Nobody waits for it.
    pub(crate) fn note_call(&self, principal: &Principal) {
        let (Some(ae_title), Some(address)) = (&principal.calling_ae, principal.address) else {
            return;
        };
        if !self
            .callers()
            .is_due((ae_title.clone(), address), Instant::now())
        {
            return;
        }
        let Some(archive) = self.handle() else {
            return;
        };
        let change = Change::PeerCalled {
            ae_title: ae_title.to_string(),
            address: address.to_string(),
            at: now_micros(),
        };
        tokio::spawn(async move {
            let noted = archive
                .committer()
                .change(move |writer, _| Ok(writer.apply(&[change], None).map(|_| ())?))
                .await;
            if let Err(error) = noted {
                tracing::warn!("a call is not written down: {}", error.chain());
            }
        });
    }

    /// The peers that are known, and others that have called, by title.
    ///
    /// # Errors
    /// [`gantry_core::failure::Kind::Forbidden`] unless the principal administers.
    pub async fn peer_states(&self, principal: &Principal) -> Result<Vec<PeerState>> {
        self.require(principal, Right::Administer)?;
        let seen = self.index_blocking(|index| index.peers()).await?;
        let known = self.peers().list();
        let mut states: Vec<PeerState> = known
            .into_iter()
            .map(|peer| PeerState {
                ae_title: peer.ae_title.to_string(),
                known: Some(KnownPeer {
                    host: peer.host.clone(),
                    port: peer.port,
                    tls: peer.tls,
                    is_bound_to_certificate: peer.certificate.is_some(),
                    rights: peer.rights.iter().collect(),
                    scope: peer.scope.clone(),
                    may_receive: peer.may_receive,
                }),
                calls: Vec::new(),
            })
            .collect();
        for peer in seen {
            let calls = Calls {
                address: peer.address,
                first_at: peer.first_at,
                last_at: peer.last_at,
                minutes: peer.calls,
            };
            match states
                .iter_mut()
                .find(|state| state.ae_title == peer.ae_title)
            {
                Some(state) => state.calls.push(calls),
                None => states.push(PeerState {
                    ae_title: peer.ae_title,
                    known: None,
                    calls: vec![calls],
                }),
            }
        }
        states.sort_by(|one, other| one.ae_title.cmp(&other.ae_title));
        Ok(states)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_written_down_once_a_minute() {
        let callers = Callers::default();
        let ct = || (AeTitle::parse("CT1").unwrap(), IpAddr::from([127, 0, 0, 1]));
        let start = Instant::now();
        assert!(callers.is_due(ct(), start));
        assert!(!callers.is_due(ct(), start + Duration::from_secs(59)));
        assert!(callers.is_due(ct(), start + Duration::from_secs(60)));
        let elsewhere = (AeTitle::parse("CT1").unwrap(), IpAddr::from([127, 0, 0, 2]));
        assert!(callers.is_due(elsewhere, start));
    }
}
