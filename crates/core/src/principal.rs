//! Who is asking.

use crate::ae_title::AeTitle;
use std::net::IpAddr;

/// The door through which a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Door {
    /// A DICOM association.
    Dimse,
    /// DICOMweb or a page.
    Http,
    /// A command on this machine.
    Command,
    /// The archive's own work.
    System,
}

impl Door {
    /// A short word for logs and provenance.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dimse => "dimse",
            Self::Http => "http",
            Self::Command => "command",
            Self::System => "system",
        }
    }
}

/// Who is asking, as far as the door could find out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The door used.
    pub door: Door,
    /// The calling AE title, on DICOM associations.
    pub calling_ae: Option<AeTitle>,
    /// The AE title that was called, on DICOM associations.
    pub called_ae: Option<AeTitle>,
    /// The peer's address, when it came over a network.
    pub address: Option<IpAddr>,
    /// The user name given in the association's user identity or over HTTP.
    pub user: Option<String>,
}

impl Principal {
    /// The archive itself.
    pub fn system() -> Self {
        Self {
            door: Door::System,
            calling_ae: None,
            called_ae: None,
            address: None,
            user: None,
        }
    }

    /// A command on this machine.
    pub fn command() -> Self {
        Self {
            door: Door::Command,
            ..Self::system()
        }
    }
}
