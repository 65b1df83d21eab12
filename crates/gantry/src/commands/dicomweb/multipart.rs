//! Reading a `multipart/related` answer as it arrives (RFC 2046 §5.1, PS3.18 §8.6.1.2.1).

use anyhow::Context;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::Response;
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;

/// Longest header of a part.
const PART_HEADER_BYTES_MAX: usize = 16 << 10;

/// The parts of an answer, one after the other.
#[derive(Debug)]
pub struct Parts<S = Incoming> {
    source: S,
    delimiter: Vec<u8>,
    buffer: BytesMut,
    is_source_at_end: bool,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first boundary.
    Preamble,
    /// In a part.
    Inside,
    /// Behind a boundary.
    Boundary,
    /// Behind the last boundary.
    End,
}

/// Where chunks come from.
pub trait Chunks {
    /// The next chunk, or nothing at the end.
    fn next_chunk(&mut self) -> impl Future<Output = anyhow::Result<Option<Bytes>>>;
}

impl Chunks for Incoming {
    async fn next_chunk(&mut self) -> anyhow::Result<Option<Bytes>> {
        while let Some(frame) = self.frame().await {
            if let Ok(data) = frame.context("the answer broke off")?.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }
}

impl Parts {
    /// The parts of a response.
    pub fn of(response: Response<Incoming>) -> anyhow::Result<Self> {
        let content_type = response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|v| v.to_str().ok());
        let content_type = content_type.unwrap_or_default();
        let boundary = boundary(content_type)
            .with_context(|| format!("the answer is {content_type:?}, not multipart/related"))?;
        Ok(Self::new(response.into_body(), &boundary))
    }
}

impl<S: Chunks> Parts<S> {
    fn new(source: S, boundary: &str) -> Self {
        Self {
            source,
            delimiter: format!("\r\n--{boundary}").into_bytes(),
            // The first boundary may come without a line end before it.
            buffer: BytesMut::from(&b"\r\n"[..]),
            is_source_at_end: false,
            state: State::Preamble,
        }
    }

    /// Goes to the next part and gives its header fields as text; nothing behind the last part.
    /// What was not read of the part before is passed over.
    pub async fn next_part(&mut self) -> anyhow::Result<Option<String>> {
        if matches!(self.state, State::Inside | State::Preamble) {
            self.state = State::Inside;
            while self.read().await?.is_some() {}
        }
        if self.state == State::End {
            return Ok(None);
        }
        // Behind a delimiter: two hyphens for the end, or the rest of the line.
        self.fill(2).await?;
        if self.buffer.starts_with(b"--") {
            self.state = State::End;
            return Ok(None);
        }
        let header_end = loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                break at;
            }
            anyhow::ensure!(
                self.buffer.len() < PART_HEADER_BYTES_MAX,
                "the header of a part is too long"
            );
            anyhow::ensure!(
                self.more().await?,
                "the answer ends in the header of a part"
            );
        };
        let header = self.buffer.split_to(header_end);
        // The line end that closes the header stays: an empty part's delimiter begins with it.
        let _ = self.buffer.split_to(2);
        let _ = self.buffer.split_to(2);
        self.state = State::Inside;
        if self.starts_with_bare_delimiter().await? {
            self.buffer = [&b"\r\n"[..], &self.buffer].concat().as_slice().into();
        }
        Ok(Some(String::from_utf8_lossy(&header).trim().to_owned()))
    }

    /// The next bytes of the part; nothing at its end.
    pub async fn read(&mut self) -> anyhow::Result<Option<Bytes>> {
        if self.state != State::Inside {
            return Ok(None);
        }
        loop {
            if let Some(at) = find(&self.buffer, &self.delimiter) {
                if at > 0 {
                    return Ok(Some(self.buffer.split_to(at).freeze()));
                }
                let _ = self.buffer.split_to(self.delimiter.len());
                self.state = State::Boundary;
                return Ok(None);
            }
            // All but what could be the start of a delimiter is content.
            let sure = self.buffer.len().saturating_sub(self.delimiter.len() - 1);
            if sure > 0 {
                return Ok(Some(self.buffer.split_to(sure).freeze()));
            }
            anyhow::ensure!(self.more().await?, "the answer ends inside a part");
        }
    }

    /// Whether the part is empty and its delimiter follows at once, without a line end of its own.
    async fn starts_with_bare_delimiter(&mut self) -> anyhow::Result<bool> {
        let bare = self.delimiter.get(2..).unwrap_or_default().to_vec();
        while self.buffer.len() < bare.len() && bare.starts_with(&self.buffer) {
            if !self.more().await? {
                break;
            }
        }
        Ok(self.buffer.starts_with(&bare))
    }

    async fn fill(&mut self, length: usize) -> anyhow::Result<()> {
        while self.buffer.len() < length {
            anyhow::ensure!(self.more().await?, "the answer ends at a boundary");
        }
        Ok(())
    }

    async fn more(&mut self) -> anyhow::Result<bool> {
        if self.is_source_at_end {
            return Ok(false);
        }
        match self.source.next_chunk().await? {
            Some(chunk) => {
                self.buffer.extend_from_slice(&chunk);
                Ok(true)
            }
            None => {
                self.is_source_at_end = true;
                Ok(false)
            }
        }
    }
}

