//! Where an element lies in a data set: `00540016/0/00180031` is Radiopharmaceutical in the first
//! item of Radiopharmaceutical Information Sequence. Bulk data are addressed so.

use crate::data_set::{DataSet, Element, Value};
use crate::{Tag, Vr};
use std::str::FromStr;

/// Deepest path, in sequences.
const DEPTH_MAX: usize = 128;

/// The way to an element: sequences and item numbers, then the element's tag.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ElementPath {
    /// Sequences on the way, outermost first, and which item of each (0 is the first one).
    pub items: Vec<(Tag, usize)>,
    /// The element.
    pub tag: Tag,
}

/// A text that is no path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("element path is not made of tags and item numbers")]
pub struct ElementPathError;

impl From<Tag> for ElementPath {
    fn from(tag: Tag) -> Self {
        Self {
            items: Vec::new(),
            tag,
        }
    }
}

impl std::fmt::Display for ElementPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (Tag(group, element), item) in &self.items {
            write!(f, "{group:04X}{element:04X}/{item}/")?;
        }
        write!(f, "{:04X}{:04X}", self.tag.0, self.tag.1)
    }
}

impl FromStr for ElementPath {
    type Err = ElementPathError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split('/');
        let mut tag = parts.next().and_then(parse_tag).ok_or(ElementPathError)?;
        let mut items = Vec::new();
        while let Some(item) = parts.next() {
            if items.len() == DEPTH_MAX || !item.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(ElementPathError);
            }
            items.push((tag, item.parse().map_err(|_| ElementPathError)?));
            tag = parts.next().and_then(parse_tag).ok_or(ElementPathError)?;
        }
        Ok(Self { items, tag })
    }
}

/// Eight hexadecimal digits of either case.
pub(crate) fn parse_tag(text: &str) -> Option<Tag> {
    if text.len() != 8 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let number = u32::from_str_radix(text, 16).ok()?;
    let (group, element) = (number >> 16, number & 0xFFFF);
    Some(Tag(
        u16::try_from(group).ok()?,
        u16::try_from(element).ok()?,
    ))
}

impl DataSet {
    /// The element at a path.
    pub fn at(&self, path: &ElementPath) -> Option<&Element> {
        let mut data_set = self;
        for (sequence, item) in &path.items {
            data_set = data_set.items(*sequence).get(*item)?;
        }
        data_set.get(path.tag)
    }

    /// Puts an element with this VR and value at a path; tells whether the items on the way are
    /// there.
    pub fn put_at(&mut self, path: &ElementPath, vr: Vr, value: Value) -> bool {
        match path.items.split_first() {
            None => {
                self.put(Element {
                    tag: path.tag,
                    vr,
                    value,
                });
                true
            }
            Some((&(sequence, item), rest)) => {
                let Some(mut element) = self.remove(sequence) else {
                    return false;
                };
                let is_put = match &mut element.value {
                    Value::Sequence(items) => items.get_mut(item).is_some_and(|item| {
                        let rest = ElementPath {
                            items: rest.to_vec(),
                            tag: path.tag,
                        };
                        item.put_at(&rest, vr, value)
                    }),
                    _ => false,
                };
                self.put(element);
                is_put
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tags;
    use proptest::prelude::*;

    #[test]
    fn paths_lead_to_elements() {
        let mut item = DataSet::new();
        item.put_u16(tags::ROWS, 7);
        let mut data_set = DataSet::new();
        data_set.put_sequence(tags::ICON_IMAGE_SEQUENCE, vec![DataSet::new(), item]);
        let path: ElementPath = "00880200/1/00280010".parse().unwrap();
        assert_eq!(
            data_set.at(&path).map(|element| element.tag),
            Some(tags::ROWS)
        );
        let other: ElementPath = "00880200/1/7FE00010".parse().unwrap();
        assert_eq!(data_set.at(&other), None);
        assert!(data_set.put_at(&other, Vr::OB, Value::Bytes(vec![1, 2].into())));
        assert!(data_set.at(&other).is_some());
        assert!(data_set.at(&path).is_some());
        for absent in ["00880200/2/00280010", "00880201/0/00280010"] {
            let absent = absent.parse().unwrap();
            assert_eq!(data_set.at(&absent), None);
            assert!(!data_set.put_at(&absent, Vr::US, Value::Bytes(vec![1, 2].into())));
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        let deep = "00880200/0/".repeat(1000) + "00280010";
        for text in [
            "",
            "7FE0001",
            "7FE00010/",
            "7FE00010/0",
            "7FE00010/-1/00280010",
            "7FE00010/x/00280010",
            "/7FE00010",
            "+FE00010",
            &deep,
        ] {
            assert_eq!(text.parse::<ElementPath>(), Err(ElementPathError), "{text}");
        }
    }

    proptest! {
        #[test]
        fn written_paths_are_read(items: Vec<(u16, u16, usize)>, group: u16, element: u16) {
            let items = items.into_iter().map(|(group, element, item)| (Tag(group, element), item)).collect();
            let path = ElementPath { items, tag: Tag(group, element) };
            prop_assert_eq!(path.to_string().parse::<ElementPath>(), Ok(path));
        }
    }
}
