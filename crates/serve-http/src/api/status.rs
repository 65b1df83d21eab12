//! What this server is, where it listens, and what it holds.

use crate::context::{Asked, Context};
use crate::problem::{Problem, Purpose};
use axum::Json;
use axum::extract::State;
use gantry_archive::statistics::Statistics;
use serde::Serialize;

/// What the server is.
#[derive(Debug, Serialize)]
pub struct Status {
    name: &'static str,
    version: &'static str,
    ae_title: String,
    /// Where modalities send to; nothing when this door was not told.
    dicom: Option<Endpoint>,
    dicom_web: String,
}

/// An address to point a modality at.
#[derive(Debug, Serialize)]
pub struct Endpoint {
    /// The address listened on; empty when it is every address of the machine.
    address: String,
    port: u16,
}

/// `GET /api/status`.
pub async fn status(State(context): State<Context>, asked: Asked) -> Json<Status> {
    let dicom = context.config.dicom.map(|dicom| Endpoint {
        address: if dicom.ip().is_unspecified() {
            String::new()
        } else {
            dicom.ip().to_string()
        },
        port: dicom.port(),
    });
    Json(Status {
        name: "Gantry",
        version: env!("CARGO_PKG_VERSION"),
        ae_title: context.archive.config().ae_title.as_str().to_owned(),
        dicom,
        dicom_web: asked.dicom_web_url(),
    })
}

/// `GET /api/statistics`.
pub async fn statistics(
    State(context): State<Context>,
    asked: Asked,
) -> Result<Json<Statistics>, Problem> {
    context
        .archive
        .statistics(&asked.principal)
        .await
        .map(Json)
        .map_err(|error| Problem::from_archive(&error, Purpose::Search))
}
