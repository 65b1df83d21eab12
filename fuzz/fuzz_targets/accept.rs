//! Accept header fields: what is chosen is among the offers, best first, and never excluded.
#![no_main]

use gantry_serve_http::accept::{Accept, Offer};
use gantry_serve_http::media_type::{self, MediaType};
use libfuzzer_sys::fuzz_target;

const OFFERS: &[Offer] = &[
    Offer::multipart("application/octet-stream"),
    Offer::single("application/dicom+json"),
    Offer::multipart("image/jls"),
    Offer::single("image/jpeg"),
];

fuzz_target!(|texts: (&str, &str)| {
    let (query, header) = texts;
    if let Ok(media_type) = MediaType::parse(header) {
        assert!(!media_type.kind().is_empty() && !media_type.subtype().is_empty());
        let again = MediaType::parse(media_type.essence()).expect("an essence is a media type");
        assert_eq!(again.essence(), media_type.essence());
    }
    if let Ok((media_types, malformed)) = media_type::parse_list(header) {
        assert!(media_types.len() + malformed <= header.len());
    }
    let Ok(accept) = Accept::parse([query], [header]) else {
        return;
    };
    let found = accept.acceptable(OFFERS);
    assert!(found.is_sorted_by(|one, next| one.quality >= next.quality));
    for one in found {
        assert!(one.offer < OFFERS.len() && (1..=1000).contains(&one.quality));
    }
});
