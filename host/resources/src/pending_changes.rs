//! The state of a space after changes that are validated together.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use hookwright_model::{SigningPolicy, Workflow};
use hookwright_plugin::Plugin;

/// Names whose objects are unknown, because the document's object is not valid or could not be read.
#[derive(Default)]
pub(crate) struct Unread {
    /// Objects of the document that are not valid.
    pub(crate) names: HashSet<String>,
    /// Whether the document lacks objects, so that any name may be one of theirs.
    pub(crate) any: bool,
}

/// The differences from what the space holds. Empty, unless several objects are changed together.
#[derive(Default)]
pub(crate) struct PendingChanges {
    /// Plugins by name. `None`: the space will have no plugin of this name.
    pub(crate) plugins: HashMap<String, Option<Arc<Plugin>>>,
    /// Workflows by name. `None`: there will be no workflow of this name.
    pub(crate) workflows: HashMap<String, Option<Workflow>>,
    /// Names of the workflows of the document: one may refer to another that follows it.
    pub(crate) coming_workflows: HashSet<String>,
    /// The space's own kinds of record by name. False: there will be no kind of this name.
    pub(crate) kinds: HashMap<String, bool>,
    /// Names of the kinds of the document: one may refer to another that follows it.
    pub(crate) coming_kinds: HashSet<String>,
    /// The signing of webhook policies, by number.
    pub(crate) policies: HashMap<u64, SigningPolicy>,
    /// Plugins that are unknown.
    pub(crate) unread_plugins: Unread,
    /// Workflows that are unknown.
    pub(crate) unread_workflows: Unread,
    /// Kinds of record that are unknown.
    pub(crate) unread_kinds: Unread,
    /// Webhook policies that are unknown.
    pub(crate) unread_policies: Unread,
}
