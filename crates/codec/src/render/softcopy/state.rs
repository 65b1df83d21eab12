//! Reading how a presentation state shows a frame (PS3.3 A.33, PS3.4 N.2).
//!
//! What the state says replaces what the image says; what it does not say is an identity (PS3.4
//! N.2).

use super::super::header::{Reader, may_be_negative, windows_of};
use super::super::presentation::{Lut, ModalityLut, Overlay, Presentation, Window};
use super::reference::applies;
use super::{Softcopy, area, layer};
use crate::error::{Error, Result};
use bytes::Bytes;
use gantry_dicom::data_set::{DataSet, Deferred, Element};
use gantry_dicom::{tags, uids};

/// The presentation states that can be applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateKind {
    /// Grayscale Softcopy Presentation State (PS3.3 A.33.1).
    Grayscale,
    /// Color Softcopy Presentation State (A.33.2).
    Color,
    /// Pseudo-Color Softcopy Presentation State (A.33.3).
    PseudoColor,
}

impl StateKind {
    /// By SOP Class UID; nothing for blending, volumetric and other states.
    pub fn of(sop_class_uid: &str) -> Option<Self> {
        match sop_class_uid {
            uids::GRAYSCALE_SOFTCOPY_PRESENTATION_STATE_STORAGE => Some(Self::Grayscale),
            uids::COLOR_SOFTCOPY_PRESENTATION_STATE_STORAGE => Some(Self::Color),
            uids::PSEUDO_COLOR_SOFTCOPY_PRESENTATION_STATE_STORAGE => Some(Self::PseudoColor),
            _ => None,
        }
    }
}

impl Presentation {
    /// Reads how a presentation state shows frame number `frame`, counted from 0, of an image. The
    /// state's values must be in memory; those of the image come as in
    /// [`Presentation::from_data_set`].
    ///
    /// # Errors
    /// [`Error::Unsupported`] for states that ask for what is not done here, and for those with
    /// more objects than any of use has.
    pub fn through_state(
        state: &DataSet,
        kind: StateKind,
        image: &DataSet,
        frame: u32,
        mut fetch: impl FnMut(Deferred) -> Option<Bytes>,
    ) -> Result<Self> {
        if !state.items(tags::MASK_SUBTRACTION_SEQUENCE).is_empty() {
            return Err(Error::unsupported(
                "a presentation state that subtracts a mask",
            ));
        }
        let mut presentation = Self::from_data_set(image, frame, &mut fetch);
        let applied = State {
            state,
            image,
            sop_instance_uid: image.ascii(tags::SOP_INSTANCE_UID).unwrap_or_default(),
            frame,
        };
        if kind != StateKind::Color {
            applied.contrast(&mut presentation);
        }
        let mut own = applied.reader(state, |_, _| None);
        if kind == StateKind::PseudoColor {
            presentation.inverse = Some(false);
            presentation.presentation_lut = None;
            presentation.palette = Some(own.palette().ok_or_else(|| {
                Error::malformed("a pseudo-color presentation state without a palette")
            })?);
        }
        // The profile describes the palette or the image's colours (PS3.3 C.11.15).
        if kind == StateKind::PseudoColor || state.get(tags::ICC_PROFILE).is_some() {
            presentation.icc_profile = own.icc_profile();
        }
        presentation.overlays.clear();
        let mut softcopy = Softcopy {
            pseudo_colour: kind == StateKind::PseudoColor,
            ..area::read(&applied)?
        };
        softcopy.layers = layer::read(&applied, &mut fetch)?;
        check_counts(&softcopy)?;
        presentation.softcopy = Some(softcopy);
        Ok(presentation)
    }
}

/// A state and the frame it is applied to.
pub(super) struct State<'a> {
    pub state: &'a DataSet,
    pub image: &'a DataSet,
    pub sop_instance_uid: &'a str,
    pub frame: u32,
}

