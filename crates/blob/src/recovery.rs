//! Opening the ledger after whatever happened.

use crate::Options;
use crate::append::{ActivePack, Writer};
use crate::blobs::{Blobs, Folders};
use crate::cipher::DataCipher;
use crate::error::{BlobError, Result};
use crate::location::Position;
use crate::pack::{self, Link};
use crate::pack_keys::PackKeys;
use crate::random;
use crate::replay::Replay;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

/// A ledger ready for writing, and what was found wrong on the way.
pub(crate) struct Recovered {
    pub writer: Writer,
    pub damage: Vec<BlobError>,
}

/// Finds the end of the ledger, cuts off what lies behind it, clears the staging folder.
pub(crate) fn recover(
    blobs: &Arc<Blobs>,
    options: &Options,
    cipher: Option<Arc<DataCipher>>,
) -> Result<Recovered> {
    let folders = blobs.folders().clone();
    for folder in [&folders.packs, &folders.large, &folders.staging] {
        pack::create_folder(folder)?;
    }
    clear(&folders.staging)?;
    let numbers = pack::numbers(&folders.packs)?;
    let chain = pack::chain(&folders.packs, &numbers)?;
    let archive = archive_id(&folders, chain.last())?;
    remove_unused(&folders, &numbers, &chain)?;
    let mut writer = Writer {
        archive,
        cipher,
        active: None,
        sequence: 0,
        number_max: numbers.last().copied().unwrap_or(0),
        prepared: None,
        checkpoint: Position::START,
        last_start: None,
        folders,
    };
    let mut damage = Vec::new();
    if let Some(link) = chain.last() {
        damage = find_end(blobs, link, &mut writer, options)?;
    }
    Ok(Recovered { writer, damage })
}

/// Reads the newest pack up to its last whole record and makes that its end.
fn find_end(
    blobs: &Arc<Blobs>,
    link: &Link,
    writer: &mut Writer,
    options: &Options,
) -> Result<Vec<BlobError>> {
    let number = link.header.number;
    let path = pack::path(&writer.folders.packs, number);
    // First of all: without the key everything would look like a torn tail.
    let keys = PackKeys::find(&link.header, blobs.keyring(), &path)?;
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path)
        .map_err(|error| BlobError::io("open", &path, error))?;
    // What a killed process wrote is still on its way to the disk: it must be there before the
    // index takes it for granted.
    file.sync_data()
        .map_err(|error| BlobError::io("sync", &path, error))?;
    let mut damage = Vec::new();
    let hint = read_checkpoint(&writer.folders);
    let Some(mut replay) = Replay::open_newest(Arc::clone(blobs), hint)? else {
        return Ok(damage);
    };
    for record in replay.by_ref() {
        match record {
            Ok(_) => {}
            Err(error @ BlobError::Corrupt { .. }) => damage.push(error),
            Err(error) => return Err(error),
        }
    }
    let end = replay.position();
    writer.sequence = end.sequence;
    writer.last_start = replay.last_start();
    writer.checkpoint = writer.last_start.unwrap_or(Position::START);
    cut(&file, &path, end.offset, options.pack_bytes)?;
    writer.active = Some(ActivePack {
        number,
        file,
        path,
        end: end.offset,
        is_suspect: false,
        keys,
    });
    Ok(damage)
}

/// Takes away everything behind `end`, so that no byte of an unfinished batch can ever be read
/// as a record, and allocates the space again.
fn cut(file: &File, path: &Path, end: u64, pack_bytes: u64) -> Result<()> {
    let cut = |error| BlobError::io("truncate", path, error);
    file.set_len(end).map_err(cut)?;
    let left = pack_bytes.saturating_sub(end);
    let flags = rustix::fs::FallocateFlags::empty();
    if left > 0
        && let Err(error) = rustix::fs::fallocate(file, flags, end, left)
    {
        tracing::debug!(%error, "pack is not allocated ahead");
        file.set_len(end).map_err(cut)?;
    }
    file.sync_all()
        .map_err(|error| BlobError::io("sync", path, error))
}

/// Removes packs that were prepared, or given up, and never became part of the ledger.
fn remove_unused(folders: &Folders, numbers: &[u32], chain: &[Link]) -> Result<()> {
    let newest = chain.last().map_or(0, |link| link.header.number);
    for &number in numbers.iter().filter(|number| **number > newest) {
        let path = pack::path(&folders.packs, number);
        std::fs::remove_file(&path).map_err(|error| BlobError::io("remove", &path, error))?;
    }
    Ok(())
}

fn clear(staging: &Path) -> Result<()> {
    let entries = std::fs::read_dir(staging).map_err(|e| BlobError::io("list", staging, e))?;
    for entry in entries {
        let path = entry
            .map_err(|error| BlobError::io("list", staging, error))?
            .path();
        std::fs::remove_file(&path).map_err(|error| BlobError::io("remove", &path, error))?;
    }
    Ok(())
}

/// The archive's id: of its packs, or of the file that was made before the first of them.
fn archive_id(folders: &Folders, newest: Option<&Link>) -> Result<[u8; 16]> {
    if let Some(link) = newest {
        return Ok(link.header.archive);
    }
    let path = folders.blobs.join("archive");
    if let Ok(text) = std::fs::read_to_string(&path)
        && let Ok(id) = u128::from_str_radix(text.trim(), 16)
    {
        return Ok(id.to_be_bytes());
    }
    let id = random::bits()?;
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&path)
        .map_err(|error| BlobError::io("create", &path, error))?;
    file.write_all(format!("{:032x}\n", u128::from_be_bytes(id)).as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(|error| BlobError::io("write", &path, error))?;
    pack::sync_folder(&folders.blobs)?;
    Ok(id)
}

/// Writes down where a record begins. It is only a hint, checked before it is believed: it is
/// not synced, and a failure is of no consequence.
pub(crate) fn write_checkpoint(folders: &Folders, position: Position) {
    let path = folders.blobs.join("checkpoint");
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .and_then(|file| file.write_all_at(&position.to_bytes(), 0));
    if let Err(error) = written {
        tracing::debug!(%error, "checkpoint is not written");
    }
}

fn read_checkpoint(folders: &Folders) -> Option<Position> {
    Position::from_bytes(&std::fs::read(folders.blobs.join("checkpoint")).ok()?)
}
