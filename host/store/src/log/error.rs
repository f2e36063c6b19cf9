//! What can go wrong with a log.

use std::io;
use std::path::Path;

use super::entry::Position;
use crate::disk::DiskFailure;

/// A failure of the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// Another process has it open.
    #[error("{0} is in use by another hookwright: stop that one, or give this one another --data-dir")]
    InUse(String),
    /// A later version wrote it.
    #[error("{path} has log format {found}, this version reads {known}: start a newer hookwright")]
    Newer {
        /// The file.
        path: String,
        /// Its format.
        found: u32,
        /// The format that is known.
        known: u32,
    },
    /// What was written is not there any more.
    #[error(
        "{path} is damaged at byte {offset}: {reason}. Restore a copy of the whole data directory, made while the server \
         was stopped; what came after the copy is lost"
    )]
    Damaged {
        /// The file.
        path: String,
        /// Where in it.
        offset: u64,
        /// What is wrong.
        reason: String,
    },
    /// No space is left.
    #[error("{0}")]
    Full(String),
    /// The medium failed.
    #[error("{0}")]
    Io(String),
    /// An earlier append failed, and the log was not recovered since.
    #[error("the log failed and was not recovered yet: {0}")]
    Failed(String),
    /// An entry before this one is missing.
    #[error("position {position} does not follow {last}, the last one")]
    Gap {
        /// The position of the entry.
        position: Position,
        /// The last position of the log.
        last: Position,
    },
    /// The entry names another entry before it than the one that is stored.
    #[error("the entry for position {0} follows another entry than the one that is stored before it")]
    Diverged(Position),
    /// The position was trimmed.
    #[error("position {position} is not in the log any more: it begins at {first}")]
    Trimmed {
        /// The position.
        position: Position,
        /// The first position that is left.
        first: Position,
    },
    /// The entry is larger than any entry may be.
    #[error("an entry of {bytes} bytes, and at most {most} are possible")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        most: usize,
    },
}

impl LogError {
    /// Of an input/output error on a file.
    pub(super) fn io(path: &Path, doing: &str, error: &io::Error) -> Self {
        match DiskFailure::of(error, &format!("{doing} {}", path.display())) {
            DiskFailure::Full(reason) => Self::Full(reason),
            // Only a reader of the content can tell that it is damaged: a file that ends early is told by its scan.
            DiskFailure::Io(reason) | DiskFailure::Damaged(reason) => Self::Io(reason),
        }
    }

    /// Of a file whose content is not what was written.
    pub(super) fn damaged(path: &Path, offset: usize, reason: impl Into<String>) -> Self {
        let offset = u64::try_from(offset).unwrap_or(u64::MAX);
        Self::Damaged { path: path.display().to_string(), offset, reason: reason.into() }
    }
}
