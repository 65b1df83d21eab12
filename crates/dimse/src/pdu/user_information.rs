//! The user information item and its sub-items (PS3.8 §9.3.2.3 and Annex D, PS3.7 Annex D.3.3).

use super::cursor::{Cursor, Item, put_bytes, put_bytes_item, put_field, put_item};
use super::error::PduError;
use super::presentation_context::uid;
use bytes::Bytes;
use gantry_core::uid::Uid;

/// Type of the item.
pub(super) const USER_INFORMATION: u8 = 0x50;
const MAXIMUM_LENGTH: u8 = 0x51;
const IMPLEMENTATION_CLASS_UID: u8 = 0x52;
const ASYNCHRONOUS_OPERATIONS_WINDOW: u8 = 0x53;
const ROLE_SELECTION: u8 = 0x54;
const IMPLEMENTATION_VERSION_NAME: u8 = 0x55;
const EXTENDED_NEGOTIATION: u8 = 0x56;
const COMMON_EXTENDED_NEGOTIATION: u8 = 0x57;
const USER_IDENTITY: u8 = 0x58;
const USER_IDENTITY_RESPONSE: u8 = 0x59;

/// What the two applications tell each other while they negotiate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserInformation {
    /// Longest variable field of a P-DATA-TF that the sender takes; 0 for any (PS3.8 D.1).
    pub maximum_length: Option<u32>,
    /// PS3.7 D.3.3.2.1.
    pub implementation_class_uid: Option<Uid>,
    /// PS3.7 D.3.3.2.3.
    pub implementation_version_name: Option<String>,
    /// PS3.7 D.3.3.3.
    pub asynchronous_operations_window: Option<AsynchronousOperationsWindow>,
    /// PS3.7 D.3.3.4.
    pub roles: Vec<RoleSelection>,
    /// PS3.7 D.3.3.5.
    pub extended: Vec<ExtendedNegotiation>,
    /// PS3.7 D.3.3.6; requests only.
    pub common_extended: Vec<CommonExtendedNegotiation>,
    /// PS3.7 D.3.3.7; requests only.
    pub identity: Option<UserIdentity>,
    /// PS3.7 D.3.3.7.2: the server's response to an identity; acceptances only.
    pub identity_response: Option<Bytes>,
}

/// How many operations may be open at once, from the requestor's side; 0 for any number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AsynchronousOperationsWindow {
    /// Operations invoked by the requestor.
    pub invoked: u16,
    /// Operations performed by the requestor.
    pub performed: u16,
}

/// Which roles the requestor may take for a SOP class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleSelection {
    /// The SOP class (the abstract syntax of a presentation context).
    pub sop_class_uid: Uid,
    /// The requestor may be SCU.
    pub is_scu: bool,
    /// The requestor may be SCP.
    pub is_scp: bool,
}

/// Service-class application information of one SOP class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtendedNegotiation {
    /// The SOP class.
    pub sop_class_uid: Uid,
    /// Bytes whose meaning the SOP class's service class defines.
    pub information: Bytes,
}

/// To which service class an (unknown) SOP class belongs, and what it specialises.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommonExtendedNegotiation {
    /// The SOP class.
    pub sop_class_uid: Uid,
    /// Its service class.
    pub service_class_uid: Option<Uid>,
    /// The general SOP classes it can be handled as.
    pub related_general_sop_class_uids: Vec<Uid>,
}

/// Who the requestor's user is.
#[derive(Clone, PartialEq, Eq)]
pub struct UserIdentity {
    /// How it is proven.
    pub kind: IdentityKind,
    /// Whether an acceptance must carry a response.
    pub is_response_requested: bool,
    /// User name, Kerberos ticket, SAML assertion or JSON web token.
    pub primary: Bytes,
    /// The passcode of [`IdentityKind::UsernamePasscode`].
    pub secondary: Bytes,
}

/// The types of user identity (PS3.7 Table D.3-14).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IdentityKind {
    /// 1.
    Username,
    /// 2.
    UsernamePasscode,
    /// 3.
    Kerberos,
    /// 4.
    Saml,
    /// 5.
    JsonWebToken,
    /// A type that the standard does not know.
    Other(u8),
}

impl IdentityKind {
    /// The code on the wire.
    pub fn code(self) -> u8 {
        match self {
            Self::Username => 1,
            Self::UsernamePasscode => 2,
            Self::Kerberos => 3,
            Self::Saml => 4,
            Self::JsonWebToken => 5,
            Self::Other(code) => code,
        }
    }

