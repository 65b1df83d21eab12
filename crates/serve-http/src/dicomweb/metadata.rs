//! Retrieve metadata (PS3.18 10.4.1.2): headers without bulk values, from the index alone.
//!
//! The answer is compressed while it is made, and kept: a study that somebody looks at is asked
//! for again, and making thousands of headers into text costs more than sending them.

use crate::accept::Offer;
use crate::body_cache::Collector;
use crate::compression::{Coding, Encoder};
use crate::conditional::EntityTag;
use crate::context::{Asked, Context, Resource, instance_url};
use crate::model::{self, ListWriter};
use crate::problem::{Problem, Purpose};
use crate::reply::{self, Freshness};
use crate::series_window::{self, SeriesWindows};
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_LENGTH;
use axum::response::Response;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use gantry_archive::Error;
use gantry_archive::retrieve::InstanceRef;
use gantry_core::access::Right;
use gantry_core::failure::Kind;
use gantry_dicom::data_set::DataSet;
use gantry_dicom::element_path::ElementPath;
use gantry_dicom::model::ModelOptions;
use gantry_dicom::tags;
use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// Changes when the same header is written otherwise than before, so that caches ask again.
const REVISION: &[u8] = b"2";
/// Longest binary value that is written into the metadata.
const INLINE_BYTES_MAX: usize = 1024;
/// An answer that ends within so many bytes is sent in one piece.
const COLLECTED_BYTES: usize = 256 << 10;

/// `GET …/metadata` of a study, a series or an instance.
pub async fn retrieve(
    State(context): State<Context>,
    resource: Resource,
    asked: Asked,
) -> Result<Response, Problem> {
    let offer = asked.best(model::OFFERS)?;
    let coding = Coding::negotiate(&asked.headers);
    let instances = resource
        .instances(&context, &asked.principal, Right::View)
        .await?;
    let tag = entity_tag(&instances, &asked, offer, coding);
    if let Some(response) = reply::precondition(&asked, &tag, Freshness::Revalidate) {
        return Ok(reply::encoded(response, None));
    }
    let list = ListWriter::new(offer, tag.as_str().as_bytes());
    let content_type = list.content_type();
    let body = match context.bodies.find(tag.as_str()) {
        Some(body) => Made::Whole(body),
        None => make(&context, &resource, &asked, &instances, &tag, list, coding).await?,
    };
    let mut response = match body {
        Made::Whole(pieces) => {
            let length: usize = pieces.iter().map(Bytes::len).sum();
            let length = HeaderValue::from(length);
            let pieces = stream::iter(pieces.into_iter().map(Ok::<_, Infallible>));
            let mut response = reply::with_body(&content_type, Body::from_stream(pieces));
            response.headers_mut().insert(CONTENT_LENGTH, length);
            response
        }
        Made::Streaming(body) => reply::with_body(&content_type, body),
    };
    response = reply::encoded(response, Some(coding));
    Ok(reply::tagged(response, &tag, Freshness::Revalidate))
}

/// A body that is there, in pieces, or one that is made while it is sent.
enum Made {
    Whole(Vec<Bytes>),
    Streaming(Body),
}

async fn make(
    context: &Context,
    resource: &Resource,
    asked: &Asked,
    instances: &[InstanceRef],
    tag: &EntityTag,
    list: ListWriter,
    coding: Coding,
) -> Result<Made, Problem> {
    let windows = series_window::of_instances(context, instances).await;
    let text = Arc::new(Mutex::new(Text::new(list, coding).map_err(broken)?));
    let url = asked.dicom_web_url();
    let writing = Arc::clone(&text);
    let headers = context
        .archive
        .encode_headers(
            &asked.principal,
            &resource.selection(),
            move |instance, header, out| {
                let mut text = writing.lock().unwrap_or_else(PoisonError::into_inner);
                text.add(instance, header, &windows, &url, out);
            },
        )
        .await
        .map_err(failed)?;
    let ending = stream::once(async move {
        let mut text = text.lock().unwrap_or_else(PoisonError::into_inner);
        text.finish().map(Bytes::from)
    });
    let mut pieces = Box::pin(headers.chain(ending));
    let mut collector = context.bodies.collect(tag.as_str());
    let mut collected: Vec<Bytes> = Vec::new();
    // A failure of the first headers can still be told by the status.
    while collected.iter().map(Bytes::len).sum::<usize>() < COLLECTED_BYTES {
        let Some(piece) = pieces.next().await.transpose().map_err(failed)? else {
            collector.finish();
            return Ok(Made::Whole(collected));
        };
        collector.add(&piece);
        collected.push(piece);
    }
    let first = stream::iter(collected.into_iter().map(Ok::<_, Error>));
    let body = Body::from_stream(first.chain(noted(pieces, collector)));
    Ok(Made::Streaming(body))
}

