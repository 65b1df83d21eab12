//! Store instances (PS3.18 10.5).

mod assembly;
mod bulk_parts;
mod metadata;
mod part10;
mod pixel_syntax;

use crate::accept::Offer;
use crate::context::{Asked, Context, DICOM_WEB};
use crate::media_type::MediaType;
use crate::model;
use crate::multipart::reader::{Event, Limits, MultipartError, Reader};
use crate::problem::Problem;
use crate::request_body::{BodyError, RequestBody};
use crate::store_response::StoreReport;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, WARNING};
use axum::response::Response;
use gantry_archive::store::Announcement;
use gantry_core::uid::Uid;

/// What a request may consist of; also the list in a 415 answer.
const SUPPORTED: &str = "multipart/related with type=\"application/dicom\", \
     \"application/dicom+json\" or \"application/dicom+xml\"; application/dicom";

/// Failures that are told in words in one answer.
const WARNINGS_MAX: usize = 16;
/// Longest of them.
const WARNING_LENGTH_MAX: usize = 400;

/// `POST /studies`.
pub async fn store(
    State(context): State<Context>,
    asked: Asked,
    request: Request,
) -> Result<Response, Problem> {
    receive(&context, &asked, None, request).await
}

/// `POST /studies/{study}`: instances of other studies are refused, one by one.
pub async fn store_in_study(
    State(context): State<Context>,
    study: crate::context::Resource,
    asked: Asked,
    request: Request,
) -> Result<Response, Problem> {
    receive(&context, &asked, Some(study.study), request).await
}

/// Everything that the parts of one request share.
struct Storing<'a> {
    context: &'a Context,
    asked: &'a Asked,
    study: Option<Uid>,
    report: StoreReport,
    /// Instances of which other bytes were stored before and kept.
    kept_first: usize,
}

impl Storing<'_> {
    fn announcement(&self) -> Announcement {
        Announcement {
            study_instance_uid: self.study.as_ref().map(|uid| uid.as_str().to_owned()),
            ..Announcement::by(self.asked.principal.clone())
        }
    }
}

async fn receive(
    context: &Context,
    asked: &Asked,
    study: Option<Uid>,
    request: Request,
) -> Result<Response, Problem> {
    let offers = model::OFFERS_SINGLE;
    let acceptable = asked.acceptable(offers)?;
    let content_type = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .ok_or_else(unsupported)?;
    let content_type = MediaType::parse(content_type).map_err(|_| unsupported())?;
    let config = &context.config;
    let body = RequestBody::new(
        request.into_body(),
        config.body_timeout(),
        config.store_bytes_max,
    );
    let mut storing = Storing {
        context,
        asked,
        study,
        report: StoreReport::default(),
        kept_first: 0,
    };
    let read = match form_of(&content_type)? {
        Form::SinglePart10 => part10::store_single(&mut storing, body).await,
        Form::Part10s => {
            let parts = Parts::new(&content_type, body, config.store_parts_max)?;
            part10::store_parts(&mut storing, parts).await
        }
        Form::Metadata => {
            let parts = Parts::new(&content_type, body, config.store_parts_max)?;
            metadata::store_parts(&mut storing, parts).await
        }
    };
    answer(
        storing,
        read,
        acceptable.first().and_then(|entry| offers.get(entry.offer)),
    )
}

enum Form {
    SinglePart10,
    Part10s,
    Metadata,
}

fn form_of(content_type: &MediaType) -> Result<Form, Problem> {
    match content_type.essence() {
        "application/dicom" => Ok(Form::SinglePart10),
        "multipart/related" => {
            let inner = content_type
                .parameter("type")
                .unwrap_or("application/dicom");
            let inner = MediaType::parse(inner).map_err(|_| unsupported())?;
            match inner.essence() {
                "application/dicom" => Ok(Form::Part10s),
                "application/dicom+json" | "application/dicom+xml" => Ok(Form::Metadata),
                _ => Err(unsupported()),
            }
        }
        _ => Err(unsupported()),
    }
}

fn unsupported() -> Problem {
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        format!("supported: {SUPPORTED}"),
    )
}

