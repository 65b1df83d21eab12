//! Storage commitment (PS3.18 13): the request (13.4), and the look for its result (13.5).

use crate::accept::Offer;
use crate::commitment_module;
use crate::context::{Asked, Context};
use crate::media_type::MediaType;
use crate::model;
use crate::problem::{Problem, Purpose};
use crate::reply;
use crate::request_body::{BodyError, RequestBody};
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use gantry_archive::Error;
use gantry_archive::commitment::transaction::Transaction;
use gantry_core::uid::Uid;
use gantry_dicom::data_set::DataSet;
use gantry_dicom::{json, xml};
use std::time::Duration;

/// How long a request waits for its result before it is answered that there is none yet.
const PATIENCE: Duration = Duration::from_secs(3);
/// Seconds after which it is worth while to look for a result.
const RETRY_AFTER_SECONDS: &str = "5";
/// The header fields of RFC 7240.
const PREFER: HeaderName = HeaderName::from_static("prefer");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
/// The preference not to wait (RFC 7240 4.1).
const RESPOND_ASYNC: &str = "respond-async";

/// `POST /commitment-requests/{transaction}`.
pub async fn request(
    State(context): State<Context>,
    Path(transaction): Path<String>,
    asked: Asked,
    request: Request,
) -> Result<Response, Problem> {
    let offer = asked.best(model::OFFERS_SINGLE)?;
    let transaction = transaction_uid(&transaction)?;
    let module = receive(&context, request).await?;
    let references = commitment_module::read(&module)
        .map_err(|error| Problem::bad_request(error.to_string()))?;
    let is_async = prefers_async(&asked.headers);
    let patience = if is_async { Duration::ZERO } else { PATIENCE };
    let found = context
        .archive
        .commit(
            &asked.principal,
            transaction.as_str(),
            &references,
            patience,
        )
        .await
        .map_err(failed)?;
    let mut response = answer(found, offer);
    if is_async && response.status() == StatusCode::ACCEPTED {
        let applied = HeaderValue::from_static(RESPOND_ASYNC);
        response.headers_mut().insert(PREFERENCE_APPLIED, applied);
    }
    Ok(response)
}

/// `GET /commitment-requests/{transaction}`.
pub async fn check(
    State(context): State<Context>,
    Path(transaction): Path<String>,
    asked: Asked,
) -> Result<Response, Problem> {
    let offer = asked.best(model::OFFERS_SINGLE)?;
    let transaction = transaction_uid(&transaction)?;
    let found = context
        .archive
        .commitment(&asked.principal, transaction.as_str())
        .await
        .map_err(failed)?;
    Ok(answer(found, offer))
}

fn transaction_uid(text: &str) -> Result<Uid, Problem> {
    Uid::parse_lenient(text)
        .map_err(|error| Problem::bad_request(format!("Transaction UID: {error}")))
}

fn failed(error: Error) -> Problem {
    Problem::from_archive(&error, Purpose::Commit)
}

/// Whether the client would rather not wait.
fn prefers_async(headers: &HeaderMap) -> bool {
    let fields = headers.get_all(PREFER);
    fields
        .iter()
        .filter_map(|field| field.to_str().ok())
        .flat_map(|field| field.split(','))
        .filter_map(|preference| preference.split(';').next())
        .any(|name| name.trim().eq_ignore_ascii_case(RESPOND_ASYNC))
}

fn answer(found: Transaction, offer: Offer) -> Response {
    let mut response = match found {
        Transaction::Open => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::ACCEPTED;
            let seconds = HeaderValue::from_static(RETRY_AFTER_SECONDS);
            response.headers_mut().insert(RETRY_AFTER, seconds);
            response
        }
        Transaction::Done(verdicts) => {
            let module = commitment_module::response(&verdicts);
            let (content_type, bytes) = model::write_one(&module, offer);
            reply::with_body(&content_type, Body::from(bytes))
        }
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Reads the one data set that a request brings.
async fn receive(context: &Context, request: Request) -> Result<DataSet, Problem> {
    let content_type = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| MediaType::parse(text).ok());
    let read = match content_type.as_ref().map(MediaType::essence) {
        Some("application/dicom+json" | "application/json") => read_json,
        Some("application/dicom+xml") => read_xml,
        _ => {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "supported: application/dicom+json, application/dicom+xml",
            ));
        }
    };
    let config = &context.config;
    let bytes_max = config.store_metadata_bytes_max;
    let mut body = RequestBody::new(request.into_body(), config.body_timeout(), 0);
    let mut text = Vec::new();
    while let Some(piece) = body.next().await? {
        if text.len() + piece.len() > bytes_max {
            return Err(BodyError::TooLarge.into());
        }
        text.extend_from_slice(&piece);
    }
    read(&text)
}

fn read_json(text: &[u8]) -> Result<DataSet, Problem> {
    let read = json::parse(text)
        .map_err(|error| Problem::bad_request(format!("body is no DICOM JSON: {error}")))?;
    match <[_; 1]>::try_from(read) {
        Ok([one]) => Ok(one.data_set),
        Err(_) => Err(Problem::bad_request("body must be one data set")),
    }
}

fn read_xml(text: &[u8]) -> Result<DataSet, Problem> {
    xml::parse(text)
        .map(|one| one.data_set)
        .map_err(|error| Problem::bad_request(format!("body is no DICOM XML: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::tests::asked;

    #[test]
    fn the_preference_not_to_wait_is_one_of_several() {
        for (field, expect) in [
            ("respond-async", true),
            ("Respond-Async, wait=10", true),
            ("return=minimal, respond-async; foo=bar", true),
            ("wait=10", false),
            ("respond-asynchronously", false),
        ] {
            let asked = asked(&[("prefer", field)]);
            assert_eq!(prefers_async(&asked.headers), expect, "{field}");
        }
        assert!(!prefers_async(&HeaderMap::new()));
    }

    #[test]
    fn a_request_that_is_open_has_no_body() {
        let response = answer(Transaction::Open, model::JSON);
        assert_eq!(response.status(), 202);
        assert_eq!(response.headers()[RETRY_AFTER], RETRY_AFTER_SECONDS);
        assert!(response.headers().get(CONTENT_TYPE).is_none());
        let response = answer(Transaction::Done(Vec::new()), model::JSON);
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/dicom+json");
    }

    #[test]
    fn one_data_set_is_read() {
        assert!(read_json(b"{}").is_ok());
        assert!(read_json(b"[{}]").is_ok());
        for text in [&b"[]"[..], b"[{},{}]", b"{", b""] {
            assert_eq!(read_json(text).unwrap_err().status(), 400);
        }
        assert_eq!(read_xml(b"<x/>").unwrap_err().status(), 400);
    }
}
