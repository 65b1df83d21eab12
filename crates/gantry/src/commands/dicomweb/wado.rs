//! QIDO-RS and WADO-RS: listing instances and fetching them (PS3.18 §10.4, §10.6).

use super::client::{DicomWeb, problem_text, read_answer};
use super::multipart::Parts;
use anyhow::Context;
use hyper::StatusCode;
use serde_json::Value;
use std::fmt::Write as _;

/// Results that are asked for at once.
const PAGE: usize = 1000;

/// Where an instance is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Study Instance UID.
    pub study: String,
    /// Series Instance UID.
    pub series: String,
    /// SOP Instance UID.
    pub instance: String,
}

impl DicomWeb {
    /// The Study Instance UIDs of the studies that match, by attribute and value.
    pub async fn find_studies(&self, keys: &[(String, String)]) -> anyhow::Result<Vec<String>> {
        let mut studies = Vec::new();
        self.search("/studies", keys, |item| {
            studies.extend(text(item, "0020000D"))
        })
        .await?;
        Ok(studies)
    }

    /// The instances of a study.
    pub async fn list_instances(&self, study: &str) -> anyhow::Result<Vec<Listed>> {
        let mut listed = Vec::new();
        let path = format!("/studies/{}/instances", encoded(study));
        self.search(&path, &[], |item| {
            let (series, instance) = (text(item, "0020000E"), text(item, "00080018"));
            if let (Some(series), Some(instance)) = (series, instance) {
                listed.push(Listed {
                    study: study.to_owned(),
                    series,
                    instance,
                });
            }
        })
        .await?;
        Ok(listed)
    }

    /// All results of a search, page after page.
    async fn search(
        &self,
        path: &str,
        keys: &[(String, String)],
        mut found: impl FnMut(&Value),
    ) -> anyhow::Result<()> {
        let mut query = String::new();
        for (key, value) in keys {
            let _ = write!(query, "&{}={}", encoded(key), encoded(value));
        }
        let mut offset = 0;
        loop {
            let page = format!("{path}?limit={PAGE}&offset={offset}{query}");
            let answer = read_answer(self.get(&page, "application/dicom+json").await?).await?;
            if answer.status == StatusCode::NO_CONTENT {
                return Ok(());
            }
            anyhow::ensure!(
                answer.status.is_success(),
                "search failed: {}",
                problem_text(&answer)
            );
            let results: Vec<Value> = serde_json::from_slice(&answer.body)
                .context("the answer to the search is no array of data sets")?;
            results.iter().for_each(&mut found);
            // Servers may give fewer than they are asked for, but none only at the end.
            if results.is_empty() {
                return Ok(());
            }
            offset += results.len();
        }
    }

    /// One instance as a Part 10 file; nothing when it is not there.
    pub async fn retrieve(
        &self,
        listed: &Listed,
        transfer_syntax: &str,
    ) -> anyhow::Result<Option<Parts>> {
        let path = format!(
            "/studies/{}/series/{}/instances/{}",
            encoded(&listed.study),
            encoded(&listed.series),
            encoded(&listed.instance)
        );
        let accept = format!(
            "multipart/related; type=\"application/dicom\"; transfer-syntax={transfer_syntax}"
        );
        let response = self.get(&path, &accept).await?;
        if response.status() == StatusCode::NOT_FOUND || response.status() == StatusCode::GONE {
            return Ok(None);
        }
        if !response.status().is_success() {
            let answer = read_answer(response).await?;
            anyhow::bail!("{}", problem_text(&answer));
        }
        let mut parts = Parts::of(response)?;
        let part = parts.next_part().await?;
        Ok(part.map(|_| parts))
    }
}

/// The first value of an element of a DICOM JSON object.
fn text(item: &Value, tag: &str) -> Option<String> {
    Some(item.get(tag)?.get("Value")?.get(0)?.as_str()?.to_owned())
}

/// Percent-encoded for a path segment or a query value (RFC 3986 §2).
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_encoded_for_addresses() {
        assert_eq!(encoded("1.2.3"), "1.2.3");
        assert_eq!(encoded("DOE^J* /&?"), "DOE%5EJ%2A%20%2F%26%3F");
        assert_eq!(encoded("ü"), "%C3%BC");
    }
}
