//! The results of conditions and actions.

use serde::Serialize;

use crate::Failure;

/// A condition's result, with the compared values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the event concerns the automation.
    pub holds: bool,
    /// Explains why the automation did or did not fire. At most 1 KiB of it reaches the host.
    pub reason: String,
}

impl Verdict {
    /// The condition holds, because.
    #[must_use]
    pub fn yes(reason: impl Into<String>) -> Self {
        Self { holds: true, reason: reason.into() }
    }

    /// The condition does not hold, because.
    #[must_use]
    pub fn no(reason: impl Into<String>) -> Self {
        Self { holds: false, reason: reason.into() }
    }
}

/// The result of an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It did its work. The JSON text is the result that later steps can use.
    Done(String),
    /// There was nothing to do, because.
    Skipped(String),
}

impl Outcome {
    /// The work is done, with this result.
    ///
    /// # Errors
    /// The result cannot be written as JSON (a map with keys that are not strings, for one).
    pub fn done(result: &impl Serialize) -> Result<Self, Failure> {
        serde_json::to_string(result).map(Self::Done).map_err(|error| Failure::json("the action's result", &error))
    }

    /// There was nothing to do, because.
    #[must_use]
    pub fn skipped(reason: impl Into<String>) -> Self {
        Self::Skipped(reason.into())
    }
}
