//! What can happen: the events of PS3.15 A.5.3, and our own sorts of them.

use std::fmt;

/// A code of a coding scheme: its value and its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// Code Value.
    pub value: &'static str,
    /// Coding Scheme Designator.
    pub scheme: &'static str,
    /// Code Meaning.
    pub meaning: &'static str,
}

/// A code of the DICOM Controlled Terminology (PS3.16 Annex D).
pub(crate) const fn dcm(value: &'static str, meaning: &'static str) -> Code {
    Code {
        value,
        scheme: "DCM",
        meaning,
    }
}

/// The messages of PS3.15 A.5.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// A.5.3.1.
    ApplicationActivity,
    /// A.5.3.2.
    AuditLogUsed,
    /// A.5.3.3.
    BeginTransferring,
    /// A.5.3.4.
    DataExport,
    /// A.5.3.5.
    DataImport,
    /// A.5.3.6.
    InstancesAccessed,
    /// A.5.3.7.
    InstancesTransferred,
    /// A.5.3.8.
    StudyDeleted,
    /// A.5.3.9.
    NetworkEntry,
    /// A.5.3.10.
    Query,
    /// A.5.3.11.
    SecurityAlert,
    /// A.5.3.12.
    UserAuthentication,
    /// A.5.3.13.
    OrderRecord,
    /// A.5.3.14.
    PatientRecord,
    /// A.5.3.15.
    ProcedureRecord,
}

impl Family {
    /// Every family.
    pub const ALL: [Self; 15] = [
        Self::ApplicationActivity,
        Self::AuditLogUsed,
        Self::BeginTransferring,
        Self::DataExport,
        Self::DataImport,
        Self::InstancesAccessed,
        Self::InstancesTransferred,
        Self::StudyDeleted,
        Self::NetworkEntry,
        Self::Query,
        Self::SecurityAlert,
        Self::UserAuthentication,
        Self::OrderRecord,
        Self::PatientRecord,
        Self::ProcedureRecord,
    ];

    /// The EventID (CID 400).
    pub const fn code(self) -> Code {
        match self {
            Self::ApplicationActivity => dcm("110100", "Application Activity"),
            Self::AuditLogUsed => dcm("110101", "Audit Log Used"),
            Self::BeginTransferring => dcm("110102", "Begin Transferring DICOM Instances"),
            Self::DataExport => dcm("110106", "Export"),
            Self::DataImport => dcm("110107", "Import"),
            Self::InstancesAccessed => dcm("110103", "DICOM Instances Accessed"),
            Self::InstancesTransferred => dcm("110104", "DICOM Instances Transferred"),
            Self::StudyDeleted => dcm("110105", "DICOM Study Deleted"),
            Self::NetworkEntry => dcm("110108", "Network Entry"),
            Self::Query => dcm("110112", "Query"),
            Self::SecurityAlert => dcm("110113", "Security Alert"),
            Self::UserAuthentication => dcm("110114", "User Authentication"),
            Self::OrderRecord => dcm("110109", "Order Record"),
            Self::PatientRecord => dcm("110110", "Patient Record"),
            Self::ProcedureRecord => dcm("110111", "Procedure Record"),
        }
    }

    /// The kinds of this family.
    pub fn kinds(self) -> impl Iterator<Item = Kind> {
        Kind::ALL
            .iter()
            .copied()
            .filter(move |kind| kind.family() == self)
    }
}

/// What was done to a thing: EventActionCode (PS3.15 A.5.1).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub enum Action {
    /// Made.
    #[serde(rename = "C")]
    Create,
    /// Read, or looked at.
    #[serde(rename = "R")]
    Read,
    /// Changed.
    #[serde(rename = "U")]
    Update,
    /// Deleted.
    #[serde(rename = "D")]
    Delete,
    /// A function was carried out.
    #[serde(rename = "E")]
    Execute,
}

impl Action {
    /// Its letter.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "C",
            Self::Read => "R",
            Self::Update => "U",
            Self::Delete => "D",
            Self::Execute => "E",
        }
    }
}

