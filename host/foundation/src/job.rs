//! Background jobs that a request starts.

use serde::Serialize;

/// The state of a background job: a comparison, or a bulk redelivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// It is in progress.
    Running,
    /// It has completed.
    Done,
    /// An error ended it.
    Failed,
    /// It was stopped before it completed: the server stopped, or it took too long.
    Stopped,
}
