//! Events as others take them: DICOM Audit Messages over syslog, FHIR AuditEvent, CSV.

pub(crate) mod collector;
mod csv;
mod fhir;
mod message;
mod participant;
mod syslog;
mod time;
mod xml;

pub use collector::Collectors;
pub use csv::{HEADER as CSV_HEADER, line as csv_line};
pub use fhir::{audit_event, bundle};
pub use message::audit_message;
pub use syslog::syslog_message;
pub use time::{rfc3339, rfc3339_parse};

/// Who reports: what stands in every message about this archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// AuditSourceID.
    pub id: String,
    /// AuditEnterpriseSiteID; empty: none.
    pub site: String,
    /// This machine's name.
    pub host: String,
    /// The archive's AE title.
    pub ae_title: String,
}

impl Source {
    /// As the settings have it; `ae_title` stands in for a source that is not named.
    pub fn new(settings: &crate::AuditSettings, ae_title: &str) -> Self {
        let id = match settings.source_id.as_str() {
            "" => ae_title,
            id => id,
        };
        let host = rustix::system::uname();
        Self {
            id: id.to_owned(),
            site: settings.site_id.clone(),
            host: host.nodename().to_string_lossy().into_owned(),
            ae_title: ae_title.to_owned(),
        }
    }
}
