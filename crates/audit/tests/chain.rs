//! Whatever is done to the trail behind its back is found.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use gantry_audit::{
    AuditError, AuditLog, AuditSettings, Event, Head, Kind, Problem, Reader, Study, Verified,
};
use gantry_core::access::PatientIdentity;
use gantry_core::principal::{Door, Principal};
use gantry_core::secret::SecretKey;
use proptest::prelude::*;
use rusqlite::Connection;
use std::path::Path;
use std::sync::Arc;

fn open(folder: &Path) -> Arc<AuditLog> {
    AuditLog::open(folder, None, AuditSettings::default()).unwrap()
}

fn event(number: usize) -> Event {
    let principal = Principal {
        user: Some(format!("user{}", number % 3)),
        ..Principal::unknown(Door::Http)
    };
    let patient = PatientIdentity {
        patient_id: format!("P{}", number % 5),
        issuer: None,
    };
    Event::new(Kind::Viewed, &principal)
        .patient(&patient)
        .study(Study::new(format!("1.2.{}", number % 7)))
        .text(format!("event {number}"))
}

/// A trail of so many events, closed.
fn trail(folder: &Path, events: usize) {
    let log = open(folder);
    let recordings: Vec<_> = (0..events)
        .map(|number| log.record(event(number)))
        .collect();
    for recording in recordings {
        recording.wait().unwrap();
    }
    log.close();
}

fn verify(folder: &Path) -> Verified {
    verify_with(folder, &[])
}

fn verify_with(folder: &Path, noted: &[Head]) -> Verified {
    Reader::new(folder, None, &AuditSettings::default())
        .verify(noted, &mut |_, _| {})
        .unwrap()
}

/// The database without what guards it.
fn unguarded(folder: &Path) -> Connection {
    let connection = Connection::open(folder.join("audit.sqlite")).unwrap();
    let triggers = connection
        .prepare("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        .unwrap()
        .query_map([], |row| row.get::<_, String>(0))
        .unwrap()
        .collect::<Result<Vec<_>, _>>()
        .unwrap();
    for trigger in triggers {
        connection
            .execute_batch(&format!("DROP TRIGGER {trigger}"))
            .unwrap();
    }
    connection
}

/// Does something without the guards, and puts these back as somebody would who hides it.
fn tamper(folder: &Path, statements: &str) {
    let connection = unguarded(folder);
    connection.execute_batch(statements).unwrap();
    let schema = include_str!("../migrations/0001_initial.sql");
    let begin = schema.find("CREATE TRIGGER").unwrap();
    let end = schema.find("-- One row: which chain").unwrap();
    connection.execute_batch(&schema[begin..end]).unwrap();
}

#[test]
fn an_untouched_trail_is_sound_and_goes_on_after_being_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(
        Reader::new(folder.path(), None, &AuditSettings::default()).verify(&[], &mut |_, _| {}),
        Err(AuditError::Missing { .. })
    ));
    trail(folder.path(), 10);
    let first = verify(folder.path());
    assert!(first.is_sound(), "{:?}", first.problems);
    assert_eq!(first.events, 10);
    trail(folder.path(), 5000);
    let second = verify_with(folder.path(), &[first.head.unwrap()]);
    assert!(second.is_sound(), "{:?}", second.problems);
    assert_eq!(second.head.unwrap().sequence, 5010);
}

#[test]
fn rows_cannot_be_changed_through_sql() {
    let folder = tempfile::tempdir().unwrap();
    trail(folder.path(), 3);
    let connection = Connection::open(folder.path().join("audit.sqlite")).unwrap();
    for statement in [
        "UPDATE event SET person = 'x'",
        "DELETE FROM event WHERE sequence = 3",
        "DELETE FROM event_study",
        "UPDATE event_study SET study = '1'",
        "INSERT OR REPLACE INTO event SELECT * FROM event WHERE sequence = 2",
        "INSERT INTO event SELECT 9, recorded, kind, outcome, person, calling_ae, address, \
         patient_id, issuer, event, previous, hash FROM event WHERE sequence = 2",
    ] {
        let error = connection.execute_batch(statement).unwrap_err();
        assert!(
            error.to_string().contains("audit trail"),
            "{statement}: {error}"
        );
    }
    assert!(verify(folder.path()).is_sound());
}

