//! DIMSE statuses (PS3.7 Annex C, PS3.4).

/// The value of Status (0000,0900).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Status(pub u16);

/// What a status means for the operation (PS3.7 C.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StatusClass {
    /// Done.
    Success,
    /// Done, with a remark.
    Warning,
    /// Not done.
    Failure,
    /// Stopped at the invoker's request.
    Cancel,
    /// More responses follow.
    Pending,
}

impl Status {
    /// Success.
    pub const SUCCESS: Self = Self(0x0000);
    /// Matching or sub-operations terminated by a C-CANCEL.
    pub const CANCEL: Self = Self(0xFE00);
    /// Matches are continuing.
    pub const PENDING: Self = Self(0xFF00);
    /// Matches are continuing; an optional key was not supported for matching.
    pub const PENDING_KEYS_UNSUPPORTED: Self = Self(0xFF01);

    /// No such attribute (PS3.7 C.4.1).
    pub const NO_SUCH_ATTRIBUTE: Self = Self(0x0105);
    /// Invalid attribute value.
    pub const INVALID_ATTRIBUTE_VALUE: Self = Self(0x0106);
    /// Attribute list error; a warning.
    pub const ATTRIBUTE_LIST_ERROR: Self = Self(0x0107);
    /// Processing failure.
    pub const PROCESSING_FAILURE: Self = Self(0x0110);
    /// Duplicate SOP instance.
    pub const DUPLICATE_SOP_INSTANCE: Self = Self(0x0111);
    /// No such SOP instance.
    pub const NO_SUCH_SOP_INSTANCE: Self = Self(0x0112);
    /// No such event type.
    pub const NO_SUCH_EVENT_TYPE: Self = Self(0x0113);
    /// No such argument.
    pub const NO_SUCH_ARGUMENT: Self = Self(0x0114);
    /// Invalid argument value.
    pub const INVALID_ARGUMENT_VALUE: Self = Self(0x0115);
    /// Attribute value out of range; a warning.
    pub const ATTRIBUTE_VALUE_OUT_OF_RANGE: Self = Self(0x0116);
    /// Invalid SOP instance: the identifier breaks the rules of UIDs.
    pub const INVALID_SOP_INSTANCE: Self = Self(0x0117);
    /// No such SOP class.
    pub const NO_SUCH_SOP_CLASS: Self = Self(0x0118);
    /// The SOP instance is not of the SOP class.
    pub const CLASS_INSTANCE_CONFLICT: Self = Self(0x0119);
    /// A required attribute is missing.
    pub const MISSING_ATTRIBUTE: Self = Self(0x0120);
    /// A required attribute has no value.
    pub const MISSING_ATTRIBUTE_VALUE: Self = Self(0x0121);
    /// Refused: SOP class not supported.
    pub const SOP_CLASS_NOT_SUPPORTED: Self = Self(0x0122);
    /// No such action type.
    pub const NO_SUCH_ACTION_TYPE: Self = Self(0x0123);
    /// Refused: not authorized.
    pub const NOT_AUTHORIZED: Self = Self(0x0124);
    /// Duplicate transaction UID (PS3.4 J.3, PS3.3 C.14.1.1).
    pub const DUPLICATE_TRANSACTION_UID: Self = Self(0x0131);
    /// The message ID is already in use.
    pub const DUPLICATE_INVOCATION: Self = Self(0x0210);
    /// The operation is not one of those agreed.
    pub const UNRECOGNIZED_OPERATION: Self = Self(0x0211);
    /// An argument is of the wrong type.
    pub const MISTYPED_ARGUMENT: Self = Self(0x0212);
    /// Resource limitation.
    pub const RESOURCE_LIMITATION: Self = Self(0x0213);

    /// Refused: out of resources (PS3.4 B.2.3, C.4.1.1.4).
    pub const OUT_OF_RESOURCES: Self = Self(0xA700);
    /// Refused: unable to calculate the number of matches (PS3.4 C.4.2.1.5).
    pub const UNABLE_TO_CALCULATE_MATCHES: Self = Self(0xA701);
    /// Refused: unable to perform sub-operations.
    pub const UNABLE_TO_PERFORM_SUB_OPERATIONS: Self = Self(0xA702);
    /// Refused: move destination unknown.
    pub const MOVE_DESTINATION_UNKNOWN: Self = Self(0xA801);
    /// Data set or identifier does not match the SOP class.
    pub const DATA_SET_MISMATCH: Self = Self(0xA900);
    /// Cannot understand, unable to process.
    pub const CANNOT_UNDERSTAND: Self = Self(0xC000);
    /// Warning of C-STORE: data elements were coerced.
    pub const COERCION: Self = Self(0xB000);
    /// Warning of C-MOVE and C-GET: one or more sub-operations failed or warned.
    pub const SUB_OPERATIONS_COMPLETE_WITH_FAILURES: Self = Self(0xB000);
    /// Warning of C-STORE: elements were discarded.
    pub const ELEMENTS_DISCARDED: Self = Self(0xB006);
    /// Warning of C-STORE: the data set does not match the SOP class.
    pub const DATA_SET_MISMATCH_WARNING: Self = Self(0xB007);

    /// The class of the status.
    pub fn class(self) -> StatusClass {
        match self.0 {
            0x0000 => StatusClass::Success,
            0x0001 | 0x0107 | 0x0116 | 0xB000..=0xBFFF => StatusClass::Warning,
            0xFE00 => StatusClass::Cancel,
            0xFF00 | 0xFF01 => StatusClass::Pending,
            _ => StatusClass::Failure,
        }
    }

    /// Whether another response to the same request follows.
    pub fn is_pending(self) -> bool {
        self.class() == StatusClass::Pending
    }

    /// Whether the operation was done, with or without a remark.
    pub fn is_done(self) -> bool {
        matches!(self.class(), StatusClass::Success | StatusClass::Warning)
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04X}", self.0)
    }
}

impl std::fmt::Debug for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Status({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_follow_annex_c() {
        for (code, class) in [
            (0x0000, StatusClass::Success),
            (0x0001, StatusClass::Warning),
            (0x0107, StatusClass::Warning),
            (0x0116, StatusClass::Warning),
            (0x0117, StatusClass::Failure),
            (0x0211, StatusClass::Failure),
            (0xA700, StatusClass::Failure),
            (0xAFFF, StatusClass::Failure),
            (0xB000, StatusClass::Warning),
            (0xBFFF, StatusClass::Warning),
            (0xC000, StatusClass::Failure),
            (0xCFFF, StatusClass::Failure),
            (0xFE00, StatusClass::Cancel),
            (0xFF00, StatusClass::Pending),
            (0xFF01, StatusClass::Pending),
        ] {
            assert_eq!(Status(code).class(), class, "{code:04X}");
        }
    }
}
