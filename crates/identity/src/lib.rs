//! People, service accounts, roles, sessions and tokens: who is asking, and what was granted to
//! them.
//!
//! This crate finds out who somebody is and gives their [`Access`](gantry_core::access::Access);
//! what that allows is decided in the archive. It must never know an encoding of requests, and no
//! secret that it was shown is kept: only hashes are.

mod access;
mod break_glass;
mod caller;
mod clock;
mod database;
mod directory;
mod error;
mod event;
mod grants;
mod hashing;
mod identity;
mod lock_out;
mod login;
mod memory;
mod oidc;
mod passkey;
mod password;
mod pending;
mod people;
mod person;
mod random;
mod recovery;
mod role;
mod roles;
mod sealed;
mod session;
mod set_up;
mod settings;
mod share;
mod stored;
#[cfg(test)]
mod testing;
mod token;
mod totp;
mod words;

pub use break_glass::BreakGlass;
pub use caller::{Caller, CallerKind, Credential};
pub use clock::Clock;
pub use directory::{Directory, ExternalPerson};
pub use error::{IdentityError, Result};
pub use event::{Actor, EventKind, EventSink, IdentityEvent};
pub use grants::{NewGrant, PersonalGrant};
pub use identity::{FILE_NAME, Identity};
pub use login::LoginOutcome;
pub use oidc::ProviderSettings;
pub use passkey::{Assertion, Attestation, Passkey, RelyingParty};
pub use password::Strength;
pub use person::{Kind, NewPerson, Person, PersonChange};
pub use role::{ADMINISTRATOR, Role, built_in as built_in_roles};
pub use session::{Client, NewSession, Session};
pub use settings::IdentitySettings;
pub use share::{NewShare, OpenedShare, Share};
pub use token::{NewToken, Token};
pub use totp::TotpEnrolment;
pub use words::describe;
