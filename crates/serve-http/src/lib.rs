//! The HTTP door: DICOMweb (PS3.18), WADO-URI, a small API and the start page.
//!
//! It decodes a request, calls one use case of the archive and encodes the answer. It must never
//! know what is below the use cases (no SQL, no path, no codec), must never hold a whole instance
//! in memory, and must never log a value of a data set or of a query.

pub mod accept;
pub mod conditional;
pub mod media_type;
pub mod multipart;
pub mod range;
