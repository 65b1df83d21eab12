//! What exported instances become: files, entries of a ZIP file, or files of a medium.

use super::Target;
use super::medium::Medium;
use super::source::{Item, Stream};
use crate::commands::files::{self, Partial};
use anyhow::Context;
use gantry_dicom::part10::{self, MetaProgress};
use gantry_dicom::transfer_syntax::TransferSyntax;
use gantry_media::zip_file::{Compression, ZipFileWriter};
use std::collections::HashSet;
use std::io::Write;
use std::path::{Path, PathBuf};

/// What exported instances become.
pub enum Sink {
    /// Files below a folder.
    Folder {
        root: PathBuf,
        names: HashSet<PathBuf>,
    },
    /// Entries of a ZIP file. It has another name until it is whole.
    Zip {
        writer: Box<ZipFileWriter>,
        partial: PathBuf,
        path: PathBuf,
        names: HashSet<PathBuf>,
    },
    /// Files of a medium.
    Medium(Box<Medium>),
}

/// Why an instance was not written.
pub enum WriteError {
    /// The trouble is with the instance; others may do better.
    Instance(anyhow::Error),
    /// Nothing more can be written.
    Target(anyhow::Error),
}

impl Sink {
    /// Makes what is needed before the first instance.
    pub fn create(target: &Target, file_set_id: &str) -> anyhow::Result<Self> {
        match target {
            Target {
                out: Some(root), ..
            } => {
                std::fs::create_dir_all(root)
                    .with_context(|| format!("cannot make {}", root.display()))?;
                Ok(Self::Folder {
                    root: root.clone(),
                    names: HashSet::new(),
                })
            }
            Target {
                zip: Some(path), ..
            } => {
                anyhow::ensure!(!path.exists(), "{} exists already", path.display());
                let mut partial = path.clone().into_os_string();
                partial.push(".part");
                let partial = PathBuf::from(partial);
                // One that was left by an export that was cut off.
                let _ = std::fs::remove_file(&partial);
                let writer = ZipFileWriter::create(&partial)
                    .with_context(|| format!("cannot make {}", partial.display()))?;
                let path = path.clone();
                Ok(Self::Zip {
                    writer: Box::new(writer),
                    partial,
                    path,
                    names: HashSet::new(),
                })
            }
            Target {
                media: Some(root), ..
            } => Ok(Self::Medium(Box::new(Medium::create(root, file_set_id)?))),
            Target {
                out: None,
                zip: None,
                media: None,
            } => anyhow::bail!("no target"),
        }
    }

    /// Writes one instance; its length.
    pub async fn write(&mut self, stream: &mut Stream, item: &Item) -> Result<u64, WriteError> {
        match self {
            Self::Folder { root, names } => {
                let path = unused(names, item);
                let partial =
                    Partial::create(root, &item.place.instance).map_err(WriteError::Target)?;
                let length = copy_to_file(stream, partial.path()).await?;
                partial.keep(&path).map_err(WriteError::Target)?;
                Ok(length)
            }
            Self::Zip { writer, names, .. } => {
                let path = unused(names, item);
                copy_to_zip(stream, writer, &path).await
            }
            Self::Medium(medium) => medium.write(stream, &item.place.instance).await,
        }
    }

    /// Ends it: the directory of a ZIP file, the DICOMDIR of a medium.
    pub fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::Folder { .. } => Ok(()),
            Self::Zip {
                writer,
                partial,
                path,
                ..
            } => {
                writer
                    .finish()
                    .with_context(|| format!("cannot write {}", partial.display()))?;
                std::fs::rename(&partial, &path)
                    .with_context(|| format!("cannot write {}", path.display()))
            }
            Self::Medium(medium) => medium.finish(),
        }
    }
}

/// The path of an instance. Identifiers that differ only in what no file name can hold get
/// different names.
fn unused(names: &mut HashSet<PathBuf>, item: &Item) -> PathBuf {
    let place = &item.place;
    let mut path = files::instance_path(&place.study, &place.series, &place.instance);
    let mut number = 2;
    while !names.insert(path.clone()) {
        let instance = format!("{}-{number}", place.instance);
        path = files::instance_path(&place.study, &place.series, &instance);
        number += 1;
    }
    path
}

/// Copies a stream to a new file.
pub async fn copy_to_file(stream: &mut Stream, path: &Path) -> Result<u64, WriteError> {
    let target = |error: std::io::Error| {
        let error = anyhow::Error::new(error);
        WriteError::Target(error.context(format!("cannot write {}", path.display())))
    };
    let mut file = std::fs::File::create(path).map_err(target)?;
    let mut length = 0;
    while let Some(bytes) = stream.next().await.map_err(WriteError::Instance)? {
        length += bytes.len() as u64;
        file.write_all(&bytes).map_err(target)?;
    }
    Ok(length)
}

async fn copy_to_zip(
    stream: &mut Stream,
    writer: &mut ZipFileWriter,
    path: &Path,
) -> Result<u64, WriteError> {
    let target = |error: std::io::Error| {
        WriteError::Target(anyhow::Error::new(error).context("cannot write the ZIP file"))
    };
    let first = stream
        .next()
        .await
        .map_err(WriteError::Instance)?
        .unwrap_or_default();
    let name = path.to_string_lossy().replace('\\', "_");
    writer.start(&name, compression(&first)).map_err(target)?;
    writer.write_all(&first).map_err(target)?;
    let mut length = first.len() as u64;
    loop {
        match stream.next().await {
            Ok(Some(bytes)) => {
                length += bytes.len() as u64;
                writer.write_all(&bytes).map_err(target)?;
            }
            Ok(None) => return Ok(length),
            Err(error) => {
                writer.abort().map_err(target)?;
                return Err(WriteError::Instance(error));
            }
        }
    }
}

/// What is compressed already is not compressed again.
fn compression(start: &[u8]) -> Compression {
    let Ok(MetaProgress::Read(meta)) = part10::read_meta(start, true) else {
        return Compression::Deflated;
    };
    let syntax = TransferSyntax::of(meta.transfer_syntax());
    match syntax.is_encapsulated() || syntax.is_deflated {
        true => Compression::Stored,
        false => Compression::Deflated,
    }
}
