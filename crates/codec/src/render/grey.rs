//! The grey-scale pipeline (PS3.4 N.2.1): modality LUT, VOI, presentation LUT.

use super::picture::{Picture, Pixels};
use super::presentation::{Lut, ModalityLut, Presentation, VoiFunction, Window};
use super::request::RenderRequest;
use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::image::{ImageDescription, Photometric, SampleKind};

/// The part of a PET frame's pixels that may be brighter than the window found for it.
const TAIL: f64 = 0.001;

/// The second step.
enum Voi<'a> {
    Window(Window),
    Table(&'a Lut),
}

struct Pipeline<'a> {
    presentation: &'a Presentation,
    voi: Voi<'a>,
    inverse: bool,
}

/// Develops a frame of one sample a pixel.
pub(super) fn develop(frame: &Frame, request: &RenderRequest) -> Result<Picture> {
    let image = &frame.image;
    let values = Values::of(frame)?;
    let pipeline = Pipeline::new(&values, image, request)?;
    Ok(Picture {
        width: image.columns,
        height: image.rows,
        pixels: Pixels::Grey(values.mapped(|stored| pipeline.level(stored))),
    })
}

/// Develops a frame of one sample a pixel whose values of interest a palette maps to colours: the
/// pipeline for pseudo-color (PS3.4 N.2.6).
pub(super) fn develop_in_colour(frame: &Frame, request: &RenderRequest) -> Result<Picture> {
    let image = &frame.image;
    let palette = request.presentation.palette.as_ref();
    let palette = palette.ok_or_else(|| Error::unsupported("pseudo-color without a palette"))?;
    let values = Values::of(frame)?;
    let pipeline = Pipeline::new(&values, image, request)?;
    let colours = values.mapped(|stored| {
        let fraction = pipeline.fraction(stored).unwrap_or(0.0);
        [&palette.red, &palette.green, &palette.blue]
            .map(|lut| lut.byte(lut.first as f64 + fraction * (lut.entries.len() - 1) as f64))
    });
    Ok(Picture {
        width: image.columns,
        height: image.rows,
        pixels: Pixels::Rgb(colours.into_flattened()),
    })
}

/// The stored values.
enum Values {
    /// Up to 16 bits: looked up, bits above `bits` are not.
    Words {
        samples: Vec<u16>,
        bits: u32,
        signed: bool,
    },
    Numbers(Vec<f64>),
}

impl Values {
    fn of(frame: &Frame) -> Result<Self> {
        let image = &frame.image;
        let bytes = &frame.bytes;
        let words = |samples| Self::Words {
            samples,
            bits: image.bits_stored,
            signed: image.signed,
        };
        Ok(match (image.samples, image.bits_allocated) {
            (SampleKind::Integer, 1) => words(
                frame
                    .raw_integers()
                    .into_iter()
                    .map(|bit| bit as u16)
                    .collect(),
            ),
            (SampleKind::Integer, 8) => words(bytes.iter().map(|byte| u16::from(*byte)).collect()),
            (SampleKind::Integer, 16) => words(
                bytes
                    .as_chunks()
                    .0
                    .iter()
                    .map(|word| u16::from_le_bytes(*word))
                    .collect(),
            ),
            (SampleKind::Integer, _) => {
                let clean = frame.without_stray_bits();
                let integers = clean.as_ref().unwrap_or(frame).raw_integers();
                Self::Numbers(integers.into_iter().map(|value| value as f64).collect())
            }
            (SampleKind::Float, _) => {
                let numbers = bytes
                    .as_chunks()
                    .0
                    .iter()
                    .map(|word| f32::from_le_bytes(*word));
                Self::Numbers(numbers.map(f64::from).collect())
            }
            (SampleKind::Double, _) => Self::Numbers(
                bytes
                    .as_chunks()
                    .0
                    .iter()
                    .map(|word| f64::from_le_bytes(*word))
                    .collect(),
            ),
        })
    }

    /// What becomes of each value.
    fn mapped<T: Copy>(&self, map: impl Fn(f64) -> T) -> Vec<T> {
        match self {
            Self::Words {
                samples,
                bits,
                signed,
            } => {
                // Of every possible sample once.
                let table: Vec<T> = (0..1usize << bits)
                    .map(|raw| map(meaning(raw, *bits, *signed)))
                    .collect();
                let mask = table.len() - 1;
                samples
                    .iter()
                    .map(|sample| table[usize::from(*sample) & mask])
                    .collect()
            }
            Self::Numbers(numbers) => numbers.iter().map(|number| map(*number)).collect(),
        }
    }

