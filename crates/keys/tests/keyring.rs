//! The keyring through its public face: keys stay, whatever happens to the master key.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use gantry_keys::{EncryptionConfig, KeyError, Keyring, rotate};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};

fn open(data: &Path, config: &EncryptionConfig) -> Result<Option<Keyring>, KeyError> {
    Keyring::open(data, config, || None)
}

/// What the keys are good for: the same before and after a change of the master key.
fn essence(keyring: &Keyring, of: &Keyring) -> (Vec<u8>, Vec<u8>) {
    let key = keyring.find(of.newest().unwrap().id()).unwrap();
    (
        keyring.derive("index").bytes().to_vec(),
        key.derive("test", b"object").bytes().to_vec(),
    )
}

fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            files.insert(path.clone(), std::fs::read(path).unwrap());
        }
    }
    files
}

fn in_file(file: &Path) -> EncryptionConfig {
    EncryptionConfig {
        master_key_file: file.to_owned(),
        ..EncryptionConfig::default()
    }
}

#[test]
fn keys_are_made_once_and_stay() {
    let data = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let config = in_file(&elsewhere.path().join("made/on/first/start.key"));
    let first = open(data.path(), &config).unwrap().unwrap();
    let again = open(data.path(), &config).unwrap().unwrap();
    assert_eq!(essence(&first, &first), essence(&again, &first));
    assert_ne!(first.derive("index").bytes(), first.derive("audit").bytes());
    for path in files(data.path()).keys().chain([&config.master_key_file]) {
        let mode = std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}", path.display());
    }
    let status = Keyring::status(data.path(), &config).unwrap();
    assert_eq!((status.keys, status.wrapped_by_others), (2, 0));
    assert!(!status.is_master_beside_data);
    assert_eq!(status.newest, Some(first.newest().unwrap().id()));
    let beside = tempfile::tempdir().unwrap();
    open(beside.path(), &EncryptionConfig::default()).unwrap();
    let status = Keyring::status(beside.path(), &EncryptionConfig::default()).unwrap();
    assert!(status.is_master_beside_data);
}

#[test]
fn without_encryption_no_keys_are_made_and_old_ones_serve() {
    let data = tempfile::tempdir().unwrap();
    let disabled = EncryptionConfig {
        enabled: false,
        ..EncryptionConfig::default()
    };
    assert!(open(data.path(), &disabled).unwrap().is_none());
    assert!(files(data.path()).is_empty());
    let made = open(data.path(), &EncryptionConfig::default())
        .unwrap()
        .unwrap();
    let old = open(data.path(), &disabled).unwrap().unwrap();
    assert!(old.newest().is_none());
    assert!(old.find(made.newest().unwrap().id()).is_ok());
}

#[test]
fn a_lost_or_wrong_master_key_changes_nothing() {
    let data = tempfile::tempdir().unwrap();
    let config = EncryptionConfig::default();
    let made = open(data.path(), &config).unwrap().unwrap();
    let file = data.path().join("keys/master.key");
    let kept = std::fs::read(&file).unwrap();

    std::fs::remove_file(&file).unwrap();
    let before = files(data.path());
    let error = open(data.path(), &config).unwrap_err();
    assert!(matches!(error, KeyError::MasterMissing { .. }), "{error}");
    assert!(rotate(data.path(), &config, None, &mut |_| ()).is_err());
    assert_eq!(files(data.path()), before);

    std::fs::write(&file, "ab".repeat(32)).unwrap();
    let before = files(data.path());
    let error = open(data.path(), &config).unwrap_err();
    assert!(matches!(error, KeyError::WrongMaster { .. }), "{error}");
    assert!(rotate(data.path(), &config, None, &mut |_| ()).is_err());
    assert_eq!(files(data.path()), before);
    std::fs::write(&file, "no key").unwrap();
    assert!(matches!(
        open(data.path(), &config),
        Err(KeyError::Damaged { .. })
    ));

    std::fs::write(&file, kept).unwrap();
    let again = open(data.path(), &config).unwrap().unwrap();
    assert_eq!(essence(&again, &made), essence(&made, &made));
}

