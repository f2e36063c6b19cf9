//! Rollouts begun, promoted, ended, and taken back.

use std::sync::Arc;

use bytes::Bytes;
use hookwright_model::{EndedRollout, EventDraft, PluginRecord, PluginVersion, RolloutInput, SpaceId};
use hookwright_plugin::Plugin;
use serde_json::json;

use super::Active;
use crate::plugins::{held, short, wants_more};
use crate::{Installed, Pipeline, PipelineError};

/// The event that says that a version was taken back.
const ROLLED_BACK: &str = "plugin.rolled_back";

impl Pipeline {
    /// Puts in a version that is not to be in use yet, and begins its rollout. A version that wants more than was granted
    /// is kept and held, unless `approve` grants that too.
    pub async fn install_for_rollout(
        &self,
        space: &SpaceId,
        name: &str,
        component: Bytes,
        signatures: &[String],
        approve: bool,
        input: &RolloutInput,
    ) -> Result<Installed, PipelineError> {
        self.take_in(space, name, component, signatures, approve, Some(input)).await
    }

    /// Begins the rollout of a version that is kept: `which` is its version or the beginning of its digest.
    pub async fn begin_rollout(
        &self,
        space: &SpaceId,
        name: &str,
        which: &str,
        approve: bool,
        input: &RolloutInput,
    ) -> Result<Installed, PipelineError> {
        input.check()?;
        let _changing = self.changing.lock().await;
        let record = self.uploaded(space, name)?;
        let mut version = self.kept_version(&record, which)?;
        self.may_begin(space, &record, &version.digest)?;
        let missing = || PipelineError::not_found("component", &version.digest);
        let component = self.store.component(&version.digest)?.ok_or_else(missing)?;
        let plugin = self.registry.prepare(component).await?;
        let policy = self.policy_of(space, name, false, &plugin, approve)?;
        let more = wants_more(&policy.grants, plugin.wants());
        if !more.is_empty() {
            return Err(held(name, &more));
        }
        self.check_misfits(space, name, &plugin)?;
        self.store.put_policy(space, name, &policy).await?;
        version.held = false;
        let signed_by = version.signed_by.clone();
        self.begin(space, record, version, None, &plugin, input).await?;
        Ok(Installed { plugin, replaced: None, held: Vec::new(), signed_by })
    }

    pub(crate) fn may_begin(&self, space: &SpaceId, record: &PluginRecord, digest: &str) -> Result<(), PipelineError> {
        let Some(live) = self.registry.get(space, &record.name) else {
            let message = format!("no version of `{}` is in use: put this one in without a rollout", record.name);
            return Err(PipelineError::Conflict { code: "rollout.nothing_live", message });
        };
        if live.digest() == digest {
            let message = format!("this version of `{}` is the one in use", record.name);
            return Err(PipelineError::Conflict { code: "rollout.already_live", message });
        }
        Ok(())
    }

    pub(crate) async fn begin(
        &self,
        space: &SpaceId,
        mut record: PluginRecord,
        version: PluginVersion,
        component: Option<Bytes>,
        plugin: &Arc<Plugin>,
        input: &RolloutInput,
    ) -> Result<(), PipelineError> {
        let rollout = input.of(&version.version, &version.digest, self.now());
        let component = component.map(|component| (version.digest.clone(), component));
        record.rollout = Some(rollout.clone());
        let dropped = record.put(version);
        self.store.put_plugin(space, &record, component, dropped).await?;
        self.accesses.forget();
        self.rollouts.remove(space, &record.name);
        self.rollouts.put(Active::new(space, &record.name, rollout, Arc::clone(plugin)));
        Ok(())
    }

    /// Puts the version on its way into use.
    pub async fn promote(&self, space: &SpaceId, name: &str) -> Result<Installed, PipelineError> {
        let _changing = self.changing.lock().await;
        let mut record = self.uploaded(space, name)?;
        let rollout = record.rollout.take().ok_or_else(|| none_under_way(name))?;
        let version = self.kept_version(&record, &rollout.digest)?;
        let reason = "an administrator promoted it".to_owned();
        let ended_at = self.now();
        record.last_rollout = Some(EndedRollout { rollout, outcome: "promoted".to_owned(), reason, ended_at });
        self.bring_back(space, record, version, false).await
    }

