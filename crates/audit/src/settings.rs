//! What a site may set about the audit trail.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// `[audit]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuditSettings {
    /// Minutes for which further accesses of the same person to the same study are only counted,
    /// and told in one event afterwards.
    pub window_minutes: u64,
    /// Where the end of the chain is noted; empty: `audit.head` in the data folder. On another
    /// disk it is out of reach for who can only write the data folder.
    pub head_file: PathBuf,
    /// AuditSourceID in exported messages; empty: the AE title.
    pub source_id: String,
    /// AuditEnterpriseSiteID in exported messages; empty: none.
    pub site_id: String,
    /// `[[audit.collector]]`: where messages are sent.
    pub collector: Vec<CollectorSettings>,
}

impl Default for AuditSettings {
    fn default() -> Self {
        Self {
            window_minutes: 10,
            head_file: PathBuf::new(),
            source_id: String::new(),
            site_id: String::new(),
            collector: Vec::new(),
        }
    }
}

impl AuditSettings {
    /// Everything that is wrong with them, in words.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut names = std::collections::HashSet::new();
        for collector in &self.collector {
            let CollectorSettings {
                name,
                host,
                port,
                transport,
                ca_file,
                certificate_file,
                key_file,
                server_name: _,
            } = collector;
            if !names.insert(name) {
                problems.push(format!("two [[audit.collector]] have the name {name:?}"));
            }
            let mut tell = |what: &str| problems.push(format!("audit collector {name:?} {what}"));
            if name.is_empty() {
                tell("has no name");
            }
            if host.trim().is_empty() || *port == 0 {
                tell("has no host or port");
            }
            if *transport == Transport::Tls && ca_file.as_os_str().is_empty() {
                tell("has no ca_file: its certificate cannot be verified");
            }
            if certificate_file.as_os_str().is_empty() != key_file.as_os_str().is_empty() {
                tell("has only one of certificate_file and key_file");
            }
            for file in [ca_file, certificate_file, key_file] {
                if !file.as_os_str().is_empty() && !file.is_file() {
                    tell(&format!("names {}, which is no file", file.display()));
                }
            }
        }
        problems
    }

    pub(crate) fn window(&self) -> Duration {
        Duration::from_secs(self.window_minutes.saturating_mul(60))
    }
}

/// A collector: an Audit Record Repository that takes syslog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CollectorSettings {
    /// A name, under which it is remembered how far it has got.
    pub name: String,
    /// Host name or address.
    pub host: String,
    /// Port; 6514 for TLS and 514 for UDP by custom.
    pub port: u16,
    /// How.
    #[serde(default)]
    pub transport: Transport,
    /// Certificates (PEM) of the authorities that the collector's certificate may be from; needed
    /// with TLS.
    #[serde(default)]
    pub ca_file: PathBuf,
    /// Our certificate (PEM), where the collector wants one.
    #[serde(default)]
    pub certificate_file: PathBuf,
    /// Its key (PEM).
    #[serde(default)]
    pub key_file: PathBuf,
    /// The name in the collector's certificate; empty: `host`.
    #[serde(default)]
    pub server_name: String,
}

/// How messages go to a collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// Syslog over TLS (RFC 5425; PS3.15 A.6).
    #[default]
    Tls,
    /// Syslog over UDP (RFC 5426; PS3.15 A.7). Nobody tells when a message is lost.
    Udp,
    /// As over TLS, without TLS: for a tunnel or a collector on this machine.
    Tcp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_have_defaults_and_refuse_what_they_do_not_know() {
        let settings: AuditSettings = toml::from_str("").unwrap();
        assert_eq!(settings, AuditSettings::default());
        assert!(toml::from_str::<AuditSettings>("windows = 1").is_err());
        let text = "[[collector]]\nname = \"siem\"\nhost = \"siem\"\nport = 6514\n";
        let settings: AuditSettings = toml::from_str(text).unwrap();
        assert_eq!(settings.collector[0].transport, Transport::Tls);
        assert_eq!(settings.problems().len(), 1, "there is no ca_file");
        let doubled: AuditSettings = toml::from_str(&text.repeat(2)).unwrap();
        assert_eq!(doubled.problems().len(), 3);
        assert_eq!(AuditSettings::default().problems(), Vec::<String>::new());
        let text = toml::to_string(&settings).unwrap();
        assert_eq!(toml::from_str::<AuditSettings>(&text).unwrap(), settings);
    }
}
