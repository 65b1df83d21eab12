//! Bringing the index up to date with the ledger: after a crash the tail, after the loss of the
//! index everything.

use crate::error::{Error, Result};
use crate::ledger_entry::{LedgerEntry, Provenance};
use crate::store::frames;
use gantry_blob::{BlobError, BlobLocation, Ledger, Position, Record, RecordKind, StoredBlob};
use gantry_core::failure::Kind;
use gantry_dicom::part10::{self, MetaProgress};
use gantry_dicom::scan::{Departure, ScanLimits, Scanned, Scanner};
use gantry_dicom::tags;
use gantry_dicom::transfer_syntax::TransferSyntax;
use gantry_index::{Change, NewInstance, Span, Writer};
use std::collections::HashSet;
use std::io::Read;

/// Bytes read at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// Bytes of the data set that are looked at with the file meta information.
const META_LOOKAHEAD_BYTES: u64 = 256;

/// How much was applied, and what could not be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Applied {
    /// Records of the ledger that were read.
    pub records: u64,
    /// Records that there were to read.
    pub records_total: u64,
    /// Instances that were put into the index.
    pub instances: u64,
    /// Records that could not be read or understood; each is in the log.
    pub damaged: u64,
}

/// Applies what the ledger has beyond the index's position.
///
/// # Errors
/// When the index refuses, or the ledger ends before the index's position: then the index is
/// another archive's, or the ledger has lost its end.
pub(crate) fn apply_ledger(ledger: &Ledger, writer: &mut Writer) -> Result<Applied> {
    if writer.applied_position().sequence == ledger.end().sequence {
        return Ok(Applied::default());
    }
    let applied = apply_all(ledger, writer, &mut |_| {})?;
    if applied.records > 0 {
        tracing::info!(
            records = applied.records,
            instances = applied.instances,
            damaged = applied.damaged,
            "the index was brought up to date with the ledger"
        );
    }
    Ok(applied)
}

/// Applies what the ledger has beyond the writer's position; tells `progress` after each record.
pub(crate) fn apply_all(
    ledger: &Ledger,
    writer: &mut Writer,
    progress: &mut dyn FnMut(&Applied),
) -> Result<Applied> {
    let start = writer.applied_position();
    let purged = purged(ledger, start)?;
    let mut applied = Applied {
        records_total: ledger.end().sequence.saturating_sub(start.sequence),
        ..Applied::default()
    };
    for record in ledger.blobs().replay(start)? {
        match record {
            Ok(record) => {
                applied.records += 1;
                let span = Span {
                    from: writer.applied_position(),
                    to: record.end,
                };
                let is_gone = record
                    .blob
                    .is_some_and(|blob| purged.contains(&blob.location));
                let outcome = if is_gone {
                    Ok(0)
                } else {
                    apply(ledger, writer, &record, span)
                };
                match outcome {
                    Ok(instances) => applied.instances += instances,
                    Err(error) if is_of_record(&error) => {
                        applied.damaged += 1;
                        tracing::error!(
                            record = record.sequence,
                            "a ledger record cannot be applied: {}",
                            error.chain()
                        );
                    }
                    Err(error) => return Err(error),
                }
                if writer.applied_position() != record.end {
                    // Nothing came of the record; it is passed all the same.
                    writer.apply(
                        &[],
                        Some(Span {
                            from: writer.applied_position(),
                            to: record.end,
                        }),
                    )?;
                }
            }
            Err(error @ BlobError::Corrupt { .. }) => {
                applied.damaged += 1;
                tracing::error!("the ledger is damaged: {error}");
            }
            Err(error) => return Err(error.into()),
        }
        progress(&applied);
    }
    Ok(applied)
}

/// Blobs whose space was freed by later records: they are not to be read.
fn purged(ledger: &Ledger, from: Position) -> Result<HashSet<BlobLocation>> {
    let mut purged = HashSet::new();
    for record in ledger.blobs().replay(from)? {
        let Ok(record) = record else { continue };
        if record.kind == RecordKind::Event
            && let Ok(LedgerEntry::Collected { locations }) = LedgerEntry::from_bytes(&record.meta)
        {
            purged.extend(
                locations
                    .iter()
                    .filter_map(|text| BlobLocation::parse(text)),
            );
        }
    }
    Ok(purged)
}

/// Whether the record is to blame, not the index or the disk.
fn is_of_record(error: &Error) -> bool {
    matches!(error.kind(), Kind::Malformed | Kind::NotFound)
}

