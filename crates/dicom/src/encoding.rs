//! Encodings of data sets (PS3.5 §7): reading whole data sets into memory and writing them.
//!
//! Policy for reading, where the field departs from the standard:
//! - a tag that comes twice in a data set: the first one counts; order does not matter;
//! - group lengths (gggg,0000) and data set trailing padding (FFFC,FFFC) are dropped, except
//!   the group lengths of the command set and of the file meta information;
//! - UN of a tag that the dictionary knows takes the dictionary's VR (PS3.5 6.2.2 note 2); UN of
//!   undefined length is a sequence in implicit VR little endian (the same section);
//! - a VR that the standard does not have reads as UN, lower-case letters as upper-case ones, and
//!   an implicit VR element amid explicit ones is recognised;
//! - values of odd length, and delimiters with a length other than zero, are taken as they are;
//! - a value in implicit VR that should be a sequence by the dictionary, but does not start as one,
//!   reads as UN;
//! - zeros after the last element are ignored;
//! - the delimiter after the last fragment may be missing at the very end.
//!
//! Lengths that leave their sequence, their item or the data set are errors, as are delimiters
//! where none belongs and undefined lengths of what is no sequence.

mod big_endian;
mod element_header;
mod guess;
mod parse;
mod vr;
mod write;

pub use crate::limits::Limits;
pub use big_endian::{swap_in_place, words};
pub use guess::guess_encoding;
pub use parse::{parse, parse_prefix};
pub use vr::{has_long_length, is_text, padding, word_size};
pub use write::{write, write_into};

pub(crate) use element_header::{
    Delimiter, ElementHeader, UNDEFINED, looks_explicit, looks_explicit_for_certain,
    looks_like_items,
};
pub(crate) use guess::actual_encoding;
pub(crate) use parse::{UndefinedForm, deferral, is_dropped, parse_header, resolve_unknown};
pub(crate) use write::{write_deferral, write_element, write_element_header, write_header};

use crate::{Tag, Vr};

/// How the elements of a data set are encoded (PS3.5 A.1 to A.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// Explicit VR little endian.
    ExplicitLittle,
    /// Implicit VR little endian.
    ImplicitLittle,
    /// Explicit VR big endian.
    ExplicitBig,
}

impl Encoding {
    /// Whether elements name their VR.
    pub fn is_explicit(self) -> bool {
        self != Self::ImplicitLittle
    }

    /// Whether numbers have their most significant byte first.
    pub fn is_big_endian(self) -> bool {
        self == Self::ExplicitBig
    }
}

/// Why bytes are no data set. Offsets count from the start of the data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The data end inside an element.
    #[error("element {tag} at offset {offset} is cut: {missing} bytes missing")]
    Truncated {
        /// The element, or the enclosing one when the cut is in an element's header.
        tag: Tag,
        /// Where it starts.
        offset: u64,
        /// How many bytes more it should have, as far as is known.
        missing: u64,
    },
    /// A sequence or an item of undefined length has no end.
    #[error("sequence or item {tag} at offset {offset} is never closed")]
    Unclosed {
        /// The sequence element.
        tag: Tag,
        /// Where the data end.
        offset: u64,
    },
    /// An element leaves the sequence or item that it is in.
    #[error("element {tag} at offset {offset} is longer than the item or sequence it is in")]
    LongerThanParent {
        /// The element.
        tag: Tag,
        /// Where it starts.
        offset: u64,
    },
    /// An undefined length where none is allowed.
    #[error("element {tag} ({vr}) at offset {offset} has an undefined length")]
    UndefinedLength {
        /// The element.
        tag: Tag,
        /// Its VR.
        vr: Vr,
        /// Where it starts.
        offset: u64,
    },
    /// An item or delimiter outside of its place.
    #[error("stray delimiter {tag} at offset {offset}")]
    StrayDelimiter {
        /// The item tag or delimiter.
        tag: Tag,
        /// Where it is.
        offset: u64,
    },
    /// Something else than an item in a sequence or among fragments.
    #[error("{found} at offset {offset} where an item of {tag} should be")]
    ItemExpected {
        /// The sequence element.
        tag: Tag,
        /// What is there.
        found: Tag,
        /// Where it is.
        offset: u64,
    },
    /// Something else than zeros after the zeros that follow the last element.
    #[error("garbage at offset {offset}, after the last element")]
    Garbage {
        /// Where the first byte is that is not zero.
        offset: u64,
    },
    /// Sequences nested too deeply.
    #[error("sequences are nested more than {depth_max} deep at offset {offset}")]
    TooDeep {
        /// The limit.
        depth_max: usize,
        /// Where the sequence starts that goes too far.
        offset: u64,
    },
    /// Too many elements and items.
    #[error("more than {elements_max} elements")]
    TooManyElements {
        /// The limit.
        elements_max: usize,
    },
    /// A value longer than allowed.
    #[error("value of {tag} has {length} bytes, more than {value_bytes_max}")]
    ValueTooLong {
        /// The element.
        tag: Tag,
        /// Its length.
        length: u64,
        /// The limit.
        value_bytes_max: u64,
    },
}

#[cfg(test)]
pub(crate) mod tests;
