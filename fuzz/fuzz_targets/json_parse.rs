//! Metadata in JSON; what is read can be written, and then stays as it is.
#![no_main]

use gantry_dicom::json;
use gantry_dicom::model::ModelOptions;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(instances) = json::parse(data) else {
        return;
    };
    for instance in instances {
        let mut written = Vec::new();
        json::write(&instance.data_set, &mut written, &ModelOptions::default());
        let again = json::parse(&written).expect("what was written can be read");
        let [again] = &again[..] else {
            panic!("one instance")
        };
        let mut settled = Vec::new();
        json::write(&again.data_set, &mut settled, &ModelOptions::default());
        assert_eq!(String::from_utf8(settled), String::from_utf8(written));
    }
});
