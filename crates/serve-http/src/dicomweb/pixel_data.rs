//! Retrieve pixel data (PS3.18 10.4.1.6): all frames of instances.

use crate::accept::Packaging;
use crate::conditional::EntityTag;
use crate::context::{Asked, Context, Resource, instance_url};
use crate::frame_choice::{self, FrameChoice};
use crate::multipart::writer::Writer;
use crate::problem::{Problem, Purpose};
use crate::reply::{self, Freshness};
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use gantry_archive::retrieve::{FrameTarget, InstanceRef};
use gantry_archive::{Archive, Error};
use gantry_core::access::Right;
use std::sync::Arc;

/// Frames that are decoded ahead of the one being sent.
const FRAMES_AHEAD: usize = 4;

/// `GET …/pixeldata` of a study, a series or an instance.
pub async fn retrieve(
    State(context): State<Context>,
    resource: Resource,
    asked: Asked,
) -> Result<Response, Problem> {
    let instances = resource
        .instances(&context, &asked.principal, Right::View)
        .await?;
    respond(&context, &asked, instances).await
}

/// Sends all frames: raw ones in one part for each instance, encoded ones in one part each.
///
/// # Errors
/// 404 when there are no frames, 406 when they cannot be had as asked.
pub async fn respond(
    context: &Context,
    asked: &Asked,
    instances: Vec<InstanceRef>,
) -> Result<Response, Problem> {
    let with_frames: Vec<InstanceRef> = instances
        .into_iter()
        .filter(|instance| instance.number_of_frames > 0)
        .collect();
    let (chosen, media_type) = choose_all(&context.archive, asked, with_frames)?;
    let tag = entity_tag(&chosen);
    if let Some(response) = reply::precondition(asked, &tag, Freshness::Immutable) {
        return Ok(response);
    }
    let writer = Writer::new(tag.as_str().as_bytes());
    let content_type = writer.content_type(media_type);
    let closing = writer.closing();
    let url = asked.dicom_web_url();
    let archive = context.archive.clone();
    let parts = stream::iter(chosen)
        .map(move |(instance, choice)| {
            let location = instance_url(&url, &instance);
            instance_parts(archive.clone(), writer.clone(), location, instance, choice)
        })
        .flatten();
    let mut parts = Box::pin(parts);
    let first = parts.next().await.transpose();
    let first = first.map_err(|error| Problem::from_archive(&error, Purpose::Retrieve))?;
    let body = stream::iter(first.map(Ok))
        .chain(parts)
        .chain(stream::iter([Ok(closing)]));
    Ok(reply::tagged(
        reply::with_stream(&content_type, None, body),
        &tag,
        Freshness::Immutable,
    ))
}

type Chosen = Vec<(InstanceRef, FrameChoice)>;

fn choose_all(
    archive: &Archive,
    asked: &Asked,
    instances: Vec<InstanceRef>,
) -> Result<(Chosen, &'static str), Problem> {
    let offers: Vec<_> = frame_choice::OFFERS
        .iter()
        .copied()
        .filter(|offer| offer.packaging == Packaging::Multipart)
        .collect();
    let acceptable = asked.acceptable(&offers)?;
    let mut chosen: Chosen = Vec::with_capacity(instances.len());
    for instance in instances {
        let choice =
            frame_choice::choose(&acceptable, &offers, &instance.transfer_syntax_uid, |uid| {
                archive.can_provide(&instance, uid)
            });
        let choice = choice.ok_or_else(|| {
            Problem::not_acceptable(&format!(
                "frames as stored ({}) with transfer-syntax=*",
                instance.transfer_syntax_uid
            ))
        })?;
        chosen.push((instance, choice));
    }
    match chosen.first() {
        Some((_, first)) => {
            let media_type = first.media_type;
            Ok((chosen, media_type))
        }
        None => Err(Problem::not_found("there are no frames")),
    }
}

fn instance_parts(
    archive: Arc<Archive>,
    writer: Writer,
    location: String,
    instance: InstanceRef,
    choice: FrameChoice,
) -> impl Stream<Item = Result<Bytes, Error>> + Send + 'static {
    let is_raw = choice.target == FrameTarget::Native;
    let count = instance.number_of_frames;
    let target = choice.target;
    let frames = stream::iter(1..=count)
        .map(move |number| {
            let (archive, instance) = (archive.clone(), instance.clone());
            async move {
                let frame = archive.frame(&instance, number, target).await?;
                Ok::<_, Error>((number, frame))
            }
        })
        .buffered(FRAMES_AHEAD);
    frames
        .map_ok(move |(number, frame)| {
            let content_type = format!(
                "{}; transfer-syntax={}",
                choice.media_type, frame.transfer_syntax_uid
            );
            let location = if is_raw {
                format!("{location}/pixeldata")
            } else {
                format!("{location}/frames/{number}")
            };
            let begins = !is_raw || number == 1;
            let ends = !is_raw || number == count;
            let head = begins.then(|| writer.part_head(&content_type, Some(&location)));
            let tail = ends.then(|| writer.part_tail());
            let pieces = [head, Some(frame.bytes), tail];
            stream::iter(pieces.into_iter().flatten().map(Ok::<_, Error>))
        })
        .try_flatten()
}

fn entity_tag(chosen: &[(InstanceRef, FrameChoice)]) -> EntityTag {
    let forms: Vec<String> = chosen
        .iter()
        .map(|(_, choice)| format!("{choice:?}"))
        .collect();
    let mut parts: Vec<&[u8]> = vec![b"pixel data"];
    for ((instance, _), form) in chosen.iter().zip(&forms) {
        parts.push(&instance.digest);
        parts.push(form.as_bytes());
    }
    EntityTag::of(&parts)
}
