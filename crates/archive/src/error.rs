//! Failures of use cases, in terms that every door can translate.

use gantry_core::failure::Kind;

/// The result of a use case.
pub type Result<T> = std::result::Result<T, Error>;

/// A failed use case: what kind it is, a text that may be shown to the peer (without patient
/// data), and the cause for the log.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: Kind,
    message: String,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// A failure that has no deeper cause.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    /// A failure caused by another one.
    pub fn caused(
        kind: Kind,
        message: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self {
            kind,
            message: message.into(),
            source: Some(source.into()),
        }
    }

    /// What the peer can do about it.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The text for the peer.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The text for the log: the message and every cause below it.
    pub fn chain(&self) -> String {
        let mut text = self.message.clone();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}

impl From<gantry_blob::error::BlobError> for Error {
    fn from(error: gantry_blob::error::BlobError) -> Self {
        let message = match error.kind() {
            Kind::OutOfResources => "no room to store",
            Kind::NotFound => "the stored bytes are missing",
            Kind::Conflict => "the data folder is in use",
            _ => "storage failed",
        };
        Self::caused(error.kind(), message, error)
    }
}

impl From<gantry_index::error::IndexError> for Error {
    fn from(error: gantry_index::error::IndexError) -> Self {
        let message = match error.kind() {
            Kind::OutOfResources => "no room in the index",
            _ => "the index failed",
        };
        Self::caused(error.kind(), message, error)
    }
}

impl From<gantry_audit::AuditError> for Error {
    fn from(error: gantry_audit::AuditError) -> Self {
        let message = match error.kind() {
            Kind::OutOfResources => "the audit trail cannot be written",
            _ => "the audit trail failed",
        };
        Self::caused(error.kind(), message, error)
    }
}

impl From<gantry_dicom::encoding::DecodeError> for Error {
    fn from(error: gantry_dicom::encoding::DecodeError) -> Self {
        Self::caused(Kind::Internal, "a stored header cannot be read", error)
    }
}

impl From<gantry_codec::Error> for Error {
    fn from(error: gantry_codec::Error) -> Self {
        let kind = match &error {
            // What is stored was accepted as it is: that it cannot be decoded is no fault of the
            // one who asks. A viewport outside of the image is.
            gantry_codec::Error::Malformed(_) | gantry_codec::Error::TooLarge(_) => {
                Kind::Unsupported
            }
            error => error.kind(),
        };
        Self::caused(kind, error.to_string(), error)
    }
}
