//! What a site may set about associations.

use gantry_core::ae_title::AeTitle;
use gantry_core::uid::Uid;
use gantry_dicom::part10::{IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME};
use gantry_dimse::association::settings::{Settings, Timeouts};
use std::time::Duration;

/// Settings of the DICOM door; each has a default that serves.
#[derive(Debug, Clone, serde::Deserialize, serde::Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct DimseConfig {
    /// Reject associations that call another AE title than the archive's or one of
    /// `called_ae_titles`.
    pub check_called_ae: bool,
    /// Further AE titles the archive may be called by.
    pub called_ae_titles: Vec<AeTitle>,
    /// Reject associations without a user identity. What is given is recorded, not yet verified.
    pub require_user_identity: bool,
    /// Accept private SOP classes and those that the standard did not have when this version was
    /// made, as storage.
    pub accept_unknown_sop_classes: bool,
    /// Transfer syntaxes to choose first for storage, by UID. Otherwise: what the sender proposes
    /// first when it is a compression, explicit little endian, lossless compressions, implicit
    /// little endian, and then as proposed.
    pub transfer_syntaxes: Vec<String>,
    /// Accept associations of which no presentation context can be accepted.
    pub accept_without_contexts: bool,
    /// Send C-STORE in the course of a C-GET also where the requestor has forgotten to negotiate
    /// the role of an SCP.
    pub assume_roles: bool,
    /// Most associations at once; more are rejected as transient.
    pub associations_max: usize,
    /// Most associations from one address at once; 0 means no limit.
    pub associations_per_address_max: usize,
    /// Most connections that have not asked for an association yet; more are closed.
    pub connections_max: usize,
    /// Most operations that a peer may have open on one association (asynchronous operations).
    pub operations_max: u16,
    /// Most matches of a C-FIND, 0 for any; a query with more fails as out of resources.
    pub matches_max: u64,
    /// Longest P-DATA-TF that is taken and sent, in bytes.
    pub pdu_bytes_max: u32,
    /// Longest identifier of a C-FIND, C-MOVE or C-GET, and longest N-ACTION information.
    pub identifier_bytes_max: usize,
    /// How often the counters of a C-MOVE or C-GET are told.
    pub pending_interval_ms: u64,
    /// How long to wait for the association request after a connection, and for the answer to one.
    pub associate_timeout_s: u64,
    /// How long all of a PDU may take, and the next PDU of a message.
    pub pdu_timeout_s: u64,
    /// How long an association may stay without a message.
    pub idle_timeout_s: u64,
    /// How long a peer may take no data.
    pub write_timeout_s: u64,
    /// How long to wait for a connection.
    pub connect_timeout_s: u64,
    /// How long to wait for the response to a C-STORE or an N-EVENT-REPORT.
    pub response_timeout_s: u64,
    /// How long a requestor of storage commitment may take to acknowledge the result on the
    /// association of its request, before a new one is tried.
    pub commitment_timeout_s: u64,
    /// How long operations may go on after the signal to stop.
    pub drain_s: u64,
}

impl Default for DimseConfig {
    fn default() -> Self {
        Self {
            check_called_ae: false,
            called_ae_titles: Vec::new(),
            require_user_identity: false,
            accept_unknown_sop_classes: true,
            transfer_syntaxes: Vec::new(),
            accept_without_contexts: true,
            assume_roles: true,
            associations_max: 4096,
            associations_per_address_max: 0,
            connections_max: 4096,
            operations_max: 16,
            matches_max: 0,
            pdu_bytes_max: 256 << 10,
            identifier_bytes_max: 16 << 20,
            pending_interval_ms: 200,
            associate_timeout_s: 30,
            pdu_timeout_s: 60,
            idle_timeout_s: 300,
            write_timeout_s: 60,
            connect_timeout_s: 10,
            response_timeout_s: 120,
            commitment_timeout_s: 10,
            drain_s: 15,
        }
    }
}

impl DimseConfig {
    /// What this end says about itself, and how long it waits.
    pub(crate) fn settings(&self) -> Settings {
        let mut settings = Settings::new(implementation_class_uid(), IMPLEMENTATION_VERSION_NAME);
        // Less than a few kilobytes would make every message a stream of crumbs.
        settings.maximum_length = self.pdu_bytes_max.clamp(4 << 10, 64 << 20);
        settings.send_length_max = settings.maximum_length;
        settings.timeouts = Timeouts {
            connect: Duration::from_secs(self.connect_timeout_s),
            associate: Duration::from_secs(self.associate_timeout_s),
            pdu: Duration::from_secs(self.pdu_timeout_s),
            message: Duration::from_secs(self.pdu_timeout_s),
            write: Duration::from_secs(self.write_timeout_s),
            response: Duration::from_secs(self.response_timeout_s),
            ..Timeouts::default()
        };
        settings
    }

    pub(crate) fn idle_timeout(&self) -> Duration {
        Duration::from_secs(self.idle_timeout_s)
    }

    pub(crate) fn drain(&self) -> Duration {
        Duration::from_secs(self.drain_s)
    }
}

#[expect(clippy::expect_used, reason = "a constant that the test below parses")]
fn implementation_class_uid() -> Uid {
    Uid::parse(IMPLEMENTATION_CLASS_UID).expect("a constant UID")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_constant_uid_is_one() {
        assert!(implementation_class_uid().is_conformant());
    }

    #[test]
    fn lengths_that_make_no_sense_are_not_announced() {
        let config = DimseConfig {
            pdu_bytes_max: 0,
            ..DimseConfig::default()
        };
        assert_eq!(config.settings().maximum_length, 4096);
    }
}
