//! Work on a data folder that no server has open: building the index again, and looking whether
//! everything is as it should be. All functions block.

use crate::archive::{index_options, ledger_options};
use crate::catch_up;
use crate::config::ArchiveConfig;
use crate::error::{Error, Result};
use crate::keys::Keys;
use gantry_blob::{DataLock, Ledger};
use gantry_core::failure::Kind;
use gantry_core::level::Level;
use gantry_core::secret::SecretKey;
use gantry_index::search::Cancel;
use gantry_index::{Index, InstanceRow, Permit, Query, Selection};
use std::ops::ControlFlow;
use std::time::Duration;

pub use crate::catch_up::Applied;

/// Files of large objects younger than this may be on their way into the ledger.
const ORPHAN_AGE_MIN: Duration = Duration::from_secs(3600);

/// Builds the index again from the ledger. What only the index knew is lost: work that was
/// queued, refused attempts, who has called.
///
/// Interrupted, it goes on where it was when the archive is opened the next time.
///
/// # Errors
/// When the folder is in use, or what storage and index refuse.
pub fn reindex(config: &ArchiveConfig, progress: &mut dyn FnMut(&Applied)) -> Result<Applied> {
    let (ledger, keys) = open(config)?;
    Index::remove(&config.data)?;
    let (_index, mut writer) = Index::open(&config.data, index_options(&keys)?)?;
    catch_up::apply_all(&ledger, &mut writer, progress)
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verification {
    /// Instances whose bytes were read.
    pub instances: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Instances that there are to read.
    pub instances_total: u64,
    /// Their bytes.
    pub bytes_total: u64,
    /// What is wrong, each in a sentence with UIDs.
    pub problems: Vec<String>,
    /// Files of large objects that nothing refers to, and were removed.
    pub orphans: u64,
}

/// Reads every stored object, compares it with its digest, and removes files that nothing refers
/// to.
///
/// # Errors
/// When the folder is in use, or the index cannot be read. Damaged objects are no error: they are
/// in the result.
pub fn verify(
    config: &ArchiveConfig,
    progress: &mut dyn FnMut(&Verification),
) -> Result<Verification> {
    let (ledger, keys) = open(config)?;
    let (index, mut writer) = Index::open(&config.data, index_options(&keys)?)?;
    let mut found = Verification::default();
    found.problems.extend(
        ledger
            .damage()
            .iter()
            .map(|damage| format!("the ledger: {damage}")),
    );
    if writer.applied_position().sequence > ledger.end().sequence {
        found
            .problems
            .push("the index knows of more than the ledger has: run reindex".into());
    }
    let applied = catch_up::apply_ledger(&ledger, &mut writer)?;
    if applied.damaged > 0 {
        found.problems.push(format!(
            "{} ledger records cannot be applied",
            applied.damaged
        ));
    }
    let counts = index.statistics(&Permit::everything())?;
    found.instances_total = counts.instances;
    found.bytes_total = counts.bytes;
    progress(&found);
    let mut studies = Vec::new();
    index.search(
        &Query::universal(Level::Study),
        &Permit::everything(),
        &Cancel::default(),
        |study| {
            studies.extend(study.study_instance_uid);
            ControlFlow::Continue(())
        },
    )?;
    let mut check = |row: InstanceRow| {
        let verified =
            ledger
                .blobs()
                .verify(&row.location, u64::from(row.data_set_offset), &row.digest);
        if let Err(error) = verified {
            found
                .problems
                .push(format!("instance {}: {error}", row.sop_instance_uid));
        }
        found.instances += 1;
        found.bytes += row.location.length();
        progress(&found);
        ControlFlow::Continue(())
    };
    for study in studies {
        index.select(
            &Selection::study(&*study),
            &Permit::everything(),
            &mut check,
        )?;
    }
    // When in doubt the file stays.
    let is_known = |id| index.knows_large(id).unwrap_or(true);
    found.orphans = ledger.sweep_orphans(ORPHAN_AGE_MIN, is_known)?.0;
    Ok(found)
}

/// The key of a database of a data folder, for commands that read it beside a running server;
/// none when it is plain.
///
/// # Errors
/// When the keys cannot be opened.
pub fn database_key(config: &ArchiveConfig, name: &str) -> Result<Option<SecretKey>> {
    Ok(Keys::open(config)?.of_open_database(name))
}

fn open(config: &ArchiveConfig) -> Result<(Ledger, Keys)> {
    if !config.data.is_dir() {
        return Err(Error::new(Kind::NotFound, "there is no such data folder"));
    }
    let lock = DataLock::acquire(&config.data)?;
    let keys = Keys::open(config)?;
    let ledger = Ledger::open(lock, ledger_options(config), keys.keyring())?;
    Ok((ledger, keys))
}
