//! The program that wraps and unwraps a key: the way to a KMS or an HSM.

use crate::error::{KeyError, Result};
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// How long it may take.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// Bytes that it may answer.
const ANSWER_MAX: u64 = 64 << 10;

/// Runs `command` with `action` as its last argument, `input` on its standard input; returns what
/// it writes to its standard output. What it says on standard error goes to ours.
pub(crate) fn run(
    command: &[String],
    action: &'static str,
    input: &[u8],
) -> Result<Zeroizing<Vec<u8>>> {
    let (program, arguments) = command.split_first().ok_or(KeyError::Ambiguous)?;
    let failed = |what: String| KeyError::Command {
        program: program.clone(),
        action,
        what,
    };
    let mut child = Command::new(program)
        .args(arguments)
        .arg(action)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    let (Some(mut to), Some(from)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(failed("it has no standard input or output".into()));
    };
    // A pipe takes as much as a key is long without anyone reading it. A program that does not
    // read its input shows by its answer.
    let _ = to.write_all(input);
    drop(to);
    let (told, answer) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Zeroizing::new(Vec::new());
        let read = from.take(ANSWER_MAX).read_to_end(&mut bytes);
        let _ = told.send(read.map(|_| bytes));
    });
    let until = Instant::now() + WAIT_MAX;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < until => std::thread::sleep(Duration::from_millis(5)),
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(failed("it does not end".into()));
            }
            Err(error) => return Err(failed(error.to_string())),
        }
    };
    if !status.success() {
        return Err(failed(status.to_string()));
    }
    let left = until.saturating_duration_since(Instant::now());
    match answer.recv_timeout(left) {
        Ok(Ok(bytes)) if bytes.is_empty() => Err(failed("it answered nothing".into())),
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(_) => Err(failed("its answer does not end".into())),
    }
}
