//! The start of a file, whole and as far as it has come.
#![no_main]

use gantry_dicom::part10::{MetaProgress, read_meta};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let whole = read_meta(data, true);
    assert!(!matches!(whole, Ok(MetaProgress::NeedMore(_))));
    let mut length = 0;
    loop {
        match read_meta(&data[..length], length == data.len()) {
            Ok(MetaProgress::NeedMore(needed)) => {
                assert!(needed > length);
                length = needed.min(data.len());
            }
            result => {
                assert_eq!(result, whole);
                break;
            }
        }
    }
    if let Ok(MetaProgress::Read(meta)) = whole {
        assert!(meta.data_set_offset < data.len() as u64);
        assert!(!meta.transfer_syntax().is_empty());
    }
});
