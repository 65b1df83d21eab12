//! Whether an association is accepted at all.

use crate::listener::Server;
use crate::negotiation::Negotiator;
use crate::places::{Limits, Place};
use crate::user_identity::User;
use bytes::Bytes;
use gantry_core::ae_title::{AeTitle, AeTitleError};
use gantry_core::certificate::PeerCertificate;
use gantry_core::principal::{Door, Principal};
use gantry_dimse::association::negotiation::{Choice, Policy};
use gantry_dimse::pdu::associate::AssociateRq;
use gantry_dimse::pdu::reject::Reject;
use std::net::IpAddr;
use std::sync::Arc;

/// A request that may be accepted.
pub(crate) struct Admitted {
    pub(crate) principal: Principal,
    pub(crate) place: Place,
}

/// Asks everything that can be known before negotiation.
pub(crate) fn admit(
    server: &Server,
    request: &AssociateRq,
    address: IpAddr,
    certificate: Option<Arc<PeerCertificate>>,
    user: User,
) -> Result<Admitted, Reject> {
    let calling_ae = calling(request)?;
    let called_ae = called(server, request)?;
    let user_information = &request.user_information;
    if server.config.require_user_identity && user_information.identity.is_none() {
        return Err(Reject::NO_REASON);
    }
    let mut principal = Principal {
        calling_ae,
        called_ae,
        address: Some(address),
        certificate,
        user: user.name,
        credential: user.credential,
        ..Principal::unknown(Door::Dimse)
    };
    server
        .archive
        .admit(&mut principal, user.access)
        .map_err(|_| Reject::CALLING_AE_TITLE)?;
    if !server.config.accept_without_contexts && !is_any_acceptable(server, request) {
        return Err(Reject::NO_REASON);
    }
    if server.is_stopping() {
        return Err(Reject::TEMPORARY_CONGESTION);
    }
    let peer = principal
        .calling_ae
        .as_ref()
        .and_then(|title| server.archive.peers().by_ae_title(title));
    let limits = Limits {
        total: server.config.associations_max,
        per_address: server.config.associations_per_address_max,
        per_title: peer.map_or(0, |peer| peer.associations_max),
    };
    let place = server
        .places
        .take(address, principal.calling_ae.as_ref(), limits)
        .ok_or(Reject::LOCAL_LIMIT_EXCEEDED)?;
    Ok(Admitted { principal, place })
}

/// The field sends blank titles; anything else has to be a title.
fn calling(request: &AssociateRq) -> Result<Option<AeTitle>, Reject> {
    match request.calling_ae.title() {
        Ok(title) => Ok(Some(title)),
        Err(AeTitleError::Blank) => Ok(None),
        Err(_) => Err(Reject::CALLING_AE_TITLE),
    }
}

fn called(server: &Server, request: &AssociateRq) -> Result<Option<AeTitle>, Reject> {
    let title = match request.called_ae.title() {
        Ok(title) => Some(title),
        Err(AeTitleError::Blank) => None,
        Err(_) => return Err(Reject::CALLED_AE_TITLE),
    };
    let own = &server.archive.config().ae_title;
    let is_ours = title
        .as_ref()
        .is_some_and(|title| title == own || server.config.called_ae_titles.contains(title));
    if server.config.check_called_ae && !is_ours {
        return Err(Reject::CALLED_AE_TITLE);
    }
    Ok(title)
}

fn negotiator<'a>(server: &'a Server, request: &'a AssociateRq) -> Negotiator<'a> {
    Negotiator {
        config: &server.config,
        common_extended: &request.user_information.common_extended,
    }
}

fn is_any_acceptable(server: &Server, request: &AssociateRq) -> bool {
    let negotiator = negotiator(server, request);
    request.presentation_contexts.iter().any(|context| {
        context
            .abstract_syntax
            .as_ref()
            .is_some_and(|abstract_syntax| {
                let choice = negotiator.choose(abstract_syntax, &context.transfer_syntaxes);
                matches!(choice, Choice::Accept(_))
            })
    })
}

/// Gives `with` the policy by which `request` is answered.
pub(crate) fn with_policy<T>(
    server: &Server,
    request: &AssociateRq,
    with: impl FnOnce(&Policy<'_>) -> T,
) -> T {
    let negotiator = negotiator(server, request);
    let policy = Policy {
        choose: &|abstract_syntax, proposed| negotiator.choose(abstract_syntax, proposed),
        roles: &|role| negotiator.roles(role),
        extended: &|item| negotiator.extended(item),
        window_max: negotiator.window(),
        identity_response: Some(Bytes::new()),
    };
    with(&policy)
}