/// The boundary parameter of a multipart media type.
fn boundary(content_type: &str) -> Option<String> {
    let mut parameters = content_type.split(';');
    let media_type = parameters.next()?.trim();
    if !media_type.to_ascii_lowercase().starts_with("multipart/") {
        return None;
    }
    parameters.find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let value = value.trim().trim_matches('"');
        let is_boundary = name.trim().eq_ignore_ascii_case("boundary");
        (is_boundary && !value.is_empty() && value.len() <= 200).then(|| value.to_owned())
    })
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(haystack, needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Pieces(std::vec::IntoIter<Bytes>);

    impl Chunks for Pieces {
        async fn next_chunk(&mut self) -> anyhow::Result<Option<Bytes>> {
            Ok(self.0.next())
        }
    }

    async fn parts(body: &[u8], piece: usize) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
        let pieces: Vec<Bytes> = body.chunks(piece).map(Bytes::copy_from_slice).collect();
        let mut parts = Parts::new(Pieces(pieces.into_iter()), "XX");
        let mut all = Vec::new();
        while let Some(header) = parts.next_part().await? {
            let mut content = Vec::new();
            while let Some(bytes) = parts.read().await? {
                content.extend_from_slice(&bytes);
            }
            all.push((header, content));
        }
        Ok(all)
    }

    #[tokio::test]
    async fn parts_are_the_same_however_they_arrive() {
        let body =
            b"--XX\r\nContent-Type: a\r\n\r\none\r\n--X\r\ntwo\r\n--XX\r\nB: b\r\nC: c\r\n\r\n\
            \r\n--XX\r\nD: d\r\n\r\n--XX\r\nE: e\r\n\r\n\r\n\r\n\r\n--XX--\r\nepilogue";
        for piece in 1..body.len() {
            let parts = parts(body, piece).await.unwrap();
            let expected: [(&str, &[u8]); 4] = [
                ("Content-Type: a", b"one\r\n--X\r\ntwo"),
                ("B: b\r\nC: c", b""),
                ("D: d", b""),
                ("E: e", b"\r\n\r\n"),
            ];
            assert_eq!(parts.len(), 4, "{piece}: {parts:?}");
            for ((header, content), (expected_header, expected_content)) in
                parts.iter().zip(expected)
            {
                assert_eq!(
                    (header.as_str(), content.as_slice()),
                    (expected_header, expected_content)
                );
            }
        }
    }

    #[tokio::test]
    async fn a_part_that_was_not_read_is_passed_over() {
        let body = b"--XX\r\nA: a\r\n\r\nlong content\r\n--XX\r\nB: b\r\n\r\nx\r\n--XX--";
        let pieces = vec![Bytes::from_static(body)];
        let mut parts = Parts::new(Pieces(pieces.into_iter()), "XX");
        assert_eq!(parts.next_part().await.unwrap().unwrap(), "A: a");
        assert_eq!(parts.next_part().await.unwrap().unwrap(), "B: b");
        assert_eq!(parts.next_part().await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_an_error() {
        let body = b"--XX\r\nA: a\r\n\r\nlong content\r\n--XX";
        for length in 0..body.len() {
            assert!(parts(&body[..length], 7).await.is_err(), "{length}");
        }
    }

    #[test]
    fn the_boundary_is_found() {
        let some = |text: &str| boundary(text);
        assert_eq!(
            some("multipart/related; type=\"application/dicom\"; boundary=\"a b\""),
            Some("a b".into())
        );
        assert_eq!(some("Multipart/Related;BOUNDARY=x"), Some("x".into()));
        assert_eq!(some("application/dicom"), None);
        assert_eq!(some("multipart/related"), None);
    }
}
