//! Retrieve rendered resources (PS3.18 10.4.1.3): pictures, videos, documents and reports as
//! people's programs show them.

mod job;

use crate::accept::{Acceptable, Offer, Packaging, describe};
use crate::conditional::EntityTag;
use crate::context::{Asked, Context, Resource, instance_url};
use crate::dicomweb::bulk_data::{self, ValueAt};
use crate::dicomweb::frames::{self, FrameList};
use crate::multipart::writer::Writer;
use crate::picture::{self, Form};
use crate::problem::{Problem, Purpose};
use crate::rendering_parameters::RenderingParameters;
use crate::reply::{self, Freshness};
use axum::extract::State;
use axum::response::Response;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use gantry_archive::Error;
use gantry_archive::retrieve::InstanceRef;
use gantry_core::access::Right;
use gantry_core::level::Level;
use gantry_dicom::tags;
use job::{Job, Maker, Part, jobs, render};

/// Pictures, the default first.
const PICTURES: &[Offer] = &[
    Offer::single("image/jpeg"),
    Offer::single("image/png"),
    Offer::single("image/gif"),
    Offer::multipart("image/jpeg"),
    Offer::multipart("image/png"),
    Offer::multipart("image/gif"),
];
/// Reports.
const REPORTS: &[Offer] = &[Offer::single("text/html"), Offer::multipart("text/html")];
/// Renderings of several instances or frames.
const PARTS: &[Offer] = &[
    Offer::multipart("image/jpeg"),
    Offer::multipart("image/png"),
    Offer::multipart("image/gif"),
    Offer::multipart("text/html"),
];
/// Pictures that are made ahead of the one being sent.
const PICTURES_AHEAD: usize = 4;

/// `GET …/instances/{instance}/frames/{frames}/rendered`.
pub async fn frames(
    State(context): State<Context>,
    resource: Resource,
    frames: FrameList,
    asked: Asked,
) -> Result<Response, Problem> {
    let rendering = Rendering::parse(&context, &asked)?;
    let instance = frames::single(
        resource
            .instances(&context, &asked.principal, Right::View)
            .await?,
    )?;
    if picture::form(&instance) == Form::PresentationState {
        let numbers = frames.numbers.into_iter().map(Some).collect();
        return rendering.presented(&instance, numbers).await;
    }
    let instance = frames.of(instance)?;
    let jobs = frames.numbers.into_iter();
    let jobs = jobs.map(|number| Job::new(&instance, Some(number)));
    rendering.pictures(jobs.collect()).await
}

/// `GET …/rendered` of a study, a series or an instance.
pub async fn retrieve(
    State(context): State<Context>,
    resource: Resource,
    asked: Asked,
) -> Result<Response, Problem> {
    let rendering = Rendering::parse(&context, &asked)?;
    let instances = resource
        .instances(&context, &asked.principal, Right::View)
        .await?;
    if resource.level() == Level::Instance {
        return rendering.instance(frames::single(instances)?).await;
    }
    let acceptable = asked.acceptable(PARTS)?;
    let media_type = first_multipart(&acceptable, PARTS)?.media_type;
    let jobs = jobs(&instances, media_type, context.config.frames_max);
    if jobs.is_empty() {
        return Err(Problem::not_acceptable(&describe(PARTS)));
    }
    rendering.many(jobs, media_type).await
}

fn best(acceptable: &[Acceptable], offers: &'static [Offer]) -> Option<&'static Offer> {
    offers.get(acceptable.first()?.offer)
}

fn first_multipart(
    acceptable: &[Acceptable],
    offers: &'static [Offer],
) -> Result<&'static Offer, Problem> {
    acceptable
        .iter()
        .filter_map(|entry| offers.get(entry.offer))
        .find(|offer| offer.packaging == Packaging::Multipart)
        .ok_or_else(|| Problem::not_acceptable(&describe(PARTS)))
}

/// A request for renderings.
struct Rendering<'a> {
    context: &'a Context,
    asked: &'a Asked,
    parameters: RenderingParameters,
    wants_text: bool,
}

