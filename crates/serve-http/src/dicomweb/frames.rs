//! Retrieve frames (PS3.18 10.4.1.6).

use crate::accept::Packaging;
use crate::conditional::EntityTag;
use crate::context::{Asked, Context, Resource, instance_url};
use crate::frame_choice::{self, FrameChoice};
use crate::multipart::writer::Writer;
use crate::problem::{Problem, Purpose};
use crate::reply::{self, Freshness};
use axum::extract::{FromRequestParts, RawPathParams, State};
use axum::http::request::Parts;
use axum::response::Response;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use gantry_archive::retrieve::{Frame, FrameTarget, InstanceRef};
use gantry_archive::{Archive, Error};
use gantry_core::access::Right;
use gantry_dicom::transfer_syntax::{self, Family};
use std::sync::Arc;

/// Frames that are decoded ahead of the one being sent.
const FRAMES_AHEAD: usize = 4;

/// `GET …/instances/{instance}/frames/{frames}`.
pub async fn retrieve(
    State(context): State<Context>,
    resource: Resource,
    frames: FrameList,
    asked: Asked,
) -> Result<Response, Problem> {
    let instance = frames.instance(&context, &resource, &asked).await?;
    let numbers = frames.numbers;
    let choice = choose(&context, &asked, &instance, numbers.len())?;
    respond(&context, &asked, instance, numbers, &choice).await
}

/// The only instance of a selection that names one.
///
/// # Errors
/// 404 when there is none.
pub fn single(instances: Vec<InstanceRef>) -> Result<InstanceRef, Problem> {
    instances
        .into_iter()
        .next()
        .ok_or_else(|| Problem::not_found("there is no such instance"))
}

/// The frames that a path names (PS3.18 10.4.1.1.4).
#[derive(Debug)]
pub struct FrameList {
    /// Their numbers from 1, at least one, in the order of the path.
    pub numbers: Vec<u32>,
}

impl FrameList {
    /// The instance that has these frames.
    ///
    /// # Errors
    /// 404 when there is no such instance or it has not all of them.
    pub async fn instance(
        &self,
        context: &Context,
        resource: &Resource,
        asked: &Asked,
    ) -> Result<InstanceRef, Problem> {
        self.of(single(
            resource
                .instances(context, &asked.principal, Right::View)
                .await?,
        )?)
    }

    /// The instance, if it has these frames.
    ///
    /// # Errors
    /// 404 when it has not all of them.
    pub fn of(&self, instance: InstanceRef) -> Result<InstanceRef, Problem> {
        let count = instance.number_of_frames;
        match self.numbers.iter().find(|&&number| number > count) {
            None => Ok(instance),
            Some(number) => Err(Problem::not_found(format!(
                "there is no frame {number}, the instance has {count}"
            ))),
        }
    }
}

impl FromRequestParts<Context> for FrameList {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, context: &Context) -> Result<Self, Problem> {
        let path = RawPathParams::from_request_parts(parts, context)
            .await
            .map_err(|_| Problem::bad_request("path is not UTF-8"))?;
        let list = path.iter().find(|(name, _)| *name == "frames");
        let list = list.map(|(_, list)| list).unwrap_or_default();
        frame_choice::parse_frame_list(list, context.config.frames_max)
            .map(|numbers| Self { numbers })
            .ok_or_else(|| Problem::bad_request("frame list is malformed or too long"))
    }
}

fn choose(
    context: &Context,
    asked: &Asked,
    instance: &InstanceRef,
    count: usize,
) -> Result<FrameChoice, Problem> {
    // Several frames cannot be one body (PS3.18 10.4.4).
    let offers: Vec<_> = frame_choice::OFFERS
        .iter()
        .copied()
        .filter(|offer| count == 1 || offer.packaging == Packaging::Multipart)
        .collect();
    let acceptable = asked.acceptable(&offers)?;
    frame_choice::choose(&acceptable, &offers, &instance.transfer_syntax_uid, |uid| {
        context.archive.can_provide(instance, uid)
    })
    .ok_or_else(|| {
        Problem::not_acceptable(&format!(
            "frames as stored ({}) with transfer-syntax=*",
            instance.transfer_syntax_uid
        ))
    })
}

