//! A certificate authority for a site that has none of its own. It lives in the data folder: its
//! key, the server's certificate, copies of the certificates it has issued, and its revocation
//! list.

use crate::error::TlsError;
use crate::expiry::{self, Summary};
use crate::material::certificates;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CrlDistributionPoint,
    DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair,
    KeyUsagePurpose, RevocationReason, RevokedCertParams, RsaKeySize, SerialNumber,
};
use rustls::pki_types::CertificateRevocationListDer;
use rustls::pki_types::pem::PemObject;
use std::fs::{OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use time::{Duration, OffsetDateTime};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{DistributionPointName, GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer;

/// How long the authority itself lasts.
const AUTHORITY_DAYS: i64 = 3650;
/// How long the server's certificates last: browsers take no more than 398 days.
const SERVER_DAYS: u32 = 397;
/// How long a revocation list says that it holds. It is written anew at each revocation.
const LIST_DAYS: i64 = 3650;
/// Clocks of modalities are seldom right.
const CLOCK_SKEW: Duration = Duration::HOUR;
/// Only the owner may read.
const SECRET: u32 = 0o600;
/// Everybody may read.
const PUBLIC: u32 = 0o644;

/// Where the local authority keeps its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder(PathBuf);

impl Folder {
    /// The one in a data folder.
    pub fn of(data: &Path) -> Self {
        Self(data.join("tls"))
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The authority's certificate.
    pub fn ca_certificate(&self) -> PathBuf {
        self.0.join("ca.pem")
    }

    /// The authority's key.
    pub fn ca_key(&self) -> PathBuf {
        self.0.join("ca.key")
    }

    /// The server's certificate.
    pub fn server_certificate(&self) -> PathBuf {
        self.0.join("server.pem")
    }

    /// The server's key.
    pub fn server_key(&self) -> PathBuf {
        self.0.join("server.key")
    }

    /// The revocation list.
    pub fn crl(&self) -> PathBuf {
        self.0.join("crl.pem")
    }

    /// The authority's certificate (PEM).
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn ca_text(&self) -> Result<String, TlsError> {
        let path = self.ca_certificate();
        std::fs::read_to_string(&path).map_err(TlsError::file(&path))
    }

    /// The revocation list (DER).
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn crl_der(&self) -> Result<Vec<u8>, TlsError> {
        let path = self.crl();
        let text = std::fs::read(&path).map_err(TlsError::file(&path))?;
        CertificateRevocationListDer::from_pem_slice(&text)
            .map(|list| list.as_ref().to_vec())
            .map_err(|source| TlsError::Pem { path, source })
    }

    /// Copies of the certificates that were issued.
    pub fn issued(&self) -> PathBuf {
        self.0.join("issued")
    }

    /// What was revoked: a line for each, with serial number, time and subject.
    fn revoked(&self) -> PathBuf {
        self.0.join("revoked.txt")
    }
}

/// The kind of keys to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeyKind {
    /// ECDSA on P-256: short, quick, and known to all that know TLS 1.2 well.
    #[default]
    P256,
    /// RSA of 3072 bits, for modalities that know nothing else.
    Rsa,
}

impl KeyKind {
    fn generate(self) -> Result<KeyPair, TlsError> {
        Ok(match self {
            Self::P256 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?,
            Self::Rsa => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_3072)?,
        })
    }

    fn of(key: &KeyPair) -> Self {
        if key.is_compatible(&rcgen::PKCS_RSA_SHA256) {
            Self::Rsa
        } else {
            Self::P256
        }
    }
}

/// A certificate that was made, with its key.
#[derive(Debug)]
pub struct Issued {
    /// The certificate (PEM).
    pub certificate: String,
    /// The key (PEM).
    pub key: String,
}

/// What a new authority shall be.
#[derive(Debug, Clone)]
pub struct Founding<'a> {
    /// What it is called.
    pub name: &'a str,
    /// The names and addresses of the server; the first one is what it is called.
    pub server_names: &'a [String],
    /// Keys of the authority, the server and those it issues to.
    pub keys: KeyKind,
    /// Where others may get the revocation list.
    pub crl_url: Option<&'a str>,
}

