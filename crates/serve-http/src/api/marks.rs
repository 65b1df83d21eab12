//! What people say of a study that decides who sees it, and why somebody sees it.

use crate::context::{Asked, Context, Resource};
use crate::problem::{Problem, Purpose};
use axum::Json;
use axum::extract::{RawPathParams, State};
use axum::http::StatusCode;
use gantry_archive::mark::{GrantOnStudy, Mark, Marks};
use serde::Serialize;

/// `GET /api/studies/{study}/marks`.
pub async fn marks(
    State(context): State<Context>,
    asked: Asked,
    resource: Resource,
) -> Result<Json<Marks>, Problem> {
    let marks = context.archive.marks(&asked.principal, &resource.study);
    marks.await.map(Json).map_err(failed)
}

/// `PUT /api/studies/{study}/labels/{label}`.
pub async fn label(
    context: State<Context>,
    asked: Asked,
    resource: Resource,
    path: RawPathParams,
) -> Result<Json<Marks>, Problem> {
    let label = label_of(&path)?;
    set(context, asked, resource, label, true).await
}

/// `DELETE /api/studies/{study}/labels/{label}`.
pub async fn unlabel(
    context: State<Context>,
    asked: Asked,
    resource: Resource,
    path: RawPathParams,
) -> Result<Json<Marks>, Problem> {
    let label = label_of(&path)?;
    set(context, asked, resource, label, false).await
}

/// `PUT /api/studies/{study}/restriction`.
pub async fn restrict(
    context: State<Context>,
    asked: Asked,
    resource: Resource,
) -> Result<Json<Marks>, Problem> {
    set(context, asked, resource, Mark::Restricted, true).await
}

/// `DELETE /api/studies/{study}/restriction`.
pub async fn lift(
    context: State<Context>,
    asked: Asked,
    resource: Resource,
) -> Result<Json<Marks>, Problem> {
    set(context, asked, resource, Mark::Restricted, false).await
}

async fn set(
    State(context): State<Context>,
    asked: Asked,
    resource: Resource,
    mark: Mark,
    is_set: bool,
) -> Result<Json<Marks>, Problem> {
    let archive = &context.archive;
    let marks = archive.mark(&asked.principal, &resource.study, mark, is_set);
    marks.await.map(Json).map_err(failed)
}

/// Why somebody sees a study, or not.
#[derive(Debug, Serialize)]
pub struct Explanation {
    /// Whether one of the grants with the right to view has the study in its scope.
    sees: bool,
    /// What each grant says.
    grants: Vec<GrantOnStudy>,
}

/// `GET /api/studies/{study}/explanation?person=…`.
pub async fn explanation(
    State(context): State<Context>,
    asked: Asked,
    resource: Resource,
) -> Result<Json<Explanation>, Problem> {
    context
        .archive
        .require_explaining(&asked.principal)
        .map_err(failed)?;
    let person: i64 = asked
        .query
        .single("person")?
        .and_then(|person| person.parse().ok())
        .ok_or_else(|| Problem::bad_request("person has to be the number of a person"))?;
    let Some(identity) = context.identity.clone() else {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "This server runs as a demo: everybody sees everything.",
        ));
    };
    let found = tokio::task::spawn_blocking(move || identity.access_of(person)).await;
    let access = found
        .map_err(|_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the look-up broke off"))?
        .map_err(|_| Problem::not_found("there is no such person"))?;
    let archive = &context.archive;
    let grants = archive
        .explain(&asked.principal, &access, &resource.study)
        .await
        .map_err(failed)?;
    let gives_view = |grant: &GrantOnStudy| {
        grant.includes_study && grant.rights.contains(&gantry_core::access::Right::View)
    };
    Ok(Json(Explanation {
        sees: grants.iter().any(gives_view),
        grants,
    }))
}

fn label_of(path: &RawPathParams) -> Result<Mark, Problem> {
    path.iter()
        .find(|(name, _)| *name == "label")
        .map(|(_, label)| Mark::Label(label.to_owned()))
        .ok_or_else(|| Problem::not_found("no label in the path"))
}

fn failed(error: gantry_archive::Error) -> Problem {
    Problem::from_archive(&error, Purpose::Retrieve)
}
