//! A-ASSOCIATE-RQ and A-ASSOCIATE-AC (PS3.8 §9.3.2 and §9.3.3).

use super::cursor::{Cursor, put_bytes_item};
use super::error::PduError;
use super::presentation_context::{ANSWERED, AnsweredContext, PROPOSED, ProposedContext};
use super::user_information::{USER_INFORMATION, UserInformation};
use gantry_core::ae_title::{AeTitle, AeTitleError};

/// The only application context name there is (PS3.7 Annex A.2.1).
pub const APPLICATION_CONTEXT_NAME: &str = "1.2.840.10008.3.1.1.1";
const APPLICATION_CONTEXT: u8 = 0x10;
/// Bit 0 stands for version 1 of the protocol.
const PROTOCOL_VERSION: u16 = 1;

/// An AE title as the association PDUs carry it: 16 bytes, possibly blank or not allowed.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct AeField(pub [u8; 16]);

impl AeField {
    /// The title in the field.
    pub fn title(&self) -> Result<AeTitle, AeTitleError> {
        AeTitle::parse(&self.to_string())
    }
}

impl From<&AeTitle> for AeField {
    fn from(title: &AeTitle) -> Self {
        Self(title.to_padded())
    }
}

impl std::fmt::Display for AeField {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text: String = self.0.iter().map(|&byte| char::from(byte)).collect();
        f.write_str(text.trim_matches([' ', '\0']))
    }
}

impl std::fmt::Debug for AeField {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

/// A request to open an association.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssociateRq {
    /// Bit n stands for version n + 1.
    pub protocol_version: u16,
    /// Who is called.
    pub called_ae: AeField,
    /// Who is calling.
    pub calling_ae: AeField,
    /// [`APPLICATION_CONTEXT_NAME`], or something that must be rejected.
    pub application_context: String,
    /// What is proposed, in the requestor's order; identifiers are odd and differ.
    pub presentation_contexts: Vec<ProposedContext>,
    /// The rest.
    pub user_information: UserInformation,
}

/// The acceptance of an association.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssociateAc {
    /// Bit n stands for version n + 1.
    pub protocol_version: u16,
    /// The request's field, sent back unchanged; not to be tested.
    pub called_ae: AeField,
    /// The request's field, sent back unchanged; not to be tested.
    pub calling_ae: AeField,
    /// [`APPLICATION_CONTEXT_NAME`].
    pub application_context: String,
    /// The answers; one for each proposal.
    pub presentation_contexts: Vec<AnsweredContext>,
    /// The rest.
    pub user_information: UserInformation,
}

impl AssociateRq {
    /// Whether version 1 of the protocol is among those the requestor speaks: only bit 0 is
    /// tested (PS3.8 Table 9-11).
    pub fn is_version_supported(&self) -> bool {
        self.protocol_version & PROTOCOL_VERSION != 0
    }

    /// A request with these fields in the only protocol version and application context.
    pub fn new(
        called_ae: AeField,
        calling_ae: AeField,
        presentation_contexts: Vec<ProposedContext>,
        user_information: UserInformation,
    ) -> Self {
        Self {
            protocol_version: PROTOCOL_VERSION,
            called_ae,
            calling_ae,
            application_context: APPLICATION_CONTEXT_NAME.into(),
            presentation_contexts,
            user_information,
        }
    }

    pub(super) fn decode(body: &[u8]) -> Result<Self, PduError> {
        let mut cursor = Cursor::new(body, "A-ASSOCIATE-RQ PDU");
        let (protocol_version, called_ae, calling_ae) = decode_fixed(&mut cursor)?;
        let mut application_context = None;
        let mut user_information = None;
        let mut presentation_contexts: Vec<ProposedContext> = Vec::new();
        let mut seen = [false; 256];
        while !cursor.is_empty() {
            let item = cursor.item()?;
            match item.kind {
                APPLICATION_CONTEXT => application_context = Some(name(item.content)),
                PROPOSED => {
                    let context = ProposedContext::decode(item.content)?;
                    let seen = seen.get_mut(usize::from(context.id));
                    if seen.is_some_and(|seen| std::mem::replace(seen, true)) {
                        return Err(PduError::Invalid {
                            what: "presentation context ID",
                        });
                    }
                    presentation_contexts.push(context);
                }
                USER_INFORMATION => {
                    user_information = Some(UserInformation::decode(item.content)?);
                }
                _ => {}
            }
        }
        Ok(Self {
            protocol_version,
            called_ae,
            calling_ae,
            application_context: application_context.ok_or(PduError::Missing {
                what: "application context item",
            })?,
            presentation_contexts,
            user_information: user_information.ok_or(PduError::Missing {
                what: "user information item",
            })?,
        })
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) -> Result<(), PduError> {
        encode_fixed(out, self.protocol_version, self.called_ae, self.calling_ae);
        let name = self.application_context.as_bytes();
        put_bytes_item(out, APPLICATION_CONTEXT, "application context name", name)?;
        self.presentation_contexts
            .iter()
            .try_for_each(|context| context.encode(out))?;
        self.user_information.encode(out)
    }
}

