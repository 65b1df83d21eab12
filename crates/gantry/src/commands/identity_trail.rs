//! Events of the identity database in the audit trail.

use gantry_audit::{Actor, AuditLog, Event, Kind, Outcome, Study};
use gantry_core::principal::Door;
use gantry_identity::{EventKind, IdentityEvent};

/// Writes an event down. The thread waits until it is durable.
pub fn record(trail: &AuditLog, event: IdentityEvent) {
    if let Err(error) = trail.record(translate(event)).wait() {
        tracing::error!(%error, "an event of the identity database is not in the audit trail");
    }
}

fn translate(event: IdentityEvent) -> Event {
    let door = if event.actor.credential.as_deref() == Some("command") {
        Door::Command
    } else {
        Door::Http
    };
    let actor = Actor {
        door: door.as_str().to_owned(),
        user: event.actor.login,
        credential: event.actor.credential,
        address: event.actor.address.map(|address| address.to_string()),
        ..Actor::default()
    };
    let outcome = match (event.is_success, event.kind) {
        (_, EventKind::LockOut) => Outcome::MajorFailure,
        (true, _) => Outcome::Success,
        (false, _) => Outcome::MinorFailure,
    };
    let mut told = Event::by(kind(event.kind), actor);
    told.at = event.at;
    told.outcome = outcome;
    if event.is_success {
        told.reason = event.reason;
    } else {
        told.text = event.reason;
    }
    if let Some(subject) = event.subject {
        let (what, which) = match subject.split_once(' ') {
            Some((what, which)) => (what.to_owned(), which.to_owned()),
            None => (subject, String::new()),
        };
        told = told.subject(what, which);
    }
    if let Some(study) = event.study {
        told = told.study(Study::new(study));
    }
    told.change(event.before, event.after)
}

fn kind(kind: EventKind) -> Kind {
    match kind {
        EventKind::Login => Kind::LoggedIn,
        EventKind::Logout => Kind::LoggedOut,
        EventKind::LockOut => Kind::LockedOut,
        EventKind::SetUp | EventKind::PersonAdded => Kind::UserAdded,
        EventKind::PersonChanged => Kind::UserChanged,
        EventKind::PersonDeleted => Kind::UserRemoved,
        EventKind::PasswordChanged => Kind::PasswordChanged,
        EventKind::PasswordLinkMade => Kind::PasswordReset,
        EventKind::RoleAdded | EventKind::RoleChanged | EventKind::RoleDeleted => Kind::RoleChanged,
        EventKind::GrantAdded | EventKind::GrantRemoved => Kind::GrantChanged,
        EventKind::SessionRevoked => Kind::SessionRevoked,
        EventKind::TokenMade => Kind::TokenMade,
        EventKind::TokenRevoked => Kind::TokenRevoked,
        EventKind::TotpAdded | EventKind::PasskeyAdded | EventKind::RecoveryCodesMade => {
            Kind::FactorAdded
        }
        EventKind::TotpRemoved | EventKind::PasskeyRemoved | EventKind::RecoveryCodeUsed => {
            Kind::FactorRemoved
        }
        EventKind::ShareMade => Kind::ShareMade,
        EventKind::ShareOpened => Kind::ShareUsed,
        EventKind::ShareRevoked => Kind::ShareRevoked,
        EventKind::BreakGlassOpened => Kind::BreakGlassOpened,
        EventKind::BreakGlassClosed => Kind::BreakGlassClosed,
        EventKind::BreakGlassReviewed => Kind::BreakGlassReviewed,
    }
}
