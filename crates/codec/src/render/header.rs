//! Reading a [`Presentation`] from a header.

use super::presentation::{
    Lut, ModalityLut, Overlay, OverlayBits, Palette, Presentation, VoiFunction, Window,
};
use bytes::Bytes;
use gantry_dicom::data_set::{DataSet, Deferred, Element, Value};
use gantry_dicom::{Tag, Vr, tags};

/// The most overlays (PS3.5 7.6: groups 6000 to 601E).
const OVERLAYS: u16 = 16;
/// The most windows and VOI LUTs read.
const MAX_ALTERNATIVES: usize = 64;

impl Presentation {
    /// Reads how frame number `frame`, counted from 0, is to be shown. `fetch` gives the bytes of
    /// values that are deferred, in little endian; where it gives nothing the value counts as
    /// absent. [`Presentation::bulk_wanted`] tells beforehand which ones are asked for.
    pub fn from_data_set(
        data_set: &DataSet,
        frame: u32,
        mut fetch: impl FnMut(Deferred) -> Option<Bytes>,
    ) -> Self {
        Reader {
            data_set,
            frame,
            fetch: |_: &Element, deferred| fetch(deferred),
        }
        .read()
    }

    /// The elements with deferred values that [`Presentation::from_data_set`] will ask for.
    pub fn bulk_wanted(data_set: &DataSet, frame: u32) -> Vec<Element> {
        let mut wanted = Vec::new();
        let reader = Reader {
            data_set,
            frame,
            fetch: |element: &Element, _| {
                wanted.push(element.clone());
                None
            },
        };
        reader.read();
        wanted
    }
}

/// A header and where to get its deferred values.
pub(super) struct Reader<'a, F> {
    pub data_set: &'a DataSet,
    pub frame: u32,
    pub fetch: F,
}

