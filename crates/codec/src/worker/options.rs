//! How the pool of workers is set up.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// How a [`super::Pool`] is set up.
#[derive(Debug, Clone)]
pub struct PoolOptions {
    /// The program to start; the running one when absent.
    pub executable: Option<PathBuf>,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// The most processes at a time.
    pub workers: usize,
    /// The most requests that may wait for a process; further ones are refused at once.
    pub queue: usize,
    /// How long a process may be without work before it is ended.
    pub idle: Duration,
    /// How long a request may be in a process's hands before the process is killed.
    pub timeout: Duration,
    /// The address space a process may take, in bytes.
    pub memory: u64,
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self {
            executable: None,
            arguments: vec!["codec-worker".into()],
            workers: std::thread::available_parallelism().map_or(2, usize::from),
            queue: 1024,
            idle: Duration::from_secs(60),
            timeout: Duration::from_secs(60),
            memory: 6 << 30,
        }
    }
}
