//! Re-encoding, with and without edits, of data sets that the scanner accepts and of others. The
//! first byte chooses the syntaxes.
#![no_main]

use gantry_dicom::scan::{ScanLimits, scan};
use gantry_dicom::transcode::{Edits, Form, transcode};
use gantry_dicom::transfer_syntax::{
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
};
use gantry_dicom::tags;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [choice, data_set @ ..] = data else { return };
    let syntaxes = [
        &EXPLICIT_VR_LITTLE_ENDIAN,
        &IMPLICIT_VR_LITTLE_ENDIAN,
        &EXPLICIT_VR_BIG_ENDIAN,
        &DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    ];
    let from = syntaxes[usize::from(choice & 3)];
    let to = syntaxes[usize::from(choice >> 2 & 3)];
    let limits = ScanLimits { inflated_bytes_max: 4 << 20, ..ScanLimits::default() };
    let scanned = scan(data_set, from, limits);
    let form = match &scanned {
        Ok(scanned) => Form::of_scanned(from, scanned.encoding),
        Err(_) if from.is_deflated => return,
        Err(_) => Form::from(from),
    };
    let mut edits = Edits::default();
    if choice & 0x10 != 0 {
        edits.remove.insert(tags::PATIENT_ID);
    }
    let mut out = Vec::new();
    let result = transcode(data_set, form, &mut out, to.into(), edits);
    if scanned.is_ok() {
        result.expect("what was scanned can be re-encoded");
        let again = scan(&out, to, ScanLimits::default());
        // A value may look like a sequence to the dictionary, which implicit VR depends on.
        assert!(again.is_ok() || !to.encoding.is_explicit(), "{again:?}");
    }
});
