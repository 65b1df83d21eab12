//! Range header fields (RFC 9110 §14.2): what is selected lies within, and is never more in all.
#![no_main]

use gantry_serve_http::range::{Selection, select};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u64, &str)| {
    let (length, text) = input;
    // Short ones are those that specs hit.
    for length in [length, length % 100] {
        for text in [text, &format!("bytes={text}")] {
            let Selection::Ranges(ranges) = select(Some(text), length) else {
                continue;
            };
            assert!(!ranges.is_empty());
            let mut total = 0u64;
            for range in ranges {
                assert!(range.first <= range.last && range.last < length);
                total = total.checked_add(range.length()).expect("within the whole");
            }
            assert!(total <= length);
        }
    }
});
