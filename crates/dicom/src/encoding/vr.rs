//! What an encoding needs to know of value representations (PS3.5 6.2, 7.1.2).

use crate::Vr;

/// Whether the explicit VR form has a 32-bit length (PS3.5 table 7.1-1).
pub fn has_long_length(vr: Vr) -> bool {
    use Vr::*;
    matches!(
        vr,
        OB | OD | OF | OL | OV | OW | SQ | SV | UC | UN | UR | UT | UV
    )
}

/// Bytes of the numbers that a value is made of, which big endian reverses; 1 when none.
pub fn word_size(vr: Vr) -> usize {
    use Vr::*;
    match vr {
        AT | OW | SS | US => 2,
        FL | OF | OL | SL | UL => 4,
        FD | OD | OV | SV | UV => 8,
        _ => 1,
    }
}

/// Bytes that one value takes, for VRs of a fixed size.
pub(super) fn value_size(vr: Vr) -> usize {
    if vr == Vr::AT { 4 } else { word_size(vr) }
}

/// Whether values are characters.
pub fn is_text(vr: Vr) -> bool {
    use Vr::*;
    matches!(
        vr,
        AE | AS | CS | DA | DS | DT | IS | LO | LT | PN | SH | ST | TM | UC | UI | UR | UT
    )
}

/// The byte that makes a value's length even (PS3.5 6.2).
pub fn padding(vr: Vr) -> u8 {
    if is_text(vr) && vr != Vr::UI { b' ' } else { 0 }
}

/// The VR with this code, looked up without branching over all of them.
pub(super) fn from_code(code: [u8; 2]) -> Option<Vr> {
    let [first, second] = code;
    let (row, column) = (first.wrapping_sub(b'A'), second.wrapping_sub(b'A'));
    if row >= 26 || column >= 26 {
        return None;
    }
    CODES
        .get(usize::from(row) * 26 + usize::from(column))
        .copied()
        .flatten()
}

/// The two letters of a VR.
pub(crate) fn code(vr: Vr) -> [u8; 2] {
    vr.to_bytes()
}

static CODES: [Option<Vr>; 26 * 26] = codes();

#[expect(clippy::indexing_slicing, reason = "evaluated at compile time")]
const fn codes() -> [Option<Vr>; 26 * 26] {
    use Vr::*;
    let all: [(&[u8; 2], Vr); 34] = [
        (b"AE", AE),
        (b"AS", AS),
        (b"AT", AT),
        (b"CS", CS),
        (b"DA", DA),
        (b"DS", DS),
        (b"DT", DT),
        (b"FL", FL),
        (b"FD", FD),
        (b"IS", IS),
        (b"LO", LO),
        (b"LT", LT),
        (b"OB", OB),
        (b"OD", OD),
        (b"OF", OF),
        (b"OL", OL),
        (b"OV", OV),
        (b"OW", OW),
        (b"PN", PN),
        (b"SH", SH),
        (b"SL", SL),
        (b"SQ", SQ),
        (b"SS", SS),
        (b"ST", ST),
        (b"SV", SV),
        (b"TM", TM),
        (b"UC", UC),
        (b"UI", UI),
        (b"UL", UL),
        (b"UN", UN),
        (b"UR", UR),
        (b"US", US),
        (b"UT", UT),
        (b"UV", UV),
    ];
    let mut table = [None; 26 * 26];
    let mut at = 0;
    while at < all.len() {
        let (code, vr) = all[at];
        table[(code[0] - b'A') as usize * 26 + (code[1] - b'A') as usize] = Some(vr);
        at += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_vrs() {
        let mut count = 0;
        for first in 0..=255 {
            for second in 0..=255 {
                let vr = from_code([first, second]);
                assert_eq!(vr, Vr::from_binary([first, second]));
                count += usize::from(vr.is_some());
            }
        }
        assert_eq!(count, 34);
    }
}