#[test]
fn what_was_done_is_named() {
    #[track_caller]
    fn check(statements: &str, expected: &[Problem]) {
        let folder = tempfile::tempdir().unwrap();
        trail(folder.path(), 20);
        tamper(folder.path(), statements);
        assert_eq!(verify(folder.path()).problems, expected, "{statements}");
    }
    check(
        "UPDATE event SET event = replace(event, 'event 6', 'event 7') WHERE sequence = 7",
        &[Problem::Changed { sequence: 7 }],
    );
    check(
        "UPDATE event SET recorded = recorded + 1 WHERE sequence = 1",
        &[Problem::Changed { sequence: 1 }],
    );
    check(
        "UPDATE event SET person = 'somebody else' WHERE sequence = 8",
        &[Problem::Misindexed {
            sequence: 8,
            column: "person",
        }],
    );
    check(
        "DELETE FROM event_study WHERE sequence = 9",
        &[Problem::Misindexed {
            sequence: 9,
            column: "studies",
        }],
    );
    check(
        "DELETE FROM event WHERE sequence BETWEEN 4 AND 6",
        &[Problem::Missing { from: 4, to: 6 }],
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_change_is_found(at in 1usize..=30, column in 0usize..6) {
        let folder = tempfile::tempdir().unwrap();
        trail(folder.path(), 30);
        let (column, value) = [
            ("event", "event || ' '"),
            ("recorded", "recorded - 1"),
            ("previous", "zeroblob(32)"),
            ("hash", "zeroblob(32)"),
            ("kind", "'queried'"),
            ("patient_id", "'nobody'"),
        ][column];
        tamper(
            folder.path(),
            &format!("UPDATE event SET {column} = {value} WHERE sequence = {at}"),
        );
        let found = verify(folder.path());
        prop_assert!(!found.is_sound());
        prop_assert!(found.problems.iter().all(|problem| matches!(
            problem,
            Problem::Changed { sequence } | Problem::Misindexed { sequence, .. }
                | Problem::Unlinked { sequence }
                if *sequence == at as u64 || *sequence == at as u64 + 1
        ) || matches!(problem, Problem::Replaced { .. })), "{:?}", found.problems);
    }

    #[test]
    fn any_deletion_is_found(from in 1usize..=30, count in 1usize..5, renumber in any::<bool>()) {
        let folder = tempfile::tempdir().unwrap();
        trail(folder.path(), 30);
        let to = (from + count - 1).min(30);
        let mut statements = format!(
            "DELETE FROM event WHERE sequence BETWEEN {from} AND {to};
             DELETE FROM event_study WHERE sequence BETWEEN {from} AND {to};"
        );
        if renumber {
            let by = to - from + 1;
            // Twice, so that no number is taken when it is given.
            for step in [1_000_000, -1_000_000 - by as i64] {
                statements += &format!(
                    "UPDATE event SET sequence = sequence + {step} WHERE sequence > {to};
                     UPDATE event_study SET sequence = sequence + {step} WHERE sequence > {to};"
                );
            }
        }
        tamper(folder.path(), &statements);
        let found = verify(folder.path());
        let cut = found.problems.iter().any(|it| matches!(it, Problem::CutOff { .. }));
        let missing = Problem::Missing { from: from as u64, to: to as u64 };
        let unlinked = Problem::Unlinked { sequence: from as u64 };
        if to == 30 {
            prop_assert!(cut && found.problems_total == 1, "{:?}", found.problems);
        } else if renumber {
            prop_assert!(found.problems.contains(&unlinked) && cut, "{:?}", found.problems);
        } else {
            prop_assert_eq!(&found.problems, &[missing]);
        }
    }

    #[test]
    fn any_reordering_is_found(one in 1usize..=30, other in 1usize..=30) {
        prop_assume!(one != other);
        let folder = tempfile::tempdir().unwrap();
        trail(folder.path(), 30);
        let mut statements = String::new();
        for table in ["event", "event_study"] {
            statements += &format!(
                "UPDATE {table} SET sequence = 1000 WHERE sequence = {one};
                 UPDATE {table} SET sequence = {one} WHERE sequence = {other};
                 UPDATE {table} SET sequence = {other} WHERE sequence = 1000;"
            );
        }
        tamper(folder.path(), &statements);
        let found = verify(folder.path());
        let is_moved = found.problems.iter().any(|it| matches!(it, Problem::Moved { .. }));
        prop_assert!(is_moved, "{:?}", found.problems);
        let is_changed = found.problems.iter().any(|it| matches!(it, Problem::Changed { .. }));
        prop_assert!(!is_changed, "{:?}", found.problems);
    }
}

#[test]
fn a_cut_off_end_is_found_and_stays_known_when_the_trail_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    trail(folder.path(), 20);
    let noted = verify(folder.path()).head.unwrap();
    tamper(
        folder.path(),
        "DELETE FROM event WHERE sequence > 15; DELETE FROM event_study WHERE sequence > 15",
    );
    let found = verify(folder.path());
    assert_eq!(found.problems, [Problem::CutOff { noted, last: 15 }]);
    // The server starts and goes on: what was cut off is told by an event from now on.
    trail(folder.path(), 10);
    let found = verify(folder.path());
    let [Problem::FoundDamaged { sequence: 16, text }] = &found.problems[..] else {
        panic!("{:?}", found.problems);
    };
    assert!(text.contains("event 20 was noted as the last"), "{text}");
    // Who has noted the head elsewhere sees it too.
    let found = verify_with(folder.path(), &[noted]);
    assert!(found.problems.contains(&Problem::Replaced { noted }));
    std::fs::remove_file(folder.path().join("audit.head")).unwrap();
    assert!(verify(folder.path()).problems.contains(&Problem::NoHead));
}

