//! Pictures: frames rendered for people to look at.

use super::InstanceRef;
use super::facts::Facts;
use crate::Archive;
use crate::error::{Error, Result};
use bytes::Bytes;
use gantry_codec::render::presentation::Window;
use gantry_codec::render::{Format, IccOutput, Rendered, Viewport};
use gantry_codec::{Presentation, RenderRequest};
use gantry_core::failure::Kind;
use gantry_dicom::data_set::{DataSet, Value};
use gantry_dicom::tags;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Longest look-up table or overlay that is read, in bytes.
const TABLE_BYTES_MAX: u64 = 64 << 20;
/// Most frames of a moving picture, and most bytes of them as they are stored.
const MOVING_FRAMES_MAX: u32 = 2000;
const MOVING_BYTES_MAX: usize = 256 << 20;
/// How long a frame is shown at least, at most, and where the object does not say; milliseconds.
const FRAME_TIME_MIN: f64 = 20.0;
const FRAME_TIME_MAX: f64 = 10_000.0;
const FRAME_TIME_DEFAULT: f64 = 100.0;

/// What picture is wanted.
#[derive(Debug, Clone)]
pub struct PictureRequest {
    /// The frame; the first is 1. Nothing means the one in the middle, of a GIF all of them.
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

impl From<Rendered> for Picture {
    fn from(rendered: Rendered) -> Self {
        Self {
            bytes: rendered.bytes,
            media_type: rendered.format.media_type(),
            width: rendered.width,
            height: rendered.height,
        }
    }
}

impl Archive {
    /// The look-up tables and overlays of a frame that the header leaves in the stored object, by
    /// their offsets.
    pub(super) async fn bulk_of_presentation(
        &self,
        instance: &InstanceRef,
        facts: &Facts,
        frame_number: u32,
    ) -> Result<HashMap<u64, Bytes>> {
        let frame = frame_number.saturating_sub(1);
        let mut values = HashMap::new();
        for element in Presentation::bulk_wanted(&facts.header, frame) {
            let Value::Deferred(deferred) = element.value else {
                continue;
            };
            if deferred.length > TABLE_BYTES_MAX {
                continue;
            }
            let value = self.value(instance, facts, &element, None).await?.stream;
            let bytes = value.collect(TABLE_BYTES_MAX as usize).await?;
            values.insert(deferred.offset, bytes);
        }
        Ok(values)
    }

    /// What the header says about showing a frame.
    async fn presentation(
        &self,
        instance: &InstanceRef,
        facts: &Facts,
        frame_number: u32,
    ) -> Result<Presentation> {
        let values = self
            .bulk_of_presentation(instance, facts, frame_number)
            .await?;
        Ok(Presentation::from_data_set(
            &facts.header,
            frame_number.saturating_sub(1),
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
        let is_moving = request.format == Format::Gif
            && request.frame_number.is_none()
            && instance.number_of_frames > 1;
        let rendered = if is_moving {
            self.moving(instance, &facts, request).await?
        } else {
            let frame_number = request
                .frame_number
                .unwrap_or_else(|| instance.number_of_frames.max(1).div_ceil(2));
            let stored = self.stored_frame(instance, &facts, frame_number).await?;
            let frame = stored.coded(&facts)?;
            let presentation = self.presentation(instance, &facts, frame_number).await?;
            let request = render_request(request, presentation);
            self.codecs().render(frame, request).await?
        };
        Ok(rendered.into())
    }

    /// All frames as one moving picture (PS3.18 8.7.4: GIF is for single and multi-frame images),
    /// shown as the first frame is.
    async fn moving(
        &self,
        instance: &InstanceRef,
        facts: &Facts,
        request: &PictureRequest,
    ) -> Result<Rendered> {
        let too_large = || {
            Error::new(
                Kind::OutOfResources,
                "the frames are too many for a moving picture",
            )
        };
        if instance.number_of_frames > MOVING_FRAMES_MAX {
            return Err(too_large());
        }
        let delays = frame_times(&facts.header);
        let (mut frames, mut total) = (Vec::new(), 0);
        for frame_number in 1..=instance.number_of_frames {
            let stored = self.stored_frame(instance, facts, frame_number).await?;
            total += stored.bytes.len();
            if total > MOVING_BYTES_MAX {
                return Err(too_large());
            }
            let delay = delays.of(frame_number);
            frames.push((stored.coded(facts)?, delay));
        }
        let presentation = self.presentation(instance, facts, 1).await?;
        let request = render_request(request, presentation);
        Ok(self.codecs().animate(frames, request).await?)
    }
}

/// What the codecs are asked for.
pub(super) fn render_request(
    request: &PictureRequest,
    presentation: Presentation,
) -> RenderRequest {
    RenderRequest {
        window: request.window,
        viewport: request.viewport,
        quality: request.quality,
        format: request.format,
        annotation: request.annotation.clone(),
        icc: request.icc,
        ..RenderRequest::new(Arc::new(presentation))
    }
}

/// How long frames are shown (PS3.3 C.7.6.5).
#[derive(Debug, PartialEq)]
struct FrameTimes {
    /// Of all frames, in milliseconds.
    common: f64,
    /// Increments from frame to frame, in milliseconds; the first is 0.
    vector: Vec<f64>,
}

impl FrameTimes {
    fn of(&self, frame_number: u32) -> Duration {
        // A frame is shown until the next one is due.
        let own = self.vector.get(frame_number as usize).copied();
        let milliseconds = own.filter(|time| *time > 0.0).unwrap_or(self.common);
        Duration::from_secs_f64(milliseconds.clamp(FRAME_TIME_MIN, FRAME_TIME_MAX) / 1000.0)
    }
}

fn frame_times(header: &DataSet) -> FrameTimes {
    let positive = |tag| header.decimal(tag).filter(|number| *number > 0.0);
    let by_rate = |tag| positive(tag).map(|rate| 1000.0 / rate);
    FrameTimes {
        common: positive(tags::FRAME_TIME)
            .or_else(|| by_rate(tags::RECOMMENDED_DISPLAY_FRAME_RATE))
            .or_else(|| by_rate(tags::CINE_RATE))
            .unwrap_or(FRAME_TIME_DEFAULT),
        vector: header.decimals(tags::FRAME_TIME_VECTOR),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gantry_dicom::Vr;

    #[test]
    fn frames_are_shown_as_long_as_the_header_says() {
        let mut header = DataSet::new();
        assert_eq!(frame_times(&header).of(1), Duration::from_millis(100));
        header.put_text(tags::CINE_RATE, Vr::IS, "20");
        assert_eq!(frame_times(&header).of(1), Duration::from_millis(50));
        header.put_text(tags::FRAME_TIME, Vr::DS, "40");
        assert_eq!(frame_times(&header).of(1), Duration::from_millis(40));
        header.put_text(tags::FRAME_TIME_VECTOR, Vr::DS, "0\\200\\300");
        let times = frame_times(&header);
        let shown = [1, 2, 3].map(|number| times.of(number).as_millis());
        assert_eq!(shown, [200, 300, 40]);
        header.put_text(tags::FRAME_TIME, Vr::DS, "1e99");
        assert_eq!(frame_times(&header).of(3), Duration::from_secs(10));
    }
}