    /// The type with this code.
    pub fn from_code(code: u8) -> Self {
        match code {
            1 => Self::Username,
            2 => Self::UsernamePasscode,
            3 => Self::Kerberos,
            4 => Self::Saml,
            5 => Self::JsonWebToken,
            other => Self::Other(other),
        }
    }
}

impl std::fmt::Debug for UserIdentity {
    /// Shows no name and no secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserIdentity")
            .field("kind", &self.kind)
            .field("is_response_requested", &self.is_response_requested)
            .finish_non_exhaustive()
    }
}

impl UserIdentity {
    /// The user's name, for the types that carry one as text.
    pub fn user(&self) -> Option<&str> {
        match self.kind {
            IdentityKind::Username | IdentityKind::UsernamePasscode => {
                std::str::from_utf8(&self.primary).ok()
            }
            _ => None,
        }
    }
}

impl UserInformation {
    pub(super) fn decode(content: &[u8]) -> Result<Self, PduError> {
        let mut cursor = Cursor::new(content, "user information item");
        let mut information = Self::default();
        while !cursor.is_empty() {
            information.decode_item(&cursor.item()?)?;
        }
        Ok(information)
    }

    /// Items of unknown type are skipped (PS3.8 §9.3.2.3), as are those that name no UID.
    fn decode_item(&mut self, item: &Item<'_>) -> Result<(), PduError> {
        match item.kind {
            MAXIMUM_LENGTH => {
                self.maximum_length = Some(Cursor::new(item.content, "maximum length").u32()?);
            }
            IMPLEMENTATION_CLASS_UID => self.implementation_class_uid = uid(item.content),
            IMPLEMENTATION_VERSION_NAME => {
                let name = String::from_utf8_lossy(item.content);
                self.implementation_version_name =
                    Some(name.trim_matches(['\0', ' ']).chars().take(16).collect());
            }
            ASYNCHRONOUS_OPERATIONS_WINDOW => {
                let mut cursor = Cursor::new(item.content, "asynchronous operations window");
                let (invoked, performed) = (cursor.u16()?, cursor.u16()?);
                self.asynchronous_operations_window =
                    Some(AsynchronousOperationsWindow { invoked, performed });
            }
            ROLE_SELECTION => self.roles.extend(RoleSelection::decode(item.content)?),
            EXTENDED_NEGOTIATION => {
                self.extended
                    .extend(ExtendedNegotiation::decode(item.content)?);
            }
            COMMON_EXTENDED_NEGOTIATION if item.version == 0 => {
                self.common_extended
                    .extend(CommonExtendedNegotiation::decode(item.content)?);
            }
            USER_IDENTITY => self.identity = Some(UserIdentity::decode(item.content)?),
            USER_IDENTITY_RESPONSE => {
                let response = Cursor::new(item.content, "user identity response").field()?;
                self.identity_response = Some(Bytes::copy_from_slice(response));
            }
            _ => {}
        }
        Ok(())
    }

    /// Sub-items in ascending order of type, as PS3.8 Annex D shows them.
    pub(super) fn encode(&self, out: &mut Vec<u8>) -> Result<(), PduError> {
        put_item(out, USER_INFORMATION, "user information item", |out| {
            if let Some(length) = self.maximum_length {
                put_bytes_item(out, MAXIMUM_LENGTH, "maximum length", &length.to_be_bytes())?;
            }
            if let Some(uid) = &self.implementation_class_uid {
                let uid = uid.as_str().as_bytes();
                put_bytes_item(
                    out,
                    IMPLEMENTATION_CLASS_UID,
                    "implementation class UID",
                    uid,
                )?;
            }
            if let Some(window) = self.asynchronous_operations_window {
                window.encode(out)?;
            }
            self.roles.iter().try_for_each(|role| role.encode(out))?;
            if let Some(name) = &self.implementation_version_name {
                let what = "implementation version name";
                put_bytes_item(out, IMPLEMENTATION_VERSION_NAME, what, name.as_bytes())?;
            }
            self.extended
                .iter()
                .try_for_each(|extended| extended.encode(out))?;
            self.common_extended
                .iter()
                .try_for_each(|common| common.encode(out))?;
            if let Some(identity) = &self.identity {
                identity.encode(out)?;
            }
            if let Some(response) = &self.identity_response {
                let what = "user identity response";
                put_item(out, USER_IDENTITY_RESPONSE, what, |out| {
                    put_bytes(out, what, response)
                })?;
            }
            Ok(())
        })
    }
}

