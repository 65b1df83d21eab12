//! What the JSON and the XML model of a data set have in common (PS3.18 annex F, PS3.19 A.1):
//! options, and what metadata become that are read.

pub(crate) mod build;
#[cfg(test)]
pub(crate) mod strategies;
pub(crate) mod values;

use crate::Vr;
use crate::data_set::DataSet;
use crate::element_path::ElementPath;

/// What (0008,0005) says in a model whose own text is Unicode anyway.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Declaration {
    /// ISO_IR 192 where there is a declaration, and at the top when there is text that needs one:
    /// who writes the model's text into a data set as it comes gets it right.
    #[default]
    Utf8,
    /// What the data set declares (PS3.18 F.2.2 note 3, edition 2025).
    AsStored,
}

/// How a data set is written.
#[derive(Clone, Copy)]
pub struct ModelOptions<'a> {
    /// The URI of the value at a path. Without one, values that are not in memory are written as
    /// if they were empty.
    pub bulk_data_uri: Option<&'a dyn Fn(&ElementPath) -> String>,
    /// Longest binary value, in bytes, that is written inline though it could have a URI.
    pub inline_max: usize,
    /// What is said about character sets.
    pub declaration: Declaration,
}

impl Default for ModelOptions<'_> {
    fn default() -> Self {
        Self {
            bulk_data_uri: None,
            inline_max: 64 * 1024,
            declaration: Declaration::Utf8,
        }
    }
}

/// The metadata of one instance, as a STOW-RS request brings them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metadata {
    /// The data set, without the elements whose values come apart.
    ///
    /// Its text is in the character set that the metadata declare if it fits, and in ISO_IR 192
    /// otherwise; the declaration is at the top and in no item.
    pub data_set: DataSet,
    /// Elements of group 0002, which some clients send; they are no part of the data set.
    pub file_meta: DataSet,
    /// The elements whose values come apart.
    pub bulk_data: Vec<BulkReference>,
}

/// An element whose value is elsewhere: [`DataSet::put_at`] puts it in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkReference {
    /// Where the element belongs.
    pub path: ElementPath,
    /// Its VR.
    pub vr: Vr,
    /// Where the value is: Content-Location of another part of the request, or a URL.
    pub uri: String,
}

/// Why the text of a model is no metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("at byte {offset}: {kind}")]
pub struct ModelError {
    /// Bytes from the start of the text.
    pub offset: usize,
    /// What is wrong.
    pub kind: ModelErrorKind,
}

/// What is wrong with the text of a model. No value of it is in here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ModelErrorKind {
    /// Not UTF-8.
    #[error("text is not UTF-8")]
    NotUtf8,
    /// The text ends too early.
    #[error("text ends early")]
    Truncated,
    /// Something else belongs here.
    #[error("expected {0}")]
    Expected(&'static str),
    /// Something is there twice.
    #[error("{0} occurs twice")]
    Duplicate(&'static str),
    /// Nested beyond the limit.
    #[error("nested too deeply")]
    TooDeep,
    /// More elements, items or values than the limit.
    #[error("too many elements or values")]
    TooMany,
    /// A number that its VR cannot hold.
    #[error("number does not fit its VR")]
    OutOfRange,
}

/// Deepest nesting of sequences that is read.
pub const DEPTH_MAX: usize = 64;
/// Most elements and items in one text, and most values in one element, that are read.
pub const ELEMENTS_MAX: usize = 4 << 20;
