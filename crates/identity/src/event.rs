//! What happened to people and their rights, for whoever keeps the audit trail.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::net::IpAddr;
use std::sync::Arc;

/// Who does something to people, roles, tokens…
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The login, once known.
    pub login: Option<String>,
    /// The person, once known.
    pub person: Option<i64>,
    /// The address.
    pub address: Option<IpAddr>,
    /// By what they were recognised: `session 12`.
    pub credential: Option<String>,
}

impl Actor {
    /// A command on this machine.
    pub fn command() -> Self {
        Self {
            credential: Some("command".into()),
            ..Self::default()
        }
    }

    /// Somebody unknown at an address.
    pub fn at(address: Option<IpAddr>) -> Self {
        Self {
            address,
            ..Self::default()
        }
    }
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum EventKind {
    SetUp,
    Login,
    Logout,
    LockOut,
    PersonAdded,
    PersonChanged,
    PersonDeleted,
    PasswordChanged,
    PasswordLinkMade,
    RoleAdded,
    RoleChanged,
    RoleDeleted,
    GrantAdded,
    GrantRemoved,
    SessionRevoked,
    TokenMade,
    TokenRevoked,
    TotpAdded,
    TotpRemoved,
    RecoveryCodesMade,
    RecoveryCodeUsed,
    PasskeyAdded,
    PasskeyRemoved,
    ShareMade,
    ShareOpened,
    ShareRevoked,
    BreakGlassOpened,
    BreakGlassClosed,
    BreakGlassReviewed,
}

impl EventKind {
    /// A word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SetUp => "set-up",
            Self::Login => "login",
            Self::Logout => "logout",
            Self::LockOut => "lock-out",
            Self::PersonAdded => "person-added",
            Self::PersonChanged => "person-changed",
            Self::PersonDeleted => "person-deleted",
            Self::PasswordChanged => "password-changed",
            Self::PasswordLinkMade => "password-link-made",
            Self::RoleAdded => "role-added",
            Self::RoleChanged => "role-changed",
            Self::RoleDeleted => "role-deleted",
            Self::GrantAdded => "grant-added",
            Self::GrantRemoved => "grant-removed",
            Self::SessionRevoked => "session-revoked",
            Self::TokenMade => "token-made",
            Self::TokenRevoked => "token-revoked",
            Self::TotpAdded => "totp-added",
            Self::TotpRemoved => "totp-removed",
            Self::RecoveryCodesMade => "recovery-codes-made",
            Self::RecoveryCodeUsed => "recovery-code-used",
            Self::PasskeyAdded => "passkey-added",
            Self::PasskeyRemoved => "passkey-removed",
            Self::ShareMade => "share-made",
            Self::ShareOpened => "share-opened",
            Self::ShareRevoked => "share-revoked",
            Self::BreakGlassOpened => "break-glass-opened",
            Self::BreakGlassClosed => "break-glass-closed",
            Self::BreakGlassReviewed => "break-glass-reviewed",
        }
    }
}

/// One thing that happened. It holds no secret and no password.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IdentityEvent {
    /// When, in microseconds since 1970.
    pub at: i64,
    /// What.
    pub kind: EventKind,
    /// Whether it succeeded.
    pub is_success: bool,
    /// Who did it.
    pub actor: Actor,
    /// To whom or what: `person anna`, `role night-shift`, `token 4 of anna`.
    pub subject: Option<String>,
    /// Study Instance UID, where one is concerned.
    pub study: Option<String>,
    /// Why: of a failure, or as the person stated.
    pub reason: Option<String>,
    /// What was changed, as it was.
    pub before: Option<Value>,
    /// What was changed, as it is now.
    pub after: Option<Value>,
}

impl IdentityEvent {
    pub(crate) fn new(kind: EventKind, actor: &Actor) -> Self {
        Self {
            at: 0,
            kind,
            is_success: true,
            actor: actor.clone(),
            subject: None,
            study: None,
            reason: None,
            before: None,
            after: None,
        }
    }

    pub(crate) fn about(self, subject: impl Into<String>) -> Self {
        Self {
            subject: Some(subject.into()),
            ..self
        }
    }

    pub(crate) fn failed(self, reason: impl Into<String>) -> Self {
        Self {
            is_success: false,
            reason: Some(reason.into()),
            ..self
        }
    }

    pub(crate) fn because(self, reason: impl Into<String>) -> Self {
        Self {
            reason: Some(reason.into()),
            ..self
        }
    }

    pub(crate) fn changed(self, before: Option<Value>, after: Option<Value>) -> Self {
        Self {
            before,
            after,
            ..self
        }
    }
}

/// Takes events, e.g. into the audit trail.
pub type EventSink = Arc<dyn Fn(IdentityEvent) + Send + Sync>;
