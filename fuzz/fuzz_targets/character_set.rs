//! Text in any declared character set; what is encoded again decodes to the same.
#![no_main]

use gantry_dicom::Vr;
use gantry_dicom::character_set::CharacterSet;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: (&[u8], &[u8])| {
    let (declaration, bytes) = data;
    let set = CharacterSet::parse(declaration);
    if let Some(value) = set.to_value() {
        assert_eq!(
            CharacterSet::parse(value.as_bytes()).to_value(),
            Some(value)
        );
    }
    for vr in [Vr::PN, Vr::LO, Vr::LT, Vr::CS] {
        let text = set.decode(bytes, vr);
        if let Some(encoded) = set.encode(&text, vr) {
            assert_eq!(set.decode(&encoded, vr), text);
        }
    }
});
