//! Writing batches of records.
//!
//! When `fdatasync` fails, the kernel may have marked pages as clean that never reached the
//! disk, and a second `fdatasync` of the same file would succeed without them. So a pack whose
//! sync failed is sealed where it was last known to be good, and the batch is written again to
//! a new pack.

use crate::Options;
use crate::blobs::Folders;
use crate::cipher::{DataCipher, FRONT_LENGTH};
use crate::error::{BlobError, Result};
use crate::failpoint;
use crate::location::Position;
use crate::pack::{self, FIRST_OFFSET, PackEnd, PackHeader};
use crate::pack_keys::PackKeys;
use crate::record::{
    ALIGNMENT, Appended, BlobContent, HEADER_LENGTH, Header, NewRecord, RecordKind,
};
use crate::recovery::write_checkpoint;
use gantry_keys::KeyId;
use std::fs::File;
use std::io::{self, IoSlice};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

/// Most pieces that one `pwritev` takes (IOV_MAX).
const SLICES_MAX: usize = 1024;
/// Most bytes that one `pwritev` takes. For a longer one the kernel looks for larger pages, and on
/// virtual machines those are the ones the host has to find memory for: writing 8 MiB at once took
/// between 1 and 12 times the CPU of writing them by halves of a MiB.
const WRITE_LENGTH_MAX: usize = 512 << 10;
/// Bytes after which the place of a record is written down, so that opening need not read more.
const CHECKPOINT_BYTES: u64 = 16 << 20;

/// The single writer.
#[derive(Debug)]
pub(crate) struct Writer {
    pub folders: Folders,
    pub archive: [u8; 16],
    /// With what new packs are encrypted; none when they are plain.
    pub cipher: Option<Arc<DataCipher>>,
    /// The active pack; none before an archive's first record.
    pub active: Option<ActivePack>,
    pub sequence: u64,
    /// Highest number of any pack file, active or not.
    pub number_max: u32,
    pub prepared: Option<JoinHandle<Result<PreparedPack>>>,
    pub checkpoint: Position,
    pub last_start: Option<Position>,
}

/// The pack that is written to.
#[derive(Debug)]
pub(crate) struct ActivePack {
    pub number: u32,
    pub file: File,
    pub path: PathBuf,
    /// Where the last durable record ends.
    pub end: u64,
    /// Whether bytes behind `end` may be something else than free space.
    pub is_suspect: bool,
    pub keys: PackKeys,
}

#[derive(Debug)]
pub(crate) struct PreparedPack {
    number: u32,
    file: File,
}

impl Writer {
    /// Bytes of records that a pack holds.
    pub fn capacity(options: &Options) -> u64 {
        options.pack_bytes.saturating_sub(FIRST_OFFSET)
    }

    pub fn end(&self) -> Position {
        let (pack, offset) = self
            .active
            .as_ref()
            .map_or((0, 0), |pack| (pack.number, pack.end));
        Position {
            sequence: self.sequence,
            pack,
            offset,
        }
    }

