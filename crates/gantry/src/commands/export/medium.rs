//! Writing a medium: files named by file IDs, and a DICOMDIR (PS3.10 §8, PS3.11).

use super::sink::{WriteError, copy_to_file};
use super::source::Stream;
use crate::commands::files::Partial;
use crate::commands::header;
use crate::commands::random;
use crate::commands::usage::usage;
use anyhow::Context;
use gantry_core::uid::Uid;
use gantry_media::file_set::FileSet;
use std::path::{Path, PathBuf};

/// A medium in the making.
pub struct Medium {
    root: PathBuf,
    file_set: FileSet,
}

impl Medium {
    /// An empty medium. Other files in the folder would be part of the File-set (PS3.10 §8.1), so
    /// there may be none.
    pub fn create(root: &Path, file_set_id: &str) -> anyhow::Result<Self> {
        let file_set = FileSet::new(file_set_id).map_err(usage)?;
        std::fs::create_dir_all(root).with_context(|| format!("cannot make {}", root.display()))?;
        let mut entries =
            std::fs::read_dir(root).with_context(|| format!("cannot read {}", root.display()))?;
        anyhow::ensure!(entries.next().is_none(), "{} is not empty", root.display());
        Ok(Self {
            root: root.to_owned(),
            file_set,
        })
    }

    /// Writes an instance and enters it into the directory; its length.
    pub async fn write(&mut self, stream: &mut Stream, name: &str) -> Result<u64, WriteError> {
        let partial = Partial::create(&self.root, name).map_err(WriteError::Target)?;
        let length = copy_to_file(stream, partial.path()).await?;
        let (header, transfer_syntax) = header::read(partial.path())
            .context("it cannot be entered into the directory")
            .map_err(WriteError::Instance)?;
        let file_id = self
            .file_set
            .add(&header, &transfer_syntax)
            .context("it cannot be entered into the directory")
            .map_err(WriteError::Instance)?;
        partial
            .keep(&file_id.to_path())
            .map_err(WriteError::Target)?;
        Ok(length)
    }

    /// Writes the directory.
    pub fn finish(self) -> anyhow::Result<()> {
        let dicomdir = self
            .file_set
            .to_dicomdir(&Uid::from_random(random::bits()?))?;
        let partial = Partial::create(&self.root, "DICOMDIR")?;
        std::fs::write(partial.path(), dicomdir)
            .with_context(|| format!("cannot write {}", partial.path().display()))?;
        partial.keep(Path::new("DICOMDIR"))
    }
}
