//! Small files that are there whole or not at all, whatever happens.

use crate::error::{KeyError, Result};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Ending of files that are not finished.
const UNFINISHED: &str = "unfinished";

/// Writes a file only its owner may read, durably. What was there before stays until it is done.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let unfinished = unfinished(path);
    write_new(&unfinished, bytes)?;
    std::fs::rename(&unfinished, path).map_err(KeyError::io("replace", path))?;
    sync_folder_of(path)
}

/// As [`write`], but refuses to replace a file.
pub(crate) fn create(path: &Path, bytes: &[u8]) -> Result<()> {
    let unfinished = unfinished(path);
    write_new(&unfinished, bytes)?;
    // A link, unlike a renamed file, does not replace what is there.
    let linked = std::fs::hard_link(&unfinished, path);
    let _ = std::fs::remove_file(&unfinished);
    linked.map_err(KeyError::io("create", path))?;
    sync_folder_of(path)
}

/// Moves a file over another, durably.
pub(crate) fn replace(from: &Path, to: &Path) -> Result<()> {
    std::fs::rename(from, to).map_err(KeyError::io("replace", to))?;
    sync_folder_of(to)
}

/// Makes a folder only its owner may look into, with those above it.
pub(crate) fn create_folder(folder: &Path) -> Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(KeyError::io("create", folder))?;
    sync_folder_of(folder)
}

/// Whether a name is that of a file that was never finished.
pub(crate) fn is_unfinished(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == UNFINISHED)
}

fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(UNFINISHED);
    name.into()
}

fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .map_err(KeyError::io("create", path))?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(KeyError::io("write", path))
}

fn sync_folder_of(path: &Path) -> Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(KeyError::io("sync", folder))
}
