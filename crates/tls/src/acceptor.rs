//! Securing connections that come in.

use crate::config::{ClientCertificates, TlsConfig};
use crate::error::TlsError;
use crate::handshakes::Handshakes;
use crate::identity::identify;
use crate::material::Material;
use crate::profile::VERSIONS;
use gantry_core::certificate::PeerCertificate;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{ClientCertVerifierBuilder, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use rustls::{ServerConfig, ServerConnection};
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Secures the connections of one door. Clones share what is in force.
#[derive(Debug, Clone)]
pub struct Acceptor(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    door: Door,
    config: RwLock<Arc<ServerConfig>>,
    handshakes: Handshakes,
    timeout: Duration,
}

/// What differs between doors.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    pub(crate) client_certificates: ClientCertificates,
    /// Application protocols in order of preference; none: it is not negotiated.
    pub(crate) protocols: Vec<Vec<u8>>,
}

/// A connection that was secured.
#[derive(Debug)]
pub struct Secured<S> {
    /// The connection.
    pub stream: TlsStream<S>,
    /// The certificate that the client has shown, verified.
    pub certificate: Option<Arc<PeerCertificate>>,
}

/// Why a connection was not secured.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The client and we do not agree, or it is gone.
    #[error("handshake failed: {0}")]
    Failed(#[from] io::Error),
    /// It took too long.
    #[error("handshake took too long")]
    Timeout,
    /// Too many others have begun since.
    #[error("handshake gave way to newer ones")]
    Displaced,
}

impl Acceptor {
    pub(crate) fn new(
        door: Door,
        config: &TlsConfig,
        material: &Material,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, TlsError> {
        let server = server_config(&door, material, provider)?;
        Ok(Self(Arc::new(Inner {
            door,
            config: RwLock::new(server),
            handshakes: Handshakes::new(config.handshakes_max, config.handshakes_per_address_max),
            timeout: config.handshake_timeout(),
        })))
    }

    /// What new certificates come to, without putting it in force.
    pub(crate) fn prepare(
        &self,
        material: &Material,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<ServerConfig>, TlsError> {
        server_config(&self.0.door, material, provider)
    }

    /// Puts it in force for connections to come; those that are open stay.
    pub(crate) fn replace(&self, config: Arc<ServerConfig>) {
        *self
            .0
            .config
            .write()
            .unwrap_or_else(PoisonError::into_inner) = config;
    }

    fn current(&self) -> Arc<ServerConfig> {
        self.0
            .config
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Shakes hands on a connection from `address`.
    ///
    /// # Errors
    /// When there is no agreement in time.
    pub async fn accept<S>(&self, stream: S, address: IpAddr) -> Result<Secured<S>, HandshakeError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let place = self.0.handshakes.begin(address);
        let handshake = TlsAcceptor::from(self.current()).accept(stream);
        let stream = tokio::select! {
            result = tokio::time::timeout(self.0.timeout, handshake) => {
                result.map_err(|_| HandshakeError::Timeout)??
            }
            () = place.displaced() => return Err(HandshakeError::Displaced),
        };
        let certificate = peer_certificate(stream.get_ref().1);
        Ok(Secured {
            stream,
            certificate,
        })
    }
}

fn peer_certificate(connection: &ServerConnection) -> Option<Arc<PeerCertificate>> {
    let certificate = connection.peer_certificates()?.first()?;
    Some(Arc::new(identify(certificate)))
}

fn server_config(
    door: &Door,
    material: &Material,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let builder =
        ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(VERSIONS)?;
    let builder = match door.client_certificates {
        ClientCertificates::None => builder.with_no_client_auth(),
        ClientCertificates::Optional => {
            let verifier = client_verifier(material, provider)?.allow_unauthenticated();
            builder.with_client_cert_verifier(verifier.build()?)
        }
        ClientCertificates::Required => {
            let verifier = client_verifier(material, provider)?;
            builder.with_client_cert_verifier(verifier.build()?)
        }
    };
    let resolver = SingleCertAndKey::from(material.own.clone());
    let mut config = builder.with_cert_resolver(Arc::new(resolver));
    config.alpn_protocols = door.protocols.clone();
    // We know what is strong, whatever order the client has.
    config.ignore_client_order = true;
    // A ticket vouches for the certificate with which its first connection began, so tickets of
    // former authorities and revocation lists must not be taken: each configuration has its own.
    config.ticketer = aws_lc_rs::Ticketer::new()?;
    Ok(Arc::new(config))
}

fn client_verifier(
    material: &Material,
    provider: &Arc<CryptoProvider>,
) -> Result<ClientCertVerifierBuilder, TlsError> {
    if material.trust.roots.is_empty() {
        return Err(TlsError::NoAuthority);
    }
    let builder =
        WebPkiClientVerifier::builder_with_provider(material.trust.roots.clone(), provider.clone());
    if material.trust.crls.is_empty() {
        return Ok(builder);
    }
    // A list says what is revoked by its own authority; others may have none.
    Ok(builder
        .with_crls(material.trust.crls.clone())
        .only_check_end_entity_revocation()
        .allow_unknown_revocation_status())
}
