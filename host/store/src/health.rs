//! The health of the store, for health checks.

use std::fmt;

/// The health of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorageHealth {
    /// Everything is read and written.
    Writable,
    /// Little space is left: new events are refused; runs and deliveries in progress continue.
    Low {
        /// The free space, in bytes.
        free_bytes: u64,
        /// Below this new events are refused.
        min_free_bytes: u64,
    },
    /// No space is left: nothing is written until space is available.
    Full(String),
    /// The file cannot be read or written at present. The store tries to reopen it.
    Unavailable(String),
    /// The file is damaged or missing: the process must exit.
    Damaged(String),
}

impl StorageHealth {
    /// A stable name for programs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Writable => "writable",
            Self::Low { .. } => "low",
            Self::Full(_) => "full",
            Self::Unavailable(_) => "unavailable",
            Self::Damaged(_) => "damaged",
        }
    }

    /// Whether runs and deliveries in progress can be recorded.
    pub fn records(&self) -> bool {
        matches!(self, Self::Writable | Self::Low { .. })
    }
}

impl fmt::Display for StorageHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Writable => f.write_str("reads and writes"),
            Self::Low { free_bytes, min_free_bytes } => write!(
                f,
                "{free_bytes} bytes are free in the data directory, fewer than min_free_bytes = {min_free_bytes}: \
                 new events are refused until there is more"
            ),
            Self::Full(reason) => write!(f, "the data directory is full ({reason}): free some space"),
            Self::Unavailable(reason) | Self::Damaged(reason) => f.write_str(reason),
        }
    }
}