    pub fn append(&mut self, batch: &[NewRecord], options: &Options) -> Result<Vec<Appended>> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        if batch
            .iter()
            .any(|record| record.kind == RecordKind::Instance)
        {
            require_space(&self.folders, options.reserve_bytes)?;
        }
        let headers = self.headers(batch)?;
        let length = headers.iter().fold(0, |length: u64, header| {
            length.saturating_add(header.total_length())
        });
        let capacity = Self::capacity(options);
        if length > capacity {
            return Err(BlobError::TooLarge {
                bytes: length,
                capacity,
            });
        }
        let key = self.key();
        let is_full = |pack: &ActivePack| length > options.pack_bytes.saturating_sub(pack.end);
        if self
            .active
            .as_ref()
            .is_none_or(|pack| pack.is_suspect || pack.keys.id() != key || is_full(pack))
        {
            self.activate_next(options)?;
        }
        if self.write(batch, &headers)?.is_err() {
            self.activate_next(options)?;
            self.write(batch, &headers)??;
        }
        let appended = self.advance(&headers);
        self.prepare_ahead(options);
        self.checkpoint_if_due();
        Ok(appended)
    }

    fn headers(&self, batch: &[NewRecord]) -> Result<Vec<Header>> {
        let first = self.sequence;
        batch
            .iter()
            .zip(first..)
            .map(|(record, sequence)| {
                self.require_key(record)?;
                Header::of(record, sequence, first, self.cipher.is_some())
            })
            .collect()
    }

    fn key(&self) -> Option<KeyId> {
        self.cipher.as_ref().map(|cipher| cipher.id())
    }

    /// What was encrypted elsewhere was so with the key of the pack it comes into.
    fn require_key(&self, record: &NewRecord) -> Result<()> {
        let key = match record.blob.as_ref().map(|blob| &blob.content) {
            Some(BlobContent::Inline(_)) => None,
            Some(BlobContent::Sealed(sealed)) => Some(sealed.key),
            Some(BlobContent::Large(_)) | None => return Ok(()),
        };
        if key == self.key() {
            return Ok(());
        }
        Err(BlobError::Inconsistent {
            path: self.folders.packs.clone(),
            what: "a blob is not encrypted as its pack is",
        })
    }

    /// Writes and syncs. The outer result is a failed write, after which the pack is good up to
    /// its end; the inner one a failed sync, after which it is not to be written again.
    fn write(&mut self, batch: &[NewRecord], headers: &[Header]) -> Result<Result<()>> {
        let Some(pack) = self.active.as_mut() else {
            let what = "there is no active pack";
            return Err(BlobError::Inconsistent {
                path: self.folders.packs.clone(),
                what,
            });
        };
        // Until the batch is durable: an unwinding or an early return leaves it so.
        pack.is_suspect = true;
        let heads = heads(pack, batch, headers);
        let written = heads.and_then(|heads| {
            write_batch(pack, batch, headers, &heads)
                .map_err(|error| BlobError::io("write", &pack.path, error))
        });
        if let Err(error) = written {
            // Without the rest of the batch the space is free again.
            pack.is_suspect = pack.file.set_len(pack.end).is_err();
            return Err(error);
        }
        let synced = failpoint::pass("ledger.sync").and_then(|()| pack.file.sync_data());
        if let Err(error) = synced {
            tracing::error!(pack = pack.number, %error, "sync failed, the pack is given up");
            return Ok(Err(BlobError::io("sync", &pack.path, error)));
        }
        // From here on the records are part of the ledger, acknowledged or not.
        if let Err(error) = failpoint::pass("ledger.synced") {
            tracing::debug!(%error, "failpoint without effect");
        }
        pack.is_suspect = false;
        Ok(Ok(()))
    }

    /// The batch is durable: the ledger ends behind it.
    fn advance(&mut self, headers: &[Header]) -> Vec<Appended> {
        let Some(pack) = self.active.as_mut() else {
            return Vec::new();
        };
        let mut appended = Vec::with_capacity(headers.len());
        for header in headers {
            let start = pack.end;
            self.last_start = Some(Position {
                sequence: header.sequence,
                pack: pack.number,
                offset: start,
            });
            pack.end = start.saturating_add(header.total_length());
            self.sequence = header.sequence.saturating_add(1);
            appended.push(Appended {
                end: Position {
                    sequence: self.sequence,
                    pack: pack.number,
                    offset: pack.end,
                },
                location: header.location(pack.number, start),
            });
        }
        appended
    }

    /// Makes the next pack the active one.
    fn activate_next(&mut self, options: &Options) -> Result<()> {
        let prepared = self
            .prepared
            .take()
            .and_then(|thread| thread.join().ok())
            .transpose();
        let prepared = match prepared {
            Ok(Some(prepared)) => prepared,
            Ok(None) => self.prepare_now(options)?,
            Err(error) => {
                tracing::warn!(%error, "the next pack could not be prepared ahead");
                self.prepare_now(options)?
            }
        };
        let path = pack::path(&self.folders.packs, prepared.number);
        let header = PackHeader {
            number: prepared.number,
            archive: self.archive,
            first_sequence: self.sequence,
            previous: self.active.as_ref().map(|pack| PackEnd {
                pack: pack.number,
                offset: pack.end,
            }),
            key: self.key(),
        };
        let keys = PackKeys::of(&header, self.cipher.clone())?;
        if let Err(error) = header.activate(&prepared.file, &path) {
            let _ = std::fs::remove_file(&path);
            return Err(error);
        }
        if let Some(full) = &self.active
            && let Err(error) = full.file.set_len(full.end)
        {
            tracing::debug!(pack = full.number, %error, "unused space is not given back");
        }
        let (number, file) = (prepared.number, prepared.file);
        tracing::debug!(pack = number, "pack is active");
        self.active = Some(ActivePack {
            number,
            file,
            path,
            end: FIRST_OFFSET,
            is_suspect: false,
            keys,
        });
        Ok(())
    }

    fn prepare_now(&mut self, options: &Options) -> Result<PreparedPack> {
        self.number_max = self.number_max.saturating_add(1);
        let number = self.number_max;
        let file = pack::prepare(&self.folders.packs, number, options.pack_bytes)?;
        Ok(PreparedPack { number, file })
    }

    /// Has the next pack made beside the work, once this one is three quarters full.
    fn prepare_ahead(&mut self, options: &Options) {
        let is_due = |pack: &ActivePack| pack.end >= options.pack_bytes / 4 * 3;
        if self.prepared.is_some() || !self.active.as_ref().is_some_and(is_due) {
            return;
        }
        self.number_max = self.number_max.saturating_add(1);
        let (number, packs, bytes) = (
            self.number_max,
            self.folders.packs.clone(),
            options.pack_bytes,
        );
        let work =
            move || pack::prepare(&packs, number, bytes).map(|file| PreparedPack { number, file });
        self.prepared = std::thread::Builder::new()
            .name("blob-prepare".into())
            .spawn(work)
            .ok();
    }

    fn checkpoint_if_due(&mut self) {
        let Some(last) = self.last_start else { return };
        let is_due = last.pack != self.checkpoint.pack
            || last.offset.saturating_sub(self.checkpoint.offset) >= CHECKPOINT_BYTES;
        if is_due {
            self.checkpoint = last;
            write_checkpoint(&self.folders, last);
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Some(last) = self.last_start {
            write_checkpoint(&self.folders, last);
        }
        if let Some(thread) = self.prepared.take() {
            let _ = thread.join();
        }
    }
}

