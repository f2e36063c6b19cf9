//! A plan carried out: keys made, everything committed at once, and then what is in memory switched.

use std::collections::HashMap;
use std::sync::Arc;

use hookwright_model::{KeyId, ScheduleId, SigningKey, SpaceId, StateView as _, Webhook};
use hookwright_plugin::{DataSchema, Plugin, Scope};
use hookwright_store::{ConfigChange, Configured, KindRefused, Swap};

use super::draft::{Draft, Errand};
use super::{AppliedConfiguration, ConfigurationInput, ShownOnce};
use crate::{Pipeline, PipelineError};

/// How often a plan is made anew because something changed while it was carried out.
const MAX_CONFLICTS: u32 = 100;

impl Pipeline {
    /// Makes the space be as a document says: all of it, or nothing.
    ///
    /// # Errors
    /// Every mistake in the document at once, each with its path; `configuration.changed` if the plan is no longer the
    /// one that was expected.
    pub async fn apply_configuration(
        &self,
        space: &SpaceId,
        input: ConfigurationInput,
        caller: &KeyId,
    ) -> Result<AppliedConfiguration, PipelineError> {
        self.all_loaded().await;
        let changing = self.changing.lock().await;
        for _ in 0..MAX_CONFLICTS {
            let state = self.configured(space)?;
            let Draft { mut swaps, errands, mut shown, schemas, candidates, plan, .. } =
                self.draft(space, &state, input.clone(), caller).await?;
            if input.expect.as_ref().is_some_and(|expected| *expected != plan.fingerprint) {
                return Err(PipelineError::Conflict {
                    code: "configuration.changed",
                    message: "the space, or the document, is no longer what the plan was made of: plan again"
                        .to_owned(),
                });
            }
            for (place, errand) in errands {
                if let Some(change) = swaps.get_mut(place) {
                    shown.extend(self.make_key_of(change, errand).await?);
                }
            }
            for change in &mut swaps {
                match change {
                    ConfigChange::Schedule(Swap { was: None, is: Some(schedule) }) => {
                        schedule.id = ScheduleId(self.store.next_id(space, "schedule")?);
                    }
                    ConfigChange::Polling(Swap { was: None, is: Some(polling) }) => {
                        polling.number = self.store.next_id(space, "polling")?;
                    }
                    _ => {}
                }
            }
            match self.store.configure(space, swaps).await? {
                Configured::Done(changes) => {
                    self.switch(space, &changes, schemas, &candidates);
                    drop(changing);
                    self.tell_of(&changes).await;
                    let (mut keys, mut keys_gone) = (Vec::new(), Vec::new());
                    for change in changes {
                        match change {
                            ConfigChange::Key(Swap { is: Some(key), .. }) => keys.push(key),
                            ConfigChange::Key(Swap { was: Some(key), .. }) => keys_gone.push(key),
                            _ => {}
                        }
                    }
                    return Ok(AppliedConfiguration { plan, shown, keys, keys_gone });
                }
                Configured::Conflict => {}
                Configured::Refused(kind, why) => return Err(refused(&kind, why)),
            }
        }
        Err(PipelineError::Conflict {
            code: "configuration.changed",
            message: format!("others changed the space {MAX_CONFLICTS} times meanwhile: try again"),
        })
    }

    /// Makes the key that a webhook or a policy needs; what is shown of it once.
    async fn make_key_of(&self, change: &mut ConfigChange, errand: Errand) -> Result<Option<ShownOnce>, PipelineError> {
        let is_given = errand.given.is_some();
        let made = self.new_key(&errand.signing, errand.given).await?;
        let (key, shown) = made.map_or((None, None), |(key, shown)| (Some(key), shown.secret));
        let keys: Vec<SigningKey> = key.into_iter().collect();
        let (kind, name) = match change {
            ConfigChange::Webhook(swap) => match &mut swap.is {
                Some(webhook) => {
                    webhook.keys = keys;
                    // A policy's key signs in its place.
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
        let shown = shown.filter(|_| !is_given);
        Ok(shown.map(|value| ShownOnce { kind, name, field: "secret", value }))
    }

    /// Has what is in memory follow what was committed.
    fn switch(
        &self,
        space: &SpaceId,
        changes: &[ConfigChange],
        mut schemas: HashMap<String, Option<DataSchema>>,
        candidates: &HashMap<String, Arc<Plugin>>,
    ) {
        let mut plugins: Vec<&str> = Vec::new();
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
                        tracing::error!(%error, plugin = record.name, "a plugin was not switched; a restart does it");
                    }
                    if record.rollout.is_none() {
                        self.rollouts.remove(space, &record.name);
                    }
                    plugins.push(&record.name);
                }
                ConfigChange::Plugin(Swap { was: Some(record), .. }) => {
                    self.registry.deactivate(&Scope::Space(space.clone()), &record.name);
                    self.rollouts.remove(space, &record.name);
                    plugins.push(&record.name);
                }
                ConfigChange::PluginPolicy(name, _) => plugins.push(name),
                ConfigChange::EventType(name, _) => self.strict.put(space, name, schemas.remove(name).flatten()),
                _ => {}
            }
        }
        self.follow(space, changes);
        self.accesses.forget();
        self.signers.forget();
        for name in plugins {
            self.breakers.reset(Some(space), name);
            self.release_soon(space, name);
        }
    }

    /// Asks receivers of webhooks that are new or have moved, and tells of those whose state has changed.
    async fn tell_of(&self, changes: &[ConfigChange]) {
        for change in changes {
            let ConfigChange::Webhook(swap) = change else { continue };
            let Some(webhook) = &swap.is else { continue };
            if let Err(error) = self.tell_of_webhook(swap.was.as_ref(), webhook).await {
                tracing::error!(%error, webhook = %webhook.id, "a webhook was put in, but nobody was told");
            }
        }
    }

    async fn tell_of_webhook(&self, was: Option<&Webhook>, webhook: &Webhook) -> Result<(), PipelineError> {
        let moved = was.is_none_or(|was| was.url != webhook.url);
        if moved && !webhook.confirmation.given() {
            self.queue_question(webhook).await?;
        }
        if was.is_some_and(|was| was.state() != webhook.state()) {
            self.tell_state(webhook).await?;
        }
        Ok(())
    }
}

fn refused(kind: &str, why: KindRefused) -> PipelineError {
    let (code, message) = match why {
        KindRefused::InUse => ("kind.in_use", format!("there are records of the kind `{kind}`: delete them first")),
        KindRefused::TooMany(most) => {
            ("kind.too_many", format!("the space may have {most} kinds of its own: delete some first"))
        }
        KindRefused::TooManyRecords(most) => (
            "kind.too_many_records",
            format!("`{kind}` has more than {most} records: its indexed fields cannot change any more"),
        ),
    };
    PipelineError::Conflict { code, message }
}
