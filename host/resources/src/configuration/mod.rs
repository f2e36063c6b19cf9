//! Everything that is configured in a space, as one document: read, compared with the space, and applied at once.
//!
//! ```text
//! document ──> made (a thing as it is to be) ──> compared in its shape ──> checked as things will be ──> one commit
//! ```
//!
//! An object is identified by its section and its name. Its shape is what files state about it: no ids, states or
//! secrets, no times except the expiry of a key, and no value that equals its default. What shapes do not show stays
//! the same.

pub(crate) mod carry_out;
pub mod compare;
pub(crate) mod configurations;
pub(crate) mod configured;
pub mod document;
pub(crate) mod draft;
pub(crate) mod mend;
pub(crate) mod objects;
pub(crate) mod outgoing;
pub(crate) mod part;
pub(crate) mod plugins;
pub(crate) mod referrers;
pub(crate) mod secrets;
pub(crate) mod shape;
pub mod state;
pub(crate) mod things;

use hookwright_foundation::error::PipelineError;
use hookwright_model::{KeyId, SpaceId};
use serde_json::Value;

use crate::configuration::configurations::Configurations;
use crate::configuration::document::{Configuration, ConfigurationInput, ConfigurationPlan, ExportedConfiguration};
use crate::configuration::state::{LeftAlone, Section};

impl Configurations {
    /// The changes that a document would make. Nothing is changed.
    ///
    /// # Errors
    /// All validation errors of the document at once, each with its path.
    pub async fn plan_configuration(
        &self,
        space: &SpaceId,
        input: ConfigurationInput,
        caller: &KeyId,
    ) -> Result<ConfigurationPlan, PipelineError> {
        self.loading.all_loaded().await;
        let _turn = self.plans.take(space).await;
        let _changing = self.lifecycle.changing.lock(space).await;
        let state = self.configured(space)?;
        let draft = self.draft(space, &state, input, caller).await?;
        Ok(draft.plan)
    }

    /// What the space holds in some sections, as a document: by section and name, without secrets.
    pub fn export_configuration(
        &self,
        space: &SpaceId,
        wanted: &[Section],
    ) -> Result<ExportedConfiguration, PipelineError> {
        let state = self.configured(space)?;
        let (mut configuration, mut left_out) = (Configuration::default(), Vec::new());
        for (section, things) in state.shaped(wanted) {
            let (named, others) = state::by_name(section, things);
            let mut values = Vec::with_capacity(named.len());
            for (name, thing) in named {
                let reason = if thing.value.get("policy").is_some_and(Value::is_number) {
                    "its webhook policy has no name, or shares it with another: rename the policy"
                } else if section == Section::Plugins && !self.plugin_access.is_installed(space, &name)? {
                    "only its policy is set, and files state it together with the plugin: install the plugin"
                } else {
                    values.push(Value::Object(thing.value));
                    continue;
                };
                left_out.push(LeftAlone { kind: section.thing(), ids: vec![thing.id], reason: reason.to_owned() });
            }
            *configuration.section(section) = Some(values);
            left_out.extend(others);
        }
        Ok(ExportedConfiguration { configuration, left_out })
    }
}