#[test]
fn without_the_key_nobody_can_go_on_with_the_chain() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    trail(path, 5);
    let key = SecretKey::new([3; 32]);
    let settings = AuditSettings::default;
    let log = AuditLog::open(path, Some(key.clone()), settings()).unwrap();
    log.record(event(6)).wait().unwrap();
    log.close();
    let reader = Reader::new(path, Some(key.clone()), &settings());
    let found = reader.verify(&[], &mut |_, _| {}).unwrap();
    assert!(found.is_sound() && found.is_keyed, "{:?}", found.problems);
    assert_eq!(found.events, 6);
    // The database is encrypted by now.
    assert!(matches!(
        AuditLog::open(path, None, settings()),
        Err(AuditError::Key { .. })
    ));
    let other = SecretKey::new([4; 32]);
    assert!(AuditLog::open(path, Some(other), settings()).is_err());
    let bytes = std::fs::read(path.join("audit.sqlite")).unwrap();
    assert!(!bytes.windows(5).any(|bytes| bytes == b"user0"));
    // Somebody who can decrypt the database, but not make the chain, changes an event.
    let connection = Connection::open(path.join("audit.sqlite")).unwrap();
    gantry_sqlite::unlock(&connection, Some(&key)).unwrap();
    connection
        .execute_batch(
            "DROP TRIGGER event_no_update;
             UPDATE event SET event = replace(event, 'event 6', 'event 5') WHERE sequence = 6;
             CREATE TRIGGER event_no_update BEFORE UPDATE ON event
             BEGIN SELECT raise(ABORT, 'the audit trail is append-only'); END;",
        )
        .unwrap();
    drop(connection);
    let found = reader.verify(&[], &mut |_, _| {}).unwrap();
    assert_eq!(found.problems, [Problem::Changed { sequence: 6 }]);
}

#[test]
fn encryption_may_be_switched_off_and_that_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let key = SecretKey::new([3; 32]);
    let log = AuditLog::open(path, Some(key.clone()), AuditSettings::default()).unwrap();
    log.record(event(1)).wait().unwrap();
    log.close();
    gantry_sqlite::convert(&path.join("audit.sqlite"), None, Some(&key)).unwrap();
    trail(path, 2);
    let found = verify(path);
    assert_eq!(found.problems, [Problem::KeyDropped { sequence: 2 }]);
    assert_eq!((found.events, found.unchecked), (3, 1));
}

#[test]
fn another_process_may_append_too() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (open(folder.path()), open(folder.path()));
    for number in 0..20 {
        let log = if number % 3 == 0 { &one } else { &other };
        assert_eq!(log.record(event(number)).wait().unwrap(), number as u64 + 1);
    }
    one.close();
    other.close();
    let found = verify(folder.path());
    assert!(found.is_sound(), "{:?}", found.problems);
    assert_eq!(found.events, 20);
}

#[test]
fn a_trigger_that_was_removed_is_told() {
    let folder = tempfile::tempdir().unwrap();
    trail(folder.path(), 1);
    drop(unguarded(folder.path()));
    let found = verify(folder.path());
    assert_eq!(found.problems_total, 5);
}
