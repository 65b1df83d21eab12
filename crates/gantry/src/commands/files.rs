//! Files that commands write: named safely, complete or not at all.

use anyhow::Context;
use gantry_media::file_name;
use std::path::{Path, PathBuf};

/// `<study>/<series>/<instance>.dcm`, whatever the identifiers contain.
pub fn instance_path(study: &str, series: &str, instance: &str) -> PathBuf {
    let mut path = PathBuf::from(file_name::safe(study));
    path.push(file_name::safe(series));
    path.push(format!("{}.dcm", file_name::safe(instance)));
    path
}

/// A file in the making. It is taken away again unless it is kept.
#[derive(Debug)]
pub struct Partial {
    root: PathBuf,
    path: PathBuf,
    is_kept: bool,
}

impl Partial {
    /// A place for a file below `root`; `name` tells it from others.
    pub fn create(root: &Path, name: &str) -> anyhow::Result<Self> {
        let path = root.join(format!(".{}.part", file_name::safe(name)));
        Ok(Self {
            root: root.to_owned(),
            path,
            is_kept: false,
        })
    }

    /// Where to write.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts the whole file in its place below the root, and takes the place of one with its name.
    pub fn keep(mut self, name: &Path) -> anyhow::Result<()> {
        let target = self.root.join(name);
        if let Some(folder) = target.parent() {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
        }
        std::fs::rename(&self.path, &target)
            .with_context(|| format!("cannot write {}", target.display()))?;
        self.is_kept = true;
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.is_kept {
            // It may never have been made.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_kept_goes_away() {
        let folder = tempfile::tempdir().unwrap();
        let partial = Partial::create(folder.path(), "1.2/3").unwrap();
        std::fs::write(partial.path(), b"x").unwrap();
        drop(partial);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_kept_file_has_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let partial = Partial::create(folder.path(), "1.2").unwrap();
        std::fs::write(partial.path(), b"x").unwrap();
        partial
            .keep(&instance_path("1.2", "../1.3", "1.4"))
            .unwrap();
        assert!(folder.path().join("1.2/_._1.3/1.4.dcm").is_file());
    }
}
