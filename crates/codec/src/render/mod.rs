//! From stored values to a picture: the DICOM grey-scale and colour pipelines (PS3.4 N.2) and the
//! parameters of a rendered resource (PS3.18 8.3.5).

pub mod presentation;
pub mod request;

pub use presentation::Presentation;
pub use request::{Format, IccOutput, RenderRequest, Rendered, Viewport};
