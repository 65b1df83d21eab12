//! Reading and writing the big-endian, length-prefixed fields of PDUs.

use super::error::PduError;

/// The part of a PDU that is not yet read.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
    what: &'static str,
}

/// A variable item: its type, the byte after it, and its content.
pub(super) struct Item<'a> {
    pub(super) kind: u8,
    /// Reserved, but for 57H, where it is the sub-item version.
    pub(super) version: u8,
    pub(super) content: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// Reads `bytes`; errors name `what`.
    pub(super) fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { rest: bytes, what }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// All that is left.
    pub(super) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], PduError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(PduError::Truncated { what: self.what })?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8, PduError> {
        self.array().map(|[byte]: [u8; 1]| byte)
    }

    pub(super) fn u16(&mut self) -> Result<u16, PduError> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, PduError> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], PduError> {
        let what = self.what;
        self.take(N)?
            .try_into()
            .map_err(|_| PduError::Truncated { what })
    }

    /// A field preceded by its length in two bytes.
    pub(super) fn field(&mut self) -> Result<&'a [u8], PduError> {
        let length = self.u16()?;
        self.take(length.into())
    }

    /// A variable item: type, reserved byte, length in two bytes, content.
    pub(super) fn item(&mut self) -> Result<Item<'a>, PduError> {
        let kind = self.u8()?;
        let version = self.u8()?;
        Ok(Item {
            kind,
            version,
            content: self.field()?,
        })
    }

    /// Fails when something is left.
    pub(super) fn finish(&self) -> Result<(), PduError> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(PduError::Invalid { what: self.what })
        }
    }
}

/// Writes a field preceded by its length in two bytes.
pub(super) fn put_field(
    out: &mut Vec<u8>,
    what: &'static str,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), PduError>,
) -> Result<(), PduError> {
    let start = out.len();
    out.extend_from_slice(&[0, 0]);
    write(out)?;
    let length = u16::try_from(out.len().saturating_sub(start.saturating_add(2)))
        .map_err(|_| PduError::Unencodable { what })?;
    for (to, from) in out.iter_mut().skip(start).zip(length.to_be_bytes()) {
        *to = from;
    }
    Ok(())
}

/// Writes a field of these bytes preceded by its length in two bytes.
pub(super) fn put_bytes(
    out: &mut Vec<u8>,
    what: &'static str,
    bytes: &[u8],
) -> Result<(), PduError> {
    put_field(out, what, |out| {
        out.extend_from_slice(bytes);
        Ok(())
    })
}

/// Writes a variable item.
pub(super) fn put_item(
    out: &mut Vec<u8>,
    kind: u8,
    what: &'static str,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), PduError>,
) -> Result<(), PduError> {
    out.extend_from_slice(&[kind, 0]);
    put_field(out, what, write)
}

/// Writes a variable item that holds these bytes.
pub(super) fn put_bytes_item(
    out: &mut Vec<u8>,
    kind: u8,
    what: &'static str,
    bytes: &[u8],
) -> Result<(), PduError> {
    out.extend_from_slice(&[kind, 0]);
    put_bytes(out, what, bytes)
}