#[test]
fn no_key_is_made_where_something_is_encrypted() {
    let data = tempfile::tempdir().unwrap();
    for enabled in [true, false] {
        let config = EncryptionConfig {
            enabled,
            ..EncryptionConfig::default()
        };
        let error = Keyring::open(data.path(), &config, || Some("a pack".into())).unwrap_err();
        assert!(matches!(error, KeyError::Lost { .. }), "{error}");
        assert!(files(data.path()).is_empty());
    }
}

#[test]
fn a_change_of_the_master_key_may_be_cut_off_anywhere() {
    // At each step in turn; the last turn is not cut off.
    for cut in 0..6 {
        let data = tempfile::tempdir().unwrap();
        let config = EncryptionConfig::default();
        let mut made = open(data.path(), &config).unwrap().unwrap();
        for _ in 0..2 {
            rotate(data.path(), &config, None, &mut |_| ()).unwrap();
        }
        let newest = open(data.path(), &config).unwrap().unwrap();
        assert_eq!(essence(&newest, &made), essence(&made, &made));
        assert_ne!(newest.newest().unwrap().id(), made.newest().unwrap().id());
        made = newest;
        let before = Keyring::status(data.path(), &config).unwrap();
        assert_eq!(before.keys, 4);

        let mut step = 0;
        let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| {
            rotate(data.path(), &config, None, &mut |_| {
                assert!(step != cut, "cut off");
                step += 1;
            })
        }));
        assert_eq!(outcome.is_err(), cut < 5, "step {cut}");
        let halfway = open(data.path(), &config).unwrap().unwrap();
        assert_eq!(essence(&halfway, &made), essence(&made, &made));
        let status = Keyring::status(data.path(), &config).unwrap();
        assert_eq!(status.wrapped_by_others, if cut < 5 { cut } else { 0 });

        rotate(data.path(), &config, None, &mut |_| ()).unwrap();
        let after = Keyring::status(data.path(), &config).unwrap();
        assert_eq!(after.wrapped_by_others, 0);
        assert_ne!(after.master, before.master);
        let again = open(data.path(), &config).unwrap().unwrap();
        assert_eq!(essence(&again, &made), essence(&made, &made));
        assert!(!data.path().join("keys/master.key.next").exists());
    }
}

/// A program that wraps: it puts a letter before, and notes that it was asked.
fn key_command(folder: &Path) -> EncryptionConfig {
    let script = folder.join("kms");
    let text = format!(
        "#!/bin/sh\necho $2 >> {}/asked\n[ -e {0}/down ] && exit 3\n\
         case $2 in wrap) printf W; cat;; unwrap) tail -c +2;; esac\n",
        folder.display()
    );
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o700)).unwrap();
    EncryptionConfig {
        key_command: vec![script.display().to_string(), "--key=1".into()],
        ..EncryptionConfig::default()
    }
}

#[test]
fn a_program_wraps_the_master_key() {
    let data = tempfile::tempdir().unwrap();
    let kms = tempfile::tempdir().unwrap();
    let config = key_command(kms.path());
    let made = open(data.path(), &config).unwrap().unwrap();
    rotate(data.path(), &config, None, &mut |_| ()).unwrap();
    let again = open(data.path(), &config).unwrap().unwrap();
    assert_eq!(essence(&again, &made), essence(&made, &made));
    let asked = std::fs::read_to_string(kms.path().join("asked")).unwrap();
    assert!(asked.starts_with("wrap\nunwrap\nunwrap\n"), "{asked}");

    std::fs::write(kms.path().join("down"), "").unwrap();
    let before = files(data.path());
    let error = open(data.path(), &config).unwrap_err();
    assert!(matches!(error, KeyError::Command { .. }), "{error}");
    assert!(rotate(data.path(), &config, None, &mut |_| ()).is_err());
    assert_eq!(files(data.path()), before);
}

