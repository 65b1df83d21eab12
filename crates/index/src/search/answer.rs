//! Putting matches together.

use crate::query::{Query, Wanted};
use gantry_dicom::character_set::CharacterSet;
use gantry_dicom::data_set::{DataSet, Element, Value};
use gantry_dicom::{Tag, Vr, tags};
use std::collections::HashSet;

/// Attributes that are computed, never read from a header.
pub(super) const COMPUTED: [Tag; 9] = [
    tags::INSTANCE_AVAILABILITY,
    tags::MODALITIES_IN_STUDY,
    tags::SOP_CLASSES_IN_STUDY,
    tags::NUMBER_OF_PATIENT_RELATED_STUDIES,
    tags::NUMBER_OF_PATIENT_RELATED_SERIES,
    tags::NUMBER_OF_PATIENT_RELATED_INSTANCES,
    tags::NUMBER_OF_STUDY_RELATED_SERIES,
    tags::NUMBER_OF_STUDY_RELATED_INSTANCES,
    tags::NUMBER_OF_SERIES_RELATED_INSTANCES,
];

/// Which attributes are to be given back.
#[derive(Debug)]
pub(super) enum Return {
    All,
    Tags(HashSet<Tag>),
}

impl Return {
    pub fn of(query: &Query) -> Self {
        match &query.wanted {
            Wanted::All => Self::All,
            Wanted::Tags(tags) => {
                let mut tags: HashSet<Tag> = tags.iter().copied().collect();
                // The unique key of the patient comes with every level.
                tags.insert(tags::PATIENT_ID);
                Self::Tags(tags)
            }
        }
    }

    pub fn has(&self, tag: Tag) -> bool {
        match self {
            Self::All => true,
            Self::Tags(tags) => tags.contains(&tag),
        }
    }
}

/// The elements of a header that are to be given back, in UTF-8.
pub(super) fn wanted_part(
    header: &DataSet,
    wanted: &Return,
    belongs: impl Fn(Tag) -> bool,
) -> DataSet {
    let is_given = |tag: Tag| {
        tag == tags::SPECIFIC_CHARACTER_SET
            || tag == tags::TIMEZONE_OFFSET_FROM_UTC
            || (belongs(tag) && wanted.has(tag) && !COMPUTED.contains(&tag))
    };
    let part: DataSet = header
        .elements()
        .iter()
        .filter(|element| is_given(element.tag))
        .cloned()
        .collect();
    part.recoded(CharacterSet::DEFAULT, CharacterSet::UTF_8)
        .unwrap_or(part)
}

/// Adds the elements of `part` that are not there yet; one that has text beyond ASCII makes the
/// whole declare UTF-8.
pub(super) fn merge(into: &mut DataSet, part: &DataSet) {
    for element in part.elements() {
        if into.get(element.tag).is_none() {
            into.put(element.clone());
        }
    }
}

/// Puts a UID, padded.
pub(super) fn put_uid(attributes: &mut DataSet, tag: Tag, uid: &str) {
    attributes.put_uid(tag, uid);
}

/// Puts a count as an integer string.
pub(super) fn put_count(attributes: &mut DataSet, wanted: &Return, tag: Tag, count: i64) {
    if wanted.has(tag) {
        attributes.put_text(tag, Vr::IS, &count.to_string());
    }
}

/// Puts values with backslashes between them.
pub(super) fn put_values(attributes: &mut DataSet, tag: Tag, vr: Vr, values: &str) {
    if values.is_empty() {
        attributes.put_empty(tag, vr);
    } else {
        attributes.put_text(tag, vr, values);
    }
}

/// Whether a value is not ASCII alone.
pub(super) fn has_wide_text(attributes: &DataSet) -> bool {
    attributes.elements().iter().any(is_wide)
}

fn is_wide(element: &Element) -> bool {
    match &element.value {
        Value::Bytes(bytes) => {
            gantry_dicom::character_set::is_affected(element.vr) && !bytes.is_ascii()
        }
        Value::Sequence(items) => items.iter().any(has_wide_text),
        Value::Fragments(_) | Value::Deferred(_) => false,
    }
}
