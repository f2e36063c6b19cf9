use hookwright_model::Failure;

use crate::StorageHealth;
use crate::disk::DiskFailure;

/// The reason why the store's file cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("{0} is in use by another hookwright: stop that one, or give this one another --data-dir")]
    InUse(String),
    /// A later version wrote it.
    #[error("{path} has format {found}, this version reads up to {known}: start a newer hookwright")]
    Newer {
        /// The file.
        path: String,
        /// Its format.
        found: String,
        /// The highest format known.
        known: u32,
    },
    /// It is not a store, or is damaged.
    #[error("{path} cannot be read as a store: {reason}. Restore a copy of it, or give another --data-dir")]
    Unreadable {
        /// The file.
        path: String,
        /// The reason.
        reason: String,
    },
    /// Its content is not what was written.
    #[error("{path} is damaged: {reason}. Restore a copy of it; `hookwright check` reports what is damaged")]
    Damaged {
        /// The file.
        path: String,
        /// What is damaged.
        reason: String,
    },
    /// It is another file than the one that was closed.
    #[error(
        "{path} is not the file that {sums} has the checksums of: it was damaged, or replaced. If you restored a copy, \
         restore both files, or delete {sums}: then the whole store is checked at the next start"
    )]
    Mismatch {
        /// The file.
        path: String,
        /// The file of checksums.
        sums: String,
    },
    /// Its commit log is missing, or is that of another store or another state of it.
    #[error(
        "{path} does not fit its commit log in {folder}: {reason}. If you restored a copy, restore the file, its .sums \
         and that folder from the same copy"
    )]
    Apart {
        /// The file.
        path: String,
        /// The folder of the commit log.
        folder: String,
        /// What does not fit.
        reason: String,
    },
    /// A store existed, and is missing.
    #[error(
        "{path} is missing or empty, but {witness} shows that there was a store: restore a copy of it. To begin with a \
         new store, delete {witness} too"
    )]
    Emptied {
        /// The file.
        path: String,
        /// The file that shows that one existed.
        witness: String,
    },
    /// An input/output error.
    #[error("{path}: {reason}")]
    Io {
        /// The file.
        path: String,
        /// The error.
        reason: String,
    },
}

/// The reason why an operation failed. It has no effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Too many operations wait for the disk.
    #[error("too many events are waiting to be written: try again in a moment")]
    Busy,
    /// Too many accepted events wait to be processed.
    #[error("{0} events are waiting to be processed: try again later")]
    Backlog(usize),
    /// The store is closed.
    #[error("the server is shutting down")]
    Closed,
    /// The disk is full, or so little space is left that new events are refused.
    #[error("{0}")]
    Full(String),
    /// The file cannot be read or written at present.
    #[error("the store cannot currently be read or written: {0}")]
    Unavailable(String),
    /// The file is damaged.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// The operation writes more than one may.
    #[error("one change would write {bytes} bytes, and at most {most} are possible: divide it into several")]
    TooLarge {
        /// The bytes of its rows.
        bytes: usize,
        /// The maximum.
        most: usize,
    },
    /// The file could not be read or written.
    #[error("the store's file: {0}")]
    Storage(String),
    /// A stored value cannot be parsed.
    #[error("the store contains unreadable data: {0}")]
    Corrupt(String),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let code = match error {
            StoreError::Busy => "store.busy",
            StoreError::Full(_) => Failure::STORE_FULL,
            StoreError::Unavailable(_) => "store.unavailable",
            // It would write as much the next time.
            StoreError::TooLarge { .. } => return Self::permanent("change.too_large", error.to_string()),
            _ => "store.failed",
        };
        Self::transient(code, error.to_string())
    }
}

impl From<redb::Error> for StoreError {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::Io(error) => match DiskFailure::of(&error, "the file") {
                DiskFailure::Full(reason) => Self::Full(StorageHealth::Full(reason).to_string()),
                DiskFailure::Io(reason) => Self::Unavailable(reason),
                DiskFailure::Damaged(reason) => Self::Damaged(reason),
            },
            redb::Error::PreviousIo | redb::Error::DatabaseClosed | redb::Error::LockPoisoned(_) => {
                Self::Unavailable("its file is being opened again".to_owned())
            }
            redb::Error::Corrupted(reason) => Self::Damaged(reason),
            other => Self::Storage(other.to_string()),
        }
    }
}

macro_rules! storage {
    ($($error:ty),*) => {
        $(impl From<$error> for StoreError {
            fn from(error: $error) -> Self {
                redb::Error::from(error).into()
            }
        })*
    };
}

storage!(redb::StorageError, redb::TableError, redb::TransactionError, redb::CommitError);

impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> Self {
        Self::Corrupt(error.to_string())
    }
}

impl StorageHealth {
    /// The reason why new events are refused.
    pub(crate) fn refuses_events(&self) -> Option<StoreError> {
        match self {
            Self::Low { .. } => Some(StoreError::Full(self.to_string())),
            other => other.refuses_writes(),
        }
    }

    /// The reason why nothing is written.
    pub(crate) fn refuses_writes(&self) -> Option<StoreError> {
        match self {
            Self::Writable | Self::Low { .. } => None,
            Self::Full(_) => Some(StoreError::Full(self.to_string())),
            Self::Unavailable(reason) => Some(StoreError::Unavailable(reason.clone())),
            Self::Damaged(reason) => Some(StoreError::Damaged(reason.clone())),
        }
    }
}
