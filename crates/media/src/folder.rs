//! Walking through folders: every regular file once, in the order of names.

use std::collections::HashSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Deepest nesting of folders that is followed.
pub const DEPTH_MAX: usize = 128;

/// A file on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its length in bytes.
    pub length: u64,
    /// When it was last changed.
    pub modified: SystemTime,
}

/// Something on the way that is not given out as a file.
#[derive(Debug)]
pub struct Passed {
    /// Where it is.
    pub path: PathBuf,
    /// Why.
    pub reason: PassedReason,
}

/// Why something is not given out as a file.
#[derive(Debug, thiserror::Error)]
pub enum PassedReason {
    /// It cannot be looked at or listed.
    #[error("cannot be read: {0}")]
    Unreadable(std::io::Error),
    /// A socket, pipe or device.
    #[error("not a regular file")]
    NotRegular,
    /// A folder that was visited already by another way; a loop of links ends here too.
    #[error("folder was visited already through another link")]
    VisitedFolder,
    /// Folders nested deeper than [`DEPTH_MAX`].
    #[error("folders are nested more than {DEPTH_MAX} deep")]
    TooDeep,
}

/// Goes through files and folders. Symbolic links are followed; a folder is visited once,
/// whatever links lead to it.
#[derive(Debug)]
pub struct Walk {
    /// Entries still to look at, of each folder on the way down.
    levels: Vec<std::vec::IntoIter<PathBuf>>,
    /// Device and inode of folders.
    visited: HashSet<(u64, u64)>,
}

impl Walk {
    /// Starts with these files and folders.
    pub fn new(paths: Vec<PathBuf>) -> Self {
        Self {
            levels: vec![paths.into_iter()],
            visited: HashSet::new(),
        }
    }

    /// Leaves a folder out, by whatever path it is come to. One that does not exist is no matter.
    pub fn without(mut self, folder: &Path) -> Self {
        if let Ok(metadata) = std::fs::metadata(folder) {
            self.visited.insert((metadata.dev(), metadata.ino()));
        }
        self
    }

    fn look_at(&mut self, path: PathBuf) -> Option<Result<FoundFile, Passed>> {
        match self.found(&path) {
            Ok(found) => found.map(Ok),
            Err(reason) => Some(Err(Passed { path, reason })),
        }
    }

    fn found(&mut self, path: &Path) -> Result<Option<FoundFile>, PassedReason> {
        let metadata = std::fs::metadata(path).map_err(PassedReason::Unreadable)?;
        if metadata.is_dir() {
            if !self.visited.insert((metadata.dev(), metadata.ino())) {
                return Err(PassedReason::VisitedFolder);
            }
            if self.levels.len() > DEPTH_MAX {
                return Err(PassedReason::TooDeep);
            }
            self.levels
                .push(entries(path).map_err(PassedReason::Unreadable)?);
            return Ok(None);
        }
        if !metadata.is_file() {
            return Err(PassedReason::NotRegular);
        }
        let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        Ok(Some(FoundFile {
            path: path.to_owned(),
            length: metadata.len(),
            modified,
        }))
    }
}

impl Iterator for Walk {
    type Item = Result<FoundFile, Passed>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(level) = self.levels.last_mut() {
            match level.next() {
                Some(path) => {
                    if let Some(item) = self.look_at(path) {
                        return Some(item);
                    }
                }
                None => drop(self.levels.pop()),
            }
        }
        None
    }
}

fn entries(folder: &Path) -> std::io::Result<std::vec::IntoIter<PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        paths.push(entry?.path());
    }
    paths.sort();
    Ok(paths.into_iter())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn names(walk: Walk, root: &Path) -> (Vec<String>, Vec<String>) {
        let (mut files, mut passed) = (Vec::new(), Vec::new());
        for item in walk {
            match item {
                Ok(file) => {
                    files.push(file.path.strip_prefix(root).unwrap().display().to_string());
                }
                Err(Passed { reason, .. }) => passed.push(reason.to_string()),
            }
        }
        (files, passed)
    }

    #[test]
    fn files_come_once_and_in_order_whatever_links_there_are() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        std::fs::create_dir_all(root.join("b/c")).unwrap();
        std::fs::write(root.join("b/c/2"), b"22").unwrap();
        std::fs::write(root.join("b/1"), b"1").unwrap();
        std::fs::write(root.join("a"), b"").unwrap();
        symlink(root, root.join("b/c/loop")).unwrap();
        symlink(root.join("b"), root.join("again")).unwrap();
        symlink(root.join("gone"), root.join("z")).unwrap();
        let (files, passed) = names(Walk::new(vec![root.to_owned()]), root);
        assert_eq!(files, ["a", "again/1", "again/c/2"]);
        assert_eq!(passed.len(), 3, "{passed:?}");
        assert!(passed[2].starts_with("cannot be read"));
    }

    #[test]
    fn a_folder_can_be_left_out() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        std::fs::create_dir(root.join("data")).unwrap();
        std::fs::write(root.join("data/pack"), b"").unwrap();
        std::fs::write(root.join("x"), b"").unwrap();
        let walk = Walk::new(vec![root.to_owned()]).without(&root.join("data/../data"));
        assert_eq!(names(walk, root).0, ["x"]);
    }

    #[test]
    fn what_is_no_regular_file_is_not_opened() {
        let root = tempfile::tempdir().unwrap();
        let socket = root.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let (files, passed) = names(Walk::new(vec![socket]), root.path());
        assert!(files.is_empty());
        assert_eq!(passed, ["not a regular file"]);
    }
}
