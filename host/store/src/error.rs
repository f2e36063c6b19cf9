use hookwright_model::Failure;

/// Why the store's file cannot be opened.
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
    #[error("{path} cannot be read as a store: {reason}. Put back a copy of it, or give another --data-dir")]
    Unreadable {
        /// The file.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// The disk said no.
    #[error("{path}: {reason}")]
    Io {
        /// The file.
        path: String,
        /// What it said.
        reason: String,
    },
}

/// Why an operation was not done. Nothing of it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Too many operations wait for the disk.
    #[error("too many events wait to be written: try again in a moment")]
    Busy,
    /// Too many accepted events wait to be worked on.
    #[error("{0} events wait to be worked on: try again later")]
    Backlog(usize),
    /// The store is shut.
    #[error("the server is shutting down")]
    Closed,
    /// The file could not be read or written.
    #[error("the store's file: {0}")]
    Storage(String),
    /// What lies in the file is not what was written there.
    #[error("the store holds something unreadable: {0}")]
    Corrupt(String),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let code = if error == StoreError::Busy { "store.busy" } else { "store.failed" };
        Self::transient(code, error.to_string())
    }
}

macro_rules! storage {
    ($($error:ty),*) => {
        $(impl From<$error> for StoreError {
            fn from(error: $error) -> Self {
                Self::Storage(error.to_string())
            }
        })*
    };
}

storage!(redb::Error, redb::StorageError, redb::TableError, redb::TransactionError, redb::CommitError);

impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> Self {
        Self::Corrupt(error.to_string())
    }
}
