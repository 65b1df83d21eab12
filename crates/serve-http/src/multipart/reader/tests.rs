//! Whatever the chunks, the same parts.

use super::*;
use proptest::prelude::*;

type Parts = Vec<(PartHeader, Vec<u8>)>;

/// Reads a body cut into chunks of `chunk` bytes.
fn read(
    boundary: &str,
    body: &[u8],
    chunk: usize,
    limits: Limits,
) -> Result<Parts, MultipartError> {
    let mut reader = Reader::new(boundary, limits)?;
    let mut parts: Parts = Vec::new();
    let mut is_open = false;
    for piece in body.chunks(chunk.max(1)) {
        reader.push(Bytes::copy_from_slice(piece));
        while let Some(event) = reader.next()? {
            match event {
                Event::Start(header) => {
                    assert!(!is_open);
                    is_open = true;
                    parts.push((header, Vec::new()));
                }
                Event::Data(bytes) => {
                    assert!(is_open && !bytes.is_empty());
                    parts.last_mut().unwrap().1.extend_from_slice(&bytes);
                }
                Event::End => {
                    assert!(is_open);
                    is_open = false;
                }
            }
        }
    }
    reader.finish()?;
    Ok(parts)
}

#[track_caller]
fn check(boundary: &str, body: &[u8], expect: &[(&str, &[u8])]) {
    for chunk in 1..=body.len() {
        let parts = read(boundary, body, chunk, Limits::default()).unwrap();
        let found: Vec<(&str, &[u8])> = parts
            .iter()
            .map(|(header, data)| (header.field("content-type").unwrap_or(""), data.as_slice()))
            .collect();
        assert_eq!(found, expect, "in chunks of {chunk}");
    }
}

#[test]
fn parts_are_read_whatever_the_chunks() {
    check(
        "b",
        b"preamble\r\n--b\r\nContent-Type: a/b\r\n\r\none\r\n--b\r\ncontent-type:c/d\r\n\r\ntwo\r\n--b--\r\nepilogue",
        &[("a/b", b"one"), ("c/d", b"two")],
    );
}

#[test]
fn closing_delimiter_needs_no_line_break_and_parts_no_header() {
    check("b", b"--b\r\n\r\none\r\n--b--", &[("", b"one")]);
    check("b", b"--b  \r\n\r\n\r\n--b--", &[("", b"")]);
}

#[test]
fn an_empty_part_whose_delimiter_follows_its_header_is_empty() {
    check(
        "b",
        b"--b\r\nContent-Type: a/b\r\n\r\n--b--",
        &[("a/b", b"")],
    );
}

#[test]
fn content_that_looks_like_a_delimiter_is_content() {
    check(
        "b",
        b"--b\r\n\r\nx--b\r\n\r\n--bc\r\n--\r\n\r\r\n--b--",
        &[("", b"x--b\r\n\r\n--bc\r\n--\r\n\r")],
    );
}

#[test]
fn a_long_boundary_is_found_behind_content_without_line_break() {
    check(
        "0123456789",
        b"--0123456789\r\n\r\nDICM--0123456789--",
        &[("", b"DICM")],
    );
}

#[test]
fn bare_line_feeds_are_tolerated() {
    check(
        "b",
        b"--b\nContent-Type: a/b\n\none\n--b--\n",
        &[("a/b", b"one")],
    );
}

#[test]
fn folded_fields_are_joined() {
    check(
        "b",
        b"--b\r\nContent-Type: a/b;\r\n c=d\r\n\r\n\r\n--b--",
        &[("a/b; c=d", b"")],
    );
}

#[test]
fn a_cut_body_is_an_error() {
    let body = b"--b\r\n\r\none\r\n--b--";
    for length in 0..body.len() {
        let error = read("b", &body[..length], 4, Limits::default()).unwrap_err();
        assert!(
            matches!(error, MultipartError::Truncated | MultipartError::Preamble),
            "{length}: {error}"
        );
    }
}

