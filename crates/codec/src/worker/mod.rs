//! Codecs in processes of their own.
//!
//! Compressed pixel data comes from anywhere, and the libraries that decode it are C and C++. A
//! worker process has one frame in hand at a time, a limit on its memory, and no file to write
//! to; if it crashes or stalls, one request fails and the next one gets a new process.

mod options;
mod pool;
mod protocol;
mod server;

pub use options::PoolOptions;
pub use pool::Pool;
pub use server::run_stdio;
