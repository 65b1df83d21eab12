//! The DIMSE requests and responses (PS3.7 §9.3 and §10.3).

use crate::command_set::{CommandSet, element};
use crate::status::Status;
use gantry_core::ae_title::AeTitle;
use gantry_core::uid::Uid;
use gantry_dicom::Tag;

/// Bit of Command Field (0000,0100) that tells a response from a request.
const RESPONSE: u16 = 0x8000;
/// Command Field (0000,0100) of C-CANCEL-RQ.
const C_CANCEL: u16 = 0x0FFF;
/// Longest Error Comment (0000,0902), in characters (VR LO).
pub const ERROR_COMMENT_LENGTH_MAX: usize = 64;

/// The DIMSE operations and notifications that have a request and a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// C-STORE.
    CStore,
    /// C-GET.
    CGet,
    /// C-FIND.
    CFind,
    /// C-MOVE.
    CMove,
    /// C-ECHO.
    CEcho,
    /// N-EVENT-REPORT.
    NEventReport,
    /// N-GET.
    NGet,
    /// N-SET.
    NSet,
    /// N-ACTION.
    NAction,
    /// N-CREATE.
    NCreate,
    /// N-DELETE.
    NDelete,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::CStore,
        Self::CGet,
        Self::CFind,
        Self::CMove,
        Self::CEcho,
        Self::NEventReport,
        Self::NGet,
        Self::NSet,
        Self::NAction,
        Self::NCreate,
        Self::NDelete,
    ];

    /// The Command Field (0000,0100) of the request (PS3.7 E.1).
    pub fn request_field(self) -> u16 {
        match self {
            Self::CStore => 0x0001,
            Self::CGet => 0x0010,
            Self::CFind => 0x0020,
            Self::CMove => 0x0021,
            Self::CEcho => 0x0030,
            Self::NEventReport => 0x0100,
            Self::NGet => 0x0110,
            Self::NSet => 0x0120,
            Self::NAction => 0x0130,
            Self::NCreate => 0x0140,
            Self::NDelete => 0x0150,
        }
    }

    /// The operation whose request or response has this Command Field.
    pub fn from_field(field: u16) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|operation| operation.request_field() == field & !RESPONSE)
    }

    /// The name in the standard.
    pub fn name(self) -> &'static str {
        match self {
            Self::CStore => "C-STORE",
            Self::CGet => "C-GET",
            Self::CFind => "C-FIND",
            Self::CMove => "C-MOVE",
            Self::CEcho => "C-ECHO",
            Self::NEventReport => "N-EVENT-REPORT",
            Self::NGet => "N-GET",
            Self::NSet => "N-SET",
            Self::NAction => "N-ACTION",
            Self::NCreate => "N-CREATE",
            Self::NDelete => "N-DELETE",
        }
    }
}

impl std::fmt::Display for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// The value of Priority (0000,0700).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Priority {
    /// 0002H.
    Low,
    /// 0000H.
    #[default]
    Medium,
    /// 0001H.
    High,
}

impl Priority {
    fn code(self) -> u16 {
        match self {
            Self::Medium => 0,
            Self::High => 1,
            Self::Low => 2,
        }
    }

    fn from_code(code: u16) -> Self {
        match code {
            1 => Self::High,
            2 => Self::Low,
            _ => Self::Medium,
        }
    }
}

/// Who asked for the C-MOVE that a C-STORE is a sub-operation of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MoveOriginator {
    /// Move Originator Application Entity Title (0000,1030).
    pub ae_title: AeTitle,
    /// Move Originator Message ID (0000,1031).
    pub message_id: u16,
}