    /// Each value that occurs, with how often it does.
    fn counted(&self) -> Vec<(f64, u64)> {
        match self {
            Self::Words {
                samples,
                bits,
                signed,
            } => {
                let mut counts = vec![0u64; 1 << bits];
                let mask = counts.len() - 1;
                for sample in samples {
                    counts[usize::from(*sample) & mask] += 1;
                }
                let counts = counts
                    .into_iter()
                    .enumerate()
                    .filter(|(_, count)| *count > 0);
                counts
                    .map(|(raw, count)| (meaning(raw, *bits, *signed), count))
                    .collect()
            }
            Self::Numbers(numbers) => numbers
                .iter()
                .filter(|number| number.is_finite())
                .map(|number| (*number, 1))
                .collect(),
        }
    }
}

/// The number that `bits` bits mean.
fn meaning(raw: usize, bits: u32, signed: bool) -> f64 {
    let span = 1i64 << bits;
    let raw = raw as i64;
    (if signed && raw >= span / 2 {
        raw - span
    } else {
        raw
    }) as f64
}

impl<'a> Pipeline<'a> {
    fn new(values: &Values, image: &ImageDescription, request: &'a RenderRequest) -> Result<Self> {
        let presentation = &*request.presentation;
        let is_inverse = image.photometric == Photometric::Monochrome1;
        Ok(Self {
            presentation,
            voi: choose_voi(values, image, request)?,
            inverse: presentation.inverse.unwrap_or(is_inverse),
        })
    }

    fn level(&self, stored: f64) -> u8 {
        let fraction = self.fraction(stored);
        fraction.map_or(0, |fraction| (fraction * 255.0 + 0.5) as u8)
    }

    /// How bright a value is, from 0 to 1; nothing for what is to be black anyhow.
    fn fraction(&self, stored: f64) -> Option<f64> {
        // Turned around, padding would become a glaring background.
        if stored.is_nan() || (self.inverse && is_padding(self.presentation, stored)) {
            return None;
        }
        let value = modality(self.presentation, stored);
        let mut level = match self.voi {
            Voi::Window(window) => window.apply(value),
            Voi::Table(lut) => lut.fraction(value),
        };
        if let Some(lut) = &self.presentation.presentation_lut {
            level = lut.fraction(lut.first as f64 + level * (lut.entries.len() - 1) as f64);
        }
        if self.inverse {
            level = 1.0 - level;
        }
        Some(level)
    }
}

fn modality(presentation: &Presentation, stored: f64) -> f64 {
    match &presentation.modality_lut {
        ModalityLut::Identity => stored,
        ModalityLut::Rescale { slope, intercept } => stored * slope + intercept,
        ModalityLut::Table(lut) => f64::from(lut.entry(stored)),
    }
}

fn is_padding(presentation: &Presentation, stored: f64) -> bool {
    presentation
        .padding
        .is_some_and(|(first, last)| (first as f64..=last as f64).contains(&stored))
}

/// What the caller asked for, else what the header has, else what the values suggest.
fn choose_voi<'a>(
    values: &Values,
    image: &ImageDescription,
    request: &'a RenderRequest,
) -> Result<Voi<'a>> {
    let presentation = &*request.presentation;
    if let Some(window) = request.window {
        return match window.is_valid() {
            true => Ok(Voi::Window(window)),
            false => Err(Error::request(format!("a window {} wide", window.width))),
        };
    }
    if let Some(window) = presentation.windows.iter().find(|window| window.is_valid()) {
        return Ok(Voi::Window(*window));
    }
    if let Some(lut) = presentation.voi_luts.first() {
        return Ok(Voi::Table(lut));
    }
    Ok(Voi::Window(suggest_window(values, image, presentation)))
}

fn suggest_window(
    values: &Values,
    image: &ImageDescription,
    presentation: &Presentation,
) -> Window {
    let is_plain = presentation.modality_lut == ModalityLut::Identity && !image.signed;
    if is_plain && image.samples == SampleKind::Integer && image.bits_stored <= 8 {
        // Small integers are meant for the screen as they are.
        return Window::between(0.0, f64::from((1u32 << image.bits_stored) - 1));
    }
    let mut counted: Vec<(f64, u64)> = values
        .counted()
        .into_iter()
        .filter(|(stored, _)| !is_padding(presentation, *stored))
        .map(|(stored, count)| (modality(presentation, stored), count))
        .collect();
    counted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (Some((least, _)), Some((greatest, _))) = (counted.first(), counted.last()) else {
        return Window::between(0.0, 1.0);
    };
    match presentation.modality.as_str() {
        // Counts: zero is nothing. In PET a few pixels, such as the bladder, outshine the rest.
        "NM" => Window::between(least.min(0.0), *greatest),
        "PT" => Window::between(least.min(0.0), beyond_tail(&counted).unwrap_or(*greatest)),
        _ => Window::between(*least, *greatest),
    }
}