impl AssociateAc {
    /// The answer to `request` with these answers.
    pub fn new(
        request: &AssociateRq,
        presentation_contexts: Vec<AnsweredContext>,
        user_information: UserInformation,
    ) -> Self {
        Self {
            protocol_version: PROTOCOL_VERSION,
            called_ae: request.called_ae,
            calling_ae: request.calling_ae,
            application_context: APPLICATION_CONTEXT_NAME.into(),
            presentation_contexts,
            user_information,
        }
    }

    pub(super) fn decode(body: &[u8]) -> Result<Self, PduError> {
        let mut cursor = Cursor::new(body, "A-ASSOCIATE-AC PDU");
        let (protocol_version, called_ae, calling_ae) = decode_fixed(&mut cursor)?;
        let mut application_context = String::new();
        let mut user_information = UserInformation::default();
        let mut presentation_contexts = Vec::new();
        while !cursor.is_empty() {
            let item = cursor.item()?;
            match item.kind {
                APPLICATION_CONTEXT => application_context = name(item.content),
                ANSWERED => presentation_contexts.push(AnsweredContext::decode(item.content)?),
                USER_INFORMATION => user_information = UserInformation::decode(item.content)?,
                _ => {}
            }
        }
        Ok(Self {
            protocol_version,
            called_ae,
            calling_ae,
            application_context,
            presentation_contexts,
            user_information,
        })
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) -> Result<(), PduError> {
        encode_fixed(out, self.protocol_version, self.called_ae, self.calling_ae);
        let name = self.application_context.as_bytes();
        put_bytes_item(out, APPLICATION_CONTEXT, "application context name", name)?;
        self.presentation_contexts
            .iter()
            .try_for_each(|context| context.encode(out))?;
        self.user_information.encode(out)
    }
}

/// Protocol version (2 bytes), 2 reserved, called AE (16), calling AE (16), 32 reserved.
fn decode_fixed(cursor: &mut Cursor<'_>) -> Result<(u16, AeField, AeField), PduError> {
    let protocol_version = cursor.u16()?;
    cursor.take(2)?;
    let (called_ae, calling_ae) = (AeField(cursor.array()?), AeField(cursor.array()?));
    cursor.take(32)?;
    Ok((protocol_version, called_ae, calling_ae))
}

fn encode_fixed(out: &mut Vec<u8>, protocol_version: u16, called: AeField, calling: AeField) {
    out.extend_from_slice(&protocol_version.to_be_bytes());
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(&called.0);
    out.extend_from_slice(&calling.0);
    out.extend_from_slice(&[0; 32]);
}

