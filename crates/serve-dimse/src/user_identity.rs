//! Who is at the other end: user identity negotiation (PS3.7 D.3.3.7).

use crate::listener::Server;
use gantry_core::access::Access;
use gantry_dimse::pdu::associate::AssociateRq;
use gantry_dimse::pdu::reject::Reject;
use gantry_dimse::pdu::user_information::{IdentityKind, UserIdentity};
use gantry_identity::{Caller, Credential};
use std::net::IpAddr;
use std::sync::Arc;

/// What a request says of its user.
#[derive(Debug, Default)]
pub(crate) struct User {
    /// The name, proven or not.
    pub(crate) name: Option<String>,
    /// How it was proven.
    pub(crate) credential: Option<String>,
    /// What the person may do, if it was.
    pub(crate) access: Option<Arc<Access>>,
}

/// Finds out who the user is. A name without a proof is only noted; kinds of proof that are not
/// supported are passed over, as PS3.7 D.3.3.7.3 has it.
///
/// # Errors
/// When the proof is wrong.
pub(crate) async fn of(
    server: &Server,
    request: &AssociateRq,
    address: IpAddr,
) -> Result<User, Reject> {
    let Some(identity) = &request.user_information.identity else {
        return Ok(User::default());
    };
    let name = identity.user().map(str::to_owned);
    let proof = Proof::of(identity);
    let (Some(people), Some(proof)) = (server.identity.clone(), proof) else {
        return Ok(User {
            credential: name.as_ref().map(|_| "a name without proof".to_owned()),
            name,
            access: None,
        });
    };
    let checked =
        tokio::task::spawn_blocking(move || people.identify(&proof.credential(), Some(address)));
    match checked.await {
        Ok(Ok(caller)) => Ok(proven(&caller)),
        Ok(Err(error)) => {
            tracing::info!(peer.address = %address, "user identity refused: {error}");
            Err(Reject::NO_REASON)
        }
        Err(error) => {
            tracing::error!("the check of a user identity broke off: {error}");
            Err(Reject::TEMPORARY_CONGESTION)
        }
    }
}

fn proven(caller: &Caller) -> User {
    User {
        name: caller.login.clone(),
        credential: Some(caller.credential.clone()),
        access: Some(Arc::clone(&caller.access)),
    }
}

/// A proof that can be checked here.
enum Proof {
    Password(String, String),
    Token(String),
}

impl Proof {
    fn of(identity: &UserIdentity) -> Option<Self> {
        let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(str::to_owned);
        match identity.kind {
            IdentityKind::UsernamePasscode => {
                let (name, passcode) = (text(&identity.primary)?, text(&identity.secondary)?);
                Some(Self::Password(name, passcode))
            }
            IdentityKind::JsonWebToken => Some(Self::Token(text(&identity.primary)?)),
            IdentityKind::Username
            | IdentityKind::Kerberos
            | IdentityKind::Saml
            | IdentityKind::Other(_) => None,
        }
    }

    fn credential(&self) -> Credential<'_> {
        match self {
            Self::Password(name, passcode) => Credential::Basic(name, passcode),
            Self::Token(token) => Credential::Bearer(token),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn identity(kind: IdentityKind, primary: &'static [u8]) -> UserIdentity {
        UserIdentity {
            kind,
            is_response_requested: false,
            primary: Bytes::from_static(primary),
            secondary: Bytes::from_static(b"word"),
        }
    }

    #[test]
    fn only_what_can_be_checked_is_a_proof() {
        let proof = |kind, primary| Proof::of(&identity(kind, primary));
        assert!(matches!(
            proof(IdentityKind::UsernamePasscode, b"ina"),
            Some(Proof::Password(name, passcode)) if name == "ina" && passcode == "word"
        ));
        assert!(matches!(
            proof(IdentityKind::JsonWebToken, b"a.b.c"),
            Some(Proof::Token(token)) if token == "a.b.c"
        ));
        assert!(proof(IdentityKind::Username, b"ina").is_none());
        assert!(proof(IdentityKind::Kerberos, b"ina").is_none());
        assert!(proof(IdentityKind::UsernamePasscode, b"\xFF").is_none());
    }
}
