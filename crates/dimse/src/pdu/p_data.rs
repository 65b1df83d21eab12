//! P-DATA-TF (PS3.8 §9.3.5) and the message control header (PS3.8 Annex E).

use super::PduKind;

/// Bytes before the data of a P-DATA-TF PDU with one PDV: the PDU's header, the PDV's length,
/// the presentation context ID and the message control header.
pub const P_DATA_HEADER_LENGTH: usize = 12;
/// Bytes of the PDU's variable field that are not data when it holds one PDV.
pub const PDV_HEADER_LENGTH: u32 = 6;

/// Whether a fragment belongs to a command or to a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FragmentKind {
    /// Bit 0 of the message control header is 1.
    Command,
    /// Bit 0 of the message control header is 0.
    DataSet,
}

/// The message control header (PS3.8 E.2).
pub fn control_header(kind: FragmentKind, is_last: bool) -> u8 {
    let kind = match kind {
        FragmentKind::Command => 1,
        FragmentKind::DataSet => 0,
    };
    kind | if is_last { 2 } else { 0 }
}

/// Everything of a P-DATA-TF PDU with one PDV that stands before `length` bytes of data.
pub fn header(
    context_id: u8,
    kind: FragmentKind,
    is_last: bool,
    length: u32,
) -> [u8; P_DATA_HEADER_LENGTH] {
    let [a, b, c, d] = length.saturating_add(PDV_HEADER_LENGTH).to_be_bytes();
    let [e, f, g, h] = length.saturating_add(2).to_be_bytes();
    let control = control_header(kind, is_last);
    [
        PduKind::PDataTf.code(),
        0,
        a,
        b,
        c,
        d,
        e,
        f,
        g,
        h,
        context_id,
        control,
    ]
}

/// Most data bytes of one PDV in a PDU whose variable field may have `maximum_length` bytes
/// (0 for any, which `own_maximum` then bounds). Even, as every fragment must be (PS3.8 E.1);
/// nothing when not even two bytes fit.
pub fn payload_max(maximum_length: u32, own_maximum: u32) -> Option<u32> {
    let length = if maximum_length == 0 {
        own_maximum
    } else {
        maximum_length.min(own_maximum)
    };
    let payload = length.checked_sub(PDV_HEADER_LENGTH)? & !1;
    (payload > 0).then_some(payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_count_what_follows_them() {
        assert_eq!(
            header(7, FragmentKind::DataSet, true, 0x0102),
            [4, 0, 0, 0, 0x01, 0x08, 0, 0, 0x01, 0x04, 7, 2]
        );
        assert_eq!(header(1, FragmentKind::Command, false, 2)[11], 1);
        assert_eq!(header(1, FragmentKind::Command, true, 2)[11], 3);
    }

    #[test]
    fn payloads_are_even_and_fit_the_peer() {
        assert_eq!(payload_max(0, 1 << 20), Some((1 << 20) - 6));
        assert_eq!(payload_max(16384, 1 << 20), Some(16378));
        assert_eq!(payload_max(16385, 1 << 20), Some(16378));
        assert_eq!(payload_max(8, 1 << 20), Some(2));
        assert_eq!(payload_max(7, 1 << 20), None);
        assert_eq!(payload_max(1, 1 << 20), None);
    }
}
