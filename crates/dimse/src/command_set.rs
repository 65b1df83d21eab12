//! Command sets (PS3.7 §6.3 and Annex E): group 0000, always Implicit VR Little Endian.

use bytes::{Buf, Bytes};
use gantry_core::uid::Uid;
use gantry_dicom::Tag;

/// Element numbers of group 0000.
pub mod element {
    /// Command Group Length, UL.
    pub const GROUP_LENGTH: u16 = 0x0000;
    /// Affected SOP Class UID, UI.
    pub const AFFECTED_SOP_CLASS_UID: u16 = 0x0002;
    /// Requested SOP Class UID, UI.
    pub const REQUESTED_SOP_CLASS_UID: u16 = 0x0003;
    /// Command Field, US.
    pub const COMMAND_FIELD: u16 = 0x0100;
    /// Message ID, US.
    pub const MESSAGE_ID: u16 = 0x0110;
    /// Message ID Being Responded To, US.
    pub const MESSAGE_ID_BEING_RESPONDED_TO: u16 = 0x0120;
    /// Move Destination, AE.
    pub const MOVE_DESTINATION: u16 = 0x0600;
    /// Priority, US.
    pub const PRIORITY: u16 = 0x0700;
    /// Command Data Set Type, US.
    pub const DATA_SET_TYPE: u16 = 0x0800;
    /// Status, US.
    pub const STATUS: u16 = 0x0900;
    /// Offending Element, AT.
    pub const OFFENDING_ELEMENT: u16 = 0x0901;
    /// Error Comment, LO.
    pub const ERROR_COMMENT: u16 = 0x0902;
    /// Error ID, US.
    pub const ERROR_ID: u16 = 0x0903;
    /// Affected SOP Instance UID, UI.
    pub const AFFECTED_SOP_INSTANCE_UID: u16 = 0x1000;
    /// Requested SOP Instance UID, UI.
    pub const REQUESTED_SOP_INSTANCE_UID: u16 = 0x1001;
    /// Event Type ID, US.
    pub const EVENT_TYPE_ID: u16 = 0x1002;
    /// Attribute Identifier List, AT.
    pub const ATTRIBUTE_IDENTIFIER_LIST: u16 = 0x1005;
    /// Action Type ID, US.
    pub const ACTION_TYPE_ID: u16 = 0x1008;
    /// Number of Remaining Sub-operations, US.
    pub const REMAINING_SUB_OPERATIONS: u16 = 0x1020;
    /// Number of Completed Sub-operations, US.
    pub const COMPLETED_SUB_OPERATIONS: u16 = 0x1021;
    /// Number of Failed Sub-operations, US.
    pub const FAILED_SUB_OPERATIONS: u16 = 0x1022;
    /// Number of Warning Sub-operations, US.
    pub const WARNING_SUB_OPERATIONS: u16 = 0x1023;
    /// Move Originator Application Entity Title, AE.
    pub const MOVE_ORIGINATOR_AE_TITLE: u16 = 0x1030;
    /// Move Originator Message ID, US.
    pub const MOVE_ORIGINATOR_MESSAGE_ID: u16 = 0x1031;
}

/// The value of Command Data Set Type (0000,0800) that says that no data set follows.
const NO_DATA_SET: u16 = 0x0101;
/// Any other value says that one follows.
const DATA_SET: u16 = 0x0001;
/// Most elements a command set may have; the largest of the standard has 14.
const ELEMENTS_MAX: usize = 64;

/// Why bytes are no command set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandSetError {
    /// An element runs over the end.
    #[error("command set is cut short")]
    Truncated,
    /// An element outside group 0000.
    #[error("command set has element {0:?} outside group 0000")]
    ForeignGroup(Tag),
    /// An element twice, or more elements than any command has.
    #[error("command set repeats an element or has too many of them")]
    TooMany,
    /// An element without which the message cannot be followed.
    #[error("command set lacks (0000,{0:04X})")]
    Missing(u16),
}

/// The elements of a command, as they were encoded. One that was decoded has a Command Field and
/// a Command Data Set Type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommandSet {
    elements: Vec<(u16, Bytes)>,
}

impl CommandSet {
    /// A command set with a Command Field (0000,0100) and no data set.
    pub fn new(command_field: u16) -> Self {
        let mut set = Self {
            elements: Vec::with_capacity(10),
        };
        set.put_u16(element::COMMAND_FIELD, command_field);
        set.put_u16(element::DATA_SET_TYPE, NO_DATA_SET);
        set
    }

