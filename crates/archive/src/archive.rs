//! The archive: its parts, opened and closed together.

use crate::callers::Callers;
use crate::commitment::transaction::Transactions;
use crate::committer::Committer;
use crate::config::ArchiveConfig;
use crate::error::{Error, Result};
use crate::keys::Keys;
use crate::peers::{Peer, Peers};
use crate::retrieve::FactsCache;
use crate::store::buffers::Buffers;
use crate::{catch_up, commitment};
use gantry_audit::AuditLog;
use gantry_blob::{Blobs, DataLock, Ledger, Options};
use gantry_codec::{Limits, Pool, PoolOptions};
use gantry_core::failure::Kind;
use gantry_core::secret::SecretKey;
use gantry_index::Index;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// An open archive. Doors share one by `Arc`.
#[derive(Debug)]
pub struct Archive {
    this: Weak<Archive>,
    config: ArchiveConfig,
    keys: Keys,
    peers: Peers,
    callers: Callers,
    buffers: Arc<Buffers>,
    ledger: Arc<Ledger>,
    index: Arc<Index>,
    committer: Committer,
    audit: Arc<AuditLog>,
    codecs: Pool,
    facts: Arc<FactsCache>,
    pub(crate) commitment_due: Arc<Notify>,
    pub(crate) transactions: Arc<Transactions>,
    tasks: Mutex<JoinSet<()>>,
}

impl Archive {
    /// Opens the data folder, or begins one; brings the index up to date with the ledger.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when another process has it open; what storage or index refuse.
    pub async fn open(config: ArchiveConfig, peers: Vec<Peer>) -> Result<Arc<Self>> {
        let archive = tokio::task::spawn_blocking(move || Self::open_blocking(config, peers))
            .await
            .map_err(|error| Error::caused(Kind::Internal, "opening broke off", error))??;
        archive.spawn_purging();
        archive.spawn_checkers();
        Ok(archive)
    }

    fn open_blocking(config: ArchiveConfig, peers: Vec<Peer>) -> Result<Arc<Self>> {
        let failed = |what: &'static str| {
            move |error: std::io::Error| Error::caused(Kind::Internal, what, error)
        };
        std::fs::create_dir_all(&config.data).map_err(failed("the data folder cannot be made"))?;
        let lock = DataLock::acquire(&config.data)?;
        let keys = Keys::open(&config)?;
        let audit_key = keys.of_database("audit")?;
        let audit = AuditLog::open(&config.data, audit_key, config.audit.clone())?;
        let ledger = Ledger::open(lock, ledger_options(&config), keys.keyring())?;
        let ledger = Arc::new(ledger);
        for damage in ledger.damage() {
            tracing::error!("stored bytes are damaged: {damage}");
        }
        let (index, mut writer) = Index::open(&config.data, index_options(&keys)?)?;
        catch_up::apply_ledger(&ledger, &mut writer)?;
        commitment::release_leases(&mut writer)?;
        let committer = Committer::start(Arc::clone(&ledger), writer, config.different_duplicate)
            .map_err(failed("the committer thread cannot be started"))?;
        let codecs = Pool::new(
            PoolOptions {
                workers: workers(&config),
                ..PoolOptions::default()
            },
            Limits::default(),
        );
        Ok(Arc::new_cyclic(|this| Self {
            this: Weak::clone(this),
            keys,
            peers: Peers::new(peers),
            callers: Callers::default(),
            buffers: Buffers::new(config.ingest_memory_bytes),
            ledger,
            index,
            committer,
            audit,
            codecs,
            facts: Arc::default(),
            commitment_due: commitment::due(),
            transactions: Arc::default(),
            tasks: Mutex::default(),
            config,
        }))
    }

    /// What goes on beside the doors until the archive is closed.
    pub(crate) fn tasks(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cuts that off; what is written down is taken up again when the archive is opened.
    pub(crate) async fn stop_tasks(&self) {
        let mut tasks = std::mem::take(&mut *self.tasks());
        tasks.shutdown().await;
    }

    /// Ends the work in hand and makes the index whole. The archive takes no more changes. When
    /// the last reference is dropped after this, the data folder is free at once.
    pub async fn close(self: &Arc<Self>) {
        self.stop_tasks().await;
        let archive = Arc::clone(self);
        let stopped = tokio::task::spawn_blocking(move || {
            archive.committer.stop();
            archive.audit.close();
        })
        .await;
        if stopped.is_err() {
            tracing::error!("closing broke off");
        }
    }

    /// The settings it was opened with.
    pub fn config(&self) -> &ArchiveConfig {
        &self.config
    }

    /// The audit trail. What is to be recorded is recorded before it is done, and not done when
    /// that fails.
    pub fn audit(&self) -> &Arc<AuditLog> {
        &self.audit
    }

    /// The key of another database of the data folder, `name` with `.sqlite`; none when
    /// encryption is not enabled. The database, if it is there, is brought into that form first, so
    /// nobody has it open yet.
    ///
    /// # Errors
    /// [`Kind::Internal`] when that fails.
    pub fn database_key(&self, name: &str) -> Result<Option<SecretKey>> {
        self.keys.of_database(name)
    }

    /// The AEs it knows.
    pub fn peers(&self) -> &Peers {
        &self.peers
    }

    pub(crate) fn callers(&self) -> &Callers {
        &self.callers
    }

    /// The data folder.
    pub fn data(&self) -> &Path {
        &self.config.data
    }

    pub(crate) fn buffers(&self) -> &Arc<Buffers> {
        &self.buffers
    }

    pub(crate) fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    pub(crate) fn blobs(&self) -> &Arc<Blobs> {
        self.ledger.blobs()
    }

    pub(crate) fn committer(&self) -> &Committer {
        &self.committer
    }

    pub(crate) fn codecs(&self) -> &Pool {
        &self.codecs
    }

    /// A handle for work that goes on beside the caller's.
    ///
    /// The archive is held by whoever called, so there always is one.
    pub(crate) fn handle(&self) -> Option<Arc<Self>> {
        self.this.upgrade()
    }

    pub(crate) fn facts_cache(&self) -> &Arc<FactsCache> {
        &self.facts
    }

    /// Reads the index where it may block.
    pub(crate) async fn index_blocking<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Index) -> gantry_index::error::Result<T> + Send + 'static,
    ) -> Result<T> {
        let index = Arc::clone(&self.index);
        let outcome = tokio::task::spawn_blocking(move || read(&index))
            .await
            .map_err(|error| Error::caused(Kind::Internal, "a look-up broke off", error))?;
        Ok(outcome?)
    }

    pub(crate) fn index(&self) -> &Arc<Index> {
        &self.index
    }
}

/// How the ledger is laid out.
pub(crate) fn ledger_options(config: &ArchiveConfig) -> Options {
    Options {
        pack_bytes: config.pack_bytes,
        // Room for the file meta information of an object of just that size.
        inline_bytes_max: config.small_object_bytes as u64 + (1 << 16),
        reserve_bytes: config.reserve_bytes,
    }
}

/// How the index is opened.
pub(crate) fn index_options(keys: &Keys) -> Result<gantry_index::Options> {
    Ok(gantry_index::Options {
        key: keys.of_database("index")?,
        ..gantry_index::Options::default()
    })
}

fn workers(config: &ArchiveConfig) -> usize {
    if config.codec_workers > 0 {
        return config.codec_workers;
    }
    std::thread::available_parallelism().map_or(2, std::num::NonZero::get)
}