#[test]
fn limits_are_kept() {
    let limits = Limits {
        header_bytes_max: 20,
        parts_max: 1,
        preamble_bytes_max: 30,
    };
    let check = |body: &[u8], expect: MultipartError| {
        for chunk in [1, 7, 1000] {
            assert_eq!(read("b", body, chunk, limits).unwrap_err(), expect);
        }
    };
    check(&[b'x'; 100], MultipartError::Preamble);
    let long = [&[b'x'; 40][..], b"\r\n--b\r\n\r\n\r\n--b--"].concat();
    check(&long, MultipartError::Preamble);
    check(
        b"--b\r\nA: 12345678901234567890\r\n\r\n\r\n--b--",
        MultipartError::HeaderTooLong(1),
    );
    check(
        b"--b\r\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        MultipartError::HeaderTooLong(1),
    );
    check(
        b"--b\r\n\r\n\r\n--b\r\n\r\n\r\n--b--",
        MultipartError::TooManyParts(1),
    );
    check(
        b"--b\r\nno colon\r\n\r\n\r\n--b--",
        MultipartError::Header(1),
    );
}

#[test]
fn header_fields_as_long_as_the_limit_are_read_whatever_the_chunks() {
    let limits = Limits {
        header_bytes_max: 8,
        ..Limits::default()
    };
    let body = b"--b\r\nA: 123\r\n\r\n\r\n--b--";
    for chunk in 1..body.len() {
        assert_eq!(read("b", body, chunk, limits).unwrap().len(), 1, "{chunk}");
    }
}

#[test]
fn impossible_boundaries_are_refused() {
    for boundary in ["", "a\r\nb", "ä", &"x".repeat(300)] {
        assert_eq!(
            Reader::new(boundary, Limits::default()).unwrap_err(),
            MultipartError::Boundary
        );
    }
}

#[test]
fn content_is_not_held_back_beyond_a_delimiter() {
    let mut reader = Reader::new("boundary", Limits::default()).unwrap();
    reader.push(Bytes::from_static(b"--boundary\r\n\r\n"));
    assert!(matches!(reader.next(), Ok(Some(Event::Start(_)))));
    for _ in 0..100 {
        reader.push(Bytes::from(vec![b'-'; 1000]));
        while reader.next().unwrap().is_some() {}
        assert!(reader.pending.len() < 16);
    }
}

proptest! {
    #[test]
    fn any_content_survives_any_chunking(
        contents in prop::collection::vec(prop::collection::vec(prop_oneof![
            Just(b'-'), Just(b'\r'), Just(b'\n'), Just(b'b'), any::<u8>()
        ], 0..60), 1..4),
        chunk in 1usize..50,
    ) {
        // With a delimiter inside, the content could not have been sent with this boundary.
        prop_assume!(contents.iter().all(|content| {
            let line = [b"\n", content.as_slice()].concat();
            memchr::memmem::find(&line, b"\n--b").is_none()
        }));
        let mut body = Vec::new();
        for content in &contents {
            body.extend_from_slice(b"--b\r\nContent-Type: a/b\r\n\r\n");
            body.extend_from_slice(content);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"--b--");
        let parts = read("b", &body, chunk, Limits::default()).unwrap();
        let found: Vec<_> = parts.into_iter().map(|(_, data)| data).collect();
        prop_assert_eq!(found, contents);
    }

    #[test]
    fn any_bytes_give_the_same_whatever_the_chunks(
        tail in prop::collection::vec(prop_oneof![
            Just(b'-'), Just(b'\r'), Just(b'\n'), Just(b'b'), Just(b':'), Just(b' '), any::<u8>()
        ], 0..80),
        chunk in 1usize..20,
    ) {
        let body = [b"--b\r\n".as_slice(), &tail].concat();
        let limits = Limits { header_bytes_max: 40, parts_max: 3, preamble_bytes_max: 40 };
        prop_assert_eq!(read("b", &body, chunk, limits), read("b", &body, 1000, limits));
    }
}
