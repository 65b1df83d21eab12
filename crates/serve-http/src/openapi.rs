//! The OpenAPI document, made of the table of routes.

use crate::routes::{Operation, QueryParameter};
use serde_json::{Map, Value, json};

/// The OpenAPI 3.1 document of these operations.
pub fn document(operations: &[Operation]) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for operation in operations {
        let path = paths.entry(path_of(operation)).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(
                operation.method.as_str().to_lowercase(),
                describe(operation),
            );
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Gantry",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "DICOMweb (PS3.18) under /dicom-web, and the API of the start page.",
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "paths": paths,
        "security": [{ "session": [] }, { "bearer": [] }, { "basic": [] }],
        "components": {
            "securitySchemes": {
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "gantry_session",
                    "description": "Over HTTPS its name begins with __Host-. Requests that change \
                                    something also show X-CSRF-Token.",
                },
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API token, or a token of the site's identity provider.",
                },
                "basic": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "Login and password, or login and API token.",
                },
            },
            "schemas": {
                "Problem": {
                    "type": "object",
                    "description": "RFC 9457 problem details.",
                    "properties": {
                        "type": { "type": "string" },
                        "title": { "type": "string" },
                        "status": { "type": "integer" },
                        "detail": { "type": "string" },
                    },
                    "required": ["type", "title", "status", "detail"],
                },
            },
        },
    })
}

/// The path as OpenAPI writes it: a rest parameter is one like the others.
pub fn path_of(operation: &Operation) -> String {
    operation.path.replace("{*", "{")
}

fn describe(operation: &Operation) -> Value {
    let mut description = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "parameters": parameters(operation),
        "responses": responses(operation),
    });
    if operation.is_public
        && let Some(description) = description.as_object_mut()
    {
        description.insert("security".into(), json!([]));
    }
    if !operation.consumes.is_empty()
        && let Some(description) = description.as_object_mut()
    {
        let body = json!({ "required": true, "content": content(operation.consumes) });
        description.insert("requestBody".into(), body);
    }
    description
}

fn parameters(operation: &Operation) -> Vec<Value> {
    let path = path_of(operation);
    let in_path = path.split('/').filter_map(|part| {
        let name = part.strip_prefix('{')?.strip_suffix('}')?;
        Some(json!({
            "name": name,
            "in": "path",
            "required": true,
            "description": describe_path_parameter(name),
            "schema": { "type": "string" },
        }))
    });
    let in_query = operation.query.iter().map(
        |QueryParameter {
             name,
             description,
             kind,
         }| {
            json!({
                "name": name,
                "in": "query",
                "required": false,
                "description": description,
                "schema": { "type": kind },
            })
        },
    );
    in_path.chain(in_query).collect()
}

fn describe_path_parameter(name: &str) -> &'static str {
    match name {
        "study" => "Study Instance UID",
        "series" => "Series Instance UID",
        "instance" => "SOP Instance UID",
        "transaction" => "Transaction UID",
        "frames" => "Frame numbers, counted from 1, separated by commas",
        "person" => "Number of a person",
        "session" => "Number of a session",
        "token" => "Number of a token",
        "share" => "Number of a share",
        "grant" => "Number of a grant",
        "passkey" => "Number of a passkey",
        "access" => "Number of a break-glass access",
        "role" => "Name of a role",
        "provider" => "Name of an identity provider",
        "path" => "Tag of an element; inside sequences tags and item numbers (from 0) in turn",
        _ => "Part of the path",
    }
}

fn responses(operation: &Operation) -> Value {
    let mut responses = Map::new();
    let mut statuses = operation.statuses.to_vec();
    if !operation.is_public {
        statuses.extend([401, 403, 429]);
    }
    statuses.sort_unstable();
    statuses.dedup();
    for status in &statuses {
        let reason = axum::http::StatusCode::from_u16(*status)
            .ok()
            .and_then(|status| status.canonical_reason())
            .unwrap_or("Other");
        let mut response = json!({ "description": reason });
        let types: &[&str] = match status {
            200 | 201 | 206 => operation.produces,
            // A store request that failed as a whole is answered with the response module too.
            202 | 409 if operation.id.starts_with("store") => operation.produces,
            400.. => &["application/problem+json"],
            _ => &[],
        };
        if !types.is_empty()
            && let Some(response) = response.as_object_mut()
        {
            response.insert("content".into(), content(types));
        }
        responses.insert(status.to_string(), response);
    }
    Value::Object(responses)
}

fn content(media_types: &[&str]) -> Value {
    let entries = media_types.iter().map(|media_type| {
        let schema = if *media_type == "application/problem+json" {
            json!({ "$ref": "#/components/schemas/Problem" })
        } else {
            json!({})
        };
        ((*media_type).to_owned(), json!({ "schema": schema }))
    });
    Value::Object(entries.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route_table;
    use std::collections::HashSet;

    #[test]
    fn every_route_is_in_the_document() {
        let (_, operations) = route_table::routes().into_parts();
        let document = document(&operations);
        let mut ids = HashSet::new();
        for operation in &operations {
            let method = operation.method.as_str().to_lowercase();
            let found = &document["paths"][path_of(operation)][&method];
            assert_eq!(found["operationId"], operation.id, "{}", operation.path);
            assert!(ids.insert(operation.id), "{} is used twice", operation.id);
            let text = operation.path;
            let count = found["parameters"].as_array().unwrap().len();
            assert_eq!(
                count,
                text.matches('{').count() + operation.query.len(),
                "{text}"
            );
            assert!(
                !found["responses"].as_object().unwrap().is_empty(),
                "{text}"
            );
        }
        let described: usize = document["paths"]
            .as_object()
            .unwrap()
            .values()
            .map(|path| path.as_object().unwrap().len())
            .sum();
        assert_eq!(described, operations.len());
    }

    #[test]
    fn what_is_sent_and_received_is_described() {
        let (_, operations) = route_table::routes().into_parts();
        let document = document(&operations);
        let store = &document["paths"]["/dicom-web/studies"]["post"];
        assert!(store["requestBody"]["content"]["application/dicom"].is_object());
        assert!(store["responses"]["409"]["content"]["application/dicom+json"].is_object());
        let problem = &store["responses"]["415"]["content"]["application/problem+json"];
        assert_eq!(problem["schema"]["$ref"], "#/components/schemas/Problem");
    }
}
