//! File IDs (PS3.10 §8.2, §8.5; PS3.12): names of files that every medium can keep.

use std::fmt;
use std::path::{Path, PathBuf};

/// The ID of a file in a File-set: 1 to 8 components of 1 to 8 characters, each `A`–`Z`, `0`–`9`
/// or `_` (PS3.10 §8.2, §8.5).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(Vec<String>);

/// Why something is no file ID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileIdError {
    /// No components, or more than eight.
    #[error("file ID has {0} components (1 to 8 are allowed)")]
    Components(usize),
    /// A component that is empty, too long or has other characters.
    #[error("file ID component {0:?} is not 1 to 8 of A-Z, 0-9 and _")]
    Component(String),
}

/// Longest path, in components (PS3.10 §8.2).
pub const COMPONENTS_MAX: usize = 8;
/// Longest component, in characters (PS3.10 §8.2).
pub const COMPONENT_LENGTH_MAX: usize = 8;

impl FileId {
    /// Checks the rules of PS3.10 §8.2 and §8.5.
    pub fn new(components: Vec<String>) -> Result<Self, FileIdError> {
        if components.is_empty() || components.len() > COMPONENTS_MAX {
            return Err(FileIdError::Components(components.len()));
        }
        let is_allowed =
            |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        match components.iter().find(|component| {
            component.is_empty()
                || component.len() > COMPONENT_LENGTH_MAX
                || !component.bytes().all(is_allowed)
        }) {
            Some(wrong) => Err(FileIdError::Component(wrong.chars().take(64).collect())),
            None => Ok(Self(components)),
        }
    }

    /// The components, from the root of the File-set to the file.
    pub fn components(&self) -> &[String] {
        &self.0
    }

    /// The path below the root of the File-set.
    pub fn to_path(&self) -> PathBuf {
        self.0.iter().collect()
    }

    /// The value of Referenced File ID (0004,1500): components separated by backslashes.
    pub fn to_value(&self) -> String {
        self.0.join("\\")
    }
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("/"))
    }
}

/// A file ID as some directory spells it: real media have lower case, long names and dots in it.
/// What could lead out of the File-set is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ReferencedFileId(Vec<String>);

impl ReferencedFileId {
    /// Reads the value of Referenced File ID (0004,1500). A slash separates like a backslash,
    /// because some writers use it. Nothing is returned for an empty value and for one with a
    /// component that is no plain name (`..`, a drive, a control character).
    pub fn parse(value: &str) -> Option<Self> {
        let components: Vec<String> = value
            .trim_matches(['\0', ' '])
            .split(['\\', '/'])
            .map(|component| component.trim_matches([' ', '\0']))
            .filter(|component| !component.is_empty() && *component != ".")
            .map(str::to_owned)
            .collect();
        let is_plain = |component: &String| {
            component != ".."
                && component.len() <= 255
                && !component
                    .chars()
                    .any(|character| character.is_control() || character == ':')
        };
        let is_sound = !components.is_empty()
            && components.len() <= 4 * COMPONENTS_MAX
            && components.iter().all(is_plain);
        is_sound.then_some(Self(components))
    }

    /// The components, from the root of the File-set to the file.
    pub fn components(&self) -> &[String] {
        &self.0
    }

    /// Finds the file below `root`. Media are mounted in many ways: the name may be in lower case,
    /// or carry the `.` and the version `;1` of ISO 9660.
    pub fn find_below(&self, root: &Path) -> Option<PathBuf> {
        let exact: PathBuf = root.join(self.0.iter().collect::<PathBuf>());
        if exact.is_file() {
            return Some(exact);
        }
        let mut path = root.to_path_buf();
        for component in &self.0 {
            path = entry_like(&path, component)?;
        }
        path.is_file().then_some(path)
    }

    /// The form in which names are compared across mounts: upper case, without `;1` and a dot at
    /// the end, joined by slashes.
    pub fn folded(&self) -> String {
        self.0
            .iter()
            .map(|component| folded(component))
            .collect::<Vec<_>>()
            .join("/")
    }
}

impl fmt::Display for ReferencedFileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("/"))
    }
}

/// One name in the form of [`ReferencedFileId::folded`].
pub fn folded(name: &str) -> String {
    let name = match name.rsplit_once(';') {
        Some((name, version)) if version.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => name,
    };
    name.trim_end_matches('.').to_ascii_uppercase()
}

fn entry_like(folder: &Path, name: &str) -> Option<PathBuf> {
    let exact = folder.join(name);
    if exact.exists() {
        return Some(exact);
    }
    let wanted = folded(name);
    let mut candidates: Vec<PathBuf> = std::fs::read_dir(folder)
        .ok()?
        .filter_map(Result::ok)
        .filter(|entry| {
            entry
                .file_name()
                .to_str()
                .is_some_and(|other| folded(other) == wanted)
        })
        .map(|entry| entry.path())
        .collect();
    candidates.sort();
    candidates.into_iter().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn components(text: &str) -> Vec<String> {
        text.split('/').map(str::to_owned).collect()
    }

    #[test]
    fn rules_of_part_10_are_checked() {
        let id = FileId::new(components("PT000000/ST_1/IM1")).unwrap();
        assert_eq!(id.to_value(), "PT000000\\ST_1\\IM1");
        assert_eq!(id.to_path(), PathBuf::from("PT000000/ST_1/IM1"));
        for text in ["pt000000", "ABCDEFGHI", "A.B", "A//B", "A-B", "Ä"] {
            assert!(
                matches!(
                    FileId::new(components(text)),
                    Err(FileIdError::Component(_))
                ),
                "{text}"
            );
        }
        assert_eq!(
            FileId::new(vec!["A".into(); 9]),
            Err(FileIdError::Components(9))
        );
        assert_eq!(FileId::new(Vec::new()), Err(FileIdError::Components(0)));
    }

    #[test]
    fn references_that_leave_the_file_set_are_refused() {
        for text in [
            "..\\secret",
            "A\\..\\..\\B",
            "C:\\A",
            "A\\\u{1}",
            "",
            " ",
            "\\",
        ] {
            assert_eq!(ReferencedFileId::parse(text), None, "{text:?}");
        }
        let absolute = ReferencedFileId::parse("/etc/passwd").unwrap();
        assert_eq!(
            absolute.components(),
            ["etc", "passwd"],
            "a leading slash is no root"
        );
    }

    #[test]
    fn files_are_found_however_the_medium_is_mounted() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("dicom")).unwrap();
        std::fs::write(folder.path().join("dicom/im000001.;1"), b"x").unwrap();
        std::fs::write(folder.path().join("dicom/Im000002"), b"x").unwrap();
        let find = |value: &str| {
            ReferencedFileId::parse(value)
                .unwrap()
                .find_below(folder.path())
        };
        assert_eq!(
            find("DICOM\\IM000001"),
            Some(folder.path().join("dicom/im000001.;1"))
        );
        assert_eq!(
            find("DICOM\\IM000002 "),
            Some(folder.path().join("dicom/Im000002"))
        );
        assert_eq!(find("DICOM\\IM000003"), None);
        assert_eq!(find("DICOM"), None, "a folder is no file");
    }
}
