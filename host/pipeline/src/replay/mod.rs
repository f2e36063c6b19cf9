//! A stored event is run again: rehearsed, or for real as a new event that says which one it repeats.

mod compare;
mod diff;
mod recorder;
mod rerun;

use std::collections::BTreeMap;
use std::sync::Arc;

use hookwright_model::{
    Automation, AutomationId, Cause, Event, Mistakes, NewEvent, NewLane, Replay, SpaceId, Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::{Pipeline, PipelineError, Rehearsal};

pub use compare::{Candidate, CompareInput, Comparison, Counts, Difference};
pub(crate) use compare::{Compared, Comparisons, compared};
pub(crate) use recorder::{About, Recorder, Recording, TakenMessage, Taping};
pub(crate) use rerun::{Said, came_to};

/// How many automations one rehearsal is made of.
const REHEARSED: usize = 20;
/// How many plugins can be called in another version.
const PLUGINS: usize = 20;

/// What of an event is run again, and how.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReplayInput {
    /// The automation; none: those that took the event then.
    pub automation: Option<String>,
    /// Its revision; none: the present one.
    pub revision: Option<u32>,
    /// Plugins that are called in another version than the one in use: a version or the beginning of a digest, by name.
    pub plugins: BTreeMap<String, String>,
    /// Whether nothing of it is kept.
    pub dry_run: bool,
    /// Whether webhooks are told of the event once more.
    pub deliver: bool,
    /// What becomes of requests that steps of a rehearsal ask for.
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

/// What becomes of requests that steps of a rehearsal ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Requests {
    /// They fail with `rehearsal.not_sent`.
    #[default]
    Refuse,
    /// They leave.
    Send,
}

impl ReplayInput {
    fn check(&self) -> Result<(), Mistakes> {
        let mut mistakes = Mistakes::default();
        if self.revision.is_some() && self.automation.is_none() {
            mistakes.add("revision", "say of which `automation`");
        }
        if self.deliver && self.dry_run {
            mistakes.add("deliver", "nothing is delivered in a dry run: give `\"dry_run\": false` too");
        }
        if self.requests.is_some() && !self.dry_run {
            mistakes.add("requests", "for real, requests always leave: leave it out");
        }
        if self.plugins.len() > PLUGINS {
            mistakes.add("plugins", format!("has {} entries: at most {PLUGINS}", self.plugins.len()));
        }
        mistakes.check()
    }
}

/// What came of a replay.
#[derive(Clone, Debug, Serialize)]
pub struct Replayed {
    /// The event that is repeated.
    pub replays: String,
    /// Whether nothing of it is kept.
    pub dry_run: bool,
    /// The new event; none in a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What each automation would do; none for real, where the story of the new event tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runs: Option<Vec<Rehearsal>>,
    /// The automations that are considered.
    pub automations: Vec<String>,
    /// Automations that took the event then and are left out now, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOut>,
}

/// An automation that is not considered again.
#[derive(Clone, Debug, Serialize)]
pub struct LeftOut {
    /// Its id.
    pub automation: String,
    /// Why.
    pub reason: String,
}

impl Pipeline {
    /// Runs a stored event again.
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
            let digest = self.digest_of(space, name, which)?;
            if !input.dry_run {
                self.not_held(space, name, &digest)?;
            }
            plugins.insert(name.clone(), digest);
        }
        let (wanted, mut left_out) = self.wanted_again(space, seq, event, input)?;
        let mut ready = Vec::new();
        for (name, digest) in &plugins {
            // Held until the rehearsal is over, so that no call waits for one of them.
            ready.push(self.version_ready(space, name, digest).await?);
        }
        let replay = Replay { event: event.id.clone(), seq, revision: input.revision, plugins };
        let again = repeated(event, replay, self.now());
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
                if runs.len() >= REHEARSED {
                    let reason = format!("one rehearsal is of at most {REHEARSED} automations: name this one");
                    left_out.push(LeftOut { automation: automation.id.to_string(), reason });
                    continue;
                }
                replayed.automations.push(automation.id.to_string());
                // What the plugins see is the event as it was.
                let again = Event { id: event.id.clone(), received_at: event.received_at, ..again.clone() };
                let send = input.requests == Some(Requests::Send);
                runs.push(self.rehearse_automation(space, automation, &again, send).await?);
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
        self.store.append(vec![NewEvent { event, plan }]).await?;
        Ok(())
    }

    /// The automations that are to take the event again, and those that cannot.
    fn wanted_again(
        &self,
        space: &SpaceId,
        seq: u64,
        event: &Event,
        input: &ReplayInput,
    ) -> Result<(Vec<Arc<Automation>>, Vec<LeftOut>), PipelineError> {
        if let Some(id) = &input.automation {
            let automation = match input.revision {
                None => self.automation(space, id)?,
                Some(revision) => self.pinned_revision(space, id, revision)?.ok_or_else(|| {
                    let message = match self.automation(space, id) {
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
        for run in self.store.runs_of(space, seq)? {
            let found = match run.workflow() {
                Some(name) => self.started_version(space, name, event),
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

    /// A revision of an automation, switched on: whoever names it wants it carried out.
    fn pinned_revision(&self, space: &SpaceId, id: &str, revision: u32) -> Result<Option<Automation>, PipelineError> {
        let found = self.store.automation_revision(space, id, revision)?;
        Ok(found.map(|found| Automation { enabled: true, ..found }))
    }

    /// The automation that is considered for an event: in its present revision, or in the one that a replay names.
    pub(crate) fn considered(&self, space: &SpaceId, id: &AutomationId, event: &Event) -> Option<Arc<Automation>> {
        let Some(revision) = event.replays().and_then(|replay| replay.revision) else {
            return self.catalogue.automation(space, id);
        };
        let found = self.pinned_revision(space, id.as_str(), revision);
        let found = found.inspect_err(|error| tracing::error!(%error, automation = %id, "a revision cannot be read"));
        found.ok().flatten().map(Arc::new)
    }

    /// Refuses a version that waits for somebody to approve it.
    fn not_held(&self, space: &SpaceId, name: &str, digest: &str) -> Result<(), PipelineError> {
        let record = self.store.plugin(space, name)?;
        let version = record.as_ref().and_then(|record| record.version(digest));
        if version.is_some_and(|version| version.held) {
            let message = format!(
                "this version of `{name}` wants more than was granted, so it is called in a dry run only; to approve \
                 it, POST to /v1/plugins/{name}/approve"
            );
            return Err(PipelineError::Conflict { code: "plugin.held", message });
        }
        Ok(())
    }
}

/// The same event once more: what came in is the same, byte for byte, and so is what made it.
fn repeated(event: &Event, replay: Replay, now: Timestamp) -> Event {
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