/// What a request asks for; the identifiers that the operations share are in [`Request`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arguments {
    /// C-ECHO-RQ.
    CEcho,
    /// C-STORE-RQ.
    CStore {
        /// Affected SOP Instance UID (0000,1000).
        sop_instance_uid: Uid,
        /// Priority (0000,0700).
        priority: Priority,
        /// Present in a sub-operation of C-MOVE.
        originator: Option<MoveOriginator>,
    },
    /// C-FIND-RQ.
    CFind {
        /// Priority (0000,0700).
        priority: Priority,
    },
    /// C-GET-RQ.
    CGet {
        /// Priority (0000,0700).
        priority: Priority,
    },
    /// C-MOVE-RQ.
    CMove {
        /// Priority (0000,0700).
        priority: Priority,
        /// Move Destination (0000,0600) as sent, without padding; possibly no AE title.
        destination: String,
    },
    /// N-EVENT-REPORT-RQ.
    NEventReport {
        /// Affected SOP Instance UID (0000,1000).
        sop_instance_uid: Uid,
        /// Event Type ID (0000,1002).
        event_type_id: u16,
    },
    /// N-GET-RQ.
    NGet {
        /// Requested SOP Instance UID (0000,1001).
        sop_instance_uid: Uid,
        /// Attribute Identifier List (0000,1005); empty for all.
        attributes: Vec<Tag>,
    },
    /// N-SET-RQ.
    NSet {
        /// Requested SOP Instance UID (0000,1001).
        sop_instance_uid: Uid,
    },
    /// N-ACTION-RQ.
    NAction {
        /// Requested SOP Instance UID (0000,1001).
        sop_instance_uid: Uid,
        /// Action Type ID (0000,1008).
        action_type_id: u16,
    },
    /// N-CREATE-RQ.
    NCreate {
        /// Affected SOP Instance UID (0000,1000); the performer makes one up when absent.
        sop_instance_uid: Option<Uid>,
    },
    /// N-DELETE-RQ.
    NDelete {
        /// Requested SOP Instance UID (0000,1001).
        sop_instance_uid: Uid,
    },
}

impl Arguments {
    /// The operation asked for.
    pub fn operation(&self) -> Operation {
        match self {
            Self::CEcho => Operation::CEcho,
            Self::CStore { .. } => Operation::CStore,
            Self::CFind { .. } => Operation::CFind,
            Self::CGet { .. } => Operation::CGet,
            Self::CMove { .. } => Operation::CMove,
            Self::NEventReport { .. } => Operation::NEventReport,
            Self::NGet { .. } => Operation::NGet,
            Self::NSet { .. } => Operation::NSet,
            Self::NAction { .. } => Operation::NAction,
            Self::NCreate { .. } => Operation::NCreate,
            Self::NDelete { .. } => Operation::NDelete,
        }
    }

    /// The instance the operation is about.
    pub fn sop_instance_uid(&self) -> Option<&Uid> {
        match self {
            Self::CStore {
                sop_instance_uid, ..
            }
            | Self::NEventReport {
                sop_instance_uid, ..
            }
            | Self::NGet {
                sop_instance_uid, ..
            }
            | Self::NSet { sop_instance_uid }
            | Self::NAction {
                sop_instance_uid, ..
            }
            | Self::NDelete { sop_instance_uid } => Some(sop_instance_uid),
            Self::NCreate { sop_instance_uid } => sop_instance_uid.as_ref(),
            Self::CEcho | Self::CFind { .. } | Self::CGet { .. } | Self::CMove { .. } => None,
        }
    }
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Message ID (0000,0110).
    pub message_id: u16,
    /// Affected (0000,0002) or Requested (0000,0003) SOP Class UID.
    pub sop_class_uid: Uid,
    /// The operation and what it needs.
    pub arguments: Arguments,
}

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

