//! What a site may set about the archive itself.

use gantry_audit::AuditSettings;
use gantry_core::ae_title::AeTitle;
use gantry_keys::EncryptionConfig;
use std::path::PathBuf;

/// Settings of the archive; each has a default that serves.
#[derive(Debug, Clone, serde::Deserialize, serde::Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ArchiveConfig {
    /// Folder of the index and of the stored objects.
    pub data: PathBuf,
    /// The AE title this archive answers with (Retrieve AE Title, Receiving AE).
    pub ae_title: AeTitle,
    /// Sites that share this archive, each called by AE titles of its own.
    pub sites: Vec<Site>,
    /// What to do with a SOP Instance UID that is already stored with other bytes.
    pub different_duplicate: DifferentDuplicate,
    /// Whether callers that are no configured peer may store, query and retrieve.
    pub unknown_peers: UnknownPeers,
    /// Objects up to this many bytes wait in memory and share a flush; larger ones are written to
    /// a file of their own while they arrive.
    pub small_object_bytes: usize,
    /// Size of the pack files in bytes; takes effect with the next pack. One is allocated ahead,
    /// so an archive takes at least twice as much room.
    pub pack_bytes: u64,
    /// Free bytes of the disk below which no more instances are taken, so that there is room for
    /// the index and for what has to be written to make room again.
    pub reserve_bytes: u64,
    /// How long a deleted study can be restored, in hours, before its bytes are purged.
    pub restore_window_hours: u32,
    /// Longest header (data set without bulk values) that is accepted, in bytes.
    pub header_bytes_max: usize,
    /// Bytes of arriving small objects that may wait in memory before senders are made to wait.
    pub ingest_memory_bytes: usize,
    /// Worker processes that decode pixels; 0 means one a processor core.
    pub codec_workers: usize,
    /// Whether what is stored is encrypted; `[encryption]` of the configuration.
    #[serde(skip)]
    pub encryption: EncryptionConfig,
    /// The audit trail's settings, which have a table of their own in the configuration.
    #[serde(skip)]
    pub audit: AuditSettings,
}

/// A site: what is stored by calling one of its AE titles is its own, as is what names it as
/// Institution Name (0008,0080).
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// Its name, as scopes name it.
    pub name: String,
    /// The AE titles by which it is called.
    #[serde(default)]
    pub called_ae_titles: Vec<AeTitle>,
}

impl ArchiveConfig {
    /// The AE titles by which a site is called.
    pub(crate) fn titles_of(&self, site: &str) -> Vec<String> {
        self.sites
            .iter()
            .filter(|one| one.name == site)
            .flat_map(|one| one.called_ae_titles.iter().map(ToString::to_string))
            .collect()
    }
}

/// What to do with a SOP Instance UID that is already stored with other bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DifferentDuplicate {
    /// Answer success, keep the first object, record the attempt.
    KeepFirst,
    /// Answer a failure, keep the first object, record the attempt.
    Refuse,
}

/// What a caller may do that is no configured peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnknownPeers {
    /// Verification, storage, query and retrieval.
    Accept,
    /// Verification and storage.
    Store,
    /// Verification only.
    EchoOnly,
    /// Nothing: the association is rejected.
    Refuse,
}

impl Default for ArchiveConfig {
    fn default() -> Self {
        Self {
            data: PathBuf::from("gantry-data"),
            ae_title: default_ae_title(),
            sites: Vec::new(),
            different_duplicate: DifferentDuplicate::KeepFirst,
            unknown_peers: UnknownPeers::EchoOnly,
            small_object_bytes: 4 << 20,
            pack_bytes: 256 << 20,
            reserve_bytes: 128 << 20,
            restore_window_hours: 7 * 24,
            header_bytes_max: 64 << 20,
            ingest_memory_bytes: 128 << 20,
            codec_workers: 0,
            encryption: EncryptionConfig::default(),
            audit: AuditSettings::default(),
        }
    }
}

#[expect(clippy::expect_used, reason = "a constant that the test below parses")]
fn default_ae_title() -> AeTitle {
    AeTitle::parse("GANTRY").expect("a constant title")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid() {
        assert_eq!(ArchiveConfig::default().ae_title.as_str(), "GANTRY");
    }
}