impl<'a> Rendering<'a> {
    fn parse(context: &'a Context, asked: &'a Asked) -> Result<Self, Problem> {
        let parameters =
            RenderingParameters::parse(&asked.query, context.config.rendered_pixels_max)?;
        let wants_text = parameters.annotation.patient || parameters.annotation.technique;
        Ok(Self {
            context,
            asked,
            parameters,
            wants_text,
        })
    }

    async fn instance(&self, instance: InstanceRef) -> Result<Response, Problem> {
        match picture::form(&instance) {
            Form::Frames => {
                let acceptable = self.asked.acceptable(PICTURES)?;
                match best(&acceptable, PICTURES) {
                    Some(offer) if offer.packaging == Packaging::Single => {
                        self.one(Job::new(&instance, None), offer.media_type).await
                    }
                    _ => {
                        let media_type = first_multipart(&acceptable, PICTURES)?.media_type;
                        let jobs_max = self.context.config.frames_max;
                        self.many(jobs(&[instance], media_type, jobs_max), media_type)
                            .await
                    }
                }
            }
            Form::Video(media_type) => self.video(instance, media_type).await,
            Form::Document => self.document(instance).await,
            Form::PresentationState => self.presented(&instance, vec![None]).await,
            Form::Report => {
                let acceptable = self.asked.acceptable(REPORTS)?;
                match best(&acceptable, REPORTS) {
                    Some(offer) if offer.packaging == Packaging::Single => {
                        self.one(Job::new(&instance, None), offer.media_type).await
                    }
                    _ => {
                        self.many(vec![Job::new(&instance, None)], "text/html")
                            .await
                    }
                }
            }
            Form::Waveform | Form::Other => {
                Err(Problem::not_found("the instance has no rendering"))
            }
        }
    }

    /// The image that a presentation state refers to, as it says (PS3.18 8.3.5); numbers are
    /// those of the image's frames.
    async fn presented(
        &self,
        state: &InstanceRef,
        numbers: Vec<Option<u32>>,
    ) -> Result<Response, Problem> {
        if self.parameters.window.is_some() {
            return Err(Problem::bad_request(
                "a window does not go with a presentation state",
            ));
        }
        let (archive, principal) = (&self.context.archive, &self.asked.principal);
        let mut jobs: Vec<Job> = Vec::new();
        for number in numbers {
            let first = jobs.first().and_then(|job| job.presented.as_ref());
            let image = first.map(|first| &first.image);
            let presented = archive.presented(principal, state, image, number).await;
            jobs.push(Job {
                presented: Some(presented.map_err(failed)?),
                ..Job::new(state, number)
            });
        }
        self.pictures(jobs).await
    }

    /// Pictures: one as the body if that is liked best, several in parts.
    async fn pictures(&self, jobs: Vec<Job>) -> Result<Response, Problem> {
        let acceptable = self.asked.acceptable(PICTURES)?;
        match (jobs.as_slice(), best(&acceptable, PICTURES)) {
            ([job], Some(offer)) if offer.packaging == Packaging::Single => {
                self.one(job.clone(), offer.media_type).await
            }
            _ => {
                let offer = first_multipart(&acceptable, PICTURES)?;
                self.many(jobs, offer.media_type).await
            }
        }
    }

    /// One picture or report as the body.
    async fn one(&self, job: Job, media_type: &str) -> Result<Response, Problem> {
        let tag = self.entity_tag(std::slice::from_ref(&job), media_type);
        if let Some(response) = reply::precondition(self.asked, &tag, Freshness::Immutable) {
            return Ok(response);
        }
        let part = render(self.context.archive.clone(), job, self.maker(media_type)).await;
        let part = part.map_err(failed)?;
        let content_type = content_type_of(media_type);
        Ok(reply::with_pieces(
            self.asked,
            &tag,
            Freshness::Immutable,
            content_type,
            vec![part.bytes],
        ))
    }

