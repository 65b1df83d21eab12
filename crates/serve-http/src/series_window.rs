//! Window values for images that have none.
//!
//! Browsers' viewers make a window of the first image they happen to show when the header gives
//! none; an empty first slice makes a white series of it. So metadata of such images carry a
//! window that is found once for the series, in its middle image.

use crate::context::Context;
use gantry_archive::retrieve::{FrameTarget, InstanceRef};
use gantry_dicom::data_set::DataSet;
use gantry_dicom::{Vr, tags};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Series whose windows are remembered.
const REMEMBERED_MAX: usize = 4096;
/// Samples that are looked at.
const SAMPLES_MAX: usize = 1 << 18;
/// Series of one request for which windows are sought.
const SERIES_MAX: usize = 64;
/// Share of the samples that may lie outside of the window at either end, in thousandths.
const OUTSIDE_THOUSANDTHS: usize = 5;

/// A window: center and width.
type Window = (f64, f64);

/// Windows that were found before, by the digest of the image they were found in.
#[derive(Debug, Default)]
pub struct WindowMemory {
    found: Mutex<HashMap<[u8; 32], Option<Window>>>,
}

impl WindowMemory {
    fn find(&self, digest: &[u8; 32]) -> Option<Option<Window>> {
        self.found
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(digest)
            .copied()
    }

    fn keep(&self, digest: [u8; 32], window: Option<Window>) {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if found.len() >= REMEMBERED_MAX {
            // Finding one again costs milliseconds; what was asked lately is not worth a list.
            found.clear();
        }
        found.insert(digest, window);
    }
}

/// The windows of the series of one request.
#[derive(Debug, Default)]
pub struct SeriesWindows {
    by_series: HashMap<Arc<str>, Window>,
}

impl SeriesWindows {
    /// Gives the header of an image without a window that of its series.
    pub fn fill_in(&self, instance: &InstanceRef, header: &mut DataSet) {
        if let Some(window) = self.by_series.get(&instance.series_instance_uid)
            && needs_window(header)
        {
            put(header, *window);
        }
    }
}

fn put(header: &mut DataSet, (center, width): Window) {
    header.put_decimal(tags::WINDOW_CENTER, center);
    header.put_decimal(tags::WINDOW_WIDTH, width);
}

/// Finds the windows of the series that these instances belong to. What cannot be found is left
/// out: metadata must not fail for want of a window.
pub async fn of_instances(context: &Context, instances: &[InstanceRef]) -> SeriesWindows {
    let mut by_series = HashMap::new();
    let series = instances.chunk_by(|a, b| a.series_instance_uid == b.series_instance_uid);
    for of_series in series.take(SERIES_MAX) {
        let with_frames: Vec<&InstanceRef> = of_series
            .iter()
            .filter(|instance| instance.number_of_frames > 0)
            .collect();
        let Some(middle) = with_frames.get(with_frames.len() / 2) else {
            continue;
        };
        if let Some(window) = of_image(context, middle).await {
            by_series.insert(middle.series_instance_uid.clone(), window);
        }
    }
    SeriesWindows { by_series }
}

async fn of_image(context: &Context, image: &InstanceRef) -> Option<Window> {
    if let Some(known) = context.windows.find(&image.digest) {
        return known;
    }
    let window = find(context, image).await;
    context.windows.keep(image.digest, window);
    window
}

async fn find(context: &Context, image: &InstanceRef) -> Option<Window> {
    let header = context.archive.header(image).await.ok()?;
    if !needs_window(&header) {
        return None;
    }
    let cells = Cells::of(&header)?;
    let middle = image.number_of_frames.div_ceil(2).max(1);
    let frame = context
        .archive
        .frame(image, middle, FrameTarget::Native)
        .await;
    match frame {
        Ok(frame) => tokio::task::spawn_blocking(move || cells.window(&frame.bytes))
            .await
            .ok()
            .flatten(),
        Err(error) => {
            tracing::debug!(error = error.chain(), "no window was found for a series");
            None
        }
    }
}

