//! Objects that a space stores in more than one row, and the defaults of an object.

use hookwright_model::{PluginPolicy, PluginRecord, RetrySchedule};

/// A plugin: its live version, and its policy if one was set.
#[derive(Clone, Debug)]
pub(crate) struct PluginThing {
    pub(crate) name: String,
    pub(crate) record: Option<PluginRecord>,
    pub(crate) policy: Option<PluginPolicy>,
}

impl PluginThing {
    /// Whether a document has anything to state about it: a version is live, or a policy was set.
    pub(crate) fn is_set(&self) -> bool {
        self.policy.is_some() || self.record.as_ref().is_some_and(|record| !record.digest.is_empty())
    }
}

/// The server's defaults for fields of a webhook that its file omits.
pub(crate) struct WebhookDefaults {
    pub(crate) retry: RetrySchedule,
    pub(crate) timeout_ms: u32,
}
