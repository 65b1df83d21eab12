//! The right to write into a data folder.

use crate::error::{BlobError, Result};
use rustix::fs::FlockOperation;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Held as long as this process may write into a data folder. The kernel lets go of it when the
/// process ends, however it ends.
#[derive(Debug)]
pub struct DataLock {
    root: PathBuf,
    _file: File,
}

impl DataLock {
    /// Makes the data folder if need be and takes its lock, `gantry.lock`.
    ///
    /// # Errors
    /// [`BlobError::Locked`] when another process (or this one) holds it.
    pub fn acquire(root: &Path) -> Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(root)
            .map_err(|error| BlobError::io("create", root, error))?;
        let path = root.join("gantry.lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|error| BlobError::io("open", &path, error))?;
        if let Err(error) = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            if error != rustix::io::Errno::WOULDBLOCK {
                return Err(BlobError::io("lock", &path, error));
            }
            return Err(BlobError::Locked {
                path,
                holder: read_holder(&mut file),
            });
        }
        // Only for the message that another process prints; a failure is of no consequence.
        let _ = file
            .set_len(0)
            .and_then(|()| file.write_all(format!("{}\n", std::process::id()).as_bytes()));
        Ok(Self {
            root: root.to_owned(),
            _file: file,
        })
    }

    /// The data folder.
    pub fn root(&self) -> &Path {
        &self.root
    }
}

fn read_holder(file: &mut File) -> String {
    let mut text = String::new();
    match file.take(20).read_to_string(&mut text) {
        Ok(_) if !text.trim().is_empty() => format!(" (process {})", text.trim()),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_folder_has_one_writer() {
        let root = tempfile::tempdir().unwrap();
        let lock = DataLock::acquire(root.path()).unwrap();
        let error = DataLock::acquire(root.path()).unwrap_err();
        assert!(
            error.to_string().contains(&std::process::id().to_string()),
            "{error}"
        );
        drop(lock);
        DataLock::acquire(root.path()).unwrap();
    }
}