impl Request {
    /// Reads the command set of a request.
    pub fn parse(set: &CommandSet) -> Result<Self, InvalidCommand> {
        let fields = Fields { set };
        let operation = Operation::from_field(set.command_field())
            .ok_or_else(|| fields.error(element::COMMAND_FIELD, Problem::Invalid))?;
        let message_id = fields.u16(element::MESSAGE_ID)?;
        let (sop_class, sop_instance) = identifiers(operation);
        let sop_class_uid = fields.uid(sop_class)?;
        let priority = || Priority::from_code(set.u16(element::PRIORITY).unwrap_or_default());
        let arguments = match operation {
            Operation::CEcho => Arguments::CEcho,
            Operation::CStore => Arguments::CStore {
                sop_instance_uid: fields.uid(sop_instance)?,
                priority: priority(),
                originator: fields.originator(),
            },
            Operation::CFind => Arguments::CFind {
                priority: priority(),
            },
            Operation::CGet => Arguments::CGet {
                priority: priority(),
            },
            Operation::CMove => Arguments::CMove {
                priority: priority(),
                destination: set
                    .text(element::MOVE_DESTINATION)
                    .ok_or_else(|| fields.error(element::MOVE_DESTINATION, Problem::Missing))?,
            },
            Operation::NEventReport => Arguments::NEventReport {
                sop_instance_uid: fields.uid(sop_instance)?,
                event_type_id: fields.u16(element::EVENT_TYPE_ID)?,
            },
            Operation::NGet => Arguments::NGet {
                sop_instance_uid: fields.uid(sop_instance)?,
                attributes: set.tags(element::ATTRIBUTE_IDENTIFIER_LIST),
            },
            Operation::NSet => Arguments::NSet {
                sop_instance_uid: fields.uid(sop_instance)?,
            },
            Operation::NAction => Arguments::NAction {
                sop_instance_uid: fields.uid(sop_instance)?,
                action_type_id: fields.u16(element::ACTION_TYPE_ID)?,
            },
            Operation::NCreate => Arguments::NCreate {
                sop_instance_uid: fields.optional_uid(sop_instance)?,
            },
            Operation::NDelete => Arguments::NDelete {
                sop_instance_uid: fields.uid(sop_instance)?,
            },
        };
        Ok(Self {
            message_id,
            sop_class_uid,
            arguments,
        })
    }

    /// The operation asked for.
    pub fn operation(&self) -> Operation {
        self.arguments.operation()
    }

    /// The command set; whether a data set follows is said by whoever sends it.
    pub fn to_command_set(&self) -> CommandSet {
        let operation = self.operation();
        let (sop_class, sop_instance) = identifiers(operation);
        let mut set = CommandSet::new(operation.request_field());
        set.put_u16(element::MESSAGE_ID, self.message_id);
        set.put_uid(sop_class, &self.sop_class_uid);
        if let Some(uid) = self.arguments.sop_instance_uid() {
            set.put_uid(sop_instance, uid);
        }
        match &self.arguments {
            Arguments::CStore {
                priority,
                originator,
                ..
            } => {
                set.put_u16(element::PRIORITY, priority.code());
                if let Some(originator) = originator {
                    set.put_string(
                        element::MOVE_ORIGINATOR_AE_TITLE,
                        originator.ae_title.as_str(),
                    );
                    set.put_u16(element::MOVE_ORIGINATOR_MESSAGE_ID, originator.message_id);
                }
            }
            Arguments::CFind { priority } | Arguments::CGet { priority } => {
                set.put_u16(element::PRIORITY, priority.code());
            }
            Arguments::CMove {
                priority,
                destination,
            } => {
                set.put_u16(element::PRIORITY, priority.code());
                set.put_string(element::MOVE_DESTINATION, destination);
            }
            Arguments::NEventReport { event_type_id, .. } => {
                set.put_u16(element::EVENT_TYPE_ID, *event_type_id);
            }
            Arguments::NGet { attributes, .. } if !attributes.is_empty() => {
                set.put_tags(element::ATTRIBUTE_IDENTIFIER_LIST, attributes);
            }
            Arguments::NAction { action_type_id, .. } => {
                set.put_u16(element::ACTION_TYPE_ID, *action_type_id);
            }
            Arguments::CEcho
            | Arguments::NGet { .. }
            | Arguments::NSet { .. }
            | Arguments::NCreate { .. }
            | Arguments::NDelete { .. } => {}
        }
        set
    }

