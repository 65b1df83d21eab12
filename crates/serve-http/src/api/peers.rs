//! The AEs that are known, those that have called, and whether they answer.

use crate::context::{Asked, Context};
use crate::problem::{Problem, Purpose};
use axum::Json;
use axum::extract::{RawPathParams, State};
use axum::http::StatusCode;
use gantry_archive::callers::PeerState;
use gantry_core::access::Right;
use gantry_core::ae_title::AeTitle;
use serde::Serialize;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

type Echoing = Pin<Box<dyn Future<Output = Result<Duration, String>> + Send>>;

/// Asks a known peer whether it answers: done by the DICOM door, of which this one knows nothing.
#[derive(Clone)]
pub struct EchoPeer(Arc<dyn Fn(AeTitle) -> Echoing + Send + Sync>);

impl EchoPeer {
    /// By this function, which gives the time that it took, or says in words what is wrong.
    pub fn by<F, E>(echo: F) -> Self
    where
        F: Fn(AeTitle) -> E + Send + Sync + 'static,
        E: Future<Output = Result<Duration, String>> + Send + 'static,
    {
        Self(Arc::new(move |title| Box::pin(echo(title))))
    }
}

impl fmt::Debug for EchoPeer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("EchoPeer")
    }
}

/// The peers.
#[derive(Debug, Serialize)]
pub struct Peers {
    peers: Vec<PeerState>,
}

/// `GET /api/peers`.
pub async fn list(State(context): State<Context>, asked: Asked) -> Result<Json<Peers>, Problem> {
    let peers = context.archive.peer_states(&asked.principal).await;
    peers
        .map(|peers| Json(Peers { peers }))
        .map_err(|error| Problem::from_archive(&error, Purpose::Search))
}

/// What came of an echo.
#[derive(Debug, Serialize)]
pub struct Echoed {
    /// Whether the peer answered.
    answers: bool,
    /// How long that took, with the association.
    milliseconds: Option<f64>,
    /// What is wrong.
    error: Option<String>,
}

/// `POST /api/peers/{ae_title}/echo`.
pub async fn echo(
    State(context): State<Context>,
    asked: Asked,
    path: RawPathParams,
) -> Result<Json<Echoed>, Problem> {
    let access = &asked.principal.access;
    if !access.holds(Right::Administer, gantry_audit::event::now()) {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "not allowed to administer",
        ));
    }
    let title = path
        .iter()
        .find(|(name, _)| *name == "ae_title")
        .and_then(|(_, title)| AeTitle::parse(title).ok())
        .filter(|title| context.archive.peers().by_ae_title(title).is_some())
        .ok_or_else(|| Problem::not_found("there is no such peer"))?;
    let Some(EchoPeer(echo)) = &context.echo else {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "This server has no DICOM door.",
        ));
    };
    Ok(Json(match echo(title).await {
        Ok(time) => Echoed {
            answers: true,
            milliseconds: Some(time.as_secs_f64() * 1000.0),
            error: None,
        },
        Err(error) => Echoed {
            answers: false,
            milliseconds: None,
            error: Some(error),
        },
    }))
}
