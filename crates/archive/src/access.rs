//! Who may do what. Every use case asks here, and nowhere else is it decided.

use crate::Archive;
use crate::config::UnknownPeers;
use crate::error::{Error, Result};
use crate::peers::Peer;
use crate::statistics::now_micros;
use crate::store::prepare::Prepared;
use gantry_core::access::{Access, Permitted, Right, Rights};
use gantry_core::failure::Kind;
use gantry_core::principal::Principal;
use gantry_index::Permit;
use std::net::IpAddr;
use std::sync::Arc;

impl Archive {
    /// The studies over which `principal` has `right`. Every question to the index takes this.
    ///
    /// # Errors
    /// [`Kind::Forbidden`] when there are none; the refusal is logged.
    pub(crate) fn permit(&self, principal: &Principal, right: Right) -> Result<Permit> {
        match principal.access.permitted(right, now_micros()) {
            Permitted::Nothing => Err(self.refused(principal, right)),
            permitted => Ok(Permit::new(&permitted, |site| {
                self.config().titles_of(site)
            })),
        }
    }

    /// Asks whether `principal` has `right` at all, for what is not about certain studies.
    ///
    /// # Errors
    /// [`Kind::Forbidden`] when not; the refusal is logged.
    pub(crate) fn require(&self, principal: &Principal, right: Right) -> Result<()> {
        if principal.access.holds(right, now_micros()) {
            return Ok(());
        }
        Err(self.refused(principal, right))
    }

    fn refused(&self, principal: &Principal, right: Right) -> Error {
        tracing::warn!(
            door = principal.door.as_str(),
            user = principal.user,
            peer.ae = principal.calling_ae.as_ref().map(|title| title.as_str()),
            peer.address = principal.address.map(tracing::field::display),
            right = right.as_str(),
            "refused: the right was not granted"
        );
        self.note_refusal(principal, gantry_audit::Kind::Refused, right.as_str());
        Error::new(Kind::Forbidden, format!("not allowed to {right}"))
    }

    /// Asks whether an instance may be stored: who may store for some studies only may not add to
    /// a study that is none of them.
    ///
    /// # Errors
    /// [`Kind::Forbidden`] when not; the refusal is logged.
    pub(crate) async fn require_store(&self, prepared: &Prepared) -> Result<()> {
        let principal = &*prepared.principal;
        let permit = self.permit(principal, Right::Store)?;
        if permit.is_everything() {
            return Ok(());
        }
        let study = prepared.study_instance_uid.as_str().to_owned();
        let is_open = self
            .index_blocking(move |index| {
                Ok(index.is_permitted(&study, &permit)?
                    || !index.is_permitted(&study, &Permit::everything())?)
            })
            .await?;
        if is_open {
            return Ok(());
        }
        Err(self.refused(principal, Right::Store))
    }

    /// Decides whether an association of `principal` is accepted at all, and gives it the access
    /// of the person who has proven to be at the other end, else of the peer that it is.
    ///
    /// # Errors
    /// [`Kind::Forbidden`] when it is rejected; that is logged.
    pub fn admit(&self, principal: &mut Principal, person: Option<Arc<Access>>) -> Result<()> {
        if let Some(access) = self.access_of_peer(principal) {
            principal.access = person.unwrap_or(access);
            self.note_call(principal);
            return Ok(());
        }
        tracing::warn!(
            door = principal.door.as_str(),
            peer.ae = principal.calling_ae.as_ref().map(|title| title.as_str()),
            peer.address = principal.address.map(|address| address.to_string()),
            "refused: not a configured peer, or without its certificate"
        );
        self.note_refusal(
            principal,
            gantry_audit::Kind::PeerRefused,
            "not a known peer",
        );
        Err(Error::new(Kind::Forbidden, "not a known peer"))
    }

    fn access_of_peer(&self, principal: &Principal) -> Option<Arc<Access>> {
        let peer = principal
            .calling_ae
            .as_ref()
            .and_then(|title| self.peers().by_ae_title(title));
        if let Some(peer) = &peer {
            // Somebody who calls by the title of a peer that is bound to a certificate or an
            // address, and has it not, is not even an unknown peer.
            return is_bound_by_its_rule(peer, principal).then(|| peer.access());
        }
        let rights = match self.config().unknown_peers {
            UnknownPeers::Accept => Peer::USUAL_RIGHTS,
            UnknownPeers::Store => Rights::of(&[Right::Store]),
            UnknownPeers::EchoOnly => Rights::NONE,
            UnknownPeers::Refuse => return None,
        };
        Some(Arc::new(Access::over_everything(rights, "an unknown peer")))
    }
}

fn is_bound_by_its_rule(peer: &Peer, principal: &Principal) -> bool {
    let has_certificate = peer.certificate.as_ref().is_none_or(|rule| {
        principal
            .certificate
            .as_ref()
            .is_some_and(|certificate| rule.matches(certificate))
    });
    let calls_from = |address: &IpAddr| principal.address == Some(*address);
    has_certificate && (peer.calls_from.is_empty() || peer.calls_from.iter().any(calls_from))
}
