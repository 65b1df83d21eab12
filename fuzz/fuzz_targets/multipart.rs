//! Multipart bodies: the parts are the same however the body is cut, and nothing is held back.
#![no_main]

use bytes::Bytes;
use gantry_serve_http::multipart::reader::{Event, Limits, MultipartError, PartHeader, Reader};
use libfuzzer_sys::fuzz_target;

const LIMITS: Limits = Limits {
    header_bytes_max: 64,
    parts_max: 8,
    preamble_bytes_max: 64,
};

type Parts = Vec<(PartHeader, Vec<u8>)>;

fn read(boundary: &str, body: &[u8], chunk: usize) -> Result<Parts, MultipartError> {
    let mut reader = Reader::new(boundary, LIMITS)?;
    let mut parts: Parts = Vec::new();
    let mut is_open = false;
    for piece in body.chunks(chunk) {
        reader.push(Bytes::copy_from_slice(piece));
        while let Some(event) = reader.next()? {
            match event {
                Event::Start(header) => {
                    assert!(!is_open);
                    parts.push((header, Vec::new()));
                    is_open = true;
                }
                Event::Data(bytes) => {
                    assert!(is_open && !bytes.is_empty());
                    let (_, content) = parts.last_mut().expect("a part is open");
                    content.extend_from_slice(&bytes);
                }
                Event::End => {
                    assert!(is_open);
                    is_open = false;
                }
            }
        }
    }
    reader.finish()?;
    assert!(!is_open && parts.len() == reader.parts());
    Ok(parts)
}

fuzz_target!(|input: (bool, u8, &[u8])| {
    let (is_long, chunk, body) = input;
    let boundary = if is_long { "long-boundary" } else { "b" };
    let whole = read(boundary, body, body.len().max(1));
    let cut = read(boundary, body, usize::from(chunk).max(1));
    assert_eq!(whole, cut);
});
