//! The context in which an automation is validated.

use hookwright_model::{Kind, SpaceId};

use crate::pending_changes::PendingChanges;

/// The space for which something is validated, and its state after the changes.
#[derive(Clone, Copy)]
pub(crate) struct CheckScope<'a> {
    pub(crate) space: &'a SpaceId,
    pub(crate) pending: &'a PendingChanges,
    /// The name of the workflow that is validated.
    pub(crate) itself: Option<&'a str>,
}

/// A use of a plugin.
#[derive(Clone, Copy)]
pub(crate) struct PluginUse<'a> {
    pub(crate) kind: Kind,
    /// The field that names the plugin.
    pub(crate) word: &'static str,
    pub(crate) name: &'a str,
}
