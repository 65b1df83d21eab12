//! What the handlers of logins and of people's own matters need to know of a request.

use super::answer::{forbidden, unauthenticated};
use super::cookie::{self, SameSite};
use super::gate::ClientAddress;
use crate::caller;
use crate::context::Context;
use crate::problem::Problem;
use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use axum::http::header::{CONTENT_TYPE, USER_AGENT};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use gantry_core::access::Right;
use gantry_identity::{Actor, Caller, CallerKind, Client, Identity};
use serde::de::DeserializeOwned;
use std::net::IpAddr;
use std::sync::Arc;

use crate::request_body::RequestBody;

/// Largest body of these requests.
const BODY_BYTES_MAX: u64 = 256 << 10;

/// Somebody who may not have logged in as yet.
pub struct Visitor {
    /// The identity database.
    pub identity: Arc<Identity>,
    /// Where they come from.
    pub client: Client,
    /// Address of the server as they see it.
    pub server_url: String,
}

/// Somebody who has logged in.
pub struct Known {
    /// The identity database.
    pub identity: Arc<Identity>,
    /// Who they are.
    pub caller: Arc<Caller>,
    /// Where they come from.
    pub address: Option<IpAddr>,
    /// Address of the server as they see it.
    pub server_url: String,
}

impl FromRequestParts<Context> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, context: &Context) -> Result<Self, Problem> {
        let identity = context.identity.clone().ok_or_else(demo)?;
        let user_agent = parts
            .headers
            .get(USER_AGENT)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        Ok(Self {
            identity,
            client: Client {
                address: address(parts),
                user_agent: user_agent.to_owned(),
            },
            server_url: server_url(parts, context),
        })
    }
}

impl FromRequestParts<Context> for Known {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, context: &Context) -> Result<Self, Problem> {
        let identity = context.identity.clone().ok_or_else(demo)?;
        let caller = parts.extensions.get::<Arc<Caller>>().cloned();
        let caller =
            caller.ok_or_else(|| unauthenticated(&parts.headers, "This needs a login."))?;
        Ok(Self {
            identity,
            caller,
            address: address(parts),
            server_url: server_url(parts, context),
        })
    }
}

impl Visitor {
    /// Whether they reach the server over HTTPS.
    pub fn is_https(&self) -> bool {
        self.server_url.starts_with("https:")
    }

    /// The header field that sets a cookie of theirs.
    pub fn cookie(&self, name: &str, value: &str, seconds: i64) -> HeaderValue {
        cookie::set(name, value, seconds, self.is_https(), SameSite::Strict)
    }
}

impl Known {
    /// As the one who does something.
    pub fn actor(&self) -> Actor {
        self.caller.actor(self.address)
    }

    /// Refuses who lacks a right.
    ///
    /// # Errors
    /// 403.
    pub fn require(&self, right: Right) -> Result<(), Problem> {
        if self.caller.holds(right, self.identity.now()) {
            return Ok(());
        }
        Err(forbidden(&format!("This needs the right {right}.")))
    }

    /// The person. Shares and commands are none.
    ///
    /// # Errors
    /// 403.
    pub fn person(&self) -> Result<i64, Problem> {
        self.caller
            .person
            .ok_or_else(|| forbidden("This is for people with an account."))
    }

    /// The person, if they logged in themselves: a token must not change how its owner logs in,
    /// nor make tokens.
    ///
    /// # Errors
    /// 403.
    pub fn person_in_person(&self) -> Result<i64, Problem> {
        match self.caller.kind {
            CallerKind::Session { .. } | CallerKind::Password => self.person(),
            _ => Err(forbidden(
                "This is for people who have logged in themselves.",
            )),
        }
    }

    /// The person whom an administrator (in person, or by a token with that right) works on.
    ///
    /// # Errors
    /// 403.
    pub fn administer(&self) -> Result<(), Problem> {
        self.require(Right::Administer)
    }
}

fn demo() -> Problem {
    Problem::new(
        StatusCode::CONFLICT,
        "This server runs as a demo: nobody logs in, and everybody may do everything.",
    )
    .named("demo", "No logins in the demo")
}

fn address(parts: &Parts) -> Option<IpAddr> {
    parts
        .extensions
        .get::<ClientAddress>()
        .and_then(|address| address.0)
}

fn server_url(parts: &Parts, context: &Context) -> String {
    caller::base_url(
        &parts.uri,
        &parts.headers,
        &context.config,
        context.listening,
        crate::connection::Peer::is_secure(&parts.extensions),
    )
}

/// A JSON body.
pub struct Told<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Context> for Told<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, context: &Context) -> Result<Self, Problem> {
        // Forms of other sites' pages can send no such type without asking first.
        let is_json = request
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split(';').next())
            .is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"));
        if !is_json {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "the body has to be application/json",
            ));
        }
        let bytes = read(request.into_body(), context).await?;
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|error| Problem::bad_request(format!("the body cannot be read: {error}")))
    }
}

async fn read(body: Body, context: &Context) -> Result<Vec<u8>, Problem> {
    let mut body = RequestBody::new(body, context.config.body_timeout(), BODY_BYTES_MAX);
    let mut bytes = Vec::new();
    while let Some(piece) = body.next().await? {
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// The numbers of the path, in its order.
pub struct Numbers<const N: usize>(pub [i64; N]);

impl<const N: usize> FromRequestParts<Context> for Numbers<N> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, context: &Context) -> Result<Self, Problem> {
        let parameters = RawPathParams::from_request_parts(parts, context)
            .await
            .map_err(|_| Problem::bad_request("path is not UTF-8"))?;
        let mut numbers = [0; N];
        for (place, (name, value)) in numbers.iter_mut().zip(&parameters) {
            *place = value
                .parse()
                .map_err(|_| Problem::not_found(format!("there is no such {name}")))?;
        }
        Ok(Self(numbers))
    }
}