/// The answer: what became of the instances, or a problem when nothing is stored and the request
/// itself was at fault.
fn answer(
    storing: Storing<'_>,
    read: Result<(), Problem>,
    offer: Option<&Offer>,
) -> Result<Response, Problem> {
    let Storing {
        asked,
        report,
        kept_first,
        ..
    } = storing;
    match read {
        Err(problem) if !report.any_stored() => return Err(problem),
        Ok(()) if report.is_empty() => {
            return Err(Problem::bad_request("the request has no instance"));
        }
        Err(_) | Ok(()) => {}
    }
    // A body that broke off leaves what came before stored: 202 says that it is not all.
    let status = if read.is_err() {
        StatusCode::ACCEPTED
    } else {
        report.status()
    };
    let module = report.to_data_set(&format!("{}{DICOM_WEB}", asked.server_url));
    let offer = offer.copied().unwrap_or(model::JSON);
    let (content_type, bytes) = model::write_one(&module, offer);
    let warnings = warnings(&report, kept_first);
    let mut response = crate::reply::with_body(&content_type, Body::from(bytes));
    *response.status_mut() = status;
    for text in warnings {
        let value = crate::reply::header_value(&format!("299 gantry \"{text}\""));
        response.headers_mut().append(WARNING, value);
    }
    Ok(response)
}

/// What codes cannot tell, for people (PS3.18 10.5.3.2: Warning header fields).
fn warnings(report: &StoreReport, kept_first: usize) -> Vec<String> {
    let mut warnings = Vec::new();
    if kept_first > 0 {
        warnings.push(format!(
            "{kept_first} instances were stored before with other content, which was kept"
        ));
    }
    let failures = report.failure_texts().take(WARNINGS_MAX);
    warnings.extend(failures.map(|text| {
        let plain = |c: char| match c {
            '"' | '\\' => '\'',
            ' '..='~' => c,
            _ => '?',
        };
        text.chars().take(WARNING_LENGTH_MAX).map(plain).collect()
    }));
    warnings
}

/// The parts of a multipart request as they arrive.
struct Parts {
    reader: Reader,
    body: RequestBody,
    is_at_end: bool,
}

impl Parts {
    fn new(content_type: &MediaType, body: RequestBody, parts_max: usize) -> Result<Self, Problem> {
        let boundary = content_type
            .parameter("boundary")
            .ok_or_else(|| Problem::bad_request("multipart request has no boundary"))?;
        let limits = Limits {
            parts_max,
            ..Limits::default()
        };
        let reader = Reader::new(boundary, limits).map_err(malformed)?;
        Ok(Self {
            reader,
            body,
            is_at_end: false,
        })
    }

    /// The next event; nothing behind the closing delimiter.
    async fn next(&mut self) -> Result<Option<Event>, Problem> {
        loop {
            if let Some(event) = self.reader.next().map_err(malformed)? {
                return Ok(Some(event));
            }
            if self.is_at_end {
                return Ok(None);
            }
            match self.body.next().await? {
                Some(bytes) => self.reader.push(bytes),
                None => {
                    self.is_at_end = true;
                    self.reader.finish().map_err(malformed)?;
                }
            }
        }
    }

    /// Collects the content of the part that has begun, up to a limit.
    async fn collect(&mut self, bytes_max: usize) -> Result<Vec<u8>, Problem> {
        let mut content = Vec::new();
        loop {
            match self.next().await? {
                Some(Event::Data(bytes)) if content.len() + bytes.len() > bytes_max => {
                    return Err(BodyError::TooLarge.into());
                }
                Some(Event::Data(bytes)) => content.extend_from_slice(&bytes),
                Some(Event::End | Event::Start(_)) | None => return Ok(content),
            }
        }
    }

    /// Reads the part that has begun to its end.
    async fn skip(&mut self) -> Result<(), Problem> {
        while let Some(Event::Data(_)) = self.next().await? {}
        Ok(())
    }
}

fn malformed(error: MultipartError) -> Problem {
    let status = match error {
        MultipartError::TooManyParts(_) => StatusCode::PAYLOAD_TOO_LARGE,
        _ => StatusCode::BAD_REQUEST,
    };
    Problem::new(status, error.to_string())
}
