//! The store of people and their rights.

use crate::clock::Clock;
use crate::directory::Directory;
use crate::error::Result;
use crate::event::{EventSink, IdentityEvent};
use crate::hashing::Hashing;
use crate::login::Ticket;
use crate::memory::Memory;
use crate::oidc::{Begun, Provider};
use crate::passkey::Challenge;
use crate::pending::Pending;
use crate::sealed::Sealer;
use crate::settings::IdentitySettings;
use crate::{database, lock_out, random, stored};
use gantry_core::secret::SecretKey;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use zeroize::Zeroizing;

/// The database's name in the data folder.
pub const FILE_NAME: &str = "identity.sqlite";

/// People, roles, sessions, tokens, shares. All methods may block: on the disk, and those that
/// check passwords on the processor as well.
pub struct Identity {
    path: PathBuf,
    database: Mutex<Database>,
    pub(crate) settings: IdentitySettings,
    pub(crate) clock: Clock,
    pub(crate) hashing: Hashing,
    pub(crate) sealer: Sealer,
    pub(crate) memory: Memory,
    pub(crate) tickets: Pending<Ticket>,
    pub(crate) challenges: Pending<Challenge>,
    pub(crate) provider_logins: Pending<Begun>,
    pub(crate) providers: Vec<Provider>,
    pub(crate) directory: RwLock<Option<Arc<dyn Directory>>>,
    /// What commands on this machine show to the server while it runs; never written to the
    /// database.
    pub(crate) command_secret: Zeroizing<String>,
    sink: RwLock<Option<EventSink>>,
    /// Counts changes of what anybody may do; what was remembered before a change is void.
    changes: AtomicU64,
}

#[derive(Debug)]
struct Database {
    connection: Connection,
    /// SQLite's count of what other processes have written.
    data_version: i64,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Identity")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Identity {
    /// Opens the database of a data folder, and makes it if need be.
    ///
    /// # Errors
    /// When the file cannot be read or was written by a newer release.
    pub fn open(
        data_folder: &Path,
        key: Option<SecretKey>,
        settings: IdentitySettings,
    ) -> Result<Self> {
        Self::open_with_clock(data_folder, key, settings, Clock::system())
    }

    /// As [`Self::open`], with another clock.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with_clock(
        data_folder: &Path,
        key: Option<SecretKey>,
        settings: IdentitySettings,
        clock: Clock,
    ) -> Result<Self> {
        std::fs::create_dir_all(data_folder)?;
        let path = data_folder.join(FILE_NAME);
        let connection = database::open(&path, key.as_ref())?;
        let data_version = data_version(&connection)?;
        let identity = Self {
            path,
            hashing: Hashing::new(settings.password_checks_max)?,
            database: Mutex::new(Database {
                connection,
                data_version,
            }),
            sealer: Sealer::new(key.as_ref()),
            memory: Memory::new()?,
            tickets: Pending::default(),
            command_secret: random::secret()?,
            challenges: Pending::default(),
            provider_logins: Pending::default(),
            providers: settings
                .provider
                .iter()
                .map(Provider::new)
                .collect::<Result<_>>()?,
            directory: RwLock::new(None),
            settings,
            clock,
            sink: RwLock::new(None),
            changes: AtomicU64::new(0),
        };
        identity.tidy()?;
        Ok(identity)
    }

    /// The settings.
    pub fn settings(&self) -> &IdentitySettings {
        &self.settings
    }

    /// A secret that stands for commands on this machine, until the server ends. Whoever can read
    /// the data folder may be told it: they could read the archive itself.
    pub fn command_secret(&self) -> &str {
        &self.command_secret
    }

    /// Where events go from now on, and those that were kept.
    ///
    /// # Errors
    /// When the database fails.
    pub fn set_event_sink(&self, sink: EventSink) -> Result<()> {
        *self.sink.write().unwrap_or_else(PoisonError::into_inner) = Some(sink);
        self.tell_kept()
    }

    /// Looks after what other processes have changed: commands, mostly.
    ///
    /// # Errors
    /// When the database fails.
    pub fn look_around(&self) -> Result<()> {
        if self.look_for_changes_elsewhere()? {
            self.tell_kept()?;
        }
        Ok(())
    }

    /// Removes what has ended: sessions, links, old failures.
    ///
    /// # Errors
    /// When the database fails.
    pub fn tidy(&self) -> Result<()> {
        let now = self.clock.now();
        let idle = self.session_idle();
        self.write(|transaction| {
            transaction.execute(
                "DELETE FROM session WHERE ends <= ?1 OR last_used <= ?2",
                [now, now.saturating_sub(idle)],
            )?;
            transaction.execute(
                "DELETE FROM one_time_link WHERE ends IS NOT NULL AND ends <= ?1",
                [now],
            )?;
            transaction.execute("DELETE FROM share_session WHERE ends <= ?1", [now])?;
            lock_out::tidy(transaction, now)
        })
    }

    /// Reads.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let database = self.lock();
        work(&database.connection)
    }

    /// Writes something that changes nobody's rights.
    pub(crate) fn write<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        let mut database = self.lock();
        let transaction = database
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = work(&transaction)?;
        transaction.commit()?;
        Ok(done)
    }

    /// Writes something that may change what somebody may do: nothing remembered is used after it.
    pub(crate) fn change<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        let done = self.write(work);
        self.changes.fetch_add(1, Ordering::SeqCst);
        done
    }

    /// The number of changes so far.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::SeqCst)
    }

    /// Looks whether another process has written, and counts it as a change.
    pub(crate) fn look_for_changes_elsewhere(&self) -> Result<bool> {
        let mut database = self.lock();
        let version = data_version(&database.connection)?;
        let is_changed = version != database.data_version;
        if is_changed {
            database.data_version = version;
            self.changes.fetch_add(1, Ordering::SeqCst);
        }
        Ok(is_changed)
    }

    /// Tells of something that happened. Without anybody to tell, it is kept for the next who
    /// listens.
    pub(crate) fn tell(&self, event: IdentityEvent) {
        let event = IdentityEvent {
            at: self.clock.now(),
            ..event
        };
        tracing::info!(
            event = event.kind.as_str(),
            success = event.is_success,
            credential = event.actor.credential,
            "identity"
        );
        if let Some(sink) = self.sink() {
            sink(event);
        } else if let Err(error) = self.keep(&event) {
            tracing::error!(%error, "an event is not in the audit trail");
        }
    }

    fn keep(&self, event: &IdentityEvent) -> Result<()> {
        let event = stored::write(event)?;
        self.write(|transaction| {
            transaction.execute("INSERT INTO untold_event (event) VALUES (?1)", [event])?;
            Ok(())
        })
    }

    fn tell_kept(&self) -> Result<()> {
        let Some(sink) = self.sink() else {
            return Ok(());
        };
        let kept: Vec<(i64, String)> = self.read(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT id, event FROM untold_event ORDER BY id")?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })?;
        for (id, event) in kept {
            match stored::read(&event, "an event") {
                Ok(event) => sink(event),
                Err(error) => tracing::error!(%error, "an event is not in the audit trail"),
            }
            self.write(|transaction| {
                transaction.execute("DELETE FROM untold_event WHERE id = ?1", [id])?;
                Ok(())
            })?;
        }
        Ok(())
    }

    fn sink(&self) -> Option<EventSink> {
        self.sink
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn lock(&self) -> MutexGuard<'_, Database> {
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn data_version(connection: &Connection) -> Result<i64> {
    Ok(connection.pragma_query_value(None, "data_version", |row| row.get(0))?)
}