/// Grey images without window and without VOI LUT, at the top or in functional groups.
fn needs_window(header: &DataSet) -> bool {
    let is_grey = header
        .ascii(tags::PHOTOMETRIC_INTERPRETATION)
        .is_some_and(|text| text.starts_with("MONOCHROME"));
    let has_value = |tag| header.get(tag).is_some_and(|element| !element.is_empty());
    let in_groups = |groups: &[DataSet]| {
        groups
            .iter()
            .any(|group| !group.items(tags::FRAME_VOILUT_SEQUENCE).is_empty())
    };
    is_grey
        && !has_value(tags::WINDOW_CENTER)
        && header.items(tags::VOILUT_SEQUENCE).is_empty()
        && !in_groups(header.items(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE))
        && !in_groups(header.items(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE))
}

/// How cells of raw pixel data are to be read (PS3.5 8.1.1) and what their values mean.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Cells {
    bytes: usize,
    /// Bits above the value in a cell, and bits below it.
    shift_left: u32,
    shift_right: u32,
    is_signed: bool,
    slope: f64,
    intercept: f64,
    padding: Option<(i64, i64)>,
}

impl Cells {
    fn of(header: &DataSet) -> Option<Self> {
        let number = |tag| {
            header
                .integer(tag)
                .and_then(|number| u32::try_from(number).ok())
        };
        let allocated = number(tags::BITS_ALLOCATED)?;
        let stored = number(tags::BITS_STORED).unwrap_or(allocated);
        let high = number(tags::HIGH_BIT).unwrap_or(stored.saturating_sub(1));
        if !matches!(allocated, 8 | 16 | 32)
            || stored == 0
            || high >= allocated
            || stored > high + 1
        {
            return None;
        }
        let is_signed = number(tags::PIXEL_REPRESENTATION) == Some(1);
        let padding = padding_value(header, tags::PIXEL_PADDING_VALUE, is_signed).map(|value| {
            let limit = padding_value(header, tags::PIXEL_PADDING_RANGE_LIMIT, is_signed);
            let limit = limit.unwrap_or(value);
            (value.min(limit), value.max(limit))
        });
        Some(Self {
            bytes: (allocated / 8) as usize,
            shift_left: 64 - (high + 1),
            shift_right: 64 - stored,
            is_signed,
            slope: rescale(header, tags::RESCALE_SLOPE)
                .filter(|&slope| slope != 0.0)
                .unwrap_or(1.0),
            intercept: rescale(header, tags::RESCALE_INTERCEPT).unwrap_or(0.0),
            padding,
        })
    }

    fn value(self, cell: &[u8]) -> i64 {
        let mut bytes = [0; 8];
        for (to, from) in bytes.iter_mut().zip(cell) {
            *to = *from;
        }
        let raw = u64::from_le_bytes(bytes) << self.shift_left;
        if self.is_signed {
            (raw as i64) >> self.shift_right
        } else {
            (raw >> self.shift_right) as i64
        }
    }

    /// The window in which all but the outermost samples lie.
    fn window(self, frame: &[u8]) -> Option<Window> {
        let count = frame.len() / self.bytes;
        let step = count.div_ceil(SAMPLES_MAX).max(1);
        let mut samples: Vec<i64> = frame
            .chunks_exact(self.bytes)
            .step_by(step)
            .map(|cell| self.value(cell))
            .filter(|value| {
                self.padding
                    .is_none_or(|(low, high)| *value < low || *value > high)
            })
            .collect();
        samples.sort_unstable();
        let outside = samples.len() * OUTSIDE_THOUSANDTHS / 1000;
        let meant = |at: usize| {
            samples
                .get(at)
                .map(|&value| value as f64 * self.slope + self.intercept)
        };
        let (a, b) = (
            meant(outside)?,
            meant(samples.len().checked_sub(outside + 1)?)?,
        );
        let (low, high) = (a.min(b), a.max(b));
        // A linear window of width w shows w - 1 steps (PS3.3 C.11.2.1.2.1).
        let width = (high - low + 1.0).max(1.0);
        Some((
            ((low + high + 1.0) / 2.0 * 100.0).round() / 100.0,
            (width * 100.0).round() / 100.0,
        ))
    }
}

/// Pixel Padding is encoded as US or SS; in implicit VR the sign comes from the pixels.
fn padding_value(header: &DataSet, tag: gantry_dicom::Tag, is_signed: bool) -> Option<i64> {
    let value = header.integer(tag)?;
    let is_unsigned = header.get(tag).is_some_and(|element| element.vr == Vr::US);
    Some(if is_signed && is_unsigned && value > i64::from(i16::MAX) {
        value - 0x1_0000
    } else {
        value
    })
}

