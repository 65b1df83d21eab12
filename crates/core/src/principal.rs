//! Who is asking.

use crate::access::{Access, Rights};
use crate::ae_title::AeTitle;
use crate::certificate::PeerCertificate;
use std::net::IpAddr;
use std::sync::Arc;

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
    /// The certificate that the peer has shown, on TLS connections.
    pub certificate: Option<Arc<PeerCertificate>>,
    /// The login of the person or service account.
    pub user: Option<String>,
    /// By what it was told who it is: `session 12`, `token 3`, `share 7`, `certificate`. For the
    /// audit trail; never a secret.
    pub credential: Option<String>,
    /// What was granted.
    pub access: Arc<Access>,
}

impl Principal {
    /// Somebody who came through `door`, of whom nothing is known and who may do nothing.
    pub fn unknown(door: Door) -> Self {
        Self {
            door,
            calling_ae: None,
            called_ae: None,
            address: None,
            certificate: None,
            user: None,
            credential: None,
            access: Arc::default(),
        }
    }

    /// The archive itself.
    pub fn system() -> Self {
        Self {
            access: Arc::new(Access::over_everything(Rights::ALL, "the archive itself")),
            ..Self::unknown(Door::System)
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
