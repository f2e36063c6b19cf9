//! Replays a stored event: as a dry run, or for real as a new event that names the one it repeats.

use std::collections::BTreeMap;
use std::sync::Arc;

use hookwright_foundation::error::PipelineError;
use hookwright_foundation::watched_clock::WatchedClock;
use hookwright_invoke::versions::Versions;
use hookwright_model::{
    Automation, AutomationId, Cause, Event, Mistakes, NewEvent, NewLane, Replay, SpaceId, Timestamp,
};
use hookwright_resources::automations::Automations;
use hookwright_routing::catalogue::Catalogue;
use hookwright_runs::stored::Runs;
use hookwright_store::Store;
use serde::{Deserialize, Serialize};

use crate::dry_run::{DryRunReport, DryRuns};

/// How many automations a dry run covers.
const MAX_DRY_RUNS: usize = 20;

/// For how many plugins a replay can name another version.
const MAX_PLUGINS: usize = 20;

/// What a replay of an event runs, and how.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReplayInput {
    /// The automation. `None`: those that took the event originally.
    pub automation: Option<String>,
    /// Its revision. `None`: the present one.
    pub revision: Option<u32>,
    /// The versions of plugins to call in place of those in use: a version or the beginning of a digest, by name.
    pub plugins: BTreeMap<String, String>,
    /// Whether it is a dry run, of which nothing is stored.
    pub dry_run: bool,
    /// Whether the event is delivered to webhooks again.
    pub deliver: bool,
    /// What happens to requests of steps in a dry run.
    pub requests: Option<Requests>,
}

impl Default for ReplayInput {
    fn default() -> Self {
        Self {
            automation: None,
            revision: None,
            plugins: BTreeMap::new(),
            dry_run: true,
            deliver: false,
            requests: None,
        }
    }
}

/// What happens to requests of steps in a dry run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Requests {
    /// They fail with `rehearsal.not_sent`.
    #[default]
    Refuse,
    /// They are sent.
    Send,
}

impl ReplayInput {
    fn check(&self) -> Result<(), Mistakes> {
        let mut mistakes = Mistakes::default();
        if self.revision.is_some() && self.automation.is_none() {
            mistakes.add("revision", "needs `automation` too");
        }
        if self.deliver && self.dry_run {
            mistakes.add("deliver", "nothing is delivered in a dry run: give `\"dry_run\": false` too");
        }
        if self.requests.is_some() && !self.dry_run {
            mistakes.add("requests", "a replay for real always sends requests: leave it out");
        }
        if self.plugins.len() > MAX_PLUGINS {
            mistakes.add("plugins", format!("has {} entries: at most {MAX_PLUGINS}", self.plugins.len()));
        }
        mistakes.check()
    }
}

/// The result of a replay.
#[derive(Clone, Debug, Serialize)]
pub struct Replayed {
    /// The event that is repeated.
    pub replays: String,
    /// Whether it is a dry run, of which nothing is stored.
    pub dry_run: bool,
    /// The new event. `None`: it is a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The report of each automation in a dry run. `None`: it is real, and the story of the new event has its runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runs: Option<Vec<DryRunReport>>,
    /// The automations that are considered.
    pub automations: Vec<String>,
    /// Automations that took the event originally and are left out now, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOut>,
}

/// An automation that is not considered again.
#[derive(Clone, Debug, Serialize)]
pub struct LeftOut {
    /// Its id.
    pub automation: String,
    /// The reason.
    pub reason: String,
}

/// Replays events.
pub struct Replays {
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) clock: Arc<WatchedClock>,
    pub(crate) store: Store,
    pub(crate) automations: Arc<Automations>,
    pub(crate) dry_runs: Arc<DryRuns>,
    pub(crate) runs: Arc<Runs>,
    pub(crate) versions: Arc<Versions>,
}

impl Replays {
    /// Replays a stored event.
    pub async fn replay(
        &self,
        space: &SpaceId,
        seq: u64,
        event: &Event,
        input: &ReplayInput,
    ) -> Result<Replayed, PipelineError> {
        input.check()?;
        let mut plugins = BTreeMap::new();
        for (name, which) in &input.plugins {
            let digest = self.versions.digest_of(space, name, which)?;
            if !input.dry_run {
                self.not_held(space, name, &digest)?;
            }
            plugins.insert(name.clone(), digest);
        }
        let (wanted, mut left_out) = self.wanted_again(space, seq, event, input)?;
        let mut ready = Vec::new();
        for (name, digest) in &plugins {
            // Held until the dry run is over, so that the cache cannot drop a version that a call needs.
            ready.push(self.versions.version_ready(space, name, digest).await?);
        }
        let replay = Replay { event: event.id.clone(), seq, revision: input.revision, plugins };
        let again = replay_of(event, replay, self.clock.now());
        let mut replayed = Replayed {
            replays: event.id.clone(),
            dry_run: input.dry_run,
            id: None,
            runs: None,
            automations: Vec::new(),
            left_out: Vec::new(),
        };
        if input.dry_run {
            let mut runs = Vec::new();
            for automation in &wanted {
                if runs.len() >= MAX_DRY_RUNS {
                    let reason =
                        format!("a dry run covers at most {MAX_DRY_RUNS} automations: name this one in `automation`");
                    left_out.push(LeftOut { automation: automation.id.to_string(), reason });
                    continue;
                }
                replayed.automations.push(automation.id.to_string());
                // Plugins get the original event.
                let again = Event { id: event.id.clone(), received_at: event.received_at, ..again.clone() };
                let send = input.requests == Some(Requests::Send);
                runs.push(self.dry_runs.run_automation(space, automation, &again, send).await?);
            }
            replayed.runs = Some(runs);
        } else {
            replayed.id = Some(again.id.clone());
            replayed.automations = wanted.iter().map(|automation| automation.id.to_string()).collect();
            self.append_again(again, &wanted, input.deliver).await?;
        }
        replayed.left_out = left_out;
        Ok(replayed)
    }