/// Sends frames as chosen; one frame from memory with ranges, several as a stream.
pub async fn respond(
    context: &Context,
    asked: &Asked,
    instance: InstanceRef,
    numbers: Vec<u32>,
    choice: &FrameChoice,
) -> Result<Response, Problem> {
    let tag = entity_tag(&instance, &numbers, choice);
    if let Some(response) = reply::precondition(asked, &tag, Freshness::Immutable) {
        return Ok(response);
    }
    let failed = |error: Error| Problem::from_archive(&error, Purpose::Retrieve);
    let writer = Writer::new(tag.as_str().as_bytes());
    let location = instance_url(&asked.dicom_web_url(), &instance);
    let media_type = choice.media_type;
    if let [number] = *numbers.as_slice() {
        let frame = fetch(&context.archive, &instance, number, choice)
            .await
            .map_err(failed)?;
        return Ok(one_frame(
            asked, &tag, &writer, &location, number, frame, choice,
        ));
    }
    let mut frames = frame_stream(context.archive.clone(), instance, numbers, choice.clone());
    // A failure of the first frame can still be told by the status.
    let first = frames.next().await.transpose().map_err(failed)?;
    let content_type = writer.content_type(media_type);
    let closing = writer.closing();
    let parts = stream::iter(first.map(Ok))
        .chain(frames)
        .map_ok(move |(number, frame)| {
            let head = part_head(&writer, media_type, &frame, &location, number);
            stream::iter([head, frame.bytes, writer.part_tail()].map(Ok::<_, Error>))
        });
    let body = parts.try_flatten().chain(stream::iter([Ok(closing)]));
    Ok(reply::tagged(
        reply::with_stream(&content_type, None, body),
        &tag,
        Freshness::Immutable,
    ))
}

fn one_frame(
    asked: &Asked,
    tag: &EntityTag,
    writer: &Writer,
    location: &str,
    number: u32,
    frame: Frame,
    choice: &FrameChoice,
) -> Response {
    match choice.packaging {
        Packaging::Single => {
            let content_type = labelled(choice.media_type, &frame);
            reply::with_pieces(
                asked,
                tag,
                Freshness::Immutable,
                &content_type,
                vec![frame.bytes],
            )
        }
        Packaging::Multipart => {
            let head = part_head(writer, choice.media_type, &frame, location, number);
            let pieces = vec![head, frame.bytes, writer.part_tail(), writer.closing()];
            let content_type = writer.content_type(choice.media_type);
            reply::with_pieces(asked, tag, Freshness::Immutable, &content_type, pieces)
        }
    }
}

fn part_head(
    writer: &Writer,
    media_type: &str,
    frame: &Frame,
    location: &str,
    number: u32,
) -> Bytes {
    let content_type = labelled(media_type, frame);
    writer.part_head(&content_type, Some(&format!("{location}/frames/{number}")))
}

fn labelled(media_type: &str, frame: &Frame) -> String {
    format!(
        "{media_type}; transfer-syntax={}",
        frame.transfer_syntax_uid
    )
}

fn frame_stream(
    archive: Arc<Archive>,
    instance: InstanceRef,
    numbers: Vec<u32>,
    choice: FrameChoice,
) -> impl Stream<Item = Result<(u32, Frame), Error>> + Send + Unpin + 'static {
    let fetches = stream::iter(numbers).map(move |number| {
        let (archive, instance, choice) = (archive.clone(), instance.clone(), choice.clone());
        async move { Ok((number, fetch(&archive, &instance, number, &choice).await?)) }
    });
    Box::pin(fetches.buffered(FRAMES_AHEAD))
}

/// Gets a frame. A client that takes any syntax gets raw cells where browsers' decoders are known
/// to fail.
async fn fetch(
    archive: &Archive,
    instance: &InstanceRef,
    number: u32,
    choice: &FrameChoice,
) -> Result<Frame, Error> {
    let frame = archive.frame(instance, number, choice.target).await?;
    let family = transfer_syntax::lookup(&instance.transfer_syntax_uid).map(|syntax| syntax.family);
    let is_jpeg_2000 = matches!(
        family,
        Some(Family::Jpeg2000 | Family::HighThroughputJpeg2000)
    );
    let is_avoided = choice.is_any
        && choice.target == FrameTarget::AsStored
        && is_jpeg_2000
        && frame_choice::has_subsampled_components(&frame.bytes);
    if is_avoided {
        return archive.frame(instance, number, FrameTarget::Native).await;
    }
    Ok(frame)
}

fn entity_tag(instance: &InstanceRef, numbers: &[u32], choice: &FrameChoice) -> EntityTag {
    let numbers: Vec<u8> = numbers
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect();
    let form = format!("{choice:?}");
    let identity = instance.sop_instance_uid.as_bytes();
    EntityTag::of(&[
        b"frames",
        &instance.digest,
        identity,
        &numbers,
        form.as_bytes(),
    ])
}
