//! Metadata in XML; what is read can be written, and then stays as it is.
#![no_main]

use gantry_dicom::model::ModelOptions;
use gantry_dicom::xml;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(instance) = xml::parse(data) else {
        return;
    };
    let mut written = Vec::new();
    xml::write(&instance.data_set, &mut written, &ModelOptions::default());
    let again = xml::parse(&written).expect("what was written can be read");
    let mut settled = Vec::new();
    xml::write(&again.data_set, &mut settled, &ModelOptions::default());
    assert_eq!(String::from_utf8(settled), String::from_utf8(written));
});