    /// Reads a whole command set. The order of elements and the group length are not insisted on;
    /// the retired lengths-to-end are kept but mean nothing.
    pub fn decode(mut bytes: Bytes) -> Result<Self, CommandSetError> {
        let mut elements: Vec<(u16, Bytes)> = Vec::with_capacity(12);
        while !bytes.is_empty() {
            // Tag (2 + 2 bytes), length (4), value.
            if bytes.len() < 8 {
                return Err(CommandSetError::Truncated);
            }
            let (group, number, length) =
                (bytes.get_u16_le(), bytes.get_u16_le(), bytes.get_u32_le());
            if group != 0 {
                return Err(CommandSetError::ForeignGroup(Tag(group, number)));
            }
            let length = usize::try_from(length).map_err(|_| CommandSetError::Truncated)?;
            if length > bytes.len() {
                return Err(CommandSetError::Truncated);
            }
            let value = bytes.split_to(length);
            if elements.len() == ELEMENTS_MAX || elements.iter().any(|(other, _)| *other == number)
            {
                return Err(CommandSetError::TooMany);
            }
            elements.push((number, value));
        }
        elements.sort_by_key(|(number, _)| *number);
        let set = Self { elements };
        for number in [element::COMMAND_FIELD, element::DATA_SET_TYPE] {
            set.u16(number).ok_or(CommandSetError::Missing(number))?;
        }
        Ok(set)
    }

    /// The encoded command set, led by its group length.
    pub fn encode(&self) -> Vec<u8> {
        let elements = || {
            self.elements
                .iter()
                .filter(|(number, _)| *number != element::GROUP_LENGTH)
                .map(
                    // A value field has 32 bits of length; no value comes near.
                    |(number, value)| {
                        (
                            number,
                            value,
                            u32::try_from(value.len()).unwrap_or_default(),
                        )
                    },
                )
        };
        let length = elements().fold(0u32, |sum, (_, _, length)| sum.saturating_add(8 + length));
        let mut out = Vec::with_capacity(length as usize + 12);
        out.extend_from_slice(&[0, 0, 0, 0, 4, 0, 0, 0]);
        out.extend_from_slice(&length.to_le_bytes());
        for (number, value, length) in elements() {
            out.extend_from_slice(&[0, 0]);
            out.extend_from_slice(&number.to_le_bytes());
            out.extend_from_slice(&length.to_le_bytes());
            out.extend_from_slice(value);
        }
        out
    }

    /// The value field of an element.
    pub fn value(&self, number: u16) -> Option<&Bytes> {
        let at = self
            .elements
            .binary_search_by_key(&number, |(number, _)| *number)
            .ok()?;
        self.elements.get(at).map(|(_, value)| value)
    }

    /// The first value of an element of VR US.
    pub fn u16(&self, number: u16) -> Option<u16> {
        let (bytes, _) = self.value(number)?.split_first_chunk()?;
        Some(u16::from_le_bytes(*bytes))
    }

