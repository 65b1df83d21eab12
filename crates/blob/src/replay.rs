//! Reading the ledger from one end to the other.
//!
//! A record counts when its check fits and everything before it counts. In the newest pack the
//! last batch may be torn: the power went before it was synced, nothing of it was acknowledged,
//! and its pages may have reached the disk in any order. Such records end the ledger. They are
//! told from damage by what follows: a record says which batch it was written in, and everything
//! before its batch was durable by then. So an unreadable record *before* a later batch was
//! acknowledged and is damage, and one without a later batch behind it is a torn tail.

use crate::blobs::Blobs;
use crate::error::{BlobError, Result};
use crate::location::{BlobLocation, Position};
use crate::pack::{self, FIRST_OFFSET, Link};
use crate::pack_keys::PackKeys;
use crate::record::{ALIGNMENT, HEADER_LENGTH, Header, MAGIC, Record, RecordKey, StoredBlob, half};
use bytes::Bytes;
use rustix::fs::Advice;
use std::collections::VecDeque;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

/// Bytes read at a time when records follow each other closely.
const READ_LENGTH: usize = 16 << 10;
/// Bytes read at a time when the next intact record is searched.
const SEARCH_LENGTH: usize = 1 << 20;

/// The records of the ledger in order. After [`BlobError::Corrupt`] the next call goes on with
/// the next intact record; after any other error it ends.
#[derive(Debug)]
pub struct Replay {
    blobs: Arc<Blobs>,
    links: VecDeque<Link>,
    pack: Option<PackReader>,
    at: Position,
    /// Records of the newest pack of which it is not yet known whether they were synced.
    pending: VecDeque<Pending>,
    ready: VecDeque<Result<Record>>,
    is_first: bool,
    is_done: bool,
    last_start: Option<Position>,
}

#[derive(Debug)]
struct Pending {
    header: Header,
    start: Position,
    record: Record,
}

/// What is at a place of a pack.
enum Found {
    Record(Box<Header>, Bytes),
    Nothing(&'static str),
}

impl Replay {
    pub(crate) fn open(blobs: Arc<Blobs>, from: Position) -> Result<Self> {
        let packs = &blobs.folders().packs;
        let numbers = if packs.is_dir() {
            pack::numbers(packs)?
        } else {
            Vec::new()
        };
        let mut links: VecDeque<Link> = pack::chain(packs, &numbers)?.into();
        if from.pack != 0 {
            while links
                .front()
                .is_some_and(|link| link.header.number != from.pack)
            {
                links.pop_front();
            }
        }
        let unknown = match links.front() {
            None => from != Position::START,
            Some(link) => from.pack == 0 && from.sequence != link.header.first_sequence,
        };
        if unknown {
            return Err(BlobError::UnknownPosition(from));
        }
        Ok(Self {
            blobs,
            links,
            pack: None,
            at: from,
            pending: VecDeque::new(),
            ready: VecDeque::new(),
            is_first: true,
            is_done: false,
            last_start: None,
        })
    }

