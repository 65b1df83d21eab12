//! The query component of a URI (RFC 3986 §3.4), decoded before anything looks at it
//! (PS3.18 8.3).

use crate::problem::Problem;
use percent_encoding::percent_decode;
use std::borrow::Cow;

/// Most parameters of one query.
const PARAMETERS_MAX: usize = 1024;

/// The parameters of a query in their order, percent-decoded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueryString {
    parameters: Vec<(String, String)>,
}

impl QueryString {
    /// Decodes a query. A plus sign means a space, as every form-encoding client writes it,
    /// except in `accept`, where media types have plus signs and no spaces.
    ///
    /// # Errors
    /// 400 when a value is no UTF-8 or a percent sign is not followed by two hexadecimal digits.
    pub fn parse(query: Option<&str>) -> Result<Self, Problem> {
        let mut parameters = Vec::new();
        for pair in query
            .unwrap_or_default()
            .split('&')
            .filter(|pair| !pair.is_empty())
        {
            if parameters.len() >= PARAMETERS_MAX {
                return Err(Problem::bad_request("query has too many parameters"));
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name, true)?;
            let value = decode(value, name != "accept")?;
            parameters.push((name, value));
        }
        Ok(Self { parameters })
    }

    /// The parameters in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.parameters
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// All values of a parameter.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.iter()
            .filter(move |(key, _)| *key == name)
            .map(|(_, value)| value)
    }

    /// The value of a parameter that may be given once.
    ///
    /// # Errors
    /// 400 when it is given more than once.
    pub fn single(&self, name: &str) -> Result<Option<&str>, Problem> {
        let mut values = self
            .iter()
            .filter(|(key, _)| *key == name)
            .map(|(_, value)| value);
        let first = values.next();
        match values.next() {
            None => Ok(first),
            Some(_) => Err(Problem::bad_request(format!(
                "parameter {name} is given more than once"
            ))),
        }
    }
}

fn decode(text: &str, plus_is_space: bool) -> Result<String, Problem> {
    let mut rest = text.as_bytes();
    while let Some(at) = memchr::memchr(b'%', rest) {
        match rest.get(at + 1..at + 3) {
            Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => {}
            _ => {
                return Err(Problem::bad_request(
                    "query has a malformed percent-encoding",
                ));
            }
        }
        rest = rest.get(at + 3..).unwrap_or_default();
    }
    let text = if plus_is_space && text.contains('+') {
        Cow::Owned(text.replace('+', " "))
    } else {
        Cow::Borrowed(text)
    };
    match percent_decode(text.as_bytes()).decode_utf8() {
        Ok(decoded) => Ok(decoded.into_owned()),
        Err(_) => Err(Problem::bad_request("query is not UTF-8")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(query: &str, expect: &[(&str, &str)]) {
        let parsed = QueryString::parse(Some(query)).unwrap();
        assert_eq!(parsed.iter().collect::<Vec<_>>(), expect);
    }

    #[test]
    fn names_and_values_are_decoded() {
        check(
            "PatientName=M%C3%BCller%5EJ+K&a&b==&&",
            &[("PatientName", "Müller^J K"), ("a", ""), ("b", "=")],
        );
        check(
            "accept=application/dicom+json&x=a%2Bb",
            &[("accept", "application/dicom+json"), ("x", "a+b")],
        );
        check("", &[]);
    }

    #[test]
    fn what_cannot_be_decoded_is_a_bad_request() {
        for query in ["a=%", "a=%2", "a=%zz", "a=%FF", "%FF=a"] {
            assert_eq!(
                QueryString::parse(Some(query)).unwrap_err().status(),
                400,
                "{query}"
            );
        }
        assert!(QueryString::parse(Some(&"a&".repeat(2000))).is_err());
    }

    #[test]
    fn single_parameters_are_single() {
        let query = QueryString::parse(Some("limit=1&limit=2&offset=3")).unwrap();
        assert!(query.single("limit").is_err());
        assert_eq!(query.single("offset").unwrap(), Some("3"));
        assert_eq!(query.single("other").unwrap(), None);
        assert_eq!(query.all("limit").collect::<Vec<_>>(), ["1", "2"]);
    }

    proptest! {
        #[test]
        fn any_query_is_read_without_panic(query in ".{0,100}") {
            let _ = QueryString::parse(Some(&query));
        }
    }
}