/// The authority, ready to sign.
#[derive(Debug)]
pub struct Authority {
    folder: Folder,
    certificate: String,
    key: KeyPair,
}

impl Authority {
    /// Makes an authority and the server's certificate.
    ///
    /// # Errors
    /// When there is one already, or a file cannot be written.
    pub fn found(folder: &Folder, founding: &Founding<'_>) -> Result<Self, TlsError> {
        if folder.ca_key().exists() || folder.ca_certificate().exists() {
            return Err(TlsError::Exists(folder.path().to_owned()));
        }
        make_folder(folder.path())?;
        make_folder(&folder.issued())?;
        let key = founding.keys.generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name = called(founding.name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        last(&mut params, AUTHORITY_DAYS);
        let certificate = params.self_signed(&key)?.pem();
        let authority = Self {
            folder: folder.clone(),
            certificate,
            key,
        };
        let server = authority.make(&Subject {
            name: founding
                .server_names
                .first()
                .map_or("gantry", String::as_str),
            names: founding.server_names,
            days: SERVER_DAYS,
            keys: founding.keys,
            crl_url: founding.crl_url,
        })?;
        write(&folder.ca_key(), &authority.key.serialize_pem(), SECRET)?;
        write(&folder.ca_certificate(), &authority.certificate, PUBLIC)?;
        authority.write_revocation_list()?;
        authority.write_server(&server)?;
        Ok(authority)
    }

    /// The authority that is in the folder.
    ///
    /// # Errors
    /// When there is none, or its files cannot be read.
    pub fn open(folder: &Folder) -> Result<Self, TlsError> {
        let (certificate, key) = (folder.ca_certificate(), folder.ca_key());
        if !certificate.is_file() || !key.is_file() {
            return Err(TlsError::NoLocalAuthority(folder.path().to_owned()));
        }
        let read = |path: &Path| std::fs::read_to_string(path).map_err(TlsError::file(path));
        Ok(Self {
            folder: folder.clone(),
            certificate: read(&certificate)?,
            key: KeyPair::from_pem(&read(&key)?)?,
        })
    }

    /// The authority's certificate (PEM).
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Issues a certificate to a peer: `name` is what it is called, its AE title for example;
    /// `names` are host names and addresses under which it is reached, if it is. It may show it as
    /// client and as server. A copy of the certificate stays here, the key does not.
    ///
    /// # Errors
    /// When a name cannot be one, or a file cannot be written.
    pub fn issue(&self, name: &str, names: &[String], days: u32) -> Result<Issued, TlsError> {
        let server = self.folder.server_certificate();
        let issued = self.make(&Subject {
            name,
            names,
            days,
            keys: KeyKind::of(&self.key),
            crl_url: crl_url(&server).as_deref(),
        })?;
        make_folder(&self.folder.issued())?;
        let path = self.copy_of(name);
        write(&path, &issued.certificate, PUBLIC)?;
        Ok(issued)
    }

    /// Issues anew what was issued to `name` before, for the same names and as long.
    ///
    /// # Errors
    /// When nothing was.
    pub fn issue_again(&self, name: &str) -> Result<Issued, TlsError> {
        let path = self.copy_of(name);
        if !path.is_file() {
            return Err(TlsError::Unknown(name.to_owned()));
        }
        let old = first_of(&path)?;
        let days = old.not_after.saturating_sub(old.not_before) / 86_400;
        let days = u32::try_from(days).unwrap_or(SERVER_DAYS).max(1);
        self.issue(name, &old.names, days)
    }

    /// Makes a new certificate and key of the server, for the same names as before.
    ///
    /// # Errors
    /// When the old one cannot be read or the new one not be written.
    pub fn renew_server(&self) -> Result<(), TlsError> {
        let names = first_of(&self.folder.server_certificate())?.names;
        self.issue_server(&names)
    }

    /// Makes a new certificate and key of the server for these names.
    ///
    /// # Errors
    /// When a name cannot be one, or a file cannot be written.
    pub fn issue_server(&self, names: &[String]) -> Result<(), TlsError> {
        let server = self.make(&Subject {
            name: names.first().map_or("gantry", String::as_str),
            names,
            days: SERVER_DAYS,
            keys: KeyKind::of(&self.key),
            crl_url: crl_url(&self.folder.server_certificate()).as_deref(),
        })?;
        self.write_server(&server)
    }

    /// Declares the last certificate that was issued to `name` invalid from now on.
    ///
    /// # Errors
    /// When nothing was issued to it.
    pub fn revoke(&self, name: &str) -> Result<Summary, TlsError> {
        let path = self.copy_of(name);
        if !path.is_file() {
            return Err(TlsError::Unknown(name.to_owned()));
        }
        let summary = first_of(&path)?;
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let line = format!("{} {now} {}\n", summary.serial, summary.subject);
        let revoked = self.folder.revoked();
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(PUBLIC)
            .open(&revoked)
            .map_err(TlsError::file(&revoked))?;
        file.write_all(line.as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(TlsError::file(&revoked))?;
        self.write_revocation_list()?;
        Ok(summary)
    }

    /// The serial numbers of what was revoked, in hexadecimal.
    ///
    /// # Errors
    /// When the list cannot be read.
    pub fn revoked(folder: &Folder) -> Result<Vec<(String, i64)>, TlsError> {
        let path = folder.revoked();
        if !path.is_file() {
            return Ok(Vec::new());
        }
        let text = std::fs::read_to_string(&path).map_err(TlsError::file(&path))?;
        Ok(text
            .lines()
            .filter_map(|line| {
                let mut parts = line.split(' ');
                let serial = parts.next()?;
                Some((serial.to_owned(), parts.next()?.parse().ok()?))
            })
            .collect())
    }

    /// What was issued, by name, the server's own certificate first.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn list(folder: &Folder) -> Result<Vec<Summary>, TlsError> {
        let mut files = vec![folder.server_certificate()];
        let issued = folder.issued();
        if issued.is_dir() {
            let mut copies: Vec<PathBuf> = std::fs::read_dir(&issued)
                .map_err(TlsError::file(&issued))?
                .filter_map(|entry| entry.ok().map(|entry| entry.path()))
                .filter(|path| path.extension().is_some_and(|extension| extension == "pem"))
                .collect();
            copies.sort();
            files.append(&mut copies);
        }
        files
            .iter()
            .filter(|file| file.is_file())
            .map(|file| first_of(file))
            .collect()
    }

    fn copy_of(&self, name: &str) -> PathBuf {
        let folder = self.folder.issued();
        folder.join(format!("{}.pem", file_name(name)))
    }

    fn issuer(&self) -> Result<Issuer<'static, &KeyPair>, TlsError> {
        Ok(Issuer::from_ca_cert_pem(&self.certificate, &self.key)?)
    }

