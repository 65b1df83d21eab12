//! The index, for reading.

use crate::access_keys;
use crate::error::{IndexError, Result};
use crate::instance::{Existing, InstanceId, InstanceRow};
use crate::job::{self, Job};
use crate::permit::Permit;
use crate::query::Query;
use crate::readers::Readers;
use crate::remove::{self, Deletion};
use crate::search::{self, Cancel, Match, SearchEnd};
use crate::selection::{self, Selection};
use crate::statistics::{self, SeenAttempt, SeenPeer, Statistics};
use crate::store;
use crate::writer::Writer;
use bytes::Bytes;
use gantry_blob::{BlobLocation, LargeId, Position};
use gantry_core::access::PatientIdentity;
use gantry_core::secret::SecretKey;
use gantry_dicom::header::Header;
use rusqlite::{Connection, OptionalExtension};
use std::fs::OpenOptions;
use std::ops::ControlFlow;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Sizes of the index.
#[derive(Debug, Clone)]
pub struct Options {
    /// Bytes of pages that the writer keeps in memory.
    pub writer_cache_bytes: usize,
    /// Bytes of pages that each reader keeps in memory.
    pub reader_cache_bytes: usize,
    /// Searches and other readings at one time; more have to wait.
    pub readers_max: usize,
    /// The key of the database; none when it is plain.
    pub key: Option<SecretKey>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            writer_cache_bytes: 16 << 20,
            reader_cache_bytes: 2 << 20,
            readers_max: 64,
            key: None,
        }
    }
}

/// The index, for reading. All methods block on the disk.
#[derive(Debug)]
pub struct Index {
    path: PathBuf,
    readers: Readers,
}

