//! Roles, for administrators.

use super::answer::blocking;
use super::visitor::{Known, Told};
use crate::problem::Problem;
use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use gantry_core::access::{Right, Rights, Scope};
use gantry_identity::Role;
use serde::Deserialize;
use serde_json::{Value, json};

/// What is said of an own role.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Described {
    #[serde(default)]
    description: String,
    rights: Rights,
    #[serde(default)]
    scope: Scope,
    #[serde(default)]
    only_own_studies: bool,
}

/// As [`Described`], with a name.
#[derive(Deserialize)]
pub struct New {
    name: String,
    #[serde(flatten)]
    described: Described,
}

impl Described {
    fn named(self, name: String) -> Role {
        Role {
            name,
            description: self.description,
            rights: self.rights,
            scope: self.scope,
            only_own_studies: self.only_own_studies,
            is_built_in: false,
        }
    }
}

/// `GET /api/roles`: with all rights there are.
pub async fn list(known: Known) -> Result<Json<Value>, Problem> {
    known.administer()?;
    let identity = known.identity;
    let roles = blocking(move || identity.roles()).await?;
    Ok(Json(json!({ "roles": roles, "rights": Right::ALL })))
}

/// `POST /api/roles`.
pub async fn add(known: Known, Told(new): Told<New>) -> Result<Response, Problem> {
    known.administer()?;
    let by = known.actor();
    let identity = known.identity;
    let role = new.described.named(new.name);
    let added = role.clone();
    blocking(move || identity.add_role(&role, &by)).await?;
    Ok((StatusCode::CREATED, Json(json!({ "role": added }))).into_response())
}

/// `PUT /api/roles/{role}`.
pub async fn change(
    known: Known,
    Path(name): Path<String>,
    Told(described): Told<Described>,
) -> Result<Json<Value>, Problem> {
    known.administer()?;
    let by = known.actor();
    let identity = known.identity;
    let role = described.named(name);
    let changed = role.clone();
    blocking(move || identity.change_role(&role, &by)).await?;
    Ok(Json(json!({ "role": changed })))
}

/// `DELETE /api/roles/{role}`.
pub async fn delete(known: Known, Path(name): Path<String>) -> Result<StatusCode, Problem> {
    known.administer()?;
    let by = known.actor();
    let identity = known.identity;
    blocking(move || identity.delete_role(&name, &by)).await?;
    Ok(StatusCode::NO_CONTENT)
}