    /// A response that repeats what the request was about.
    pub fn response(&self, status: Status) -> Response {
        let field = self.operation().request_field() | RESPONSE;
        let mut response = Response::new(field, self.message_id, status);
        response.sop_class_uid = Some(self.sop_class_uid.clone());
        response.sop_instance_uid = self.arguments.sop_instance_uid().cloned();
        match self.arguments {
            Arguments::NEventReport { event_type_id, .. } => {
                response.event_type_id = Some(event_type_id);
            }
            Arguments::NAction { action_type_id, .. } => {
                response.action_type_id = Some(action_type_id);
            }
            _ => {}
        }
        response
    }
}

/// The elements that hold SOP class and SOP instance of a request.
fn identifiers(operation: Operation) -> (u16, u16) {
    match operation {
        Operation::NGet | Operation::NSet | Operation::NAction | Operation::NDelete => (
            element::REQUESTED_SOP_CLASS_UID,
            element::REQUESTED_SOP_INSTANCE_UID,
        ),
        Operation::CStore
        | Operation::CGet
        | Operation::CFind
        | Operation::CMove
        | Operation::CEcho
        | Operation::NEventReport
        | Operation::NCreate => (
            element::AFFECTED_SOP_CLASS_UID,
            element::AFFECTED_SOP_INSTANCE_UID,
        ),
    }
}

/// The sub-operations of a C-MOVE or C-GET so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SubOperations {
    /// Number of Remaining Sub-operations (0000,1020); not in final responses, but for Cancel.
    pub remaining: Option<u16>,
    /// Number of Completed Sub-operations (0000,1021).
    pub completed: u16,
    /// Number of Failed Sub-operations (0000,1022).
    pub failed: u16,
    /// Number of Warning Sub-operations (0000,1023).
    pub warning: u16,
}

/// A response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Command Field (0000,0100).
    pub field: u16,
    /// Message ID Being Responded To (0000,0120).
    pub message_id: u16,
    /// Status (0000,0900).
    pub status: Status,
    /// Affected SOP Class UID (0000,0002).
    pub sop_class_uid: Option<Uid>,
    /// Affected SOP Instance UID (0000,1000).
    pub sop_instance_uid: Option<Uid>,
    /// Error Comment (0000,0902).
    pub error_comment: Option<String>,
    /// Offending Element (0000,0901).
    pub offending_elements: Vec<Tag>,
    /// Error ID (0000,0903).
    pub error_id: Option<u16>,
    /// Event Type ID (0000,1002).
    pub event_type_id: Option<u16>,
    /// Action Type ID (0000,1008).
    pub action_type_id: Option<u16>,
    /// Counters of C-MOVE and C-GET.
    pub sub_operations: Option<SubOperations>,
}

impl Response {
    fn new(field: u16, message_id: u16, status: Status) -> Self {
        Self {
            field,
            message_id,
            status,
            sop_class_uid: None,
            sop_instance_uid: None,
            error_comment: None,
            offending_elements: Vec::new(),
            error_id: None,
            event_type_id: None,
            action_type_id: None,
            sub_operations: None,
        }
    }

    /// Adds an Error Comment: what LO cannot hold is replaced, what is too long is cut.
    pub fn with_comment(mut self, comment: &str) -> Self {
        let comment: String = comment
            .chars()
            .map(|char| {
                if matches!(char, ' '..='~') && char != '\\' {
                    char
                } else {
                    '?'
                }
            })
            .take(ERROR_COMMENT_LENGTH_MAX)
            .collect();
        self.error_comment = (!comment.is_empty()).then_some(comment);
        self
    }

    /// Adds the elements that caused the status.
    pub fn with_offending(mut self, tags: impl IntoIterator<Item = Tag>) -> Self {
        self.offending_elements.extend(tags);
        self
    }

    /// Adds the counters of C-MOVE and C-GET.
    pub fn with_sub_operations(mut self, sub_operations: SubOperations) -> Self {
        self.sub_operations = Some(sub_operations);
        self
    }

    /// The operation responded to, when the standard knows it.
    pub fn operation(&self) -> Option<Operation> {
        Operation::from_field(self.field)
    }

