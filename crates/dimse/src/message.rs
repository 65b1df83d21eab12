//! Putting the pieces of PDVs together to messages (PS3.7 §6.3, PS3.8 Annex E).

use crate::command_set::{CommandSet, CommandSetError};
use crate::pdu::abort::{Abort, AbortReason};
use crate::pdu::p_data::FragmentKind;
use crate::pdu::stream::Piece;
use bytes::{Bytes, BytesMut};

/// Longest command set that is put together; the largest of the standard is a few hundred bytes,
/// but for the attribute list of N-GET.
pub const COMMAND_LENGTH_MAX: usize = 64 << 10;

/// A message: its command; the data set, if it has one, follows in pieces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The presentation context it came in.
    pub context_id: u8,
    /// The command.
    pub command: CommandSet,
}

/// What a piece completes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// The command; the next part is data if it says so.
    Message(Message),
    /// Bytes of the data set.
    Data {
        /// The bytes; possibly none.
        bytes: Bytes,
        /// Whether the data set ends with them.
        is_last: bool,
    },
}

/// Why pieces are no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// A data set fragment where a command must be, or the other way round.
    #[error("{found:?} fragment where a {expected:?} fragment must be")]
    Order {
        /// What had to come.
        expected: FragmentKind,
        /// What came.
        found: FragmentKind,
    },
    /// The fragments of a message must share a presentation context.
    #[error("fragment in presentation context {found} inside a message in {expected}")]
    Context {
        /// The message's.
        expected: u8,
        /// The fragment's.
        found: u8,
    },
    /// A message in a presentation context that was not accepted.
    #[error("message in presentation context {0}, which was not accepted")]
    UnknownContext(u8),
    /// More than [`COMMAND_LENGTH_MAX`] bytes.
    #[error("command set is longer than {COMMAND_LENGTH_MAX} bytes")]
    CommandTooLong,
    /// The command set is broken.
    #[error(transparent)]
    CommandSet(#[from] CommandSetError),
}

impl MessageError {
    /// The A-ABORT that answers the error. What is wrong with a PDV is the upper layer's
    /// business, what is wrong with a command the application's.
    pub fn abort(&self) -> Abort {
        match self {
            Self::Order { .. } => Abort::provider(AbortReason::UnexpectedPduParameter),
            Self::Context { .. } | Self::UnknownContext(_) => {
                Abort::provider(AbortReason::InvalidPduParameterValue)
            }
            Self::CommandTooLong | Self::CommandSet(_) => Abort::SERVICE_USER,
        }
    }
}

/// Assembles messages from pieces in the order in which they came.
#[derive(Debug, Default)]
pub struct MessageAssembler {
    state: State,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Idle,
    Command {
        context_id: u8,
        bytes: BytesMut,
    },
    Data {
        context_id: u8,
    },
}

impl MessageAssembler {
    /// Whether a message has begun and is not complete.
    pub fn is_inside_message(&self) -> bool {
        !matches!(self.state, State::Idle)
    }

    /// Takes a piece in; `None` when the command is not yet complete.
    pub fn push(&mut self, piece: Piece) -> Result<Option<Part>, MessageError> {
        let (expected, context_id) = match &self.state {
            State::Idle => (FragmentKind::Command, piece.context_id),
            State::Command { context_id, .. } => (FragmentKind::Command, *context_id),
            State::Data { context_id } => (FragmentKind::DataSet, *context_id),
        };
        if piece.context_id != context_id {
            let found = piece.context_id;
            return Err(MessageError::Context {
                expected: context_id,
                found,
            });
        }
        if piece.kind != expected {
            return Err(MessageError::Order {
                expected,
                found: piece.kind,
            });
        }
        match std::mem::take(&mut self.state) {
            State::Idle if piece.is_last => self.command(context_id, piece.bytes).map(Some),
            State::Idle => self.collect(context_id, BytesMut::new(), &piece),
            State::Command { bytes, .. } => self.collect(context_id, bytes, &piece),
            State::Data { context_id } => {
                if !piece.is_last {
                    self.state = State::Data { context_id };
                }
                Ok(Some(Part::Data {
                    bytes: piece.bytes,
                    is_last: piece.is_last,
                }))
            }
        }
    }