fn apply(ledger: &Ledger, writer: &mut Writer, record: &Record, span: Span) -> Result<u64> {
    let malformed = |what: &str| Error::new(Kind::Malformed, what);
    let entry = LedgerEntry::from_bytes(&record.meta).map_err(|error| {
        Error::caused(Kind::Malformed, "a ledger record is not readable", error)
    })?;
    let change = match entry {
        LedgerEntry::Stored(provenance) => {
            let blob = record
                .blob
                .ok_or_else(|| malformed("a ledger record lacks its blob"))?;
            return store(ledger, writer, span, &blob, &provenance);
        }
        LedgerEntry::Deleted {
            deletion,
            target,
            by,
        } => Change::Delete {
            deletion,
            target: target
                .target()
                .ok_or_else(|| malformed("a deletion does not say what it deletes"))?,
            by: by.who().to_owned(),
            at: by.at,
        },
        LedgerEntry::Restored { deletion, by } => Change::Restore {
            deletion,
            at: by.at,
        },
        LedgerEntry::Purged { deletion, at } => Change::Purge { deletion, at },
        LedgerEntry::Marked {
            study,
            mark,
            is_set,
            by: _,
        } => Change::Mark {
            study,
            mark: mark.into(),
            is_set,
        },
        LedgerEntry::Collected { locations } => {
            let locations: Vec<_> = locations
                .iter()
                .filter_map(|text| BlobLocation::parse(text))
                .collect();
            for location in &locations {
                // It may have been freed before the crash: that is harmless.
                ledger.purge(location)?;
            }
            Change::Collected(locations)
        }
    };
    writer.apply(&[change], Some(span))?;
    Ok(0)
}

fn store(
    ledger: &Ledger,
    writer: &mut Writer,
    span: Span,
    blob: &StoredBlob,
    provenance: &Provenance,
) -> Result<u64> {
    let (transfer_syntax_uid, scanned) = scan(ledger, blob)?;
    let malformed = |what: String| Error::new(Kind::Malformed, what);
    let attributes = scanned
        .header
        .parse()
        .map_err(|error| malformed(format!("stored header: {error}")))?;
    let uid = |tag| {
        attributes
            .ascii(tag)
            .ok_or_else(|| malformed("a stored instance lacks a UID".into()))
    };
    let frame_index = frames::index(
        &attributes,
        &scanned,
        &TransferSyntax::of(&transfer_syntax_uid),
    );
    let new = NewInstance {
        study_instance_uid: uid(tags::STUDY_INSTANCE_UID)?,
        series_instance_uid: uid(tags::SERIES_INSTANCE_UID)?,
        sop_instance_uid: uid(tags::SOP_INSTANCE_UID)?,
        sop_class_uid: uid(tags::SOP_CLASS_UID)?,
        transfer_syntax_uid: &transfer_syntax_uid,
        attributes: &attributes,
        header: &scanned.header,
        frame_index: frame_index.as_deref(),
        location: blob.location,
        data_set_offset: blob.data_set_offset,
        departure: Departure::of(&scanned),
        digest: blob.digest,
        received_at: provenance.at,
        source: provenance.as_source(),
    };
    writer.apply(&[Change::Store(new)], Some(span))?;
    Ok(1)
}

/// Reads a stored object as it was read when it arrived.
fn scan(ledger: &Ledger, blob: &StoredBlob) -> Result<(String, Scanned)> {
    let mut reader = ledger.blobs().reader(&blob.location)?;
    let unreadable = |error| Error::caused(Kind::NotFound, "a stored object is unreadable", error);
    let malformed = |what: String| Error::new(Kind::Malformed, what);
    // Some of the data set tells the reader of the meta information that it has come to its end.
    let mut start = Vec::new();
    let start_length = u64::from(blob.data_set_offset) + META_LOOKAHEAD_BYTES;
    reader
        .by_ref()
        .take(start_length)
        .read_to_end(&mut start)
        .map_err(unreadable)?;
    let Ok(MetaProgress::Read(meta)) = part10::read_meta(&start, true) else {
        return Err(malformed(
            "a stored object has no file meta information".into(),
        ));
    };
    let transfer_syntax_uid = meta.transfer_syntax().to_owned();
    let mut scanner = Scanner::new(
        &TransferSyntax::of(&transfer_syntax_uid),
        ScanLimits::default(),
    );
    let first = start
        .get(blob.data_set_offset as usize..)
        .unwrap_or_default();
    scanner
        .feed(first)
        .map_err(|error| malformed(error.to_string()))?;
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let length = reader.read(&mut chunk).map_err(unreadable)?;
        if length == 0 {
            break;
        }
        let read = chunk.get(..length).unwrap_or_default();
        scanner
            .feed(read)
            .map_err(|error| malformed(error.to_string()))?;
    }
    let scanned = scanner
        .finish()
        .map_err(|error| malformed(error.to_string()))?;
    Ok((transfer_syntax_uid, scanned))
}
