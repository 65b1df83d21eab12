//! The DIMSE requests and responses (PS3.7 §9.3 and §10.3).

mod operation;
mod request;
mod response;

#[cfg(test)]
mod tests;

pub use operation::Operation;
pub use request::{Arguments, MoveOriginator, Priority, Request};
pub use response::{ERROR_COMMENT_LENGTH_MAX, Response, SubOperations};

use crate::command_set::{CommandSet, element};
use crate::status::Status;
use gantry_core::ae_title::AeTitle;
use gantry_core::uid::Uid;
use gantry_dicom::Tag;

/// Bit of Command Field (0000,0100) that tells a response from a request.
const RESPONSE: u16 = 0x8000;
/// Command Field (0000,0100) of C-CANCEL-RQ.
const C_CANCEL: u16 = 0x0FFF;

/// What a command set says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// A request that wants a response.
    Request(Request),
    /// C-CANCEL-RQ of the request with this message ID; there is no response.
    CCancel {
        /// Message ID Being Responded To (0000,0120).
        message_id: u16,
    },
    /// A response.
    Response(Response),
}

/// A command set that is no command. [`InvalidCommand::response`] answers the ones that can be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("command field {field:04X}: (0000,{element:04X}) is {problem}")]
pub struct InvalidCommand {
    /// Command Field (0000,0100).
    pub field: u16,
    /// Message ID (0000,0110), where there is one.
    pub message_id: Option<u16>,
    /// The element at fault, of group 0000.
    pub element: u16,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with an element of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Problem {
    /// It is not there.
    Missing,
    /// It has a value that it cannot have.
    Invalid,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Missing => "missing",
            Self::Invalid => "invalid",
        })
    }
}

impl InvalidCommand {
    /// The response that says what is wrong; `None` when the command is no request that could be
    /// answered.
    pub fn response(&self) -> Option<Response> {
        if self.field & RESPONSE != 0 || self.field == C_CANCEL {
            return None;
        }
        let status = match (self.element, self.problem) {
            (element::COMMAND_FIELD, _) => Status::UNRECOGNIZED_OPERATION,
            (
                element::AFFECTED_SOP_INSTANCE_UID | element::REQUESTED_SOP_INSTANCE_UID,
                Problem::Invalid,
            ) => Status::INVALID_SOP_INSTANCE,
            (_, Problem::Invalid) => Status::INVALID_ATTRIBUTE_VALUE,
            (_, Problem::Missing) => Status::MISSING_ATTRIBUTE,
        };
        let mut response = Response::new(self.field | RESPONSE, self.message_id?, status);
        response.offending_elements.push(Tag(0, self.element));
        Some(response.with_comment(&format!("(0000,{:04X}) is {}", self.element, self.problem)))
    }
}

impl Command {
    /// Reads a command set.
    pub fn parse(set: &CommandSet) -> Result<Self, InvalidCommand> {
        let field = set.command_field();
        if field == C_CANCEL {
            let element = element::MESSAGE_ID_BEING_RESPONDED_TO;
            let message_id = Fields { set }.u16(element)?;
            return Ok(Self::CCancel { message_id });
        }
        if field & RESPONSE != 0 {
            return Response::parse(set).map(Self::Response);
        }
        Request::parse(set).map(Self::Request)
    }
}

/// The command set of a C-CANCEL-RQ (PS3.7 §9.3.2.3).
pub fn c_cancel(message_id: u16) -> CommandSet {
    let mut set = CommandSet::new(C_CANCEL);
    set.put_u16(element::MESSAGE_ID_BEING_RESPONDED_TO, message_id);
    set
}

/// Required elements of a command set, or what to say about their absence.
struct Fields<'a> {
    set: &'a CommandSet,
}

impl Fields<'_> {
    fn error(&self, element: u16, problem: Problem) -> InvalidCommand {
        let field = self.set.command_field();
        let message_id = self.set.u16(element::MESSAGE_ID);
        InvalidCommand {
            field,
            message_id,
            element,
            problem,
        }
    }

    fn u16(&self, element: u16) -> Result<u16, InvalidCommand> {
        self.set
            .u16(element)
            .ok_or_else(|| self.error(element, Problem::Missing))
    }

    fn optional_uid(&self, element: u16) -> Result<Option<Uid>, InvalidCommand> {
        match self.set.uid(element) {
            None => Ok(None),
            Some(Ok(uid)) => Ok(Some(uid)),
            Some(Err(_)) => Err(self.error(element, Problem::Invalid)),
        }
    }

    fn uid(&self, element: u16) -> Result<Uid, InvalidCommand> {
        self.optional_uid(element)?
            .ok_or_else(|| self.error(element, Problem::Missing))
    }

    /// Only both elements together say who the originator is.
    fn originator(&self) -> Option<MoveOriginator> {
        let title = self.set.text(element::MOVE_ORIGINATOR_AE_TITLE)?;
        let ae_title = AeTitle::parse(&title).ok()?;
        let message_id = self.set.u16(element::MOVE_ORIGINATOR_MESSAGE_ID)?;
        Some(MoveOriginator {
            ae_title,
            message_id,
        })
    }
}
