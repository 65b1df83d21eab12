//! The data set in memory.

use crate::{Tag, Vr};
use bytes::Bytes;

/// A data set or a sequence item (PS3.5 §7.1): elements in ascending tag order, each tag once.
///
/// Values are kept as the encoded value field in little endian, so that what was not touched is
/// written back unchanged; typed access decodes on demand.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DataSet {
    elements: Vec<Element>,
}

/// One data element.
#[derive(Debug, Clone, PartialEq)]
pub struct Element {
    /// The element's tag.
    pub tag: Tag,
    /// The value representation, from the stream or from the dictionary.
    pub vr: Vr,
    /// The value.
    pub value: Value,
}

/// The value of a data element.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// The value field in little endian, with the padding it came with.
    Bytes(Bytes),
    /// The items of a sequence, VR SQ.
    Sequence(Vec<DataSet>),
    /// Encapsulated pixel data (PS3.5 A.4).
    Fragments(Fragments),
    /// A bulk value that stays in the stored object; only where it lies is known.
    Deferred(Deferred),
}

/// Encapsulated pixel data: the Basic Offset Table item and the fragments (PS3.5 A.4).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fragments {
    /// Value of the first item: 32-bit little-endian offsets, or nothing.
    pub offset_table: Bytes,
    /// Values of the other items.
    pub fragments: Vec<Bytes>,
}

/// Where a bulk value lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deferred {
    /// Bytes from the start of the encoded data set (after the file meta information; for a
    /// deflated data set, of the inflated one) to the value field's first byte.
    pub offset: u64,
    /// Length of the value field in bytes. For an encapsulated value, from the first item's tag
    /// to the end of the last fragment, without the sequence delimitation item.
    pub length: u64,
    /// Whether the value field is a sequence of fragments.
    pub is_encapsulated: bool,
}

impl DataSet {
    /// An empty data set.
    pub fn new() -> Self {
        Self::default()
    }

    /// A data set of elements in the order of a stream. Of those with the same tag the first
    /// counts.
    pub fn from_elements(mut elements: Vec<Element>) -> Self {
        if !elements.is_sorted_by(|one, next| one.tag < next.tag) {
            elements.sort_by_key(|element| element.tag);
            elements.dedup_by_key(|element| element.tag);
        }
        Self { elements }
    }

    /// The elements in ascending tag order.
    pub fn elements(&self) -> &[Element] {
        &self.elements
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// The element with this tag.
    pub fn get(&self, tag: Tag) -> Option<&Element> {
        let at = self
            .elements
            .binary_search_by(|element| element.tag.cmp(&tag))
            .ok()?;
        self.elements.get(at)
    }

    /// Puts an element in its place; one with the same tag is replaced.
    pub fn put(&mut self, element: Element) {
        // Streams come in order: the common case appends.
        match self.elements.last() {
            Some(last) if last.tag >= element.tag => {
                match self
                    .elements
                    .binary_search_by(|other| other.tag.cmp(&element.tag))
                {
                    Ok(at) => {
                        if let Some(slot) = self.elements.get_mut(at) {
                            *slot = element;
                        }
                    }
                    Err(at) => self.elements.insert(at, element),
                }
            }
            _ => self.elements.push(element),
        }
    }

    /// Takes an element out.
    pub fn remove(&mut self, tag: Tag) -> Option<Element> {
        let at = self
            .elements
            .binary_search_by(|element| element.tag.cmp(&tag))
            .ok()?;
        Some(self.elements.remove(at))
    }

    /// Keeps the elements for which `keep` holds.
    pub fn retain(&mut self, keep: impl FnMut(&Element) -> bool) {
        self.elements.retain(keep);
    }

    /// The value field of an element that has one in memory.
    pub fn bytes(&self, tag: Tag) -> Option<&Bytes> {
        match &self.get(tag)?.value {
            Value::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The items of a sequence; empty when the element is absent or no sequence.
    pub fn items(&self, tag: Tag) -> &[DataSet] {
        match self.get(tag).map(|element| &element.value) {
            Some(Value::Sequence(items)) => items,
            _ => &[],
        }
    }
}

impl IntoIterator for DataSet {
    type Item = Element;
    type IntoIter = std::vec::IntoIter<Element>;
    fn into_iter(self) -> Self::IntoIter {
        self.elements.into_iter()
    }
}

impl FromIterator<Element> for DataSet {
    fn from_iter<T: IntoIterator<Item = Element>>(elements: T) -> Self {
        let mut data_set = Self::new();
        for element in elements {
            data_set.put(element);
        }
        data_set
    }
}
