//! Certificate files: where they are and what is in them.

use crate::authority::Folder;
use crate::config::TlsConfig;
use crate::error::TlsError;
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use std::fs::Metadata;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// Longest certificate file: the bundles of all public authorities have a few hundred kilobytes.
const FILE_BYTES_MAX: u64 = 8 << 20;

/// The files that TLS is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// Our certificate and those between it and its authority.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Authorities of peers.
    pub ca: Option<PathBuf>,
    /// Revocation lists.
    pub crl: Option<PathBuf>,
    /// What we show when we connect, if something else: certificate and key.
    pub client: Option<(PathBuf, PathBuf)>,
}

impl Files {
    /// The files that are configured, or those of the local authority in the data folder. None
    /// when there are neither.
    pub fn find(config: &TlsConfig, data: &Path) -> Option<Self> {
        let folder = Folder::of(data);
        let (certificate, key) = match (&config.certificate, &config.key) {
            (Some(certificate), Some(key)) => (certificate.clone(), key.clone()),
            // Both may stand in one file.
            (Some(both), None) => (both.clone(), both.clone()),
            (None, _) if folder.server_certificate().is_file() => {
                (folder.server_certificate(), folder.server_key())
            }
            (None, _) => return None,
        };
        let existing = |file: PathBuf| file.is_file().then_some(file);
        let ca = config.ca.clone();
        let crl = match (&config.crl, &ca) {
            (Some(crl), _) => Some(crl.clone()),
            (None, None) => existing(folder.crl()),
            (None, Some(_)) => None,
        };
        Some(Self {
            certificate,
            key,
            ca: ca.or_else(|| existing(folder.ca_certificate())),
            crl,
            client: config.client_certificate.clone().map(|certificate| {
                let key = config.client_key.clone();
                (certificate.clone(), key.unwrap_or(certificate))
            }),
        })
    }

    /// What we show when we connect: certificate and key.
    pub fn client_identity(&self) -> (&Path, &Path) {
        match &self.client {
            Some((certificate, key)) => (certificate, key),
            None => (&self.certificate, &self.key),
        }
    }

    /// What tells whether any of the files has changed.
    pub(crate) fn stamps(&self) -> Vec<Option<Stamp>> {
        let client = self.client.iter().flat_map(|(one, other)| [one, other]);
        [&self.certificate, &self.key]
            .into_iter()
            .chain(&self.ca)
            .chain(&self.crl)
            .chain(client)
            .map(|path| std::fs::metadata(path).ok().map(Stamp::from))
            .collect()
    }
}

/// What a file that was written anew has different.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

impl From<Metadata> for Stamp {
    fn from(metadata: Metadata) -> Self {
        Self {
            modified: metadata.modified().ok(),
            length: metadata.len(),
            inode: metadata.ino(),
        }
    }
}

/// By whom peers' certificates have to be signed.
#[derive(Debug)]
pub(crate) struct Trust {
    pub(crate) roots: Arc<RootCertStore>,
    pub(crate) crls: Vec<CertificateRevocationListDer<'static>>,
}

impl Trust {
    pub(crate) fn load<'a>(
        ca: impl IntoIterator<Item = &'a Path>,
        crl: Option<&Path>,
    ) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        for ca in ca {
            for certificate in certificates(ca)? {
                roots
                    .add(certificate)
                    .map_err(|_| TlsError::Certificate(ca.to_owned()))?;
            }
        }
        Ok(Self {
            roots: Arc::new(roots),
            crls: crl.map_or_else(|| Ok(Vec::new()), read_all)?,
        })
    }
}

/// What is in the files.
#[derive(Debug)]
pub(crate) struct Material {
    /// Shown to those who connect.
    pub(crate) own: Arc<CertifiedKey>,
    /// Shown to those we connect to.
    pub(crate) client: Arc<CertifiedKey>,
    pub(crate) trust: Arc<Trust>,
}

impl Material {
    /// Reads the files.
    pub(crate) fn load(files: &Files, provider: &CryptoProvider) -> Result<Self, TlsError> {
        let own = certified_key(&files.certificate, &files.key, provider)?;
        let client = match &files.client {
            Some((certificate, key)) => certified_key(certificate, key, provider)?,
            None => own.clone(),
        };
        let trust = Trust::load(files.ca.as_deref(), files.crl.as_deref())?;
        Ok(Self {
            own,
            client,
            trust: Arc::new(trust),
        })
    }
}

/// A certificate that belongs to its key.
pub(crate) fn certified_key(
    certificate: &Path,
    key: &Path,
    provider: &CryptoProvider,
) -> Result<Arc<CertifiedKey>, TlsError> {
    let chain = certificates(certificate)?;
    CertifiedKey::from_der(chain, private_key(key)?, provider)
        .map(Arc::new)
        .map_err(TlsError::Identity)
}

/// The certificates in a file, of which there has to be one at least.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates: Vec<CertificateDer<'static>> = read_all(path)?;
    if certificates.is_empty() {
        return Err(TlsError::Empty {
            path: path.to_owned(),
            what: "certificate",
        });
    }
    Ok(certificates)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    warn_if_open(path);
    match PrivateKeyDer::from_pem_slice(&read(path)?) {
        Ok(key) => Ok(key),
        Err(pem::Error::NoItemsFound) => Err(TlsError::Empty {
            path: path.to_owned(),
            what: "private key (one that is protected by a password cannot be used)",
        }),
        Err(source) => Err(TlsError::Pem {
            path: path.to_owned(),
            source,
        }),
    }
}

/// A key that others may read is no secret.
fn warn_if_open(path: &Path) {
    if std::fs::metadata(path).is_ok_and(|metadata| metadata.mode() & 0o077 != 0) {
        tracing::warn!(
            file = %path.display(),
            "others on this machine may read the private key: chmod 600"
        );
    }
}

fn read_all<T: PemObject>(path: &Path) -> Result<Vec<T>, TlsError> {
    T::pem_slice_iter(&read(path)?)
        .collect::<Result<_, _>>()
        .map_err(|source| TlsError::Pem {
            path: path.to_owned(),
            source,
        })
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut bytes))
        .map_err(TlsError::file(path))?;
    Ok(bytes)
}
