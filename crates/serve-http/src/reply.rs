//! Answers made of bytes in memory or of streams, with ranges, entity tags and media types.

use crate::compression::Coding;
use crate::conditional::{self, EntityTag, Outcome};
use crate::context::Asked;
use crate::multipart::writer::Writer;
use crate::range::{self, ByteRange, Selection};
use axum::body::Body;
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE,
    ETAG, RANGE, VARY,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use futures_util::{Stream, stream};

/// How long a browser may use an answer without asking again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// It has to ask each time; the entity tag makes that cheap.
    Revalidate,
    /// What a SOP Instance UID names does not change: for a while it need not ask.
    Immutable,
}

impl Freshness {
    fn header(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Revalidate => "private, no-cache",
            Self::Immutable => "private, max-age=600",
        })
    }
}

/// 304 or 412 when the request's preconditions call for it.
pub fn precondition(asked: &Asked, tag: &EntityTag, freshness: Freshness) -> Option<Response> {
    let status = match conditional::evaluate(&asked.headers, tag) {
        Outcome::Proceed => return None,
        Outcome::NotModified => StatusCode::NOT_MODIFIED,
        Outcome::Failed => StatusCode::PRECONDITION_FAILED,
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response.headers_mut().insert(ETAG, tag.header());
    response
        .headers_mut()
        .insert(CACHE_CONTROL, freshness.header());
    Some(response)
}

/// 200 with a media type and a body.
pub fn with_body(content_type: &str, body: Body) -> Response {
    let mut response = Response::new(body);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, header_value(content_type));
    response
}

/// 200 with a stream; `length` where it is known.
pub fn with_stream<S, E>(content_type: &str, length: Option<u64>, stream: S) -> Response
where
    S: Stream<Item = Result<Bytes, E>> + Send + 'static,
    E: Into<axum::BoxError> + 'static,
{
    let mut response = with_body(content_type, Body::from_stream(stream));
    if let Some(length) = length {
        response
            .headers_mut()
            .insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    response
}

/// Marks an answer with its entity tag.
pub fn tagged(mut response: Response, tag: &EntityTag, freshness: Freshness) -> Response {
    response.headers_mut().insert(ETAG, tag.header());
    response
        .headers_mut()
        .insert(CACHE_CONTROL, freshness.header());
    response
}

/// Marks an answer whose content coding was negotiated: its tag stands for the coded bytes.
pub fn encoded(mut response: Response, coding: Option<Coding>) -> Response {
    let headers = response.headers_mut();
    headers.insert(VARY, HeaderValue::from_static("accept, accept-encoding"));
    if let Some(coding) = coding.filter(|coding| *coding != Coding::Identity) {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
    }
    response.extensions_mut().insert(IsEncoded);
    response
}

/// An extension of answers whose entity tag is right for their content coding.
#[derive(Debug, Clone, Copy)]
pub struct IsEncoded;

/// A header value; what cannot be one (it is made of checked parts, so this does not happen)
/// becomes empty.
pub fn header_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}

/// Which part of a representation of `length` bytes the request wants, with If-Range obeyed.
pub fn wanted_range(headers: &HeaderMap, tag: &EntityTag, length: u64) -> Selection {
    let range = headers.get(RANGE).and_then(|value| value.to_str().ok());
    if conditional::range_is_current(headers, tag) {
        range::select(range, length)
    } else {
        Selection::Whole
    }
}

/// 416.
pub fn unsatisfiable(length: u64) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
    response
        .headers_mut()
        .insert(CONTENT_RANGE, header_value(&format!("bytes */{length}")));
    response
}

/// Marks an answer as one range of a representation.
pub fn partial(mut response: Response, range: ByteRange, length: u64) -> Response {
    *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    let headers = response.headers_mut();
    headers.insert(CONTENT_RANGE, header_value(&range.content_range(length)));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(range.length()));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    response
}

/// An answer of bytes that are in memory, in pieces, of which ranges can be had.
pub fn with_pieces(
    asked: &Asked,
    tag: &EntityTag,
    freshness: Freshness,
    content_type: &str,
    pieces: Vec<Bytes>,
) -> Response {
    let length: u64 = pieces.iter().map(|piece| piece.len() as u64).sum();
    let response = match wanted_range(&asked.headers, tag, length) {
        Selection::Unsatisfiable => unsatisfiable(length),
        Selection::Whole => {
            let mut response = pieces_response(content_type, pieces);
            let headers = response.headers_mut();
            headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
            headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
            response
        }
        Selection::Ranges(ranges) => match ranges.as_slice() {
            [range] => {
                let response = pieces_response(content_type, slice(&pieces, *range));
                partial(response, *range, length)
            }
            ranges => byte_ranges(tag, content_type, &pieces, ranges, length),
        },
    };
    tagged(response, tag, freshness)
}

fn pieces_response(content_type: &str, pieces: Vec<Bytes>) -> Response {
    let body = match <[Bytes; 1]>::try_from(pieces) {
        Ok([whole]) => Body::from(whole),
        Err(pieces) => Body::from_stream(stream::iter(
            pieces.into_iter().map(Ok::<_, std::convert::Infallible>),
        )),
    };
    with_body(content_type, body)
}