impl AsynchronousOperationsWindow {
    fn encode(self, out: &mut Vec<u8>) -> Result<(), PduError> {
        put_item(
            out,
            ASYNCHRONOUS_OPERATIONS_WINDOW,
            "asynchronous operations window",
            |out| {
                out.extend_from_slice(&self.invoked.to_be_bytes());
                out.extend_from_slice(&self.performed.to_be_bytes());
                Ok(())
            },
        )
    }
}

impl RoleSelection {
    fn decode(content: &[u8]) -> Result<Option<Self>, PduError> {
        let mut cursor = Cursor::new(content, "role selection");
        let sop_class_uid = uid(cursor.field()?);
        let (is_scu, is_scp) = (cursor.u8()? == 1, cursor.u8()? == 1);
        Ok(sop_class_uid.map(|sop_class_uid| Self {
            sop_class_uid,
            is_scu,
            is_scp,
        }))
    }

    fn encode(&self, out: &mut Vec<u8>) -> Result<(), PduError> {
        put_item(out, ROLE_SELECTION, "role selection", |out| {
            put_bytes(
                out,
                "role selection",
                self.sop_class_uid.as_str().as_bytes(),
            )?;
            out.extend_from_slice(&[u8::from(self.is_scu), u8::from(self.is_scp)]);
            Ok(())
        })
    }
}

impl ExtendedNegotiation {
    fn decode(content: &[u8]) -> Result<Option<Self>, PduError> {
        let mut cursor = Cursor::new(content, "extended negotiation");
        let sop_class_uid = uid(cursor.field()?);
        let information = Bytes::copy_from_slice(cursor.rest());
        Ok(sop_class_uid.map(|sop_class_uid| Self {
            sop_class_uid,
            information,
        }))
    }

    fn encode(&self, out: &mut Vec<u8>) -> Result<(), PduError> {
        put_item(out, EXTENDED_NEGOTIATION, "extended negotiation", |out| {
            put_bytes(
                out,
                "extended negotiation",
                self.sop_class_uid.as_str().as_bytes(),
            )?;
            out.extend_from_slice(&self.information);
            Ok(())
        })
    }
}

impl CommonExtendedNegotiation {
    fn decode(content: &[u8]) -> Result<Option<Self>, PduError> {
        let what = "common extended negotiation";
        let mut cursor = Cursor::new(content, what);
        let sop_class_uid = uid(cursor.field()?);
        let service_class_uid = uid(cursor.field()?);
        let mut related = Cursor::new(cursor.field()?, what);
        let mut related_general_sop_class_uids = Vec::new();
        while !related.is_empty() {
            related_general_sop_class_uids.extend(uid(related.field()?));
        }
        Ok(sop_class_uid.map(|sop_class_uid| Self {
            sop_class_uid,
            service_class_uid,
            related_general_sop_class_uids,
        }))
    }

    fn encode(&self, out: &mut Vec<u8>) -> Result<(), PduError> {
        let what = "common extended negotiation";
        put_item(out, COMMON_EXTENDED_NEGOTIATION, what, |out| {
            put_bytes(out, what, self.sop_class_uid.as_str().as_bytes())?;
            let service_class_uid = self.service_class_uid.as_ref().map_or("", Uid::as_str);
            put_bytes(out, what, service_class_uid.as_bytes())?;
            put_field(out, what, |out| {
                let mut related = self.related_general_sop_class_uids.iter();
                related.try_for_each(|uid| put_bytes(out, what, uid.as_str().as_bytes()))
            })
        })
    }
}

impl UserIdentity {
    fn decode(content: &[u8]) -> Result<Self, PduError> {
        let mut cursor = Cursor::new(content, "user identity");
        let kind = IdentityKind::from_code(cursor.u8()?);
        let is_response_requested = cursor.u8()? == 1;
        let primary = Bytes::copy_from_slice(cursor.field()?);
        // Some requestors leave the length of an absent secondary field out.
        let secondary = if cursor.is_empty() {
            Bytes::new()
        } else {
            Bytes::copy_from_slice(cursor.field()?)
        };
        Ok(Self {
            kind,
            is_response_requested,
            primary,
            secondary,
        })
    }

    fn encode(&self, out: &mut Vec<u8>) -> Result<(), PduError> {
        put_item(out, USER_IDENTITY, "user identity", |out| {
            out.extend_from_slice(&[self.kind.code(), u8::from(self.is_response_requested)]);
            put_bytes(out, "user identity", &self.primary)?;
            put_bytes(out, "user identity", &self.secondary)
        })
    }
}
