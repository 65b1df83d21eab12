//! The certificate with which the other end of a connection has shown who it is, and rules that
//! bind somebody to one.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A certificate that was verified against the configured authorities.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PeerCertificate {
    /// Its SHA-256 fingerprint.
    pub fingerprint: Fingerprint,
    /// The subject as RFC 4514 writes it: `CN=CT1,O=Hospital`.
    pub subject: String,
    /// The Common Name of the subject.
    pub common_name: Option<String>,
    /// The subject alternative names: DNS names, addresses, mail addresses, URIs.
    pub alternative_names: Vec<String>,
}

/// The SHA-256 digest of a certificate in DER.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub [u8; 32]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("sha256:")?;
        self.0
            .iter()
            .try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// Why a text is no rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertificateRuleError {
    /// After `sha256:` there have to be 64 hexadecimal digits.
    #[error("a fingerprint is sha256: and 64 hexadecimal digits")]
    Fingerprint,
    /// Nothing was given.
    #[error("a certificate rule must not be empty")]
    Empty,
}

/// Which certificate is meant: `sha256:…`, a subject (`CN=CT1,O=Hospital`), or a name that is the
/// Common Name or one of the alternative names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum CertificateRule {
    /// Exactly this certificate.
    Fingerprint(Fingerprint),
    /// Any certificate of this subject.
    Subject(String),
    /// Any certificate with this name.
    Name(String),
}

impl CertificateRule {
    /// Whether `certificate` is meant.
    pub fn matches(&self, certificate: &PeerCertificate) -> bool {
        match self {
            Self::Fingerprint(fingerprint) => certificate.fingerprint == *fingerprint,
            Self::Subject(subject) => certificate.subject == *subject,
            Self::Name(name) => certificate
                .common_name
                .iter()
                .chain(&certificate.alternative_names)
                .any(|known| known.eq_ignore_ascii_case(name)),
        }
    }
}

impl FromStr for CertificateRule {
    type Err = CertificateRuleError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if text.is_empty() {
            return Err(CertificateRuleError::Empty);
        }
        if let Some(digits) = strip_prefix_ignoring_case(text, "sha256:") {
            return digest(digits)
                .map(Fingerprint)
                .map(Self::Fingerprint)
                .ok_or(CertificateRuleError::Fingerprint);
        }
        Ok(if text.contains('=') {
            Self::Subject(text.to_owned())
        } else {
            Self::Name(text.to_owned())
        })
    }
}

fn strip_prefix_ignoring_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// Hexadecimal digits, with or without colons between bytes as other programs print them.
fn digest(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|&c| c != ':')
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    if digits.len() != 64 {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = pair.iter().fold(0, |value, digit| value << 4 | digit);
    }
    Some(bytes)
}

impl fmt::Display for CertificateRule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fingerprint(fingerprint) => fingerprint.fmt(formatter),
            Self::Subject(text) | Self::Name(text) => formatter.write_str(text),
        }
    }
}

impl TryFrom<String> for CertificateRule {
    type Error = CertificateRuleError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<CertificateRule> for String {
    fn from(rule: CertificateRule) -> Self {
        rule.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate() -> PeerCertificate {
        PeerCertificate {
            fingerprint: Fingerprint([0xAB; 32]),
            subject: "CN=CT1,O=Hospital".into(),
            common_name: Some("CT1".into()),
            alternative_names: vec!["ct1.example".into(), "192.0.2.7".into()],
        }
    }

    #[test]
    fn a_rule_means_a_certificate_by_any_of_three_ways() {
        let certificate = certificate();
        let matches = |text: &str| {
            text.parse::<CertificateRule>()
                .unwrap()
                .matches(&certificate)
        };
        assert!(matches(&format!("sha256:{}", "ab".repeat(32))));
        assert!(matches(&format!("SHA256:{}", ["AB"; 32].join(":"))));
        assert!(!matches(&format!("sha256:{}", "ac".repeat(32))));
        assert!(matches("CN=CT1,O=Hospital"));
        assert!(!matches("CN=CT1"));
        assert!(matches("ct1") && matches("CT1.example") && matches("192.0.2.7"));
        assert!(!matches("CT") && !matches("ct1.example.org"));
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        for wrong in ["", "  ", "sha256:", "sha256:abcd", "sha256:xy"] {
            assert!(wrong.parse::<CertificateRule>().is_err(), "{wrong:?}");
        }
        let long = format!("sha256:{}", "ab".repeat(33));
        assert!(long.parse::<CertificateRule>().is_err());
    }

    #[test]
    fn rules_read_back_as_they_are_shown() {
        for text in [&*format!("sha256:{}", "0f".repeat(32)), "CN=CT1", "ct1"] {
            assert_eq!(text.parse::<CertificateRule>().unwrap().to_string(), text);
        }
    }
}
