//! Retrieve bulk data (PS3.18 10.4.1.5): values that metadata only refer to.

use crate::accept::{Offer, Packaging};
use crate::bulk_path::{self, BulkValue};
use crate::conditional::EntityTag;
use crate::context::{Asked, Context, Resource, instance_url};
use crate::dicomweb::{frames, pixel_data};
use crate::multipart::writer::Writer;
use crate::problem::{Problem, Purpose};
use crate::range::{ByteRange, Selection};
use crate::reply::{self, Freshness};
use axum::extract::{Path, State};
use axum::http::header::{ACCEPT_RANGES, CONTENT_LENGTH, RANGE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use gantry_archive::retrieve::InstanceRef;
use gantry_archive::{Archive, Error};
use gantry_core::access::Right;
use gantry_dicom::data_set::{DataSet, Value};
use gantry_dicom::element_path::ElementPath;
use gantry_dicom::{Tag, tags, transfer_syntax};
use std::collections::HashMap;
use std::sync::Arc;

const OCTET_STREAM: &str = "application/octet-stream";

/// `GET …/instances/{instance}/bulkdata/{path}`.
pub async fn retrieve(
    State(context): State<Context>,
    resource: Resource,
    Path(parameters): Path<HashMap<String, String>>,
    asked: Asked,
) -> Result<Response, Problem> {
    let path: ElementPath = parameters
        .get("path")
        .and_then(|path| path.parse().ok())
        .ok_or_else(|| Problem::bad_request("the path is not made of tags and item numbers"))?;
    let instance = frames::single(
        resource
            .instances(&context, &asked.principal, Right::View)
            .await?,
    )?;
    let header = context
        .archive
        .header(&instance)
        .await
        .map_err(retrieve_failed)?;
    let element = header
        .at(&path)
        .ok_or_else(|| Problem::not_found("there is no value at this path"))?;
    if let Value::Sequence(_) = element.value {
        return Err(Problem::not_found("the path leads to a sequence"));
    }
    if is_frames(&instance, element.tag, &element.value) {
        return pixel_data::respond(&context, &asked, vec![instance]).await;
    }
    let media_type = media_type(&instance, &header, element.tag);
    respond(&context, &asked, instance, path.to_string(), media_type).await
}

/// `GET /studies/{study}/bulkdata`, and likewise of series and instances: every bulk value.
pub async fn retrieve_all(
    State(context): State<Context>,
    resource: Resource,
    asked: Asked,
) -> Result<Response, Problem> {
    asked.acceptable(&[Offer::multipart(OCTET_STREAM)])?;
    let instances = resource
        .instances(&context, &asked.principal, Right::View)
        .await?;
    respond_with_all(&context, &asked, instances).await
}

fn retrieve_failed(error: Error) -> Problem {
    Problem::from_archive(&error, Purpose::Retrieve)
}

/// Encapsulated pixel data that are frames are sent frame by frame.
fn is_frames(instance: &InstanceRef, tag: Tag, value: &Value) -> bool {
    let is_encapsulated = matches!(value, Value::Deferred(deferred) if deferred.is_encapsulated)
        || matches!(value, Value::Fragments(_));
    tag == tags::PIXEL_DATA && is_encapsulated && !is_video(instance)
}

fn is_video(instance: &InstanceRef) -> bool {
    transfer_syntax::lookup(&instance.transfer_syntax_uid).is_some_and(|syntax| syntax.is_video())
}

/// What the value is by itself: a video, an encapsulated document's own type, or just bytes.
pub fn media_type(instance: &InstanceRef, header: &DataSet, tag: Tag) -> String {
    let own = match tag {
        tags::PIXEL_DATA if is_video(instance) => {
            transfer_syntax::lookup(&instance.transfer_syntax_uid)
                .and_then(|syntax| syntax.media_type())
                .map(str::to_owned)
        }
        tags::ENCAPSULATED_DOCUMENT => header.string(tags::MIME_TYPE_OF_ENCAPSULATED_DOCUMENT),
        _ => None,
    };
    own.and_then(|text| crate::media_type::MediaType::parse(&text).ok())
        .map_or_else(
            || OCTET_STREAM.to_owned(),
            |media_type| media_type.essence().to_owned(),
        )
}

/// Sends one value: in one part of a multipart body, or, when the client takes that or asks for a
/// range, as the body itself.
async fn respond(
    context: &Context,
    asked: &Asked,
    instance: InstanceRef,
    path: String,
    media_type: String,
) -> Result<Response, Problem> {
    let is_own_type = media_type != OCTET_STREAM;
    let single = choose_packaging(asked, &media_type)?;
    let tag = EntityTag::of(&[
        b"bulk",
        &instance.digest,
        path.as_bytes(),
        &[u8::from(single)],
    ]);
    if let Some(response) = reply::precondition(asked, &tag, Freshness::Immutable) {
        return Ok(response);
    }
    if single {
        let value = ValueAt {
            archive: context.archive.clone(),
            instance,
            path,
        };
        return respond_single(asked, value, &media_type, &tag).await;
    }
    let bulk = context
        .archive
        .bulk(&instance, &path, None)
        .await
        .map_err(retrieve_failed)?;
    let writer = Writer::new(tag.as_str().as_bytes());
    let location = format!(
        "{}/bulkdata/{path}",
        instance_url(&asked.dicom_web_url(), &instance)
    );
    let part_type = if is_own_type {
        media_type.as_str()
    } else {
        OCTET_STREAM
    };
    let content_type = writer.content_type(part_type);
    let head = writer.part_head(part_type, Some(&location));
    let tail = Bytes::from([writer.part_tail(), writer.closing()].concat());
    let length = bulk.total_length + (head.len() + tail.len()) as u64;
    let body = stream::iter([Ok(head)])
        .chain(bulk.stream)
        .chain(stream::iter([Ok(tail)]));
    let response = reply::with_stream(&content_type, Some(length), body);
    Ok(reply::tagged(response, &tag, Freshness::Immutable))
}

/// Whether the value goes as the body itself.
fn choose_packaging(asked: &Asked, media_type: &str) -> Result<bool, Problem> {
    let own = OWN_TYPES.iter().find(|own| **own == media_type);
    let mut offers = vec![Offer::multipart(OCTET_STREAM), Offer::single(OCTET_STREAM)];
    if let Some(own) = own {
        // A document or a video is what a browser wants to show, so it is the default.
        offers.insert(0, Offer::single(own));
        offers.insert(1, Offer::multipart(own));
    }
    let acceptable = asked.acceptable(&offers)?;
    let packaging = |index: usize| offers.get(index).map(|offer| offer.packaging);
    let best = acceptable.first();
    let asks_range = asked.headers.contains_key(RANGE);
    let takes_single = acceptable
        .iter()
        .any(|entry| packaging(entry.offer) == Some(Packaging::Single));
    Ok(
        best.is_some_and(|entry| packaging(entry.offer) == Some(Packaging::Single))
            || (asks_range && takes_single),
    )
}

/// Types that values have of their own (PS3.3 A.45, PS3.18 table 8.7.3-4).
const OWN_TYPES: &[&str] = &[
    "application/pdf",
    "text/xml",
    "application/xml",
    "model/stl",
    "model/obj",
    "model/mtl",
    "video/mp4",
    "video/mpeg",
    "text/plain",
    "image/jpeg",
];

/// A value that can be read again for each range.
#[derive(Debug, Clone)]
pub struct ValueAt {
    /// The archive it is in.
    pub archive: Arc<Archive>,
    /// The instance.
    pub instance: InstanceRef,
    /// The path of the value.
    pub path: String,
}

/// Sends a value as the body, or ranges of it.
///
/// # Errors
/// When the value cannot be read.
pub async fn respond_single(
    asked: &Asked,
    value: ValueAt,
    media_type: &str,
    tag: &EntityTag,
) -> Result<Response, Problem> {
    let open = async |range| {
        value
            .archive
            .bulk(&value.instance, &value.path, range)
            .await
    };
    let whole = open(None).await.map_err(retrieve_failed)?;
    let length = whole.total_length;
    let mut response = match reply::wanted_range(&asked.headers, tag, length) {
        Selection::Unsatisfiable => reply::unsatisfiable(length),
        Selection::Whole => reply::with_stream(media_type, Some(length), whole.stream),
        Selection::Ranges(ranges) => {
            drop(whole.stream);
            match ranges.as_slice() {
                [range] => {
                    let part = open(Some(range.first..range.last + 1)).await;
                    let stream = part.map_err(retrieve_failed)?.stream;
                    let response = reply::with_stream(media_type, None, stream);
                    reply::partial(response, *range, length)
                }
                _ => byte_ranges(value.clone(), media_type, tag, ranges, length),
            }
        }
    };
    if response.status() == StatusCode::OK {
        response
            .headers_mut()
            .insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    }
    Ok(reply::tagged(response, tag, Freshness::Immutable))
}

/// Several ranges go as multipart/byteranges (RFC 9110 §14.6).
fn byte_ranges(
    value: ValueAt,
    media_type: &str,
    tag: &EntityTag,
    ranges: Vec<ByteRange>,
    length: u64,
) -> Response {
    let writer = Writer::new(tag.as_str().as_bytes());
    let content_type = writer.byte_ranges_content_type();
    let closing = writer.closing();
    let heads: Vec<(Bytes, ByteRange)> = ranges
        .into_iter()
        .map(|range| {
            (
                writer.range_head(media_type, &range.content_range(length)),
                range,
            )
        })
        .collect();
    let tail = writer.part_tail();
    let body_length = heads
        .iter()
        .map(|(head, range)| (head.len() + tail.len()) as u64 + range.length())
        .sum::<u64>()
        + closing.len() as u64;
    let parts = stream::iter(heads).then(move |(head, range)| {
        let (value, tail) = (value.clone(), tail.clone());
        async move {
            let span = range.first..range.last + 1;
            let bulk = value
                .archive
                .bulk(&value.instance, &value.path, Some(span))
                .await?;
            Ok::<_, Error>(
                stream::iter([Ok(head)])
                    .chain(bulk.stream)
                    .chain(stream::iter([Ok(tail)])),
            )
        }
    });
    let body = parts
        .try_flatten()
        .chain(stream::iter([Ok::<_, Error>(closing)]));
    let mut response = reply::with_stream(&content_type, None, body);
    *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    response
        .headers_mut()
        .insert(CONTENT_LENGTH, HeaderValue::from(body_length));
    response
}

/// Sends every bulk value of these instances, one part each.
///
/// # Errors
/// 404 when there is none.
pub async fn respond_with_all(
    context: &Context,
    asked: &Asked,
    instances: Vec<InstanceRef>,
) -> Result<Response, Problem> {
    let seed: Vec<&[u8]> = instances
        .iter()
        .map(|instance| instance.digest.as_slice())
        .collect();
    let writer = Writer::new(EntityTag::of(&seed).as_str().as_bytes());
    let content_type = writer.content_type(OCTET_STREAM);
    let closing = writer.closing();
    let mut parts = Box::pin(value_parts(
        context.archive.clone(),
        asked.dicom_web_url(),
        writer,
        instances,
    ));
    // "Empty part list" is never an answer, and a first failure can be told by the status.
    let first = parts.next().await.transpose().map_err(retrieve_failed)?;
    let first = first.ok_or_else(|| Problem::not_found("there are no bulk values"))?;
    let all = stream::iter([Ok(first)]).chain(parts);
    let body = all.chain(stream::iter([Ok::<_, Error>(closing)]));
    Ok(reply::with_stream(&content_type, None, body))
}

fn value_parts(
    archive: Arc<Archive>,
    dicom_web_url: String,
    writer: Writer,
    instances: Vec<InstanceRef>,
) -> impl Stream<Item = Result<Bytes, Error>> + Send + 'static {
    let values = {
        let archive = archive.clone();
        stream::iter(instances).then(move |instance| {
            let archive = archive.clone();
            async move {
                let header = archive.header(&instance).await?;
                let values: Vec<(InstanceRef, BulkValue)> = bulk_path::all(&header)
                    .into_iter()
                    .map(|value| (instance.clone(), value))
                    .collect();
                Ok::<_, Error>(stream::iter(values.into_iter().map(Ok::<_, Error>)))
            }
        })
    };
    values
        .try_flatten()
        .and_then(move |(instance, value)| {
            let archive = archive.clone();
            let url = instance_url(&dicom_web_url, &instance);
            let head = writer.part_head(
                OCTET_STREAM,
                Some(&format!("{url}/bulkdata/{}", value.path)),
            );
            let tail = writer.part_tail();
            async move {
                let bulk = archive
                    .bulk(&instance, &value.path.to_string(), None)
                    .await?;
                Ok::<_, Error>(
                    stream::iter([Ok(head)])
                        .chain(bulk.stream)
                        .chain(stream::iter([Ok(tail)])),
                )
            }
        })
        .try_flatten()
}
