//! What a space will hold once changes have been made that are being checked together.

use std::collections::HashMap;
use std::sync::Arc;

use hookwright_model::{Kind, SigningPolicy, SpaceId, Webhook, Workflow};
use hookwright_plugin::{Listed, Plugin};

use crate::{Pipeline, PipelineError};

/// What differs from what the space holds. Nothing, unless several things are changed together.
#[derive(Default)]
pub(crate) struct Outlook {
    /// Plugins by name; none: the space will see no plugin of this name.
    pub(crate) plugins: HashMap<String, Option<Arc<Plugin>>>,
    /// Workflows by name; none: there will be none.
    pub(crate) workflows: HashMap<String, Option<Workflow>>,
    /// How policies of webhooks sign, by number.
    pub(crate) policies: HashMap<u64, SigningPolicy>,
}

impl Pipeline {
    /// What the name of a plugin will stand for.
    pub(crate) fn plugin_ahead(&self, space: &SpaceId, outlook: &Outlook, name: &str) -> Option<Arc<Plugin>> {
        match outlook.plugins.get(name) {
            Some(ahead) => ahead.clone(),
            None => self.registry.get(space, name),
        }
    }

    /// The plugins that there will be of a kind, by name.
    pub(crate) fn names_ahead(&self, space: &SpaceId, outlook: &Outlook, kind: Kind) -> Vec<String> {
        let listed = self.registry.list(space);
        let fits = |l: &Listed| !l.shadowed && l.plugin.as_ref().is_some_and(|p| p.kinds().contains(&kind));
        let present = listed.into_iter().filter(fits).map(|l| l.name);
        let mut names: Vec<String> = present.filter(|name| !outlook.plugins.contains_key(name)).collect();
        let ahead =
            outlook.plugins.iter().filter(|(_, plugin)| plugin.as_ref().is_some_and(|p| p.kinds().contains(&kind)));
        names.extend(ahead.map(|(name, _)| name.clone()));
        names.sort();
        names
    }

    /// How a webhook's messages will be signed; none if there is no such policy.
    pub(crate) fn signing_ahead(
        &self,
        outlook: &Outlook,
        webhook: &Webhook,
    ) -> Result<Option<SigningPolicy>, PipelineError> {
        let Some(number) = webhook.policy else { return Ok(Some(webhook.signing.clone())) };
        if let Some(signing) = outlook.policies.get(&number) {
            return Ok(Some(signing.clone()));
        }
        Ok(self.store.webhook_policy(&webhook.space, number)?.map(|policy| policy.signing))
    }
}