/// Refuses when less than `reserve` bytes are free on the disk.
pub(crate) fn require_space(folders: &Folders, reserve: u64) -> Result<()> {
    let doing = "an instance";
    if failpoint::pass("disk.reserve").is_err() {
        return Err(BlobError::NoSpace { doing });
    }
    let disk = rustix::fs::statvfs(&folders.packs)
        .map_err(|error| BlobError::io("examine", &folders.packs, error))?;
    if disk.f_bavail.saturating_mul(disk.f_frsize) < reserve {
        return Err(BlobError::NoSpace { doing });
    }
    Ok(())
}

/// What stands before the content of each record: header and meaning, and of an encrypted blob
/// what tells its place.
fn heads(pack: &ActivePack, batch: &[NewRecord], headers: &[Header]) -> Result<Vec<Vec<u8>>> {
    let mut start = pack.end;
    let mut heads = Vec::with_capacity(batch.len());
    for (record, header) in batch.iter().zip(headers) {
        let mut head = Vec::with_capacity(HEADER_LENGTH + record.meta.len() + FRONT_LENGTH);
        header.write(&record.meta, &pack.keys.records, &mut head)?;
        if let (Some(blob), Some(cipher)) = (&record.blob, &pack.keys.content)
            && let BlobContent::Sealed(sealed) = &blob.content
        {
            let offset = start.saturating_add(header.blob_start());
            let front = cipher.front(&sealed.salt, pack.number, offset, sealed.length);
            head.extend_from_slice(&front);
        }
        start = start.saturating_add(header.total_length());
        heads.push(head);
    }
    Ok(heads)
}

/// Writes a batch behind the end of `pack`.
fn write_batch(
    pack: &ActivePack,
    batch: &[NewRecord],
    headers: &[Header],
    heads: &[Vec<u8>],
) -> io::Result<()> {
    failpoint::pass("ledger.write")?;
    let mut slices = Vec::new();
    for ((record, header), head) in batch.iter().zip(headers).zip(heads) {
        slices.push(IoSlice::new(head));
        match record.blob.as_ref().map(|blob| &blob.content) {
            Some(BlobContent::Inline(parts)) => slices.extend(
                parts
                    .iter()
                    .filter(|part| !part.is_empty())
                    .map(|part| IoSlice::new(part)),
            ),
            Some(BlobContent::Sealed(sealed)) => slices.push(IoSlice::new(&sealed.chunks)),
            Some(BlobContent::Large(_)) | None => {}
        }
        slices.push(IoSlice::new(padding(header)));
    }
    write_slices(&pack.file, pack.end, &mut slices)?;
    failpoint::pass("ledger.written")
}

fn padding(header: &Header) -> &'static [u8] {
    static ZEROS: [u8; ALIGNMENT as usize] = [0; ALIGNMENT as usize];
    let length = usize::try_from(header.total_length() - header.blob_end()).unwrap_or(0);
    ZEROS.get(..length).unwrap_or_default()
}

fn write_slices(file: &File, mut offset: u64, mut slices: &mut [IoSlice<'_>]) -> io::Result<()> {
    while !slices.is_empty() {
        match rustix::io::pwritev(file, &next_write(slices), offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                offset += written as u64;
                IoSlice::advance_slices(&mut slices, written);
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// What one `pwritev` takes of `slices`.
fn next_write<'a>(slices: &'a [IoSlice<'_>]) -> Vec<IoSlice<'a>> {
    let mut left = WRITE_LENGTH_MAX;
    let mut turn = Vec::new();
    for slice in slices.iter().take(SLICES_MAX) {
        let front = slice.split_at(slice.len().min(left)).0;
        left -= front.len();
        turn.push(IoSlice::new(front));
        if left == 0 {
            break;
        }
    }
    turn
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_batches_are_written_in_turns_and_whole() {
        let pieces: Vec<Vec<u8>> = [3, WRITE_LENGTH_MAX, 0, 5, 2 * WRITE_LENGTH_MAX + 1]
            .iter()
            .zip(1..)
            .map(|(length, fill)| vec![fill; *length])
            .collect();
        let mut slices: Vec<_> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
        let lengths: Vec<_> = next_write(&slices)
            .iter()
            .map(|slice| slice.len())
            .collect();
        assert_eq!(lengths, [3, WRITE_LENGTH_MAX - 3]);
        let file = tempfile::tempfile().unwrap();
        write_slices(&file, 7, &mut slices).unwrap();
        let mut written = vec![0; 7 + pieces.iter().map(Vec::len).sum::<usize>()];
        std::os::unix::fs::FileExt::read_exact_at(&file, &mut written, 0).unwrap();
        assert!(written.split_off(7) == pieces.concat());
    }
}