impl<'a> State<'a> {
    /// The items of a sequence that are for this frame.
    pub fn items(&self, sequence: gantry_dicom::Tag) -> impl Iterator<Item = &'a DataSet> {
        let (uid, frame) = (self.sop_instance_uid, self.frame);
        let items = self.state.items(sequence).iter();
        items.filter(move |item| applies(item, uid, frame))
    }

    /// Whether the image is a part of a matrix made of several frames (PS3.3 C.8.12.4).
    pub fn has_matrix(&self) -> bool {
        let differs = |of_frame, of_matrix| {
            let of_matrix = self.image.integer(of_matrix);
            of_matrix.is_some() && of_matrix != self.image.integer(of_frame)
        };
        differs(tags::ROWS, tags::TOTAL_PIXEL_MATRIX_ROWS)
            || differs(tags::COLUMNS, tags::TOTAL_PIXEL_MATRIX_COLUMNS)
    }

    fn reader<F: FnMut(&Element, Deferred) -> Option<Bytes>>(
        &self,
        data_set: &'a DataSet,
        fetch: F,
    ) -> Reader<'a, F> {
        Reader {
            data_set,
            frame: self.frame,
            fetch,
        }
    }

    /// An overlay plane: the state's own, or else the image's (PS3.3 C.11.7).
    pub fn overlay(
        &self,
        group: u16,
        fetch: &mut impl FnMut(Deferred) -> Option<Bytes>,
    ) -> Option<Overlay> {
        if let Some(own) = self.own_overlay(group) {
            return Some(own);
        }
        self.reader(self.image, |_, deferred| fetch(deferred))
            .overlay(group)
    }

    /// An overlay plane of the state, which has one for all frames.
    pub fn own_overlay(&self, group: u16) -> Option<Overlay> {
        let mut own = self.reader(self.state, |_, _| None);
        own.frame = 0;
        own.overlay(group)
    }

    /// Modality LUT, VOI LUT and Presentation LUT (PS3.3 C.11.1, C.11.8, C.11.6).
    fn contrast(&self, presentation: &mut Presentation) {
        let state = self.state;
        let signed = self.image.integer(tags::PIXEL_REPRESENTATION) == Some(1);
        let mut own = self.reader(state, |_, _| None);
        presentation.modality_lut = own.modality_lut(signed);
        presentation.windows.clear();
        presentation.voi_luts.clear();
        // The state says all there is: the photometric interpretation and padding do not count.
        presentation.padding = None;
        presentation.inverse = Some(state.ascii(tags::PRESENTATION_LUT_SHAPE) == Some("INVERSE"));
        presentation.presentation_lut = own
            .luts(state, tags::PRESENTATION_LUT_SEQUENCE, false)
            .into_iter()
            .next();
        if let Some(item) = self.items(tags::SOFTCOPY_VOILUT_SEQUENCE).next() {
            let negative = may_be_negative(item, signed, &presentation.modality_lut);
            presentation.windows = windows_of(item);
            presentation.voi_luts = own.luts(item, tags::VOILUT_SEQUENCE, negative);
        }
        if presentation.windows.is_empty() && presentation.voi_luts.is_empty() {
            presentation.windows = self.whole_range(&presentation.modality_lut, signed);
        }
    }

    /// The window that leaves values as they are (PS3.4 N.2.1.3): all that can be stored, as the
    /// modality LUT gives it. Nothing for real numbers, which have no range of their own.
    fn whole_range(&self, modality_lut: &ModalityLut, signed: bool) -> Vec<Window> {
        let bits = self.image.integer(tags::BITS_STORED).unwrap_or(0);
        if !(1..=32).contains(&bits) {
            return Vec::new();
        }
        let span = (1i64 << bits) as f64;
        let (low, high) = match signed {
            true => (-span / 2.0, span / 2.0 - 1.0),
            false => (0.0, span - 1.0),
        };
        let (one, other) = match modality_lut {
            ModalityLut::Identity => (low, high),
            ModalityLut::Rescale { slope, intercept } => {
                (low * slope + intercept, high * slope + intercept)
            }
            ModalityLut::Table(Lut { bits, .. }) => (0.0, f64::from((1u32 << bits) - 1)),
        };
        vec![Window::between(one.min(other), one.max(other))]
    }
}

fn check_counts(softcopy: &Softcopy) -> Result<()> {
    let (mut points, mut objects, mut text_bytes) = (0, 0, 0);
    for shutter in &softcopy.shutters {
        if let super::Shutter::Polygonal(vertices) = shutter {
            points += vertices.len();
        }
    }
    for layer in &softcopy.layers {
        objects += layer.graphics.len() + layer.texts.len();
        points += layer
            .graphics
            .iter()
            .map(|graphic| graphic.points.len())
            .sum::<usize>();
        let lines = layer.texts.iter().flat_map(|text| &text.lines);
        text_bytes += lines.map(String::len).sum::<usize>();
    }
    let is_much = points > super::MAX_POINTS
        || objects > super::MAX_OBJECTS
        || text_bytes > super::MAX_TEXT_BYTES;
    if is_much {
        return Err(Error::unsupported(format!(
            "a presentation state with {objects} objects, {points} points and {text_bytes} bytes of text"
        )));
    }
    Ok(())
}
