//! Data sets for properties.

use crate::data_set::{DataSet, Element, Value};
use crate::{Tag, Vr};
use proptest::prelude::*;

/// Data sets that both models hold without loss: values without insignificant spaces.
pub(crate) fn data_sets() -> impl Strategy<Value = DataSet> {
    let text = |vr: Vr| {
        prop::collection::vec("[!-\\[\\]-~üж山]{1,6}", 1..3).prop_map(move |values| {
            let joined = values.join("\\").replace('=', "-");
            (vr, Value::Bytes(joined.into_bytes().into()))
        })
    };
    let numbers = |vr: Vr, size: usize| {
        prop::collection::vec(any::<[u8; 8]>(), 0..3).prop_map(move |values| {
            let bytes: Vec<u8> = values
                .iter()
                .flat_map(|value| value[..size].to_vec())
                .collect();
            (vr, Value::Bytes(bytes.into()))
        })
    };
    let float = prop::collection::vec(prop::num::f64::NORMAL, 1..3).prop_map(|values| {
        let bytes: Vec<u8> = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        (Vr::FD, Value::Bytes(bytes.into()))
    });
    let single = prop::num::f32::NORMAL
        .prop_map(|value| (Vr::FL, Value::Bytes(value.to_le_bytes().to_vec().into())));
    let decimal = "-?(0|[1-9][0-9]{0,5})(\\.[0-9]{1,5})?"
        .prop_map(|text| (Vr::DS, Value::Bytes(text.into_bytes().into())));
    let name = "[a-zA-Z\u{fc}山]{1,4}(\\^[a-z]{1,3}){0,4}(=[山田]{1,3}(\\^[太郎]{1,2})?)?";
    let name = prop::collection::vec(name, 1..3)
        .prop_map(|names| (Vr::PN, Value::Bytes(names.join("\\").into_bytes().into())));
    let value = prop_oneof![
        text(Vr::LO),
        name,
        text(Vr::UC),
        text(Vr::LT),
        decimal,
        float,
        single,
        numbers(Vr::US, 2),
        numbers(Vr::SL, 4),
        numbers(Vr::AT, 4),
        numbers(Vr::SV, 8),
        numbers(Vr::UV, 8),
        prop::collection::vec(any::<u8>(), 0..9)
            .prop_map(|bytes| (Vr::OB, Value::Bytes(bytes.into()))),
    ];
    let leaf = prop::collection::btree_map((3u16..0x50, 1u16..), value, 0..6);
    let as_data_set = |elements: std::collections::BTreeMap<(u16, u16), (Vr, Value)>| -> DataSet {
        let elements = elements
            .into_iter()
            .filter(|((group, element), _)| (*group, *element) != (8, 5));
        elements
            .map(|((group, element), (vr, value))| {
                super::build::element(Tag(group, element), vr, value)
            })
            .collect()
    };
    leaf.prop_map(as_data_set)
        .prop_recursive(3, 24, 3, move |inner| {
            let sequence = prop::collection::vec(inner.clone(), 0..3).prop_map(Value::Sequence);
            (inner, 0x60u16..0x70, 1u16.., sequence).prop_map(
                |(mut data_set, group, element, value)| {
                    data_set.put(Element {
                        tag: Tag(group, element),
                        vr: Vr::SQ,
                        value,
                    });
                    data_set
                },
            )
        })
}
