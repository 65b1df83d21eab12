//! What this end says about itself, and how long it waits.

use crate::pdu::stream::PduLimits;
use gantry_core::uid::Uid;
use std::time::Duration;

/// The local end of an association.
#[derive(Debug, Clone)]
pub struct Settings {
    /// PS3.7 D.3.3.2.1.
    pub implementation_class_uid: Uid,
    /// PS3.7 D.3.3.2.3; up to 16 characters.
    pub implementation_version_name: String,
    /// Longest variable field of a P-DATA-TF that this end takes and announces; 0 is not used.
    pub maximum_length: u32,
    /// Longest variable field of a P-DATA-TF that this end sends, whatever the peer takes.
    pub send_length_max: u32,
    /// Longest A-ASSOCIATE PDU that is taken.
    pub associate_length_max: u32,
    /// How long to wait for what.
    pub timeouts: Timeouts,
}

/// How long to wait for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For the transport connection.
    pub connect: Duration,
    /// ARTIM (PS3.8 §9.1.5): for the A-ASSOCIATE-RQ, and for the answer to one.
    pub associate: Duration,
    /// For all of a PDU that has begun; time in which this end does not read is not counted.
    pub pdu: Duration,
    /// For the next PDU of a message that has begun.
    pub message: Duration,
    /// For the peer to take what is written, each time something is.
    pub write: Duration,
    /// For the A-RELEASE-RP.
    pub release: Duration,
    /// For the peer to close the connection after an abort, a rejection or a release.
    pub linger: Duration,
    /// For a response, or the next of several, to what this end asked.
    pub response: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            associate: Duration::from_secs(30),
            pdu: Duration::from_secs(60),
            message: Duration::from_secs(60),
            write: Duration::from_secs(60),
            release: Duration::from_secs(10),
            linger: Duration::from_secs(2),
            response: Duration::from_secs(120),
        }
    }
}

impl Settings {
    /// Default lengths and timeouts for an implementation.
    pub fn new(implementation_class_uid: Uid, implementation_version_name: &str) -> Self {
        Self {
            implementation_class_uid,
            implementation_version_name: implementation_version_name.chars().take(16).collect(),
            maximum_length: 256 << 10,
            send_length_max: 256 << 10,
            associate_length_max: 1 << 20,
            timeouts: Timeouts::default(),
        }
    }

    pub(super) fn pdu_limits(&self) -> PduLimits {
        PduLimits {
            p_data_length_max: self.maximum_length,
            associate_length_max: self.associate_length_max,
        }
    }
}
