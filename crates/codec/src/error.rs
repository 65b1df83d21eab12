//! What can go wrong with pixels.

use gantry_core::failure::Kind;
use serde::{Deserialize, Serialize};

/// A failure to decode, encode or render.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Error {
    /// The attributes or the encoded bytes contradict the standard or each other.
    #[error("malformed pixel data: {0}")]
    Malformed(String),
    /// Legal as far as can be told, but not something this crate does.
    #[error("unsupported pixel data: {0}")]
    Unsupported(String),
    /// What the caller asked for cannot be given, such as a viewport outside the image.
    #[error("bad request: {0}")]
    Request(String),
    /// The image is larger than the limits allow.
    #[error("image over the limit: {0}")]
    TooLarge(String),
    /// The worker process ended while it had this request in hand.
    #[error("the codec worker ended unexpectedly ({0})")]
    Crashed(String),
    /// The worker process was stopped because the request took too long.
    #[error("the codec worker took too long")]
    TimedOut,
    /// Too many requests are waiting already.
    #[error("too many pixel requests are waiting")]
    Busy,
    /// The worker process cannot be started or spoken to.
    #[error("the codec worker cannot be used: {0}")]
    Worker(String),
}

impl Error {
    pub(crate) fn malformed(text: impl Into<String>) -> Self {
        Self::Malformed(text.into())
    }

    pub(crate) fn unsupported(text: impl Into<String>) -> Self {
        Self::Unsupported(text.into())
    }

    pub(crate) fn request(text: impl Into<String>) -> Self {
        Self::Request(text.into())
    }

    /// The kind a door translates.
    pub fn kind(&self) -> Kind {
        match self {
            // A crash or a stall is caused by the bytes in hand: the next request is served.
            Self::Malformed(_) | Self::Request(_) => Kind::Malformed,
            Self::Crashed(_) | Self::TimedOut | Self::Unsupported(_) => Kind::Unsupported,
            Self::TooLarge(_) | Self::Busy => Kind::OutOfResources,
            Self::Worker(_) => Kind::Internal,
        }
    }
}

/// Shorthand for this crate's results.
pub type Result<T, E = Error> = std::result::Result<T, E>;
