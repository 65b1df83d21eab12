//! Deleting studies, series and instances, and restoring them while that is possible. PS3.18 has
//! no such transaction; the paths are those of Retrieve, as other archives have them.

use crate::context::{Asked, Context, Resource};
use crate::problem::{Problem, Purpose};
use crate::reply;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use gantry_archive::Error;
use gantry_archive::remove::Target;
use serde_json::{Value, json};

/// `DELETE /dicom-web/studies/{study}`, and likewise of series and instances. The Location of the
/// answer is what restores it.
pub async fn delete(
    State(context): State<Context>,
    resource: Resource,
    asked: Asked,
) -> Result<Response, Problem> {
    let (deletion, _) = context
        .archive
        .delete(&asked.principal, target(&resource))
        .await
        .map_err(failed)?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    let location = format!("{}/api/deletions/{deletion}", asked.server_url);
    response
        .headers_mut()
        .insert(LOCATION, reply::header_value(&location));
    Ok(response)
}

fn target(resource: &Resource) -> Target {
    let study = resource.study.as_str().to_owned();
    match (&resource.series, &resource.instance) {
        (Some(series), Some(instance)) => Target::Instance {
            study,
            series: series.as_str().to_owned(),
            instance: instance.as_str().to_owned(),
        },
        (Some(series), None) => Target::Series {
            study,
            series: series.as_str().to_owned(),
        },
        (None, _) => Target::Study { study },
    }
}

/// `GET /api/deletions`: what can be restored, the newest first.
pub async fn list(State(context): State<Context>, asked: Asked) -> Result<Json<Value>, Problem> {
    let deletions = context
        .archive
        .deletions(&asked.principal)
        .await
        .map_err(failed)?;
    let listed: Vec<Value> = deletions
        .iter()
        .map(|deletion| {
            json!({
                "deletion": deletion.id,
                "restore": format!("{}/api/deletions/{}/restore", asked.server_url, deletion.id),
                "at_micros": deletion.at,
                "by": deletion.by,
                "instances": deletion.instances,
                "bytes": deletion.bytes,
            })
        })
        .collect();
    Ok(Json(Value::Array(listed)))
}

/// `POST /api/deletions/{deletion}/restore`.
pub async fn restore(
    State(context): State<Context>,
    Path(deletion): Path<String>,
    asked: Asked,
) -> Result<Json<Value>, Problem> {
    let deletion: i64 = deletion
        .parse()
        .map_err(|_| Problem::bad_request("that is no number of a deletion"))?;
    let restored = context
        .archive
        .restore(&asked.principal, deletion)
        .await
        .map_err(failed)?;
    Ok(Json(
        json!({ "studies": restored.studies, "instances": restored.instances }),
    ))
}

fn failed(error: Error) -> Problem {
    Problem::from_archive(&error, Purpose::Remove)
}
