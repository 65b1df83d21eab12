//! The configuration: defaults, then the TOML file, then `GANTRY_…` variables and options.

use crate::logging::LogFormat;
use crate::place::Place;
use anyhow::Context;
use gantry_archive::config::ArchiveConfig;
use gantry_archive::peers::Peer;
use gantry_audit::AuditSettings;
use gantry_core::ae_title::AeTitle;
use gantry_identity::IdentitySettings;
use gantry_keys::EncryptionConfig;
use gantry_serve_dimse::DimseConfig;
use gantry_serve_http::HttpConfig;
use gantry_tls::TlsConfig;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The whole configuration, as the TOML file spells it.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Configuration {
    /// `[archive]`: where data lie, who we are, policies.
    pub archive: ArchiveConfig,
    /// `[listen]`: addresses.
    pub listen: Listen,
    /// `[http]`: DICOMweb and pages.
    pub http: HttpConfig,
    /// `[dicom]`: associations.
    pub dicom: DimseConfig,
    /// `[audit]` and `[[audit.collector]]`: the audit trail, and where it is sent.
    pub audit: AuditSettings,
    /// `[identity]`: people, logins, tokens.
    pub identity: IdentitySettings,
    /// `[encryption]`: whether what is stored is encrypted, and where the master key is.
    pub encryption: EncryptionConfig,
    /// `[log]`.
    pub log: Log,
    /// `[tls]`: certificates.
    pub tls: TlsConfig,
    /// `[[peer]]`: other AEs. Re-read from the file while the server runs.
    pub peer: Vec<Peer>,
}

/// The addresses to listen on.
#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Listen {
    /// HTTP: DICOMweb and pages. Not secured: for this machine, or behind a reverse proxy.
    pub http: Place,
    /// DICOM associations. Not secured.
    pub dicom: Place,
    /// HTTPS; `auto`: port 8443 of all addresses if there is a certificate.
    pub https: Place,
    /// DICOM associations over TLS; `auto`: port 2762 of all addresses if there is a certificate.
    pub dicom_tls: Place,
}

/// Logging.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// `text` or `json`.
    pub format: LogFormat,
    /// Level or filter, e.g. `info` or `info,gantry_serve_dimse=debug`.
    pub level: String,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            http: Place::At(SocketAddr::from(([127, 0, 0, 1], 8104))),
            dicom: Place::At(SocketAddr::from(([0, 0, 0, 0], 11112))),
            https: Place::Auto,
            dicom_tls: Place::Auto,
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            level: "info".into(),
        }
    }
}

/// Options of commands that start or open an archive; they beat the file.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Overrides {
    /// Configuration file (TOML).
    #[arg(long, env = "GANTRY_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder of the index and the stored objects.
    #[arg(long, env = "GANTRY_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Address of DICOMweb and the pages, or off.
    #[arg(long, env = "GANTRY_HTTP", value_name = "ADDR:PORT")]
    pub http: Option<Place>,
    /// Address for DICOM associations, or off.
    #[arg(long, env = "GANTRY_DICOM", value_name = "ADDR:PORT")]
    pub dicom: Option<Place>,
    /// Address of DICOMweb and the pages over HTTPS, or off.
    #[arg(long, env = "GANTRY_HTTPS", value_name = "ADDR:PORT")]
    pub https: Option<Place>,
    /// Address for DICOM associations over TLS, or off.
    #[arg(long, env = "GANTRY_DICOM_TLS", value_name = "ADDR:PORT")]
    pub dicom_tls: Option<Place>,
    /// Our AE title.
    #[arg(long, env = "GANTRY_AE_TITLE", value_name = "AE")]
    pub ae_title: Option<AeTitle>,
    /// Log format.
    #[arg(long, env = "GANTRY_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    /// Log level or filter.
    #[arg(long, env = "GANTRY_LOG_LEVEL", value_name = "LEVEL")]
    pub log_level: Option<String>,
}

impl Configuration {
    /// The file's settings (defaults when there is none) with `overrides` on top.
    pub fn load(overrides: &Overrides) -> anyhow::Result<Self> {
        let mut configuration = match &overrides.config {
            Some(path) => Self::read(path)?,
            None => Self::default(),
        };
        let Overrides {
            config: _,
            data,
            http,
            dicom,
            https,
            dicom_tls,
            ae_title,
            log_format,
            log_level,
        } = overrides;
        replace(&mut configuration.archive.data, data);
        replace(&mut configuration.archive.ae_title, ae_title);
        replace(&mut configuration.listen.http, http);
        replace(&mut configuration.listen.dicom, dicom);
        replace(&mut configuration.listen.https, https);
        replace(&mut configuration.listen.dicom_tls, dicom_tls);
        replace(&mut configuration.log.format, log_format);
        replace(&mut configuration.log.level, log_level);
        configuration.check()?;
        configuration.archive.audit = configuration.audit.clone();
        configuration.archive.encryption = configuration.encryption.clone();
        Ok(configuration)
    }

    /// Reads a file; unknown settings are errors, so that a typing mistake is not silently lost.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the configuration {}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("{} is not valid", path.display()))
    }

    fn check(&self) -> anyhow::Result<()> {
        let mut seen = std::collections::HashSet::new();
        for peer in &self.peer {
            anyhow::ensure!(
                seen.insert(&peer.ae_title),
                "two [[peer]] entries have the AE title {}",
                peer.ae_title
            );
            anyhow::ensure!(peer.port != 0, "the port of peer {} is 0", peer.ae_title);
        }
        self.encryption.check()?;
        Ok(())
    }
}

fn replace<T: Clone>(setting: &mut T, option: &Option<T>) {
    if let Some(value) = option {
        *setting = value.clone();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_and_options_are_laid_over_the_defaults() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("gantry.toml");
        std::fs::write(
            &file,
            "[archive]\nae_title = \"ONE\"\n[listen]\ndicom = \"127.0.0.1:104\"\n\
             [[peer]]\nae_title = \"CT1\"\nhost = \"ct1\"\nport = 104\n",
        )
        .unwrap();
        let overrides = Overrides {
            config: Some(file),
            ae_title: Some(AeTitle::parse("TWO").unwrap()),
            ..Overrides::default()
        };
        let configuration = Configuration::load(&overrides).unwrap();
        assert_eq!(configuration.archive.ae_title.as_str(), "TWO");
        assert_eq!(configuration.listen.dicom.to_string(), "127.0.0.1:104");
        assert_eq!(configuration.listen.http.to_string(), "127.0.0.1:8104");
        assert_eq!(configuration.peer.len(), 1);
    }

    #[test]
    fn unknown_settings_and_doubled_peers_are_refused() {
        assert!(toml::from_str::<Configuration>("[archive]\nae_tilte = \"X\"").is_err());
        let peer = "[[peer]]\nae_title = \"CT1\"\nhost = \"ct1\"\nport = 104\n";
        let doubled: Configuration = toml::from_str(&peer.repeat(2)).unwrap();
        assert!(doubled.check().is_err());
    }
}
