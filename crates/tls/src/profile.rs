//! What may be negotiated.

use rustls::SupportedProtocolVersion;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, kx_group};
use rustls::version::{TLS12, TLS13};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// TLS 1.3, and 1.2 for those who do not have it yet; nothing older (RFC 8996).
pub(crate) const VERSIONS: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];

/// A secure transport connection profile of PS3.15 Annex B.
///
/// Whatever the profile: keys are agreed by ECDHE alone, ciphers are AEAD, certificates have RSA
/// keys of at least 2048 bits or elliptic curves of at least 256, and are signed with SHA-256 or
/// longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Profile {
    /// BCP 195 RFC 8996, 9325 (PS3.15 B.12).
    #[default]
    #[serde(rename = "bcp195")]
    Bcp195,
    /// Modified BCP 195 RFC 8996, 9325 (PS3.15 B.13), as far as its algorithms are there: no
    /// hybrid key agreement, and 256-bit ciphers before 128-bit ones. CCM and Camellia are not
    /// there.
    #[serde(rename = "bcp195-modified")]
    Bcp195Modified,
}

impl Profile {
    /// The algorithms.
    pub(crate) fn provider(self) -> Arc<CryptoProvider> {
        let mut provider = aws_lc_rs::default_provider();
        if self == Self::Bcp195Modified {
            provider.kx_groups = vec![kx_group::SECP256R1, kx_group::SECP384R1, kx_group::X25519];
            provider
                .cipher_suites
                .sort_by_key(|suite| format!("{:?}", suite.suite()).contains("AES_128"));
        }
        Arc::new(provider)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ephemeral_keys_and_authenticated_ciphers_are_there() {
        for profile in [Profile::Bcp195, Profile::Bcp195Modified] {
            for suite in &profile.provider().cipher_suites {
                let name = format!("{:?}", suite.suite());
                assert!(name.contains("GCM") || name.contains("POLY1305"), "{name}");
                assert!(
                    name.starts_with("TLS13_") || name.contains("ECDHE"),
                    "{name}"
                );
            }
        }
    }

    #[test]
    fn the_modified_profile_prefers_long_keys_and_has_no_hybrid_agreement() {
        let provider = Profile::Bcp195Modified.provider();
        let first = format!("{:?}", provider.cipher_suites[0].suite());
        assert!(!first.contains("AES_128"), "{first}");
        assert_eq!(provider.kx_groups.len(), 3);
        assert!(Profile::Bcp195.provider().kx_groups.len() > 3);
    }
}
