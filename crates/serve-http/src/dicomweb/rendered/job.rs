//! The pictures and pages of a request, and how each is made.

use crate::picture::{self, Form};
use crate::rendering_parameters::RenderingParameters;
use crate::sr_html;
use bytes::Bytes;
use gantry_archive::retrieve::{InstanceRef, PictureRequest, Presented};
use gantry_archive::{Archive, Error};
use gantry_codec::render::Format;
use std::sync::Arc;

/// The pictures of instances: all frames of each, and of reports one page.
pub(super) fn jobs(instances: &[InstanceRef], media_type: &str, jobs_max: usize) -> Vec<Job> {
    let is_text = media_type == "text/html";
    let of_instance = |instance: &InstanceRef| {
        let numbers = match picture::form(instance) {
            Form::Frames if !is_text => 1..=instance.number_of_frames,
            Form::Report if is_text => 0..=0,
            _ => return Vec::new(),
        };
        numbers
            .map(|number| Job::new(instance, (number > 0).then_some(number)))
            .collect()
    };
    instances
        .iter()
        .flat_map(of_instance)
        .take(jobs_max)
        .collect()
}

/// A picture to make.
#[derive(Clone)]
pub(super) struct Job {
    /// The instance that is asked for.
    pub instance: InstanceRef,
    pub number: Option<u32>,
    /// What it shows, if it is a presentation state.
    pub presented: Option<Presented>,
}

impl Job {
    pub fn new(instance: &InstanceRef, number: Option<u32>) -> Self {
        Self {
            instance: instance.clone(),
            number,
            presented: None,
        }
    }
}

/// How pictures are made.
#[derive(Clone)]
pub(super) struct Maker {
    pub parameters: RenderingParameters,
    /// Nothing for reports.
    pub format: Option<Format>,
    pub needs_header: bool,
}

/// A picture or a page that is made.
pub(super) struct Part {
    pub instance: InstanceRef,
    pub number: Option<u32>,
    pub bytes: Bytes,
}

/// Makes a picture or a page.
pub(super) async fn render(archive: Arc<Archive>, job: Job, maker: Maker) -> Result<Part, Error> {
    let Job {
        instance,
        number,
        presented,
    } = job;
    let shown = presented.as_ref().map_or(&instance, |shown| &shown.image);
    let bytes = match maker.format {
        Some(format) => {
            let header = if maker.needs_header {
                Some(archive.header(shown).await?)
            } else {
                None
            };
            let request: PictureRequest =
                picture::request(&maker.parameters, number, format, header.as_ref());
            match &presented {
                Some(presented) => archive.render_presented(presented, &request).await?.bytes,
                None => archive.render(&instance, &request).await?.bytes,
            }
        }
        None => {
            let header = archive.header(&instance).await?;
            Bytes::from(sr_html::render(&header))
        }
    };
    Ok(Part {
        instance,
        number,
        bytes,
    })
}
