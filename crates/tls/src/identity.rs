//! Who a certificate says that its owner is.

use gantry_core::certificate::{Fingerprint, PeerCertificate};
use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::net::IpAddr;
use x509_parser::asn1_rs::Oid;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::oid_registry as oids;
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Name;

/// Most alternative names that are looked at.
const NAMES_MAX: usize = 256;

/// Reads what a verified certificate says. One whose names cannot be read is still known by its
/// fingerprint.
pub fn identify(certificate: &CertificateDer<'_>) -> PeerCertificate {
    let fingerprint = fingerprint(certificate);
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else {
        return PeerCertificate {
            fingerprint,
            subject: String::new(),
            common_name: None,
            alternative_names: Vec::new(),
        };
    };
    PeerCertificate {
        fingerprint,
        subject: subject(parsed.subject()),
        common_name: parsed
            .subject()
            .iter_common_name()
            .next()
            .and_then(|name| name.as_str().ok())
            .map(str::to_owned),
        alternative_names: alternative_names(&parsed),
    }
}

/// The SHA-256 digest of a certificate.
pub(crate) fn fingerprint(certificate: &CertificateDer<'_>) -> Fingerprint {
    Fingerprint(Sha256::digest(certificate).into())
}

/// The names that a certificate is for.
pub(crate) fn alternative_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    extension
        .value
        .general_names
        .iter()
        .filter_map(|name| match name {
            GeneralName::DNSName(name) | GeneralName::RFC822Name(name) | GeneralName::URI(name) => {
                Some((*name).to_owned())
            }
            GeneralName::IPAddress(bytes) => address(bytes),
            _ => None,
        })
        .take(NAMES_MAX)
        .collect()
}

fn address(bytes: &[u8]) -> Option<String> {
    let address = <[u8; 4]>::try_from(bytes)
        .map(IpAddr::from)
        .or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from));
    address.ok().map(|address| address.to_string())
}

/// The text of a name, its most specific part first (RFC 4514 2).
pub(crate) fn subject(name: &X509Name<'_>) -> String {
    let mut text = String::new();
    let parts: Vec<_> = name.iter().collect();
    for (index, part) in parts.iter().rev().enumerate() {
        if index > 0 {
            text.push(',');
        }
        for (index, attribute) in part.iter().enumerate() {
            if index > 0 {
                text.push('+');
            }
            text.push_str(&keyword(attribute.attr_type()));
            text.push('=');
            match attribute.as_str() {
                Ok(value) => escape(value, &mut text),
                Err(_) => {
                    text.push('#');
                    for byte in attribute.attr_value().data {
                        let _ = write!(text, "{byte:02x}");
                    }
                }
            }
        }
    }
    text
}

fn keyword(oid: &Oid<'_>) -> String {
    let known: [(&Oid<'_>, &str); 8] = [
        (&oids::OID_X509_COMMON_NAME, "CN"),
        (&oids::OID_X509_LOCALITY_NAME, "L"),
        (&oids::OID_X509_STATE_OR_PROVINCE_NAME, "ST"),
        (&oids::OID_X509_ORGANIZATION_NAME, "O"),
        (&oids::OID_X509_ORGANIZATIONAL_UNIT, "OU"),
        (&oids::OID_X509_COUNTRY_NAME, "C"),
        (&oids::OID_X509_STREET_ADDRESS, "STREET"),
        (&oids::OID_DOMAIN_COMPONENT, "DC"),
    ];
    known
        .iter()
        .find(|(known, _)| *known == oid)
        .map_or_else(|| oid.to_id_string(), |(_, keyword)| (*keyword).to_owned())
}

/// RFC 4514 2.4; control characters are written in hexadecimal, so that a log stays a log.
fn escape(value: &str, text: &mut String) {
    let last = value.chars().count().saturating_sub(1);
    for (index, character) in value.chars().enumerate() {
        let is_edge_space = character == ' ' && (index == 0 || index == last);
        if character.is_control() {
            let mut buffer = [0; 4];
            for byte in character.encode_utf8(&mut buffer).bytes() {
                let _ = write!(text, "\\{byte:02x}");
            }
            continue;
        }
        if is_edge_space
            || matches!(character, '"' | '+' | ',' | ';' | '<' | '>' | '\\' | '=')
            || (character == '#' && index == 0)
        {
            text.push('\\');
        }
        text.push(character);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, KeyPair};

    #[test]
    fn a_certificate_is_read_as_people_write_it() {
        let key = KeyPair::generate().unwrap();
        let names = ["ct1.example".to_owned(), "192.0.2.7".into(), "::1".into()];
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::OrganizationName, "St. Mary, Radiology");
        params.distinguished_name.push(DnType::CommonName, "CT 1");
        let certificate = params.self_signed(&key).unwrap();
        let found = identify(certificate.der());
        assert_eq!(found.subject, "CN=CT 1,O=St. Mary\\, Radiology");
        assert_eq!(found.common_name.as_deref(), Some("CT 1"));
        assert_eq!(found.alternative_names, ["ct1.example", "192.0.2.7", "::1"]);
        assert_eq!(found.fingerprint, fingerprint(certificate.der()));
    }

    #[test]
    fn what_is_no_certificate_has_no_names() {
        let found = identify(&CertificateDer::from(b"nonsense".to_vec()));
        assert!(found.subject.is_empty() && found.alternative_names.is_empty());
    }

    #[test]
    fn a_name_cannot_forge_another_part_of_itself_or_a_line_of_the_log() {
        let mut text = String::new();
        escape(" a,CN=b\n", &mut text);
        assert_eq!(text, "\\ a\\,CN\\=b\\0a");
    }
}
