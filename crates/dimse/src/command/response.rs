//! Responses (PS3.7 §9.3 and §10.3).

use super::{Fields, InvalidCommand, Operation};
use crate::command_set::{CommandSet, element};
use crate::status::Status;
use gantry_core::uid::Uid;
use gantry_dicom::Tag;

/// Longest Error Comment (0000,0902), in characters (VR LO).
pub const ERROR_COMMENT_LENGTH_MAX: usize = 64;

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
    pub(super) fn new(field: u16, message_id: u16, status: Status) -> Self {
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
