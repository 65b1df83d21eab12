//! The gate in front of every route: who asks, and whether they have to log in first.

use super::answer::{blocking, unauthenticated};
use super::credential::Shown;
use super::origin;
use crate::caller;
use crate::connection::Peer;
use crate::context::Context;
use crate::problem::Problem;
use crate::routes::Operation;
use axum::extract::{MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use gantry_core::principal::Principal;
use gantry_identity::{Caller, CallerKind, Identity};
use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// What the gate knows.
#[derive(Clone)]
pub struct Gate {
    context: Context,
    /// Methods and paths for everybody.
    public: Arc<HashSet<(&'static str, &'static str)>>,
}

/// The address that a request comes from, behind trusted proxies too: an extension of it.
#[derive(Debug, Clone, Copy)]
pub struct ClientAddress(pub Option<IpAddr>);

impl Gate {
    /// The gate before these routes.
    pub fn new(context: Context, operations: &[Operation]) -> Self {
        let public = operations
            .iter()
            .filter(|operation| operation.is_public)
            .map(|operation| (operation.method.as_str(), operation.path))
            .collect();
        Self {
            context,
            public: Arc::new(public),
        }
    }

    /// Whether everybody may ask. What is no route says that to everybody.
    fn is_public(&self, request: &Parts) -> bool {
        let method = match request.method {
            Method::HEAD => "GET",
            ref method => method.as_str(),
        };
        match request.extensions.get::<MatchedPath>() {
            Some(path) => self.public.contains(&(method, path.as_str())),
            None => true,
        }
    }
}

/// Finds out who asks, and lets them pass or not.
pub async fn layer(State(gate): State<Gate>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<SocketAddr>().copied();
    let Some(identity) = gate.context.identity.clone() else {
        let address = caller::address(peer, request.headers(), &[]);
        let everybody = Arc::new(caller::everybody(address));
        request.extensions_mut().insert(everybody);
        request.extensions_mut().insert(ClientAddress(address));
        return next.run(request).await;
    };
    let trusted = &identity.settings().trusted_proxies;
    let address = caller::address(peer, request.headers(), trusted);
    let (mut parts, body) = request.into_parts();
    match admit(&gate, identity, &parts, address).await {
        Ok(caller) => {
            let mut principal = match &caller {
                Some(caller) => caller::known(caller, address),
                None => caller::stranger(address),
            };
            let extensions = &mut parts.extensions;
            let peer = extensions.get::<Peer>();
            principal.certificate = peer.and_then(|peer| peer.certificate.clone());
            extensions.insert::<Arc<Principal>>(Arc::new(principal));
            extensions.insert(ClientAddress(address));
            if let Some(caller) = caller {
                extensions.insert(Arc::new(caller));
            }
            next.run(Request::from_parts(parts, body)).await
        }
        Err(problem) => problem.into_response(),
    }
}

/// Who may pass: somebody known, or anybody where that is enough.
async fn admit(
    gate: &Gate,
    identity: Arc<Identity>,
    request: &Parts,
    address: Option<IpAddr>,
) -> Result<Option<Caller>, Problem> {
    let headers = &request.headers;
    let is_public = gate.is_public(request);
    let shown = Shown::of(headers);
    let is_safe = origin::is_safe(&request.method);
    if !is_safe && (is_public || shown.iter().any(Shown::is_ambient)) {
        let config = &gate.context.config;
        let server_url = caller::base_url(
            &request.uri,
            headers,
            config,
            gate.context.listening,
            Peer::is_secure(&request.extensions),
        );
        origin::check_site(headers, &server_url, &config.cors_origins)?;
    }
    let mut refused = None;
    for shown in shown {
        match recognise(&identity, shown, address).await {
            Ok(caller) => {
                if is_public {
                    return Ok(Some(caller));
                }
                if !is_safe {
                    origin::check_token(headers, &caller.kind)?;
                }
                check_share(&caller, request)?;
                return Ok(Some(caller));
            }
            Err(problem) => refused = refused.or(Some(problem)),
        }
    }
    if is_public {
        return Ok(None);
    }
    Err(challenge(headers, refused))
}

async fn recognise(
    identity: &Arc<Identity>,
    shown: Shown,
    address: Option<IpAddr>,
) -> Result<Caller, Problem> {
    if let Some(caller) = identity.remembered(&shown.credential()) {
        return Ok(caller);
    }
    let identity = Arc::clone(identity);
    blocking(move || identity.identify(&shown.credential(), address)).await
}

fn challenge(headers: &HeaderMap, refused: Option<Problem>) -> Problem {
    match refused {
        None => unauthenticated(headers, "This needs a login or a token."),
        Some(problem) if problem.status() == StatusCode::UNAUTHORIZED => unauthenticated(
            headers,
            "The login, the session or the token does not hold.",
        ),
        Some(problem) => problem,
    }
}

/// Who has a share of one series asks for nothing else. (That a share of a study shows no other
/// study is what its grant says.)
fn check_share(caller: &Caller, request: &Parts) -> Result<(), Problem> {
    let CallerKind::Share(share) = &caller.kind else {
        return Ok(());
    };
    if !origin::is_safe(&request.method) {
        return Err(super::answer::forbidden("A share is for looking only."));
    }
    let Some(series) = &share.series else {
        return Ok(());
    };
    let shared = format!("/dicom-web/studies/{}/series/{series}", share.study);
    let path = request.uri.path();
    let is_inside = path
        .strip_prefix(&shared)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if is_inside || path == "/api/me" {
        return Ok(());
    }
    Err(Problem::not_found("there is no such resource"))
}
