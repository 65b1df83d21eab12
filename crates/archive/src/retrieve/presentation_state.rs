//! Images as softcopy presentation states show them (PS3.3 A.33, PS3.4 N, PS3.18 8.3.5).

use super::facts::Facts;
use super::render::{Picture, PictureRequest, render_request};
use super::{InstanceRef, Selection};
use crate::Archive;
use crate::error::{Error, Result};
use bytes::Bytes;
use gantry_codec::Presentation;
use gantry_codec::render::softcopy::{ImageReference, StateKind, references};
use gantry_core::access::Right;
use gantry_core::failure::Kind;
use gantry_core::principal::Principal;
use gantry_dicom::data_set::{DataSet, Deferred, Element, Value};
use gantry_dicom::sop_class;
use std::collections::HashMap;

/// Most bulk values of a presentation state, and most bytes of them together.
const VALUES_MAX: usize = 4096;
const VALUES_BYTES_MAX: u64 = 32 << 20;
/// References that are looked up at once, and in all, to find an image that is stored.
const REFERENCES_AT_ONCE: usize = 100;
const REFERENCES_MAX: usize = 1000;

/// A frame of an image, and the presentation state that it is shown through.
#[derive(Debug, Clone)]
pub struct Presented {
    /// The presentation state.
    pub state: InstanceRef,
    /// The image.
    pub image: InstanceRef,
    /// The frame; the first is 1.
    pub frame_number: u32,
    kind: StateKind,
}

impl Archive {
    /// What a presentation state shows: a frame of `image`, or of the first referenced image that
    /// is stored. Without a number it is the first referenced frame.
    ///
    /// # Errors
    /// [`Kind::Unsupported`] for a state that cannot be applied; [`Kind::NotFound`] when the state
    /// does not refer to that image and frame, or nothing it refers to is stored.
    pub async fn presented(
        &self,
        principal: &Principal,
        state: &InstanceRef,
        image: Option<&InstanceRef>,
        frame_number: Option<u32>,
    ) -> Result<Presented> {
        let kind = StateKind::of(&state.sop_class_uid).ok_or_else(|| unsupported(state))?;
        let facts = self.facts(state).await?;
        let references = references(&facts.header);
        let (reference, image) = match image {
            Some(image) => {
                let uid = &*image.sop_instance_uid;
                let found = references
                    .iter()
                    .find(|reference| reference.sop_instance_uid == uid);
                let reference = found.ok_or_else(|| {
                    not_found("the presentation state does not refer to this image")
                })?;
                (reference, image.clone())
            }
            None => self.first_stored(principal, &references).await?,
        };
        let frame_number = choose_frame(reference, &image, frame_number)?;
        Ok(Presented {
            state: state.clone(),
            image,
            frame_number,
            kind,
        })
    }

    async fn first_stored<'a>(
        &self,
        principal: &Principal,
        references: &'a [ImageReference],
    ) -> Result<(&'a ImageReference, InstanceRef)> {
        let looked_up = references.get(..REFERENCES_MAX).unwrap_or(references);
        for some in looked_up.chunks(REFERENCES_AT_ONCE) {
            let uids = some.iter().map(|one| one.sop_instance_uid.clone());
            let selection = Selection {
                instances: uids.collect(),
                ..Selection::default()
            };
            let stored = self.select(principal, Right::View, &selection).await?;
            let first = some.iter().find_map(|reference| {
                let uid = reference.sop_instance_uid.as_str();
                let image = stored
                    .iter()
                    .find(|image| &*image.sop_instance_uid == uid)?;
                Some((reference, image.clone()))
            });
            if let Some(first) = first {
                return Ok(first);
            }
        }
        Err(not_found(
            "no image that the presentation state refers to is stored",
        ))
    }

    /// Renders a frame through a presentation state. The order is: state, region, viewport.
    ///
    /// # Errors
    /// As [`Archive::render`]; [`Kind::Malformed`] for a window, which the state has already, and
    /// [`Kind::Unsupported`] for a state that asks for what cannot be done.
    pub async fn render_presented(
        &self,
        presented: &Presented,
        request: &PictureRequest,
    ) -> Result<Picture> {
        if request.window.is_some() {
            return Err(Error::new(
                Kind::Malformed,
                "a window does not go with a presentation state",
            ));
        }
        let (image, number) = (&presented.image, presented.frame_number);
        let state = self.whole_state(&presented.state).await?;
        let facts = self.facts(image).await?;
        let stored = self.stored_frame(image, &facts, number).await?;
        let frame = stored.coded(&facts)?;
        let values = self.bulk_of_presentation(image, &facts, number).await?;
        let presentation = Presentation::through_state(
            &state,
            presented.kind,
            &facts.header,
            number.saturating_sub(1),
            |deferred| values.get(&deferred.offset).cloned(),
        )?;
        let request = render_request(request, presentation);
        Ok(self.codecs().render(frame, request).await?.into())
    }

    /// The header of a presentation state with its long values, such as many points and LUTs.
    async fn whole_state(&self, state: &InstanceRef) -> Result<DataSet> {
        let facts = self.facts(state).await?;
        let mut wanted = Vec::new();
        deferred_of(&facts.header, &mut wanted);
        let length: u64 = wanted.iter().map(|(_, deferred)| deferred.length).sum();
        if wanted.len() > VALUES_MAX || length > VALUES_BYTES_MAX {
            return Err(Error::new(
                Kind::Unsupported,
                "the presentation state is too large to be applied",
            ));
        }
        if wanted.is_empty() {
            return Ok((*facts.header).clone());
        }
        let mut values = HashMap::new();
        for (element, deferred) in wanted {
            let bytes = self.whole_value(state, &facts, element).await?;
            values.insert(deferred.offset, bytes);
        }
        Ok(filled(&facts.header, &values))
    }

    async fn whole_value(
        &self,
        state: &InstanceRef,
        facts: &Facts,
        element: &Element,
    ) -> Result<Bytes> {
        let value = self.value(state, facts, element, None).await?.stream;
        value.collect(VALUES_BYTES_MAX as usize).await
    }
}

