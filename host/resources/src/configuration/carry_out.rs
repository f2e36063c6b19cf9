//! Applies a plan: creates keys, commits everything at once, and then updates what is in memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use hookwright_foundation::conflicts::{MAX_CONFLICTS, TryOutcome, retry_on_conflict};
use hookwright_foundation::error::PipelineError;
use hookwright_model::{Author, KeyId, Mistake, SpaceId};
use hookwright_plugin::{Plugin, Scope};
use hookwright_store::{ConfigChange, Swap};

use crate::configuration::configurations::Configurations;
use crate::configuration::document::{AppliedConfiguration, ConfigurationInput, ConfigurationPlan, ShownOnce};
use crate::configuration::part::{Draft, PendingKey};
use crate::configuration::state::Section;
use crate::lifecycle::Resource as _;
use crate::webhook_policies::{KeyAhead, first_keys};

/// Keys that were made before the space was locked, by section and name.
type KeysAhead = HashMap<(Section, String), KeyAhead>;

impl Configurations {
    /// Applies a document to a space: all of it, or nothing. `caller` is the key that requests it, `by` its holder.
    ///
    /// # Errors
    /// All validation errors of the document at once, each with its path; `configuration.changed` if the plan is no
    /// longer the one that was expected.
    pub async fn apply_configuration(
        &self,
        space: &SpaceId,
        input: ConfigurationInput,
        caller: &KeyId,
        by: &Author,
    ) -> Result<AppliedConfiguration, PipelineError> {
        if !input.incomplete.is_empty() {
            let message = "is for plans: give the whole document";
            return Err(Mistake::new("incomplete", message).into());
        }
        self.loading.all_loaded().await;
        // The loaded plugins are held, so that the plan that is applied has them at once.
        let (ahead, _compiled) = self.made_ahead(space, &input, caller).await?;
        let _turn = self.plans.take(space).await;
        let changing = self.lifecycle.changing.lock(space).await;
        let carried_out = retry_on_conflict(&self.lifecycle.turns, space, || async {
            let state = self.configured(space)?;
            let Draft { mut swaps, pending_keys, mut shown, candidates, plan, .. } =
                self.draft(space, &state, input.clone(), caller).await?;
            check_expected(&input, &plan)?;
            for (place, pending_key) in pending_keys {
                if let Some(change) = swaps.get_mut(place) {
                    shown.extend(self.make_key_of(space, change, pending_key, &ahead).await?);
                }
            }
            for change in &swaps {
                if let ConfigChange::Webhook(swap) = change
                    && let Some(webhook) = &swap.is
                {
                    self.webhooks.before_move(swap.was.as_ref(), webhook).await?;
                }
            }
            match self.lifecycle.commit(space, swaps).await? {
                TryOutcome::Done(changes) => Ok(TryOutcome::Done((changes, candidates, plan, shown))),
                _ => Ok(TryOutcome::Superseded),
            }
        });
        let carried_out = carried_out.await?.ok_or_else(|| PipelineError::Conflict {
            code: "configuration.changed",
            message: format!("write conflict: the space was changed concurrently {MAX_CONFLICTS} times: try again"),
        })?;
        let (changes, candidates, plan, shown) = carried_out;
        self.switch(space, &changes, &candidates);
        drop(changing);
        self.report_changes(&changes, by).await;
        Ok(AppliedConfiguration { plan, shown })
    }

    /// Creates the keys that a document needs before the space is locked, each under the name of the object that signs
    /// with it, and compiles its plugins.
    async fn made_ahead(
        &self,
        space: &SpaceId,
        input: &ConfigurationInput,
        caller: &KeyId,
    ) -> Result<(KeysAhead, HashMap<String, Arc<Plugin>>), PipelineError> {
        let mut wanted = Vec::new();
        let compiled = {
            let _turn = self.plans.take(space).await;
            let state = self.configured(space)?;
            let Draft { swaps, pending_keys, plan, candidates, .. } =
                self.draft(space, &state, input.clone(), caller).await?;
            check_expected(input, &plan)?;
            for (place, pending_key) in pending_keys {
                wanted.extend(swaps.get(place).and_then(signs).map(|signs| (signs, pending_key)));
            }
            candidates
        };
        let mut ahead = KeysAhead::new();
        for (signs, PendingKey { signing, given }) in wanted {
            ahead.insert(signs, self.webhook_policies.key_ahead(space, &signing, given).await?);
        }
        Ok((ahead, compiled))
    }