    async fn append_again(&self, event: Event, wanted: &[Arc<Automation>], deliver: bool) -> Result<(), PipelineError> {
        if wanted.is_empty() && !deliver {
            let message = "no automation took the event then: name the one that is to take it now in `automation`";
            return Err(PipelineError::Conflict { code: "replay.nothing", message: message.to_owned() });
        }
        let ids: Vec<AutomationId> = wanted.iter().map(|automation| automation.id.clone()).collect();
        let mut plan = self.catalogue.plan_for(&event, ids, deliver);
        for (place, automation) in wanted.iter().enumerate() {
            let ordinal = u32::try_from(place).unwrap_or(u32::MAX);
            let known = plan.lanes.iter().any(|lane| lane.ordinal == ordinal);
            if let (Some(concurrency), false) = (&automation.concurrency, known) {
                plan.lanes.push(NewLane { ordinal, key: concurrency.key_for(&event, &event.space) });
            }
        }
        self.store.events.append(vec![NewEvent { event, plan }]).await?;
        Ok(())
    }

    /// The automations that take the event again, and those that cannot.
    fn wanted_again(
        &self,
        space: &SpaceId,
        seq: u64,
        event: &Event,
        input: &ReplayInput,
    ) -> Result<(Vec<Arc<Automation>>, Vec<LeftOut>), PipelineError> {
        if let Some(id) = &input.automation {
            let automation = match input.revision {
                None => self.automations.automation(space, id)?,
                Some(revision) => self.runs.pinned_revision(space, id, revision)?.ok_or_else(|| {
                    let message = match self.automations.automation(space, id) {
                        Ok(present) => {
                            format!("it has no revision {revision}; the present one is {}", present.revision)
                        }
                        Err(error) => error.to_string(),
                    };
                    PipelineError::Conflict { code: "automation.revision_unknown", message }
                })?,
            };
            return Ok((vec![Arc::new(automation)], Vec::new()));
        }
        let (mut wanted, mut left_out) = (Vec::new(), Vec::new());
        for run in self.store.runs.runs_of(space, seq)? {
            let found = match run.workflow() {
                Some(name) => self.runs.started_version(space, name, event),
                None => self.catalogue.automation(space, &run.automation),
            };
            match found {
                Some(automation) => wanted.push(automation),
                None => {
                    let reason = format!("`{}` was deleted", run.automation_name);
                    left_out.push(LeftOut { automation: run.automation.to_string(), reason });
                }
            }
        }
        Ok((wanted, left_out))
    }

    /// Refuses a version that waits for approval.
    fn not_held(&self, space: &SpaceId, name: &str, digest: &str) -> Result<(), PipelineError> {
        let record = self.store.plugins.plugin(space, name)?;
        let version = record.as_ref().and_then(|record| record.version(digest));
        if version.is_some_and(|version| version.held) {
            let message = format!(
                "this version of `{name}` needs more than was granted, so it is called in a dry run only; to approve \
                 it, POST to /v1/plugins/{name}/approve"
            );
            return Err(PipelineError::Conflict { code: "plugin.held", message });
        }
        Ok(())
    }
}

/// The same event with a new id: its data is the same, byte for byte, and so is its cause.
fn replay_of(event: &Event, replay: Replay, now: Timestamp) -> Event {
    let cause = event.cause.clone().unwrap_or_else(Cause::api);
    Event {
        id: hookwright_model::unique("evt"),
        received_at: now,
        cause: Some(Cause { replays: Some(replay), ..cause }),
        ..event.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_contradicts_itself_is_refused_all_at_once() {
        let input = ReplayInput { revision: Some(1), deliver: true, ..ReplayInput::default() };
        let paths: Vec<String> = input.check().unwrap_err().0.into_iter().map(|mistake| mistake.path).collect();
        assert_eq!(paths, ["revision", "deliver"]);
        let input = ReplayInput { dry_run: false, requests: Some(Requests::Send), ..ReplayInput::default() };
        assert_eq!(input.check().unwrap_err().0[0].path, "requests");
        assert!(ReplayInput::default().check().is_ok());
    }
}
