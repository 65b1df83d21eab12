//! What a file is, by its first bytes; names tell nothing.

use gantry_dicom::part10::{self, FileMeta, MetaProgress, Part10Error};
use gantry_dicom::uids;

/// What a file is.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// A DICOM file with an instance: Part 10, or a bare data set.
    Instance(Box<FileMeta>),
    /// The directory of a File-set.
    Directory,
    /// It starts as a DICOM file but is none.
    Damaged(Part10Error),
    /// Something else.
    Other(Other),
}

/// What is no DICOM file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Other {
    /// No bytes.
    #[error("empty file")]
    Empty,
    /// A ZIP file.
    #[error("ZIP file")]
    Zip,
    /// Neither.
    #[error("no DICOM data")]
    Unknown,
}

/// How far the first bytes tell.
#[derive(Debug, Clone, PartialEq)]
pub enum Look {
    /// At least so many bytes from the start are needed.
    NeedMore(usize),
    /// This is it.
    Is(Content),
}

/// Tells what a file is from its first bytes; `is_whole` says that there are no more.
pub fn look(head: &[u8], is_whole: bool) -> Look {
    Look::Is(match part10::read_meta(head, is_whole) {
        Ok(MetaProgress::NeedMore(needed)) => return Look::NeedMore(needed),
        Ok(MetaProgress::Read(meta)) if is_directory(&meta) => Content::Directory,
        Ok(MetaProgress::Read(meta)) => Content::Instance(meta),
        Err(Part10Error::NotDicom) => Content::Other(match head {
            [] => Other::Empty,
            _ if is_zip(head) => Other::Zip,
            _ => Other::Unknown,
        }),
        Err(error) => Content::Damaged(error),
    })
}

/// Whether this is how a ZIP file starts (APPNOTE 4.3.7, 4.3.16).
pub fn is_zip(head: &[u8]) -> bool {
    head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06")
}

fn is_directory(meta: &FileMeta) -> bool {
    meta.sop_class().as_deref() == Some(uids::MEDIA_STORAGE_DIRECTORY_STORAGE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gantry_dicom::part10::NewFileMeta;

    const DATA_SET: &[u8] = b"\x08\0\x16\0UI\x02\x001\0\x08\0\x18\0UI\x02\x002\0";

    fn file(sop_class: &str) -> Vec<u8> {
        let meta = NewFileMeta {
            sop_class,
            sop_instance: "1.2",
            transfer_syntax: uids::EXPLICIT_VR_LITTLE_ENDIAN,
            ..NewFileMeta::default()
        };
        [part10::write_meta(&meta).as_slice(), DATA_SET].concat()
    }

    #[test]
    fn files_are_told_by_their_content() {
        let is = |bytes: &[u8]| match look(bytes, true) {
            Look::Is(content) => content,
            Look::NeedMore(needed) => panic!("{needed} more of a whole file"),
        };
        assert!(matches!(
            is(&file(uids::CT_IMAGE_STORAGE)),
            Content::Instance(_)
        ));
        assert!(matches!(is(DATA_SET), Content::Instance(_)));
        assert_eq!(
            is(&file(uids::MEDIA_STORAGE_DIRECTORY_STORAGE)),
            Content::Directory
        );
        assert_eq!(is(b""), Content::Other(Other::Empty));
        assert_eq!(is(b"PK\x03\x04 and so on"), Content::Other(Other::Zip));
        assert_eq!(is(&[0xFF; 400]), Content::Other(Other::Unknown));
        assert!(matches!(is(&file("1.2")[..150]), Content::Damaged(_)));
        assert!(matches!(
            look(&file("1.2")[..150], false),
            Look::NeedMore(_)
        ));
    }
}
