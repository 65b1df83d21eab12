//! Who may do what. Every use case asks here, and nowhere else is it decided.

use crate::Archive;
use crate::config::UnknownPeers;
use crate::error::{Error, Result};
use crate::peers::Peer;
use gantry_core::failure::Kind;
use gantry_core::principal::{Door, Principal};

/// What someone wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Open an association or ask for sign of life.
    Connect,
    /// Store instances.
    Store,
    /// Ask what there is.
    Query,
    /// Get instances, frames, headers or renderings.
    Retrieve,
    /// Ask for storage commitment.
    Commit,
    /// Delete or restore.
    Remove,
}

impl Action {
    fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Store => "store",
            Self::Query => "query",
            Self::Retrieve => "retrieve",
            Self::Commit => "commit",
            Self::Remove => "remove",
        }
    }
}

impl Archive {
    /// Decides whether `principal` may do `action`, and records a refusal.
    ///
    /// # Errors
    /// [`Kind::Forbidden`] when not.
    pub fn authorize(&self, principal: &Principal, action: Action) -> Result<()> {
        if self.permits(principal, action) {
            return Ok(());
        }
        tracing::warn!(
            door = principal.door.as_str(),
            peer.ae = principal.calling_ae.as_ref().map(|title| title.as_str()),
            peer.address = principal.address.map(|address| address.to_string()),
            action = action.as_str(),
            "refused: not a configured peer, or without its certificate"
        );
        Err(Error::new(
            Kind::Forbidden,
            format!("not allowed to {}", action.as_str()),
        ))
    }

    fn permits(&self, principal: &Principal, action: Action) -> bool {
        if principal.door != Door::Dimse {
            return true;
        }
        let peer = principal
            .calling_ae
            .as_ref()
            .and_then(|title| self.peers().by_ae_title(title));
        if let Some(peer) = &peer {
            // Somebody who calls by the title of a peer that is bound to a certificate, and has
            // not that certificate, is not even an unknown peer.
            return is_bound_by_its_rule(peer, principal);
        }
        match self.config().unknown_peers {
                UnknownPeers::Accept => true,
                UnknownPeers::EchoOnly => action == Action::Connect,
                UnknownPeers::Refuse => false,
            }
    }
}

fn is_bound_by_its_rule(peer: &Peer, principal: &Principal) -> bool {
    peer.certificate.as_ref().is_none_or(|rule| {
        principal
            .certificate
            .as_ref()
            .is_some_and(|certificate| rule.matches(certificate))
    })
}
