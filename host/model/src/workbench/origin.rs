//! Who makes the changes of a step, and what for.

use crate::{Author, Cause};

/// Who makes the changes of a step, and what for.
pub(super) struct Origin {
    /// `source` of the events that the step emits.
    pub(super) source: String,
    pub(super) cause: Cause,
    pub(super) author: Author,
}

impl Origin {
    /// The cause of what is made here, with who makes it.
    pub(super) fn signed_cause(&self) -> Cause {
        // The cause has the run already.
        let by = Author { run: None, plugin: None, ..self.author.clone() };
        self.cause.clone().by(&by)
    }
}
