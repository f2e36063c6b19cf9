//! Who makes the changes of a step, and why.

use crate::{Author, Cause};

/// Who makes the changes of a step, and why.
pub(super) struct Origin {
    /// `source` of the events that the step emits.
    pub(super) source: String,
    pub(super) cause: Cause,
    pub(super) author: Author,
}

impl Origin {
    /// The cause of the step's events, with their author.
    pub(super) fn signed_cause(&self) -> Cause {
        // The cause contains the run already.
        let by = Author { run: None, plugin: None, ..self.author.clone() };
        self.cause.clone().by(&by)
    }
}
