//! Why a task did not come to its end.

use std::fmt;
use std::io;
use std::path::Path;

/// What went wrong and what to do about it, for the person at the terminal. Nothing else reads it, so it is a string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stop(String);

impl Stop {
    /// A reason with its remedy.
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }

    /// A file or folder could not be used.
    pub(crate) fn file(path: &Path, error: &io::Error) -> Self {
        Self(format!("{}: {error}", path.display()))
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<hookwright_guests::MissingTarget> for Stop {
    fn from(error: hookwright_guests::MissingTarget) -> Self {
        Self(error.to_string())
    }
}

impl From<hookwright_guests::BuildError> for Stop {
    fn from(error: hookwright_guests::BuildError) -> Self {
        Self(error.to_string())
    }
}