    fn collect(
        &mut self,
        context_id: u8,
        mut bytes: BytesMut,
        piece: &Piece,
    ) -> Result<Option<Part>, MessageError> {
        if bytes.len().saturating_add(piece.bytes.len()) > COMMAND_LENGTH_MAX {
            return Err(MessageError::CommandTooLong);
        }
        bytes.extend_from_slice(&piece.bytes);
        if piece.is_last {
            return self.command(context_id, bytes.freeze()).map(Some);
        }
        self.state = State::Command { context_id, bytes };
        Ok(None)
    }

    fn command(&mut self, context_id: u8, bytes: Bytes) -> Result<Part, MessageError> {
        if bytes.len() > COMMAND_LENGTH_MAX {
            return Err(MessageError::CommandTooLong);
        }
        // The command outlives the read buffer that its bytes lie in.
        let command = CommandSet::decode(Bytes::copy_from_slice(&bytes))?;
        self.state = if command.has_data_set() {
            State::Data { context_id }
        } else {
            State::Idle
        };
        Ok(Part::Message(Message {
            context_id,
            command,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(kind: FragmentKind, is_last: bool, bytes: &[u8]) -> Piece {
        Piece {
            context_id: 1,
            kind,
            is_last,
            bytes: Bytes::copy_from_slice(bytes),
        }
    }

    fn command(has_data_set: bool) -> CommandSet {
        let mut set = CommandSet::new(1);
        set.set_has_data_set(has_data_set);
        set
    }

    #[test]
    fn a_command_may_be_cut_at_any_byte() {
        let bytes = command(true).encode();
        for at in 0..=bytes.len() {
            let mut assembler = MessageAssembler::default();
            let (first, second) = bytes.split_at(at);
            assert_eq!(
                assembler.push(piece(FragmentKind::Command, false, first)),
                Ok(None)
            );
            let Ok(Some(Part::Message(message))) =
                assembler.push(piece(FragmentKind::Command, true, second))
            else {
                panic!("no message when cut at {at}");
            };
            assert_eq!(message.command.encode(), bytes);
            assert!(assembler.is_inside_message());
            let data = Part::Data {
                bytes: Bytes::new(),
                is_last: true,
            };
            assert_eq!(
                assembler.push(piece(FragmentKind::DataSet, true, b"")),
                Ok(Some(data))
            );
            assert!(!assembler.is_inside_message());
        }
    }

    #[test]
    fn fragments_out_of_order_are_refused() {
        let (command_kind, data_kind) = (FragmentKind::Command, FragmentKind::DataSet);
        let order = |expected, found| Err(MessageError::Order { expected, found });

        let mut assembler = MessageAssembler::default();
        let data = piece(data_kind, true, b"data");
        assert_eq!(assembler.push(data.clone()), order(command_kind, data_kind));

        let mut assembler = MessageAssembler::default();
        assembler.push(piece(command_kind, false, b"\0")).unwrap();
        assert_eq!(assembler.push(data), order(command_kind, data_kind));

        let mut assembler = MessageAssembler::default();
        let whole = piece(command_kind, true, &command(true).encode());
        assembler.push(whole.clone()).unwrap();
        assert_eq!(assembler.push(whole), order(data_kind, command_kind));
    }

    #[test]
    fn a_message_keeps_its_presentation_context() {
        let mut assembler = MessageAssembler::default();
        assembler
            .push(piece(FragmentKind::Command, true, &command(true).encode()))
            .unwrap();
        let other = Piece {
            context_id: 3,
            ..piece(FragmentKind::DataSet, true, b"data")
        };
        assert_eq!(
            assembler.push(other),
            Err(MessageError::Context {
                expected: 1,
                found: 3
            })
        );
    }

    #[test]
    fn an_endless_command_is_refused() {
        let mut assembler = MessageAssembler::default();
        let block = piece(FragmentKind::Command, false, &[0; 16 << 10]);
        let result = (0..10)
            .map(|_| assembler.push(block.clone()))
            .find(Result::is_err);
        assert_eq!(result, Some(Err(MessageError::CommandTooLong)));
    }
}
