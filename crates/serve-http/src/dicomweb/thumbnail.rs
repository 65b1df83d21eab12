//! Retrieve thumbnails (PS3.18 10.4.1.4): always a picture, also of what has none.

use crate::accept::Offer;
use crate::conditional::EntityTag;
use crate::context::{Asked, Context, Resource};
use crate::dicomweb::frames::FrameList;
use crate::picture::{self, Form};
use crate::problem::Problem;
use crate::rendering_parameters::RenderingParameters;
use crate::reply::{self, Freshness};
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use gantry_archive::retrieve::{InstanceRef, PictureRequest, Presented};
use gantry_codec::render::{Format, IccOutput, Viewport};
use gantry_core::access::Right;

/// Pictures, the default first.
const OFFERS: &[Offer] = &[
    Offer::single("image/jpeg"),
    Offer::single("image/png"),
    Offer::single("image/gif"),
];
/// Quality of JPEG: they are small on the screen.
const QUALITY: u8 = 80;
/// Largest width and height.
const PIXELS_MAX: u32 = 1024;

/// `GET …/thumbnail` of a study, a series or an instance.
pub async fn retrieve(
    State(context): State<Context>,
    resource: Resource,
    asked: Asked,
) -> Result<Response, Problem> {
    let instances = resource
        .instances(&context, &asked.principal, Right::View)
        .await?;
    respond(&context, &asked, representative(&instances)?, None).await
}

/// `GET …/instances/{instance}/frames/{frames}/thumbnail` of one frame.
pub async fn of_frame(
    State(context): State<Context>,
    resource: Resource,
    frames: FrameList,
    asked: Asked,
) -> Result<Response, Problem> {
    let [number] = frames.numbers[..] else {
        return Err(Problem::bad_request("a thumbnail is of one frame"));
    };
    let instance = frames.instance(&context, &resource, &asked).await?;
    respond(&context, &asked, &instance, Some(number)).await
}

/// The middle image of the series that has most of them; without images anything.
fn representative(instances: &[InstanceRef]) -> Result<&InstanceRef, Problem> {
    let images: Vec<&InstanceRef> = instances
        .iter()
        .filter(|instance| picture::form(instance) == Form::Frames)
        .collect();
    let largest = images
        .chunk_by(|a, b| a.series_instance_uid == b.series_instance_uid)
        // Of several with as many the first.
        .rev()
        .max_by_key(|series| series.len());
    largest
        .and_then(|series| series.get(series.len() / 2).copied())
        .or_else(|| instances.first())
        .ok_or_else(|| Problem::not_found("there is no such instance"))
}

async fn respond(
    context: &Context,
    asked: &Asked,
    instance: &InstanceRef,
    number: Option<u32>,
) -> Result<Response, Problem> {
    let offer = asked.best(OFFERS)?;
    let format = picture::format(offer.media_type).unwrap_or(Format::Jpeg);
    let (width, height) = RenderingParameters::parse_thumbnail(&asked.query, PIXELS_MAX)?;
    let form = format!("{} {width} {height} {number:?}", offer.media_type);
    let presented = presented(context, asked, instance, number).await;
    let mut parts: Vec<&[u8]> = vec![b"thumbnail", &instance.digest, form.as_bytes()];
    if let Some(presented) = &presented {
        parts.push(&presented.image.digest);
    }
    let tag = EntityTag::of(&parts);
    if let Some(response) = reply::precondition(asked, &tag, Freshness::Immutable) {
        return Ok(response);
    }
    let shown = Shown {
        instance,
        number,
        presented,
    };
    let picture = thumbnail(context, shown, format, (width, height)).await;
    Ok(reply::with_pieces(
        asked,
        &tag,
        Freshness::Immutable,
        offer.media_type,
        vec![picture],
    ))
}

/// What a thumbnail is of.
struct Shown<'a> {
    instance: &'a InstanceRef,
    number: Option<u32>,
    /// What a presentation state shows.
    presented: Option<Presented>,
}

/// What a presentation state shows; nothing for other instances, and when it cannot be shown.
async fn presented(
    context: &Context,
    asked: &Asked,
    instance: &InstanceRef,
    number: Option<u32>,
) -> Option<Presented> {
    if picture::form(instance) != Form::PresentationState {
        return None;
    }
    let found = context
        .archive
        .presented(&asked.principal, instance, None, number)
        .await;
    found.ok()
}

/// A small picture, or a sign for what the instance is where it cannot be shown.
async fn thumbnail(
    context: &Context,
    shown: Shown<'_>,
    format: Format,
    (width, height): (u32, u32),
) -> Bytes {
    let Shown {
        instance,
        number,
        presented,
    } = shown;
    let form = picture::form(instance);
    if form == Form::Frames || presented.is_some() {
        let viewport = Viewport {
            width,
            height,
            x: None,
            y: None,
            region_width: None,
            region_height: None,
        };
        let request = PictureRequest {
            frame_number: number,
            viewport: Some(viewport),
            quality: Some(QUALITY),
            format,
            icc: IccOutput::No,
            ..PictureRequest::default()
        };
        let rendered = match &presented {
            Some(presented) => context.archive.render_presented(presented, &request).await,
            None => context.archive.render(instance, &request).await,
        };
        match rendered {
            Ok(picture) => return picture.bytes,
            Err(error) => {
                tracing::info!(
                    error = error.chain(),
                    "no thumbnail could be made of an image"
                );
            }
        }
    }
    Bytes::from_static(sign(form, format))
}

macro_rules! signs {
    ($name:literal) => {
        [
            include_bytes!(concat!("../../assets/", $name, ".jpg")).as_slice(),
            include_bytes!(concat!("../../assets/", $name, ".png")).as_slice(),
            include_bytes!(concat!("../../assets/", $name, ".gif")).as_slice(),
        ]
    };
}

const IMAGE: [&[u8]; 3] = signs!("image");
const VIDEO: [&[u8]; 3] = signs!("video");
const DOCUMENT: [&[u8]; 3] = signs!("document");
const REPORT: [&[u8]; 3] = signs!("report");
const WAVEFORM: [&[u8]; 3] = signs!("waveform");
const OTHER: [&[u8]; 3] = signs!("other");

/// The sign for a form, in a format.
fn sign(form: Form, format: Format) -> &'static [u8] {
    let [jpeg, png, gif] = match form {
        Form::Frames => IMAGE,
        Form::Video(_) => VIDEO,
        Form::Document => DOCUMENT,
        Form::Report => REPORT,
        Form::Waveform => WAVEFORM,
        Form::PresentationState | Form::Other => OTHER,
    };
    match format {
        Format::Jpeg => jpeg,
        Format::Png => png,
        Format::Gif => gif,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_has_a_sign_in_every_format() {
        let forms = [
            Form::Frames,
            Form::Video("video/mp4"),
            Form::Document,
            Form::Report,
            Form::PresentationState,
            Form::Waveform,
            Form::Other,
        ];
        for form in forms {
            assert!(
                sign(form, Format::Jpeg).starts_with(&[0xFF, 0xD8]),
                "{form:?}"
            );
            assert!(sign(form, Format::Png).starts_with(b"\x89PNG"), "{form:?}");
            assert!(sign(form, Format::Gif).starts_with(b"GIF8"), "{form:?}");
        }
    }
}
