//! What a site may set about TLS.

use crate::profile::Profile;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// Settings of TLS; each has a default that serves.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// The server's certificate, followed by those between it and the authority (PEM). Without
    /// it, the one that `gantry cert init` has made in the data folder.
    pub certificate: Option<PathBuf>,
    /// Its key (PEM).
    pub key: Option<PathBuf>,
    /// Authorities of peers' certificates, clients' and servers' (PEM, any number). Without it,
    /// the local authority of `gantry cert init`.
    pub ca: Option<PathBuf>,
    /// Revocation lists of these authorities (PEM).
    pub crl: Option<PathBuf>,
    /// The certificate to show to peers that the archive connects to, if not the server's.
    pub client_certificate: Option<PathBuf>,
    /// Its key.
    pub client_key: Option<PathBuf>,
    /// What may be negotiated.
    pub profile: Profile,
    /// Whether browsers and DICOMweb clients show certificates.
    pub https_client_certificates: ClientCertificates,
    /// Whether DICOM peers show certificates.
    pub dicom_client_certificates: ClientCertificates,
    /// How long a handshake may take.
    pub handshake_timeout_s: u64,
    /// Most handshakes at once; for a further one, the oldest is given up.
    pub handshakes_max: usize,
    /// Most handshakes at once from one address; for a further one, its oldest is given up.
    pub handshakes_per_address_max: usize,
    /// Days before the end at which the server's certificate is renewed, if the local authority
    /// has made it, and warned of otherwise.
    pub renew_days: u32,
    /// Seconds for which browsers shall remember to use HTTPS alone; 0: they are not told.
    pub hsts_seconds: u64,
    /// Whether pages and services are redirected from HTTP to HTTPS. Requests from this machine
    /// itself are not.
    pub redirect_http: bool,
}

/// Whether the one who connects shows a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientCertificates {
    /// It is not asked for.
    None,
    /// It is asked for, verified when shown, and may be missing.
    Optional,
    /// Without one there is no connection.
    Required,
}

impl Default for TlsConfig {
    fn default() -> Self {
        Self {
            certificate: None,
            key: None,
            ca: None,
            crl: None,
            client_certificate: None,
            client_key: None,
            profile: Profile::default(),
            https_client_certificates: ClientCertificates::None,
            dicom_client_certificates: ClientCertificates::Required,
            handshake_timeout_s: 10,
            handshakes_max: 1024,
            handshakes_per_address_max: 256,
            renew_days: 30,
            hsts_seconds: 31_536_000,
            redirect_http: true,
        }
    }
}

impl TlsConfig {
    pub(crate) fn handshake_timeout(&self) -> Duration {
        Duration::from_secs(self.handshake_timeout_s.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_by_their_words() {
        let config: TlsConfig = toml::from_str(
            "profile = \"bcp195-modified\"\ndicom_client_certificates = \"optional\"",
        )
        .unwrap();
        assert_eq!(config.profile, Profile::Bcp195Modified);
        assert_eq!(
            config.dicom_client_certificates,
            ClientCertificates::Optional
        );
        assert!(toml::from_str::<TlsConfig>("profile = \"tls1.0\"").is_err());
        assert!(toml::from_str::<TlsConfig>("cert = \"x\"").is_err());
    }
}