impl<F: FnMut(&Element, Deferred) -> Option<Bytes>> Reader<'_, F> {
    fn read(mut self) -> Presentation {
        let data_set = self.data_set;
        let is_inverse = data_set.ascii(tags::PRESENTATION_LUT_SHAPE) == Some("INVERSE");
        let signed = is_signed(data_set);
        let modality_lut = self.modality_lut(signed);
        let can_be_negative = may_be_negative(data_set, signed, &modality_lut);
        Presentation {
            windows: self.windows(),
            voi_luts: self.luts(data_set, tags::VOILUT_SEQUENCE, can_be_negative),
            inverse: is_inverse.then_some(true),
            presentation_lut: None,
            palette: self.palette(),
            padding: self.padding(),
            overlays: self.overlays(),
            icc_profile: self.icc_profile(),
            pixel_aspect: self.pixel_aspect(),
            modality: data_set
                .ascii(tags::MODALITY)
                .unwrap_or_default()
                .to_owned(),
            modality_lut,
            softcopy: None,
        }
    }

    /// The bytes of a value, fetched if need be.
    fn bytes(&mut self, data_set: &DataSet, tag: Tag) -> Option<Bytes> {
        let element = data_set.get(tag)?;
        match &element.value {
            Value::Bytes(bytes) => Some(bytes.clone()),
            Value::Deferred(deferred) if !deferred.is_encapsulated => {
                (self.fetch)(element, *deferred)
            }
            _ => None,
        }
    }

    /// The item of a functional group macro for this frame: its own, or the shared one
    /// (PS3.3 C.7.6.16).
    fn functional_group(&self, tag: Tag) -> Option<&DataSet> {
        let per_frame = self
            .data_set
            .items(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
        let shared = self.data_set.items(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE);
        let groups = per_frame
            .get(self.frame as usize)
            .into_iter()
            .chain(shared.first());
        groups.filter_map(|group| group.items(tag).first()).next()
    }

    /// Modality LUT (PS3.3 C.11.1); `signed` tells of the pixels.
    pub fn modality_lut(&mut self, signed: bool) -> ModalityLut {
        let data_set = self.data_set;
        if let Some(lut) = self
            .luts(data_set, tags::MODALITY_LUT_SEQUENCE, signed)
            .pop()
        {
            return ModalityLut::Table(lut);
        }
        let group = self.functional_group(tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE);
        let source = group.unwrap_or(data_set);
        let slope = source
            .decimal(tags::RESCALE_SLOPE)
            .filter(|slope| *slope != 0.0);
        let intercept = source.decimal(tags::RESCALE_INTERCEPT);
        match (slope.unwrap_or(1.0), intercept.unwrap_or(0.0)) {
            (1.0, 0.0) => ModalityLut::Identity,
            (slope, intercept) => ModalityLut::Rescale { slope, intercept },
        }
    }

    fn windows(&self) -> Vec<Window> {
        let group = self.functional_group(tags::FRAME_VOILUT_SEQUENCE);
        windows_of(group.unwrap_or(self.data_set))
    }

    /// The tables of a sequence of LUT items (PS3.3 C.11.1, C.11.2).
    pub fn luts(&mut self, data_set: &DataSet, sequence: Tag, signed: bool) -> Vec<Lut> {
        let items = data_set.items(sequence).iter().take(MAX_ALTERNATIVES);
        items
            .filter_map(|item| {
                let descriptor = self.descriptor(item, tags::LUT_DESCRIPTOR, signed)?;
                Lut::new(descriptor, &self.bytes(item, tags::LUT_DATA)?)
            })
            .collect()
    }

    /// The three values of a descriptor. The second is signed where the input is, whatever VR the
    /// writer chose.
    fn descriptor(&mut self, data_set: &DataSet, tag: Tag, signed: bool) -> Option<[i64; 3]> {
        let field = self.bytes(data_set, tag)?;
        let [count, first, bits] = *field.as_chunks::<2>().0.first_chunk::<3>()?;
        let first = match signed {
            true => i16::from_le_bytes(first).into(),
            false => u16::from_le_bytes(first).into(),
        };
        Some([
            u16::from_le_bytes(count).into(),
            first,
            u16::from_le_bytes(bits).into(),
        ])
    }

    /// Palette Color Lookup Tables (PS3.3 C.7.9).
    pub fn palette(&mut self) -> Option<Palette> {
        let red = self.palette_lut(
            tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
            tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DATA,
            tags::SEGMENTED_RED_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        )?;
        let green = self.palette_lut(
            tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
            tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA,
            tags::SEGMENTED_GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        );
        let blue = self.palette_lut(
            tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
            tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA,
            tags::SEGMENTED_BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        );
        Some(Palette {
            red,
            green: green?,
            blue: blue?,
        })
    }

    fn palette_lut(&mut self, descriptor: Tag, data: Tag, segmented: Tag) -> Option<Lut> {
        let data_set = self.data_set;
        let descriptor = self.descriptor(data_set, descriptor, is_signed(data_set))?;
        if let Some(data) = self.bytes(data_set, data) {
            return Lut::new(descriptor, &data);
        }
        Lut::segmented(descriptor, &self.bytes(data_set, segmented)?)
    }

    /// Pixel Padding Value and Range Limit; either may be the greater one.
    fn padding(&self) -> Option<(i64, i64)> {
        let number = |tag| {
            let field = self.data_set.bytes(tag)?.first_chunk::<2>()?;
            Some(match is_signed(self.data_set) {
                true => i64::from(i16::from_le_bytes(*field)),
                false => i64::from(u16::from_le_bytes(*field)),
            })
        };
        let value = number(tags::PIXEL_PADDING_VALUE)?;
        let limit = number(tags::PIXEL_PADDING_RANGE_LIMIT).unwrap_or(value);
        Some((value.min(limit), value.max(limit)))
    }

    fn overlays(&mut self) -> Vec<Overlay> {
        (0..OVERLAYS)
            .filter_map(|number| self.overlay(0x6000 + 2 * number))
            .collect()
    }

    /// The overlay plane of a group (PS3.3 C.9.2).
    pub fn overlay(&mut self, group: u16) -> Option<Overlay> {
        let data_set = self.data_set;
        let number = |element| data_set.integer(Tag(group, element));
        let rows = u32::try_from(number(0x0010)?).ok()?;
        let columns = u32::try_from(number(0x0011)?).ok()?;
        let origin = data_set.integers(Tag(group, 0x0050));
        let [top, left] = [0, 1].map(|at| {
            origin
                .get(at)
                .map_or(0, |place| (*place as i32).saturating_sub(1))
        });
        let bits = if data_set.get(Tag(group, 0x3000)).is_some() {
            // A plane for each of some frames, or one for all.
            let plane = match number(0x0015) {
                None => 0,
                Some(planes) => {
                    let first = number(0x0051).unwrap_or(1) - 1;
                    let plane = i64::from(self.frame) - first;
                    (0..planes).contains(&plane).then_some(plane as u64)?
                }
            };
            let first_bit = plane.checked_mul(u64::from(rows) * u64::from(columns))?;
            OverlayBits::Data {
                bytes: self.bytes(data_set, Tag(group, 0x3000))?,
                first_bit,
            }
        } else {
            OverlayBits::InPixel(
                u32::try_from(number(0x0102)?)
                    .ok()
                    .filter(|bit| *bit < 32)?,
            )
        };
        Some(Overlay {
            rows,
            columns,
            top,
            left,
            bits,
        })
    }

    /// At the top, or of the first optical path that has one (PS3.3 C.8.12.5).
    pub fn icc_profile(&mut self) -> Option<Bytes> {
        let data_set = self.data_set;
        let paths = data_set
            .items(tags::OPTICAL_PATH_SEQUENCE)
            .iter()
            .take(MAX_ALTERNATIVES);
        let holder = std::iter::once(data_set)
            .chain(paths)
            .find(|holder| holder.get(tags::ICC_PROFILE).is_some())?;
        self.bytes(holder, tags::ICC_PROFILE)
    }

    /// Pixel Aspect Ratio, or the ratio of the spacings; nothing when pixels are square.
    fn pixel_aspect(&self) -> Option<(f64, f64)> {
        let measures = self.functional_group(tags::PIXEL_MEASURES_SEQUENCE);
        let source = measures.unwrap_or(self.data_set);
        [
            tags::PIXEL_ASPECT_RATIO,
            tags::PIXEL_SPACING,
            tags::IMAGER_PIXEL_SPACING,
        ]
        .into_iter()
        .filter_map(|tag| match source.decimals(tag)[..] {
            [height, width] if height > 0.0 && width > 0.0 => Some((height, width)),
            _ => None,
        })
        .next()
        .filter(|(height, width)| height != width)
    }
}