fn unsupported(state: &InstanceRef) -> Error {
    let name = sop_class::name(&state.sop_class_uid).unwrap_or("this SOP class");
    Error::new(
        Kind::Unsupported,
        format!("presentation states of {name} cannot be rendered"),
    )
}

fn not_found(message: impl Into<String>) -> Error {
    Error::new(Kind::NotFound, message)
}

fn choose_frame(
    reference: &ImageReference,
    image: &InstanceRef,
    wanted: Option<u32>,
) -> Result<u32> {
    let number = wanted.or(reference.frames.first().copied()).unwrap_or(1);
    if !reference.frames.is_empty() && !reference.frames.contains(&number) {
        return Err(not_found(format!(
            "the presentation state does not refer to frame {number}"
        )));
    }
    if number == 0 || number > image.number_of_frames {
        return Err(not_found(format!(
            "there is no frame {number}, the image has {}",
            image.number_of_frames
        )));
    }
    Ok(number)
}

/// The values of a state that are left in the stored object; private ones are of no use here.
fn deferred_of<'a>(data_set: &'a DataSet, found: &mut Vec<(&'a Element, Deferred)>) {
    for element in data_set.elements() {
        match &element.value {
            Value::Deferred(deferred) if !deferred.is_encapsulated && element.tag.0 % 2 == 0 => {
                found.push((element, *deferred));
            }
            Value::Sequence(items) => {
                for item in items {
                    deferred_of(item, found);
                }
            }
            _ => {}
        }
    }
}

/// The data set with the values that were left in the stored object.
fn filled(data_set: &DataSet, values: &HashMap<u64, Bytes>) -> DataSet {
    let fill = |element: &Element| Element {
        value: match &element.value {
            Value::Deferred(deferred) => match values.get(&deferred.offset) {
                Some(bytes) => Value::Bytes(bytes.clone()),
                None => element.value.clone(),
            },
            Value::Sequence(items) => {
                Value::Sequence(items.iter().map(|item| filled(item, values)).collect())
            }
            other => other.clone(),
        },
        ..element.clone()
    };
    data_set.elements().iter().map(fill).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gantry_dicom::{Vr, tags};

    #[test]
    fn values_are_filled_in_at_any_depth() {
        let deferred = Deferred {
            offset: 77,
            length: 4,
            is_encapsulated: false,
        };
        let item = DataSet::from_elements(vec![Element {
            tag: tags::GRAPHIC_DATA,
            vr: Vr::FL,
            value: Value::Deferred(deferred),
        }]);
        let state = DataSet::from_elements(vec![Element {
            tag: tags::GRAPHIC_OBJECT_SEQUENCE,
            vr: Vr::SQ,
            value: Value::Sequence(vec![item]),
        }]);
        let mut found = Vec::new();
        deferred_of(&state, &mut found);
        assert_eq!(found.len(), 1);
        let bytes = Bytes::from_static(&[0, 0, 0x80, 0x3f]);
        let whole = filled(&state, &HashMap::from([(77, bytes)]));
        let item = &whole.items(tags::GRAPHIC_OBJECT_SEQUENCE)[0];
        assert_eq!(item.decimals(tags::GRAPHIC_DATA), [1.0]);
    }
}
