//! Entity tags and conditional requests (RFC 9110 §8.8.3 and §13).

use axum::http::header::{IF_MATCH, IF_NONE_MATCH, IF_RANGE};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use std::fmt::Write as _;

/// A strong entity tag: the same tag means the same bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityTag(String);

impl EntityTag {
    /// A tag made of everything that decides the bytes of a representation.
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("gantry 2026 entity tag");
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        let mut tag = String::with_capacity(34);
        tag.push('"');
        for byte in hasher.finalize().as_bytes().iter().take(16) {
            let _ = write!(tag, "{byte:02x}");
        }
        tag.push('"');
        Self(tag)
    }

    /// The tag with its quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The value of the ETag header field.
    pub fn header(&self) -> HeaderValue {
        HeaderValue::from_str(&self.0).unwrap_or(HeaderValue::from_static("\"\""))
    }
}

/// What the preconditions of a GET or HEAD come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Answer as if there were none.
    Proceed,
    /// 304.
    NotModified,
    /// 412.
    Failed,
}

/// Evaluates If-Match and If-None-Match for a representation with this tag.
pub fn evaluate(headers: &HeaderMap, tag: &EntityTag) -> Outcome {
    if headers.contains_key(IF_MATCH) && !lists(headers, &IF_MATCH, tag, false) {
        return Outcome::Failed;
    }
    if headers.contains_key(IF_NONE_MATCH) && lists(headers, &IF_NONE_MATCH, tag, true) {
        return Outcome::NotModified;
    }
    Outcome::Proceed
}

/// Whether a Range is to be honoured: no If-Range, or one with this tag. A date in it is never
/// taken, because representations here have none.
pub fn range_is_current(headers: &HeaderMap, tag: &EntityTag) -> bool {
    headers
        .get(IF_RANGE)
        .is_none_or(|value| value.as_bytes().trim_ascii() == tag.0.as_bytes())
}

fn lists(headers: &HeaderMap, name: &HeaderName, tag: &EntityTag, is_weak: bool) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| {
            value.split(',').map(str::trim).any(|candidate| {
                let candidate = if is_weak {
                    // A cache that compressed the answer may have weakened the tag.
                    candidate.strip_prefix("W/").unwrap_or(candidate)
                } else {
                    candidate
                };
                candidate == "*" || candidate == tag.0
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn tags_differ_when_any_part_differs() {
        let tag = EntityTag::of(&[b"ab", b"c"]);
        assert_eq!(tag, EntityTag::of(&[b"ab", b"c"]));
        assert_ne!(tag, EntityTag::of(&[b"a", b"bc"]));
        assert_eq!(tag.as_str().len(), 34);
        assert_eq!(tag.header().to_str().unwrap(), tag.as_str());
    }

    #[test]
    fn a_known_tag_is_not_modified() {
        let tag = EntityTag::of(&[b"x"]);
        for value in [tag.as_str(), "*", &format!("\"other\", W/{}", tag.as_str())] {
            assert_eq!(
                evaluate(&headers(IF_NONE_MATCH, value), &tag),
                Outcome::NotModified
            );
        }
        assert_eq!(
            evaluate(&headers(IF_NONE_MATCH, "\"other\""), &tag),
            Outcome::Proceed
        );
        assert_eq!(evaluate(&HeaderMap::new(), &tag), Outcome::Proceed);
    }

    #[test]
    fn if_match_wants_the_same_strong_tag() {
        let tag = EntityTag::of(&[b"x"]);
        assert_eq!(
            evaluate(&headers(IF_MATCH, tag.as_str()), &tag),
            Outcome::Proceed
        );
        let weak = format!("W/{}", tag.as_str());
        assert_eq!(evaluate(&headers(IF_MATCH, &weak), &tag), Outcome::Failed);
    }

    #[test]
    fn if_range_lets_only_the_same_tag_through() {
        let tag = EntityTag::of(&[b"x"]);
        assert!(range_is_current(&HeaderMap::new(), &tag));
        assert!(range_is_current(&headers(IF_RANGE, tag.as_str()), &tag));
        assert!(!range_is_current(&headers(IF_RANGE, "\"other\""), &tag));
        assert!(!range_is_current(
            &headers(IF_RANGE, "Wed, 21 Oct 2015 07:28:00 GMT"),
            &tag
        ));
    }
}