fn rescale(header: &DataSet, tag: gantry_dicom::Tag) -> Option<f64> {
    header.decimal(tag).or_else(|| {
        let shared = header
            .items(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE)
            .first()?;
        shared
            .items(tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE)
            .first()?
            .decimal(tag)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(stored: u16, is_signed: bool) -> DataSet {
        let mut header = DataSet::new();
        header.put_text(tags::PHOTOMETRIC_INTERPRETATION, Vr::CS, "MONOCHROME2");
        header.put_u16(tags::BITS_ALLOCATED, 16);
        header.put_u16(tags::BITS_STORED, stored);
        header.put_u16(tags::HIGH_BIT, stored - 1);
        header.put_u16(tags::PIXEL_REPRESENTATION, u16::from(is_signed));
        header
    }

    fn frame(values: impl IntoIterator<Item = i32>) -> Vec<u8> {
        values
            .into_iter()
            .flat_map(|value| (value as u16).to_le_bytes())
            .collect()
    }

    #[test]
    fn the_window_covers_the_values_after_rescaling() {
        let mut header = image(12, false);
        header.put_decimal(tags::RESCALE_SLOPE, 2.0);
        header.put_decimal(tags::RESCALE_INTERCEPT, -1000.0);
        let cells = Cells::of(&header).unwrap();
        assert_eq!(cells.window(&frame(0..=100)), Some((-899.5, 201.0)));
    }

    #[test]
    fn signed_values_are_extended_from_the_bits_stored() {
        let cells = Cells::of(&image(12, true)).unwrap();
        assert_eq!(cells.value(&[0xFF, 0x0F]), -1);
        assert_eq!(cells.value(&[0xFF, 0xF7]), 2047);
        let cells = Cells::of(&image(12, false)).unwrap();
        assert_eq!(cells.value(&[0xFF, 0xFF]), 4095);
    }

    #[test]
    fn padding_and_outliers_do_not_count() {
        let mut header = image(16, true);
        header.put_u16(tags::PIXEL_PADDING_VALUE, 63536);
        let cells = Cells::of(&header).unwrap();
        assert_eq!(cells.padding, Some((-2000, -2000)));
        let values = std::iter::repeat_n(-2000, 500)
            .chain((0..1000).map(|n| n % 100))
            .chain([30000]);
        assert_eq!(cells.window(&frame(values)), Some((50.0, 100.0)));
    }

    #[test]
    fn a_flat_image_has_a_window_that_is_wide_enough() {
        let cells = Cells::of(&image(8, false)).unwrap();
        assert_eq!(cells.window(&frame([7; 50])), Some((7.5, 1.0)));
        assert_eq!(cells.window(&[]), None);
    }

    #[test]
    fn only_grey_images_without_any_window_need_one() {
        assert!(needs_window(&image(12, false)));
        let mut colour = image(8, false);
        colour.put_text(tags::PHOTOMETRIC_INTERPRETATION, Vr::CS, "RGB");
        assert!(!needs_window(&colour));
        let mut windowed = image(12, false);
        put(&mut windowed, (40.0, 400.0));
        assert!(!needs_window(&windowed));
        assert_eq!(windowed.string(tags::WINDOW_CENTER).as_deref(), Some("40"));
        let mut enhanced = image(12, false);
        let mut group = DataSet::new();
        group.put_sequence(tags::FRAME_VOILUT_SEQUENCE, vec![windowed]);
        enhanced.put_sequence(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, vec![group]);
        assert!(!needs_window(&enhanced));
        let empty = DataSet::new();
        assert!(!needs_window(&empty));
        assert_eq!(Cells::of(&empty), None);
    }

    #[test]
    fn what_is_remembered_stays_bounded() {
        let memory = WindowMemory::default();
        for number in 0..REMEMBERED_MAX + 1 {
            let mut digest = [0; 32];
            digest[..8].copy_from_slice(&number.to_le_bytes());
            memory.keep(digest, None);
        }
        assert!(memory.found.lock().unwrap().len() <= REMEMBERED_MAX);
    }
}
