//! Numbers that stored text can become in JSON without loss.

/// Most significant digits that survive a 64-bit float.
const DIGITS_MAX: usize = 15;

/// A decimal or integer string taken apart.
struct Parts<'a> {
    is_negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
    /// With its sign, without the letter.
    exponent: &'a [u8],
}

/// Appends a decimal or integer string as a JSON number with the digits it has; tells whether it
/// could. Nothing is appended when the text is no number, or has more digits than a 64-bit float
/// holds.
pub(super) fn append(text: &[u8], out: &mut Vec<u8>) -> bool {
    let Some(parts) = split(text) else {
        return false;
    };
    if !survives(&parts) {
        return false;
    }
    if parts.is_negative {
        out.push(b'-');
    }
    let zeros = parts
        .whole
        .iter()
        .take_while(|digit| **digit == b'0')
        .count();
    match parts.whole.get(zeros..) {
        Some(whole) if !whole.is_empty() => out.extend_from_slice(whole),
        _ => out.push(b'0'),
    }
    if !parts.fraction.is_empty() {
        out.push(b'.');
        out.extend_from_slice(parts.fraction);
    }
    if !parts.exponent.is_empty() {
        out.push(b'e');
        out.extend_from_slice(parts.exponent);
    }
    true
}

fn split(text: &[u8]) -> Option<Parts<'_>> {
    let (is_negative, rest) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let (whole, rest) = digits(rest);
    let (fraction, rest) = match rest {
        [b'.', rest @ ..] => digits(rest),
        rest => (&[][..], rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let exponent = match rest {
        [] => rest,
        [b'e' | b'E', exponent @ ..] => {
            let unsigned = match exponent {
                [b'+' | b'-', unsigned @ ..] => unsigned,
                unsigned => unsigned,
            };
            let (digits, after) = digits(unsigned);
            // Three digits reach further than 64-bit floats do.
            if digits.is_empty() || digits.len() > 3 || !after.is_empty() {
                return None;
            }
            exponent
        }
        _ => return None,
    };
    Some(Parts {
        is_negative,
        whole,
        fraction,
        exponent,
    })
}

fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    let length = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    text.split_at_checked(length).unwrap_or((text, &[]))
}

fn survives(parts: &Parts<'_>) -> bool {
    let length = parts.whole.len() + parts.fraction.len();
    if length > DIGITS_MAX {
        let digits = || parts.whole.iter().chain(parts.fraction);
        let leading = digits().take_while(|digit| **digit == b'0').count();
        let trailing = parts
            .fraction
            .iter()
            .rev()
            .take_while(|digit| **digit == b'0')
            .count();
        if length.saturating_sub(leading + trailing) > DIGITS_MAX {
            return false;
        }
    }
    // Far exponents leave the range of floats, or its precise part.
    parts.exponent.is_empty() || is_moderate(parts.exponent)
}

fn is_moderate(exponent: &[u8]) -> bool {
    let exponent = std::str::from_utf8(exponent).ok();
    let exponent: Option<i32> = exponent.and_then(|exponent| exponent.parse().ok());
    exponent.is_some_and(|exponent| exponent.abs() <= 290)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(text: &str) -> Option<String> {
        let mut out = Vec::new();
        append(text.as_bytes(), &mut out).then(|| String::from_utf8(out).unwrap())
    }

    #[test]
    fn digits_are_kept_and_the_form_is_made_valid() {
        for (text, json) in [
            ("0", "0"),
            ("-0", "-0"),
            ("1.50", "1.50"),
            ("+1", "1"),
            ("007", "7"),
            (".5", "0.5"),
            ("-.5", "-0.5"),
            ("3.", "3"),
            ("1E5", "1e5"),
            ("1.5e-07", "1.5e-07"),
            ("-158.135803222656", "-158.135803222656"),
            ("0.9765625000000000", "0.9765625000000000"),
            ("123456789012345", "123456789012345"),
        ] {
            assert_eq!(number(text).as_deref(), Some(json), "{text}");
        }
    }

    #[test]
    fn what_would_lose_digits_or_is_no_number_stays_text() {
        for text in [
            "",
            "-",
            ".",
            "1,5",
            "nan",
            "inf",
            "1e",
            "1e999",
            "1e300",
            "0x1",
            "1 2",
            "1.2.3",
            "1234567890123456",
            "1.234567890123456",
        ] {
            assert_eq!(number(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn numbers_mean_what_the_text_means(text in "[+-]?[0-9]{0,9}(\\.[0-9]{0,8})?([eE][+-]?[0-9]{1,3})?") {
            if let Some(json) = number(&text) {
                prop_assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok(), "{}", json);
                prop_assert_eq!(json.parse::<f64>(), text.parse::<f64>());
            }
        }
    }
}
