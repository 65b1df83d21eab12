//! The bulk values of a header and their addresses below an instance.

use gantry_dicom::Tag;
use gantry_dicom::data_set::{DataSet, Deferred, Value};
use gantry_dicom::element_path::ElementPath;

/// Deepest sequence that is looked into; headers are not deeper.
const DEPTH_MAX: usize = 64;

/// A bulk value and where it is.
#[derive(Debug, Clone, PartialEq)]
pub struct BulkValue {
    /// The way to its element; below `…/bulkdata/` in a URL.
    pub path: ElementPath,
    /// Where it lies.
    pub deferred: Deferred,
}

/// All bulk values of a header, in the order of the data set.
pub fn all(header: &DataSet) -> Vec<BulkValue> {
    let mut found = Vec::new();
    collect(header, &mut Vec::new(), &mut found);
    found
}

fn collect(data_set: &DataSet, way: &mut Vec<(Tag, usize)>, found: &mut Vec<BulkValue>) {
    for element in data_set.elements() {
        match &element.value {
            Value::Deferred(deferred) => found.push(BulkValue {
                path: ElementPath {
                    items: way.clone(),
                    tag: element.tag,
                },
                deferred: *deferred,
            }),
            Value::Sequence(items) if way.len() < DEPTH_MAX => {
                for (at, item) in items.iter().enumerate() {
                    way.push((element.tag, at));
                    collect(item, way, found);
                    way.pop();
                }
            }
            Value::Sequence(_) | Value::Bytes(_) | Value::Fragments(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gantry_dicom::data_set::Element;
    use gantry_dicom::{Vr, tags};

    #[test]
    fn every_bulk_value_has_a_path_that_leads_to_it() {
        let deferred = |offset| {
            Value::Deferred(Deferred {
                offset,
                length: 10,
                is_encapsulated: false,
            })
        };
        let element = |tag, vr, value| Element { tag, vr, value };
        let item =
            |offset| DataSet::from_iter([element(tags::WAVEFORM_DATA, Vr::OW, deferred(offset))]);
        let header = DataSet::from_iter([
            element(tags::PATIENT_ID, Vr::LO, Value::Bytes("1".into())),
            element(
                tags::WAVEFORM_SEQUENCE,
                Vr::SQ,
                Value::Sequence(vec![item(1), item(2)]),
            ),
            element(tags::PIXEL_DATA, Vr::OW, deferred(3)),
        ]);
        let found = all(&header);
        let paths: Vec<String> = found.iter().map(|value| value.path.to_string()).collect();
        assert_eq!(
            paths,
            ["54000100/0/54001010", "54000100/1/54001010", "7FE00010"]
        );
        for value in &found {
            let element = header.at(&value.path).unwrap();
            assert_eq!(element.value, Value::Deferred(value.deferred));
        }
    }
}
