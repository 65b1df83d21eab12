//! When certificates end.

use crate::error::TlsError;
use crate::identity;
use crate::material::certificates;
use std::path::Path;
use time::OffsetDateTime;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

/// Seconds of a day.
const DAY: i64 = 86_400;

/// What people want to know of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The subject (RFC 4514).
    pub subject: String,
    /// The issuer.
    pub issuer: String,
    /// The names it is for.
    pub names: Vec<String>,
    /// The serial number in hexadecimal.
    pub serial: String,
    /// The SHA-256 fingerprint.
    pub fingerprint: String,
    /// From when on, in seconds since 1970.
    pub not_before: i64,
    /// Until when, in seconds since 1970.
    pub not_after: i64,
    /// Whether it may sign others.
    pub is_authority: bool,
}

impl Summary {
    /// Whole days that are left; negative when it has ended.
    pub fn days_left(&self) -> i64 {
        let left = self.not_after.saturating_sub(now());
        left.div_euclid(DAY)
    }

    /// The end as people write it.
    pub fn end(&self) -> String {
        date(self.not_after)
    }

    /// The beginning as people write it.
    pub fn beginning(&self) -> String {
        date(self.not_before)
    }
}

fn date(seconds: i64) -> String {
    OffsetDateTime::from_unix_timestamp(seconds).map_or_else(
        |_| "unknown".to_owned(),
        |time| {
            let date = time.date();
            format!(
                "{:04}-{:02}-{:02}",
                date.year(),
                u8::from(date.month()),
                date.day()
            )
        },
    )
}

fn now() -> i64 {
    OffsetDateTime::now_utc().unix_timestamp()
}

/// The certificates of a file.
///
/// # Errors
/// When there are none, or one cannot be read.
pub fn summaries(path: &Path) -> Result<Vec<Summary>, TlsError> {
    certificates(path)?
        .iter()
        .map(|certificate| {
            let (_, parsed) = X509Certificate::from_der(certificate)
                .map_err(|_| TlsError::Certificate(path.to_owned()))?;
            Ok(Summary {
                subject: identity::subject(parsed.subject()),
                issuer: identity::subject(parsed.issuer()),
                names: identity::alternative_names(&parsed),
                serial: hexadecimal(parsed.raw_serial()),
                fingerprint: identity::fingerprint(certificate).to_string(),
                not_before: parsed.validity().not_before.timestamp(),
                not_after: parsed.validity().not_after.timestamp(),
                is_authority: parsed.is_ca(),
            })
        })
        .collect()
}

/// Without the zero in front that keeps a number from being negative.
pub(crate) fn hexadecimal(serial: &[u8]) -> String {
    let digits = serial.iter().skip_while(|byte| **byte == 0);
    digits.map(|byte| format!("{byte:02x}")).collect()
}

/// Whole days until the first certificate of a file ends.
///
/// # Errors
/// When it cannot be read.
pub fn days_left(path: &Path) -> Result<i64, TlsError> {
    summaries(path)?
        .first()
        .map(Summary::days_left)
        .ok_or_else(|| TlsError::Certificate(path.to_owned()))
}

/// Writes to the log if a certificate of the file ends within so many days.
pub(crate) fn warn(path: &Path, days: u32) {
    let summaries = match summaries(path) {
        Ok(summaries) => summaries,
        Err(error) => {
            tracing::warn!("the end of a certificate is unknown: {error}");
            return;
        }
    };
    for summary in summaries {
        let left = summary.days_left();
        if left < 0 {
            tracing::error!(
                file = %path.display(),
                subject = summary.subject,
                "the certificate has ended on {}",
                summary.end()
            );
        } else if left <= i64::from(days) {
            tracing::warn!(
                file = %path.display(),
                subject = summary.subject,
                days = left,
                "the certificate ends on {}",
                summary.end()
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_iso_8601_has_it() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(1_767_225_600), "2026-01-01");
        assert_eq!(date(i64::MAX), "unknown");
    }

    #[test]
    fn serial_numbers_have_no_padding() {
        assert_eq!(hexadecimal(&[0, 0xA1, 0x02]), "a102");
    }
}
