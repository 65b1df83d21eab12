//! A data set in memory, read in each encoding; what is read can be written and read again.
#![no_main]

use bytes::Bytes;
use gantry_dicom::encoding::{Encoding, Limits, parse, parse_prefix, write};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let limits = Limits { elements_max: 10_000, ..Limits::default() };
    let encodings = [Encoding::ExplicitLittle, Encoding::ImplicitLittle, Encoding::ExplicitBig];
    for encoding in encodings {
        let (data_set, _) = parse_prefix(Bytes::copy_from_slice(data), encoding, &limits);
        for other in encodings {
            let written = write(&data_set, other);
            let again = parse(written.into(), other, &Limits::default());
            // A value may look like a sequence to the dictionary, which implicit VR depends on.
            if !other.is_explicit() {
                continue;
            }
            // Reading settles VRs, and may find sequences in values; then it stays.
            let settled = write(&again.expect("what was written can be read"), other);
            let again = parse(settled.clone().into(), other, &Limits::default());
            assert_eq!(write(&again.expect("and again"), other), settled);
        }
    }
});
