//! Securing connections that go out.

use crate::config::TlsConfig;
use crate::error::TlsError;
use crate::material::{Trust, certified_key};
use crate::profile::VERSIONS;
use crate::verifier::RuleVerifier;
use gantry_core::certificate::CertificateRule;
use rustls::ClientConfig;
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Rules whose configurations are kept, so that sessions can be resumed.
const RULES_MAX: usize = 1024;

/// Secures connections to peers. Clones share what is in force.
#[derive(Debug, Clone)]
pub struct Connector(Arc<Mutex<Parts>>);

/// What connections are secured with.
#[derive(Debug)]
pub(crate) struct Parts {
    trust: Arc<Trust>,
    own: Option<Arc<CertifiedKey>>,
    provider: Arc<CryptoProvider>,
    /// Verifies by the name of the host.
    by_host: Arc<ClientConfig>,
    by_rule: HashMap<CertificateRule, Arc<ClientConfig>>,
}

/// Why a connection was not secured.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The host's name cannot stand in a certificate.
    #[error("{0:?} is neither a host name nor an address")]
    Host(String),
    /// The server and we do not agree, or it is gone.
    #[error("TLS handshake failed: {0}")]
    Failed(#[from] io::Error),
    /// The configuration for this peer cannot be made.
    #[error(transparent)]
    Config(#[from] TlsError),
}

impl From<ConnectError> for io::Error {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Failed(error) => error,
            error => Self::other(error),
        }
    }
}

impl Parts {
    pub(crate) fn new(
        trust: Arc<Trust>,
        own: Option<Arc<CertifiedKey>>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, TlsError> {
        let by_host = client_config(&trust, own.as_ref(), &provider, None)?;
        Ok(Self {
            trust,
            own,
            provider,
            by_host,
            by_rule: HashMap::new(),
        })
    }

    fn of(&mut self, rule: Option<&CertificateRule>) -> Result<Arc<ClientConfig>, TlsError> {
        let Some(rule) = rule else {
            return Ok(self.by_host.clone());
        };
        if let Some(config) = self.by_rule.get(rule) {
            return Ok(config.clone());
        }
        let config = client_config(
            &self.trust,
            self.own.as_ref(),
            &self.provider,
            Some(rule.clone()),
        )?;
        if self.by_rule.len() >= RULES_MAX {
            self.by_rule.clear();
        }
        self.by_rule.insert(rule.clone(), config.clone());
        Ok(config)
    }
}

impl Connector {
    pub(crate) fn new(parts: Parts) -> Self {
        Self(Arc::new(Mutex::new(parts)))
    }

    /// Makes one of files alone, for commands: peers are verified by these files, and shown the
    /// certificate and key if they are given.
    ///
    /// # Errors
    /// When the files cannot be used.
    pub fn from_files<'a>(
        config: &TlsConfig,
        ca: impl IntoIterator<Item = &'a Path>,
        own: Option<(&Path, &Path)>,
    ) -> Result<Self, TlsError> {
        let provider = config.profile.provider();
        let trust = Trust::load(ca, config.crl.as_deref())?;
        let own = own
            .map(|(certificate, key)| certified_key(certificate, key, &provider))
            .transpose()?;
        Ok(Self::new(Parts::new(Arc::new(trust), own, provider)?))
    }

    pub(crate) fn replace(&self, parts: Parts) {
        *self.lock() = parts;
    }

    fn lock(&self) -> MutexGuard<'_, Parts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The configuration for connections whose peer is known by its host's name.
    pub fn client_config(&self) -> Arc<ClientConfig> {
        self.lock().by_host.clone()
    }

    /// Shakes hands with `host`. Its certificate has to come from a configured authority and to
    /// be for that host; or, with a rule, to be the one that is meant: a fingerprint needs no
    /// authority, a subject or name stands for the host's.
    ///
    /// # Errors
    /// When there is no agreement.
    pub async fn connect<S>(
        &self,
        stream: S,
        host: &str,
        rule: Option<&CertificateRule>,
    ) -> Result<TlsStream<S>, ConnectError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let config = self.lock().of(rule)?;
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| ConnectError::Host(host.to_owned()))?;
        Ok(TlsConnector::from(config).connect(name, stream).await?)
    }
}

fn client_config(
    trust: &Trust,
    own: Option<&Arc<CertifiedKey>>,
    provider: &Arc<CryptoProvider>,
    rule: Option<CertificateRule>,
) -> Result<Arc<ClientConfig>, TlsError> {
    let builder =
        ClientConfig::builder_with_provider(provider.clone()).with_protocol_versions(VERSIONS)?;
    let builder = match rule {
        Some(rule) => {
            let verifier = RuleVerifier::new(rule, trust.roots.clone(), provider);
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(verifier))
        }
        None if trust.crls.is_empty() => builder.with_root_certificates(trust.roots.clone()),
        None => {
            let verifier =
                WebPkiServerVerifier::builder_with_provider(trust.roots.clone(), provider.clone())
                    .with_crls(trust.crls.clone())
                    .only_check_end_entity_revocation()
                    .allow_unknown_revocation_status()
                    .build()?;
            builder.with_webpki_verifier(verifier)
        }
    };
    let config = match own {
        Some(own) => {
            let own = SingleCertAndKey::from(own.clone());
            builder.with_client_cert_resolver(Arc::new(own))
        }
        None => builder.with_no_client_auth(),
    };
    Ok(Arc::new(config))
}
