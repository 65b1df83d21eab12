//! A key of a query against a stored value, in any VR.
#![no_main]

use gantry_dicom::Vr;
use gantry_dicom::character_set::CharacterSet;
use gantry_dicom::data_set::{DataSet, Element, Value};
use gantry_dicom::date_time::Offset;
use gantry_dicom::matching::{MatchOptions, Matcher, Scope};
use gantry_dicom::tags;
use libfuzzer_sys::fuzz_target;

const VRS: [Vr; 14] = [
    Vr::PN,
    Vr::LO,
    Vr::UT,
    Vr::CS,
    Vr::UI,
    Vr::DA,
    Vr::TM,
    Vr::DT,
    Vr::IS,
    Vr::DS,
    Vr::AT,
    Vr::US,
    Vr::FD,
    Vr::OB,
];

fuzz_target!(|data: (u8, u8, &str, &[u8])| {
    let (vr, flags, key, stored) = data;
    let vr = VRS[usize::from(vr) % VRS.len()];
    let options = MatchOptions {
        fuzzy: flags & 1 > 0,
        empty_value: flags & 2 > 0,
        multiple_value: flags & 4 > 0,
        combined_date_time: flags & 8 > 0,
        timezone: Offset::UTC,
    };
    let Ok(matcher) = Matcher::parse(vr, key, &options) else {
        return;
    };
    let mut data_set = DataSet::new();
    let value = Value::Bytes(stored.to_vec().into());
    data_set.put(Element {
        tag: tags::PATIENT_NAME,
        vr,
        value,
    });
    let scope = Scope {
        character_set: CharacterSet::UTF_8,
        timezone: Offset::UTC,
    };
    let is_match = matcher.matches(data_set.get(tags::PATIENT_NAME), scope);
    assert!(is_match || !matcher.is_universal());
});