    /// The text of an element without the padding around it; `None` when absent or empty.
    pub fn text(&self, number: u16) -> Option<String> {
        let text = String::from_utf8_lossy(self.value(number)?);
        let text = text.trim_matches(['\0', ' ']);
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// The UID in an element: `None` when absent or empty, an error when it cannot be one.
    pub fn uid(&self, number: u16) -> Option<Result<Uid, gantry_core::uid::UidError>> {
        Some(Uid::parse_lenient(&self.text(number)?))
    }

    /// The tags in an element of VR AT.
    pub fn tags(&self, number: u16) -> Vec<Tag> {
        let Some(value) = self.value(number) else {
            return Vec::new();
        };
        let (tags, _) = value.as_chunks::<4>();
        tags.iter()
            .map(|[a, b, c, d]| Tag(u16::from_le_bytes([*a, *b]), u16::from_le_bytes([*c, *d])))
            .collect()
    }

    /// The value of Command Field (0000,0100).
    pub fn command_field(&self) -> u16 {
        self.u16(element::COMMAND_FIELD).unwrap_or_default()
    }

    /// Whether a data set follows the command.
    pub fn has_data_set(&self) -> bool {
        self.u16(element::DATA_SET_TYPE)
            .is_some_and(|kind| kind != NO_DATA_SET)
    }

    /// Says whether a data set follows the command.
    pub fn set_has_data_set(&mut self, has_data_set: bool) {
        let kind = if has_data_set { DATA_SET } else { NO_DATA_SET };
        self.put_u16(element::DATA_SET_TYPE, kind);
    }

    /// Sets an element of VR US.
    pub fn put_u16(&mut self, number: u16, value: u16) {
        self.put(number, Bytes::copy_from_slice(&value.to_le_bytes()));
    }

    /// Sets an element of VR UI, padded with a NUL.
    pub fn put_uid(&mut self, number: u16, uid: &Uid) {
        self.put_text(number, uid.as_str(), 0);
    }

    /// Sets an element of VR AE or LO, padded with a space.
    pub fn put_string(&mut self, number: u16, text: &str) {
        self.put_text(number, text, b' ');
    }

    /// Sets an element of VR AT.
    pub fn put_tags(&mut self, number: u16, tags: &[Tag]) {
        let mut value = Vec::with_capacity(tags.len() * 4);
        for tag in tags {
            value.extend_from_slice(&tag.group().to_le_bytes());
            value.extend_from_slice(&tag.element().to_le_bytes());
        }
        self.put(number, value.into());
    }

    fn put_text(&mut self, number: u16, text: &str, padding: u8) {
        let mut value = Vec::with_capacity(text.len() + 1);
        value.extend_from_slice(text.as_bytes());
        if value.len() % 2 == 1 {
            value.push(padding);
        }
        self.put(number, value.into());
    }

    fn put(&mut self, number: u16, value: Bytes) {
        match self
            .elements
            .binary_search_by_key(&number, |(number, _)| *number)
        {
            Ok(at) => {
                if let Some(slot) = self.elements.get_mut(at) {
                    slot.1 = value;
                }
            }
            Err(at) => self.elements.insert(at, (number, value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_group_length_counts_what_follows_it() {
        let mut set = CommandSet::new(0x0030);
        set.put_uid(
            element::AFFECTED_SOP_CLASS_UID,
            &Uid::parse("1.2.840.10008.1.1").unwrap(),
        );
        set.put_u16(element::MESSAGE_ID, 7);
        let bytes = set.encode();
        assert_eq!(bytes[..8], [0, 0, 0, 0, 4, 0, 0, 0]);
        assert_eq!(
            u32::from_le_bytes(bytes[8..12].try_into().unwrap()) as usize,
            bytes.len() - 12
        );
        // UIDs are padded with NUL to an even length.
        assert_eq!(bytes[12..20], [0, 0, 2, 0, 18, 0, 0, 0]);
        assert_eq!(&bytes[20..38], b"1.2.840.10008.1.1\0");
        let decoded = CommandSet::decode(bytes.clone().into()).unwrap();
        assert_eq!(decoded.encode(), bytes);
        assert_eq!(decoded.u16(element::MESSAGE_ID), Some(7));
        assert!(!decoded.has_data_set());
    }

    #[test]
    fn what_cannot_be_followed_is_refused() {
        let valid = CommandSet::new(0x0001).encode();
        for length in 1..valid.len() {
            assert!(
                CommandSet::decode(valid.slice_to(length)).is_err(),
                "{length}"
            );
        }
        let twice = [&valid[12..], &valid[12..]].concat();
        assert_eq!(
            CommandSet::decode(twice.into()),
            Err(CommandSetError::TooMany)
        );
        let foreign = [&valid[..], &[8, 0, 5, 0, 0, 0, 0, 0]].concat();
        assert_eq!(
            CommandSet::decode(foreign.into()),
            Err(CommandSetError::ForeignGroup(Tag(8, 5)))
        );
        assert_eq!(
            CommandSet::decode(Bytes::new()),
            Err(CommandSetError::Missing(element::COMMAND_FIELD))
        );
    }

    #[test]
    fn any_data_set_type_but_0101_means_a_data_set() {
        for (kind, expected) in [
            (0x0000, true),
            (0x0001, true),
            (0x0102, true),
            (0x0101, false),
        ] {
            let mut set = CommandSet::new(1);
            set.put_u16(element::DATA_SET_TYPE, kind);
            assert_eq!(set.has_data_set(), expected, "{kind:04X}");
        }
    }

    proptest! {
        #[test]
        fn hostile_bytes_are_refused_or_survive(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(set) = CommandSet::decode(Bytes::from(bytes)) {
                let encoded = set.encode();
                prop_assert_eq!(CommandSet::decode(encoded.clone().into()).unwrap().encode(), encoded);
            }
        }
    }

    trait SliceTo {
        fn slice_to(&self, length: usize) -> Bytes;
    }

    impl SliceTo for Vec<u8> {
        fn slice_to(&self, length: usize) -> Bytes {
            Bytes::copy_from_slice(&self[..length])
        }
    }
}
