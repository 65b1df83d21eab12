//! Places at which a test can make the archive fail or die.
//!
//! The environment variable `GANTRY_FAILPOINT` holds a comma-separated list of
//! `name:action[:after]`: at the named place, after it was passed `after` times, `abort` ends the
//! process as `kill -9` would, `enospc`, `eio` and `erofs` answer what a full, a broken or a
//! read-only disk answers (from then on, until `count` more when `after` is written `after+count`).
//! Without the variable a place costs one load and one comparison.

use std::cell::RefCell;
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// What happens at a failpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The process ends at once, without unwinding or flushing.
    Abort,
    /// The disk is full.
    NoSpace,
    /// The disk is broken.
    Broken,
    /// The file system is read-only.
    ReadOnly,
}

#[derive(Debug)]
struct Arm {
    name: String,
    action: Action,
    after: u64,
    count: u64,
    passed: AtomicU64,
}

static ARMED: OnceLock<Vec<Arm>> = OnceLock::new();

thread_local! {
    static ARMED_HERE: RefCell<Vec<Arm>> = const { RefCell::new(Vec::new()) };
}

/// Takes the failpoint away from the thread when dropped.
#[derive(Debug)]
pub struct Guard {
    name: String,
}

/// Arms a failpoint for the calling thread: after `after` passes, `count` passes fail.
pub fn arm(name: &str, action: Action, after: u64, count: u64) -> Guard {
    let name = name.to_owned();
    let arm = Arm {
        name: name.clone(),
        action,
        after,
        count,
        passed: AtomicU64::new(0),
    };
    ARMED_HERE.with_borrow_mut(|armed| armed.push(arm));
    Guard { name }
}

impl Drop for Guard {
    fn drop(&mut self) {
        ARMED_HERE.with_borrow_mut(|armed| armed.retain(|arm| arm.name != self.name));
    }
}

/// Passes the place called `name`.
///
/// # Errors
/// What the armed action answers.
pub fn pass(name: &str) -> io::Result<()> {
    let armed = ARMED.get_or_init(|| {
        std::env::var("GANTRY_FAILPOINT")
            .map(|text| parse(&text))
            .unwrap_or_default()
    });
    if !armed.is_empty() {
        fire(armed, name)?;
    }
    ARMED_HERE.with_borrow(|armed| {
        if armed.is_empty() {
            Ok(())
        } else {
            fire(armed, name)
        }
    })
}

fn fire(armed: &[Arm], name: &str) -> io::Result<()> {
    for arm in armed.iter().filter(|arm| arm.name == name) {
        let passed = arm.passed.fetch_add(1, Ordering::Relaxed);
        if passed >= arm.after && passed - arm.after < arm.count {
            return act(arm.action);
        }
    }
    Ok(())
}

fn act(action: Action) -> io::Result<()> {
    use rustix::io::Errno;
    let errno = match action {
        Action::Abort => std::process::abort(),
        Action::NoSpace => Errno::NOSPC,
        Action::Broken => Errno::IO,
        Action::ReadOnly => Errno::ROFS,
    };
    Err(errno.into())
}

fn parse(text: &str) -> Vec<Arm> {
    text.split(',').filter_map(parse_one).collect()
}

fn parse_one(text: &str) -> Option<Arm> {
    let mut parts = text.trim().split(':');
    let name = parts.next()?.to_owned();
    let action = match parts.next()? {
        "abort" => Action::Abort,
        "enospc" => Action::NoSpace,
        "eio" => Action::Broken,
        "erofs" => Action::ReadOnly,
        _ => return None,
    };
    let times = parts.next().unwrap_or("0");
    let (after, count) = match times.split_once('+') {
        Some((after, count)) => (after.parse().ok()?, count.parse().ok()?),
        None => (times.parse().ok()?, u64::MAX),
    };
    Some(Arm {
        name,
        action,
        after,
        count,
        passed: AtomicU64::new(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failpoint_fails_when_its_turn_has_come() {
        let guard = arm("here", Action::NoSpace, 1, 1);
        let outcomes: Vec<_> = (0..3).map(|_| pass("here").is_ok()).collect();
        assert_eq!(outcomes, [true, false, true]);
        assert!(pass("elsewhere").is_ok());
        drop(guard);
        assert!(pass("here").is_ok());
    }

    #[test]
    fn the_variable_names_place_action_and_turn() {
        let arms = parse("a:abort, b:enospc:3,c:eio:1+2,nonsense,d:fly");
        let read: Vec<_> = arms
            .iter()
            .map(|arm| (arm.name.as_str(), arm.action, arm.after, arm.count))
            .collect();
        assert_eq!(
            read,
            [
                ("a", Action::Abort, 0, u64::MAX),
                ("b", Action::NoSpace, 3, u64::MAX),
                ("c", Action::Broken, 1, 2),
            ]
        );
    }
}