fn failed(error: Error) -> Problem {
    Problem::from_archive(&error, Purpose::Retrieve)
}

fn broken(error: io::Error) -> Problem {
    failed(Error::caused(
        Kind::Internal,
        "metadata cannot be compressed",
        error,
    ))
}

/// The same pieces, noted on their way; what came to its end is kept.
fn noted<S>(pieces: S, collector: Collector) -> impl Stream<Item = Result<Bytes, Error>>
where
    S: Stream<Item = Result<Bytes, Error>> + Unpin,
{
    stream::unfold(Some((pieces, collector)), |state| async {
        let (mut pieces, mut collector) = state?;
        match pieces.next().await {
            None => {
                collector.finish();
                None
            }
            Some(Ok(piece)) => {
                collector.add(&piece);
                Some((Ok(piece), Some((pieces, collector))))
            }
            Some(Err(error)) => Some((Err(error), None)),
        }
    })
}

/// The text that becomes of headers, compressed.
struct Text {
    list: ListWriter,
    /// Nothing after a failure and at the end.
    encoder: Option<Encoder>,
    /// What was written of the current header.
    plain: Vec<u8>,
    failure: Option<io::Error>,
}

impl Text {
    fn new(list: ListWriter, coding: Coding) -> io::Result<Self> {
        Ok(Self {
            list,
            encoder: Some(Encoder::new(coding)?),
            plain: Vec::new(),
            failure: None,
        })
    }

    fn add(
        &mut self,
        instance: &InstanceRef,
        header: DataSet,
        windows: &SeriesWindows,
        dicom_web_url: &str,
        out: &mut Vec<u8>,
    ) {
        let Some(encoder) = &mut self.encoder else {
            return;
        };
        if encoder.is_identity() {
            return write(
                &mut self.list,
                instance,
                header,
                windows,
                dicom_web_url,
                out,
            );
        }
        let plain = &mut self.plain;
        plain.clear();
        write(
            &mut self.list,
            instance,
            header,
            windows,
            dicom_web_url,
            plain,
        );
        if let Err(error) = encoder.write(plain, out) {
            self.failure = Some(error);
            self.encoder = None;
        }
    }

    fn finish(&mut self) -> Result<Vec<u8>, Error> {
        let mut out = Vec::new();
        let ended = match (self.failure.take(), self.encoder.take()) {
            (None, Some(mut encoder)) => {
                self.plain.clear();
                self.list.finish(&mut self.plain);
                let written = encoder.write(&self.plain, &mut out);
                written.and_then(|()| encoder.finish(&mut out))
            }
            (Some(error), _) => Err(error),
            (None, None) => Err(io::Error::other("ended before")),
        };
        ended
            .map(|()| out)
            .map_err(|error| Error::caused(Kind::Internal, "metadata cannot be compressed", error))
    }
}

fn write(
    list: &mut ListWriter,
    instance: &InstanceRef,
    mut header: DataSet,
    windows: &SeriesWindows,
    dicom_web_url: &str,
    out: &mut Vec<u8>,
) {
    header.put_uid(
        tags::AVAILABLE_TRANSFER_SYNTAX_UID,
        &*instance.transfer_syntax_uid,
    );
    windows.fill_in(instance, &mut header);
    let bulk_url = format!("{}/bulkdata/", instance_url(dicom_web_url, instance));
    let uri = |path: &ElementPath| format!("{bulk_url}{path}");
    let options = ModelOptions {
        bulk_data_uri: Some(&uri),
        inline_max: INLINE_BYTES_MAX,
        ..ModelOptions::default()
    };
    list.add(&header, out, &options);
}

fn entity_tag(instances: &[InstanceRef], asked: &Asked, offer: Offer, coding: Coding) -> EntityTag {
    let (form, url) = (offer.describe(), asked.dicom_web_url());
    let mut parts: Vec<&[u8]> = vec![
        b"metadata",
        REVISION,
        form.as_bytes(),
        url.as_bytes(),
        coding.name().as_bytes(),
    ];
    for instance in instances {
        parts.push(instance.sop_instance_uid.as_bytes());
        parts.push(&instance.digest);
    }
    EntityTag::of(&parts)
}
