//! Rollouts of plugin versions: started, promoted, ended, rolled back.

use std::sync::Arc;

use hookwright_foundation::error::PipelineError;
use hookwright_invoke::candidate::ActiveRollout;
use hookwright_model::{EndedRollout, EventDraft, RolloutInput, RolloutOutcome, SpaceId};
use serde_json::{Value, json};

use crate::plugins::{Installed, Plugins, Upload, Usable, compiled_ahead, held, not_dev, wants_more};

/// The event that reports that a version was rolled back.
const ROLLED_BACK: &str = "plugin.rolled_back";

impl Plugins {
    /// Installs a version without activating it, and starts its rollout. A version that needs more than its grants is
    /// stored and held, unless `approve` grants that too.
    pub async fn install_for_rollout(
        &self,
        space: &SpaceId,
        name: &str,
        upload: Upload,
        input: &RolloutInput,
    ) -> Result<Installed, PipelineError> {
        self.install_version(space, name, upload, Some(input)).await
    }

    /// Starts the rollout of a stored version: `which` is its version or the beginning of its digest.
    pub async fn begin_rollout(
        &self,
        space: &SpaceId,
        name: &str,
        which: &str,
        approve: bool,
        input: &RolloutInput,
    ) -> Result<Installed, PipelineError> {
        input.check()?;
        let chosen = Some(self.uploaded(space, name)?.find(which)?.digest.clone());
        let _compiled = compiled_ahead(self, chosen).await;
        let _changing = self.changing.lock(space).await;
        let record = self.uploaded(space, name)?;
        let mut version = record.find(which)?.clone();
        not_dev(name, &version)?;
        self.may_begin(space, &record, &version.digest)?;
        let missing = || PipelineError::not_found("component", &version.digest);
        let component = self.store.plugins.component(&version.digest)?.ok_or_else(missing)?;
        let plugin = self.registry.prepare(component).await?;
        let policy = self.policy_of(space, name, false, &plugin, approve)?;
        let more = wants_more(&policy.grants, plugin.wants());
        if !more.is_empty() {
            return Err(held(name, &more));
        }
        self.check_compatible(space, name, &plugin)?;
        version.held = false;
        let signed_by = version.signed_by.clone();
        let usable = Usable { record, version, policy, component: None, plugin: Arc::clone(&plugin) };
        self.begin(space, usable, input).await?;
        Ok(Installed { plugin, replaced: None, held: Vec::new(), signed_by, dev: false })
    }

    /// Activates the version that is being rolled out.
    pub async fn promote(&self, space: &SpaceId, name: &str) -> Result<Installed, PipelineError> {
        let chosen = self.uploaded(space, name)?.rollout.map(|rollout| rollout.digest);
        let _compiled = compiled_ahead(self, chosen).await;
        let _changing = self.changing.lock(space).await;
        let mut record = self.uploaded(space, name)?;
        let rollout = record.rollout.take().ok_or_else(|| none_under_way(name))?;
        let version = record.find(&rollout.digest)?.clone();
        let reason = "an administrator promoted it".to_owned();
        let ended_at = self.clock.now();
        record.last_rollout = Some(EndedRollout { rollout, outcome: RolloutOutcome::Promoted, reason, ended_at });
        self.activate_stored(space, record, version, false).await
    }

    /// Ends a rollout: the live version stays, the other one stays stored.
    pub async fn end_rollout(&self, space: &SpaceId, name: &str) -> Result<(), PipelineError> {
        let _changing = self.changing.lock(space).await;
        let mut record = self.uploaded(space, name)?;
        let rollout = record.rollout.take().ok_or_else(|| none_under_way(name))?;
        let reason = "an administrator ended it".to_owned();
        let ended_at = self.clock.now();
        record.last_rollout = Some(EndedRollout { rollout, outcome: RolloutOutcome::Ended, reason, ended_at });
        self.store.plugins.put_plugin(space, &record).await?;
        self.rollouts.remove(space, name);
        Ok(())
    }

