//! Naming a remote AE on the command line: `AE@host:port`, or the AE title of a `[[peer]]`.

use crate::commands::usage::usage;
use crate::configuration::Configuration;
use anyhow::Context;
use gantry_core::ae_title::AeTitle;
use gantry_core::certificate::CertificateRule;
use gantry_tls::{Connector, Files};
use std::fmt;
use std::path::PathBuf;

/// A remote AE and where it listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerAddress {
    /// The AE title to call.
    pub ae_title: AeTitle,
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Whether it is reached over TLS.
    pub tls: bool,
    /// The certificate that it has to show, if not one for its host.
    pub certificate: Option<CertificateRule>,
}

/// Options with which every SCU command names itself and its peer.
#[derive(Debug, Clone, clap::Args)]
pub struct PeerOptions {
    /// The AE to call: AE@HOST:PORT, or the AE title of a [[peer]] in the configuration.
    #[arg(value_name = "PEER")]
    pub peer: String,
    /// Our AE title [default: the configuration's, GANTRY].
    #[arg(long, value_name = "AE", env = "GANTRY_AE_TITLE")]
    pub aet: Option<AeTitle>,
    /// Configuration file in which peers are looked up (TOML).
    #[arg(long, env = "GANTRY_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Seconds to wait for a connection, and for each answer.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: u64,
    #[command(flatten)]
    pub security: Security,
}

/// Options with which SCU commands secure their connection. What is not given is taken from the
/// configuration, and from the local authority of `gantry cert`.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Security {
    /// Connect over TLS.
    #[arg(long)]
    pub tls: bool,
    /// Authorities of the peer's certificate (PEM) [default: the local one].
    #[arg(long, value_name = "FILE", requires = "tls")]
    pub ca: Option<PathBuf>,
    /// Certificate to show to the peer (PEM) [default: the local server's].
    #[arg(long, value_name = "FILE", requires = "tls", requires = "cert_key")]
    pub cert: Option<PathBuf>,
    /// Its key (PEM).
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub cert_key: Option<PathBuf>,
    /// The certificate that the peer has to show, instead of one for its host: sha256:…, a subject
    /// or a name.
    #[arg(long, value_name = "CERTIFICATE", requires = "tls")]
    pub peer_certificate: Option<CertificateRule>,
}

impl Security {
    /// With what to secure the connection to `peer`, if at all.
    fn connector(
        &self,
        configuration: &Configuration,
        peer: &PeerAddress,
    ) -> anyhow::Result<Option<Connector>> {
        if !self.tls && !peer.tls {
            return Ok(None);
        }
        let tls = &configuration.tls;
        let files = Files::find(tls, &configuration.archive.data);
        let configured = files.as_ref();
        let ca = self.ca.as_deref();
        let ca = ca.or_else(|| configured.and_then(|files| files.ca.as_deref()));
        let own = match (&self.cert, &self.cert_key) {
            (Some(certificate), Some(key)) => Some((certificate.as_path(), key.as_path())),
            _ => configured.map(Files::client_identity),
        };
        let connector = Connector::from_files(tls, ca, own)
            .context("no TLS: name certificates with --ca, --cert and --cert-key")?;
        Ok(Some(connector))
    }
}

impl PeerOptions {
    /// Who calls and who is called.
    pub fn resolve(&self) -> anyhow::Result<(AeTitle, PeerAddress)> {
        let (own, peer, _) = self.resolve_secured()?;
        Ok((own, peer))
    }

    /// Who calls, who is called, and with what the connection is secured, if it is.
    pub fn resolve_secured(&self) -> anyhow::Result<(AeTitle, PeerAddress, Option<Connector>)> {
        let configuration = match &self.config {
            Some(path) => Configuration::read(path)?,
            None => Configuration::default(),
        };
        let own = self
            .aet
            .clone()
            .unwrap_or_else(|| configuration.archive.ae_title.clone());
        let mut peer = PeerAddress::resolve(&self.peer, &configuration).map_err(usage)?;
        if let Some(rule) = &self.security.peer_certificate {
            peer.certificate = Some(rule.clone());
        }
        let connector = self.security.connector(&configuration, &peer)?;
        Ok((own, peer, connector))
    }
}

impl PeerAddress {
    /// Reads `AE@host:port`; an IPv6 address stands in brackets.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        // An AE title may contain an @, a host may not.
        let (title, place) = text
            .rsplit_once('@')
            .with_context(|| format!("{text:?} is not AE@host:port"))?;
        let (host, port) = place
            .rsplit_once(':')
            .with_context(|| format!("{text:?} has no port"))?;
        let host = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        anyhow::ensure!(!host.is_empty(), "{text:?} has no host");
        let port = port
            .parse()
            .with_context(|| format!("{port:?} is not a port"))?;
        anyhow::ensure!(port != 0, "port 0 cannot be called");
        Ok(Self {
            ae_title: AeTitle::parse(title)?,
            host: host.to_owned(),
            port,
            tls: false,
            certificate: None,
        })
    }

    /// Reads an address, or looks up the AE title of a configured peer.
    pub fn resolve(text: &str, configuration: &Configuration) -> anyhow::Result<Self> {
        if text.contains(['@', ':']) {
            return Self::parse(text);
        }
        let peer = configuration
            .peer
            .iter()
            .find(|peer| peer.ae_title.as_str() == text.trim())
            .with_context(|| {
                format!("{text:?} is neither AE@host:port nor a [[peer]] of the configuration")
            })?;
        Ok(Self {
            ae_title: peer.ae_title.clone(),
            host: peer.host.clone(),
            port: peer.port,
            tls: peer.tls,
            certificate: peer.certificate.clone(),
        })
    }

    /// Host and port, as a socket wants them.
    pub fn socket(&self) -> (&str, u16) {
        (&self.host, self.port)
    }
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "{}@[{}]:{}", self.ae_title, self.host, self.port),
            false => write!(f, "{}@{}:{}", self.ae_title, self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_back_as_they_are_shown() {
        for text in [
            "PACS@127.0.0.1:11112",
            "A@B@host.example:104",
            "X@[::1]:104",
        ] {
            assert_eq!(PeerAddress::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(
            PeerAddress::parse("A@B@host:104")
                .unwrap()
                .ae_title
                .as_str(),
            "A@B"
        );
        assert_eq!(
            PeerAddress::parse("X@[::1]:104").unwrap().socket(),
            ("::1", 104)
        );
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, part) in [
            ("PACS", "AE@host:port"),
            ("PACS@host", "no port"),
            ("PACS@:104", "no host"),
            ("PACS@host:0", "port 0"),
            ("PACS@host:x", "not a port"),
            ("@host:104", "blank"),
        ] {
            let error = format!("{:#}", PeerAddress::parse(text).unwrap_err());
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn configured_peers_are_found_by_their_title() {
        let configuration: Configuration =
            toml::from_str("[[peer]]\nae_title = \"CT1\"\nhost = \"ct\"\nport = 104\n").unwrap();
        let peer = PeerAddress::resolve("CT1", &configuration).unwrap();
        assert_eq!(peer.to_string(), "CT1@ct:104");
        assert!(PeerAddress::resolve("CT2", &configuration).is_err());
    }
}
