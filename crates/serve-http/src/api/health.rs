//! Signs of life for whoever starts and watches the server.

use crate::context::Context;
use crate::problem::{Problem, Purpose};
use axum::Extension;
use axum::Json;
use axum::extract::State;
use gantry_core::principal::Principal;
use serde_json::Value;
use std::sync::Arc;

/// `GET /livez`: the process answers.
pub async fn livez() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: the archive answers.
pub async fn readyz(State(context): State<Context>) -> Result<&'static str, Problem> {
    context
        .archive
        .statistics(&Principal::system())
        .await
        .map(|_| "ok\n")
        .map_err(|error| Problem::from_archive(&error, Purpose::Search))
}

/// The OpenAPI document.
#[derive(Debug, Clone)]
pub struct Document(pub Arc<Value>);

/// `GET /api/openapi.json`.
pub async fn openapi(Extension(document): Extension<Document>) -> Json<Value> {
    Json((*document.0).clone())
}