    /// Reads the command set of a response; identifiers that are no UIDs count as absent.
    pub fn parse(set: &CommandSet) -> Result<Self, InvalidCommand> {
        let fields = Fields { set };
        let message_id = fields.u16(element::MESSAGE_ID_BEING_RESPONDED_TO)?;
        let status = Status(fields.u16(element::STATUS)?);
        let counter = |element| set.u16(element);
        let has_counters = counter(element::COMPLETED_SUB_OPERATIONS).is_some()
            || counter(element::REMAINING_SUB_OPERATIONS).is_some();
        let sub_operations = has_counters.then(|| SubOperations {
            remaining: counter(element::REMAINING_SUB_OPERATIONS),
            completed: counter(element::COMPLETED_SUB_OPERATIONS).unwrap_or_default(),
            failed: counter(element::FAILED_SUB_OPERATIONS).unwrap_or_default(),
            warning: counter(element::WARNING_SUB_OPERATIONS).unwrap_or_default(),
        });
        Ok(Self {
            field: set.command_field(),
            message_id,
            status,
            sop_class_uid: set
                .uid(element::AFFECTED_SOP_CLASS_UID)
                .and_then(Result::ok),
            sop_instance_uid: set
                .uid(element::AFFECTED_SOP_INSTANCE_UID)
                .and_then(Result::ok),
            error_comment: set.text(element::ERROR_COMMENT),
            offending_elements: set.tags(element::OFFENDING_ELEMENT),
            error_id: set.u16(element::ERROR_ID),
            event_type_id: set.u16(element::EVENT_TYPE_ID),
            action_type_id: set.u16(element::ACTION_TYPE_ID),
            sub_operations,
        })
    }