    /// Replays only the newest pack: from `hint` when a record of it begins there.
    pub(crate) fn open_newest(blobs: Arc<Blobs>, hint: Option<Position>) -> Result<Option<Self>> {
        let mut replay = match Self::open(blobs, Position::START) {
            Ok(replay) => replay,
            Err(BlobError::UnknownPosition(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some(link) = replay.links.pop_back() else {
            return Ok(None);
        };
        let sequence = link.header.first_sequence;
        replay.links.clear();
        replay.links.push_back(link);
        replay.at = Position {
            sequence,
            pack: link.header.number,
            offset: FIRST_OFFSET,
        };
        replay.is_first = false;
        if let Some(hint) = hint.filter(|hint| hint.pack == link.header.number) {
            let mut pack = PackReader::open(&replay.blobs, &link)?;
            if let Found::Record(header, _) = pack.find(hint.offset)?
                && header.sequence == hint.sequence
            {
                replay.at = hint;
            }
        }
        Ok(Some(replay))
    }

    /// The position after the last record that was returned; when there are no more records, the
    /// end of the ledger.
    pub fn position(&self) -> Position {
        self.at
    }

    /// Where the last record begins.
    pub(crate) fn last_start(&self) -> Option<Position> {
        self.last_start
    }

    /// Reads on until a record is ready or the ledger ends.
    fn advance(&mut self) -> Result<()> {
        while self.ready.is_empty() && !self.is_done {
            let Some(link) = self.links.front().copied() else {
                self.is_done = true;
                break;
            };
            let mut pack = match self.pack.take() {
                Some(pack) => pack,
                None => self.enter(&link)?,
            };
            let outcome = self.step(&mut pack, &link);
            if self
                .links
                .front()
                .is_some_and(|front| front.header.number == link.header.number)
            {
                self.pack = Some(pack);
            }
            outcome?;
        }
        Ok(())
    }

    fn enter(&mut self, link: &Link) -> Result<PackReader> {
        if self.at.pack != link.header.number || self.at.offset < FIRST_OFFSET {
            if self.at.sequence != link.header.first_sequence && self.is_first {
                return Err(BlobError::UnknownPosition(self.at));
            }
            self.at = Position {
                sequence: self.at.sequence.max(link.header.first_sequence),
                pack: link.header.number,
                offset: FIRST_OFFSET,
            };
        }
        PackReader::open(&self.blobs, link)
    }

    fn step(&mut self, pack: &mut PackReader, link: &Link) -> Result<()> {
        let here = self.read_place();
        if link.end == Some(here.offset) {
            self.links.pop_front();
            return Ok(());
        }
        let is_beyond = link.end.is_some_and(|end| here.offset > end);
        let found = if is_beyond {
            Found::Nothing("a record reaches over the pack's end")
        } else {
            pack.find(here.offset)?
        };
        match found {
            Found::Record(header, meta) if header.sequence == here.sequence => {
                self.is_first = false;
                self.take(pack, here, *header, meta, link.end.is_some());
                Ok(())
            }
            // A stranger at the very place where the caller wants to go on: the caller's
            // position is not this ledger's. Anywhere else, it is damage.
            Found::Record(..) if self.is_first => Err(BlobError::UnknownPosition(self.at)),
            Found::Record(..) => self.skip(pack, link, here, "a record is out of sequence"),
            Found::Nothing(_) if self.is_first && is_beyond => {
                Err(BlobError::UnknownPosition(self.at))
            }
            Found::Nothing(what) => self.skip(pack, link, here, what),
        }
    }

    /// Where the next record is read: behind those that are held back.
    fn read_place(&self) -> Position {
        self.pending
            .back()
            .map_or(self.at, |pending| pending.record.end)
    }

    fn take(
        &mut self,
        pack: &PackReader,
        start: Position,
        header: Header,
        meta: Bytes,
        is_sealed: bool,
    ) {
        let end = Position {
            sequence: header.sequence.saturating_add(1),
            pack: start.pack,
            offset: start.offset.saturating_add(header.total_length()),
        };
        let location = header.location(pack.number, start.offset);
        let record = Record {
            sequence: header.sequence,
            end,
            kind: header.kind,
            meta,
            blob: location.map(|location| StoredBlob {
                location,
                data_set_offset: header.data_set_offset,
                digest: header.digest,
            }),
        };
        let synced_before = if is_sealed {
            end.sequence
        } else {
            header.batch
        };
        self.pending.push_back(Pending {
            header,
            start,
            record,
        });
        while self
            .pending
            .front()
            .is_some_and(|first| first.header.sequence < synced_before)
        {
            self.release();
        }
    }

    /// The oldest held-back record is known to be good.
    fn release(&mut self) {
        if let Some(pending) = self.pending.pop_front() {
            self.at = pending.record.end;
            self.last_start = Some(pending.start);
            self.ready.push_back(Ok(pending.record));
        }
    }

    /// Nothing can be read at `here`: the end of the ledger, or damage.
    fn skip(
        &mut self,
        pack: &mut PackReader,
        link: &Link,
        here: Position,
        what: &'static str,
    ) -> Result<()> {
        let is_sealed = link.end.is_some();
        let next = pack.search(here, link.end, is_sealed)?;
        if next.is_none() && !is_sealed {
            self.end(here);
            return Ok(());
        }
        while !self.pending.is_empty() {
            self.release();
        }
        let pack = link.header.number;
        self.ready.push_back(Err(BlobError::Corrupt {
            pack,
            offset: here.offset,
            what,
        }));
        match next {
            Some(next) => self.at = next,
            None => {
                self.links.pop_front();
                let sequence = self.links.front().map(|link| link.header.first_sequence);
                self.at.sequence = sequence.unwrap_or(here.sequence);
            }
        }
        self.is_first = false;
        Ok(())
    }

    /// The ledger ends at `here`: the last batch counts as far as it is whole.
    fn end(&mut self, here: Position) {
        self.is_done = true;
        while let Some(pending) = self.pending.front() {
            if !is_whole(&self.blobs, &pending.header, &pending.record) {
                tracing::warn!(
                    record = pending.record.sequence,
                    dropped = self.pending.len(),
                    "the ledger's last records were not completely written and are dropped"
                );
                self.pending.clear();
                return;
            }
            self.release();
        }
        tracing::debug!(end = %here, "end of the ledger");
    }
}

impl Iterator for Replay {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(outcome) = self.ready.pop_front() {
                return Some(outcome);
            }
            if self.is_done {
                return None;
            }
            if let Err(error) = self.advance() {
                self.is_done = true;
                return Some(Err(error));
            }
        }
    }
}

/// Whether all of a record's bytes reached the disk.
fn is_whole(blobs: &Blobs, header: &Header, record: &Record) -> bool {
    let Some(blob) = &record.blob else {
        return true;
    };
    let read = match blob.location {
        BlobLocation::Large { .. } => blobs.is_as_long_as_it_should_be(&blob.location),
        BlobLocation::Pack { .. } => is_content_whole(blobs, header, blob),
    };
    read.unwrap_or_else(|error| {
        tracing::error!(record = record.sequence, %error, "a record cannot be read");
        false
    })
}

fn is_content_whole(blobs: &Blobs, header: &Header, blob: &StoredBlob) -> Result<bool> {
    let prefix_length = u64::from(blob.data_set_offset).min(blob.location.length());
    let prefix = match blobs.read_range(&blob.location, 0..prefix_length) {
        Err(BlobError::Unauthentic { .. }) => return Ok(false),
        prefix => prefix?,
    };
    if half(blake3::hash(&prefix)) != header.prefix_digest {
        return Ok(false);
    }
    match blobs.verify(&blob.location, prefix_length, &blob.digest) {
        Ok(()) => Ok(true),
        Err(BlobError::DigestMismatch { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Reads headers and meanings from one pack.
struct PackReader {
    number: u32,
    file: File,
    path: PathBuf,
    key: RecordKey,
    buffer: Vec<u8>,
    buffer_offset: u64,
}

impl std::fmt::Debug for PackReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PackReader")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

impl PackReader {
    fn open(blobs: &Blobs, link: &Link) -> Result<Self> {
        let number = link.header.number;
        let path = pack::path(&blobs.folders().packs, number);
        let file = File::open(&path).map_err(|error| BlobError::io("open", &path, error))?;
        let key = PackKeys::find(&link.header, blobs.keyring(), &path)?.records;
        Ok(Self {
            number,
            file,
            path,
            key,
            buffer: Vec::new(),
            buffer_offset: 0,
        })
    }

    /// The record that begins at `offset`.
    fn find(&mut self, offset: u64) -> Result<Found> {
        let Some(head) = self.bytes(offset, HEADER_LENGTH, READ_LENGTH)? else {
            return Ok(Found::Nothing("the pack file ends"));
        };
        let Some(head) = head.first_chunk::<HEADER_LENGTH>().copied() else {
            return Ok(Found::Nothing("the pack file ends"));
        };
        let Some(mut header) = Header::parse(&head) else {
            return Ok(Found::Nothing("no record begins here"));
        };
        let key = self.key.clone();
        let meta_offset = offset.saturating_add(HEADER_LENGTH as u64);
        let length = header.meta_length as usize;
        let meta = self.bytes(meta_offset, length, READ_LENGTH)?;
        match meta.and_then(|bytes| bytes.get(..length)) {
            Some(meta) => match header.open(&head, meta, &key) {
                Some(meta) => Ok(Found::Record(Box::new(header), meta)),
                None => Ok(Found::Nothing("a record's check does not fit")),
            },
            None => Ok(Found::Nothing("the pack file ends")),
        }
    }

    /// The next intact record behind `from` that proves that something was durable at `from`:
    /// any record of a sealed pack, one of a later batch in the newest.
    fn search(
        &mut self,
        from: Position,
        end: Option<u64>,
        is_sealed: bool,
    ) -> Result<Option<Position>> {
        self.forget_read_ahead(from.offset);
        let mut offset = from.offset.saturating_add(ALIGNMENT);
        loop {
            let Some(next) = self.next_magic(offset)? else {
                return Ok(None);
            };
            if end.is_some_and(|end| next >= end) {
                return Ok(None);
            }
            if let Found::Record(header, _) = self.find(next)?
                && header.sequence >= from.sequence
                && (is_sealed || header.batch > from.sequence)
            {
                let sequence = header.sequence;
                return Ok(Some(Position {
                    sequence,
                    pack: self.number,
                    offset: next,
                }));
            }
            offset = next.saturating_add(ALIGNMENT);
        }
    }

    /// The next place at or behind `offset` that looks like a record's beginning.
    fn next_magic(&mut self, mut offset: u64) -> Result<Option<u64>> {
        loop {
            let Some(data) = self.next_data(offset)? else {
                return Ok(None);
            };
            offset = data;
            let Some(bytes) = self.bytes(offset, 4, SEARCH_LENGTH)? else {
                return Ok(None);
            };
            let mut sectors = bytes.chunks(ALIGNMENT as usize);
            if let Some(sector) = sectors.position(|sector| sector.starts_with(&MAGIC)) {
                return Ok(Some(offset + sector as u64 * ALIGNMENT));
            }
            offset += (bytes.len() as u64).next_multiple_of(ALIGNMENT);
        }
    }

    /// Pages that reading ahead has brought into the page cache count as data, written or not:
    /// without them, and without more of them, the search passes over what was never written.
    fn forget_read_ahead(&self, offset: u64) {
        for advice in [Advice::DontNeed, Advice::Random] {
            if let Err(error) = rustix::fs::fadvise(&self.file, offset, None, advice) {
                tracing::debug!(%error, ?advice, "advice on a pack is not taken");
            }
        }
    }

    /// Skips what was allocated and never written.
    fn next_data(&self, offset: u64) -> Result<Option<u64>> {
        match rustix::fs::seek(&self.file, rustix::fs::SeekFrom::Data(offset)) {
            Ok(data) => Ok(Some(data - data % ALIGNMENT).map(|data| data.max(offset))),
            Err(rustix::io::Errno::NXIO) => Ok(None),
            Err(error) => Err(BlobError::io("read", &self.path, error)),
        }
    }

    /// The bytes from `offset` on, at least `length` of them; none when the file ends before.
    fn bytes(&mut self, offset: u64, length: usize, ahead: usize) -> Result<Option<&[u8]>> {
        let in_buffer = offset.checked_sub(self.buffer_offset).and_then(|skip| {
            let skip = usize::try_from(skip).ok()?;
            (self.buffer.len() >= skip.checked_add(length)?).then_some(skip)
        });
        let skip = match in_buffer {
            Some(skip) => skip,
            None => {
                self.fill(offset, length.max(ahead))?;
                0
            }
        };
        Ok(self
            .buffer
            .get(skip..)
            .filter(|bytes| bytes.len() >= length))
    }

    fn fill(&mut self, offset: u64, length: usize) -> Result<()> {
        self.buffer.resize(length, 0);
        self.buffer_offset = offset;
        let mut filled = 0;
        while let Some(rest) = self
            .buffer
            .get_mut(filled..)
            .filter(|rest| !rest.is_empty())
        {
            match self
                .file
                .read_at(rest, offset.saturating_add(filled as u64))
            {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.buffer.clear();
                    return Err(BlobError::io("read", &self.path, error));
                }
            }
        }
        self.buffer.truncate(filled);
        Ok(())
    }
}
