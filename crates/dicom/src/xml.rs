//! The Native DICOM Model in XML (PS3.19 A.1), which is `application/dicom+xml` (PS3.18 F.1).
//!
//! Private elements are written with the block number 00 and the name of their private creator;
//! the creator elements are written too. Characters that XML 1.0 cannot hold, such as the escape
//! character, become U+FFFD. Otherwise the choices are those of [`crate::json`].

mod parse;
mod private_blocks;
mod write;

#[cfg(test)]
mod tests;

pub use parse::parse;
pub use write::write;