    /// The command set; whether a data set follows is said by whoever sends it.
    pub fn to_command_set(&self) -> CommandSet {
        let mut set = CommandSet::new(self.field);
        set.put_u16(element::MESSAGE_ID_BEING_RESPONDED_TO, self.message_id);
        set.put_u16(element::STATUS, self.status.0);
        if let Some(uid) = &self.sop_class_uid {
            set.put_uid(element::AFFECTED_SOP_CLASS_UID, uid);
        }
        if let Some(uid) = &self.sop_instance_uid {
            set.put_uid(element::AFFECTED_SOP_INSTANCE_UID, uid);
        }
        if !self.offending_elements.is_empty() {
            set.put_tags(element::OFFENDING_ELEMENT, &self.offending_elements);
        }
        if let Some(comment) = &self.error_comment {
            set.put_string(element::ERROR_COMMENT, comment);
        }
        for (number, value) in [
            (element::ERROR_ID, self.error_id),
            (element::EVENT_TYPE_ID, self.event_type_id),
            (element::ACTION_TYPE_ID, self.action_type_id),
        ] {
            if let Some(value) = value {
                set.put_u16(number, value);
            }
        }
        if let Some(counters) = &self.sub_operations {
            if let Some(remaining) = counters.remaining {
                set.put_u16(element::REMAINING_SUB_OPERATIONS, remaining);
            }
            set.put_u16(element::COMPLETED_SUB_OPERATIONS, counters.completed);
            set.put_u16(element::FAILED_SUB_OPERATIONS, counters.failed);
            set.put_u16(element::WARNING_SUB_OPERATIONS, counters.warning);
        }
        set
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

#[cfg(test)]
mod tests {
    use super::*;

    fn uid(text: &str) -> Uid {
        Uid::parse(text).unwrap()
    }

    fn requests() -> Vec<Request> {
        let sop_instance_uid = uid("1.2.3.4.5");
        let priority = Priority::High;
        let originator = Some(MoveOriginator {
            ae_title: AeTitle::parse("ASKER").unwrap(),
            message_id: 9,
        });
        [
            Arguments::CEcho,
            Arguments::CStore {
                sop_instance_uid: uid("1.2"),
                priority,
                originator,
            },
            Arguments::CStore {
                sop_instance_uid: uid("1.2"),
                priority: Priority::Low,
                originator: None,
            },
            Arguments::CFind { priority },
            Arguments::CGet { priority },
            Arguments::CMove {
                priority,
                destination: "DEST".into(),
            },
            Arguments::NEventReport {
                sop_instance_uid: sop_instance_uid.clone(),
                event_type_id: 2,
            },
            Arguments::NGet {
                sop_instance_uid: sop_instance_uid.clone(),
                attributes: vec![Tag(0x0010, 0x0010), Tag(0x0008, 0x0018)],
            },
            Arguments::NSet {
                sop_instance_uid: sop_instance_uid.clone(),
            },
            Arguments::NAction {
                sop_instance_uid: sop_instance_uid.clone(),
                action_type_id: 1,
            },
            Arguments::NCreate {
                sop_instance_uid: None,
            },
            Arguments::NDelete { sop_instance_uid },
        ]
        .into_iter()
        .map(|arguments| Request {
            message_id: 77,
            sop_class_uid: uid("1.2.840.10008.1.1"),
            arguments,
        })
        .collect()
    }

    fn encoded(set: CommandSet) -> CommandSet {
        CommandSet::decode(set.encode().into()).unwrap()
    }

    #[test]
    fn every_request_survives_a_round_trip() {
        for request in requests() {
            let set = encoded(request.to_command_set());
            assert_eq!(Command::parse(&set), Ok(Command::Request(request)));
        }
    }

    #[test]
    fn every_response_survives_a_round_trip() {
        for request in requests() {
            let response = request
                .response(Status::PROCESSING_FAILURE)
                .with_comment("disk full")
                .with_offending([Tag(0x0008, 0x0018)])
                .with_sub_operations(SubOperations {
                    remaining: Some(1),
                    completed: 2,
                    failed: 3,
                    warning: 4,
                });
            let set = encoded(response.to_command_set());
            assert_eq!(
                set.command_field(),
                request.operation().request_field() | 0x8000
            );
            assert_eq!(Command::parse(&set), Ok(Command::Response(response)));
        }
    }

    #[test]
    fn a_cancel_names_the_request_it_cancels() {
        let set = encoded(c_cancel(12));
        assert_eq!(set.command_field(), 0x0FFF);
        assert_eq!(
            Command::parse(&set),
            Ok(Command::CCancel { message_id: 12 })
        );
    }

    #[test]
    fn what_is_wrong_with_a_request_is_answered() {
        let check = |spoil: fn(&mut CommandSet), expected: Option<Status>| {
            let mut set = requests()[1].to_command_set();
            spoil(&mut set);
            let error = Command::parse(&encoded(set)).unwrap_err();
            let response = error.response();
            assert_eq!(
                response.as_ref().map(|response| response.status),
                expected,
                "{error}"
            );
            assert!(response.is_none_or(|response| response.message_id == 77));
        };
        let instance = element::AFFECTED_SOP_INSTANCE_UID;
        check(
            |set| set.put_string(element::AFFECTED_SOP_INSTANCE_UID, "not a uid"),
            Some(Status::INVALID_SOP_INSTANCE),
        );
        assert_eq!(instance, 0x1000);
        check(
            |set| set.put_string(element::AFFECTED_SOP_INSTANCE_UID, ""),
            Some(Status::MISSING_ATTRIBUTE),
        );
        check(
            |set| set.put_string(element::AFFECTED_SOP_CLASS_UID, "1.2\\3"),
            Some(Status::INVALID_ATTRIBUTE_VALUE),
        );
        check(
            |set| set.put_u16(element::COMMAND_FIELD, 0x0777),
            Some(Status::UNRECOGNIZED_OPERATION),
        );
        check(|set| set.put_string(element::MESSAGE_ID, ""), None);
    }

    #[test]
    fn comments_fit_their_value_representation() {
        let response = requests()[0].response(Status::CANNOT_UNDERSTAND);
        let comment = |text: &str| response.clone().with_comment(text).error_comment;
        assert_eq!(comment(&"x".repeat(100)), Some("x".repeat(64)));
        assert_eq!(comment("a\\b\né"), Some("a?b??".into()));
        assert_eq!(comment(""), None);
    }
}
