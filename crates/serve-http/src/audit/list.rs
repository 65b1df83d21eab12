//! Lists of events: a page as JSON or as a FHIR Bundle, or all as CSV.

use super::auditor::{self, Trail, blocking};
use super::filter::{self, Wanted, WantedBody};
use crate::accept::Offer;
use crate::context::{Asked, Context};
use crate::problem::Problem;
use crate::reply;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION};
use axum::http::{HeaderValue, Method, Uri};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use gantry_audit::export::{CSV_HEADER, bundle, csv_line, rfc3339};
use gantry_audit::{Filter, Kind, Page, Recorded};
use serde_json::{Value, json};

const JSON: &str = "application/json";
const FHIR: &str = "application/fhir+json";
const CSV: &str = "text/csv";
/// What events are given in.
pub const FORMS: &[&str] = &[JSON, FHIR, CSV];
const OFFERS: &[Offer] = &[Offer::single(JSON), Offer::single(FHIR), Offer::single(CSV)];
/// Events read at a time for CSV.
const CSV_PAGE: usize = 1000;

/// `GET /api/audit`.
pub async fn list(State(context): State<Context>, asked: Asked) -> Result<Response, Problem> {
    let wanted = Wanted::of_query(&asked.query)?;
    answer(&context, &asked, wanted, &Method::GET).await
}

/// `POST /api/audit/search`: as [`list`], with the filter in the body, where a patient can be
/// named.
pub async fn search(
    State(context): State<Context>,
    asked: Asked,
    body: Body,
) -> Result<Response, Problem> {
    let body: WantedBody = filter::json(body, context.config.body_timeout()).await?;
    answer(&context, &asked, body.wanted()?, &Method::POST).await
}

async fn answer(
    context: &Context,
    asked: &Asked,
    wanted: Wanted,
    method: &Method,
) -> Result<Response, Problem> {
    let form = asked.best(OFFERS)?.media_type;
    let kind = if form == CSV {
        Kind::AuditExported
    } else {
        Kind::AuditRead
    };
    let trail = auditor::admit(context, asked, kind, &wanted.filter).await?;
    let mut response = match form {
        CSV => all_as_csv(trail, wanted.filter, wanted.before),
        FHIR => {
            let page = page(&trail, &wanted).await?;
            let own = format!("{}{}", asked.server_url, asked.uri.path());
            let next = page
                .before
                .filter(|_| *method == Method::GET)
                .map(|before| next_url(&own, &asked.uri, before));
            let bundle = bundle(&page.events, &trail.source, &own, next.as_deref());
            reply::with_body(FHIR, Body::from(bundle.to_string()))
        }
        _ => {
            let page = page(&trail, &wanted).await?;
            let events: Vec<Value> = page.events.iter().map(plain).collect();
            Json(json!({ "events": events, "before": page.before })).into_response()
        }
    };
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().insert(CACHE_CONTROL, no_store);
    Ok(response)
}

async fn page(trail: &Trail, wanted: &Wanted) -> Result<Page, Problem> {
    let (log, wanted) = (trail.log.clone(), wanted.clone());
    blocking(move || {
        log.reader()
            .page(&wanted.filter, wanted.before, wanted.limit)
    })
    .await
}

/// The URL of the next page: the same query with another `before`.
fn next_url(own: &str, uri: &Uri, before: u64) -> String {
    let rest = uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty() && !pair.starts_with("before="));
    let pairs: Vec<String> = rest
        .map(str::to_owned)
        .chain([format!("before={before}")])
        .collect();
    format!("{own}?{}", pairs.join("&"))
}

/// An event as plain JSON: its own fields, its number, and what people read.
pub fn plain(recorded: &Recorded) -> Value {
    let event = &recorded.event;
    let mut value = serde_json::to_value(event).unwrap_or_default();
    if let Some(fields) = value.as_object_mut() {
        fields.insert("sequence".into(), recorded.sequence.into());
        fields.insert("hash".into(), recorded.hash.to_string().into());
        fields.insert("at".into(), rfc3339(event.at).into());
        fields.insert("recorded".into(), rfc3339(recorded.recorded).into());
        fields.insert("action".into(), event.action_code().as_str().into());
        fields.insert("message".into(), event.kind.family().code().meaning.into());
        if let Some(summary) = &event.summary {
            let told = json!({
                "accesses": summary.accesses,
                "from": rfc3339(summary.from),
                "until": rfc3339(summary.until),
            });
            fields.insert("summary".into(), told);
        }
    }
    value
}

/// All events of a filter, page by page.
fn all_as_csv(trail: Trail, filter: Filter, before: Option<u64>) -> Response {
    let state = Some((trail, filter, before, true));
    // The body may be polled again after its end.
    let pages = stream::unfold(state, |state| async move {
        let (trail, filter, before, is_first) = state?;
        let read = {
            let (log, filter) = (trail.log.clone(), filter.clone());
            blocking(move || log.reader().page(&filter, before, CSV_PAGE)).await
        };
        let page = match read {
            Ok(page) => page,
            Err(problem) => {
                let error = std::io::Error::other(problem.detail().to_owned());
                return Some((Err(error), None));
            }
        };
        let mut text = String::new();
        if is_first {
            text.push_str(CSV_HEADER);
        }
        text.extend(page.events.iter().map(csv_line));
        let rest = page
            .before
            .map(|before| (trail, filter, Some(before), false));
        Some((Ok(Bytes::from(text)), rest))
    })
    .fuse();
    let mut response = reply::with_stream("text/csv; charset=utf-8; header=present", None, pages);
    let name = HeaderValue::from_static("attachment; filename=\"audit.csv\"");
    response.headers_mut().insert(CONTENT_DISPOSITION, name);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_keeps_the_filter() {
        let uri: Uri = "/api/audit?person=doe&before=9&limit=2".parse().unwrap();
        assert_eq!(
            next_url("http://x/api/audit", &uri, 7),
            "http://x/api/audit?person=doe&limit=2&before=7"
        );
    }
}
