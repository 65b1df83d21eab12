//! `gantry keys`: how what is stored is encrypted, and another master key.

use super::reach::DataOptions;
use super::usage::usage;
use crate::configuration::Configuration;
use crate::progress::{Progress, Unit};
use gantry_keys::{EncryptionConfig, KeyError, Keyring, Status};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Show how what is stored is encrypted, or change the master key.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gantry keys status --data /srv/pacs
  gantry keys rotate --data /srv/pacs
  gantry keys rotate --config /etc/gantry.toml --from-file /srv/pacs/keys/master.key

The master key wraps the keys with which things are encrypted. Changing it wraps them again and
touches nothing that is stored; it takes moments, and a server may run meanwhile. Cut off, it goes
on when it is called again.")]
pub struct Keys {
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Debug, clap::Subcommand)]
enum KeysCommand {
    /// Show where the master key is, and whether all keys are wrapped by it.
    ///
    /// Exit code: 0 when all is well, 1 when the master key is missing or a change of it was cut
    /// off.
    Status {
        #[command(flatten)]
        data: DataOptions,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Wrap all keys by a new master key; what is stored after the next start gets a new key too.
    ///
    /// In a file or with a key command the new master key is made here. In an environment variable
    /// put the new one there before, and the old one into the variable of this name and _PREVIOUS.
    Rotate {
        #[command(flatten)]
        data: DataOptions,
        #[command(flatten)]
        from: From,
    },
}

/// Where the master key was, when it moves to the place that the configuration names now.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
struct From {
    /// The master key was in this file.
    #[arg(long, value_name = "FILE")]
    from_file: Option<PathBuf>,
    /// The master key was in this environment variable.
    #[arg(long, value_name = "NAME")]
    from_env: Option<String>,
    /// The master key was wrapped by this program (with its arguments, split at spaces).
    #[arg(long, value_name = "COMMAND")]
    from_command: Option<String>,
}

/// Does what is asked.
pub fn run(keys: &Keys) -> anyhow::Result<ExitCode> {
    match &keys.command {
        KeysCommand::Status { data, json } => status(data, *json),
        KeysCommand::Rotate { data, from } => rotate(data, from),
    }
}

fn load(data: &DataOptions) -> anyhow::Result<(PathBuf, EncryptionConfig)> {
    let Configuration {
        archive,
        encryption,
        ..
    } = data.configuration()?;
    anyhow::ensure!(
        archive.data.is_dir(),
        "there is no data folder {}: name one with --data",
        archive.data.display()
    );
    Ok((archive.data, encryption))
}

fn status(data: &DataOptions, json: bool) -> anyhow::Result<ExitCode> {
    let (data, encryption) = load(data)?;
    let status = Keyring::status(&data, &encryption)?;
    let packs = gantry_blob::count_packs(&data)?;
    let is_well = status.keys == 0 || (status.master.is_some() && status.wrapped_by_others == 0);
    if json {
        let text = |shown: Option<String>| shown.map_or(serde_json::Value::Null, Into::into);
        let object = serde_json::json!({
            "enabled": encryption.enabled,
            "place": status.place,
            "master": text(status.master.map(|master| master.to_string())),
            "keys": status.keys,
            "wrapped_by_others": status.wrapped_by_others,
            "newest": text(status.newest.map(|key| key.to_string())),
            "is_master_beside_data": status.is_master_beside_data,
            "packs_encrypted": packs.encrypted,
            "packs_plain": packs.plain,
        });
        println!("{object}");
    } else {
        print(&encryption, &status);
        println!(
            "packs:      {} encrypted, {} plain",
            packs.encrypted, packs.plain
        );
    }
    Ok(if is_well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn print(encryption: &EncryptionConfig, status: &Status) {
    let state = if encryption.enabled {
        "enabled"
    } else {
        "not enabled"
    };
    println!("encryption: {state}");
    match &status.master {
        Some(master) => println!("master key: {master} in {}", status.place),
        None => println!("master key: not there ({})", status.place),
    }
    println!("keys:       {}", status.keys);
    if status.wrapped_by_others > 0 {
        println!(
            "            {} of them wrapped by another master key: a change was cut off, run \
             gantry keys rotate",
            status.wrapped_by_others
        );
    }
    if let Some(newest) = status.newest {
        println!("newest:     {newest}");
    }
    if status.is_master_beside_data && status.keys > 0 {
        println!(
            "warning:    the master key lies in the data folder: whoever takes all of it can read \
             it; see master_key_file"
        );
    }
}

fn rotate(data: &DataOptions, from: &From) -> anyhow::Result<ExitCode> {
    let (data, encryption) = load(data)?;
    let from = from.config();
    let progress = Progress::start("wrapping", "keys", Unit::Count);
    let mut before = None;
    let rotated = gantry_keys::rotate(&data, &encryption, from.as_ref(), &mut |state| {
        let done = match before {
            None => {
                progress.expect(state.total as u64, 0);
                state.done
            }
            Some(before) => state.done.saturating_sub(before),
        };
        progress.advance(done as u64, 0);
        before = Some(state.done);
    });
    let summary = progress.finish();
    let rotated = rotated.map_err(|error| match error {
        KeyError::NothingToRotate(what) => usage(what),
        error => error.into(),
    })?;
    println!("{summary}: master key {} wraps them", rotated.master);
    println!("keep a copy of it; backups from before need the one before");
    if let Some(place) = from.as_ref().and_then(left_behind) {
        println!("the one before is still in {place}");
    }
    Ok(ExitCode::SUCCESS)
}

/// Where the old key lies after it has moved.
fn left_behind(from: &EncryptionConfig) -> Option<std::path::Display<'_>> {
    let path: &Path = &from.master_key_file;
    (!path.as_os_str().is_empty()).then(|| path.display())
}

impl From {
    fn config(&self) -> Option<EncryptionConfig> {
        let Self {
            from_file,
            from_env,
            from_command,
        } = self;
        let is_given = from_file.is_some() || from_env.is_some() || from_command.is_some();
        is_given.then(|| EncryptionConfig {
            enabled: true,
            master_key_file: from_file.clone().unwrap_or_default(),
            master_key_env: from_env.clone().unwrap_or_default(),
            key_command: from_command
                .iter()
                .flat_map(|command| command.split_whitespace())
                .map(str::to_owned)
                .collect(),
        })
    }
}
