//! The DICOM JSON model (PS3.18 annex F).
//!
//! Writing goes straight into a byte buffer. Choices that the standard leaves open:
//! - decimal and integer strings are JSON numbers with the digits that are stored, unless a
//!   reader with 64-bit floats would lose some: then they are strings;
//! - 64-bit integers beyond 2⁵³ are strings, and so are NaN and the infinities;
//! - binary values in memory are inline, deferred ones and fragments have a BulkDataURI;
//! - Specific Character Set is what [`crate::model::Declaration`] says.

mod lexer;
mod number;
mod parse;
mod write;

#[cfg(test)]
mod tests;

pub use parse::parse;
pub use write::write;