impl Index {
    /// Opens the index of a data folder with its writer, or begins one. The caller holds the
    /// folder's lock.
    ///
    /// # Errors
    /// [`IndexError::NewerSchema`] when a newer release made it, or what the disk answers.
    pub fn open(root: &Path, options: Options) -> Result<(Arc<Self>, Writer)> {
        let path = Self::path(root);
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path);
        opened.map_err(|source| IndexError::Io {
            path: path.clone(),
            source,
        })?;
        let writer = Writer::open(path, options.clone())?;
        Ok((Self::open_for_reading(root, &options)?, writer))
    }

    /// Opens the index of a data folder, beside a running archive or without one.
    ///
    /// # Errors
    /// [`IndexError::Missing`] when there is none, [`IndexError::NewerSchema`] when a newer
    /// release made it.
    pub fn open_for_reading(root: &Path, options: &Options) -> Result<Arc<Self>> {
        let path = Self::path(root);
        let readers = Readers::new(path.clone(), options.clone());
        let index = Arc::new(Self { path, readers });
        index.read(|connection| crate::migration::check(connection, &index.path))?;
        Ok(index)
    }

    /// Removes the index of a data folder, to build it again from the ledger. The caller holds
    /// the folder's lock, and nothing has the index open. Queued jobs, facts and attempts are
    /// lost: the ledger does not know of them.
    ///
    /// # Errors
    /// What the disk answers.
    pub fn remove(root: &Path) -> Result<()> {
        let path = Self::path(root);
        for suffix in ["-wal", "-shm", ""] {
            let mut file = path.as_os_str().to_owned();
            file.push(suffix);
            match std::fs::remove_file(&file) {
                Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                    return Err(IndexError::Io {
                        path: file.into(),
                        source,
                    });
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The database file of a data folder.
    pub fn path(root: &Path) -> PathBuf {
        root.join("index.sqlite")
    }

    fn read<T>(&self, read: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let reader = self.readers.lend()?;
        read(reader.connection()?)
    }

    /// How far the ledger has been applied.
    ///
    /// # Errors
    /// When the database cannot be read; so with all methods.
    pub fn applied_position(&self) -> Result<Position> {
        self.read(|connection| {
            let bytes: Option<Vec<u8>> = connection
                .query_row("SELECT applied FROM state", [], |row| row.get(0))
                .optional()?;
            match bytes {
                None => Ok(Position::START),
                Some(bytes) => Position::from_bytes(&bytes).ok_or(IndexError::Row {
                    table: "state",
                    id: 1,
                    column: "applied",
                }),
            }
        })
    }

    /// Visits the matches of a query, in order, on a snapshot: what is stored meanwhile does not
    /// show. Memory does not grow with the number of matches.
    ///
    /// # Errors
    /// [`IndexError::Cancelled`] when `cancel` was asked for, [`IndexError::Busy`] when too many
    /// others read.
    pub fn search(
        &self,
        query: &Query,
        permit: &Permit,
        cancel: &Cancel,
        mut visit: impl FnMut(Match) -> ControlFlow<()>,
    ) -> Result<SearchEnd> {
        self.read(|connection| search::search(connection, query, permit, cancel, &mut visit))
    }

    /// What is stored under a SOP Instance UID.
    pub fn find_existing(&self, sop_instance_uid: &str) -> Result<Option<Existing>> {
        self.read(|connection| store::find_existing(connection, sop_instance_uid))
    }

    /// The instance with this SOP Instance UID, in this study and series when they are given.
    pub fn locate(
        &self,
        sop_instance_uid: &str,
        study: Option<&str>,
        series: Option<&str>,
        permit: &Permit,
    ) -> Result<Option<InstanceRow>> {
        self.read(|connection| {
            selection::locate(connection, sop_instance_uid, study, series, permit)
        })
    }

    /// Visits the instances of a selection: by study, then by series number, then by instance
    /// number.
    pub fn select(
        &self,
        selection: &Selection,
        permit: &Permit,
        mut visit: impl FnMut(InstanceRow) -> ControlFlow<()>,
    ) -> Result<()> {
        self.read(|connection| {
            let snapshot = connection.unchecked_transaction()?;
            selection::visit(&snapshot, selection, permit, &mut visit).map(|_| ())
        })
    }

    /// Visits the instances of a selection with their stored headers, in the same order.
    pub fn headers(
        &self,
        selection: &Selection,
        permit: &Permit,
        mut visit: impl FnMut(InstanceRow, Header) -> ControlFlow<()>,
    ) -> Result<()> {
        self.read(|connection| {
            let snapshot = connection.unchecked_transaction()?;
            selection::visit_headers(&snapshot, selection, permit, &mut visit).map(|_| ())
        })
    }

    /// The stored header of an instance.
    pub fn header(&self, instance: InstanceId) -> Result<Header> {
        self.read(|connection| selection::read_header(connection, instance.0))
    }

    /// Where the frames of an instance lie, as it was stored with it.
    pub fn frame_index(&self, instance: InstanceId) -> Result<Option<Bytes>> {
        self.read(|connection| {
            let bytes: Option<Vec<u8>> = connection
                .prepare_cached("SELECT bytes FROM frame_index WHERE instance = ?1")?
                .query_row([instance.0], |row| row.get(0))
                .optional()?;
            Ok(bytes.map(Bytes::from))
        })
    }

    /// Whether something of the selection was there and is deleted, so that a door can say that
    /// it is gone.
    pub fn was_deleted(&self, selection: &Selection, permit: &Permit) -> Result<bool> {
        self.read(|connection| selection::was_deleted(connection, selection, permit))
    }

    /// Sums over the studies of `permit`.
    pub fn statistics(&self, permit: &Permit) -> Result<Statistics> {
        self.read(|connection| statistics::statistics(connection, permit))
    }

    /// What people said of a study: its labels, and whether it is restricted.
    pub fn marks(&self, study_instance_uid: &str) -> Result<(Vec<String>, bool)> {
        self.read(|connection| access_keys::marks_of(connection, study_instance_uid))
    }

    /// Whose a study is; nothing when there is no such study, or it names no Patient ID.
    pub fn patient_of(&self, study_instance_uid: &str) -> Result<Option<PatientIdentity>> {
        self.read(|connection| selection::patient_of(connection, study_instance_uid))
    }

    /// Whether a study that is known, deleted or not, is in the permit; yes for everything.
    pub fn is_admitted(&self, study_instance_uid: &str, permit: &Permit) -> Result<bool> {
        self.read(|connection| {
            selection::are_admitted(connection, &[study_instance_uid.to_owned()], permit)
        })
    }

    /// Whether all studies of a patient are in the permit.
    pub fn is_patient_admitted(
        &self,
        patient_id: &str,
        issuer: Option<&str>,
        permit: &Permit,
    ) -> Result<bool> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT study_instance_uid FROM patient JOIN study ON study.patient = patient.id
                 WHERE patient_id = ?1 AND (?2 IS NULL OR issuer = ?2)",
            )?;
            let studies = statement.query_map((patient_id, issuer), |row| row.get(0))?;
            let studies: Vec<String> = studies.collect::<rusqlite::Result<_>>()?;
            selection::are_admitted(connection, &studies, permit)
        })
    }

    /// What decides who sees a study, for an explanation: whether `permit` has it. Nothing when
    /// there is no such study.
    pub fn is_permitted(&self, study_instance_uid: &str, permit: &Permit) -> Result<bool> {
        self.read(|connection| selection::is_permitted(connection, study_instance_uid, permit))
    }

    /// Peers that have called, the latest first.
    pub fn peers(&self) -> Result<Vec<SeenPeer>> {
        self.read(statistics::peers)
    }

    /// Instances that were sent and not stored as sent, the latest first.
    pub fn attempts(&self, limit: usize) -> Result<Vec<SeenAttempt>> {
        self.read(|connection| statistics::attempts(connection, limit))
    }

    /// Deletions that can be undone, the latest first; with `before`, those that are older.
    pub fn open_deletions(&self, before: Option<i64>, limit: usize) -> Result<Vec<Deletion>> {
        self.read(|connection| remove::open_deletions(connection, before, limit))
    }

    /// A deletion by its id.
    pub fn deletion(&self, id: i64) -> Result<Option<Deletion>> {
        self.read(|connection| remove::deletion(connection, id))
    }

    /// Blobs whose space is still to be given back.
    pub fn garbage(&self, limit: usize) -> Result<Vec<BlobLocation>> {
        self.read(|connection| remove::garbage(connection, limit))
    }

    /// Whether an instance, deleted or not, lies in this large blob, or its space is still to be
    /// given back: whether the file is no orphan.
    pub fn knows_large(&self, id: LargeId) -> Result<bool> {
        self.read(|connection| selection::knows_large(connection, id))
    }

    /// The job of a kind with this key.
    pub fn job(&self, kind: &str, key: &str) -> Result<Option<Job>> {
        self.read(|connection| job::find(connection, kind, key))
    }

    /// The newest jobs, of one kind or of all.
    pub fn jobs(&self, kind: Option<&str>, limit: usize) -> Result<Vec<Job>> {
        self.read(|connection| job::list(connection, kind, limit))
    }

    /// How many jobs of a kind are still to be done.
    pub fn open_jobs(&self, kind: &str) -> Result<u64> {
        self.read(|connection| job::count_open(connection, kind))
    }

    /// When the next job of one of these kinds is due, in microseconds since 1970.
    pub fn next_job_due(&self, kinds: &[&str]) -> Result<Option<i64>> {
        self.read(|connection| job::next_due(connection, kinds))
    }

    /// A small fact that was written down.
    pub fn fact(&self, key: &str) -> Result<Option<Vec<u8>>> {
        self.read(|connection| {
            Ok(connection
                .prepare_cached("SELECT value FROM fact WHERE key = ?1")?
                .query_row([key], |row| row.get(0))
                .optional()?)
        })
    }
}
