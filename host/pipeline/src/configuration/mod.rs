//! Everything that people set up in a space, as one document: read, compared with what is there, and put in at once.
//!
//! ```text
//! document ──> made (a thing as it is to be) ──> compared in its shape ──> checked as things will be ──> one commit
//! ```
//!
//! A thing is known by its section and its name. Its shape is what files say of it: no ids, times, states or secrets,
//! and nothing that is as it is unless said otherwise. What shapes do not show stays as it is.

mod carry_out;
mod compare;
mod draft;
mod outgoing;
mod plugins;
mod shape;
mod state;
mod things;

use hookwright_model::{ApiKey, KeyId, SpaceId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use compare::FieldChange;
pub use state::{LeftAlone, Section};

use crate::{Pipeline, PipelineError};

/// The most things that one document may hold.
const MOST_THINGS: usize = 5000;

/// What is to be in a space, section by section. A section that is absent is left alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configuration {
    /// Plugins: which version is live, and what each may do.
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
    /// Keys: names and roles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<Vec<Value>>,
}

impl Configuration {
    /// How many things it holds.
    fn count(&self) -> usize {
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

    fn take(&mut self, section: Section) -> Option<Vec<Value>> {
        self.section(section).take()
    }

    fn section(&mut self, section: Section) -> &mut Option<Vec<Value>> {
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

/// What a caller asks for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConfigurationInput {
    /// What is to be there.
    pub configuration: Configuration,
    /// Whether things that a given section does not name are deleted.
    pub prune: bool,
    /// The fingerprint of the plan that is to be carried out; none: whatever it is now.
    pub expect: Option<String>,
}

/// What happens to a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// It is made.
    Create,
    /// It is changed.
    Change,
    /// It is deleted.
    Delete,
    /// It is as it is to be.
    Unchanged,
}

/// What happens to one thing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlannedChange {
    /// What it is, such as `automation`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// Its id, if it is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What happens to it.
    pub action: ChangeKind,
    /// Its fields that change.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldChange>,
}

/// How many things are made, changed, deleted, and as they are to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Made.
    pub create: usize,
    /// Changed.
    pub change: usize,
    /// Deleted.
    pub delete: usize,
    /// As they are to be.
    pub unchanged: usize,
}

/// What would happen, or did.
#[derive(Clone, Debug, Serialize)]
pub struct ConfigurationPlan {
    /// Of the plan and of what it was made against: another one if either changes.
    pub fingerprint: String,
    /// How many of each.
    pub summary: Summary,
    /// Everything that the document names, and what is deleted.
    pub changes: Vec<PlannedChange>,
    /// What would be deleted, but cannot be told apart by its name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_alone: Vec<LeftAlone>,
}

/// Something that is shown only when it is made.
#[derive(Clone, Debug, Serialize)]
pub struct ShownOnce {
    /// What it belongs to, such as `webhook`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// `secret`, `key`, or `token`: the last part of a source's URL.
    pub field: &'static str,
    /// What nobody is told again.
    pub value: String,
}

/// What was done.
#[derive(Clone, Debug)]
pub struct AppliedConfiguration {
    /// What happened.
    pub plan: ConfigurationPlan,
    /// What is shown only now.
    pub shown: Vec<ShownOnce>,
    /// Keys that were made or have another role.
    pub keys: Vec<ApiKey>,
    /// Keys that are gone.
    pub keys_gone: Vec<ApiKey>,
}

/// What a space holds, as a document.
#[derive(Clone, Debug, Serialize)]
pub struct ExportedConfiguration {
    /// The document.
    pub configuration: Configuration,
    /// What it cannot name.
    pub left_out: Vec<LeftAlone>,
}

impl Pipeline {
    /// What a document would change. Nothing is.
    ///
    /// # Errors
    /// Every mistake in the document at once, each with its path.
    pub async fn plan_configuration(
        &self,
        space: &SpaceId,
        input: ConfigurationInput,
        caller: &KeyId,
    ) -> Result<ConfigurationPlan, PipelineError> {
        self.all_loaded().await;
        let _changing = self.changing.lock().await;
        let state = self.configured(space)?;
        let draft = self.draft(space, &state, input, caller).await?;
        Ok(draft.plan)
    }

    /// What the space holds, as a document: by section and name, without secrets.
    pub fn export_configuration(&self, space: &SpaceId) -> Result<ExportedConfiguration, PipelineError> {
        let state = self.configured(space)?;
        let (mut configuration, mut left_out) = (Configuration::default(), Vec::new());
        for (section, things) in state.shaped()? {
            let (mut named, others) = state::by_name(section, things);
            named.retain(|_, thing| {
                let is_known = thing.value.get("policy").is_none_or(|policy| !policy.is_number());
                if !is_known {
                    let reason = "its webhook policy has no name, or one that others have too: rename that".to_owned();
                    left_out.push(LeftAlone { kind: section.thing(), ids: vec![thing.id.clone()], reason });
                }
                is_known
            });
            let values = named.into_values().map(|thing| Value::Object(thing.value)).collect();
            *configuration.section(section) = Some(values);
            left_out.extend(others);
        }
        Ok(ExportedConfiguration { configuration, left_out })
    }
}

/// An object with a name in front.
fn with_name(name: &str, rest: Map<String, Value>) -> Map<String, Value> {
    let mut named = Map::new();
    named.insert("name".to_owned(), name.into());
    named.extend(rest.into_iter().filter(|(field, _)| field != "name"));
    named
}