    /// Rolls back a version that fails, and reports that.
    pub async fn roll_back_candidate(&self, active: &ActiveRollout) -> Result<(), PipelineError> {
        let (space, name) = (&active.space, active.name.as_str());
        let _changing = self.changing.lock(space).await;
        let mut record = self.versions.record_of(space, name)?;
        let Some(rollout) = record.rollout.take().filter(|rollout| rollout.id == active.rollout.id) else {
            // The rollout was ended concurrently.
            return Ok(());
        };
        let (live, candidate) = {
            let counts = active.counts.lock();
            (counts.live, counts.candidate)
        };
        let reason = rollout.fails(live, candidate).unwrap_or_else(|| "it failed too often".to_owned());
        tracing::warn!(plugin = name, %space, version = rollout.version, reason, "a version was rolled back");
        let in_use = self.registry.get(space, name);
        let in_use = in_use.map(|plugin| json!({"version": plugin.manifest().version, "digest": plugin.digest()}));
        let data = json!({
            "plugin": name,
            "version": rollout.version,
            "digest": rollout.digest,
            "in_use": in_use,
            "reason": reason,
            "candidate": candidate,
            "live": live,
            "rollout": {"id": rollout.id, "percent": rollout.percent, "started_at": rollout.started_at},
        });
        let source = format!("hookwright/plugins/{name}");
        let draft = EventDraft::json(ROLLED_BACK, &source, Some(format!("plugin/{name}")), &data, None);
        // The event is appended first, under an id that stays the same: if a crash follows, it is not appended twice.
        let draft = EventDraft { id: Some(rollout.id.clone()), ..draft };
        // Also while events from outside are refused: a failing version may be the reason why there are so many.
        self.store.events.append_own(self.routing.planned(space, vec![draft])?).await?;
        let ended_at = self.clock.now();
        record.last_rollout = Some(EndedRollout { rollout, outcome: RolloutOutcome::RolledBack, reason, ended_at });
        self.store.plugins.put_plugin(space, &record).await?;
        self.rollouts.remove(space, name);
        Ok(())
    }

    /// Resumes the rollouts that were in progress when the server stopped. Their metrics start again.
    pub async fn load_rollouts(&self) -> Result<(), PipelineError> {
        for (space, record) in self.store.plugins.all_plugins()? {
            let Some(rollout) = record.rollout else { continue };
            let component = self.store.plugins.component(&rollout.digest)?;
            let missing = || PipelineError::not_found("component", &rollout.digest);
            let prepared = match component.ok_or_else(missing) {
                Ok(component) => self.registry.prepare(component).await.map_err(PipelineError::from),
                Err(error) => Err(error),
            };
            match prepared {
                Ok(plugin) => self.rollouts.put(ActiveRollout::new(&space, &record.name, rollout, plugin)),
                Err(error) => {
                    tracing::error!(%error, plugin = record.name, %space, "the rollout of a version could not be resumed");
                }
            }
        }
        Ok(())
    }
}

fn none_under_way(name: &str) -> PipelineError {
    let message = format!("no rollout of `{name}` is in progress: POST a version to /v1/plugins/{name}/rollout");
    PipelineError::Conflict { code: "rollout.none", message }
}

impl Plugins {
    /// A plugin's rollout in progress as the API shows it, and the one that ended last.
    pub fn rollout(&self, space: &SpaceId, name: &str) -> Result<(Value, Value), PipelineError> {
        let Some(record) = self.store.plugins.plugin(space, name)? else { return Ok((Value::Null, Value::Null)) };
        let shown = match (self.rollouts.find(space, name), &record.rollout) {
            (Some(active), Some(_)) => active.show(),
            (None, Some(rollout)) => {
                let mut shown = json!(rollout);
                if let Some(shown) = shown.as_object_mut() {
                    shown.insert("error".to_owned(), "the version could not be loaded: see the server's log".into());
                }
                shown
            }
            (_, None) => Value::Null,
        };
        Ok((shown, json!(record.last_rollout)))
    }
}
