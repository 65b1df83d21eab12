//! Pictures: frames rendered for people to look at.

use super::InstanceRef;
use super::facts::Facts;
use crate::Archive;
use crate::error::{Error, Result};
use bytes::Bytes;
use gantry_codec::render::presentation::Window;
use gantry_codec::render::{Format, IccOutput, Viewport};
use gantry_codec::{Presentation, RenderRequest, StoredFrame};
use gantry_core::failure::Kind;
use std::collections::HashMap;
use std::sync::Arc;

/// Longest look-up table or overlay that is read, in bytes.
const TABLE_BYTES_MAX: u64 = 64 << 20;

/// What picture is wanted.
#[derive(Debug, Clone)]
pub struct PictureRequest {
    /// The frame; the first is 1. Nothing means the one in the middle.
    pub frame_number: Option<u32>,
    /// A window instead of the object's own.
    pub window: Option<Window>,
    /// Region and size.
    pub viewport: Option<Viewport>,
    /// Quality of JPEG, 1 to 100.
    pub quality: Option<u8>,
    /// The media type.
    pub format: Format,
    /// Lines burnt into the picture.
    pub annotation: Vec<String>,
    /// What becomes of colour management.
    pub icc: IccOutput,
}

impl Default for PictureRequest {
    fn default() -> Self {
        Self {
            frame_number: None,
            window: None,
            viewport: None,
            quality: None,
            format: Format::Jpeg,
            annotation: Vec::new(),
            icc: IccOutput::No,
        }
    }
}

/// A picture.
#[derive(Debug, Clone)]
pub struct Picture {
    /// The encoded picture.
    pub bytes: Bytes,
    /// Its media type.
    pub media_type: &'static str,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

impl Archive {
    /// What the header says about showing a frame. Look-up tables and overlays that the header
    /// leaves in the stored object are read there.
    async fn presentation(
        &self,
        instance: &InstanceRef,
        facts: &Facts,
        frame_number: u32,
    ) -> Result<Presentation> {
        let frame = frame_number.saturating_sub(1);
        let mut values = HashMap::new();
        for deferred in Presentation::bulk_wanted(&facts.header, frame) {
            let range = deferred.offset..deferred.offset + deferred.length;
            if deferred.length > TABLE_BYTES_MAX {
                continue;
            }
            values.insert(
                deferred.offset,
                self.read_ranges(instance, vec![range]).await?,
            );
        }
        Ok(Presentation::from_data_set(
            &facts.header,
            frame,
            |deferred| values.get(&deferred.offset).cloned(),
        ))
    }

    /// Renders a frame.
    ///
    /// # Errors
    /// [`Kind::NotFound`] without that frame, [`Kind::Malformed`] for a viewport outside,
    /// [`Kind::Unsupported`] when the stored pixels cannot be decoded.
    pub async fn render(
        &self,
        instance: &InstanceRef,
        request: &PictureRequest,
    ) -> Result<Picture> {
        let facts = self.facts(instance).await?;
        let frame_number = request
            .frame_number
            .unwrap_or_else(|| instance.number_of_frames.max(1).div_ceil(2));
        let stored = self.stored_frame(instance, &facts, frame_number).await?;
        let syntax = stored.syntax.ok_or_else(|| {
            Error::new(
                Kind::Unsupported,
                "the stored transfer syntax cannot be decoded here",
            )
        })?;
        let presentation = self.presentation(instance, &facts, frame_number).await?;
        let frame = StoredFrame {
            image: Arc::new(facts.image()?),
            syntax,
            bytes: stored.bytes,
            first_bit: stored.first_bit,
        };
        let rendered = self
            .codecs()
            .render(
                frame,
                RenderRequest {
                    window: request.window,
                    viewport: request.viewport,
                    quality: request.quality,
                    format: request.format,
                    annotation: request.annotation.clone(),
                    icc: request.icc,
                    ..RenderRequest::new(Arc::new(presentation))
                },
            )
            .await?;
        Ok(Picture {
            bytes: rendered.bytes,
            media_type: rendered.format.media_type(),
            width: rendered.width,
            height: rendered.height,
        })
    }
}