fn name(content: &[u8]) -> String {
    const PADDING: [char; 2] = ['\0', ' '];
    let text = String::from_utf8_lossy(content);
    let mut name: String = text.trim_matches(PADDING).chars().take(64).collect();
    // Where it was cut there may be padding again.
    name.truncate(name.trim_end_matches(PADDING).len());
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pdu::presentation_context::ContextResult;
    use crate::pdu::user_information::*;
    use crate::pdu::{Pdu, PduKind};
    use bytes::Bytes;
    use gantry_core::uid::Uid;

    fn uid(text: &str) -> Uid {
        Uid::parse(text).unwrap()
    }

    fn title(text: &str) -> AeField {
        AeField::from(&AeTitle::parse(text).unwrap())
    }

    fn full_request() -> AssociateRq {
        let user_information = UserInformation {
            maximum_length: Some(16384),
            implementation_class_uid: Some(uid("1.2.3.4")),
            implementation_version_name: Some("VERSION 1".into()),
            asynchronous_operations_window: Some(AsynchronousOperationsWindow {
                invoked: 16,
                performed: 0,
            }),
            roles: vec![RoleSelection {
                sop_class_uid: uid("1.2.840.10008.5.1.4.1.1.2"),
                is_scu: false,
                is_scp: true,
            }],
            extended: vec![ExtendedNegotiation {
                sop_class_uid: uid("1.2.840.10008.5.1.4.1.2.2.1"),
                information: Bytes::from_static(&[1, 1, 0, 1]),
            }],
            common_extended: vec![CommonExtendedNegotiation {
                sop_class_uid: uid("1.2.3.99"),
                service_class_uid: Some(uid("1.2.840.10008.4.2")),
                related_general_sop_class_uids: vec![uid("1.2.840.10008.5.1.4.1.1.7")],
            }],
            identity: Some(UserIdentity {
                kind: IdentityKind::UsernamePasscode,
                is_response_requested: true,
                primary: Bytes::from_static(b"reader"),
                secondary: Bytes::from_static(b"secret"),
            }),
            identity_response: None,
        };
        let contexts = vec![
            ProposedContext {
                id: 1,
                abstract_syntax: Some(uid("1.2.840.10008.1.1")),
                transfer_syntaxes: vec![uid("1.2.840.10008.1.2")],
            },
            ProposedContext {
                id: 255,
                abstract_syntax: Some(uid("1.2.840.10008.5.1.4.1.1.2")),
                transfer_syntaxes: vec![uid("1.2.840.10008.1.2.1"), uid("1.2.840.10008.1.2")],
            },
        ];
        AssociateRq::new(
            title("CALLED"),
            title("CALLING"),
            contexts,
            user_information,
        )
    }

    fn encode(request: &AssociateRq) -> Vec<u8> {
        Pdu::AssociateRq(Box::new(request.clone()))
            .encode()
            .unwrap()[6..]
            .to_vec()
    }

    #[test]
    fn a_request_with_every_item_survives_a_round_trip() {
        let request = full_request();
        assert_eq!(AssociateRq::decode(&encode(&request)), Ok(request));
    }

    #[test]
    fn an_acceptance_survives_a_round_trip() {
        let contexts = vec![
            AnsweredContext {
                id: 1,
                result: ContextResult::Acceptance,
                transfer_syntax: Some(uid("1.2.840.10008.1.2")),
            },
            AnsweredContext {
                id: 3,
                result: ContextResult::TransferSyntaxesNotSupported,
                transfer_syntax: None,
            },
        ];
        let information = UserInformation {
            maximum_length: Some(0),
            identity_response: Some(Bytes::new()),
            ..UserInformation::default()
        };
        let acceptance = AssociateAc::new(&full_request(), contexts, information);
        let bytes = Pdu::AssociateAc(Box::new(acceptance.clone()))
            .encode()
            .unwrap();
        let decoded = Pdu::decode(PduKind::AssociateAc, &bytes[6..]).unwrap();
        assert_eq!(decoded, Pdu::AssociateAc(Box::new(acceptance)));
    }

    #[test]
    fn unknown_items_are_skipped() {
        let mut bytes = encode(&full_request());
        bytes.extend_from_slice(&[0x77, 0, 0, 3, 1, 2, 3]);
        assert_eq!(AssociateRq::decode(&bytes), Ok(full_request()));

        let mut information = Vec::new();
        full_request()
            .user_information
            .encode(&mut information)
            .unwrap();
        let mut content = information[4..].to_vec();
        content.extend_from_slice(&[0x5F, 0, 0, 1, 9]);
        assert_eq!(
            UserInformation::decode(&content),
            Ok(full_request().user_information)
        );
    }

    #[test]
    fn only_bit_zero_of_the_protocol_version_counts() {
        let mut request = full_request();
        for (version, is_supported) in
            [(1, true), (3, true), (0xFFFF, true), (0, false), (2, false)]
        {
            request.protocol_version = version;
            assert_eq!(
                request.is_version_supported(),
                is_supported,
                "{version:#06x}"
            );
        }
    }

    #[test]
    fn even_and_repeated_context_identifiers_are_invalid() {
        for ids in [[2, 1], [1, 1], [0, 1]] {
            let mut request = full_request();
            for (context, id) in request.presentation_contexts.iter_mut().zip(ids) {
                context.id = id;
            }
            assert_eq!(
                AssociateRq::decode(&encode(&request)),
                Err(PduError::Invalid {
                    what: "presentation context ID"
                })
            );
        }
    }

    #[test]
    fn an_abstract_syntax_that_is_no_uid_spoils_its_context_only() {
        let mut request = full_request();
        request.presentation_contexts[0].abstract_syntax = None;
        assert_eq!(AssociateRq::decode(&encode(&request)), Ok(request));
    }

    #[test]
    fn every_truncation_is_an_error_or_lacks_an_item() {
        let bytes = encode(&full_request());
        for length in 0..bytes.len() {
            assert!(AssociateRq::decode(&bytes[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn names_and_secrets_stay_out_of_debug_text() {
        let text = format!("{:?}", full_request());
        assert!(
            !text.contains("secret") && !text.contains("reader"),
            "{text}"
        );
    }

    #[test]
    fn a_name_that_is_cut_ends_without_padding() {
        let content = format!("{}\0 more", "x".repeat(63));
        assert_eq!(name(content.as_bytes()), "x".repeat(63));
    }

    #[test]
    fn what_does_not_fit_two_bytes_of_length_is_refused() {
        let mut request = full_request();
        if let Some(identity) = &mut request.user_information.identity {
            identity.primary = Bytes::from(vec![b'x'; 65_536]);
        }
        assert!(Pdu::AssociateRq(Box::new(request)).encode().is_err());
    }

    #[test]
    fn blank_and_foreign_titles_are_told() {
        assert_eq!(
            AeField(*b"                ").title(),
            Err(AeTitleError::Blank)
        );
        assert!(AeField(*b"A\\B             ").title().is_err());
        assert!(AeField([0xC4; 16]).title().is_err());
        assert_eq!(title("CT 1").title().unwrap().as_str(), "CT 1");
    }
}