fn is_signed(data_set: &DataSet) -> bool {
    data_set.integer(tags::PIXEL_REPRESENTATION) == Some(1)
}

/// The windows of the VOI LUT macro (PS3.3 C.11.2).
pub(super) fn windows_of(source: &DataSet) -> Vec<Window> {
    let centers = source.decimals(tags::WINDOW_CENTER);
    let widths = source.decimals(tags::WINDOW_WIDTH);
    let function = match source.ascii(tags::VOILUT_FUNCTION) {
        Some("LINEAR_EXACT") => VoiFunction::LinearExact,
        Some("SIGMOID") => VoiFunction::Sigmoid,
        _ => VoiFunction::Linear,
    };
    let pairs = centers.into_iter().zip(widths).take(MAX_ALTERNATIVES);
    pairs
        .map(|(center, width)| Window {
            center,
            width,
            function,
        })
        .collect()
}

/// Whether the input of the VOI LUT can be negative, so that its descriptor must be read signed.
pub(super) fn may_be_negative(
    data_set: &DataSet,
    signed: bool,
    modality_lut: &ModalityLut,
) -> bool {
    let declared = data_set
        .items(tags::VOILUT_SEQUENCE)
        .first()
        .and_then(|item| item.get(tags::LUT_DESCRIPTOR))
        .is_some_and(|element| element.vr == Vr::SS);
    declared
        || match modality_lut {
            ModalityLut::Identity => signed,
            ModalityLut::Rescale { slope, intercept } => signed || *slope < 0.0 || *intercept < 0.0,
            ModalityLut::Table(_) => false,
        }
}