/// Several ranges go as multipart/byteranges (RFC 9110 §14.6).
fn byte_ranges(
    tag: &EntityTag,
    content_type: &str,
    pieces: &[Bytes],
    ranges: &[ByteRange],
    length: u64,
) -> Response {
    let writer = Writer::new(tag.as_str().as_bytes());
    let mut parts = Vec::new();
    for range in ranges {
        parts.push(writer.range_head(content_type, &range.content_range(length)));
        parts.extend(slice(pieces, *range));
        parts.push(writer.part_tail());
    }
    parts.push(writer.closing());
    let body_length: u64 = parts.iter().map(|part| part.len() as u64).sum();
    let mut response = pieces_response(&writer.byte_ranges_content_type(), parts);
    *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    response
        .headers_mut()
        .insert(CONTENT_LENGTH, HeaderValue::from(body_length));
    response
}

/// The pieces of a range; nothing is copied.
fn slice(pieces: &[Bytes], range: ByteRange) -> Vec<Bytes> {
    let mut sliced = Vec::new();
    let mut offset = 0u64;
    for piece in pieces {
        let end = offset + piece.len() as u64;
        let from = range.first.max(offset);
        let to = (range.last + 1).min(end);
        if from < to
            && let (Ok(from), Ok(to)) =
                (usize::try_from(from - offset), usize::try_from(to - offset))
        {
            sliced.push(piece.slice(from..to));
        }
        offset = end;
    }
    sliced
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::tests::asked;
    use proptest::prelude::*;

    async fn body(response: Response) -> Vec<u8> {
        axum::body::to_bytes(response.into_body(), 1 << 20)
            .await
            .unwrap()
            .to_vec()
    }

    fn pieces() -> Vec<Bytes> {
        vec![
            Bytes::from_static(b"head:"),
            Bytes::from_static(b"0123456789"),
            Bytes::from_static(b";"),
        ]
    }

    fn reply(fields: &[(&str, &str)]) -> Response {
        let tag = EntityTag::of(&[b"x"]);
        with_pieces(&asked(fields), &tag, Freshness::Immutable, "a/b", pieces())
    }

    #[tokio::test]
    async fn the_whole_says_its_length_and_that_ranges_can_be_had() {
        let response = reply(&[]);
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()[CONTENT_LENGTH], "16");
        assert_eq!(response.headers()[ACCEPT_RANGES], "bytes");
        assert_eq!(body(response).await, b"head:0123456789;");
    }

    #[tokio::test]
    async fn one_range_may_span_pieces() {
        let response = reply(&[("range", "bytes=3-6")]);
        assert_eq!(response.status(), 206);
        assert_eq!(response.headers()[CONTENT_RANGE], "bytes 3-6/16");
        assert_eq!(response.headers()[CONTENT_LENGTH], "4");
        assert_eq!(body(response).await, b"d:01");
    }

    #[tokio::test]
    async fn several_ranges_are_parts() {
        let response = reply(&[("range", "bytes=0-1,15-15")]);
        assert_eq!(response.status(), 206);
        let content_type = response.headers()[CONTENT_TYPE]
            .to_str()
            .unwrap()
            .to_owned();
        assert!(
            content_type.starts_with("multipart/byteranges; boundary="),
            "{content_type}"
        );
        let length = response.headers()[CONTENT_LENGTH]
            .to_str()
            .unwrap()
            .to_owned();
        let text = String::from_utf8(body(response).await).unwrap();
        assert_eq!(text.len().to_string(), length);
        assert!(
            text.contains("Content-Range: bytes 0-1/16\r\n\r\nhe\r\n"),
            "{text}"
        );
        assert!(
            text.contains("Content-Range: bytes 15-15/16\r\n\r\n;\r\n"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn nothing_of_the_range_is_there() {
        let response = reply(&[("range", "bytes=16-")]);
        assert_eq!(response.status(), 416);
        assert_eq!(response.headers()[CONTENT_RANGE], "bytes */16");
    }

    #[tokio::test]
    async fn a_range_of_something_older_gives_the_whole() {
        let response = reply(&[("range", "bytes=0-0"), ("if-range", "\"older\"")]);
        assert_eq!(response.status(), 200);
    }

    #[test]
    fn a_known_tag_is_answered_without_body() {
        let tag = EntityTag::of(&[b"x"]);
        let known = asked(&[("if-none-match", tag.as_str())]);
        let response = precondition(&known, &tag, Freshness::Revalidate).unwrap();
        assert_eq!(response.status(), 304);
        assert_eq!(response.headers()[ETAG], tag.as_str());
        assert!(precondition(&asked(&[]), &tag, Freshness::Revalidate).is_none());
    }

    proptest! {
        #[test]
        fn slices_are_what_a_slice_of_the_whole_is(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..5), 1..6),
            first: u64,
            length: u64,
        ) {
            let whole: Vec<u8> = pieces.concat();
            prop_assume!(!whole.is_empty());
            let first = first % whole.len() as u64;
            let last = first + length % (whole.len() as u64 - first);
            let pieces: Vec<Bytes> = pieces.into_iter().map(Bytes::from).collect();
            let sliced = slice(&pieces, ByteRange { first, last }).concat();
            prop_assert_eq!(&sliced[..], &whole[first as usize..=last as usize]);
        }
    }
}
