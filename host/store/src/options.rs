//! What a store is opened with: its file, and the limits of its memory, its queues and the disk.

use std::path::PathBuf;
use std::time::Duration;

/// Options of the store.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// The file, which is created if it does not exist.
    pub path: PathBuf,
    /// The size of the page cache, in bytes.
    pub cache_bytes: usize,
    /// The maximum number of operations that wait for the writer.
    pub queue: usize,
    /// The maximum number of accepted events of each space that wait to be processed; more are refused.
    pub max_backlog: usize,
    /// New events are refused while less space is free on the file's file system, in bytes; `None`: 5 % of the file
    /// system, at most 256 MiB. Below a quarter of it nothing is written.
    pub min_free_bytes: Option<u64>,
    /// The database is made as durable as its log once this much was appended to the log,
    pub checkpoint_bytes: u64,
    /// and at least this often while something is.
    pub checkpoint_every: Duration,
    /// The interval at which the free space is checked, and a failed store is reopened if possible.
    pub watch_every: Duration,
}

impl StoreOptions {
    /// The defaults: 64 MiB of cache, 8,192 waiting operations, 100,000 waiting events.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            cache_bytes: 64 * 1024 * 1024,
            queue: 8192,
            max_backlog: 100_000,
            min_free_bytes: None,
            checkpoint_bytes: 8 * 1024 * 1024,
            checkpoint_every: Duration::from_secs(5),
            watch_every: Duration::from_secs(1),
        }
    }
}
