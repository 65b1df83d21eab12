//! Why certificates cannot be used or made.

use rustls::pki_types::pem;
use std::io;
use std::path::PathBuf;

/// Why certificates cannot be used or made.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or written.
    #[error("{path}: {source}", path = .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not what openssl calls PEM.
    #[error("{path} is not PEM: {source}", path = .path.display())]
    Pem {
        /// Which.
        path: PathBuf,
        /// Why.
        source: pem::Error,
    },
    /// A file has nothing of what it should have.
    #[error("{path} holds no {what}", path = .path.display())]
    Empty {
        /// Which.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
    /// A certificate cannot be read.
    #[error("{} holds a certificate that cannot be read", .0.display())]
    Certificate(PathBuf),
    /// Key and certificate do not belong together, or are of a kind that is not supported.
    #[error("certificate and key cannot be used: {0}")]
    Identity(rustls::Error),
    /// Certificates of clients are to be verified, and there is nothing to verify them with.
    #[error("client certificates cannot be verified without a CA file")]
    NoAuthority,
    /// The authorities or revocation lists cannot be used.
    #[error("certificates cannot be verified: {0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
    /// The library refuses.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
    /// A certificate cannot be made.
    #[error("certificate cannot be made: {0}")]
    Issue(#[from] rcgen::Error),
    /// There is an authority already.
    #[error("there is a certificate authority in {} already", .0.display())]
    Exists(PathBuf),
    /// There is no authority.
    #[error("there is no certificate authority in {}: make one with gantry cert init", .0.display())]
    NoLocalAuthority(PathBuf),
    /// No certificate of this name was issued.
    #[error("no certificate {0} was issued here")]
    Unknown(String),
    /// A name that cannot stand in a certificate.
    #[error("{0:?} is neither a host name nor an address")]
    Name(String),
    /// Days that make no sense.
    #[error("certificates may be valid for 1 to 3650 days")]
    Days,
}

impl TlsError {
    pub(crate) fn file(path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }
}
