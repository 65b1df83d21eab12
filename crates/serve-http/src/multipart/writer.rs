//! Writes multipart bodies part by part.
//!
//! Field names are capitalised the way browsers' DICOMweb clients look for them: Cornerstone's
//! loader compares `Content-Type:` case-sensitively although RFC 2045 says otherwise.

use bytes::Bytes;

/// A boundary and what has to be written around parts.
#[derive(Debug, Clone)]
pub struct Writer {
    boundary: String,
}

impl Writer {
    /// A writer with a boundary that is made of `seed`, so that the same content makes the same
    /// body and byte ranges and entity tags hold. A digest of the content makes a seed that the
    /// content cannot contain.
    pub fn new(seed: &[u8]) -> Self {
        let digest = blake3::derive_key("gantry 2026 multipart boundary", seed);
        let hex: String = digest
            .iter()
            .take(16)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Self {
            boundary: format!("gantry-{hex}"),
        }
    }

    /// The value of Content-Type for a body whose parts are of `media_type`.
    pub fn content_type(&self, media_type: &str) -> String {
        format!(
            "multipart/related; type=\"{media_type}\"; boundary=\"{}\"",
            self.boundary
        )
    }

    /// What precedes a part's content.
    pub fn part_head(&self, content_type: &str, content_location: Option<&str>) -> Bytes {
        let location = content_location
            .map(|location| format!("Content-Location: {location}\r\n"))
            .unwrap_or_default();
        format!(
            "--{}\r\nContent-Type: {content_type}\r\n{location}\r\n",
            self.boundary
        )
        .into()
    }

    /// What precedes a part's content, with the content's length said.
    pub fn part_head_sized(
        &self,
        content_type: &str,
        content_location: Option<&str>,
        length_bytes: u64,
    ) -> Bytes {
        let location = content_location
            .map(|location| format!("Content-Location: {location}\r\n"))
            .unwrap_or_default();
        format!(
            "--{}\r\nContent-Type: {content_type}\r\nContent-Length: {length_bytes}\r\n{location}\r\n",
            self.boundary
        )
        .into()
    }

    /// The value of Content-Type for a body of byte ranges (RFC 9110 §14.6).
    pub fn byte_ranges_content_type(&self) -> String {
        format!("multipart/byteranges; boundary={}", self.boundary)
    }

    /// What precedes a byte range.
    pub fn range_head(&self, content_type: &str, content_range: &str) -> Bytes {
        format!(
            "--{}\r\nContent-Type: {content_type}\r\nContent-Range: {content_range}\r\n\r\n",
            self.boundary
        )
        .into()
    }

    /// What follows a part's content.
    pub fn part_tail(&self) -> Bytes {
        Bytes::from_static(b"\r\n")
    }

    /// What ends the body.
    pub fn closing(&self) -> Bytes {
        format!("--{}--\r\n", self.boundary).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media_type::MediaType;
    use crate::multipart::reader::{Event, Limits, Reader};

    #[test]
    fn what_is_written_is_read_back() {
        let writer = Writer::new(b"seed");
        let body = [
            writer.part_head(
                "application/octet-stream; transfer-syntax=1.2",
                Some("frames/1"),
            ),
            Bytes::from_static(b"one"),
            writer.part_tail(),
            writer.part_head_sized("a/b", None, 3),
            Bytes::from_static(b"two"),
            writer.part_tail(),
            writer.closing(),
        ]
        .concat();
        let content_type = MediaType::parse(&writer.content_type("a/b")).unwrap();
        assert_eq!(content_type.parameter("type"), Some("a/b"));
        let boundary = content_type.parameter("boundary").unwrap();
        let mut reader = Reader::new(boundary, Limits::default()).unwrap();
        reader.push(body.into());
        let mut events = Vec::new();
        while let Some(event) = reader.next().unwrap() {
            events.push(event);
        }
        reader.finish().unwrap();
        let [
            Event::Start(first),
            Event::Data(one),
            Event::End,
            Event::Start(second),
            ..,
        ] = events.as_slice()
        else {
            panic!("{events:?}")
        };
        assert_eq!(first.field("content-location"), Some("frames/1"));
        assert_eq!(one.as_ref(), b"one");
        assert_eq!(second.field("content-length"), Some("3"));
    }

    #[test]
    fn field_names_are_capitalised_as_naive_readers_expect() {
        let head = Writer::new(b"x").part_head("image/jls; transfer-syntax=1.2", None);
        let text = std::str::from_utf8(&head).unwrap();
        assert!(
            text.lines()
                .any(|line| line.starts_with("Content-Type: image/jls; transfer-syntax=1.2"))
        );
        assert!(text.starts_with("--") && text.ends_with("\r\n\r\n"));
    }

    #[test]
    fn boundaries_depend_on_the_seed_only() {
        assert_eq!(Writer::new(b"a").boundary, Writer::new(b"a").boundary);
        assert_ne!(Writer::new(b"a").boundary, Writer::new(b"b").boundary);
    }
}