/// The greatest value that is not among the tail of greatest ones.
fn beyond_tail(counted: &[(f64, u64)]) -> Option<f64> {
    let total: u64 = counted.iter().map(|(_, count)| count).sum();
    let tail = (total as f64 * TAIL) as u64;
    let mut seen = 0;
    counted.iter().rev().find_map(|(value, count)| {
        seen += count;
        (seen > tail).then_some(*value)
    })
}

impl Window {
    /// The window that maps exactly these values to black and white.
    pub(super) fn between(low: f64, high: f64) -> Self {
        let width = if high > low { high - low } else { 1.0 };
        Self {
            center: low + width / 2.0,
            width,
            function: VoiFunction::LinearExact,
        }
    }

    /// Whether the formula has a result for every value (PS3.3 C.11.2.1.2 and C.11.2.1.3).
    pub(super) fn is_valid(&self) -> bool {
        let least = if self.function == VoiFunction::Linear {
            1.0
        } else {
            f64::MIN_POSITIVE
        };
        self.center.is_finite() && self.width.is_finite() && self.width >= least
    }

    /// The place of a value in the window, 0 to 1 (PS3.3 C.11.2.1.2.1 and C.11.2.1.3).
    pub(super) fn apply(&self, value: f64) -> f64 {
        let Self {
            center,
            width,
            function,
        } = *self;
        match function {
            VoiFunction::Sigmoid => 1.0 / (1.0 + (-4.0 * (value - center) / width).exp()),
            VoiFunction::LinearExact => ((value - center) / width + 0.5).clamp(0.0, 1.0),
            VoiFunction::Linear => {
                let (center, width) = (center - 0.5, width - 1.0);
                if value <= center - width / 2.0 {
                    0.0
                } else if value > center + width / 2.0 {
                    1.0
                } else {
                    (value - center) / width + 0.5
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(center: f64, width: f64, function: VoiFunction) -> Window {
        Window {
            center,
            width,
            function,
        }
    }

    #[test]
    fn linear_windows_have_the_standards_edges() {
        // The example of PS3.3 C.11.2.1.2.1: c = 2048, w = 4096 maps 0 to 0 and 4095 to 1.
        let full = window(2048.0, 4096.0, VoiFunction::Linear);
        assert_eq!((full.apply(0.0), full.apply(4095.0)), (0.0, 1.0));
        // c = 2048, w = 1 is a threshold: 2047 is black, 2048 white.
        let threshold = window(2048.0, 1.0, VoiFunction::Linear);
        assert_eq!(
            (threshold.apply(2047.0), threshold.apply(2048.0)),
            (0.0, 1.0)
        );
        // c = 0, w = 100: -50 is black, 49 white.
        let around = window(0.0, 100.0, VoiFunction::Linear);
        assert_eq!((around.apply(-50.0), around.apply(49.0)), (0.0, 1.0));
        assert!(around.apply(48.0) < 1.0);
    }

    #[test]
    fn other_functions_meet_in_the_middle() {
        assert_eq!(window(10.0, 4.0, VoiFunction::LinearExact).apply(10.0), 0.5);
        assert_eq!(window(10.0, 4.0, VoiFunction::LinearExact).apply(8.0), 0.0);
        assert_eq!(window(10.0, 4.0, VoiFunction::Sigmoid).apply(10.0), 0.5);
        assert!(window(10.0, 4.0, VoiFunction::Sigmoid).apply(11.0) > 0.73);
    }

    #[test]
    fn windows_without_width_are_refused() {
        assert!(!window(0.0, 0.5, VoiFunction::Linear).is_valid());
        assert!(window(0.0, 0.5, VoiFunction::LinearExact).is_valid());
        assert!(!window(0.0, 0.0, VoiFunction::LinearExact).is_valid());
        assert!(!window(f64::NAN, 1.0, VoiFunction::Sigmoid).is_valid());
    }

    #[test]
    fn bits_mean_numbers() {
        assert_eq!(meaning(0xfff, 12, true), -1.0);
        assert_eq!(meaning(0xfff, 12, false), 4095.0);
        assert_eq!(meaning(0x7ff, 12, true), 2047.0);
    }
}
