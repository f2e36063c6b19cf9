//! Why a call did not succeed, and whether trying again can help.

pub use crate::bindings::imports::hookwright::plugin::types::Failure;

impl Failure {
    /// A failure that trying again cannot mend.
    ///
    /// `code` is stable and for programs (`noun.problem`); `message` is for people: what was wrong, with which value,
    /// and what to do.
    #[must_use]
    pub fn permanent(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), retry_after_ms: None }
    }

    /// The same failure, to be retried by the step's own policy.
    #[must_use]
    pub fn retry(self) -> Self {
        self.retry_after(0)
    }

    /// The same failure, to be retried after `ms` milliseconds at the earliest.
    #[must_use]
    pub fn retry_after(mut self, ms: u32) -> Self {
        self.retry_after_ms = Some(ms);
        self
    }

    /// Whether trying again can help.
    #[must_use]
    pub fn can_retry(&self) -> bool {
        self.retry_after_ms.is_some()
    }

    /// What the host gave is not JSON, or what the plugin gives cannot be JSON: either is a fault in a program.
    pub(crate) fn json(what: &str, error: &serde_json::Error) -> Self {
        Self::permanent(
            "json.invalid",
            format!("{what} cannot be used: {error}. This is a fault of the plugin or of the server: report it"),
        )
    }
}

impl PartialEq for Failure {
    fn eq(&self, other: &Self) -> bool {
        self.code == other.code && self.message == other.message && self.retry_after_ms == other.retry_after_ms
    }
}
