//! What follows the boundary in a delimiter (RFC 2046 §5.1.1).

/// Most spaces and tabs between a delimiter and its line break.
const PADDING_MAX: usize = 64;

/// What the bytes behind a boundary make of it.
pub(super) enum Ending {
    /// A delimiter; `length` bytes behind the boundary belong to it.
    Complete { length: usize, is_closing: bool },
    /// More bytes are needed to tell.
    Incomplete,
    /// None.
    Other,
}

/// What follows the boundary in a delimiter: `--`, or optional padding and a line break.
pub(super) fn delimiter_end(after: &[u8]) -> Ending {
    if after.starts_with(b"--") {
        return Ending::Complete {
            length: 2,
            is_closing: true,
        };
    }
    if matches!(after, [] | [b'-']) {
        return Ending::Incomplete;
    }
    let padding = after
        .iter()
        .take(PADDING_MAX)
        .take_while(|&&byte| byte == b' ' || byte == b'\t');
    let padding = padding.count();
    match after.get(padding..).unwrap_or_default() {
        [b'\r', b'\n', ..] => Ending::Complete {
            length: padding + 2,
            is_closing: false,
        },
        [b'\n', ..] => Ending::Complete {
            length: padding + 1,
            is_closing: false,
        },
        [] | [b'\r'] => Ending::Incomplete,
        _ => Ending::Other,
    }
}