    /// Several, in parts.
    async fn many(&self, jobs: Vec<Job>, media_type: &'static str) -> Result<Response, Problem> {
        let tag = self.entity_tag(&jobs, media_type);
        if let Some(response) = reply::precondition(self.asked, &tag, Freshness::Immutable) {
            return Ok(response);
        }
        let writer = Writer::new(tag.as_str().as_bytes());
        let content_type = writer.content_type(media_type);
        let closing = writer.closing();
        let mut parts = self.parts(jobs, media_type);
        let first = parts.next().await.transpose().map_err(failed)?;
        let url = self.asked.dicom_web_url();
        let parts = stream::iter(first.map(Ok))
            .chain(parts)
            .map_ok(move |part: Part| {
                let location = instance_url(&url, &part.instance);
                let location = match part.number {
                    Some(number) => format!("{location}/frames/{number}/rendered"),
                    None => format!("{location}/rendered"),
                };
                let head = writer.part_head(content_type_of(media_type), Some(&location));
                stream::iter([head, part.bytes, writer.part_tail()].map(Ok::<_, Error>))
            });
        let body = parts.try_flatten().chain(stream::iter([Ok(closing)]));
        let response = reply::with_stream(&content_type, None, body);
        Ok(reply::tagged(response, &tag, Freshness::Immutable))
    }

    fn parts(
        &self,
        jobs: Vec<Job>,
        media_type: &'static str,
    ) -> impl Stream<Item = Result<Part, Error>> + Send + Unpin + 'static {
        let archive = self.context.archive.clone();
        let maker = self.maker(media_type);
        let made = stream::iter(jobs).map(move |job| render(archive.clone(), job, maker.clone()));
        Box::pin(made.buffered(PICTURES_AHEAD))
    }

    fn maker(&self, media_type: &str) -> Maker {
        Maker {
            parameters: self.parameters.clone(),
            format: picture::format(media_type),
            needs_header: self.wants_text,
        }
    }

    /// A video as it is stored, with ranges.
    async fn video(
        &self,
        instance: InstanceRef,
        media_type: &'static str,
    ) -> Result<Response, Problem> {
        let offers = [Offer::single(media_type)];
        self.asked.acceptable(&offers)?;
        self.stored(instance, media_type, tags::PIXEL_DATA).await
    }

    /// An encapsulated document as it is stored.
    async fn document(&self, instance: InstanceRef) -> Result<Response, Problem> {
        let header = self
            .context
            .archive
            .header(&instance)
            .await
            .map_err(failed)?;
        let media_type = bulk_data::media_type(&instance, &header, tags::ENCAPSULATED_DOCUMENT);
        // Whoever asks for the rendering of a PDF wants the PDF, whatever else the browser's Accept
        // lists. A page, which a browser would run, has to be asked for.
        if media_type == "text/html" {
            self.asked.acceptable(&[Offer::single("text/html")])?;
        }
        self.stored(instance, &media_type, tags::ENCAPSULATED_DOCUMENT)
            .await
    }

    async fn stored(
        &self,
        instance: InstanceRef,
        media_type: &str,
        element: gantry_dicom::Tag,
    ) -> Result<Response, Problem> {
        let path = format!("{:04X}{:04X}", element.0, element.1);
        let tag = EntityTag::of(&[b"rendered", &instance.digest, path.as_bytes()]);
        if let Some(response) = reply::precondition(self.asked, &tag, Freshness::Immutable) {
            return Ok(response);
        }
        let value = ValueAt {
            archive: self.context.archive.clone(),
            instance,
            path,
        };
        bulk_data::respond_single(self.asked, value, media_type, &tag).await
    }

    fn entity_tag(&self, jobs: &[Job], media_type: &str) -> EntityTag {
        let form = format!("{media_type} {:?}", self.parameters);
        let numbers: Vec<[u8; 4]> = jobs
            .iter()
            .map(|job| job.number.unwrap_or(0).to_le_bytes())
            .collect();
        let mut parts: Vec<&[u8]> = vec![b"rendered", form.as_bytes()];
        for (job, number) in jobs.iter().zip(&numbers) {
            parts.push(&job.instance.digest);
            parts.push(number);
            if let Some(presented) = &job.presented {
                parts.push(&presented.image.digest);
            }
        }
        EntityTag::of(&parts)
    }
}

fn failed(error: Error) -> Problem {
    Problem::from_archive(&error, Purpose::Retrieve)
}

/// HTML says its own character set, and that it may load nothing.
fn content_type_of(media_type: &str) -> &str {
    if media_type == "text/html" {
        "text/html; charset=utf-8"
    } else {
        media_type
    }
}