    /// Ends a rollout: the version in use stays, the other one is kept.
    pub async fn end_rollout(&self, space: &SpaceId, name: &str) -> Result<(), PipelineError> {
        let _changing = self.changing.lock().await;
        let mut record = self.uploaded(space, name)?;
        let rollout = record.rollout.take().ok_or_else(|| none_under_way(name))?;
        let reason = "an administrator ended it".to_owned();
        let ended_at = self.now();
        record.last_rollout = Some(EndedRollout { rollout, outcome: "ended".to_owned(), reason, ended_at });
        self.store.put_plugin(space, &record, None, Vec::new()).await?;
        self.rollouts.remove(space, name);
        Ok(())
    }

    /// Takes a version back that fails, and tells of it.
    pub(super) async fn take_back(&self, active: &Active) -> Result<(), PipelineError> {
        let (space, name) = (&active.space, active.name.as_str());
        let _changing = self.changing.lock().await;
        let mut record = self.record_of(space, name)?;
        let Some(rollout) = record.rollout.take().filter(|rollout| rollout.id == active.rollout.id) else {
            // Somebody ended it meanwhile.
            return Ok(());
        };
        let (live, candidate) = {
            let told = active.told();
            (told.live, told.candidate)
        };
        let reason = rollout.fails(live, candidate).unwrap_or_else(|| "it failed too often".to_owned());
        tracing::warn!(plugin = name, %space, version = rollout.version, reason, "a version was taken back");
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
        // Told first, under an id that stays the same: whatever happens in between, it is told once.
        let draft = EventDraft { id: Some(rollout.id.clone()), ..draft };
        self.accept(space, vec![draft]).await?;
        let ended_at = self.now();
        record.last_rollout = Some(EndedRollout { rollout, outcome: "rolled_back".to_owned(), reason, ended_at });
        self.store.put_plugin(space, &record, None, Vec::new()).await?;
        self.rollouts.remove(space, name);
        Ok(())
    }

    /// Goes on with the rollouts that were under way when the server ended. Their counts begin anew.
    pub(crate) async fn load_rollouts(&self) -> Result<(), PipelineError> {
        for (space, record) in self.store.all_plugins()? {
            let Some(rollout) = record.rollout else { continue };
            let component = self.store.component(&rollout.digest)?;
            let missing = || PipelineError::not_found("component", &rollout.digest);
            let prepared = match component.ok_or_else(missing) {
                Ok(component) => self.registry.prepare(component).await.map_err(PipelineError::from),
                Err(error) => Err(error),
            };
            match prepared {
                Ok(plugin) => self.rollouts.put(Active::new(&space, &record.name, rollout, plugin)),
                Err(error) => {
                    tracing::error!(%error, plugin = record.name, %space, "a version on its way into use is not called");
                }
            }
        }
        Ok(())
    }

    /// A version that is kept.
    pub(crate) fn kept_version(&self, record: &PluginRecord, which: &str) -> Result<PluginVersion, PipelineError> {
        let newest_first = record.versions.iter().rev();
        let fits = |version: &&PluginVersion| {
            version.version == which || (which.len() >= 6 && version.digest.starts_with(which))
        };
        newest_first.clone().find(fits).cloned().ok_or_else(|| {
            let known: Vec<String> = newest_first.map(short).collect();
            let which: String = which.chars().take(80).collect();
            PipelineError::Conflict {
                code: "plugin.version_unknown",
                message: format!("there is no version `{which}` of `{}`; there are: {}", record.name, known.join(", ")),
            }
        })
    }
}

fn none_under_way(name: &str) -> PipelineError {
    let message = format!("no version of `{name}` is on its way into use: POST one to /v1/plugins/{name}/rollout");
    PipelineError::Conflict { code: "rollout.none", message }
}
