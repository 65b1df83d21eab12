//! Requests (PS3.7 §9.3 and §10.3).

use super::{Fields, InvalidCommand, Operation, Problem, RESPONSE, Response};
use crate::command_set::{CommandSet, element};
use crate::status::Status;
use gantry_core::ae_title::AeTitle;
use gantry_core::uid::Uid;
use gantry_dicom::Tag;

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
