//! Documents of a configuration, and plans of their changes.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::configuration::compare::FieldChange;
use crate::configuration::state::{LeftAlone, Section};

/// The most objects in one document.
pub(crate) const MAX_OBJECTS: usize = 5000;

/// The desired content of a space, section by section. A section that is absent is left alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configuration {
    /// Plugins: the live version and the policy of each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugins: Option<Vec<Value>>,
    /// Kinds of record of the space's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kinds: Option<Vec<Value>>,
    /// Types of event of the space's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_types: Option<Vec<Value>>,
    /// Workflows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflows: Option<Vec<Value>>,
    /// Policies that webhooks share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_policies: Option<Vec<Value>>,
    /// Automations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub automations: Option<Vec<Value>>,
    /// Schedules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedules: Option<Vec<Value>>,
    /// Webhooks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhooks: Option<Vec<Value>>,
    /// Sources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sources: Option<Vec<Value>>,
    /// Keys: names, roles, users, and when they expire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<Vec<Value>>,
}

impl Configuration {
    /// How many objects it holds.
    pub(crate) fn count(&self) -> usize {
        let sections = [
            &self.plugins,
            &self.kinds,
            &self.event_types,
            &self.workflows,
            &self.webhook_policies,
            &self.automations,
            &self.schedules,
            &self.webhooks,
            &self.sources,
            &self.keys,
        ];
        sections.into_iter().flatten().map(Vec::len).sum()
    }

    pub(crate) fn take(&mut self, section: Section) -> Option<Vec<Value>> {
        self.section(section).take()
    }

    pub(crate) fn section(&mut self, section: Section) -> &mut Option<Vec<Value>> {
        match section {
            Section::Plugins => &mut self.plugins,
            Section::Kinds => &mut self.kinds,
            Section::EventTypes => &mut self.event_types,
            Section::Workflows => &mut self.workflows,
            Section::WebhookPolicies => &mut self.webhook_policies,
            Section::Automations => &mut self.automations,
            Section::Schedules => &mut self.schedules,
            Section::Webhooks => &mut self.webhooks,
            Section::Sources => &mut self.sources,
            Section::Keys => &mut self.keys,
        }
    }
}

/// The input of a plan or an apply.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConfigurationInput {
    /// The desired configuration.
    pub configuration: Configuration,
    /// Whether objects that a given section does not name are deleted.
    pub prune: bool,
    /// Sections of which the document lacks objects, because they could not be read: an unknown name may be one of
    /// theirs. Only in a request for a plan, which then reports the other validation errors.
    pub incomplete: Vec<String>,
    /// The fingerprint of the plan to apply. `None`: any plan.
    pub expect: Option<String>,
}

/// The action for an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// It is created.
    Create,
    /// It is changed.
    Change,
    /// It is deleted.
    Delete,
    /// It is up to date.
    Unchanged,
}

/// The change of one object.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlannedChange {
    /// Its type, such as `automation`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// Its id, if it exists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The action.
    pub action: ChangeKind,
    /// Its fields that change.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldChange>,
}

/// How many objects are created, changed, deleted and unchanged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Created.
    pub create: usize,
    /// Changed.
    pub change: usize,
    /// Deleted.
    pub delete: usize,
    /// Unchanged.
    pub unchanged: usize,
}

/// The changes that would be made, or were made.
#[derive(Clone, Debug, Serialize)]
pub struct ConfigurationPlan {
    /// A digest of the plan and of the state that it was made for: it changes if either changes.
    pub fingerprint: String,
    /// The number of each action.
    pub summary: Summary,
    /// All objects of the document, and those that are deleted.
    pub changes: Vec<PlannedChange>,
    /// Objects that would be deleted, but cannot be identified by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_alone: Vec<LeftAlone>,
}

/// A value that is shown only when it is created.
#[derive(Clone, Debug, Serialize)]
pub struct ShownOnce {
    /// The type of its object, such as `webhook`.
    pub kind: &'static str,
    /// The object's name.
    pub name: String,
    /// `secret`, `key`, or `token`: the last part of a source's URL.
    pub field: &'static str,
    /// The value, which is never shown again.
    pub value: String,
}

/// The result of an apply.
#[derive(Clone, Debug)]
pub struct AppliedConfiguration {
    /// The changes.
    pub plan: ConfigurationPlan,
    /// The values that are shown only now.
    pub shown: Vec<ShownOnce>,
}

/// The content of a space, as a document.
#[derive(Clone, Debug, Serialize)]
pub struct ExportedConfiguration {
    /// The document.
    pub configuration: Configuration,
    /// Objects that it cannot name.
    pub left_out: Vec<LeftAlone>,
}