#[test]
fn the_master_key_moves_to_another_place() {
    let data = tempfile::tempdir().unwrap();
    let kms = tempfile::tempdir().unwrap();
    let from = EncryptionConfig::default();
    let made = open(data.path(), &from).unwrap().unwrap();
    let to = key_command(kms.path());
    assert!(matches!(
        open(data.path(), &to),
        Err(KeyError::MasterMissing { .. })
    ));
    rotate(data.path(), &to, Some(&from), &mut |_| ()).unwrap();
    let again = open(data.path(), &to).unwrap().unwrap();
    assert_eq!(essence(&again, &made), essence(&made, &made));
    assert!(matches!(
        open(data.path(), &from),
        Err(KeyError::WrongMaster { .. })
    ));
}

fn in_variable() -> EncryptionConfig {
    EncryptionConfig {
        master_key_env: "GANTRY_TEST_MASTER".into(),
        ..EncryptionConfig::default()
    }
}

/// Part of the test below, with variables set.
#[test]
#[ignore = "called by another test"]
fn with_variables() {
    let data = PathBuf::from(std::env::var_os("GANTRY_TEST_DATA").unwrap());
    let config = in_variable();
    if std::env::var_os("GANTRY_TEST_ROTATE").is_some() {
        rotate(&data, &config, None, &mut |_| ()).unwrap();
        let nothing = rotate(&data, &config, None, &mut |_| ());
        assert!(matches!(nothing, Err(KeyError::NothingToRotate(_))));
    }
    let keyring = open(&data, &config).unwrap().unwrap();
    assert!(std::env::var_os("GANTRY_TEST_MASTER").is_some());
    std::fs::write(data.join("derived"), keyring.derive("index").bytes()).unwrap();
}

#[test]
fn the_master_key_is_in_a_variable() {
    let data = tempfile::tempdir().unwrap();
    let missing = open(data.path(), &in_variable());
    assert!(matches!(missing, Err(KeyError::MasterMissing { .. })));
    let run = |variables: &[(&str, &str)]| {
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["with_variables", "--exact", "--ignored"])
            .env("GANTRY_TEST_DATA", data.path())
            .envs(variables.iter().copied())
            .output()
            .unwrap()
            .status;
        status
            .success()
            .then(|| std::fs::read(data.path().join("derived")).unwrap())
    };
    let (one, two) = ("ab".repeat(32), "cd".repeat(32));
    let derived = run(&[("GANTRY_TEST_MASTER", &one)]).unwrap();
    assert!(run(&[("GANTRY_TEST_MASTER", &two)]).is_none());
    let both = [
        ("GANTRY_TEST_MASTER", two.as_str()),
        ("GANTRY_TEST_MASTER_PREVIOUS", one.as_str()),
    ];
    assert_eq!(run(&both).unwrap(), derived);
    let rotating = [both[0], both[1], ("GANTRY_TEST_ROTATE", "1")];
    assert_eq!(run(&rotating).unwrap(), derived);
    assert_eq!(run(&[("GANTRY_TEST_MASTER", &two)]).unwrap(), derived);
    assert!(run(&[("GANTRY_TEST_MASTER", &one)]).is_none());
}

#[test]
fn one_place_at_most_is_named() {
    let config = EncryptionConfig {
        master_key_env: "X".into(),
        ..in_file(Path::new("y"))
    };
    assert!(matches!(config.check(), Err(KeyError::Ambiguous)));
    let read: EncryptionConfig =
        toml::from_str("master_key_file = \"/etc/gantry/master.key\"").unwrap();
    assert!(read.enabled);
    assert!(toml::from_str::<EncryptionConfig>("master_key = \"secret\"").is_err());
}