    /// Adds the key that a webhook or a policy needs. Returns what is shown of it once.
    async fn make_key_of(
        &self,
        space: &SpaceId,
        change: &mut ConfigChange,
        pending_key: PendingKey,
        ahead: &KeysAhead,
    ) -> Result<Option<ShownOnce>, PipelineError> {
        let is_given = pending_key.given.is_some();
        let ahead = signs(change).and_then(|signs| ahead.get(&signs));
        let made = self.webhook_policies.key_now(space, &pending_key.signing, pending_key.given, ahead).await?;
        let (keys, shown) = first_keys(made);
        let (kind, name) = match change {
            ConfigChange::Webhook(swap) => match &mut swap.is {
                Some(webhook) => {
                    webhook.keys = keys;
                    // The policy's key signs instead.
                    if webhook.policy.is_some() {
                        return Ok(None);
                    }
                    ("webhook", webhook.name.clone())
                }
                None => return Ok(None),
            },
            ConfigChange::WebhookPolicy(Swap { is: Some(policy), .. }) => {
                policy.keys = keys;
                ("webhook_policy", policy.name.clone())
            }
            _ => return Ok(None),
        };
        let shown = shown.secret.filter(|_| !is_given);
        Ok(shown.map(|value| ShownOnce { kind, name, field: "secret", value }))
    }

    /// Updates what is in memory after the commit.
    fn switch(&self, space: &SpaceId, changes: &[ConfigChange], candidates: &HashMap<String, Arc<Plugin>>) {
        // By name: whether a version is being rolled out.
        let mut plugins: BTreeMap<&str, bool> = BTreeMap::new();
        let (mut keys, mut keys_gone) = (Vec::new(), Vec::new());
        for change in changes {
            match change {
                ConfigChange::Plugin(Swap { is: Some(record), was }) => {
                    let moved = was.as_ref().is_none_or(|was| was.digest != record.digest);
                    let plugin =
                        candidates.get(&record.name).filter(|plugin| moved && plugin.digest() == record.digest);
                    let scope = Scope::Space(space.clone());
                    if let Some(plugin) = plugin
                        && let Err(error) = self.registry.activate(scope, &record.name, Arc::clone(plugin))
                    {
                        tracing::error!(%error, plugin = record.name, "a plugin was not switched to its new version; a restart does that");
                    }
                    plugins.insert(&record.name, record.rollout.is_some());
                }
                ConfigChange::Plugin(Swap { was: Some(record), .. }) => {
                    self.registry.deactivate(&Scope::Space(space.clone()), &record.name);
                    plugins.insert(&record.name, false);
                }
                // The record of an uploaded plugin is among the changes too.
                ConfigChange::PluginPolicy(name, _) => {
                    plugins.entry(name).or_insert(false);
                }
                ConfigChange::Key(Swap { is: Some(key), .. }) => keys.push(key),
                ConfigChange::Key(Swap { was: Some(key), .. }) => keys_gone.push(key),
                _ => {}
            }
        }
        self.key_ring.follow(&keys, &keys_gone);
        self.catalogue.follow(space, changes);
        for change in changes {
            self.event_types.follow(space, change);
            self.sources.follow(space, change);
            self.webhook_policies.follow(space, change);
            self.webhooks.follow(space, change);
        }
        for (name, has_rollout) in plugins {
            self.invoke.follow_plugin(space, name, has_rollout);
        }
    }

    /// Reports what changed of webhooks. They are saved, so an error is only logged.
    async fn report_changes(&self, changes: &[ConfigChange], by: &Author) {
        for change in changes {
            let ConfigChange::Webhook(swap) = change else { continue };
            let Some(webhook) = &swap.is else { continue };
            if let Err(error) = self.webhooks.report_change(swap.was.as_ref(), webhook, by).await {
                tracing::error!(%error, webhook = %webhook.id, "a webhook was saved, but its event or verification request was not");
            }
        }
    }
}

/// The section and the name of an object that a change gives a key.
fn signs(change: &ConfigChange) -> Option<(Section, String)> {
    match change {
        ConfigChange::Webhook(swap) => Some((Section::Webhooks, swap.is.as_ref()?.name.clone())),
        ConfigChange::WebhookPolicy(swap) => Some((Section::WebhookPolicies, swap.is.as_ref()?.name.clone())),
        _ => None,
    }
}

fn check_expected(input: &ConfigurationInput, plan: &ConfigurationPlan) -> Result<(), PipelineError> {
    if input.expect.as_ref().is_none_or(|expected| *expected == plan.fingerprint) {
        return Ok(());
    }
    Err(PipelineError::Conflict {
        code: "configuration.changed",
        message: "the space, or the document, has changed since the plan was made: plan again".to_owned(),
    })
}