macro_rules! kinds {
    ($($(#[$text:meta])* $name:ident $word:literal $family:ident $action:ident $type:expr;)*) => {
        /// What happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Kind {
            $($(#[$text])* $name,)*
        }

        impl Kind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The word for it in the log, in filters and in the API.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// The message of PS3.15 A.5.3 that tells of it.
            pub const fn family(self) -> Family {
                match self { $(Self::$name => Family::$family,)* }
            }

            /// What it does, as long as the event says nothing else.
            pub const fn action(self) -> Action {
                match self { $(Self::$name => Action::$action,)* }
            }

            /// The EventTypeCode (CID 401), where the standard has one.
            pub const fn type_code(self) -> Option<Code> {
                match self { $(Self::$name => $type,)* }
            }
        }
    };
}

const START: Option<Code> = Some(dcm("110120", "Application Start"));
const STOP: Option<Code> = Some(dcm("110121", "Application Stop"));
const LOGIN: Option<Code> = Some(dcm("110122", "Login"));
const LOGOUT: Option<Code> = Some(dcm("110123", "Logout"));
const ATTACH: Option<Code> = Some(dcm("110124", "Attach"));
const DETACH: Option<Code> = Some(dcm("110125", "Detach"));
const NODE: Option<Code> = Some(dcm("110126", "Node Authentication"));
const OVERRIDE: Option<Code> = Some(dcm("110127", "Emergency Override Started"));
const NETWORK: Option<Code> = Some(dcm("110128", "Network Configuration"));
const SECURITY: Option<Code> = Some(dcm("110129", "Security Configuration"));
const RESTRICTED: Option<Code> = Some(dcm("110132", "Use of Restricted Function"));
const RECORDING_STOPPED: Option<Code> = Some(dcm("110133", "Audit Recording Stopped"));
const RECORDING_STARTED: Option<Code> = Some(dcm("110134", "Audit Recording Started"));
const OBJECT: Option<Code> = Some(dcm("110135", "Object Security Attributes Changed"));
const ROLES: Option<Code> = Some(dcm("110136", "Security Roles Changed"));
const USER: Option<Code> = Some(dcm("110137", "User Security Attributes Changed"));
const OVERRIDE_STOPPED: Option<Code> = Some(dcm("110138", "Emergency Override Stopped"));

kinds! {
    /// The server started.
    ApplicationStarted "application-started" ApplicationActivity Execute START;
    /// The server stopped.
    ApplicationStopped "application-stopped" ApplicationActivity Execute STOP;

    /// Somebody read the audit trail.
    AuditRead "audit-read" AuditLogUsed Read None;
    /// Somebody took a copy of the audit trail out.
    AuditExported "audit-exported" AuditLogUsed Read None;
    /// Somebody had the chain verified.
    AuditVerified "audit-verified" AuditLogUsed Read None;

    /// Instances begin to go to another system.
    TransferBegun "transfer-begun" BeginTransferring Execute None;
    /// Instances went to media, to files or out by a share.
    Exported "exported" DataExport Read None;
    /// Instances came from media or files.
    Imported "imported" DataImport Create None;

    /// Frames, renderings, headers or metadata were looked at.
    Viewed "viewed" InstancesAccessed Read None;
    /// Stored attributes were changed.
    Modified "modified" InstancesAccessed Update None;
    /// Some instances of a study were deleted.
    InstancesDeleted "instances-deleted" InstancesAccessed Delete None;
    /// Deleted instances were restored.
    Restored "restored" InstancesAccessed Create None;
    /// A de-identified copy was made.
    DeIdentified "de-identified" InstancesAccessed Read None;

    /// Instances were stored here by another system or person.
    Received "received" InstancesTransferred Create None;
    /// An instance came again.
    ReceivedAgain "received-again" InstancesTransferred Read None;
    /// Instances were given out: C-MOVE, C-GET, WADO.
    Sent "sent" InstancesTransferred Read None;
    /// Storage commitment was given.
    Committed "committed" InstancesTransferred Read None;

    /// A whole study was deleted.
    StudyDeleted "study-deleted" StudyDeleted Delete None;
    /// The bytes of a deleted study were purged.
    StudyPurged "study-purged" StudyDeleted Delete None;

    /// A peer was added to the network.
    PeerAttached "peer-attached" NetworkEntry Execute ATTACH;
    /// A peer was taken off the network.
    PeerDetached "peer-detached" NetworkEntry Execute DETACH;

    /// Somebody asked what there is.
    Queried "queried" Query Execute None;

    /// Something was asked for that the one who asked may not.
    Refused "refused" SecurityAlert Execute RESTRICTED;
    /// A peer was turned away that is not known or has not the right certificate.
    PeerRefused "peer-refused" SecurityAlert Execute NODE;
    /// An account was locked after failed logins.
    LockedOut "locked-out" SecurityAlert Execute USER;
    /// An account was unlocked.
    Unlocked "unlocked" SecurityAlert Execute USER;
    /// A person or service account was made.
    UserAdded "user-added" SecurityAlert Execute USER;
    /// An account was changed.
    UserChanged "user-changed" SecurityAlert Execute USER;
    /// An account was removed or shut.
    UserRemoved "user-removed" SecurityAlert Execute USER;
    /// A password was changed by its owner.
    PasswordChanged "password-changed" SecurityAlert Execute USER;
    /// A password was reset by somebody else.
    PasswordReset "password-reset" SecurityAlert Execute USER;
    /// A second factor or passkey was added.
    FactorAdded "factor-added" SecurityAlert Execute USER;
    /// A second factor or passkey was removed.
    FactorRemoved "factor-removed" SecurityAlert Execute USER;
    /// A session was ended by somebody.
    SessionRevoked "session-revoked" SecurityAlert Execute USER;
    /// A token was made.
    TokenMade "token-made" SecurityAlert Execute USER;
    /// A token was revoked.
    TokenRevoked "token-revoked" SecurityAlert Execute USER;
    /// The rights of a role were changed.
    RoleChanged "role-changed" SecurityAlert Execute ROLES;
    /// Rights were granted to or taken from somebody.
    GrantChanged "grant-changed" SecurityAlert Execute ROLES;
    /// Somebody broke the glass.
    BreakGlassOpened "break-glass-opened" SecurityAlert Execute OVERRIDE;
    /// Break-glass access ended.
    BreakGlassClosed "break-glass-closed" SecurityAlert Execute OVERRIDE_STOPPED;
    /// An auditor reviewed break-glass access.
    BreakGlassReviewed "break-glass-reviewed" SecurityAlert Execute OVERRIDE_STOPPED;
    /// A link to a study was made.
    ShareMade "share-made" SecurityAlert Execute OBJECT;
    /// A link to a study was revoked.
    ShareRevoked "share-revoked" SecurityAlert Execute OBJECT;
    /// Labels, embargo or consent of a study were changed.
    RestrictionChanged "restriction-changed" SecurityAlert Execute OBJECT;
    /// A peer's settings were changed.
    PeerChanged "peer-changed" SecurityAlert Execute NETWORK;
    /// Settings were changed.
    ConfigurationChanged "configuration-changed" SecurityAlert Execute SECURITY;
    /// Certificates were replaced.
    CertificateChanged "certificate-changed" SecurityAlert Execute SECURITY;
    /// Keys were replaced.
    KeyRotated "key-rotated" SecurityAlert Execute SECURITY;
    /// The audit trail was found damaged when it was opened.
    AuditDamaged "audit-damaged" SecurityAlert Execute SECURITY;
    /// Recording began.
    RecordingStarted "recording-started" SecurityAlert Execute RECORDING_STARTED;
    /// Recording ended.
    RecordingStopped "recording-stopped" SecurityAlert Execute RECORDING_STOPPED;

    /// Somebody logged in, or tried to.
    LoggedIn "logged-in" UserAuthentication Execute LOGIN;
    /// Somebody logged out, or the session ended.
    LoggedOut "logged-out" UserAuthentication Execute LOGOUT;
    /// A link to a study was opened, or it was tried.
    ShareUsed "share-used" UserAuthentication Execute LOGIN;

    /// An order was made, read, changed or deleted.
    OrderRecord "order-record" OrderRecord Update None;
    /// A patient was made, read, changed, merged or deleted.
    PatientRecord "patient-record" PatientRecord Update None;
    /// A procedure was made, read, changed or deleted.
    ProcedureRecord "procedure-record" ProcedureRecord Update None;
}

impl Kind {
    /// The kind of a word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == text)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl serde::Serialize for Kind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> serde::Deserialize<'de> for Kind {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| serde::de::Error::custom(format!("unknown kind of event {text:?}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_kind_has_a_word_of_its_own() {
        let words: HashSet<_> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
        assert_eq!(words.len(), Kind::ALL.len());
        for kind in Kind::ALL {
            assert_eq!(Kind::parse(kind.as_str()), Some(*kind));
        }
        assert_eq!(Kind::parse("nonsense"), None);
    }

    #[test]
    fn every_message_of_the_standard_has_a_kind_and_its_own_code() {
        let codes: HashSet<_> = Family::ALL.iter().map(|it| it.code().value).collect();
        assert_eq!(codes.len(), Family::ALL.len());
        for family in Family::ALL {
            assert!(family.kinds().count() > 0, "{family:?}");
        }
    }

    #[test]
    fn alerts_logins_and_activity_have_a_type() {
        // Tables A.5.3.1-1, A.5.3.9-1, A.5.3.11-1, A.5.3.12-1: EventTypeCode is mandatory.
        for family in [
            Family::ApplicationActivity,
            Family::NetworkEntry,
            Family::SecurityAlert,
            Family::UserAuthentication,
        ] {
            for kind in family.kinds() {
                assert!(kind.type_code().is_some(), "{kind}");
            }
        }
    }
}