    fn make(&self, subject: &Subject<'_>) -> Result<Issued, TlsError> {
        if !(1..=3650).contains(&subject.days) {
            return Err(TlsError::Days);
        }
        let key = subject.keys.generate()?;
        let mut params = CertificateParams::new(subject.names.to_vec())
            .map_err(|_| TlsError::Name(subject.names.join(", ")))?;
        params.distinguished_name = called(subject.name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.use_authority_key_identifier_extension = true;
        params.crl_distribution_points = subject
            .crl_url
            .map(|url| CrlDistributionPoint {
                uris: vec![url.to_owned()],
            })
            .into_iter()
            .collect();
        last(&mut params, subject.days.into());
        let certificate = params.signed_by(&key, &self.issuer()?)?;
        Ok(Issued {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }

    fn write_server(&self, server: &Issued) -> Result<(), TlsError> {
        write(&self.folder.server_key(), &server.key, SECRET)?;
        write(
            &self.folder.server_certificate(),
            &server.certificate,
            PUBLIC,
        )
    }

    fn write_revocation_list(&self) -> Result<(), TlsError> {
        let revoked_certs = Self::revoked(&self.folder)?
            .into_iter()
            .filter_map(|(serial, time)| {
                Some(RevokedCertParams {
                    serial_number: SerialNumber::from_slice(&bytes(&serial)?),
                    revocation_time: OffsetDateTime::from_unix_timestamp(time).ok()?,
                    reason_code: Some(RevocationReason::Unspecified),
                    invalidity_date: None,
                })
            })
            .collect();
        let now = OffsetDateTime::now_utc();
        let number = now.unix_timestamp().to_be_bytes();
        let list = CertificateRevocationListParams {
            this_update: now - CLOCK_SKEW,
            next_update: now + Duration::days(LIST_DAYS),
            crl_number: SerialNumber::from_slice(&number),
            issuing_distribution_point: None,
            revoked_certs,
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&self.issuer()?)?.pem()?;
        write(&self.folder.crl(), &list, PUBLIC)
    }
}

struct Subject<'a> {
    name: &'a str,
    names: &'a [String],
    days: u32,
    keys: KeyKind,
    crl_url: Option<&'a str>,
}

fn called(name: &str) -> DistinguishedName {
    let mut distinguished_name = DistinguishedName::new();
    distinguished_name.push(DnType::CommonName, name);
    distinguished_name
}

fn last(params: &mut CertificateParams, days: i64) {
    let now = OffsetDateTime::now_utc();
    params.not_before = now - CLOCK_SKEW;
    params.not_after = now - CLOCK_SKEW + Duration::days(days);
}

/// A file name of an AE title or host name.
pub fn file_name(name: &str) -> String {
    let plain: String = name
        .trim()
        .chars()
        .take(64)
        .map(|character| match character {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '.' => character,
            _ => '_',
        })
        .collect();
    // Neither hidden nor the folder above.
    match plain.strip_prefix('.') {
        Some(rest) => format!("_{rest}"),
        None if plain.is_empty() => "_".into(),
        None => plain,
    }
}

fn first_of(path: &Path) -> Result<Summary, TlsError> {
    expiry::summaries(path)?
        .into_iter()
        .next()
        .ok_or_else(|| TlsError::Certificate(path.to_owned()))
}

/// Where the certificate in a file says that the revocation list is.
fn crl_url(path: &Path) -> Option<String> {
    let certificates = certificates(path).ok()?;
    let (_, certificate) = X509Certificate::from_der(certificates.first()?).ok()?;
    let points = certificate.extensions().iter().find_map(|extension| {
        match extension.parsed_extension() {
            ParsedExtension::CRLDistributionPoints(points) => Some(points),
            _ => None,
        }
    })?;
    points.points.iter().find_map(|point| {
        let DistributionPointName::FullName(names) = point.distribution_point.as_ref()? else {
            return None;
        };
        names.iter().find_map(|name| match name {
            GeneralName::URI(url) => Some((*url).to_owned()),
            _ => None,
        })
    })
}

fn bytes(hexadecimal: &str) -> Option<Vec<u8>> {
    let pairs = hexadecimal.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

fn make_folder(path: &Path) -> Result<(), TlsError> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(TlsError::file(path))
}

/// Writes a file so that it is either the old one or the new one, and never for others to read.
pub fn write(path: &Path, text: &str, mode: u32) -> Result<(), TlsError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    let written = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(SECRET)
            .open(&new)?;
        file.set_permissions(Permissions::from_mode(mode))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&new, path)
    };
    written().map_err(TlsError::file(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn founded(keys: KeyKind) -> (tempfile::TempDir, Folder, Authority) {
        let data = tempfile::tempdir().unwrap();
        let folder = Folder::of(data.path());
        let names = ["pacs.example".to_owned(), "127.0.0.1".into()];
        let founding = Founding {
            name: "Test CA",
            server_names: &names,
            keys,
            crl_url: Some("https://pacs.example:8443/tls/ca.crl"),
        };
        let authority = Authority::found(&folder, &founding).unwrap();
        (data, folder, authority)
    }

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn keys_are_for_nobody_else() {
        let (_data, folder, authority) = founded(KeyKind::P256);
        assert_eq!(mode(&folder.ca_key()), 0o600);
        assert_eq!(mode(&folder.server_key()), 0o600);
        assert_eq!(mode(folder.path()), 0o700);
        let issued = authority.issue("CT1", &[], 30).unwrap();
        assert!(issued.key.contains("PRIVATE KEY"));
        let kept = std::fs::read_dir(folder.issued()).unwrap();
        for file in kept {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            assert!(!text.contains("PRIVATE KEY"));
        }
    }

    #[test]
    fn an_authority_is_not_overwritten() {
        let (_data, folder, _) = founded(KeyKind::P256);
        let founding = Founding {
            name: "Other",
            server_names: &[],
            keys: KeyKind::P256,
            crl_url: None,
        };
        let again = Authority::found(&folder, &founding);
        assert!(matches!(again, Err(TlsError::Exists(_))));
    }

    #[test]
    fn a_renewed_certificate_is_for_the_same_names_with_another_key() {
        let (_data, folder, authority) = founded(KeyKind::P256);
        let before = first_of(&folder.server_certificate()).unwrap();
        let key = std::fs::read(folder.server_key()).unwrap();
        Authority::open(&folder).unwrap().renew_server().unwrap();
        let after = first_of(&folder.server_certificate()).unwrap();
        assert_eq!(after.names, before.names);
        assert_ne!(after.fingerprint, before.fingerprint);
        assert_ne!(after.serial, before.serial);
        assert_ne!(std::fs::read(folder.server_key()).unwrap(), key);
        assert_eq!(
            crl_url(&folder.server_certificate()).as_deref(),
            Some("https://pacs.example:8443/tls/ca.crl")
        );
        let ct = authority.issue("CT1", &["ct1.example".into()], 90).unwrap();
        let again = authority.issue_again("CT1").unwrap();
        assert_ne!(ct.certificate, again.certificate);
        let listed = Authority::list(&folder).unwrap();
        assert_eq!(listed.len(), 2);
        assert_eq!(listed[1].names, ["ct1.example"]);
        assert!((88..=90).contains(&listed[1].days_left()));
        assert!(matches!(
            authority.issue_again("CT2"),
            Err(TlsError::Unknown(_))
        ));
    }

    #[test]
    fn rsa_stays_rsa() {
        let (_data, folder, authority) = founded(KeyKind::Rsa);
        let issued = authority.issue("CT1", &[], 30).unwrap();
        assert_eq!(
            KeyKind::of(&KeyPair::from_pem(&issued.key).unwrap()),
            KeyKind::Rsa
        );
        assert!(Authority::open(&folder).is_ok());
    }

    #[test]
    fn what_is_revoked_is_on_the_list() {
        let (_data, folder, authority) = founded(KeyKind::P256);
        authority.issue("CT1", &[], 30).unwrap();
        let empty = std::fs::read(folder.crl()).unwrap();
        let summary = authority.revoke("CT1").unwrap();
        assert_eq!(summary.subject, "CN=CT1");
        let revoked = Authority::revoked(&folder).unwrap();
        assert_eq!(revoked[0].0, summary.serial);
        assert_ne!(std::fs::read(folder.crl()).unwrap(), empty);
        assert!(authority.revoke("CT2").is_err());
    }

    #[test]
    fn names_cannot_leave_the_folder() {
        assert_eq!(file_name("../../etc/passwd"), "_._.._etc_passwd");
        assert_eq!(file_name(".."), "_.");
        assert_eq!(file_name(""), "_");
        assert_eq!(file_name("CT 1"), "CT_1");
    }

    #[test]
    fn what_is_no_name_or_no_time_is_refused() {
        let (_data, _folder, authority) = founded(KeyKind::P256);
        assert!(authority.issue("CT1", &["bücher".into()], 30).is_err());
        assert!(authority.issue("CT1", &[], 0).is_err());
    }
}
