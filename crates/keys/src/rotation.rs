//! Changing the master key.
//!
//! Each key file names the master that wraps it, and both masters are kept until the last file is
//! wrapped by the new one. So it may be cut off at any moment: the archive opens with both, and
//! the next call goes on. A running server is not disturbed: it has its keys in memory, and they
//! do not change.

use crate::config::EncryptionConfig;
use crate::error::{KeyError, Result};
use crate::keyring::{add_data_key, folder, list, load_masters, lock_exclusive, master_of};
use crate::master::{Master, MasterId, Place};
use crate::wrapped::WrappedKey;
use std::path::Path;

/// How far a change of the master key has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Keys that the new master wraps.
    pub done: usize,
    /// All keys.
    pub total: usize,
    /// The new master.
    pub master: MasterId,
}

/// Wraps all keys by another master key, and adds a data key for what is stored after the next
/// start. The master is a new one where Gantry keeps it (in a file, or wrapped by a program); in an
/// environment variable it is the one that is there, with the one before in `…_PREVIOUS`. With
/// `from`, the master key moves to the place that `config` names, from the one that `from` names.
///
/// Cut off, it goes on when it is called again.
///
/// # Errors
/// [`KeyError::NothingToRotate`] when there are no keys, or no other master; whatever keeps the
/// keys from being read. Nothing is lost by an error.
pub fn rotate(
    data: &Path,
    config: &EncryptionConfig,
    from: Option<&EncryptionConfig>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Progress> {
    let folder = folder(data);
    if list(&folder)?.is_empty() {
        let what = format!("there are no keys in {}", folder.display());
        return Err(KeyError::NothingToRotate(what));
    }
    let _lock = lock_exclusive(&folder)?;
    let place = Place::of(config, &folder)?;
    let (masters, target) = match from {
        Some(from) => masters_of_move(&place, &Place::of(from, &folder)?)?,
        None => masters_of_change(&place, &folder)?,
    };
    let keys = list(&folder)?;
    // All of it before anything is changed.
    for (_, key) in &keys {
        master_of(&masters, key, &place)?;
    }
    let mut state = Progress {
        done: keys
            .iter()
            .filter(|(_, key)| key.master == target.id())
            .count(),
        total: keys.len(),
        master: target.id(),
    };
    progress(state);
    for (path, key) in keys.iter().filter(|(_, key)| key.master != target.id()) {
        let secret = key.unwrap(path, master_of(&masters, key, &place)?)?;
        WrappedKey::wrap(key.for_use, key.generation, key.id, &secret, &target)?.write(path)?;
        state.done += 1;
        progress(state);
    }
    let generation = keys
        .iter()
        .map(|(_, key)| key.generation)
        .max()
        .unwrap_or(0);
    add_data_key(&folder, generation.saturating_add(1), &target)?;
    if from.is_none() {
        place.promote_next()?;
    }
    Ok(state)
}

/// The masters, and the one among them that is to wrap all.
fn masters_of_change(place: &Place, folder: &Path) -> Result<(Vec<Master>, Master)> {
    let mut masters = load_masters(place)?;
    if let Place::Variable(name) = place {
        let target = place.load()?.ok_or_else(|| KeyError::MasterMissing {
            place: place.to_string(),
        })?;
        if list(folder)?
            .iter()
            .all(|(_, key)| key.master == target.id())
        {
            return Err(KeyError::NothingToRotate(format!(
                "the key in {name} wraps all keys already: put the new one into it, and this one \
                 into {name}_PREVIOUS"
            )));
        }
        return Ok((masters, target));
    }
    let target = match place.load_other()? {
        // A change that was cut off goes on.
        Some(next) => next,
        None => {
            // Nothing is made as long as the keys cannot be read.
            for (_, key) in list(folder)? {
                master_of(&masters, &key, place)?;
            }
            place.make_next()?.ok_or_else(|| {
                KeyError::NothingToRotate(format!("no key can be put into {place}"))
            })?
        }
    };
    masters.push(target.clone());
    Ok((masters, target))
}

fn masters_of_move(to: &Place, from: &Place) -> Result<(Vec<Master>, Master)> {
    let mut masters = load_masters(from)?;
    let target = match to.load()? {
        Some(target) => target,
        None => to.make()?,
    };
    masters.push(target.clone());
    masters.extend(to.load_other()?);
    Ok((masters, target))
}
