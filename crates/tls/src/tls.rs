//! What is in force, and putting changed files in force.

use crate::acceptor::{Acceptor, Door};
use crate::authority::{Authority, Folder};
use crate::config::TlsConfig;
use crate::connector::{Connector, Parts};
use crate::error::TlsError;
use crate::expiry;
use crate::material::{Files, Material};
use rustls::crypto::CryptoProvider;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How often the files are looked at. They are read when they have not changed for as long, so
/// that a certificate is not taken without its key.
const LOOK: Duration = Duration::from_secs(1);
/// How often it is looked whether a certificate ends soon.
const EXPIRY_LOOK: Duration = Duration::from_secs(3600);
/// HTTP/2 rather than HTTP/1.1.
const HTTP_PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// TLS as configured.
#[derive(Debug)]
pub struct Tls {
    config: TlsConfig,
    files: Files,
    folder: Folder,
    provider: Arc<CryptoProvider>,
    https: Acceptor,
    dicom: Acceptor,
    connector: Connector,
}

impl Tls {
    /// Reads the configured files, or those of the local authority in the data folder; None when
    /// there are none.
    ///
    /// # Errors
    /// When the files cannot be used.
    pub fn open(config: &TlsConfig, data: &Path) -> Result<Option<Self>, TlsError> {
        let Some(files) = Files::find(config, data) else {
            return Ok(None);
        };
        let provider = config.profile.provider();
        let material = Material::load(&files, &provider)?;
        let acceptor = |client_certificates, protocols: &[&[u8]]| {
            let door = Door {
                client_certificates,
                protocols: protocols.iter().map(|name| name.to_vec()).collect(),
            };
            Acceptor::new(door, config, &material, &provider)
        };
        let https = acceptor(config.https_client_certificates, &HTTP_PROTOCOLS)?;
        let dicom = acceptor(config.dicom_client_certificates, &[])?;
        let client = Some(material.client.clone());
        let parts = Parts::new(material.trust, client, provider.clone())?;
        Ok(Some(Self {
            config: config.clone(),
            folder: Folder::of(data),
            connector: Connector::new(parts),
            files,
            provider,
            https,
            dicom,
        }))
    }

    /// For the door of HTTP.
    pub fn https(&self) -> Acceptor {
        self.https.clone()
    }

    /// For the door of DICOM.
    pub fn dicom(&self) -> Acceptor {
        self.dicom.clone()
    }

    /// For connections to peers.
    pub fn connector(&self) -> Connector {
        self.connector.clone()
    }

    /// The files in use.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// Reads the files again and puts them in force for new connections. When anything is wrong
    /// with them, everything stays as it was.
    ///
    /// # Errors
    /// What is wrong.
    pub fn reload(&self) -> Result<(), TlsError> {
        let material = Material::load(&self.files, &self.provider)?;
        let https = self.https.prepare(&material, &self.provider)?;
        let dicom = self.dicom.prepare(&material, &self.provider)?;
        let client = Some(material.client);
        let parts = Parts::new(material.trust, client, self.provider.clone())?;
        self.https.replace(https);
        self.dicom.replace(dicom);
        self.connector.replace(parts);
        Ok(())
    }

    /// Watches the files and the calendar for ever: changed files are put in force, the local
    /// authority's certificate is renewed before its end, and others' ends are warned of.
    pub async fn watch(&self) {
        let mut in_force = self.files.stamps();
        let mut seen = in_force.clone();
        let mut next_expiry_look = Instant::now();
        loop {
            if Instant::now() >= next_expiry_look {
                next_expiry_look = Instant::now() + EXPIRY_LOOK;
                self.look_at_the_calendar();
            }
            tokio::time::sleep(LOOK).await;
            let now = self.files.stamps();
            let is_settled = now == seen;
            seen = now;
            if !is_settled || seen == in_force {
                continue;
            }
            in_force.clone_from(&seen);
            match self.reload() {
                Ok(()) => tracing::info!(
                    file = %self.files.certificate.display(),
                    "TLS certificates re-read"
                ),
                Err(error) => {
                    tracing::error!("TLS certificates stay as they were: {error}");
                }
            }
        }
    }

    fn look_at_the_calendar(&self) {
        let is_local = self.files.certificate == self.folder.server_certificate();
        if is_local && let Err(error) = self.renew_if_due() {
            tracing::error!("the server's certificate is not renewed: {error}");
        }
        let authorities = self.files.ca.as_deref();
        let client = self.files.client.as_ref().map(|(file, _)| file.as_path());
        for file in [Some(self.files.certificate.as_path()), authorities, client]
            .into_iter()
            .flatten()
        {
            expiry::warn(file, self.config.renew_days);
        }
    }

    fn renew_if_due(&self) -> Result<(), TlsError> {
        let days = expiry::days_left(&self.files.certificate)?;
        if days > i64::from(self.config.renew_days) || !self.folder.ca_key().is_file() {
            return Ok(());
        }
        Authority::open(&self.folder)?.renew_server()?;
        tracing::info!(days, "the server's certificate is renewed");
        Ok(())
    }
}
